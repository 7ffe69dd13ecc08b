//! What is asked, and where is that written?
//!
//! In each lesson's check.toml, so that a lesson can be added without touching Rust:
//!
//! ```toml
//! question = "can two hostnames live on one machine?"
//! # Optional: what of the machine it needs, by the topics and names that `lab doctor` prints.
//! needs = ["namespaces uts"]
//! # Optional: shell commands that prepare the host, in the empty folder $LAB.
//! setup = "mkdir lower upper"
//!
//! [[check]]
//! claim = "the shell's UTS namespace is not the host's"
//! outside = "readlink $PID/ns/uts"
//! host = "different"
//! hint = "the shell is in {seen}, and so is the host: ..."
//! # Optional: why that is, and what to write. `lab hint` tells them one after the other.
//! explain = "A process stays in its parent's namespaces until it leaves them: ..."
//! code = "unshare(CloneFlags::CLONE_NEWUTS)?;"
//!
//! # For the tests only: with this call left out of the solution, that claim is the first
//! # that does not hold, and its hint is given (or `hint = "..."`, where lab itself has
//! # something to say). `when = "2"` leaves out the second call only (strace(1), inject);
//! # `result = "41"` returns that instead of 0, and with `follow = false` the program's
//! # children are left alone. `on = "cpu v1"`: only where that controller is on version 1.
//! [[sabotage]]
//! call = "unshare"
//! caught_by = "the shell's UTS namespace is not the host's"
//! ```
//!
//! A check is one shell command and one expectation. The command's place is one of
//!
//! - `inside`: typed into the student's shell;
//! - `outside`: run on the host while the student's shell waits. It runs in /proc, where
//!   `$PID` is that shell's folder;
//! - `after`: run on the host when the student's program has ended.
//!
//! and what it prints, errors included and trimmed, is expected to be
//!
//! - `is = "TEXT"`: exactly this;
//! - `has = "TEXT"` or `lacks = "TEXT"`: something with, or without, this in it;
//! - `host = "same"` or `"different"`: compared with what the same command printed on the
//!   host before the program started (with lab's own process as `$PID`).
//!
//! In `hint`, `explain` and `code`, `{seen}` is what was printed and `{host}` is what the host
//! had printed.

use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use stage::{Error, Result};

/// All that a lesson's check.toml says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Questions {
    /// The lesson's question.
    pub question: String,
    /// What of the machine it needs, besides a kernel that is new enough.
    #[serde(default)]
    pub needs: Vec<String>,
    /// What prepares the host.
    pub setup: Option<String>,
    /// What is claimed and how it is checked, in this order.
    pub check: Vec<Check>,
    #[serde(default, rename = "sabotage")]
    _for_the_tests: IgnoredAny,
}

/// One claim, and the observation that proves or refutes it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct Check {
    /// What holds if the program does what the lesson asks for.
    pub claim: String,
    /// Where the command runs.
    pub place: Place,
    /// The shell command that observes it.
    pub command: String,
    /// What the command is expected to print.
    pub expected: Expected,
    /// What to say when it prints something else: what was seen, then why that is, then what
    /// to write, as far as somebody has written them down.
    hints: Vec<String>,
}

/// Where a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the student's shell.
    Inside,
    /// On the host, while the student's shell waits.
    Outside,
    /// On the host, when the student's program has ended.
    After,
}

/// What a command is expected to print.
#[derive(Debug, PartialEq, Eq)]
pub enum Expected {
    /// Exactly this.
    Is(String),
    /// Something with this in it.
    Has(String),
    /// Something without this in it.
    Lacks(String),
    /// What it printed on the host before, or anything but that.
    Host(Likeness),
}

/// How an observation relates to the one before, on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Likeness {
    /// Nothing is different.
    Same,
    /// Something is.
    Different,
}

/// A check as it is written down: too much and too little are still possible.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    claim: String,
    inside: Option<String>,
    outside: Option<String>,
    after: Option<String>,
    is: Option<String>,
    has: Option<String>,
    lacks: Option<String>,
    host: Option<Likeness>,
    hint: String,
    explain: Option<String>,
    code: Option<String>,
}

impl TryFrom<Written> for Check {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Check, &'static str> {
        let at = |place| move |command| (place, command);
        let places = [
            written.inside.map(at(Place::Inside)),
            written.outside.map(at(Place::Outside)),
            written.after.map(at(Place::After)),
        ];
        let expectations = [
            written.is.map(Expected::Is),
            written.has.map(Expected::Has),
            written.lacks.map(Expected::Lacks),
            written.host.map(Expected::Host),
        ];
        let (place, command) = only_one(places)
            .ok_or("a check has one command: `inside`, `outside` or `after`")?;
        let expected = only_one(expectations)
            .ok_or("a check has one expectation: `is`, `has`, `lacks` or `host`")?;
        let hints = [Some(written.hint), written.explain, written.code];
        let hints = hints.into_iter().flatten().collect();
        Ok(Check { claim: written.claim, place, command, expected, hints })
    }
}

