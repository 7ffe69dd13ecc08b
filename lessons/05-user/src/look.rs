//! What tells who somebody is?
//!
//! getuid(2) answers in the numbers of the caller's namespace, /proc in those of its
//! reader's, and so does stat(2) for the owner of a file. Capabilities are counted in
//! /proc/PID/status; what they are worth shows only when they are used.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, getegid, geteuid};
use stage::{Error, Evidence, Result, Stage, proc};
use user::Line;

/// Who we are.
pub fn at_self(stage: &Stage, who: &str) -> Result<Evidence> {
    let seen = stage.look(who).fact("uid", geteuid()).fact("gid", getegid());
    let seen = seen.fact("CapEff", proc::status_line("self", "CapEff")?);
    let seen = seen.fact("namespace", proc::namespace("user")?);
    let lines = Line::read("/proc/self/uid_map")?;
    let map = if lines.is_empty() { "-".into() } else { Line::text(&lines) };
    Ok(seen.fact("uid_map", map.replace('\n', ", ")).end())
}

/// Make a file that has no name: it is gone when it is closed, however we end.
pub fn make_file(stage: &Stage) -> Result<OwnedFd> {
    let folder = std::env::temp_dir();
    let flags = OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_TMPFILE;
    let call = format!("openat(AT_FDCWD, {folder:?}, O_RDWR|O_CLOEXEC|O_TMPFILE, 0600)");
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    let made = stage.ask(call, || openat(AT_FDCWD, &folder, flags, mode));
    made.map_err(|error| match error.errno() {
        Some(Errno::EOPNOTSUPP) => {
            error.hint("set TMPDIR to a folder on ext4, xfs, btrfs or tmpfs")
        }
        _ => error,
    })
}

/// Whose the file is that we have open, and its number, for others to find it by.
pub fn at_file(stage: &Stage, file: &OwnedFd) -> Result<Evidence> {
    let owner = owner(&format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let mut seen = stage.look("container").fact("file of", owner).end();
    seen.record("as", file.as_raw_fd());
    Ok(seen)
}

/// Who the child is, and whose its file `number` is, in our numbers.
pub fn at_child(stage: &Stage, child: Pid, number: &str) -> Result<Evidence> {
    let id = |line| {
        let ids = proc::status_line(&child.to_string(), line)?;
        Ok(ids.split(' ').next().unwrap_or_default().to_string())
    };
    let seen = stage.look("host").fact("its uid", id("Uid")?).fact("its gid", id("Gid")?);
    Ok(seen.fact("file of", owner(&format!("/proc/{child}/fd/{number}"))?).end())
}

fn owner(path: &str) -> Result<u32> {
    let about = fs::metadata(path).map_err(|error| Error::io(path, &error))?;
    Ok(about.uid())
}

/// Rename the host, then a UTS namespace that is ours (lesson 1).
pub fn try_rights(stage: &Stage) -> Result<Evidence> {
    // To the name that it has: a kernel that lets us must not do harm.
    let (name, _) = uts::names()?;
    let host = answer(uts::set_hostname(stage, &name))?;
    uts::isolate(stage)?;
    let own = answer(uts::set_hostname(stage, "container"))?;
    Ok(stage.look("witness").fact("host name", host).fact("own name", own).end())
}

fn answer(asked: Result<()>) -> Result<String> {
    match asked {
        Ok(()) => Ok("done".into()),
        Err(error) => match error.errno() {
            Some(Errno::EPERM) => Ok("EPERM".into()),
            _ => Err(error),
        },
    }
}

/// Whom a user (`uid`) or a group (`gid`) without a number in the map is shown as.
pub fn overflow(kind: &str) -> Result<String> {
    setting(&format!("overflow{kind}"))
}

/// What `CapEff` shows for whoever has all capabilities that this kernel knows.
pub fn all_capabilities() -> Result<String> {
    let last = setting("cap_last_cap")?;
    let last: u32 = last.parse().map_err(|_| Error::input("cap_last_cap is a number"))?;
    Ok(format!("{:016x}", u64::MAX >> (63 - last.min(63))))
}

fn setting(name: &str) -> Result<String> {
    let path = format!("/proc/sys/kernel/{name}");
    let text = File::open(&path).and_then(std::io::read_to_string);
    let text = text.map_err(|error| Error::io(&path, &error))?;
    Ok(text.trim().to_string())
}
