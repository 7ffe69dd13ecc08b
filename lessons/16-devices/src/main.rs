//! Lesson 16, the demonstration: `devices [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! A child makes two nodes in a folder of its own, one for /dev/null and one for a disk, and
//! opens both. Then its group is told what it may use, and the disk is not among it. Nothing
//! is read from it, and nothing written. `--listing` shows what version 2 needs for that.

use std::process::ExitCode;

use cgroup::{Group, Version};
use clap::Parser;
use devices::{CONTROLLER, DEFAULT, Kind, Rule};
use nix::unistd::getuid;
use stage::{Command, Cue, Evidence, Flags, Program, Result, Stage, Verdict};

mod listing;
mod node;

use node::{Node, told};

/// Lesson 16: why can root not open /dev/sda here?
#[derive(Parser)]
struct Args {
    /// Instead: the program that version 2 needs for Docker's list, loaded into this kernel
    #[arg(long, conflicts_with = "argv")]
    listing: bool,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    if args.listing {
        let question = "who decides about devices in version 2?";
        return stage::lesson("devices", question, &args.flags, listing::play);
    }
    let question = "why can root not open /dev/sda here?";
    stage::lesson("devices", question, &args.flags, |stage| {
        for left in cgroup::sweep()? {
            stage.note(&format!("removed what a killed run had left: {left}"));
        }
        play(stage, &args)
    })
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let disk = Node::disk(stage);
    let name = format!("lesson-{}", std::process::id());
    let group = Group::make(stage, &name, &[CONTROLLER])?;
    let mut container = stage.fork(|cue| live(stage, cue, &disk, &args.command))?;

    container.evidence()?;
    group.add(stage, container.pid())?;
    container.proceed()?;
    let before = container.evidence()?;
    devices::allow_only(stage, &group, &rules())?;
    stage.note(elsewhere(group.version(CONTROLLER)?));
    container.proceed()?;
    let after = container.evidence()?;
    let root = format!("/proc/{}/root", container.pid());
    let opened = told(disk.open(stage, &root), "opens")?;
    let host = stage.look("host").fact(&disk.name, opened).end();
    let status = container.finish()?;
    group.remove(stage)?;

    Ok(judge(&disk, &before, &after, &host).status(status))
}

fn judge(disk: &Node, before: &Evidence, after: &Evidence, host: &Evidence) -> Verdict {
    let what = disk.name.as_str();
    let claim = "a node is a name: its group says what a process may open, root or not";
    Verdict::on(claim)
        .equal("null at first", "opens", &before["null"])
        .equal("the disk at first", "opens", &before[what])
        .equal("null, which is allowed", "opens", &after["null"])
        .equal("the disk, which is not", "EPERM", &after[what])
        .equal("who was refused", 0, &after["uid"])
        .equal("what it was refused", disk, &after["the node"])
        .equal("making another null", "made", &after["mknod c"])
        .equal("making another disk", "EPERM", &after["mknod b"])
        .equal("the same node, opened by the host", "opens", &host[what])
}

/// Docker's list, but for nodes of block devices: so that to make one is refused, too.
fn rules() -> Vec<Rule> {
    DEFAULT.into_iter().filter(|rule| rule.kind != Some(Kind::Block)).collect()
}

/// The container: makes its nodes, tries them twice, and becomes COMMAND.
fn live(stage: &Stage, cue: &mut Cue, disk: &Node, command: &Command) -> Result<u8> {
    node::make_room(stage)?;
    let null = Node::null();
    null.make(stage, &null.name)?;
    disk.make(stage, &disk.name)?;
    cue.report(Evidence::default())?; // we are put into the group
    let look = || {
        let seen = stage.look("container");
        let seen = seen.fact(&null.name, told(null.open(stage, ""), "opens")?);
        Ok(seen.fact(&disk.name, told(disk.open(stage, ""), "opens")?))
    };
    cue.report(look()?.end())?;
    let seen = look()?.fact("uid", getuid()).fact("the node", disk.found()?);
    let seen = seen.fact("mknod c", told(null.make(stage, "another-null"), "made")?);
    let other = Node::loop_device().make(stage, "another-disk");
    let seen = seen.fact("mknod b", told(other, "made")?);
    cue.report(seen.end())?;
    cue.exec(stage, &Program::from_command(command))
}

/// What does it where the other version decides.
fn elsewhere(here: Version) -> &'static str {
    match here {
        Version::V1 => "v2: no files, but a program, as `devices --listing` shows",
        Version::V2 => {
            "such a program: `devices --listing`; v1: devices.deny, devices.allow"
        }
    }
}
