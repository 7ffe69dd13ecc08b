//! What does a container find as its standard input, output and error?
//!
//! Never our own: pipes, or a terminal of its own (lesson 25). So nobody in it can read what is
//! typed at our terminal, nor type there, and what it writes can be kept.

use std::fs::File;
use std::io::{IsTerminal, stderr, stdin, stdout};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use stage::{Error, Result, Stage};
use tty::Size;

use crate::sys::socket::{self, never_wait};
use crate::sys::streams::{give, give_pipe, leave_terminal, pipe, speak_through};
use crate::talk::Stream;

/// What it is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A terminal of its own, this large if that is known.
    Terminal(Option<Size>),
    /// Pipes; and input that is typed, or somebody else's file, or none.
    Pipes(Input),
}

/// Where its input comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// Nowhere.
    Nothing,
    /// From whoever types it.
    Typed,
    /// It is our own: a file or a pipe, and no terminal.
    Ours,
}

impl Input {
    /// Our own input: as it is, unless it is a terminal.
    pub fn of_ours() -> Input {
        if stdin().is_terminal() { Input::Typed } else { Input::Ours }
    }
}

/// The container's ends.
pub enum ItsEnds {
    /// Pipes, or what stands for them.
    Pipes([OwnedFd; 3]),
    /// It opens a terminal, this large, and passes its master through this socket.
    Terminal(OwnedFd, Option<Size>),
    /// The other end of a terminal that is there already.
    Opened(OwnedFd),
}

/// Our ends.
#[derive(Debug, Default)]
pub struct OurEnds {
    /// What it reads is written here.
    pub input: Option<OwnedFd>,
    out: Option<OwnedFd>,
    err: Option<OwnedFd>,
    /// The master of its terminal.
    pub terminal: Option<OwnedFd>,
    /// As long as somebody has the other end, it is not hung up.
    _other_end: Option<OwnedFd>,
    /// Where the master will arrive.
    arrives: Option<OwnedFd>,
}

/// Make what a container is to have, for its user `uid` outside.
pub fn make(wanted: Wanted, uid: u32) -> Result<(ItsEnds, OurEnds)> {
    let input = match wanted {
        Wanted::Pipes(input) => input,
        Wanted::Terminal(size) => {
            let (ours, its) = socket::pair()?;
            let ours = OurEnds { arrives: Some(ours), ..OurEnds::default() };
            return Ok((ItsEnds::Terminal(its, size), ours));
        }
    };
    let ((out, its_out), (err, its_err)) = (pipe()?, pipe()?);
    let (its_in, input) = input.open()?;
    for end in [&out, &err].into_iter().chain(&input) {
        never_wait(end)?;
    }
    let its = [its_in, its_out, its_err];
    its.iter().for_each(|end| give_pipe(end, uid));
    let (out, err) = (Some(out), Some(err));
    Ok((ItsEnds::Pipes(its), OurEnds { input, out, err, ..OurEnds::default() }))
}

/// What somebody gets who joins a container, as its user `uid` outside: what we have, but for
/// terminals.
pub fn lend(interactive: bool, uid: u32) -> Result<(ItsEnds, OurEnds)> {
    let input = if interactive { Input::of_ours() } else { Input::Nothing };
    let (its_in, input) = input.open()?;
    let (its_out, out) = lend_output(stdout())?;
    let (its_err, err) = lend_output(stderr())?;
    for end in [&input, &out, &err].into_iter().flatten() {
        never_wait(end)?;
    }
    let its = [its_in, its_out, its_err];
    its.iter().for_each(|end| give_pipe(end, uid));
    Ok((ItsEnds::Pipes(its), OurEnds { input, out, err, ..OurEnds::default() }))
}

/// What somebody gets whom nobody listens to.
pub fn nothing() -> Result<ItsEnds> {
    let open = || File::options().read(true).write(true).open("/dev/null");
    let open = || open().map_err(|error| Error::io("/dev/null", &error));
    Ok(ItsEnds::Pipes([open()?.into(), open()?.into(), open()?.into()]))
}

