//! Lesson 11, the demonstration: `cpuset [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! A child chooses one core for itself, and has a child that keeps it busy. Then their group is
//! bound to another core: both are moved, and cannot go back. COMMAND runs there, too.

use std::process::ExitCode;

use cgroup::Group;
use cgroup_cpu::{cores, pin};
use clap::Parser;
use stage::{Command, Cue, Evidence, Flags, Program, Result, Stage, Verdict};

mod watch;

use watch::watch;

/// Lesson 11: which core am I on?
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    stage::lesson("cpuset", "which core am I on?", &args.flags, |stage| {
        for left in cgroup::sweep()? {
            stage.note(&format!("removed what a killed run had left: {left}"));
        }
        play(stage, &args)
    })
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let claim = "who is in a cpuset runs there, whatever it wants";
    let cores = cores()?;
    let [chosen, .., bound] = cores[..] else {
        return Ok(Verdict::on(claim).skip("to be moved", "there is one core only"));
    };
    let name = format!("lesson-{}", std::process::id());
    let group = Group::make(stage, &name, &["cpuset"])?;
    let before = look_outside(stage)?;
    let mut container = stage.fork(|cue| live(stage, cue, chosen, &args.command))?;

    container.evidence()?;
    group.add(stage, container.pid())?;
    container.proceed()?;
    let free = container.evidence()?;
    let wanted = watch(stage, &mut container, &free["loop"], [chosen, bound])?;
    cpuset::bind(stage, &group, &bound.to_string())?;
    let forced = watch(stage, &mut container, &free["loop"], [chosen, bound])?;
    container.proceed()?;
    let moved = container.evidence()?;
    let after = look_outside(stage)?;
    let status = container.finish()?;
    group.remove(stage)?;

    Ok(Verdict::on(claim)
        .equal("the core that it chose", chosen, &free["processor"])
        .equal("where its loop ran", chosen, &wanted["seen on"])
        .equal("where it ran when the group was bound", bound, &forced["seen on"])
        .equal("where the container itself was moved to", bound, &moved["processor"])
        .equal("the cores that it may use", bound, &moved["allowed"])
        .equal("to go back", "EINVAL", &moved["going back"])
        .equal("the cores that we may use", &before["allowed"], &after["allowed"])
        .status(status))
}

/// The container: chooses, has a busy child, is moved meanwhile, tries to go back, and becomes
/// COMMAND.
fn live(stage: &Stage, cue: &mut Cue, chosen: usize, command: &Command) -> Result<u8> {
    // We are put into the group first: up to Linux 6.1 that makes void what we have chosen.
    cue.report(Evidence::default())?;
    pin(stage, chosen)?;
    let mut seen = look(stage, "container")?;
    let mut busy = stage.fork(|_| {
        loop {
            std::hint::spin_loop();
        }
    })?;
    seen.record("loop", busy.pid());
    cue.report(seen)?;
    busy.kill()?;
    let mut seen = look(stage, "container")?;
    let refusal = match pin(stage, chosen) {
        Ok(()) => "granted".to_string(),
        // The kernel's answer, and not, say, that somebody has pressed Ctrl-C.
        Err(error) => format!("{:?}", error.errno().ok_or(error)?),
    };
    stage.look("container").fact("going back", &refusal).end();
    seen.record("going back", refusal);
    cue.report(seen)?;
    cue.exec(stage, &Program::from_command(command))
}

/// Where we run, and where we may; and where our memory may come from.
fn look(stage: &Stage, who: &str) -> Result<Evidence> {
    let seen = stage.look(who).fact("processor", cpuset::current_core("self")?);
    let seen = seen.fact("allowed", cpuset::allowed("self")?);
    Ok(seen.fact("memory of", format!("node {}", cpuset::nodes("self")?)).end())
}

/// Where we may run ourselves: on which core we do changes from moment to moment.
fn look_outside(stage: &Stage) -> Result<Evidence> {
    Ok(stage.look("host").fact("allowed", cpuset::allowed("self")?).end())
}
