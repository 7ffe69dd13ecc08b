//! Which lessons are there, and where is the student's own work?
//!
//! A lesson that can be checked is a folder `lessons/NN-NAME` with a check.toml; the
//! student's work is the example `NAME-exercise` beside it. The last exercise, to write
//! `contain()`, is in `examples`, at the course's top.

use std::fs;
use std::path::{Path, PathBuf};

use stage::{Error, Result};

/// Where the last exercise is, from the course's top.
const LAST: &str = "examples";

/// A lesson that can be checked.
pub struct Lesson {
    /// Its number, such as `01`.
    pub number: String,
    /// Its name, such as `uts`.
    pub name: String,
    /// Where all of it is, from the course's top.
    pub folder: PathBuf,
    /// The course that it belongs to.
    pub top: PathBuf,
}

impl Lesson {
    /// Whether `name` is this one: `uts`, `1`, `01` and `01-uts` are the same.
    fn is_called(&self, name: &str) -> bool {
        let number = self.number.as_str();
        let folder = || self.folder.file_name().is_some_and(|folder| folder == name);
        [&self.name, number, number.trim_start_matches('0')].contains(&name) || folder()
    }

    /// The file with the questions.
    pub fn questions(&self) -> PathBuf {
        let folder = if self.is_last() { Path::new(LAST) } else { &self.folder };
        self.top.join(folder).join("check.toml")
    }

    /// What to read first, from the course's top.
    pub fn page(&self) -> PathBuf {
        if self.is_last() { "src/run.rs".into() } else { self.folder.join("README.md") }
    }

    /// Whether it is the exercise at the course's end, which is the engine's, not a lesson's.
    fn is_last(&self) -> bool {
        self.folder.as_os_str().is_empty()
    }

    /// The student's own work, from the course's top.
    pub fn exercise(&self) -> PathBuf {
        self.example("exercise")
    }

    /// One way to do it, from the course's top.
    pub fn solution(&self) -> PathBuf {
        self.example("solution")
    }

    fn example(&self, kind: &str) -> PathBuf {
        self.folder.join("examples").join(format!("{}-{kind}.rs", self.name))
    }

    /// The text of a file of the lesson.
    pub fn read(&self, file: &Path) -> Result<String> {
        let text = fs::read_to_string(self.top.join(file));
        text.map_err(|error| {
            Error::io(file.display(), &error)
                .hint(format!("`lab reset {}` puts it back", self.name))
        })
    }
}

/// The lesson called `name`: by its name, its number or its folder's name.
pub fn find(name: &str) -> Result<Lesson> {
    let mut known = all()?;
    if let Some(at) = known.iter().position(|lesson| lesson.is_called(name)) {
        return Ok(known.swap_remove(at));
    }
    let names: Vec<_> = known.iter().map(|lesson| lesson.name.as_str()).collect();
    Err(Error::input(format!("no lesson {name:?} that can be checked"))
        .hint(format!("there are: {}", names.join(", "))))
}

/// All lessons that can be checked, in the course's order.
pub fn all() -> Result<Vec<Lesson>> {
    let top = top()?;
    let folder = top.join("lessons");
    let failed = |error| Error::io(folder.display(), &error);
    let mut lessons = Vec::new();
    for entry in fs::read_dir(&folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if let Some((number, short)) = name.split_once('-') {
            let (number, short) = (number.to_string(), short.to_string());
            let folder = Path::new("lessons").join(&name);
            lessons.push(Lesson { number, name: short, folder, top: top.clone() });
        }
    }
    lessons.sort_by(|one, other| one.folder.cmp(&other.folder));
    let (number, name) = ("26".to_string(), "contain".to_string());
    lessons.push(Lesson { number, name, folder: PathBuf::new(), top });
    lessons.retain(|lesson| lesson.questions().is_file());
    Ok(lessons)
}

/// The top of the course: the one that we are in, or that we were built from.
pub fn top() -> Result<PathBuf> {
    let is_course = |folder: &&Path| folder.join("lessons").is_dir();
    let nearest = |from: PathBuf| from.ancestors().find(is_course).map(Path::to_path_buf);
    let here = std::env::current_dir().ok().and_then(nearest);
    let found = here.or_else(|| build().ok().and_then(nearest));
    found.ok_or_else(|| {
        Error::input("no folder `lessons` here").hint("cd to the course's top folder")
    })
}

/// The folder where Cargo has put us and puts the exercises: `target/debug`.
pub fn build() -> Result<PathBuf> {
    let exe =
        std::env::current_exe().map_err(|error| Error::io("/proc/self/exe", &error))?;
    Ok(exe.parent().unwrap_or(Path::new("/")).to_path_buf())
}
