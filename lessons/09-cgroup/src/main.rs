//! Lesson 9, the demonstration: `cgroup [OPTIONS]`.
//!
//! First what this machine has. Then a child is put into a group of ours, has a child itself,
//! and is moved out again; the group cannot be removed before.

use std::path::Path;
use std::process::ExitCode;

use cgroup::{Group, Hierarchy};
use clap::Parser;
use stage::{Evidence, Flags, Result, Stage, Verdict};

mod controllers;

/// Lesson 9: what is a cgroup, and where is it on this machine?
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    flags: Flags,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let question = "what is a cgroup, and where is it on this machine?";
    stage::lesson("cgroup", question, &args.flags, |stage| {
        for left in cgroup::sweep()? {
            stage.note(&format!("removed what a killed run had left: {left}"));
        }
        play(stage)
    })
}

/// Counting processes disturbs nobody.
const CONTROLLER: &str = "pids";

fn play(stage: &Stage) -> Result<Verdict> {
    controllers::show(stage)?;
    let hierarchy = Hierarchy::of(CONTROLLER)?;
    let name = format!("lesson-{}", std::process::id());
    let host = look(stage, &hierarchy, "host")?;
    let mut member = stage.fork(|cue| {
        cue.report(look(stage, &hierarchy, "member")?)?;
        cue.report(look(stage, &hierarchy, "member")?)?;
        let mut child = stage.fork(|cue| {
            cue.report(look(stage, &hierarchy, "its child")?)?;
            Ok(0)
        })?;
        cue.report(child.evidence()?)?;
        child.proceed()?;
        child.wait()?;
        cue.report(look(stage, &hierarchy, "member")?)?;
        Ok(0)
    })?;

    let born = member.evidence()?;
    let group = Group::make(stage, &name, &[CONTROLLER])?;
    group.add(stage, member.pid())?;
    member.proceed()?;
    let inside = member.evidence()?;
    member.proceed()?;
    let child = member.evidence()?;
    let busy = try_to_remove(stage, group.folder(CONTROLLER)?)?;
    let counted =
        stage.look("host").fact("processes", group.get(CONTROLLER, "pids.current")?);
    let counted = counted.end();
    let home = hierarchy.folder(Path::new(&host["group"]));
    cgroup::write(stage, &home.join("cgroup.procs"), &member.pid().to_string())?;
    member.proceed()?;
    let outside = member.evidence()?;
    member.finish()?;
    let folder = group.folder(CONTROLLER)?.to_path_buf();
    group.remove(stage)?;

    let place =
        Path::new("/").join(folder.strip_prefix(&hierarchy.at).unwrap_or(&folder));
    let place = place.display();
    Ok(Verdict::on(
        "a group is a folder: who is in it is written there, and children inherit",
    )
    .equal("where a child is born", &host["group"], &born["group"])
    .equal("where it is when it was put in", &place, &inside["group"])
    .equal("where its own child is born", &place, &child["group"])
    .equal("removing a group with processes", "EBUSY", busy)
    .equal("the processes that the group counts", 2, &counted["processes"])
    .equal("where it is when it was moved out", &host["group"], &outside["group"])
    .equal(
        "the group's folder afterwards",
        "gone",
        if folder.exists() { "there" } else { "gone" },
    ))
}

/// Where we are.
fn look(stage: &Stage, hierarchy: &Hierarchy, who: &str) -> Result<Evidence> {
    let group = hierarchy.group_of("self")?;
    Ok(stage.look(who).fact("group", group.display()).end())
}

/// What the kernel says when the group at `folder` is removed with processes in it.
fn try_to_remove(stage: &Stage, folder: &Path) -> Result<String> {
    match cgroup::remove_folder(stage, folder) {
        Ok(()) => Ok("removed".to_string()),
        Err(error) => match error.errno() {
            Some(errno) => Ok(format!("{errno:?}")),
            None => Err(error),
        },
    }
}
