//! Lesson 9, the demonstration: `cgroup [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! First what this machine has. Then a child is put into a group of ours and has a child
//! itself, the witness, which is born there and moved out again. The group cannot be removed
//! before both have left it.

use std::path::Path;
use std::process::ExitCode;

use cgroup::{Group, Hierarchy};
use clap::Parser;
use stage::{Command, Cue, Evidence, Flags, Program, Result, Stage, Verdict};

mod controllers;

/// Lesson 9: what is a cgroup, and where is it on this machine?
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    let question = "what is a cgroup, and where is it on this machine?";
    stage::lesson("cgroup", question, &args.flags, |stage| {
        for left in cgroup::sweep()? {
            stage.note(&format!("removed what a killed run had left: {left}"));
        }
        play(stage, &args)
    })
}

/// To count processes disturbs nobody.
const CONTROLLER: &str = "pids";

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    controllers::show(stage)?;
    let name = format!("lesson-{}", std::process::id());
    let group = Group::make(stage, &name, &[CONTROLLER])?;
    let hierarchy = Hierarchy::of(CONTROLLER)?;
    let host = look(stage, &hierarchy, "host")?;
    let mut container = stage.fork(|cue| live(stage, &hierarchy, cue, &args.command))?;

    let before = container.evidence()?;
    group.add(stage, container.pid())?;
    container.proceed()?;
    let inside = container.evidence()?;
    container.proceed()?;
    let born = container.evidence()?;
    let busy = count_and_remove(stage, &group)?;
    let home = hierarchy.folder(Path::new(&host["group"])).join("cgroup.procs");
    cgroup::write(stage, &home, &born["PID"])?;
    container.proceed()?;
    let moved = container.evidence()?;
    let status = container.finish()?;

    let (path, folder) = (group.path(CONTROLLER)?, group.folder(CONTROLLER)?.to_owned());
    group.remove(stage)?;
    let path = path.display();
    let gone = if folder.exists() { "there" } else { "gone" };
    Ok(Verdict::on("a group is a folder, and children are born where their parent is")
        .equal("where the child is born", &host["group"], &before["group"])
        .equal("where it is when it was put in", &path, &inside["group"])
        .equal("where its own child is born", &path, &born["group"])
        .equal("the processes that the group counts", 2, &busy["processes"])
        .equal("removing a group with processes", "EBUSY", &busy["removal"])
        .equal("where the witness is when moved out", &host["group"], &moved["group"])
        .equal("the group's folder afterwards", "gone", gone)
        .status(status))
}

/// The container: looks before and after it is put in, has a child, becomes COMMAND.
fn live(
    stage: &Stage,
    hierarchy: &Hierarchy,
    cue: &mut Cue,
    command: &Command,
) -> Result<u8> {
    cue.report(look(stage, hierarchy, "container")?)?;
    cue.report(look(stage, hierarchy, "container")?)?;
    let mut witness = stage.fork(|cue| bear_witness(stage, hierarchy, cue))?;
    let mut born = witness.evidence()?;
    born.record("PID", witness.pid());
    cue.report(born)?;
    witness.proceed()?;
    cue.report(witness.evidence()?)?;
    witness.proceed()?;
    witness.wait()?;
    cue.exec(stage, &Program::from_command(command))
}

/// The witness: tells where it was born, and where it is when somebody has moved it.
fn bear_witness(stage: &Stage, hierarchy: &Hierarchy, cue: &mut Cue) -> Result<u8> {
    cue.report(look(stage, hierarchy, "witness")?)?;
    cue.report(look(stage, hierarchy, "witness")?)?;
    Ok(0)
}

/// Where we are.
fn look(stage: &Stage, hierarchy: &Hierarchy, who: &str) -> Result<Evidence> {
    let group = hierarchy.group_of("self")?;
    Ok(stage.look(who).fact("group", group.display()).end())
}

/// How many processes are in the group, and what the kernel says when it is removed.
fn count_and_remove(stage: &Stage, group: &Group) -> Result<Evidence> {
    let seen =
        stage.look("host").fact("processes", group.get(CONTROLLER, "pids.current")?);
    let removal = match cgroup::remove_folder(stage, group.folder(CONTROLLER)?) {
        Ok(()) => "removed".to_string(),
        // The kernel's answer, and not, say, that somebody has pressed Ctrl-C.
        Err(error) => format!("{:?}", error.errno().ok_or(error)?),
    };
    Ok(seen.fact("removal", removal).end())
}
