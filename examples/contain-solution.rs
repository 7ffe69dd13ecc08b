//! The last exercise, the solution: write `contain()`.
//!
//! It is checked by
//!
//!     sudo target/debug/lab check contain --solution

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use caps::Set;
use cgroup::Group;
use overlay::Layers;
use seccomp::{Filter, Profile};
use stage::{Program, Result, Stage};

fn main() -> ExitCode {
    // Where the check has made an image: $LAB/lower, and $LAB/upper, work and merged.
    let room = std::env::var_os("LAB").map_or(PathBuf::from("."), PathBuf::from);
    match Stage::of_engine(true).and_then(|stage| contain(&stage, &room)) {
        Ok(status) => status.into(),
        Err(error) => stage::fail(&error),
    }
}

/// Run a shell in a container whose image is in `room`; its exit status.
fn contain(stage: &Stage, room: &Path) -> Result<u8> {
    let group = Group::make(stage, "contain-exercise", &[pids::CONTROLLER])?;
    pids::limit(stage, &group, 50)?;
    let way_in = group.open()?;
    let first = pid::fork(stage, |cue| {
        way_in.enter(stage)?;
        leave_host(stage)?;
        change_root(stage, room)?;
        give_up_rights(stage)?;
        cue.exec(stage, &Program::new(vec!["/bin/sh".into()], vec!["PATH=/bin".into()]))
    })?;
    let status = first.finish()?;
    group.remove(stage)?;
    Ok(status)
}

/// Leave the host's names, queues, network and mounts.
fn leave_host(stage: &Stage) -> Result<()> {
    uts::isolate(stage)?;
    uts::set_hostname(stage, "container")?;
    ipc::isolate(stage)?;
    net::isolate(stage)?;
    net::loopback()?;
    mount::isolate(stage)
}

/// Stand on the image in `room`, with a /proc, and on nothing else.
fn change_root(stage: &Stage, room: &Path) -> Result<()> {
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| room.join(name));
    let merged = room.join("merged");
    overlay::stack(stage, &Layers { lower: vec![lower], upper, work }, &merged)?;
    mount::proc(stage, &merged.join("proc"))?;
    pivot::enter(stage, &merged)
}

/// Keep what Docker leaves to a container's root.
fn give_up_rights(stage: &Stage) -> Result<()> {
    let filter = Filter::compile(&Profile::builtin()?)?;
    let rights = Set::named(&caps::DOCKER)?;
    caps::bound(stage, rights)?;
    caps::keep(stage, rights)?;
    caps::no_new_privs(stage)?;
    seccomp::install(stage, &filter)
}
