//! Who helps with the exercises? `lab`, the course's companion.
//!
//! | file | its question |
//! |---|---|
//! | `list.rs` | where does the student stand, and what is next? |
//! | `all.rs` | which lessons hold, one after the other? |
//! | `check.rs` | does a program do what the lesson asks for? |
//! | `questions.rs` | what is asked, and where is that written? |
//! | `program.rs` | how do we talk to a program that we did not write? |
//! | `silence.rs` | why does a program not answer? |
//! | `witness.rs` | what do we see from outside? |
//! | `hints.rs` | what helps with a claim that does not hold? |
//! | `doctor.rs` | will the lessons run on this machine? |
//! | `needs.rs` | what of the machine does a lesson need? |
//! | `watch.rs` | how does the student hear at once whether it is right? |
//! | `reset.rs` | how does a student begin again? |
//! | `lessons.rs` | which lessons are there, and where is the student's own work? |
//! | `exercise.rs` | how does what the student has written become a program? |
//! | `progress.rs` | what has the student done so far? |
//! | `student.rs` | who is the student? |

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser, Subcommand, value_parser};
use fakedocker::sys;
use stage::Result;

mod all;
mod check;
mod doctor;
mod exercise;
mod hints;
mod lessons;
mod list;
#[path = "../common/manual.rs"]
mod manual;
mod needs;
mod program;
mod progress;
mod questions;
mod reset;
mod silence;
mod student;
mod watch;
mod witness;

use check::Subject;
use exercise::Kind;

/// The course's companion: without a command, where you stand and what is next
#[derive(Parser)]
#[command(name = "lab", version, after_help = PROGRESS)]
struct Cli {
    #[command(subcommand)]
    what: Option<What>,
}

const STATUS: &str = "\
The exit status is 0 if all claims hold, 1 if one does not, 77 if this machine lacks what the
lesson needs, and 125 if there was nothing to check.";

const PROGRESS: &str = "\
What you have done is kept in the folder .lab at the course's top, or in $LAB_FOLDER.";

#[derive(Subcommand)]
enum What {
    /// Check a program, in any language, against what a lesson asks for
    ///
    /// The program starts a shell that reads standard input, inside what the lesson asks
    /// for. It is asked through that shell, and looked at from outside.
    #[command(after_long_help = STATUS)]
    Check(Check),
    /// Check an exercise again whenever it is saved
    Watch {
        /// The lesson, such as `uts`
        lesson: String,
        #[command(flatten)]
        patience: Patience,
    },
    /// Help with the first claim that did not hold: each time a little more
    Hint(Hint),
    /// Print one way to do it
    Solution(Solution),
    /// Put an exercise back as it was handed out, and keep what you have written
    Reset {
        /// The lesson, such as `uts`
        lesson: String,
    },
    /// See whether this machine has what the lessons need, and how to get what it lacks
    Doctor {
        /// As JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Take back what killed lessons and engines have left on this machine
    Clean(Clean),
    #[command(flatten)]
    Manual(manual::Command),
}

#[derive(Args)]
struct Check {
    /// The lesson, such as `uts`
    #[arg(required_unless_present = "all")]
    lesson: Option<String>,
    /// All lessons, a line each
    #[arg(long, conflicts_with_all = ["lesson", "argv"])]
    all: bool,
    /// The solution, not the exercise
    #[arg(long, alias = "solutions", conflicts_with = "argv")]
    solution: bool,
    #[command(flatten)]
    patience: Patience,
    /// The program to check [default: the lesson's exercise, which is built first]
    #[arg(last = true, value_name = "PROGRAM")]
    argv: Vec<OsString>,
}

#[derive(Args)]
struct Patience {
    /// Seconds to wait for each answer
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

impl Patience {
    fn time(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

#[derive(Args)]
struct Hint {
    /// The lesson, such as `uts`
    lesson: String,
    /// 1: what was observed; 2: why that is; 3: what to write [default: the next one]
    #[arg(long, value_parser = value_parser!(u8).range(1..=3))]
    grade: Option<u8>,
}

#[derive(Args)]
struct Solution {
    /// The lesson, such as `uts`
    lesson: String,
    /// Also when you have not tried it
    #[arg(long)]
    anyway: bool,
}

#[derive(Args)]
struct Clean {
    /// Where fakedocker keeps images and containers
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Only say what would be taken back
    #[arg(long)]
    dry_run: bool,
}

fn main() -> ExitCode {
    let done = stage::arguments::<Cli>().what.map_or_else(list::list, play);
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => stage::fail(&error),
    }
}

fn play(what: What) -> Result<bool> {
    match what {
        What::Check(args) => check(args),
        What::Watch { lesson, patience } => {
            watch::watch(&lessons::find(&lesson)?, patience.time())
        }
        What::Hint(args) => {
            hints::hint(&lessons::find(&args.lesson)?, args.grade.map(usize::from))
        }
        What::Solution(args) => {
            hints::solution(&lessons::find(&args.lesson)?, args.anyway)
        }
        What::Reset { lesson } => reset::reset(&lessons::find(&lesson)?),
        What::Doctor { json } => doctor::doctor(json),
        What::Clean(args) => clean(&args),
        What::Manual(args) => args.play(Cli::command(), "").map(|_| true),
    }
}

fn check(args: Check) -> Result<bool> {
    let patience = args.patience.time();
    let kind = if args.solution { Kind::Solution } else { Kind::Exercise };
    let Some(lesson) = args.lesson else { return all::all(kind, patience) };
    let subject = match args.argv.is_empty() {
        true => Subject::Ours(kind),
        false => Subject::Program(args.argv),
    };
    check::check(&lessons::find(&lesson)?, subject, patience)
}

/// Says each thing that was taken back; that there was nothing is worth a line, too.
fn clean(args: &Clean) -> Result<bool> {
    let root = args.root.clone().unwrap_or_else(fakedocker::rootless::store_root);
    let done = match args.dry_run {
        true => fakedocker::clean::left(&root)?,
        false => fakedocker::clean::clean(&root)?,
    };
    if args.dry_run && !done.is_empty() {
        stage::tell("this would be taken back:")?;
    }
    for line in &done {
        stage::tell(line)?;
    }
    if !done.is_empty() {
        return Ok(true);
    }
    if !sys::is_root() {
        let by_root = format!("sudo {} clean", student::lab());
        stage::tell(format!(
            "nothing of yours to clean; for what ran as root: {by_root}"
        ))?;
        return Ok(true);
    }
    stage::tell("nothing to clean: no killed lesson or engine has left anything")?;
    Ok(true)
}