fn lend_output(ours: impl IsTerminal + AsFd) -> Result<(OwnedFd, Option<OwnedFd>)> {
    if ours.is_terminal() {
        return pipe().map(|(ours, its)| (its, Some(ours)));
    }
    let copy = ours.as_fd().try_clone_to_owned();
    Ok((copy.map_err(|error| Error::io("fcntl(F_DUPFD_CLOEXEC)", &error))?, None))
}

impl Input {
    /// Its end, and ours.
    fn open(self) -> Result<(OwnedFd, Option<OwnedFd>)> {
        let failed = |error| Error::io("standard input", &error);
        match self {
            Input::Nothing => {
                let nothing = File::open("/dev/null").map_err(failed)?;
                Ok((nothing.into(), None))
            }
            Input::Ours => {
                let ours = stdin().as_fd().try_clone_to_owned();
                Ok((ours.map_err(failed)?, None))
            }
            Input::Typed => pipe().map(|(its, ours)| (its, Some(ours))),
        }
    }
}

impl ItsEnds {
    /// In the container, before we become its user: have them.
    pub fn take(&self, stage: &Stage, uid: u32) -> Result<()> {
        match self {
            ItsEnds::Pipes([input, output, error]) => {
                leave_terminal()?;
                // What we say of the next steps is not the container's.
                stage.keep_streams()?;
                speak_through(input, output, error)
            }
            ItsEnds::Terminal(socket, size) => {
                let (master, slave) = open_terminal(stage, *size, uid)?;
                socket::pass(socket, &master)?;
                tty::take(stage, slave)
            }
            ItsEnds::Opened(slave) => {
                let slave = slave.try_clone();
                let failed = |error| Error::io("fcntl(F_DUPFD_CLOEXEC)", &error);
                tty::take(stage, slave.map_err(failed)?)
            }
        }
    }
}

/// Lesson 25: a terminal of the container that we are in, and its other end, which is `uid`'s.
pub fn open_terminal(
    stage: &Stage,
    size: Option<Size>,
    uid: u32,
) -> Result<(OwnedFd, OwnedFd)> {
    let master = tty::open(stage, Path::new("/dev/pts/ptmx"))?.master;
    let slave = tty::other_end(stage, &master)?;
    size.map_or(Ok(()), |size| tty::resize(&master, size))?;
    give(&slave, uid);
    Ok((master, slave))
}

impl OurEnds {
    /// The container is there, and so is its terminal, if it was to have one.
    pub fn arrive(&mut self, stage: &Stage) -> Result<()> {
        let Some(socket) = self.arrives.take() else { return Ok(()) };
        // None: it has ended before, and says why.
        if let Some(master) = socket::passed(&socket) {
            self.adopt(stage, master)?;
        }
        Ok(())
    }

    /// Let `master` be its terminal.
    pub fn adopt(&mut self, stage: &Stage, master: OwnedFd) -> Result<()> {
        let copy = || {
            let copy = master.try_clone();
            copy.map_err(|error| Error::io("fcntl(F_DUPFD_CLOEXEC)", &error))
        };
        never_wait(&master)?;
        (self.input, self.out) = (Some(copy()?), Some(copy()?));
        self._other_end = tty::other_end(stage, &master).ok();
        self.terminal = Some(master);
        Ok(())
    }

    /// Give its terminal a size.
    pub fn resize(&self, size: Size) {
        if let Some(terminal) = &self.terminal {
            // It may just have been hung up.
            tty::resize(terminal, size).ok();
        }
    }

    /// Where it writes to.
    pub fn output(&self, stream: Stream) -> Option<BorrowedFd<'_>> {
        let end = if stream == Stream::Out { &self.out } else { &self.err };
        end.as_ref().map(AsFd::as_fd)
    }

    /// Nobody wants to hear that any more.
    pub fn close(&mut self, stream: Stream) {
        match stream {
            Stream::Out => self.out = None,
            Stream::Err => self.err = None,
        }
    }
}
