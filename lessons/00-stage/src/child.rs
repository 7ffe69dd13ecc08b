//! How does a second process play its part, and how do we wait for it?
//!
//! [`Stage::fork`] starts it, a pipe brings back what it saw or what went wrong, a second
//! pipe tells it to go on. We wait for events (a message, a signal), never for time. Read
//! fork(2), pipe(7), waitpid(2) and PR_SET_PDEATHSIG in prctl(2).

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigHandler, Signal, kill, killpg, raise, signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpgid, getpgrp, getsid, pipe2};

use crate::terminal::Terminal;
use crate::wire::Message;
use crate::{Error, Evidence, Program, Result, Stage, proc, signals};

/// The child's side: how it speaks to its parent.
pub struct Cue {
    /// Closed once a child of ours has the part and has become COMMAND.
    report: Option<File>,
    go: File,
    /// The pipe from our own parent, if the rest is that of another process.
    near: Option<File>,
}

impl Cue {
    /// Hand over what was seen, and wait until the parent has looked, too.
    pub fn report(&mut self, seen: Evidence) -> Result<()> {
        self.show(seen)?;
        self.listen().map(drop)
    }

    /// Hand over what was seen, and go on.
    pub fn show(&mut self, seen: Evidence) -> Result<()> {
        self.tell(&Message::Evidence(seen))
    }

    /// Wait for the parent's word: what it gives to [`Child::say`].
    pub fn listen(&mut self) -> Result<String> {
        let (mut words, mut byte) = (Vec::new(), [0]);
        loop {
            match self.go.read(&mut byte) {
                Ok(1) if byte == *b"\n" => {
                    return Ok(String::from_utf8_lossy(&words).into_owned());
                }
                Ok(1) => words.extend(byte),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Our parent is gone, and PR_SET_PDEATHSIG is about to end us.
                Ok(_) => return Err(Error::call("read", Errno::EPIPE)),
                Err(error) => return Err(Error::io("read", &error)),
            }
        }
    }

    /// From here on our parent's end is not ours any more. Not before it says so: until then, what
    /// we have begun ends with it.
    pub fn outlive(&mut self) -> Result<()> {
        self.listen()?;
        let cleared = set_pdeathsig(None);
        cleared.map_err(|errno| Error::call("prctl(PR_SET_PDEATHSIG)", errno))?;
        // It waits for that: had it ended before, so had we.
        self.report = None;
        Ok(())
    }

