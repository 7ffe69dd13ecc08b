//! Lesson 12: who dies when memory runs out?
//!
//! On a whole machine, whoever uses most: perhaps a database, because of a browser. A group
//! with a limit runs out of memory by itself. The kernel then takes back what it can from
//! that group, cached files and what fits into swap, and if that is not enough, it kills a
//! process of the group.
//!
//! | file | its question |
//! |---|---|
//! | `limits.rs` | what is written to limit RAM and swap, and in which order? |
//! | `account.rs` | what does the kernel tell about a group's memory? |
//!
//! Read the kernel's admin-guide/cgroup-v2.rst, "Memory", and admin-guide/cgroup-v1/memory.rst,
//! then these files, main.rs and hog.rs.

use cgroup::{Group, Version};
use nix::errno::Errno;
use stage::{Error, Result, Stage};

mod account;
mod limits;

pub use account::{counts_swap, current, kills, limit_of, peak, working_set};
pub use limits::{Limits, Most};

/// The controller's name.
pub const CONTROLLER: &str = "memory";

/// The smallest limit that is accepted, in bytes: with less, few programs start. It is
/// Docker's.
pub const LEAST: u64 = 6 << 20;

/// Limit the memory of the group, or change its limits while it runs.
///
/// Fails with EBUSY (version 1) if the group uses more than that, and the kernel cannot take
/// it back; version 2 kills then. Fails with ENOENT, and changes nothing, if swap is to be
/// limited and the kernel does not count it: see [`counts_swap`]. If nothing is said about
/// swap, it is then left alone.
pub fn limit(stage: &Stage, group: &Group, limits: &Limits) -> Result<()> {
    if *limits == Limits::default() {
        return Ok(());
    }
    let (ram, total) = limits.complete(account::ram(group)?)?;
    let counts_swap = counts_swap(group)?;
    if !counts_swap && matches!(limits.with_swap, Some(Most::Bytes(_))) {
        return Err(not_counted(group)?);
    }
    let total = counts_swap.then_some(total);
    let writes = match group.version(CONTROLLER)? {
        Version::V1 => limits::in_version_1(ram, total, account::total(group)?),
        Version::V2 => limits::in_version_2(ram, total),
    };
    for (name, text) in writes {
        let written = group.set(stage, CONTROLLER, name, &text);
        written.map_err(|error| explain(error, group))?;
    }
    Ok(())
}

fn not_counted(group: &Group) -> Result<Error> {
    let file = account::swap_file(group)?;
    let error = Error::call(format!("openat({file:?})"), Errno::ENOENT);
    Ok(error.hint("this kernel does not count swap: boot it with swapaccount=1"))
}

fn explain(error: Error, group: &Group) -> Error {
    match (error.errno(), current(group)) {
        (Some(Errno::EBUSY), Ok(bytes)) => {
            let used = bytes >> 20;
            error.hint(format!("the group uses {used} MiB, which it cannot do without"))
        }
        _ => error,
    }
}
