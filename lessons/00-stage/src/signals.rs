//! What happens when somebody presses Ctrl-C?
//!
//! The signals that ask us to stop are blocked and read from a descriptor instead, so
//! that we meet them only where we wait: whatever a lesson made on the host is then taken
//! back by the ordinary way out. Read signalfd(2) and signal(7).

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};

use crate::{Error, Result, proc};

/// The signals that we read instead of being interrupted by them.
pub(crate) struct Signals {
    queue: SignalFd,
    watched: SigSet,
    original: SigSet,
}

/// What asks a lesson to stop.
pub(crate) const TO_STOP: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// What somebody may want to say to a container through the engine.
pub(crate) const TO_PASS_ON: [Signal; 7] = [
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
];

impl Signals {
    /// Block the signals that are `asked` for, and those that say how a child is.
    #[allow(
        unsafe_code,
        reason = "nix marks every change of a signal's action as unsafe"
    )]
    pub fn watch(asked: &[Signal]) -> Result<Signals> {
        // Whoever starts us with a signal ignored, as nohup(1) does, wants us to ignore it.
        let ignored = proc::ignored("self");
        let asked = asked.iter().copied().filter(|&signal| !proc::is_in(ignored, signal));
        let watched = SigSet::from_iter(asked.chain([Signal::SIGCHLD]));
        // Were this one ignored, the kernel would not keep our children's exit statuses.
        // SAFETY: no handler runs: this is the default action.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }
            .map_err(|errno| Error::call("rt_sigaction(SIGCHLD)", errno))?;
        let original = SigSet::thread_get_mask()
            .map_err(|errno| Error::call("sigprocmask(SIG_BLOCK)", errno))?;
        let queue = SignalFd::with_flags(
            &watched,
            SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK,
        )
        .map_err(|errno| Error::call("signalfd4", errno))?;
        let signals = Signals { queue, watched, original };
        signals.hold()?;
        Ok(signals)
    }

    /// From here on, signals wait until they are read.
    pub fn hold(&self) -> Result<()> {
        let held = self.watched.thread_block();
        held.map_err(|errno| Error::call("sigprocmask(SIG_BLOCK)", errno))
    }

    /// From here on, signals act as they did when we were started.
    pub fn release(&self) -> Result<()> {
        let released = self.original.thread_set_mask();
        released.map_err(|errno| Error::call("sigprocmask(SIG_SETMASK)", errno))
    }

    /// Play `scene` with signals waiting to be read, also in a child that released them:
    /// PID 1 of a namespace would not even notice a Ctrl-C otherwise.
    pub fn holding<T>(&self, scene: impl FnOnce() -> Result<T>) -> Result<T> {
        let before = self.watched.thread_swap_mask(SigmaskHow::SIG_BLOCK);
        let before =
            before.map_err(|errno| Error::call("sigprocmask(SIG_BLOCK)", errno))?;
        let result = scene();
        let restored = before.thread_set_mask();
        restored.map_err(|errno| Error::call("sigprocmask(SIG_SETMASK)", errno))?;
        result
    }

    /// The next signal that has arrived, if any.
    pub fn next(&self) -> Option<(Signal, siginfo)> {
        let info = self.queue.read_signal().ok().flatten()?;
        let signal = Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok()?;
        Some((signal, info))
    }
}

/// Signals that nobody will read must not stay blocked.
impl Drop for Signals {
    fn drop(&mut self) {
        // It cannot fail: the mask was valid when we read it.
        self.release().ok();
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}
