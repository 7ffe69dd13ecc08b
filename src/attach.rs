//! How does one sit in front of a container?
//!
//! Its monitor passes on what it writes, and what we type (`talk.rs`). With a terminal of its own,
//! ours is in raw mode meanwhile, so that every key is its business; but for those by which one
//! leaves it (lesson 25).

use std::io::ErrorKind::{BrokenPipe, ConnectionReset, Interrupted, WouldBlock};
use std::io::{IsTerminal, stdin};
use std::os::fd::{AsFd, OwnedFd};

use stage::{Error, Result, Stage};
pub use tty::DetachKeys;
use tty::{Raw, Size};

use crate::container;
use crate::store::Store;
use crate::sys::socket::{self, Want, await_any};
use crate::sys::streams::{OURS, read_from, write_all};
use crate::sys::{self, SIGWINCH};
use crate::talk::{self, Message, Stream};

/// Who sits there.
#[derive(Debug, Clone)]
pub struct Front {
    /// What is typed is for the container.
    pub types: bool,
    /// It has a terminal of its own.
    pub terminal: bool,
    /// The keys by which one leaves.
    pub keys: DetachKeys,
    /// Signals that we get are for the container.
    pub passes_signals: bool,
}

/// Why one does not sit there any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The container has ended, with this status.
    Ended(u8),
    /// One has left it, and it goes on.
    Left,
}

/// Sit in front of the container that `which` means, which runs.
pub fn attach(store: &Store, which: &str, types: bool, keys: DetachKeys) -> Result<End> {
    let known = container::known(store, which, &store.lock_containers()?)?;
    let visit = talk::visit(known.folder())?.ok_or_else(|| {
        Error::input(format!("container {which:?} is not running")).status(1)
    })?;
    let terminal = known.spec.process.terminal;
    let types = types && known.state.life.open_stdin;
    known.tell(store, "attach", &[]);
    let stage = Stage::of_engine(false)?;
    tell(&visit, &Message::Listen)?;
    let front = Front { types, terminal, keys, passes_signals: !terminal };
    front.ask_for_all(&visit)?;
    front.sit(&stage, visit)
}

impl Front {
    /// Refuse to type at a terminal from what is none.
    pub fn check(&self) -> Result<()> {
        if self.types && self.terminal && !stdin().is_terminal() {
            return Err(Error::input("-t: standard input is no terminal")
                .hint("leave -t out, so that input is passed on as it is")
                .status(1));
        }
        Ok(())
    }

    /// How large our window is.
    pub fn size(&self) -> Option<Size> {
        tty::size_of(stdin()).ok()
    }

    /// Whoever comes has seen nothing yet. A program draws its whole screen anew when the window's
    /// size changes, and only then: for a moment it is another one than ours.
    fn ask_for_all(&self, visit: &OwnedFd) -> Result<()> {
        let size = self.terminal.then(|| self.size()).flatten();
        size.map_or(Ok(()), |Size { rows, columns }| {
            let rows = rows.saturating_add(1);
            tell(visit, &Message::Resize(Size { rows, columns }))
        })
    }

    /// Sit there, until it ends or one leaves.
    pub fn sit(&self, stage: &Stage, visit: OwnedFd) -> Result<End> {
        let is_raw = self.types && self.terminal && stdin().is_terminal();
        let raw = is_raw.then(|| Raw::enter(stdin())).transpose()?;
        let mut seat = Seat {
            visit,
            keys: raw.as_ref().map(|_| self.keys.clone()),
            types: self.types,
            typed: None,
        };
        if self.terminal {
            self.size()
                .map_or(Ok(()), |size| tell(&seat.visit, &Message::Resize(size)))?;
        }
        loop {
            if let Some(end) = seat.turn(stage)? {
                drop(raw);
                if end == End::Left {
                    // What comes next begins on a line of its own.
                    write_all(OURS[2], b"\n")?;
                }
                return Ok(end);
            }
            while let Some(signal) = stage.next_signal() {
                self.meet(&seat, signal as i32)?;
            }
        }
    }

