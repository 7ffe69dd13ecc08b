//! Who hears what a container writes, and whom does it hear?
//!
//! Its log, whoever has started it, and whoever visits (`talk.rs`). Nobody is passed over: while
//! one of them does not keep up, nothing more is read from the container, which has to wait
//! for its reader like any program in a pipeline.

use std::collections::VecDeque;
use std::io::ErrorKind::{BrokenPipe, Interrupted, WouldBlock};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use stage::{Error, Result, Stage};
use tty::{DetachKeys, Size};

use crate::logs::Log;
use crate::streams::OurEnds;
use crate::sys::socket::{self, Want, await_any};
use crate::sys::streams::{OURS, read_from, write_to};
use crate::talk::{Message, SOCKET, Stream};

/// How much may be typed ahead, in bytes.
const AHEAD: usize = 64 << 10;

/// A pipe that has any room has room for this (pipe(7)), in bytes.
const PIPE_BUF: usize = 4096;

/// How long visitors may take nothing of the last words before they are passed over.
const PATIENCE: Duration = Duration::from_secs(5);

/// As often as that one looks whether it has passed, in milliseconds.
const LOOK: u16 = 500;

/// Everybody who has to do with one container.
#[derive(Default)]
pub struct Relay {
    ends: OurEnds,
    typed: VecDeque<u8>,
    /// Nothing more will be typed.
    no_more: bool,
    /// How large its window is.
    size: Option<Size>,
    log: Option<Log>,
    listener: Option<OwnedFd>,
    visitors: Vec<Visitor>,
    /// What we ourselves still have to write, if our own streams are for it.
    own: Option<[Vec<u8>; 2]>,
    /// Our own standard input is typed to it.
    types: bool,
    /// The keys among it by which one leaves.
    pub leave_by: Option<DetachKeys>,
    /// One has left.
    pub is_left: bool,
    /// What visitors ask of whoever keeps the container.
    pub asked: Vec<Asked>,
    /// Why some of what it wrote has not arrived, if somebody would have wanted it.
    pub lost: Option<Error>,
}

/// What a visitor wants that is not ours to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Send it this signal.
    Signal(i32),
    /// Do not start it again.
    LetEnd,
    /// Who has started it is gone without a word.
    HangUp,
}

struct Visitor {
    socket: OwnedFd,
    listens: bool,
    /// It has started the container, and the container ends with it.
    owns: bool,
    waiting: VecDeque<Vec<u8>>,
    is_gone: bool,
}

/// What may happen.
#[derive(Debug, Clone, Copy)]
enum Event {
    Signal,
    Caller,
    Written(Stream),
    Typed,
    RoomToType,
    RoomFor(Stream),
    Visitor(usize),
    RoomForVisitor(usize),
}

impl Relay {
    /// For the container with this `folder`.
    pub fn new(folder: &Path, log: Option<Log>) -> Result<Relay> {
        // One that is left of an earlier life would be in the way.
        std::fs::remove_file(folder.join(SOCKET)).ok();
        let listener = Some(socket::listen_at(folder, SOCKET)?);
        Ok(Relay { log, listener, ..Relay::default() })
    }

    /// For somebody whom nobody visits: us alone.
    pub fn of_guest() -> Relay {
        Relay::default()
    }

    /// Its output is ours; and if it `types`, our input is its.
    pub fn lend_ours(&mut self, types: bool) {
        self.own = Some(Default::default());
        self.types = types;
    }

    /// The one who has started it, and hears all from the beginning.
    pub fn welcome_owner(&mut self, socket: OwnedFd) {
        self.visitors.push(Visitor::new(socket, true));
    }

    /// A new life begins, with these ends.
    pub fn begin(&mut self, ends: OurEnds) {
        self.typed.clear();
        self.ends = ends;
        self.size.into_iter().for_each(|size| self.ends.resize(size));
    }

    /// Its terminal is to have this size.
    pub fn resize(&mut self, size: Size) {
        self.size = Some(size);
        self.ends.resize(size);
    }

    /// Wait until something happens, or for `milliseconds`, and do what is to be done.
    pub fn turn(&mut self, stage: &Stage, milliseconds: Option<u16>) -> Result<()> {
        let events = self.events(stage);
        let wants: Vec<Want> =
            events.iter().filter_map(|event| self.source(stage, *event)).collect();
        let happened = await_any(&wants, milliseconds)?;
        for (event, _) in events.iter().zip(happened).filter(|(_, is_so)| *is_so) {
            self.meet(*event);
        }
        for gone in self.visitors.iter().filter(|visitor| visitor.is_gone) {
            self.asked.extend(gone.owns.then_some(Asked::HangUp));
        }
        self.visitors.retain(|visitor| !visitor.is_gone);
        Ok(())
    }

    /// It has ended: pass on what it has written last.
    pub fn drain(&mut self, stage: &Stage) -> Result<()> {
        for stream in [Stream::Out, Stream::Err] {
            while self.read(stream) {
                self.flush(stage)?;
            }
        }
        self.ends = OurEnds::default();
        let whole = self.log.as_mut().map_or(Ok(()), Log::end);
        // How it has ended matters more than the end of its log.
        whole.unwrap_or_else(|error| {
            stage::warn(format!("its log lacks its end: {error}"))
        });
        Ok(())
    }

