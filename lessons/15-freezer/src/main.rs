//! Lesson 15, the demonstration: `freezer [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! A process counts as fast as it can. Its group is frozen, and the count stands; it is
//! thawed, and the count goes on where it was.

use std::process::ExitCode;

use cgroup::Group;
use clap::Parser;
use freezer::CONTROLLER;
use stage::{Command, Evidence, Flags, Program, Result, Stage, Verdict};

mod counter;

use counter::Counter;

/// Lesson 15: can time stop for one process?
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    let question = "can time stop for one process?";
    stage::lesson("freezer", question, &args.flags, |stage| {
        for left in cgroup::sweep()? {
            stage.note(&format!("removed what a killed run had left: {left}"));
        }
        play(stage, &args)
    })
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let name = format!("lesson-{}", std::process::id());
    let group = Group::make(stage, &name, &[CONTROLLER])?;
    let counter = Counter::new()?;
    let mut container = stage.fork(|cue| {
        cue.report(Evidence::default())?; // we are put into the group
        let mut other = stage.fork(|_| counter.run())?;
        cue.report(Evidence::default())?; // it is frozen, and thawed
        other.kill()?;
        cue.exec(stage, &Program::from_command(&args.command))
    })?;

    container.evidence()?;
    group.add(stage, container.pid())?;
    container.proceed()?;
    container.evidence()?;
    let before = look(stage, &group, counter.watch()?)?;
    let ice = freezer::freeze(stage, &group)?;
    let at = counter.get()?;
    let frozen = look(stage, &group, counter.watch_shortly()?)?;
    let still = counter.get()?;
    ice.thaw(stage)?;
    let after = look(stage, &group, counter.watch()?)?;
    let status = container.finish()?;
    group.remove(stage)?;

    Ok(Verdict::on("a frozen process stands still, and does not know that it did")
        .equal("the count at first", "runs", &before["the count"])
        .equal("the group, frozen", "FROZEN", &frozen["state"])
        .equal("its count", "stands", &frozen["the count"])
        .equal("the number that it stands at", at, still)
        .equal("the group, thawed", "THAWED", &after["state"])
        .equal("its count", "runs", &after["the count"])
        .status(status))
}

/// What the group says, and what its process does.
fn look(stage: &Stage, group: &Group, count: &str) -> Result<Evidence> {
    let seen = stage.look("group").fact("state", freezer::state(group)?);
    Ok(seen.fact("the count", count).end())
}
