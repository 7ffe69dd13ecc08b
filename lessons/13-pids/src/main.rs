//! Lesson 13, the demonstration: `pids [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! A child is put into a group with a limit, and starts processes until the kernel refuses
//! one. At the same moment the host can start as many as ever.

use std::process::ExitCode;

use cgroup::Group;
use clap::Parser;
use pids::CONTROLLER;
use stage::{Command, Evidence, Flags, Program, Result, Stage, Verdict};

mod bomb;
mod crowd;

use crowd::Crowd;

/// Lesson 13: can a fork bomb be harmless?
#[derive(Parser)]
struct Args {
    /// How many processes the group may have
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(3..=1000))]
    limit: u32,
    /// Instead: what does a real fork bomb do in there?
    #[arg(long, conflicts_with = "argv")]
    bomb: bool,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    let question = "can a fork bomb be harmless?";
    stage::lesson("pids", question, &args.flags, |stage| {
        for left in cgroup::sweep()? {
            stage.note(&format!("removed what a killed run had left: {left}"));
        }
        if args.bomb { bomb::play(stage, args.limit) } else { play(stage, &args) }
    })
}

/// A group of ours in which `limit` tasks are allowed.
fn limited(stage: &Stage, limit: u32) -> Result<Group> {
    let name = format!("lesson-{}", std::process::id());
    let group = Group::make(stage, &name, &[CONTROLLER])?;
    pids::limit(stage, &group, limit)?;
    Ok(group)
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let limit = args.limit;
    let group = limited(stage, limit)?;
    let mut container = stage.fork(|cue| {
        cue.report(Evidence::default())?; // we are put into the group
        let mut crowd = Crowd::new()?;
        cue.report(look(stage, "container", &mut crowd, limit)?)?;
        drop(crowd);
        cue.exec(stage, &Program::from_command(&args.command))
    })?;

    container.evidence()?;
    group.add(stage, container.pid())?;
    container.proceed()?;
    let inside = container.evidence()?;
    let mut crowd = Crowd::new()?;
    let outside = look(stage, "host", &mut crowd, limit)?;
    let counted = stage.look("group").fact("tasks", pids::current(&group)?);
    let counted = counted.fact("refusals", pids::refusals(&group)?).end();
    drop(crowd);
    let status = container.finish()?;
    group.remove(stage)?;

    Ok(judge(limit, &inside, &outside, &counted).status(status))
}

fn judge(limit: u32, inside: &Evidence, outside: &Evidence, group: &Evidence) -> Verdict {
    let refusals = group["refusals"].parse().unwrap_or(0);
    let next = limit + 1;
    Verdict::on(format!("with a limit of {limit}, there is no process number {next}"))
        .equal("the processes that it could start", limit - 1, &inside["started"])
        .equal("the next one", "EAGAIN", &inside["next"])
        .equal("what the group counts, itself included", limit, &group["tasks"])
        .holds(
            "how often it has refused",
            "at least once",
            &group["refusals"],
            refusals > 0,
        )
        .equal(
            "the processes that the host could start meanwhile",
            limit,
            &outside["started"],
        )
        .equal("and its next one", "granted", &outside["next"])
}

/// How many processes can be started, up to `most`, and what comes then.
fn look(stage: &Stage, who: &str, crowd: &mut Crowd, most: u32) -> Result<Evidence> {
    let (started, refused) = crowd.grow(stage, most)?;
    let next = refused.map_or("granted".to_string(), |errno| format!("{errno:?}"));
    Ok(stage.look(who).fact("started", started).fact("next", next).end())
}
