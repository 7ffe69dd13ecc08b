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

fn tell(line: &str) {
    writeln!(io::stderr(), "{line}").expect("it can be told");
}
