//! How does one hear that somebody wants us to stop?
//!
//! A thread waits for the signal, so that we meet it where we wait for other things: read
//! sigwait(3) and signal(7).

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread::Builder;

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use stage::{Error, Result, proc};

/// What asks us to stop: Ctrl-C, kill(1), and a terminal that goes away.
const TO_STOP: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

/// From here on, those signals do not end us, but call `act`, once. To be called before other
/// threads are started.
pub fn on_stop(act: impl FnOnce(Error) + Send + 'static) -> Result<()> {
    // Whoever starts us with a signal ignored, as nohup(1) does, wants us to ignore it.
    let ignored = proc::ignored("self");
    let heard = TO_STOP.into_iter().filter(|&signal| !proc::is_in(ignored, signal));
    let heard = SigSet::from_iter(heard);
    let held = heard.thread_block();
    held.map_err(|errno| Error::call("sigprocmask(SIG_BLOCK)", errno))?;
    let wait = move || heard.wait().map(|signal| act(Error::ended_by(signal)));
    let started = Builder::new().spawn(wait);
    started.map_err(|error| Error::io("clone3", &error))?;
    Ok(())
}

/// Let the program that `command` starts hear all signals, whatever we hold back ourselves.
#[allow(unsafe_code, reason = "code between fork and exec must not touch locks")]
pub fn hears_all(command: &mut Command) -> &mut Command {
    let release = || SigSet::empty().thread_set_mask().map_err(io::Error::from);
    // SAFETY: sigprocmask(2) is a plain system call, it takes no lock and no memory.
    unsafe { command.pre_exec(release) }
}

/// Let process `pid` do nothing more, and so start nothing more. One that has ended meanwhile
/// is not an error.
pub fn hold(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGSTOP).ok();
}
