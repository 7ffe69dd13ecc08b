//! Who helps with the exercises? `lab`, the course's companion.
//!
//! | file | its question |
//! |---|---|
//! | `check.rs` | does a program do what the lesson asks for? |
//! | `questions.rs` | what is asked, and where is that written? |
//! | `program.rs` | how do we talk to a program that we did not write? |
//! | `witness.rs` | what do we see from outside? |
//! | `lessons.rs` | which lessons are there, and where is the student's own work? |

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, value_parser};
use stage::Result;

mod check;
mod lessons;
#[path = "../common/manual.rs"]
mod manual;
mod program;
mod questions;
mod witness;

/// The course's companion.
#[derive(Parser)]
#[command(name = "lab", version)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Check a program, in any language, against what a lesson asks for
    ///
    /// The program starts a shell that reads standard input, inside what the lesson asks
    /// for. It is asked through that shell, and looked at from outside.
    Check(Check),
    /// Take back what killed lessons and engines have left on this machine
    Clean(Clean),
    #[command(flatten)]
    Manual(manual::Command),
}

#[derive(Args)]
struct Check {
    /// The lesson, such as `uts`
    lesson: String,
    /// Seconds to wait for each answer
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// The program to check [default: the lesson's exercise, which is built first]
    #[arg(last = true, value_name = "PROGRAM")]
    argv: Vec<OsString>,
}

#[derive(Args)]
struct Clean {
    /// Where fakedocker keeps images and containers
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = match Cli::parse().what {
        What::Check(args) => check(args),
        What::Clean(args) => clean(&args),
        What::Manual(args) => args.play(Cli::command(), "").map(|_| true),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => stage::fail(&error),
    }
}

fn check(args: Check) -> Result<bool> {
    let lesson = lessons::find(&args.lesson)?;
    check::check(&lesson, args.argv, Duration::from_secs(args.timeout))
}

/// Says each thing that was taken back; that there was nothing is worth a line, too.
fn clean(args: &Clean) -> Result<bool> {
    let root = args.root.clone().unwrap_or_else(fakedocker::rootless::store_root);
    let done = fakedocker::clean::clean(&root)?;
    for line in &done {
        stage::tell(line)?;
    }
    if done.is_empty() {
        stage::tell("nothing to clean: no killed lesson or engine has left anything")?;
    }
    Ok(true)
}
