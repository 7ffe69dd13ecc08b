//! How does a student begin again?
//!
//! With the exercise as it was handed out, which git knows. What the student had written is
//! kept: nothing is lost.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use stage::{Error, Result, tell};

use crate::lessons::Lesson;
use crate::progress::{self, Notes, Record};
use crate::student;

/// What is left to write in an exercise as it is handed out.
const UNWRITTEN: &str = "todo!(";

/// Put the exercise of `lesson` back.
pub fn reset(lesson: &Lesson) -> Result<bool> {
    let file = lesson.exercise();
    let handed_out = handed_out(lesson, &file)?;
    let path = lesson.top.join(&file);
    let mut notes = Notes::open(lesson)?;
    match std::fs::read_to_string(&path) {
        Ok(own) if own == handed_out => {
            tell(format!("{} is as it was handed out", file.display()))?;
        }
        own => {
            if let Ok(own) = own {
                let kept = keep(lesson, &own)?;
                tell(format!("kept      {}", kept.display()))?;
            }
            let (folder, name) = (path.parent(), path.file_name());
            let (folder, name) =
                folder.zip(name).ok_or_else(|| Error::input("no path"))?;
            student::write(folder, name, &handed_out)?;
            tell(format!("put back  {}", file.display()))?;
        }
    }
    notes.record = Record::default();
    notes.write(Path::new("/proc"))?;
    Ok(true)
}

/// Keep what the student has written, under a name that is free.
fn keep(lesson: &Lesson, own: &str) -> Result<PathBuf> {
    let folder = progress::folder(&lesson.top);
    let name = |number| format!("{}-exercise-{number}.rs", lesson.name);
    let free = (1..).map(name).find(|name| !folder.join(name).exists());
    let name = free.unwrap_or_default();
    student::write(&folder, &name, own)?;
    let kept = folder.join(name);
    Ok(kept.strip_prefix(&lesson.top).map(Path::to_path_buf).unwrap_or(kept))
}

/// The exercise as the course has it: from the branch that this one follows, else from this
/// one. A student may have committed something, and even pushed it; the course's own is the
/// last version in which something is left to write.
fn handed_out(lesson: &Lesson, file: &Path) -> Result<String> {
    let path = file.to_string_lossy();
    let named = ["@{upstream}", "origin/HEAD", "HEAD"].map(String::from);
    let older = || git(lesson, &["rev-list", "HEAD", "--", &path]).unwrap_or_default();
    let older = std::iter::once_with(older)
        .flat_map(|list| list.lines().map(String::from).collect::<Vec<_>>());
    let versions = named.into_iter().chain(older);
    let mut texts = versions.filter_map(|version| {
        git(lesson, &["show", &format!("{version}:./{path}")]).ok()
    });
    texts.find(|text| text.contains(UNWRITTEN)).ok_or_else(|| {
        let why = git(lesson, &["rev-parse", "HEAD"]).err();
        let why = why.unwrap_or_else(|| "git does not know it".into());
        Error::input(format!("{path} as it was handed out cannot be found: {why}"))
            .hint("lab takes it from the course's git repository: clone that")
    })
}

/// What git prints in the course's folder, or why it does not.
fn git(lesson: &Lesson, args: &[&str]) -> Result<String, String> {
    let mut git = student::command("git");
    git.current_dir(&lesson.top).args(args).stdin(Stdio::null());
    let output = git.output().map_err(|error| format!("git: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr).lines().next().unwrap_or("git fails").into()),
    }
}
