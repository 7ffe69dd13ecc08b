//! What of the tree of groups is mounted?

use std::fs;

use cgroup::Hierarchy;
use nix::unistd::{AccessFlags, access};
use stage::{Error, Evidence, Result, Stage};

/// Who is in the topmost group, as far as the mounts of `hierarchy` go, and whether one may
/// write there.
pub fn look(stage: &Stage, hierarchy: &Hierarchy, seen: &mut Evidence) -> Result<()> {
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

/// The mounts of cgroup file systems that we have.
pub fn list() -> Result<String> {
    let path = "/proc/self/mountinfo";
    let text = fs::read_to_string(path).map_err(|error| Error::io(path, &error))?;
    let groups = text.lines().filter(|line| line.contains(" - cgroup"));
    Ok(groups.collect::<Vec<_>>().join("\n"))
}
