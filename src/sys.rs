//! What does the engine ask the kernel for that no lesson teaches?
//!
//! Processes here, files in `sys/files.rs`: nothing else in `src/` calls the kernel without
//! a lesson in between. None of it makes a container what it is.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollTimeout, poll};
use nix::sys::prctl::{set_child_subreaper, set_dumpable, set_pdeathsig};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, SFlag, major, minor, stat, umask};
use nix::sys::wait::wait;
use nix::unistd::{AccessFlags, Pid, Uid, User, access, geteuid};
use stage::{Error, Result};

pub mod files;
pub mod output;
pub mod own;
pub mod probe;
pub mod socket;
pub mod stop;
pub mod streams;
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

pub use libc::{SIGCHLD, SIGKILL, SIGTERM, SIGWINCH};

/// The number of the signal that is called `name`, without `SIG`.
pub fn signal_number(name: &str) -> Option<i32> {
    format!("SIG{name}").parse::<Signal>().ok().map(|signal| signal as i32)
}

/// The first and the last of the signals that have no name.
pub fn real_time_signals() -> (i32, i32) {
    (libc::SIGRTMIN(), libc::SIGRTMAX())
}

/// Whether the signal `number` changes anything for process `pid`, the first of its namespace.
pub fn hears(pid: Pid, number: i32) -> bool {
    Signal::try_from(number).map_or(true, |signal| {
        signal == Signal::SIGKILL || stage::proc::hears(pid, signal)
    })
}

/// Send process `pid`, which is a child of ours, the signal `number`; also one of those that have
/// no name, from SIGRTMIN on.
#[allow(unsafe_code, reason = "nix knows the signals with names only")]
pub fn send(pid: Pid, number: i32) -> Result<()> {
    // SAFETY: no memory is passed.
    match Errno::result(unsafe { libc::kill(pid.as_raw(), number) }) {
        Ok(_) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(Error::call(format!("kill({pid}, {number})"), errno)),
    }
}

/// Give back the memory that we do not use any more: malloc_trim(3).
#[allow(unsafe_code, reason = "nix has no wrapper for the C library's memory")]
pub fn give_memory_back() {
    // SAFETY: it takes no pointer, and nobody else uses the heap meanwhile.
    unsafe { libc::malloc_trim(0) };
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

/// From here on, what we and our containers make can be read by others, as everywhere: files that
/// a container finds are for its users, whatever our starter keeps to itself. runc does the same.
pub fn usual_umask() {
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
}

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