    /// Become `program`. Returns only when that failed.
    #[allow(
        unsafe_code,
        reason = "nix marks every change of a signal's action as unsafe"
    )]
    pub fn exec(&self, stage: &Stage, program: &Program) -> Result<u8> {
        // SAFETY: no handler runs, the default action takes the place of "ignore", which
        // the Rust runtime has set and which COMMAND would inherit.
        unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }
            .map_err(|errno| Error::call("rt_sigaction(SIGPIPE)", errno))?;
        // Blocked signals stay blocked across execve(2), too.
        stage.signals.release()?;
        self.find_parent()?;
        let Err(error) = program.exec(stage);
        // No other program takes over: children of our own are ended, and waited for.
        stage.signals.hold()?;
        Err(error)
    }

    /// Wait until our parent lets us play its part: from then on with its cue, not with `own`.
    pub fn take_over(&mut self, own: &mut Cue) -> Result<()> {
        own.listen()?;
        let near = own.go.try_clone();
        self.near =
            Some(near.map_err(|error| Error::io("fcntl(F_DUPFD_CLOEXEC)", &error))?);
        Ok(())
    }

    /// Let `child`, which waits in [`Cue::take_over`], go on in our place: it speaks with our
    /// parent itself, who learns its PID in [`Child::follow`]. We stay until it ends, and pass
    /// on its status, and the signals that are meant for it.
    pub fn hand_over(&mut self, mut child: Child) -> Result<u8> {
        let mut seen = Evidence::default();
        seen.record(PID, child.pid);
        // Before the child says anything.
        self.show(seen)?;
        child.proceed()?;
        child.await_exec()?;
        if child.arrived.is_empty() {
            // It did not fail. Our parent must see that the pipe is closed.
            self.report = None;
        }
        child.wait()
    }

    /// Let a child of ours play the rest: it is the one whom our parent hears. We stay, and it
    /// is for us to wait for it. It begins when we close the file that is returned.
    pub fn leave_to_child(
        &mut self,
        stage: &Stage,
        part: impl FnOnce(&mut Cue) -> Result<u8>,
    ) -> Result<(Pid, OwnedFd)> {
        stage.before("fork()")?;
        let (listen, go) = pipe()?;
        let forked = fork_plainly().map_err(|errno| Error::call("fork()", errno))?;
        let ForkResult::Parent { child } = forked else {
            drop(go);
            // "fork() = PID" is said first, and our parent may have more to do before.
            File::from(listen).read_to_end(&mut Vec::new()).ok();
            self.end(part)
        };
        // Had we the pipe, too, nobody could tell when the child becomes COMMAND.
        self.report = None;
        stage.after("fork()", &Ok(child))?;
        Ok((child, go))
    }

    /// Play `part`, and end: a failure is for our parent.
    fn end(&mut self, part: impl FnOnce(&mut Cue) -> Result<u8>) -> ! {
        let status = part(self).unwrap_or_else(|error| {
            // If the parent is gone, there is nobody to tell.
            self.tell(&Message::Failure(error.clone())).ok();
            error.exit_status()
        });
        // No destructor runs: what they would take back belongs to the parent.
        std::process::exit(status.into())
    }

    /// To become another user clears the wish to die with our parent. It was renewed, but our
    /// parent may have died before that: then nobody has the other end of our pipe.
    fn find_parent(&self) -> Result<()> {
        for pipe in self.near.iter().chain([&self.go]) {
            let mut ends = [PollFd::new(pipe.as_fd(), PollFlags::empty())];
            let polled = poll(&mut ends, PollTimeout::ZERO);
            // An end that nobody holds is told unasked.
            if polled.map_err(|errno| Error::call("poll", errno))? > 0 {
                return Err(Error::call("read", Errno::EPIPE));
            }
        }
        Ok(())
    }

    fn tell(&mut self, message: &Message) -> Result<()> {
        let Some(report) = &mut self.report else { return Ok(()) };
        let sent = report.write_all(&message.encode());
        sent.map_err(|error| Error::io("write", &error))
    }
}

/// The parent's side: a child that is playing. It does not outlive this value.
pub struct Child<'s> {
    stage: &'s Stage,
    /// Our child, whom we wait for.
    own: Pid,
    /// Who plays the part: the child, or its own child.
    pid: Pid,
    report: File,
    arrived: Vec<u8>,
    go: File,
    terminal: Option<Terminal>,
    /// What lets it notice a signal.
    wake: Option<Box<dyn Fn()>>,
    /// It was sent a Ctrl-C that it cannot hear.
    warned: bool,
    status: Option<u8>,
}

impl Stage {
    /// Start a child that plays `part`, and that ends when we end. What `part` returns is
    /// the child's exit status; a failure travels to us.
    pub fn fork(&self, part: impl FnOnce(&mut Cue) -> Result<u8>) -> Result<Child<'_>> {
        self.fork_by("fork()", fork_plainly, part)
    }

    /// The same with another `call` than fork(2), which `how` makes: for a child that is born
    /// elsewhere.
    pub fn fork_by(
        &self,
        call: &str,
        how: impl FnOnce() -> nix::Result<ForkResult>,
        part: impl FnOnce(&mut Cue) -> Result<u8>,
    ) -> Result<Child<'_>> {
        self.before(call)?;
        self.signals.hold()?;
        let ((report, tell), (listen, go)) = (pipe()?, pipe()?);
        let terminal = Terminal::remember();
        let forked = how().map_err(|errno| Error::call(call, errno))?;
        let ForkResult::Parent { child: own } = forked else {
            drop((report, go));
            self.play(
                Cue { report: Some(tell.into()), go: listen.into(), near: None },
                part,
            )
        };
        let (report, go) = (File::from(report), File::from(go));
        let (arrived, wake, warned, status) = (Vec::new(), None, false, None);
        let (stage, pid) = (self, own);
        let mut child = Child {
            stage,
            own,
            pid,
            report,
            arrived,
            go,
            terminal,
            wake,
            warned,
            status,
        };
        fcntl(&child.report, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))
            .map_err(|errno| Error::call("fcntl(F_SETFL)", errno))?;
        self.after(call, &Ok(pid))?;
        child.proceed()?;
        Ok(child)
    }

    /// The child's life, from its birth to its exit.
    fn play(&self, mut cue: Cue, part: impl FnOnce(&mut Cue) -> Result<u8>) -> ! {
        cue.end(|cue| self.be_born(cue).and_then(|()| part(cue)))
    }

    fn be_born(&self, cue: &mut Cue) -> Result<()> {
        set_pdeathsig(Signal::SIGKILL)
            .map_err(|errno| Error::call("prctl(PR_SET_PDEATHSIG)", errno))?;
        // Had the parent died before that call, nobody would tell us; but then nobody
        // tells us to go on, either. It also lets "fork() = PID" be said first.
        cue.listen()?;
        self.signals.release()
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe2(OFlag::O_CLOEXEC).map_err(|errno| Error::call("pipe2", errno))
}

