//! How do files become a layer?
//!
//! The upper layer of an overlay (lesson 18) becomes a tar archive: what overlayfs says by devices
//! and attributes, the archive says by names (`whiteout.rs`). The same tree gives the same bytes,
//! and so the same digest: names are sorted, and nothing is told that is not the files' own.
//!
//! A container may change the tree while we read it. So we go from descriptor to descriptor,
//! follow no link, and open only what we have looked at.

use std::cmp::min;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use stage::{Error, Result};
use tar::{EntryType, Header};

use crate::files::{self, joined};
use crate::pax::{self, Records};
use crate::{shown, whiteout};

const BLOCK: u64 = 512;
/// What is read of a file at once.
const CHUNK: usize = 128 * 1024;
/// What the header's fields for a name, for the size and for owners have room for.
const LONGEST_NAME: usize = 100;
const LARGEST_SIZE: u64 = 0o77_777_777_777;
const LAST_ID: u64 = 0o7_777_777;

/// Write what is in the folder `tree`, an upper layer, to `out` as a tar archive. `inside` says
/// which user and group the archive shall have for a user and a group on the disk.
pub fn pack<W: Write>(
    tree: &Path,
    out: W,
    inside: impl Fn(u32, u32) -> (u32, u32),
) -> Result<()> {
    let top = File::open(tree).map_err(|error| Error::io(tree.display(), &error))?;
    let (links, mark) = (HashMap::new(), whiteout::mark());
    let mut packer = Packer { out, inside, links, mark };
    packer.folder(&[], &top)?;
    // The end of an archive: two blocks of zeros.
    packer.write(&[0; 2 * BLOCK as usize])?;
    packer.out.flush().map_err(|error| Error::io("write", &error))
}

struct Packer<W, F> {
    out: W,
    inside: F,
    /// The first name of each file that has several, by its device and inode.
    links: HashMap<(u64, u64), Vec<u8>>,
    mark: &'static str,
}

/// What an entry says besides its name and its owner.
struct About<'a> {
    kind: EntryType,
    link: &'a [u8],
    size: u64,
    records: Records,
}

impl About<'_> {
    fn of(kind: EntryType) -> About<'static> {
        About { kind, link: b"", size: 0, records: Records::default() }
    }
}

impl<W: Write, F: Fn(u32, u32) -> (u32, u32)> Packer<W, F> {
    /// A folder, what it hides, and what is in it.
    fn folder(&mut self, path: &[u8], folder: &File) -> Result<()> {
        let failed = |error: io::Error| refusal(path, &error);
        let metadata = folder.metadata().map_err(failed)?;
        let mut about = About::of(EntryType::Directory);
        about.records = self.xattrs(path, folder)?;
        let name = if path.is_empty() { b"./".to_vec() } else { [path, b"/"].concat() };
        self.entry(&name, &metadata, about)?;
        if whiteout::is_opaque(folder, self.mark).map_err(failed)? {
            self.whiteout(&joined(path, whiteout::OPAQUE))?;
        }
        let names = files::names(folder).map_err(failed)?;
        if path.iter().filter(|&&byte| byte == b'/').count() >= files::DEEPEST {
            return Err(wrong(path, "too many folders within each other"));
        }
        // Whiteouts first: whoever unpacks may then do one entry after the other.
        for whiteouts in [true, false] {
            for name in &names {
                self.child(path, folder, name, whiteouts)?;
            }
        }
        Ok(())
    }

    /// `name` in `folder`, if it is a whiteout, or if it is none.
    fn child(
        &mut self,
        path: &[u8],
        folder: &File,
        name: &OsStr,
        whiteouts: bool,
    ) -> Result<()> {
        let whole = joined(path, name.as_bytes());
        let failed = |error: io::Error| refusal(&whole, &error);
        let looked = files::look(folder, name).and_then(|file| {
            let metadata = file.metadata()?;
            Ok((file, metadata))
        });
        let (file, metadata) = match looked {
            // It was removed meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            looked => looked.map_err(failed)?,
        };
        let kind = metadata.file_type();
        if kind.is_char_device() && metadata.rdev() == 0 {
            let name = [whiteout::PREFIX, name.as_bytes()].concat();
            return match whiteouts {
                true => self.whiteout(&joined(path, &name)),
                false => Ok(()),
            };
        }
        match () {
            () if whiteouts || kind.is_socket() => Ok(()),
            () if name.as_bytes().starts_with(whiteout::PREFIX) => {
                Err(wrong(&whole, "in a layer, this name would be a whiteout"))
            }
            () if kind.is_dir() => {
                self.folder(&whole, &files::open_looked_at(&file).map_err(failed)?)
            }
            () => self.file(whole, &file, &metadata),
        }
    }

    fn file(&mut self, path: Vec<u8>, file: &File, metadata: &Metadata) -> Result<()> {
        if let Some(first) = self.links.get(&(metadata.dev(), metadata.ino())).cloned() {
            let about = About { link: &first, ..About::of(EntryType::Link) };
            return self.entry(&path, metadata, about);
        }
        if metadata.nlink() > 1 {
            self.links.insert((metadata.dev(), metadata.ino()), path.clone());
        }
        let kind = metadata.file_type();
        match () {
            () if kind.is_file() => {
                let file = files::open_looked_at(file);
                self.contents(&path, file.map_err(|error| refusal(&path, &error))?)
            }
            () if kind.is_symlink() => {
                let target = files::target(file);
                let target = target.map_err(|error| refusal(&path, &error))?;
                let link = target.as_bytes();
                let about = About { link, ..About::of(EntryType::Symlink) };
                self.entry(&path, metadata, about)
            }
            () if kind.is_fifo() => {
                self.entry(&path, metadata, About::of(EntryType::Fifo))
            }
            () if kind.is_block_device() => {
                self.entry(&path, metadata, About::of(EntryType::Block))
            }
            () => self.entry(&path, metadata, About::of(EntryType::Char)),
        }
    }

