//! Lesson 3: how can a process be number 1?
//!
//! A PID namespace numbers its processes from 1, and the namespaces around it number them,
//! too: one process, several PIDs. Nobody can change the number of a running process, so
//! that unshare(2) does not move its caller: the namespace is for the children to come, and
//! the first of them is number 1. When number 1 ends, the kernel kills all the others.
//!
//! Read pid_namespaces(7), then this file, then main.rs.

use nix::sched::{CloneFlags, unshare};
use stage::{Result, Stage};

/// The next child of the calling process will be number 1 of a new PID namespace. After
/// that child's end, the caller can have no more children: their fork(2) is refused with
/// ENOMEM, because a namespace without number 1 takes nobody.
pub fn isolate(stage: &Stage) -> Result<()> {
    stage.ask("unshare(CLONE_NEWPID)", || unshare(CloneFlags::CLONE_NEWPID))
}
