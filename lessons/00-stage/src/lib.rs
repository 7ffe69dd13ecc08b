//! How does every lesson speak, prove, fail and clean up?
//!
//! The stage on which all lessons play. A student can leave it for later: it is enough to
//! know [`Stage::ask`] (ask the kernel, and say so), [`Stage::look`] (see, and show it),
//! [`Stage::fork`] (a second process plays a part) and [`Verdict`] (what that proves).
//!
//! | file | its question |
//! |---|---|
//! | `narrate.rs` | how does a program say what it does, while it does it? |
//! | `colour.rs` | which colour has which part of a line? |
//! | `evidence.rs` | when is a claim proved? |
//! | `child.rs` | how does a second process play its part, and how do we wait for it? |
//! | `exec.rs` | how does a process become another program? |
//! | `signals.rs` | what happens when somebody presses Ctrl-C? |
//! | `terminal.rs` | who may read from the terminal? |
//! | `streams.rs` | where does a program speak whose standard output becomes another's? |
//! | `live.rs` | how is something shown while it changes? |
//! | `table.rs` | how are amounts compared at a glance? |
//! | `ledger.rs` | how is taken back what does not die with its process? |
//! | `step.rs` | how does `--step` wait for the person in front of it? |
//! | `error.rs` | what does a failure tell the person in front of it? |
//! | `proc.rs` | what does the kernel say about a process? |
//! | `output.rs` | what did another program say? |
//! | `flags.rs` | which flags do all lessons share, and what is said of one that is none? |
//! | `wire.rs` | how does a child tell its parent what it saw? |
//! | `json.rs` | what does `--json` print? |

use std::process::ExitCode;

mod child;
mod colour;
mod error;
mod evidence;
mod exec;
mod flags;
mod json;
pub mod ledger;
mod live;
mod narrate;
mod output;
pub mod proc;
mod signals;
mod step;
mod streams;
mod table;
mod terminal;
mod wire;

pub use child::{Child, Cue};
pub use colour::{Ink, pieces};
pub use error::{APPARMOR, Error, FAILED, Result};
pub use evidence::{Check, Evidence, Verdict};
pub use exec::Program;
pub use flags::{Command, Flags, arguments, misunderstood};
pub use ledger::Ledger;
pub use live::Live;
pub use narrate::{Answer, Look, Stage, descriptor};
pub use nix::unistd::Pid;
pub use output::output_of;
pub use table::Row;
pub use terminal::quietly;

/// The exit status of a test that was skipped, as GNU Automake has it.
pub const UNTRIED: u8 = 77;

/// Play a lesson: the title, the demonstration, the verdict, and the exit status.
///
/// The status is COMMAND's when the claim is proved, 1 when it is not, 77 when this machine
/// cannot try it, and 125 (or the error's own) when the demonstration could not be played.
pub fn lesson(
    name: &str,
    question: &str,
    flags: &Flags,
    play: impl FnOnce(&Stage) -> Result<Verdict>,
) -> ExitCode {
    error::we_play(name);
    let played = Stage::of_lesson(flags).and_then(|stage| {
        stage.title(name, question);
        stage.gap();
        let verdict = play(&stage)?;
        stage.verdict(&verdict);
        stage.is_heard()?;
        Ok(verdict)
    });
    match played {
        Ok(verdict) if verdict.proved() => verdict.status.into(),
        Ok(verdict) if verdict.untried() => UNTRIED.into(),
        Ok(_) => ExitCode::FAILURE,
        Err(error) => fail(&error),
    }
}

/// Tell `error` on standard error, in one line and a hint; the exit status is the error's.
pub fn fail(error: &Error) -> ExitCode {
    if !error.is_closed_pipe() {
        narrate::complain("error", error);
        if let Some(hint) = error.advice() {
            narrate::complain("hint", hint);
        }
    }
    error.exit_status().into()
}

/// Tell on standard error that something is not as it could be, and that we go on.
pub fn warn(text: impl std::fmt::Display) {
    narrate::complain("warning", text);
}

/// A line on standard error that is no complaint: standard output is somebody else's.
pub fn remark(text: impl std::fmt::Display) {
    narrate::remark(text);
}

/// A line on standard output, for programs that are no lesson. Fails when nobody reads.
pub fn tell(text: impl std::fmt::Display) -> Result<()> {
    narrate::say(text)
}
