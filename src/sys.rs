//! What does the engine ask the kernel for that no lesson teaches?
//!
//! Processes here, files in `sys/files.rs`: nothing else in `src/` calls the kernel without
//! a lesson in between. None of it makes a container what it is.

use std::fs::File;
use std::io::{stderr, stdin, stdout};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollTimeout, poll};
use nix::sys::prctl::{set_child_subreaper, set_dumpable, set_pdeathsig};
use nix::sys::signal::Signal;
use nix::sys::stat::{SFlag, fstat, major, minor, stat};
use nix::sys::statfs::{FsType, fstatfs};
use nix::sys::wait::wait;
use nix::unistd::{AccessFlags, Pid, Uid, User, access, dup2_stdin, fchown, geteuid};
use stage::{Error, Result};

pub mod files;
pub mod output;
pub mod own;
pub mod watch;

/// Whether we are root.
pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Whether a program `name` is in PATH.
pub fn is_installed(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_program = |file: PathBuf| access(&file, AccessFlags::X_OK).is_ok();
    std::env::split_paths(&path).any(|folder| is_program(folder.join(name)))
}

/// The home folder of user `uid`, if the machine knows that user.
pub fn home_of(uid: u32) -> Option<PathBuf> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.dir)
}

/// From here on, orphans among our descendants become our children, not PID 1's.
pub fn become_subreaper() -> Result<()> {
    set_child_subreaper(true)
        .map_err(|errno| Error::call("prctl(PR_SET_CHILD_SUBREAPER)", errno))
}

/// Let the process that `command` starts end when we end, however we end.
#[allow(unsafe_code, reason = "code between fork and exec must not touch locks")]
pub fn end_with_us(command: &mut Command) -> &mut Command {
    // SAFETY: prctl(2) is a plain system call, it takes no lock and no memory.
    unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) }
}

/// What the node at `path` stands for: `b` or `c`, the major and the minor number. None if it
/// is no device.
pub fn device(path: &Path) -> Option<(&'static str, u32, u32)> {
    let node = stat(path).ok()?;
    let kind = match SFlag::from_bits_truncate(node.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFBLK => "b",
        SFlag::S_IFCHR => "c",
        _ => return None,
    };
    let number = |number: u64| u32::try_from(number).ok();
    Some((kind, number(major(node.st_rdev))?, number(minor(node.st_rdev))?))
}

/// Let `time` pass, because that is how long something is measured.
pub fn let_pass(time: Duration) -> Result<()> {
    let time = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
    poll(&mut [], time).map(drop).map_err(|errno| Error::call("poll", errno))
}

/// End process `pid` at once. One that has ended meanwhile is not an error.
pub fn kill(pid: i32) -> Result<()> {
    match nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(Error::call(format!("kill({pid}, SIGKILL)"), errno)),
    }
}

/// Wait until one of our children ends. False if there is none to wait for.
pub fn wait_for_any_child() -> bool {
    loop {
        match wait() {
            Ok(_) => return true,
            Err(Errno::EINTR) => {}
            Err(_) => return false,
        }
    }
}

/// From here on, standard input is empty: what a container gets that nobody talks to.
pub fn without_input() -> Result<()> {
    let empty =
        File::open("/dev/null").map_err(|error| Error::io("/dev/null", &error))?;
    dup2_stdin(empty).map_err(|errno| Error::call("dup2(/dev/null, 0)", errno))
}

/// Give the pipes that are our standard input, output and error to user `uid`, if they are
/// root's: their new owner may open them once more, as /dev/stdout. Nothing else is given
/// away: a terminal, a file or a named pipe has a place, and an owner, of its own.
pub fn give_pipes_to(uid: u32) {
    if uid == 0 {
        return;
    }
    for fd in [stdin().as_fd(), stdout().as_fd(), stderr().as_fd()] {
        let is_nameless = fstatfs(fd).is_ok_and(|about| about.filesystem_type() == PIPES);
        if is_nameless && fstat(fd).is_ok_and(|about| about.st_uid == 0) {
            // Without it, all but opening it once more works.
            fchown(fd, Some(Uid::from_raw(uid)), None).ok();
        }
    }
}

/// The file system that nameless pipes are on: PIPEFS_MAGIC in linux/magic.h.
const PIPES: FsType = FsType(0x5049_5045);

/// Close what we were started with besides standard input, output and error: a shell's
/// open files are not the container's. Before anything of ours is open.
pub fn close_inherited() -> Result<()> {
    #[allow(
        unsafe_code,
        reason = "nix has no close_range, and the C library may have none"
    )]
    // SAFETY: we have opened nothing yet, so that no descriptor of ours is closed.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    let closed = Errno::result(closed).map(drop);
    closed.map_err(|errno| Error::call("close_range(3, ~0U, 0)", errno))
}

/// From here on, and until we become another program, who is not the machine's root can neither
/// trace us nor look at what we have open.
pub fn hide() -> Result<()> {
    set_dumpable(false).map_err(|errno| Error::call("prctl(PR_SET_DUMPABLE, 0)", errno))
}