    fn meet(&self, seat: &Seat, signal: i32) -> Result<()> {
        let message = match signal {
            sys::SIGCHLD => return Ok(()),
            SIGWINCH if self.terminal => self.size().map(Message::Resize),
            _ if !self.passes_signals && !self.terminal => {
                return Err(Error::input("interrupted").status(130));
            }
            _ => Some(Message::Signal(signal)),
        };
        message.map_or(Ok(()), |message| tell(&seat.visit, &message))
    }
}

/// Say something to the monitor that is worth waiting for a moment.
pub fn tell(visit: &OwnedFd, message: &Message) -> Result<()> {
    loop {
        match socket::send_to(visit, &message.encode()) {
            Err(error) if matches!(error.kind(), Interrupted | WouldBlock) => {
                await_any(&[Want::Write(visit.as_fd())], None)?;
            }
            // It has gone: what it said before is still to be read.
            Err(error) if !matches!(error.kind(), BrokenPipe | ConnectionReset) => {
                return Err(Error::io("send", &error));
            }
            _ => return Ok(()),
        }
    }
}

/// One's place, while one sits there.
struct Seat {
    visit: OwnedFd,
    keys: Option<DetachKeys>,
    types: bool,
    /// What is typed, and not yet passed on.
    typed: Option<Message>,
}

impl Seat {
    /// Wait until something happens, and do what is to be done.
    fn turn(&mut self, stage: &Stage) -> Result<Option<End>> {
        let other = match &self.typed {
            Some(_) => Want::Write(self.visit.as_fd()),
            None if self.types => Want::Read(OURS[0]),
            None => Want::Read(self.visit.as_fd()),
        };
        let wants = [Want::Read(stage.signals()), Want::Read(self.visit.as_fd()), other];
        let happened = await_any(&wants, None)?;
        if happened[1]
            && let Some(end) = self.hear()?
        {
            return Ok(Some(end));
        }
        match happened[2] {
            true if self.typed.is_some() => self.pass_on(),
            true if self.types => self.read(),
            _ => Ok(None),
        }
    }

    fn hear(&mut self) -> Result<Option<End>> {
        let packet = match socket::receive(&self.visit) {
            Ok(packet) => packet,
            Err(error) if matches!(error.kind(), Interrupted | WouldBlock) => {
                return Ok(None);
            }
            Err(error) => return Err(Error::io("recvfrom", &error)),
        };
        match Message::decode(&packet) {
            Some(Message::Written(stream, bytes)) => {
                write_all(OURS[if stream == Stream::Out { 1 } else { 2 }], &bytes)?;
                Ok(None)
            }
            Some(Message::Ended(status)) => Ok(Some(End::Ended(status))),
            Some(_) => Ok(None),
            None => {
                Err(Error::input("the container's monitor was killed, and so was it")
                    .status(137))
            }
        }
    }

    fn read(&mut self) -> Result<Option<End>> {
        let bytes = match read_from(OURS[0]) {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.kind(), Interrupted | WouldBlock) => {
                return Ok(None);
            }
            Err(_) => None,
        };
        let Some(bytes) = bytes else {
            self.types = false;
            self.typed = Some(Message::NoMore);
            return self.pass_on();
        };
        let (bytes, leaves) = match &mut self.keys {
            Some(keys) => keys.feed(&bytes),
            None => (bytes, false),
        };
        if leaves {
            tell(&self.visit, &Message::Typed(bytes))?;
            tell(&self.visit, &Message::Detach)?;
            return Ok(Some(End::Left));
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        self.typed = Some(Message::Typed(bytes));
        self.pass_on()
    }

    fn pass_on(&mut self) -> Result<Option<End>> {
        if let Some(message) = &self.typed {
            match socket::send_to(&self.visit, &message.encode()) {
                Err(error) if matches!(error.kind(), Interrupted | WouldBlock) => {}
                // If it has gone, that is heard next.
                _ => self.typed = None,
            }
        }
        Ok(None)
    }
}
