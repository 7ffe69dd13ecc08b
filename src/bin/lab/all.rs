//! Which lessons hold, one after the other?
//!
//! Each is checked by a program of its own, ourselves: a check moves into a stand-in for the
//! machine, and does not come back.

use std::fmt::{self, Display};
use std::process::{Command, Output};
use std::time::Duration;

use fakedocker::{sys, sys::stop};
use stage::{Error, Result, Stage, UNTRIED, tell};

use crate::exercise::Kind;
use crate::lessons::{self, Lesson};

/// What came of a lesson.
enum Outcome {
    /// All claims hold: in words.
    Passes(String),
    /// Not all do, or it could not be checked: in words.
    Fails(String),
    /// This machine lacks what it needs.
    Untried(String),
}

/// Check all lessons, a line each. True if no one fails.
pub fn all(kind: Kind, patience: Duration) -> Result<bool> {
    if !sys::is_root() {
        let error = Error::input("checks look at other processes from outside, as root");
        return Err(error.hint("run it with sudo"));
    }
    // Who presses Ctrl-C ends the check at hand; we wait until that has tidied up.
    let stage = Stage::of_engine(false)?;
    let mut counts = [0; 3];
    for lesson in lessons::all()? {
        let outcome = check(&lesson, kind, patience)?;
        if stage.is_asked_to_stop() {
            return Err(Error::input("interrupted").status(130));
        }
        counts[outcome.place()] += 1;
        tell(format!(
            "{outcome:>1} {:>2}  {:<11} {}",
            lesson.number.trim_start_matches('0'),
            lesson.name,
            outcome.words()
        ))?;
    }
    tell(format!("\n{}", summary(counts)))?;
    Ok(counts[1] == 0)
}

fn check(lesson: &Lesson, kind: Kind, patience: Duration) -> Result<Outcome> {
    let mut ourselves = Command::new("/proc/self/exe");
    ourselves.args(["check", &lesson.name, "--timeout", &patience.as_secs().to_string()]);
    if kind == Kind::Solution {
        ourselves.arg("--solution");
    }
    let output = stop::hears_all(ourselves.current_dir(&lesson.top)).output();
    let output = output.map_err(|error| Error::io("/proc/self/exe", &error))?;
    Ok(Outcome::of(&output))
}

impl Outcome {
    fn of(output: &Output) -> Outcome {
        let [said, complained] =
            [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
        let verdict = said.lines().last().and_then(|line| line.split_once(": "));
        let verdict = verdict.map_or("", |(_, verdict)| verdict);
        if output.status.success() {
            return Outcome::Passes(verdict.into());
        }
        let refuted = said.lines().find_map(|line| line.strip_prefix("✗ "));
        // Cargo may have had something to say before us.
        let error = complained.lines().rfind(|line| line.starts_with("error: "));
        match (output.status.code(), refuted, error) {
            (Some(1), Some(claim), _) => {
                Outcome::Fails(format!("{verdict}; the first that does not: {claim}"))
            }
            (Some(status), _, Some(error)) if status == i32::from(UNTRIED) => {
                Outcome::Untried(error.trim_start_matches("error: ").into())
            }
            (_, _, Some(error)) => Outcome::Fails(error.into()),
            _ => Outcome::Fails(format!("it could not be checked: {}", output.status)),
        }
    }

    fn place(&self) -> usize {
        match self {
            Outcome::Passes(_) => 0,
            Outcome::Fails(_) => 1,
            Outcome::Untried(_) => 2,
        }
    }

    fn words(&self) -> &str {
        match self {
            Outcome::Passes(words) | Outcome::Fails(words) | Outcome::Untried(words) => {
                words
            }
        }
    }
}

impl Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(["✓", "✗", "○"][self.place()])
    }
}

fn summary([passes, fails, untried]: [usize; 3]) -> String {
    let total = passes + fails + untried;
    let mut parts = vec![format!("{passes} of {total} lessons pass")];
    if fails > 0 {
        parts.push(format!("{fails} {}", if fails == 1 { "does not" } else { "do not" }));
    }
    if untried > 0 {
        let were = if untried == 1 { "was" } else { "were" };
        parts.push(format!("{untried} {were} not tried"));
    }
    parts.join(", ")
}
