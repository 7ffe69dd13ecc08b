//! How does `--step` wait for the person in front of it?
//!
//! For a line on the terminal, and for signals at the same time: Ctrl-C works as ever.

use std::fmt::Display;
use std::os::fd::{AsFd, BorrowedFd};

use colored::Colorize;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::read;

use crate::narrate::write_all;
use crate::{Error, Result, Stage};

/// A prompt that fits one line of a terminal with 80 columns can be erased as one.
const WIDTH: usize = 56;

impl Stage {
    /// Show what comes next and wait for Enter; Ctrl-C works as ever.
    pub(crate) fn wait_for_enter(&self, call: impl Display) -> Result<()> {
        let shown = shorten(&call.to_string());
        let prompt =
            format!("  {}       {shown}  {}", "next".yellow(), "[Enter]".dimmed());
        // In this order: who sees that we wait may press Ctrl-C at once.
        self.signals.holding(|| {
            self.on_output(|to| write_all(to, prompt.as_bytes()))
                .map_err(|errno| Error::call("write", errno))?;
            self.on_input(|input| self.await_input(input))
        })?;
        self.on_input(|input| {
            read(input, &mut [0; 256]).map_err(|errno| Error::call("read", errno))
        })?;
        // The line that tells the result takes the place of the one that asked.
        let erase = if colored::control::SHOULD_COLORIZE.should_colorize() {
            "\x1b[A\r\x1b[2K"
        } else {
            ""
        };
        self.on_output(|to| write_all(to, erase.as_bytes()))
            .map_err(|errno| Error::call("write", errno))
    }

    /// Sleep until something is typed; a child that ends meanwhile is no reason to go on.
    fn await_input(&self, input: BorrowedFd) -> Result<()> {
        loop {
            let mut watched = [input, self.signals.as_fd()]
                .map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match poll(&mut watched, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::call("poll", errno)),
            }
            while let Some((signal, _)) = self.signals.next() {
                if signal != Signal::SIGCHLD {
                    return Err(Error::ended_by(signal));
                }
            }
            if watched[0].any() == Some(true) {
                return Ok(());
            }
        }
    }
}

fn shorten(call: &str) -> String {
    match call.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}…", &call[..end]),
        None => call.to_string(),
    }
}
