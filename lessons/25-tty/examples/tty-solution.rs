//! Lesson 25, the solution: give a shell a terminal of its own.
//!
//! Read pty(7), openpty(3), setsid(2) and ioctl_tty(2).
//! It is checked by
//!
//!     sudo target/debug/lab check tty -- target/debug/examples/tty-solution

use std::error::Error;
use std::fs::File;
use std::io::{Read, Write, stdin, stdout};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::thread;

use nix::pty::{Winsize, openpty};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, setsid};

fn main() -> Result<(), Box<dyn Error>> {
    let (master, slave) = make_terminal(24, 80)?;
    let mut shell = start("/bin/sh", slave)?;
    let (keyboard, screen) = (File::from(master.try_clone()?), File::from(master));
    thread::spawn(move || pass_on_input(keyboard));
    pass_on_output(screen)?;
    std::process::exit(shell.wait()?.code().unwrap_or(1))
}

/// Make a pseudoterminal whose window has this size: its master, and the other end.
fn make_terminal(rows: u16, columns: u16) -> nix::Result<(OwnedFd, OwnedFd)> {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    openpty(&size, None).map(|pty| (pty.master, pty.slave))
}

/// Start `program` as the one who has the terminal `slave`.
#[allow(unsafe_code, reason = "code between fork and exec must not touch locks")]
fn start(program: &str, slave: OwnedFd) -> std::io::Result<Child> {
    let mut command = Command::new(program);
    // SAFETY: `take` only makes system calls.
    unsafe { command.pre_exec(move || Ok(take(&slave)?)) };
    command.spawn()
}

/// Have the terminal `slave` for our own: lead a session, have it as the controlling
/// terminal of that, and as standard input, output and error.
#[allow(unsafe_code, reason = "nix has no wrapper for TIOCSCTTY")]
fn take(slave: &OwnedFd) -> nix::Result<()> {
    setsid()?;
    // SAFETY: the argument is a number.
    let done = unsafe { libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY, 0) };
    nix::errno::Errno::result(done)?;
    dup2_stdin(slave)?;
    dup2_stdout(slave)?;
    dup2_stderr(slave)
}

/// Type what we read. At the end of our input, type what ends input at a terminal: Ctrl-D.
fn pass_on_input(mut master: File) -> std::io::Result<()> {
    std::io::copy(&mut stdin().lock(), &mut master)?;
    master.write_all(b"\x04")
}

/// Print what is printed there. Its end is EIO: nobody has the other end any more.
fn pass_on_output(mut master: File) -> std::io::Result<()> {
    let mut bytes = [0; 4096];
    while let Ok(count) = master.read(&mut bytes) {
        stdout().write_all(&bytes[..count])?;
        stdout().flush()?;
    }
    Ok(())
}
