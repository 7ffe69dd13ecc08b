//! How is what nobody uses taken away?
//!
//! Once somebody has said yes; with what is gone, and what that was worth, told.

use std::io::{IsTerminal, Write, stdin, stdout};

use fakedocker::limits::units::in_decimals;
use stage::{Error, Result};

/// Let `take` remove `what`, unless somebody who is not `sure` says no: it returns how many
/// bytes that gave back.
pub fn prune(sure: bool, what: &str, take: impl FnOnce() -> Result<u64>) -> Result<()> {
    let freed = if sure || confirmed(what)? { take()? } else { 0 };
    stage::tell(format!("Total reclaimed space: {}", in_decimals(freed)))
}

/// What is gone, if something is.
pub fn tell_of(title: &str, gone: &[String]) -> Result<()> {
    match gone {
        [] => Ok(()),
        gone => stage::tell(format!("{title}\n{}\n", gone.join("\n"))),
    }
}

/// Whether somebody says yes to removing `what`.
fn confirmed(what: &str) -> Result<bool> {
    let question = format!("This will remove {what}. Are you sure? [y/N] ");
    let asked = stdout().write_all(question.as_bytes()).and_then(|()| stdout().flush());
    asked.map_err(|error| Error::io("standard output", &error))?;
    let mut answer = String::new();
    stdin()
        .read_line(&mut answer)
        .map_err(|error| Error::io("standard input", &error))?;
    if !stdin().is_terminal() {
        stage::tell("")?;
    }
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}
