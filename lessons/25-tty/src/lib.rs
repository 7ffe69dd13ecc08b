//! Lesson 25: what is `-it`?
//!
//! A pseudoterminal: two descriptors, and a terminal's manners between them. What is written to
//! one end (the master) is typed at the other, and what programs write there can be read here.
//! The kernel echoes, knows a window's size, and turns Ctrl-C into a signal, for this terminal
//! as for any other. The one in front of you is put into raw mode meanwhile: it passes every
//! key on, and does nothing itself.
//!
//! Read pty(7), ioctl_tty(2) and credentials(7), then this file, then main.rs. Sizes are in
//! window.rs, raw mode in raw.rs, Docker's detach keys in keys.rs.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open as open_file};
use nix::sys::stat::Mode;
use nix::unistd::setsid;
use stage::{Error, Result, Stage, descriptor};

mod calls;
mod keys;
mod raw;
mod window;

pub use keys::DetachKeys;
pub use raw::Raw;
pub use window::{Size, resize, size_of};

/// A pseudoterminal: what is written to one end is typed at the other.
#[derive(Debug)]
pub struct Pty {
    /// Our end. When nobody has it any more, the terminal is hung up (SIGHUP).
    pub master: OwnedFd,
    /// What the other end is called where its devpts is mounted: `/dev/pts/0`.
    pub name: PathBuf,
}

/// Make a new one, of the devpts instance whose ptmx this is: `/dev/pts/ptmx`.
pub fn open(stage: &Stage, ptmx: &Path) -> Result<Pty> {
    // O_NOCTTY: a session leader without a terminal would have it as its own.
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let call = format!("openat(AT_FDCWD, {ptmx:?}, O_RDWR|O_NOCTTY|O_CLOEXEC)");
    let master = stage.ask(call, || open_file(ptmx, flags, Mode::empty()))?;
    let shown = descriptor(&master);
    // Nobody can open the other end until this, so that its owner and mode can be set first.
    stage.ask(format!("ioctl({shown}, TIOCSPTLCK, [0])"), || calls::unlock(&master))?;
    let mut number = 0;
    let call = format!("ioctl({shown}, TIOCGPTN, number)");
    stage.ask(call, || calls::number(&master, &mut number))?;
    Ok(Pty { master, name: format!("/dev/pts/{number}").into() })
}

/// The other end. It is asked of the master, and not opened by its name: no link of an image
/// can lead elsewhere, and its devpts need not even be mounted here.
pub fn other_end(stage: &Stage, master: impl AsFd) -> Result<OwnedFd> {
    let mut slave = None;
    let flags = "O_RDWR|O_NOCTTY|O_CLOEXEC";
    let call = format!("ioctl({}, TIOCGPTPEER, {flags})", descriptor(&master));
    stage.ask(call, || calls::peer(&master, &mut slave))?;
    // The call has succeeded, and it fills this.
    slave.ok_or_else(|| Error::call("ioctl(TIOCGPTPEER)", nix::errno::Errno::EIO))
}

/// Have this terminal for our own: it is the one that Ctrl-C is typed at for us, and our
/// standard input, output and error. What the stage says does not go there. The caller must
/// not lead a process group: setsid(2).
pub fn take(stage: &Stage, slave: OwnedFd) -> Result<()> {
    stage.keep_streams()?;
    // Only who leads a session, and one without a terminal, can get one.
    stage.ask("setsid()", setsid)?;
    let shown = descriptor(&slave);
    stage.ask(format!("ioctl({shown}, TIOCSCTTY, 0)"), || calls::control(&slave))?;
    for number in 0..=2 {
        let call = format!("dup3({shown}, {number}, 0)");
        stage.ask(call, || calls::duplicate(&slave, number))?;
    }
    // Whoever started us may have let us ignore what is typed at another terminal, as a shell
    // does for a job in the background.
    let heard = calls::hear_keys();
    heard.map_err(|errno| Error::call("rt_sigaction", errno))
}
