//! Which flags do all lessons share?

use std::ffi::OsString;

use clap::Args;

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
