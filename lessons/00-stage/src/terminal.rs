//! Who may read from the terminal?
//!
//! The foreground process group, and nobody else: a shell puts each of its jobs into a
//! group and hands the terminal to one of them. A shell that dies in a lesson would leave
//! the terminal to a group that is gone, and the next command would be stopped. So we
//! remember what the terminal was like, and put it back. Read credentials(7), tcsetpgrp(3)
//! and termios(3).

use std::io::{self, IsTerminal};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};

/// The terminal on standard input, as it was when its foreground was ours.
pub(crate) struct Terminal {
    ours: Pid,
    modes: Termios,
}

impl Terminal {
    /// Remember the terminal, if standard input is one and we are in its foreground.
    pub fn remember() -> Option<Terminal> {
        let input = io::stdin();
        if !input.is_terminal() || tcgetpgrp(&input).ok()? != getpgrp() {
            return None;
        }
        Some(Terminal { ours: getpgrp(), modes: tcgetattr(&input).ok()? })
    }

    /// Take the terminal back, whoever has it now.
    pub fn take_back(&self) {
        self.give_to(self.ours);
        // A program that was killed may have left the terminal without echo.
        quietly(|| tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.modes).ok());
    }

    /// Make `group` the foreground.
    pub fn give_to(&self, group: Pid) {
        // It fails when the terminal is gone (hung up): then there is nothing to give.
        quietly(|| tcsetpgrp(io::stdin(), group).ok());
    }
}

/// Do something to the terminal from the background: the kernel would stop us with SIGTTOU
/// for it, but not while we block that signal.
pub fn quietly(change: impl FnOnce() -> Option<()>) {
    let background = SigSet::from(Signal::SIGTTOU);
    let before = background.thread_swap_mask(SigmaskHow::SIG_BLOCK);
    change();
    if let Ok(before) = before {
        // It cannot fail: the mask that we had a moment ago is a valid one.
        before.thread_set_mask().ok();
    }
}
