//! What can a terminal be asked for, beyond read(2) and write(2)?
//!
//! The requests of ioctl_tty(2) that nix has no wrapper for, each as a safe function.

#![allow(unsafe_code, reason = "nix has no wrapper for these calls")]

use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal, signal};

/// Let the other end of `master` be opened.
pub fn unlock(master: &impl AsFd) -> nix::Result<i32> {
    let unlocked: libc::c_int = 0;
    let fd = master.as_fd().as_raw_fd();
    // SAFETY: the kernel reads one int, and keeps no pointer to it.
    Errno::result(unsafe { libc::ioctl(fd, libc::TIOCSPTLCK, &raw const unlocked) })
}

/// The number of the other end of `master`.
pub fn number(master: &impl AsFd, number: &mut libc::c_uint) -> nix::Result<i32> {
    let fd = master.as_fd().as_raw_fd();
    // SAFETY: the kernel writes one unsigned int.
    Errno::result(unsafe { libc::ioctl(fd, libc::TIOCGPTN, &raw mut *number) })
}

/// Open the other end of `master` (Linux 4.13); its number is returned, too.
pub fn peer(master: &impl AsFd, slave: &mut Option<OwnedFd>) -> nix::Result<RawFd> {
    let fd = master.as_fd().as_raw_fd();
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the argument is a number.
    let number = Errno::result(unsafe { libc::ioctl(fd, libc::TIOCGPTPEER, flags) })?;
    // SAFETY: the kernel has just opened it for us, and nobody else has it.
    *slave = Some(unsafe { OwnedFd::from_raw_fd(number) });
    Ok(number)
}

/// Make `terminal` the controlling one of our session; not if another session has it.
pub fn control(terminal: &impl AsFd) -> nix::Result<i32> {
    let fd = terminal.as_fd().as_raw_fd();
    // SAFETY: the argument is a number.
    Errno::result(unsafe { libc::ioctl(fd, libc::TIOCSCTTY, 0) })
}

/// Let descriptor `number` stand for `file`, too, and for other programs as well.
pub fn duplicate(file: &impl AsFd, number: RawFd) -> nix::Result<RawFd> {
    // SAFETY: it is standard input, output or error, which nobody owns: none is closed twice.
    Errno::result(unsafe { libc::dup3(file.as_fd().as_raw_fd(), number, 0) })
}

/// Let the signals that a terminal sends do what they usually do.
pub fn hear_keys() -> nix::Result<()> {
    let keys = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP, Signal::SIGHUP];
    keys.into_iter().try_for_each(|key| {
        // SAFETY: no handler runs: this is the default action.
        unsafe { signal(key, SigHandler::SigDfl) }.map(drop)
    })
}

/// The size of `terminal`.
pub fn size(terminal: &impl AsFd) -> nix::Result<libc::winsize> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    let fd = terminal.as_fd().as_raw_fd();
    // SAFETY: the kernel writes one `struct winsize`.
    Errno::result(unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &raw mut size) })?;
    Ok(size)
}

/// Give `terminal` that size. If it is another one, its foreground group gets SIGWINCH.
pub fn set_size(terminal: &impl AsFd, size: &libc::winsize) -> nix::Result<i32> {
    let fd = terminal.as_fd().as_raw_fd();
    // SAFETY: the kernel reads one `struct winsize`, and keeps no pointer to it.
    Errno::result(unsafe { libc::ioctl(fd, libc::TIOCSWINSZ, &raw const *size) })
}