    /// Tell everybody how it has ended, and close.
    pub fn end(mut self, stage: &Stage, status: u8) -> Result<()> {
        // Nobody can call from here on; who has called, and was not let in yet, is told, too.
        self.listener.iter().for_each(socket::close_door);
        while self.greet() {}
        self.listener = None;
        self.tell_all(|_| true, &Message::Ended(status));
        self.flush(stage)
    }

    /// Pass on all that waits, unless nobody wants it any more.
    fn flush(&mut self, stage: &Stage) -> Result<()> {
        let mut progress = Instant::now();
        while !self.is_clear() {
            let before = self.waiting();
            self.turn(stage, Some(LOOK))?;
            if stage.is_asked_to_stop() {
                self.own.iter_mut().flatten().for_each(Vec::clear);
            }
            if self.waiting() != before {
                progress = Instant::now();
            } else if progress.elapsed() > PATIENCE {
                // Our own reader may take its time, a visitor holds others up.
                self.visitors.retain(|visitor| visitor.waiting.is_empty());
            }
        }
        Ok(())
    }

    /// How much waits, in bytes and packets.
    fn waiting(&self) -> (usize, usize) {
        let own = self.own.iter().flatten().map(Vec::len).sum();
        (own, self.visitors.iter().map(|visitor| visitor.waiting.len()).sum())
    }

    /// Whether all has been passed on.
    fn is_clear(&self) -> bool {
        self.waiting() == (0, 0)
    }

    /// What may happen now.
    fn events(&self, stage: &Stage) -> Vec<Event> {
        let mut events = vec![Event::Signal, Event::Caller];
        let streams = [Stream::Out, Stream::Err];
        if self.is_clear() {
            events.extend(streams.map(Event::Written));
        }
        let ahead = self.typed.len() < AHEAD;
        events.extend((self.types && !self.no_more && ahead).then_some(Event::Typed));
        events.extend((!self.typed.is_empty()).then_some(Event::RoomToType));
        events.extend(streams.map(Event::RoomFor));
        for (number, visitor) in self.visitors.iter().enumerate() {
            events.extend(ahead.then_some(Event::Visitor(number)));
            let waits = !visitor.waiting.is_empty();
            events.extend(waits.then_some(Event::RoomForVisitor(number)));
        }
        // What cannot happen has nothing to wait for.
        events.retain(|event| self.source(stage, *event).is_some());
        events
    }

    /// Where `event` would be seen.
    fn source<'a>(&'a self, stage: &'a Stage, event: Event) -> Option<Want<'a>> {
        let own = |stream: Stream| {
            let text = self.own.as_ref().map(|own| &own[stream as usize]);
            text.filter(|text| !text.is_empty()).map(|_| stream)
        };
        match event {
            Event::Signal => Some(Want::Read(stage.signals())),
            Event::Caller => self.listener.as_ref().map(|it| Want::Read(it.as_fd())),
            Event::Written(stream) => self.ends.output(stream).map(Want::Read),
            Event::Typed => Some(Want::Read(OURS[0])),
            Event::RoomToType => {
                self.ends.input.as_ref().map(|file| Want::Write(file.as_fd()))
            }
            Event::RoomFor(stream) => {
                own(stream).map(|stream| Want::Write(OURS[1 + stream as usize]))
            }
            Event::Visitor(number) => {
                self.visitors.get(number).map(|it| Want::Read(it.socket.as_fd()))
            }
            Event::RoomForVisitor(number) => {
                self.visitors.get(number).map(|it| Want::Write(it.socket.as_fd()))
            }
        }
    }

    fn meet(&mut self, event: Event) {
        match event {
            // For whoever keeps the container.
            Event::Signal => {}
            Event::Caller => drop(self.greet()),
            Event::Written(stream) => drop(self.read(stream)),
            Event::Typed => self.type_ours(),
            Event::RoomToType => self.pass_typed(),
            Event::RoomFor(stream) => self.write_ours(stream),
            Event::Visitor(number) => self.hear(number),
            Event::RoomForVisitor(number) => self.visitors[number].send_waiting(),
        }
    }

    /// Let in the next one that calls. False if nobody does.
    fn greet(&mut self) -> bool {
        let caller = self.listener.as_ref().and_then(socket::next_caller);
        let Some(socket) = caller else { return false };
        self.visitors.push(Visitor::new(socket, false));
        true
    }

    /// Read what is there, and pass it on. False if nothing is.
    fn read(&mut self, stream: Stream) -> bool {
        let Some(file) = self.ends.output(stream) else { return false };
        let bytes = match read_from(file) {
            Ok(Some(bytes)) => bytes,
            Err(error) if error.kind() == Interrupted => return true,
            Err(error) if error.kind() == WouldBlock => return false,
            end => {
                // A terminal that nobody in there has open any more ends with EIO.
                let lost = end.err().filter(|_| self.ends.terminal.is_none());
                self.lose(lost.map(|error| Error::io("its output", &error)));
                self.ends.close(stream);
                return false;
            }
        };
        self.note(stream, &bytes);
        if let Some(own) = &mut self.own {
            own[stream as usize].extend(&bytes);
            // Most often there is room at once.
            self.write_ours(stream);
        }
        self.tell_all(|visitor| visitor.listens, &Message::Written(stream, bytes));
        true
    }