fn only_one<T>(choices: impl IntoIterator<Item = Option<T>>) -> Option<T> {
    let mut chosen = choices.into_iter().flatten();
    chosen.next().filter(|_| chosen.next().is_none())
}

impl Questions {
    /// Read a check.toml.
    pub fn read(file: &Path) -> Result<Questions> {
        let text = std::fs::read_to_string(file);
        let text = text.map_err(|error| Error::io(file.display(), &error))?;
        Questions::parse(&text).map_err(|(line, what)| {
            Error::input(format!("{}:{line}: {what}", file.display()))
                .hint("its format is described in src/bin/lab/questions.rs")
        })
    }

    /// What `text` says, or the number of the line that is wrong and what is wrong with it.
    fn parse(text: &str) -> Result<Questions, (usize, String)> {
        toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = 1 + before.unwrap_or_default().matches('\n').count();
            (line, error.message().lines().collect::<Vec<_>>().join(" "))
        })
    }
}

impl Check {
    /// Whether the check needs to know what the host had before.
    pub fn compares(&self) -> bool {
        matches!(self.expected, Expected::Host(_))
    }

    /// Whether `seen` is what was expected; `before` is what the host had.
    pub fn holds(&self, seen: &str, before: &str) -> bool {
        match &self.expected {
            Expected::Is(text) => seen == text,
            Expected::Has(text) => seen.contains(text.as_str()),
            Expected::Lacks(text) => !seen.contains(text.as_str()),
            Expected::Host(Likeness::Same) => seen == before,
            // Nothing seen is no proof that something else is there.
            Expected::Host(Likeness::Different) => !seen.is_empty() && seen != before,
        }
    }

    /// What to tell a student whose program made us see `seen`: first in one line, then more
    /// and more of it.
    pub fn advice(&self, seen: &str, before: &str) -> Vec<String> {
        let (seen, host) = (brief(seen), brief(before));
        let fill = |text: &String| text.replace("{seen}", &seen).replace("{host}", &host);
        self.hints.iter().map(fill).map(|hint| hint.trim().to_string()).collect()
    }
}

/// An observation as it can stand in a sentence.
fn brief(text: &str) -> String {
    const ENOUGH: usize = 160;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(ENOUGH) {
        Some((end, _)) => format!("`{}...`", &line[..end]),
        None if line.is_empty() => "nothing".to_string(),
        None => format!("`{line}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "question = 'why?'\n\n[[check]]\nclaim = 'a name'\n\
        inside = 'uname -n'\nis = 'container'\nhint = 'the name is {seen}'\n";

    #[test]
    fn a_check_is_read_and_can_fail() {
        let questions = Questions::parse(GOOD).unwrap();
        let check = &questions.check[0];
        assert_eq!(check.place, Place::Inside);
        assert!(check.holds("container", ""));
        assert!(!check.holds("vm", ""));
        assert_eq!(check.advice("vm", ""), ["the name is `vm`"]);
        assert_eq!(check.advice("", ""), ["the name is nothing"]);
    }

    #[test]
    fn a_hint_has_up_to_three_grades() {
        let more = "explain = 'it is not {seen}'\ncode = 'sethostname(2)'\n";
        let questions = Questions::parse(&format!("{GOOD}{more}")).unwrap();
        let advice = questions.check[0].advice("vm", "");
        assert_eq!(advice, ["the name is `vm`", "it is not `vm`", "sethostname(2)"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let broken = [
            ("why?'", "why?", 1, "string"),
            ("claim", "clam", 4, "clam"),
            ("inside = 'uname -n'\n", "", 3, "one command"),
            ("is =", "after = ':'\nis =", 3, "one command"),
            ("is = 'container'", "host = 'other'", 6, "other"),
            ("hint = 'the name is {seen}'", "", 3, "hint"),
            ("[[check]]", "[check]", 3, "sequence"),
        ];
        for (good, bad, line, word) in broken {
            let error = Questions::parse(&GOOD.replacen(good, bad, 1)).unwrap_err();
            assert_eq!(error.0, line, "{bad}: {error:?}");
            assert!(error.1.contains(word), "{bad}: {error:?}");
        }
    }

    #[test]
    fn nothing_is_not_different_from_the_host() {
        let text = GOOD.replace("is = 'container'", "host = 'different'");
        let check = &Questions::parse(&text).unwrap().check[0];
        assert!(check.holds("uts:[2]", "uts:[1]"));
        assert!(!check.holds("uts:[1]", "uts:[1]"));
        assert!(!check.holds("", "uts:[1]"));
    }
}
