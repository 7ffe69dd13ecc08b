//! Lesson 24: what must PID 1 do?
//!
//! Three things that the kernel leaves to it. Wait for every process whose parent has ended:
//! it became PID 1's child, and stays a zombie until then. Hear signals: those without a
//! handler never reach PID 1. And end when the program ends that all of this is for, with its
//! status. Most programs are not made for that; so they become number 2, and we stay.
//!
//! Read wait(2), signalfd(2) and pid_namespaces(7), then this file, then main.rs. What
//! nobody in a container is to know of us is forgotten in forget.rs.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SignalFd, siginfo};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgid, getpgrp};
use stage::{Cue, Error, Result, Stage};

mod forget;

/// Stay as number 1, and let a child of ours play `part`, which usually becomes COMMAND. We
/// end with its status, and all others in the namespace with us: returns only if that cannot
/// begin.
pub fn keep(
    stage: &Stage,
    cue: &mut Cue,
    part: impl FnOnce(&mut Cue) -> Result<u8>,
) -> Result<u8> {
    // From here on signals wait until they are read, so that none is lost.
    let before = heard().thread_swap_mask(SigmaskHow::SIG_BLOCK);
    let before = before.map_err(|errno| Error::call("sigprocmask(SIG_BLOCK)", errno))?;
    let (command, _begin) = cue.leave_to_child(stage, |cue| {
        let released = before.thread_set_mask();
        released.map_err(|errno| Error::call("sigprocmask(SIG_SETMASK)", errno))?;
        part(cue)
    })?;
    // Nobody hears us any more, and what we have open is not the container's. COMMAND begins
    // when the last of it is closed.
    let status = forget::all().and_then(|()| mind(command));
    // No destructor runs: what they would close is closed.
    std::process::exit(status.unwrap_or(stage::FAILED).into())
}

/// All signals but those by which the processor tells of a fault of ours.
fn heard() -> SigSet {
    let mut signals = SigSet::all();
    for fault in [
        Signal::SIGSEGV,
        Signal::SIGBUS,
        Signal::SIGFPE,
        Signal::SIGILL,
        Signal::SIGTRAP,
        Signal::SIGABRT,
        Signal::SIGSYS,
    ] {
        signals.remove(fault);
    }
    signals
}

/// What number 1 is for, until `command` ends: its status.
fn mind(command: Pid) -> Result<u8> {
    let signals =
        SignalFd::new(&heard()).map_err(|errno| Error::call("signalfd4", errno))?;
    loop {
        let signal = signals.read_signal();
        let signal = signal.map_err(|errno| Error::call("read(signalfd)", errno))?;
        // In this order: who had ended before the signal was sent is gone when it arrives.
        if let Some(status) = reap(command)? {
            return Ok(status);
        }
        signal.map_or(Ok(()), |signal| pass_on(command, &signal))?;
    }
}

/// Wait for all children that have ended: the status of `command`, if it is one of them.
/// One SIGCHLD may stand for several.
fn reap(command: Pid) -> Result<Option<u8>> {
    let mut ended = None;
    loop {
        let (pid, status) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, code),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32),
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(ended),
            Ok(_) | Err(Errno::EINTR) => continue,
            Err(errno) => return Err(Error::call("wait4(-1)", errno)),
        };
        if pid == command {
            ended = Some(u8::try_from(status).unwrap_or(u8::MAX));
        }
    }
}

/// Send `command` the signal that was meant for it.
fn pass_on(command: Pid, signal: &siginfo) -> Result<()> {
    let number = signal.ssi_signo.cast_signed();
    // The terminal tells its whole foreground group of a Ctrl-C; but of its end, those who
    // lead a session first of all.
    let from_terminal = signal.ssi_code == libc::SI_KERNEL && number != libc::SIGHUP;
    let told = from_terminal && getpgid(Some(command)) == Ok(getpgrp());
    if told || number == libc::SIGCHLD {
        return Ok(());
    }
    match send(command, number) {
        Ok(()) | Err(Errno::ESRCH | Errno::EPERM) => Ok(()),
        Err(errno) => Err(Error::call("kill", errno)),
    }
}

/// As kill(2), for any signal: nix has names for those below SIGRTMIN only.
#[allow(unsafe_code, reason = "nix has no real-time signals")]
fn send(to: Pid, signal: libc::c_int) -> nix::Result<()> {
    // SAFETY: the call takes two numbers.
    Errno::result(unsafe { libc::kill(to.as_raw(), signal) }).map(drop)
}
