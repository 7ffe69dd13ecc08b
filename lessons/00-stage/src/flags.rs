//! Which flags do all lessons share, and what is said of one that is none?

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser};

use crate::{Error, fail};

/// What a program says with that has not understood its command line, as clap's own do.
const USAGE: u8 = 2;

/// How a lesson tells its story.
#[derive(Args, Debug, Clone, Default)]
pub struct Flags {
    /// Wait for Enter before each request to the kernel (on a terminal)
    #[arg(long)]
    pub step: bool,
    /// Show the evidence and the verdict only
    #[arg(long, short, conflicts_with = "step")]
    pub quiet: bool,
    /// Print one JSON object a line; COMMAND's output goes to standard error
    #[arg(long, conflicts_with_all = ["step", "quiet"])]
    pub json: bool,
}

/// What runs in the container.
#[derive(Args, Debug, Clone, Default)]
pub struct Command {
    /// The program to run in the container [default: a shell that reads standard input]
    #[arg(last = true, value_name = "COMMAND")]
    pub argv: Vec<OsString>,
}

/// The command line. What is wrong with it is told in one line, and ends us.
pub fn arguments<T: Parser>() -> T {
    T::try_parse().unwrap_or_else(|error| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => error.exit(),
        _ => {
            fail(&misunderstood::<T>(&error));
            process::exit(USAGE.into())
        }
    })
}

/// The same that clap has to say of a command line, as an error of ours.
pub fn misunderstood<T: CommandFactory>(error: &clap::Error) -> Error {
    let text = error.to_string();
    let what = text.split("\n\n").next().unwrap_or_default();
    let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
    let what = what.strip_prefix("error: ").unwrap_or("no command given");
    let mut tips = text.lines().filter_map(|line| line.trim().strip_prefix("tip: "));
    // There are others, on how it could be meant literally.
    let tip = tips.find(|tip| tip.contains("similar")).map(String::from);
    Error::input(what).hint(tip.unwrap_or_else(see_help::<T>))
}

fn see_help<T: CommandFactory>() -> String {
    let program = T::command();
    let known = |word: &String| program.find_subcommand(word).is_some();
    let command = std::env::args().nth(1).filter(known);
    let command = command.map_or_else(String::new, |word| format!(" {word}"));
    // A package may be called otherwise: clap knows that name only.
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let name = called.file_name().unwrap_or(OsStr::new(program.get_name()));
    format!("see {}{command} --help", name.display())
}
