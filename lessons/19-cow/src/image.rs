//! What is in the image, and which of its files has somebody changed?

use std::fs;
use std::path::Path;

use stage::{Error, Result};

/// How many bytes a small file has, and how many of them are in a folder.
const SMALL: u64 = 4096;
const FOLDER: u64 = 100;

/// What all files are full of.
const FILLING: u8 = b'x';

/// A big file and many small ones.
pub struct Image {
    /// How many small files.
    pub files: u64,
    /// The size of the big one, in bytes.
    pub big: u64,
}

impl Image {
    /// The bytes in all files.
    pub fn bytes(&self) -> u64 {
        self.big + self.files * SMALL
    }

    /// Make the files in the folder `at`.
    pub fn fill(&self, at: &Path) -> Result<()> {
        write(&at.join("big"), self.big)?;
        for number in 0..self.files {
            let folder = at.join(format!("files/{:03}", number / FOLDER));
            if number % FOLDER == 0 {
                fs::create_dir_all(&folder)
                    .map_err(|error| Error::io(folder.display(), &error))?;
            }
            write(&folder.join(format!("{:02}", number % FOLDER)), SMALL)?;
        }
        Ok(())
    }

    /// How many files there are in the folder `at`, and how many are not as they were made.
    pub fn compare(&self, at: &str) -> Result<String> {
        let original = filling(self.big);
        let (mut files, mut changed) = (0, 0);
        let mut folders = vec![Path::new(at).to_path_buf()];
        while let Some(folder) = folders.pop() {
            let failed = |error| Error::io(folder.display(), &error);
            for entry in fs::read_dir(&folder).map_err(failed)? {
                let path = entry.map_err(failed)?.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let bytes = fs::read(&path);
                let bytes = bytes.map_err(|error| Error::io(path.display(), &error))?;
                files += 1;
                changed += u64::from(original.get(..bytes.len()) != Some(&bytes));
            }
        }
        Ok(told(files, changed))
    }

    /// What [`Image::compare`] is to say when `changed` files differ.
    pub fn expected(&self, changed: u64) -> String {
        told(self.files + 1, changed)
    }
}

fn told(files: u64, changed: u64) -> String {
    format!("{files} files, {changed} changed")
}

fn filling(size: u64) -> Vec<u8> {
    vec![FILLING; usize::try_from(size).unwrap_or_default()]
}

fn write(path: &Path, size: u64) -> Result<()> {
    fs::write(path, filling(size)).map_err(|error| Error::io(path.display(), &error))
}