    /// A regular file. It may grow or shrink while we read: its length is what it was when we
    /// came, and zeros stand for what is gone by then.
    fn contents(&mut self, path: &[u8], mut file: File) -> Result<()> {
        let failed = |error: io::Error| refusal(path, &error);
        let metadata = file.metadata().map_err(failed)?;
        let (size, records) = (metadata.len(), self.xattrs(path, &file)?);
        let about = About { size, records, ..About::of(EntryType::Regular) };
        self.entry(path, &metadata, about)?;
        let mut buffer = vec![0; min(size, CHUNK as u64) as usize];
        let (mut left, mut ended) = (size, false);
        while left > 0 {
            let most = min(left, buffer.len() as u64) as usize;
            let mut length = most;
            if !ended {
                length = match file.read(&mut buffer[..most]) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    read => read.map_err(failed)?,
                };
                if length == 0 {
                    (ended, length) = (true, most);
                    buffer.fill(0);
                }
            }
            self.write(&buffer[..length])?;
            left -= length as u64;
        }
        self.fill(size)
    }

    /// The extended attributes that are the file's own, and none that overlayfs has put there.
    fn xattrs(&self, path: &[u8], file: &File) -> Result<Records> {
        let mut records = Records::default();
        let all = files::xattrs(file).map_err(|error| refusal(path, &error))?;
        let ours = self.mark.trim_end_matches("opaque");
        for (name, value) in all {
            match name.as_bytes().strip_prefix(ours.as_bytes()) {
                // Then what belongs here is in a lower layer, perhaps under another name.
                Some(b"redirect" | b"metacopy") => {
                    let what = "it is only partly in this layer (redirect_dir, metacopy)";
                    return Err(wrong(path, what));
                }
                _ if whiteout::is_to_overlay(name.as_bytes()) => {}
                _ => records.add_xattr(&name, value),
            }
        }
        Ok(records)
    }

    /// An empty file: all that a whiteout has to say is its name.
    fn whiteout(&mut self, path: &[u8]) -> Result<()> {
        let mut header = Header::new_ustar();
        header.set_mode(0o600);
        header.set_mtime(0);
        self.member(path, (0, 0), &mut header, About::of(EntryType::Regular))
    }

    fn entry(&mut self, path: &[u8], metadata: &Metadata, about: About) -> Result<()> {
        let mut header = Header::new_ustar();
        header.set_mode(metadata.mode() & 0o7777);
        let mut about = about;
        let nanoseconds = u32::try_from(metadata.mtime_nsec()).unwrap_or(0);
        match (u64::try_from(metadata.mtime()), nanoseconds) {
            (Ok(seconds @ ..=LARGEST_SIZE), 0) => header.set_mtime(seconds),
            _ => {
                let time = pax::time_text((metadata.mtime(), nanoseconds));
                about.records.add("mtime", time);
            }
        }
        if [EntryType::Char, EntryType::Block].contains(&about.kind) {
            let (major, minor) = files::device(metadata.rdev());
            let number = |number| u32::try_from(number).map_err(io::Error::other);
            number(major)
                .and_then(|major| header.set_device_major(major))
                .and_then(|()| header.set_device_minor(number(minor)?))
                .map_err(|error| refusal(path, &error))?;
        }
        let owners = (self.inside)(metadata.uid(), metadata.gid());
        self.member(path, owners, &mut header, about)
    }

    /// A header block, and before it a member with all that there is no room for in it.
    fn member(
        &mut self,
        path: &[u8],
        (owner, group): (u32, u32),
        header: &mut Header,
        mut about: About,
    ) -> Result<()> {
        header.set_entry_type(about.kind);
        let records = &mut about.records;
        let mut room = |key: &str, number: u64, last: u64| match number <= last {
            true => number,
            false => {
                records.add(key, number.to_string());
                0
            }
        };
        header.set_uid(room("uid", owner.into(), LAST_ID));
        header.set_gid(room("gid", group.into(), LAST_ID));
        header.set_size(room("size", about.size, LARGEST_SIZE));
        let fields = header.as_old_mut();
        for (key, name, field) in [
            ("path", path, &mut fields.name),
            ("linkpath", about.link, &mut fields.linkname),
        ] {
            let length = min(name.len(), LONGEST_NAME);
            field[..length].copy_from_slice(&name[..length]);
            if name.len() > LONGEST_NAME {
                records.add(key, name);
            }
        }
        self.records(&about.records.text())?;
        header.set_cksum();
        self.write(header.as_bytes())
    }

    fn records(&mut self, text: &[u8]) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::XHeader);
        header.as_old_mut().name[..9].copy_from_slice(b"PaxHeader");
        header.set_size(text.len() as u64);
        header.set_cksum();
        self.write(header.as_bytes())?;
        self.write(text)?;
        self.fill(text.len() as u64)
    }

    /// Fill up to whole blocks.
    fn fill(&mut self, length: u64) -> Result<()> {
        let filling = length.next_multiple_of(BLOCK) - length;
        self.write(&[0; BLOCK as usize][..filling as usize])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all(bytes).map_err(|error| Error::io("write", &error))
    }
}

fn refusal(path: &[u8], error: &io::Error) -> Error {
    Error::io(format!("`{}`", shown(path)), error)
}

fn wrong(path: &[u8], what: &str) -> Error {
    Error::input(format!("`{}`: {what}", shown(path)))
}
