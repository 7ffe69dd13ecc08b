//! Lesson 17, the demonstration: `cgroup-ns [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! A child is put into a group of ours and asks where it is; then it makes a cgroup namespace,
//! and asks again. The host asks at the same moment. `--too-early` does it in the other order.

use std::path::Path;
use std::process::ExitCode;

use cgroup::{Group, Hierarchy, Version};
use clap::Parser;
use mount::target::Root;
use stage::{Command, Cue, Evidence, Flags, Program, Result, Stage, Verdict};

mod early;
mod look;

/// Lesson 17: why does /proc/self/cgroup say "/"?
#[derive(Parser)]
struct Args {
    /// Instead: what if the namespace is made first, and the group joined afterwards?
    #[arg(long, conflicts_with = "argv")]
    too_early: bool,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    let question = match args.too_early {
        true => "what if the group is joined too late?",
        false => "why does /proc/self/cgroup say \"/\"?",
    };
    stage::lesson("cgroup-ns", question, &args.flags, |stage| {
        for left in cgroup::sweep()? {
            stage.note(&format!("removed what a killed run had left: {left}"));
        }
        if args.too_early { early::play(stage) } else { play(stage, &args) }
    })
}

/// To count processes disturbs nobody.
const CONTROLLER: &str = "pids";

fn group(stage: &Stage) -> Result<Group> {
    Group::make(stage, &format!("lesson-{}", std::process::id()), &[CONTROLLER])
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let hierarchy = Hierarchy::of(CONTROLLER)?;
    let (group, mounts) = (group(stage)?, look::mounts()?);
    let path = group.path(CONTROLLER)?;
    let mut container = stage.fork(|cue| live(stage, cue, &hierarchy, &args.command))?;
    let child = container.pid();

    container.evidence()?;
    group.add(stage, child)?;
    container.proceed()?;
    let before = container.evidence()?;
    container.proceed()?;
    let inside = container.evidence()?;
    let host = look::outside(stage, &hierarchy, child, &mounts)?;
    let status = container.finish()?;
    group.remove(stage)?;

    let (path, above) = (&path.display(), inside["parent"].starts_with("/.."));
    Ok(Verdict::on("a path of a group begins where the reader's namespace does")
        .equal("where it is when it was put in", path, &before["group"])
        .equal("the same, in its own namespace", "/", &inside["group"])
        .equal("the same, for the host", path, &host["its group"])
        .differ("its namespace", &host["namespace"], &inside["namespace"])
        .holds("our group, seen from inside", "above /", &inside["parent"], above)
        .equal("who is at the top of what it mounts", child, &inside["at the top"])
        .equal("writing there", "EROFS", &inside["writing"])
        .equal("the cgroup mounts of the host", "the same", &host["mounts"])
        .status(status))
}

/// The container: is put in, makes its namespace, mounts what is in it, and becomes COMMAND.
fn live(
    stage: &Stage,
    cue: &mut Cue,
    hierarchy: &Hierarchy,
    command: &Command,
) -> Result<u8> {
    cue.report(Evidence::default())?; // we are put into the group
    cue.report(look::inside(stage, hierarchy)?)?;
    cgroup_ns::isolate(stage)?;
    let mut seen = look::inside(stage, hierarchy)?;
    mount::isolate(stage)?;
    cgroup_ns::mount(stage, &Root::open(Path::new("/"))?, &Hierarchy::all()?, true)?;
    stage.note(elsewhere(hierarchy.version));
    look::at_the_top(stage, hierarchy, &mut seen)?;
    cue.report(seen)?;
    cue.exec(stage, &Program::from_command(command))
}

/// What there is to mount where the other version is.
fn elsewhere(here: Version) -> &'static str {
    match here {
        Version::V1 => "v2: one mount of type cgroup2, on /sys/fs/cgroup itself",
        Version::V2 => "v1: a tmpfs, with a mount of type cgroup for each hierarchy",
    }
}
