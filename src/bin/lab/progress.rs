//! What has the student done so far?
//!
//! A file a lesson in the folder `.lab` at the course's top, which is the student's and not
//! Cargo's to clean. $LAB_FOLDER is another place for it.

use std::env;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use stage::{Error, Result};

use crate::lessons::Lesson;
use crate::student;

/// What is known of one lesson.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Whether any program was ever checked.
    #[serde(default)]
    pub checked: bool,
    /// The exercise as it was when it passed.
    pub passed: Option<String>,
    /// What did not hold at the last check of any program; None if all held.
    pub refuted: Option<Refuted>,
}

/// The first claim that did not hold.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refuted {
    /// What was claimed.
    pub claim: String,
    /// What can be said about it, from what was observed to what is to be written.
    pub hints: Vec<String>,
    /// How many of these the student has seen.
    pub shown: usize,
    /// How many claims held.
    pub held: usize,
    /// How many there were.
    pub claims: usize,
}

impl Refuted {
    /// Nothing is known yet but what was claimed.
    pub fn of(claim: &str) -> Refuted {
        Refuted { claim: claim.to_string(), ..Refuted::default() }
    }

    /// Whether the `other` is the same, seen once more. A program may fall silent for one
    /// reason today and for another tomorrow: what to write is not the same then.
    fn is_as(&self, other: &Refuted) -> bool {
        self.claim == other.claim && self.hints.last() == other.hints.last()
    }
}

/// How far the student is with a lesson.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It was never checked.
    New,
    /// It was, and did not pass.
    Tried,
    /// The exercise passed.
    Done,
    /// It did, and was changed afterwards.
    Changed,
}

impl Record {
    /// How far the student is, with this `exercise`.
    pub fn state(&self, exercise: Option<&str>) -> State {
        match (&self.passed, &self.refuted) {
            (Some(passed), _) if exercise == Some(passed) => State::Done,
            (Some(_), None) => State::Changed,
            (_, Some(_)) => State::Tried,
            (None, None) => State::New,
        }
    }

    /// A program has passed; the student's own, if it was an `exercise`.
    pub fn pass(&mut self, exercise: Option<String>) {
        (self.checked, self.refuted) = (true, None);
        self.passed = exercise.or(self.passed.take());
    }

    /// The student's own `exercise`, if that it was, has failed: what was refuted.
    pub fn refute(&mut self, exercise: Option<&str>, mut refuted: Refuted) {
        // Who fails at the same place again wants to know more, not the same.
        let before = self.refuted.take().filter(|before| before.is_as(&refuted));
        let seen = before.map_or(1, |before| before.shown.max(1));
        refuted.shown = seen.min(refuted.hints.len());
        (self.checked, self.refuted) = (true, Some(refuted));
        if self.passed.is_some() && self.passed.as_deref() == exercise {
            self.passed = None;
        }
    }

    /// The student has seen `grade` hints.
    pub fn show(&mut self, grade: usize) {
        self.refuted.iter_mut().for_each(|refuted| refuted.shown = grade);
    }
}

/// Where the notes of all lessons are.
pub fn folder(top: &Path) -> PathBuf {
    env::var_os("LAB_FOLDER").map_or_else(|| top.join(".lab"), PathBuf::from)
}

/// What is known of `lesson`.
pub fn read(lesson: &Lesson) -> Result<Record> {
    let path = folder(&lesson.top).join(file(lesson));
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Record::default()),
        text => text.map_err(|error| Error::io(path.display(), &error))?,
    };
    serde_json::from_str(&text).map_err(|error| {
        Error::input(format!("{} is damaged: {error}", path.display()))
            .hint("remove it: then the lesson counts as new")
    })
}

fn file(lesson: &Lesson) -> String {
    format!("{}.json", lesson.name)
}

/// The notes of one lesson, open: they can be written wherever the student's program has moved
/// or covered folders meanwhile.
pub struct Notes {
    folder: File,
    file: String,
    /// What was known when they were opened.
    pub record: Record,
}

impl Notes {
    /// Of `lesson`.
    pub fn open(lesson: &Lesson) -> Result<Notes> {
        let record = read(lesson)?;
        let folder = student::make_folder(&folder(&lesson.top))?;
        Ok(Notes { folder, file: file(lesson), record })
    }

    /// Write them; `proc` is where our /proc is.
    pub fn write(&self, proc: &Path) -> Result<()> {
        let folder = proc.join(format!("self/fd/{}", self.folder.as_raw_fd()));
        let text = serde_json::to_string_pretty(&self.record).map_err(Error::input)?;
        let written = student::write(&folder, &self.file, &format!("{text}\n"));
        written.map_err(|error| error.within("the progress is not kept"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuted(claim: &str) -> Refuted {
        let hints = ["one", "two", "three"].map(String::from).to_vec();
        Refuted { claim: claim.into(), hints, shown: 0, held: 1, claims: 6 }
    }

    #[test]
    fn a_lesson_is_done_by_the_exercise_that_passed() {
        let mut record = Record::default();
        assert_eq!(record.state(Some("v1")), State::New);
        record.refute(Some("v1"), refuted("a name"));
        assert_eq!(record.state(Some("v1")), State::Tried);
        record.pass(Some("v2".into()));
        assert_eq!(record.state(Some("v2")), State::Done);
        assert_eq!(record.state(Some("v3")), State::Changed);
        record.refute(Some("v3"), refuted("a name"));
        assert_eq!(record.state(Some("v3")), State::Tried);
        assert_eq!(record.state(Some("v2")), State::Done);
        // A program of another name says nothing about the exercise.
        record.refute(None, refuted("a name"));
        assert_eq!(record.state(Some("v2")), State::Done);
        record.refute(Some("v2"), refuted("a name"));
        assert_eq!(record.state(Some("v2")), State::Tried);
    }

    #[test]
    fn hints_go_on_where_the_student_was() {
        let shown = |record: &Record| record.refuted.as_ref().unwrap().shown;
        let mut record = Record::default();
        record.refute(None, refuted("a name"));
        assert_eq!(shown(&record), 1);
        record.show(3);
        record.refute(None, refuted("a name"));
        assert_eq!(shown(&record), 3);
        record.refute(None, refuted("another"));
        assert_eq!(shown(&record), 1);
        // The same claim, and another reason.
        record.show(3);
        let mut other = refuted("another");
        other.hints[2] = "four".into();
        record.refute(None, other);
        assert_eq!(shown(&record), 1);
    }
}
