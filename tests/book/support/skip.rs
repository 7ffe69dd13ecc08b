//! How does a test say what cannot be tried on this machine?
//!
//! In a line on standard error, past cargo's capture: `scripts/check` collects these lines,
//! and shows them at its end. Nothing is green that was not tried.

use std::fmt::Display;
use std::io::{self, Write};

/// The test `test` (its path and its name) is not played here.
pub fn skip(test: &str, why: impl Display) {
    tell(&format!("skipped: {test}: {why}"));
}

/// A part of what `test` plays is not tried here, the rest is.
pub fn not_tried(test: &str, what: impl Display) {
    tell(&format!("not tried: {test}: {what}"));
}

/// The exit status of what this machine cannot try at all.
pub const UNTRIED: i32 = 77;

/// Whether `what`, a part of `test`, ended with `status` because it cannot be tried here: that
/// is told then, with the reason that it must have `said`.
pub fn is_untried(test: &str, what: &str, status: i32, said: &str) -> bool {
    if status != UNTRIED {
        return false;
    }
    let why = said.lines().find_map(|line| line.split_once("not tried: "));
    let (_, why) = why.unwrap_or_else(|| panic!("{what} does not say why:\n{said}"));
    not_tried(test, format!("{what}: {why}"));
    true
}

fn tell(line: &str) {
    writeln!(io::stderr(), "{line}").expect("it can be told");
}
