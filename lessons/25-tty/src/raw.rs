//! Why does Ctrl-C not end whoever only passes it on?
//!
//! In raw mode a terminal echoes nothing, waits for no line's end, and makes no signals of
//! keys: all of that is done once, by the terminal that the keys are meant for. The shell
//! that we came from would be left with that terminal, so that we put it back when we end.
//! Read "Raw mode" in termios(3).

use std::os::fd::{AsFd, OwnedFd};

use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use stage::{Error, Result, quietly};

/// A terminal in raw mode, until this is dropped. The stage reads the signals that ask us to
/// end, so that its destructor runs then, too. After SIGKILL nobody is there to do it, and
/// the person at the terminal has to: `stty sane`, or reset(1).
#[derive(Debug)]
pub struct Raw {
    terminal: OwnedFd,
    before: Termios,
}

impl Raw {
    /// Put `terminal` into raw mode. From the background we are stopped until we are in the
    /// foreground (SIGTTOU).
    pub fn enter(terminal: impl AsFd) -> Result<Raw> {
        let terminal = terminal.as_fd().try_clone_to_owned();
        let terminal =
            terminal.map_err(|error| Error::io("fcntl(F_DUPFD_CLOEXEC)", &error))?;
        let before =
            tcgetattr(&terminal).map_err(|errno| Error::call("ioctl(TCGETS)", errno))?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        // Now, and not when all is written: who stopped the output with Ctrl-S shall not
        // stop us.
        tcsetattr(&terminal, SetArg::TCSANOW, &raw)
            .map_err(|errno| Error::call("ioctl(TCSETS)", errno))?;
        Ok(Raw { terminal, before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // It fails when the terminal is gone: then there is nothing to put back.
        quietly(|| tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before).ok());
    }
}
