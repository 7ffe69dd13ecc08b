//! Who passes on what is typed, and what is printed?
//!
//! We do, both ways, and do not look at it: that is why our own terminal is in raw mode. Only
//! the size of the window is no byte, and has to be told. An engine does no more.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::read;
use stage::{Child, Error, Program, Result, Stage};
use tty::{Pty, Raw};

/// Run `program`: on that terminal, if we are on one.
pub fn run(stage: &Stage, pty: &Pty, program: &Program, json: bool) -> Result<u8> {
    if !io::stdin().is_terminal() {
        stage.note("no terminal outside: COMMAND gets what we have, as with -i alone");
        let status = stage.fork(|cue| cue.exec(stage, program))?.wait();
        stage.gap();
        return status;
    }
    let mut command = stage.fork(|cue| {
        tty::take(stage, tty::other_end(stage, &pty.master)?)?;
        cue.exec(stage, program)
    })?;
    command.await_exec()?;
    // From here on nothing is said: in raw mode, a line's end is none.
    let status = Relay::begin(&pty.master, json)?.until_the_end_of(&mut command);
    stage.gap();
    status
}

/// Between the terminal that we are on and the master of another one.
struct Relay {
    master: File,
    screen: File,
    /// The window was resized, or we were stopped and go on.
    changes: SignalFd,
    raw: Option<Raw>,
    /// What was typed, and does not fit into the terminal yet.
    typed: Vec<u8>,
    /// Our own terminal is gone.
    hung_up: bool,
}

impl Relay {
    /// Put our terminal into raw mode. With `json`, standard output is for events.
    fn begin(master: &OwnedFd, json: bool) -> Result<Relay> {
        fcntl(master, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK))
            .map_err(|errno| Error::call("fcntl(F_SETFL)", errno))?;
        let screen =
            if json { copy(io::stderr().as_fd())? } else { copy(io::stdout().as_fd())? };
        let changes = SigSet::from_iter([Signal::SIGWINCH, Signal::SIGCONT]);
        // Blocked after COMMAND was born: it would inherit that.
        changes.thread_block().map_err(|errno| Error::call("sigprocmask", errno))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let changes = SignalFd::with_flags(&changes, flags);
        let changes = changes.map_err(|errno| Error::call("signalfd4", errno))?;
        let master = copy(master)?;
        let (raw, typed, hung_up) = (None, Vec::new(), false);
        let mut relay = Relay { master, screen, changes, raw, typed, hung_up };
        relay.adapt()?;
        Ok(relay)
    }

    /// Pass everything on until `command` has ended: its status.
    fn until_the_end_of(mut self, command: &mut Child) -> Result<u8> {
        loop {
            let status = command.look_in()?;
            // In this order: what it has printed before its end is there.
            self.print()?;
            if let Some(status) = status {
                return Ok(status);
            }
            self.wait(command)?;
        }
    }

    /// Sleep until there is something to do, and do all but print.
    fn wait(&mut self, command: &Child) -> Result<()> {
        let keyboard = io::stdin();
        let room =
            if self.typed.is_empty() { PollFlags::empty() } else { PollFlags::POLLOUT };
        let mut watched = [
            PollFd::new(command.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.changes.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.master.as_fd(), PollFlags::POLLIN | room),
            PollFd::new(keyboard.as_fd(), PollFlags::POLLIN),
        ];
        let listens = self.typed.is_empty() && !self.hung_up;
        match poll(&mut watched[..if listens { 4 } else { 3 }], PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::call("poll", errno)),
        }
        let [_, changed, _, typed] = watched.map(|it| it.any() == Some(true));
        if changed {
            while let Ok(Some(_)) = self.changes.read_signal() {}
            self.adapt()?;
        }
        if typed {
            self.listen()?;
        }
        self.pass_on()
    }

    /// Be as large as our own window; and whoever had our terminal meanwhile, it is raw.
    fn adapt(&mut self) -> Result<()> {
        // In this order: what it was before is put back first.
        self.raw = None;
        self.raw = Some(Raw::enter(io::stdin())?);
        tty::resize(&self.master, tty::size_of(io::stdin())?)
    }

    fn listen(&mut self) -> Result<()> {
        let mut bytes = [0; 1024];
        match read(io::stdin(), &mut bytes) {
            Ok(0) | Err(Errno::EIO) => self.hung_up = true,
            Ok(count) => self.typed.extend(&bytes[..count]),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::call("read", errno)),
        }
        Ok(())
    }

    /// Type what was typed.
    fn pass_on(&mut self) -> Result<()> {
        match self.master.write(&self.typed) {
            Ok(count) => drop(self.typed.drain(..count)),
            Err(error) if is_for_later(&error) => {}
            Err(error) => return Err(Error::io("write", &error)),
        }
        Ok(())
    }

    /// Print what was printed.
    fn print(&mut self) -> Result<()> {
        let mut bytes = [0; 4096];
        loop {
            match self.master.read(&mut bytes) {
                Ok(count) => self
                    .screen
                    .write_all(&bytes[..count])
                    .map_err(|error| Error::io("write", &error))?,
                Err(error) if is_for_later(&error) => return Ok(()),
                Err(error) => return Err(Error::io("read", &error)),
            }
        }
    }
}

fn is_for_later(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn copy(file: impl AsFd) -> Result<File> {
    let copied = file.as_fd().try_clone_to_owned().map(File::from);
    copied.map_err(|error| Error::io("fcntl(F_DUPFD_CLOEXEC)", &error))
}
