//! What is seen of a group, from inside and from outside?

use std::fs;

use cgroup::Hierarchy;
use nix::unistd::{AccessFlags, access, getppid};
use stage::{Error, Evidence, Pid, Result, Stage, proc};

/// Where we are, and where our parent is.
pub fn inside(stage: &Stage, hierarchy: &Hierarchy) -> Result<Evidence> {
    let own = hierarchy.group_of("self")?;
    let parent = hierarchy.group_of(&getppid().to_string())?;
    let seen = stage.look("container").fact("group", own.display());
    let seen = seen.fact("parent", parent.display());
    Ok(seen.fact("namespace", proc::namespace("cgroup")?).end())
}

/// Who is in the topmost group, as far as the mounts of `hierarchy` go, and whether one may
/// write there.
pub fn at_the_top(
    stage: &Stage,
    hierarchy: &Hierarchy,
    seen: &mut Evidence,
) -> Result<()> {
    let procs = hierarchy.at.join("cgroup.procs");
    let there = fs::read_to_string(&procs);
    let there = there.map_err(|error| Error::io(procs.display(), &error))?;
    let there = there.split_whitespace().collect::<Vec<_>>().join(" ");
    let writing = match access(&procs, AccessFlags::W_OK) {
        Ok(()) => "allowed".to_string(),
        Err(errno) => format!("{errno:?}"),
    };
    stage.look("container").fact("at the top", &there).fact("writing", &writing);
    seen.record("at the top", there);
    seen.record("writing", writing);
    Ok(())
}

/// Where the child is for us, at the same moment, and whether the host's mounts are as before.
pub fn outside(
    stage: &Stage,
    hierarchy: &Hierarchy,
    child: Pid,
    before: &str,
) -> Result<Evidence> {
    let group = hierarchy.group_of(&child.to_string())?;
    let seen = stage.look("host").fact("its group", group.display());
    let seen = seen.fact("namespace", proc::namespace("cgroup")?);
    let same = if mounts()? == before { "the same" } else { "others" };
    Ok(seen.fact("mounts", same).end())
}

/// The mounts of cgroup file systems that we have.
pub fn mounts() -> Result<String> {
    let path = "/proc/self/mountinfo";
    let text = fs::read_to_string(path).map_err(|error| Error::io(path, &error))?;
    let groups = text.lines().filter(|line| line.contains(" - cgroup"));
    Ok(groups.collect::<Vec<_>>().join("\n"))
}
