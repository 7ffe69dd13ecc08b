//! How does the student hear at once whether it is right?
//!
//! The kernel tells when the exercise has been saved, whether the editor writes the file or
//! renames another one over it. Then it is checked as by `lab check`.

use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fakedocker::{sys, sys::stop, sys::watch::Watch};
use stage::{Error, Result, Stage, tell};

use crate::lessons::Lesson;

/// Which version of a file this is: the file's number, and its last change.
type Version = (u64, i64, i64);

/// Check the exercise now and whenever it is saved, until somebody ends it.
pub fn watch(lesson: &Lesson, patience: Duration) -> Result<bool> {
    if !sys::is_root() {
        let error = Error::input("checks look at other processes from outside, as root");
        return Err(error.hint("run it with sudo"));
    }
    let path = lesson.top.join(lesson.exercise());
    let stage = Stage::of_engine(false)?;
    let watch = Watch::on_whole_files(path.parent().unwrap_or(Path::new("/")))?;
    let mut checked = None;
    while !stage.is_asked_to_stop() {
        // While an editor renames, there may be none.
        if let Some(version) = version(&path).filter(|it| checked != Some(*it)) {
            checked = Some(version);
            check(lesson, patience)?;
            if stage.is_asked_to_stop() {
                break;
            }
            tell(format!(
                "\n… until {} is saved; Ctrl-C ends it\n",
                lesson.exercise().display()
            ))?;
        }
        // What was saved meanwhile is told at once. Before that, half of it may be there.
        watch.wait_or(stage.signals())?;
    }
    // A terminal has written ^C, and the shell's prompt would stand behind it.
    if io::stdout().is_terminal() {
        tell("")?;
    }
    Ok(true)
}

/// By a program of its own: a check does not come back from where it goes.
fn check(lesson: &Lesson, patience: Duration) -> Result<()> {
    let mut ourselves = Command::new("/proc/self/exe");
    ourselves.args(["check", &lesson.name, "--timeout", &patience.as_secs().to_string()]);
    // It tidies up by itself when Ctrl-C is pressed; that takes a moment, which we wait.
    let status = stop::hears_all(ourselves.current_dir(&lesson.top)).status();
    status.map(drop).map_err(|error| Error::io("/proc/self/exe", &error))
}

fn version(path: &Path) -> Option<Version> {
    let file = fs::metadata(path).ok()?;
    Some((file.ino(), file.mtime(), file.mtime_nsec()))
}
