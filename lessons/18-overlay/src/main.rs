//! Lesson 18, the demonstration: `overlay [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! Two lower layers, an upper, and what becomes of each when somebody writes, deletes and
//! replaces in the merged view. `--page-cache` and `--copy-up` look at what sharing saves
//! and what the first write costs.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use stage::{Command, Error, Flags, Program, Result, Stage, Verdict};

mod copy_up;
mod page_cache;
mod rules;

/// Lesson 18: where do a container's writes go?
#[derive(Parser)]
struct Args {
    /// Instead: do two containers keep one file in memory twice?
    #[arg(long, conflicts_with_all = ["copy_up", "argv"])]
    page_cache: bool,
    /// Instead: what does the first write to a big file cost?
    #[arg(long, conflicts_with = "argv")]
    copy_up: bool,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    let lesson = |question, act: &dyn Fn(&Stage) -> Result<Verdict>| {
        stage::lesson("overlay", question, &args.flags, act)
    };
    if args.page_cache {
        lesson("do two containers keep one file in memory twice?", &page_cache::play)
    } else if args.copy_up {
        lesson("what does the first write to a big file cost?", &copy_up::play)
    } else {
        lesson("where do a container's writes go?", &|stage| play(stage, &args))
    }
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let mut container = stage.fork(|cue| {
        sandbox(stage)?;
        let layers = rules::lay(stage)?;
        overlay::stack(stage, &layers, Path::new(rules::MERGED))?;
        cue.report(rules::look(stage)?)?;
        rules::change(stage)?;
        cue.report(rules::look(stage)?)?;
        cue.exec(stage, &Program::from_command(&args.command))
    })?;
    let before = container.evidence()?;
    container.proceed()?;
    let after = container.evidence()?;
    let status = container.finish()?;
    Ok(rules::judge(&before, &after).status(status))
}

/// A tmpfs over /tmp that only we can see: it ends with us, whatever happens.
fn sandbox(stage: &Stage) -> Result<()> {
    mount::isolate(stage)?;
    mount::tmpfs(stage, Path::new("/tmp"))?;
    std::env::set_current_dir("/tmp").map_err(|error| Error::io("/tmp", &error))
}
