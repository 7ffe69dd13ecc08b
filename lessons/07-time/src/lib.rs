//! Lesson 7: can a container have booted last year?
//!
//! A time namespace holds two numbers: how far its clocks CLOCK_MONOTONIC and
//! CLOCK_BOOTTIME are ahead of the machine's. Both count the seconds since boot, and
//! programs trust that they never jump: so the numbers are written down before anybody
//! lives in the namespace, and cannot be changed afterwards. As with PIDs (lesson 3), the
//! caller stays where it is, and its children to come are moved.
//!
//! Read time_namespaces(7) and clock_gettime(2), then this file, then main.rs.

use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::Mode;
use nix::unistd::write;
use stage::{Error, Result, Stage, descriptor};

/// The flag of unshare(2) and setns(2) that nix has no name for. With clone(2) it cannot be
/// used: the bit is one of those that tell the signal at the child's end.
pub const CLONE_NEWTIME: CloneFlags = CloneFlags::from_bits_retain(libc::CLONE_NEWTIME);

/// The next child of the calling process will be in a new time namespace (Linux 5.6).
pub fn isolate(stage: &Stage) -> Result<()> {
    stage.ask("unshare(CLONE_NEWTIME)", || unshare(CLONE_NEWTIME))
}

/// In the namespace that our next child will be in, let the machine have been up for
/// `seconds` more (or less, if negative). After that child's birth it is too late: EACCES.
pub fn shift(stage: &Stage, seconds: i64) -> Result<()> {
    let path = Path::new("/proc/self/timens_offsets");
    let file = open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|errno| Error::call(format!("openat({path:?})"), errno))?;
    // Which clock, whole seconds, nanoseconds.
    let offsets = format!("monotonic {seconds} 0\nboottime {seconds} 0\n");
    let fd = descriptor(&file);
    let call = format!("write({fd}, {offsets:?}, {})", offsets.len());
    let told = stage.ask(call, || {
        let count = write(&file, offsets.as_bytes())?;
        i32::try_from(count).map_err(|_| Errno::EOVERFLOW)
    });
    told.map(drop).map_err(|error| match error.errno() {
        Some(Errno::ERANGE) => error.hint(
            "a clock can be neither before its zero, which is the boot, nor more than \
             146 years after it",
        ),
        _ => error,
    })
}