    /// The first reason is the one that is told.
    fn lose(&mut self, why: Option<Error>) {
        self.lost = self.lost.take().or(why);
    }

    fn note(&mut self, stream: Stream, bytes: &[u8]) {
        let noted = self.log.as_mut().map(|log| log.note(stream, bytes));
        if let Some(Err(error)) = noted {
            stage::warn(format!("from here on its output is not in its log: {error}"));
            self.log = None;
        }
    }

    fn tell_all(&mut self, who: impl Fn(&Visitor) -> bool, message: &Message) {
        let packet = message.encode();
        for visitor in self.visitors.iter_mut().filter(|visitor| who(visitor)) {
            visitor.waiting.push_back(packet.clone());
            visitor.send_waiting();
        }
    }

    /// At most as much as a pipe has room for when it has any: then this does not wait.
    fn write_ours(&mut self, stream: Stream) {
        let Some(own) = &mut self.own else { return };
        let (text, fd) = (&mut own[stream as usize], OURS[1 + stream as usize]);
        while !text.is_empty() {
            match await_any(&[Want::Write(fd)], Some(0)) {
                Ok(has_room) if has_room == [true] => {}
                _ => return,
            }
            match write_to(fd, &text[..text.len().min(PIPE_BUF)]) {
                Ok(count) => drop(text.drain(..count)),
                Err(error) if matches!(error.kind(), Interrupted | WouldBlock) => return,
                // The container is to learn that, too. Nobody wants what nobody reads.
                Err(error) => {
                    text.clear();
                    self.ends.close(stream);
                    let wanted = error.kind() != BrokenPipe;
                    self.lose(wanted.then(|| Error::io("our output", &error)));
                    return;
                }
            }
        }
    }

    fn type_ours(&mut self) {
        match read_from(OURS[0]) {
            Ok(Some(bytes)) => {
                let (bytes, leaves) = match &mut self.leave_by {
                    Some(keys) => keys.feed(&bytes),
                    None => (bytes, false),
                };
                self.type_this(&bytes);
                self.is_left |= leaves;
            }
            Err(error) if matches!(error.kind(), Interrupted | WouldBlock) => {}
            _ => self.type_no_more(),
        }
    }

    fn type_this(&mut self, bytes: &[u8]) {
        if self.ends.input.is_some() {
            self.typed.extend(bytes);
            self.pass_typed();
        }
    }

    fn type_no_more(&mut self) {
        self.no_more = true;
        self.pass_typed();
    }

    fn pass_typed(&mut self) {
        while let Some(file) = &self.ends.input {
            let typed = self.typed.make_contiguous();
            if typed.is_empty() {
                break;
            }
            match write_to(file, typed) {
                Ok(count) => drop(self.typed.drain(..count)),
                Err(error) if matches!(error.kind(), Interrupted | WouldBlock) => return,
                // It does not listen any more.
                Err(_) => {
                    self.typed.clear();
                    self.ends.input = None;
                }
            }
        }
        if self.no_more && self.typed.is_empty() {
            self.ends.input = None;
        }
    }

    fn hear(&mut self, number: usize) {
        let message = match socket::receive(&self.visitors[number].socket) {
            Ok(packet) => Message::decode(&packet),
            Err(error) if matches!(error.kind(), Interrupted | WouldBlock) => return,
            Err(_) => None,
        };
        match message {
            Some(Message::Listen) => self.visitors[number].listens = true,
            Some(Message::Typed(bytes)) => self.type_this(&bytes),
            // A visitor's end is not the end of all input.
            Some(Message::NoMore) if self.visitors[number].owns => self.type_no_more(),
            Some(Message::NoMore) => {}
            Some(Message::Resize(size)) => self.resize(size),
            Some(Message::Signal(signal)) => self.asked.push(Asked::Signal(signal)),
            Some(Message::LetEnd) => self.asked.push(Asked::LetEnd),
            Some(Message::Detach) => self.visitors[number].owns = false,
            // Gone, or not one of us.
            _ => self.visitors[number].is_gone = true,
        }
    }
}

impl Visitor {
    fn new(socket: OwnedFd, owns: bool) -> Visitor {
        Visitor { socket, listens: owns, owns, waiting: VecDeque::new(), is_gone: false }
    }

    fn send_waiting(&mut self) {
        while let Some(packet) = self.waiting.front() {
            match socket::send_to(&self.socket, packet) {
                Ok(()) => drop(self.waiting.pop_front()),
                Err(error) if matches!(error.kind(), Interrupted | WouldBlock) => return,
                Err(_) => {
                    self.is_gone = true;
                    self.waiting.clear();
                }
            }
        }
    }
}
