//! Lesson 2: why are my queues gone?
//!
//! Some objects have no place in the file system: System V message queues, semaphores and
//! shared memory are found by a number, POSIX message queues by a name. Both kinds of names
//! live in an IPC namespace. POSIX shared memory is not among them: it is a file in
//! /dev/shm, and so a matter of mounts (lesson 4).
//!
//! Read ipc_namespaces(7), sysvipc(7) and mq_overview(7), then this file, objects.rs, main.rs.

use nix::sched::{CloneFlags, unshare};
use stage::{Result, Stage};

pub mod objects;

/// Give the calling process an IPC namespace of its own: empty, not a copy.
pub fn isolate(stage: &Stage) -> Result<()> {
    stage.ask("unshare(CLONE_NEWIPC)", || unshare(CloneFlags::CLONE_NEWIPC))
}
