//! The last exercise: write `contain()`.
//!
//! All parts are there: they are the lessons' own libraries, which you have read. Put them into
//! the kernel's order. `src/run.rs` has the engine's, with more in it. Then run
//!
//!     sudo target/debug/lab check contain
//!
//! By itself, `sudo LAB=FOLDER target/debug/examples/contain-exercise` tells each call that it
//! makes, on standard error.

#![allow(clippy::todo, unused, reason = "the exercise is yours to finish")]

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
///
/// Lessons 9 and 13: the group is called `contain-exercise`, has the controller
/// `pids::CONTROLLER`, and room for 50 processes. Open it before anybody leaves the host.
/// Lesson 3: the child is number 1. It enters the group, does what the three functions below do,
/// and becomes `Program::new(vec!["/bin/sh".into()], vec!["PATH=/bin".into()])`, by `cue.exec`.
/// Lesson 9 again: when the child has ended (`finish`), the group is removed.
fn contain(stage: &Stage, room: &Path) -> Result<u8> {
    todo!("contain a shell in {}", room.display())
}

/// Leave the host's names, queues, network and mounts: lessons 1 (the new name is `container`),
/// 2, 6 (with a loopback) and 4.
fn leave_host(stage: &Stage) -> Result<()> {
    todo!("leave the host")
}

/// Stand on the image in `room`, with a /proc, and on nothing else: lessons 18, 4 and 20.
fn change_root(stage: &Stage, room: &Path) -> Result<()> {
    todo!("stack the layers in {}", room.display())
}

/// Keep what Docker leaves to a container's root: lessons 22 (`Set::named(&caps::DOCKER)`, in the
/// bounding set, too, and no new privileges) and 23 (the built-in profile).
fn give_up_rights(stage: &Stage) -> Result<()> {
    todo!("give up what a container does not need")
}