#[allow(unsafe_code, reason = "nix marks fork(2) as unsafe")]
fn fork_plainly() -> nix::Result<ForkResult> {
    // SAFETY: we have one thread, so the child may do all that we may.
    unsafe { fork() }
}

impl Child<'_> {
    /// The PID of who plays the part, as we see it.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Wait until the child has given its part to a child of its own: [`Cue::hand_over`].
    pub fn follow(&mut self) -> Result<()> {
        let pid = self.evidence()?[PID].parse();
        let pid = pid.map_err(|_| Error::input("the child's child has no PID"))?;
        self.pid = Pid::from_raw(pid);
        Ok(())
    }

    /// What the child saw; it waits until [`Child::proceed`].
    pub fn evidence(&mut self) -> Result<Evidence> {
        match self.next_message()? {
            Some(Message::Evidence(seen)) => Ok(seen),
            Some(Message::Failure(error)) => Err(error),
            None => Err(self.premature_end()),
        }
    }

    /// Let a child go on that waits in [`Cue::report`].
    pub fn proceed(&mut self) -> Result<()> {
        self.say("")
    }

    /// Give a child that waits in [`Cue::listen`] what it waits for: at most a line.
    pub fn say(&mut self, words: &str) -> Result<()> {
        match self.go.write_all(format!("{words}\n").as_bytes()) {
            // It has ended, or has become another program: it has said why. That nobody listens
            // is no reason for us to be silent.
            Err(_) => Err(self.blame(Error::input("the child listens no more"))),
            Ok(()) => Ok(()),
        }
    }

    /// What to tell when something that we did for the child has failed with `error`: if the
    /// child has ended, its own failure came first.
    pub fn blame(&mut self, error: Error) -> Error {
        // In this order: what a child that has ended had to say is in the pipe.
        if self.look_after().and_then(|()| self.listen()).is_err() {
            return error;
        }
        while let Some(message) = Message::take(&mut self.arrived) {
            if let Message::Failure(its) = message {
                return its;
            }
        }
        if self.status.is_some() { self.premature_end() } else { error }
    }

    /// Wait until the child has become another program, which closes its pipe, or has ended.
    /// What it said before that is for [`Child::wait`].
    pub fn await_exec(&mut self) -> Result<()> {
        loop {
            self.look_after()?;
            let at_end = self.listen()?;
            if at_end || self.status.is_some() {
                return Ok(());
            }
            self.await_event(at_end, PollTimeout::NONE)?;
        }
    }

    /// Wait for the child's end: its exit status, or 128 + the signal that ended it.
    pub fn wait(&mut self) -> Result<u8> {
        while let Some(message) = self.next_message()? {
            if let Message::Failure(error) = message {
                self.await_end()?;
                return Err(error);
            }
        }
        Ok(self.status.unwrap_or_default())
    }

    /// Send the child what somebody has sent to us for it.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        if self.status.is_none() { self.pass_on(signal, false) } else { Ok(()) }
    }

    /// Wait until the child has become the program that it was made for; or say why it has not.
    pub fn await_start(&mut self) -> Result<()> {
        self.await_exec()?;
        // It has said something: that is not how one becomes another program.
        if self.arrived.is_empty() { Ok(()) } else { self.wait().map(drop) }
    }

    /// Whoever it was for is gone, as when a terminal is closed.
    pub fn hang_up(&mut self) -> Result<()> {
        self.signal(Signal::SIGHUP)
    }

    /// From here on the child, which waits in [`Cue::outlive`], lives without us.
    pub fn release(mut self) -> Result<()> {
        self.proceed()?;
        self.await_exec()?;
        while let Some(message) = Message::take(&mut self.arrived) {
            // It could not let go of us, and ends.
            if let Message::Failure(error) = message {
                return Err(error);
            }
        }
        self.status = Some(0);
        Ok(())
    }

    /// Let the child go on, and wait for its end.
    pub fn finish(mut self) -> Result<u8> {
        self.proceed()?;
        let status = self.wait()?;
        self.stage.gap();
        Ok(status)
    }

    /// Let the child play for `time`, because that is how long something is measured. That
    /// it ends meanwhile is a failure.
    pub fn watch(&mut self, time: Duration) -> Result<()> {
        let start = Instant::now();
        loop {
            self.look_after()?;
            if self.status.is_some() {
                return Err(self.premature_end());
            }
            let left = time.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(());
            }
            // Rounded up: poll(2) counts milliseconds.
            let left = PollTimeout::try_from(left + Duration::from_millis(1));
            self.await_event(true, left.unwrap_or(PollTimeout::MAX))?;
        }
    }

    /// For whoever waits for more than this child, by poll(2): as [`Child::wait`], but without
    /// waiting. None if the child has not ended. There is something to see whenever the
    /// descriptor of this value can be read.
    pub fn look_in(&mut self) -> Result<Option<u8>> {
        self.heed_signals()?;
        self.look_after()?;
        if self.status.is_some() { self.wait().map(Some) } else { Ok(None) }
    }

    /// Call `wake` before the child is sent a signal, which it may not notice as it is.
    pub fn wake_by(&mut self, wake: impl Fn() + 'static) {
        self.wake = Some(Box::new(wake));
    }

    /// Let the first Ctrl-C end the child, even if it is a PID 1 that does not hear it.
    pub fn end_at_once(&mut self) {
        self.warned = true;
    }

    fn send(&self, signal: Signal) -> nix::Result<()> {
        if let Some(wake) = &self.wake {
            wake();
        }
        kill(self.own, signal)
    }

    /// End the child, if it has not ended by itself. An ended one is not an error.
    pub fn kill(&mut self) -> Result<()> {
        self.look_after()?;
        while self.status.is_none() {
            // It is our child and not waited for yet, so that its PID is still its own. Once may
            // not do: somebody freezes it when it has just been woken (lesson 15).
            self.send(Signal::SIGKILL).map_err(|errno| Error::call("kill", errno))?;
            self.await_event(true, PollTimeout::from(A_MOMENT))?;
            self.look_after()?;
        }
        Ok(())
    }

    /// The next whole message; None if the child has ended without one.
    fn next_message(&mut self) -> Result<Option<Message>> {
        loop {
            // In this order: what a child that has ended had to say is in the pipe.
            self.look_after()?;
            let at_end = self.listen()?;
            if let Some(message) = Message::take(&mut self.arrived) {
                return Ok(Some(message));
            }
            if self.status.is_some() {
                return Ok(None);
            }
            self.await_event(at_end, PollTimeout::NONE)?;
        }
    }

    fn await_end(&mut self) -> Result<()> {
        self.look_after()?;
        while self.status.is_none() {
            self.await_event(true, PollTimeout::NONE)?;
            self.look_after()?;
        }
        Ok(())
    }

    /// Sleep until the child speaks, a signal arrives, or it is `late`. A pipe `at_end` is not
    /// watched.
    fn await_event(&mut self, at_end: bool, late: PollTimeout) -> Result<()> {
        let signals = PollFd::new(self.stage.signals.as_fd(), PollFlags::POLLIN);
        let report = PollFd::new(self.report.as_fd(), PollFlags::POLLIN);
        let mut watched = [signals, report];
        let count = if at_end { 1 } else { 2 };
        match poll(&mut watched[..count], late) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::call("poll", errno)),
        }
        self.heed_signals()
    }

    /// Work through the signals that have arrived.
    fn heed_signals(&mut self) -> Result<()> {
        while let Some((signal, info)) = self.stage.signals.next() {
            if signal != Signal::SIGCHLD {
                let from_terminal = info.ssi_code == SI_KERNEL;
                self.pass_on(signal, from_terminal)?;
            }
        }
        Ok(())
    }

    /// Read what has arrived on the pipe. True at its end: the child has closed it, because
    /// it ended or because it became another program.
    fn listen(&mut self) -> Result<bool> {
        let mut bytes = [0; 4096];
        loop {
            match self.report.read(&mut bytes) {
                Ok(0) => return Ok(true),
                Ok(count) => self.arrived.extend(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(false);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read", &error)),
            }
        }
    }

    /// See whether the child has ended or stopped.
    fn look_after(&mut self) -> Result<()> {
        if self.status.is_some() {
            return Ok(());
        }
        let how = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED;
        match waitpid(self.own, Some(how)) {
            Ok(WaitStatus::Exited(_, code)) => self.has_ended(code),
            Ok(WaitStatus::Signaled(_, signal, _)) => self.has_ended(128 + signal as i32),
            Ok(WaitStatus::Stopped(..)) => self.stop_too()?,
            Ok(_) => {}
            // Whoever looks only when a signal has come would wait for the next one.
            Err(Errno::EINTR) => return self.look_after(),
            Err(errno) => return Err(Error::call("wait4", errno)),
        }
        Ok(())
    }

    fn has_ended(&mut self, status: i32) {
        self.status = Some(u8::try_from(status).unwrap_or(u8::MAX));
        if let Some(terminal) = &self.terminal {
            terminal.take_back();
        }
    }

    /// The child's shell was suspended: so are we, until our own shell continues us.
    fn stop_too(&self) -> Result<()> {
        if getsid(Some(self.own)) != getsid(None) {
            return Ok(()); // somebody has sent it SIGSTOP: no shell of ours could continue us
        }
        let group =
            getpgid(Some(self.own)).map_err(|errno| Error::call("getpgid", errno))?;
        let Some(terminal) = self.terminal.as_ref().filter(|_| group != getpgrp()) else {
            return Ok(()); // in our own group, a Ctrl-Z has stopped us as well
        };
        terminal.take_back();
        raise(Signal::SIGSTOP).map_err(|errno| Error::call("raise(SIGSTOP)", errno))?;
        terminal.give_to(group);
        killpg(group, Signal::SIGCONT)
            .map_err(|errno| Error::call("killpg(SIGCONT)", errno))
    }

    /// We were asked to stop: so is the child. PID 1 of a namespace never gets a signal
    /// that it has no handler for (pid_namespaces(7)), so that we end it for the sender;
    /// with Ctrl-C, only the second time.
    fn pass_on(&mut self, signal: Signal, from_terminal: bool) -> Result<()> {
        let number_one = proc::pids_of(self.own)
            .is_ok_and(|pids| pids.len() > 1 && pids.ends_with(&[1]));
        let asks_to_stop = signals::TO_STOP.contains(&signal);
        let deaf = asks_to_stop && number_one && !proc::hears(self.own, signal);
        let what = match deaf {
            true if signal != Signal::SIGINT || self.warned => Signal::SIGKILL,
            true => {
                self.warned = true;
                let deaf =
                    "PID 1 does not hear Ctrl-C unless it handles it: once more ends it";
                self.stage.urge(deaf);
                return Ok(());
            }
            // The terminal has sent it to the whole foreground group, and so to the child.
            false if from_terminal && getpgid(Some(self.own)) == Ok(getpgrp()) => {
                return Ok(());
            }
            false => signal,
        };
        match self.send(what) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(errno) => Err(Error::call("kill", errno)),
        }
    }

    fn premature_end(&self) -> Error {
        let status = self.status.unwrap_or_default();
        match Signal::try_from(i32::from(status) - 128) {
            Ok(signal) => Error::ended_by(signal),
            Err(_) => {
                Error::input(format!("the child ended early, with status {status}"))
            }
        }
    }
}

/// What a child that gives its part away calls the PID of who has it now.
const PID: &str = "pid";

/// How long a killed child may take before it is killed once more, in milliseconds.
const A_MOMENT: u16 = 500;

/// The `si_code` of a signal that the kernel sent by itself, as for Ctrl-C: sigaction(2).
const SI_KERNEL: i32 = 0x80;

/// What can be read when [`Child::look_in`] has something to see.
impl AsFd for Child<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stage.signals.as_fd()
    }
}

/// A child that nobody waited for is ended: an early return leaves no process behind.
impl Drop for Child<'_> {
    fn drop(&mut self) {
        if self.status.is_none() {
            // Nothing more can be done about a failure here.
            self.kill().ok();
        }
    }
}
