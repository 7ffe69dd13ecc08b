//! How does a program say what it does, while it does it?
//!
//! [`Stage::ask`] asks the kernel and says so in one expression, in strace's words. A test
//! runs every demonstration under strace and compares: a narration that lies fails.

use std::cell::{Cell, OnceCell};
use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::{Pid, write};

use crate::colour::paint;
use crate::error::describe;
use crate::json::object;
use crate::signals::{self, Signals};
use crate::streams::Streams;
use crate::{Error, Evidence, Flags, Result, Verdict};

/// Where a program speaks, and in what form.
pub struct Stage {
    voice: Voice,
    narrates: bool,
    steps: bool,
    /// Why nobody can read us any more: then the next request is not made.
    unheard: Cell<Option<Errno>>,
    /// Where we speak, if not on standard output and error any more.
    pub(crate) streams: OnceCell<Streams>,
    pub(crate) signals: Signals,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Voice {
    /// Lines for people on standard output.
    Lesson,
    /// JSON lines on standard output.
    Json,
    /// Lines for people on standard error.
    Explain,
    /// Nothing at all.
    Silent,
}

/// What the kernel's answer looks like in strace.
pub trait Answer {
    /// The text behind the `=`.
    fn answer(&self) -> String;
}

impl Answer for () {
    fn answer(&self) -> String {
        "0".to_string()
    }
}

impl Answer for i32 {
    fn answer(&self) -> String {
        self.to_string()
    }
}

/// How many bytes.
impl Answer for usize {
    fn answer(&self) -> String {
        self.to_string()
    }
}

impl Answer for Pid {
    fn answer(&self) -> String {
        self.to_string()
    }
}

/// A descriptor carries the path of what it stands for, as under `strace -y`.
impl Answer for OwnedFd {
    fn answer(&self) -> String {
        descriptor(self)
    }
}

/// A descriptor as `strace -y` shows it: `3</etc>`.
pub fn descriptor(fd: &impl AsFd) -> String {
    let number = fd.as_fd().as_raw_fd();
    match std::fs::read_link(format!("/proc/self/fd/{number}")) {
        Ok(path) => format!("{number}<{}>", path.display()),
        Err(_) => number.to_string(),
    }
}

impl Stage {
    /// The stage of a lesson: speaks on standard output, as the flags say.
    pub fn of_lesson(flags: &Flags) -> Result<Stage> {
        let voice = if flags.json { Voice::Json } else { Voice::Lesson };
        let steps = flags.step && io::stdin().is_terminal();
        Stage::open(voice, !flags.quiet, steps, &signals::TO_STOP)
    }

    /// The stage of the engine: speaks on standard error, or not at all.
    pub fn of_engine(explain: bool) -> Result<Stage> {
        let voice = if explain { Voice::Explain } else { Voice::Silent };
        Stage::open(voice, explain, false, &signals::TO_PASS_ON)
    }

    /// A descriptor that can be read when [`Stage::next_signal`] has one.
    pub fn signals(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }

    /// The next signal that has arrived for us, if any.
    pub fn next_signal(&self) -> Option<Signal> {
        self.signals.next().map(|(signal, _)| signal)
    }

    /// Whether somebody has asked us to stop; other signals are passed over.
    pub fn is_asked_to_stop(&self) -> bool {
        let mut signals = std::iter::from_fn(|| self.next_signal());
        signals.any(|signal| signals::TO_STOP.contains(&signal))
    }

    fn open(
        voice: Voice,
        narrates: bool,
        steps: bool,
        watched: &[Signal],
    ) -> Result<Stage> {
        let terminal = match voice {
            Voice::Explain => io::stderr().is_terminal(),
            _ => io::stdout().is_terminal(),
        };
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        colored::control::set_override(terminal && wanted);
        Ok(Stage {
            voice,
            narrates,
            steps,
            unheard: Cell::new(None),
            streams: OnceCell::new(),
            signals: Signals::watch(watched)?,
        })
    }

    /// Ask the kernel for something that it is expected to grant, and say so. `call` reads
    /// as in strace; `request` makes exactly that call.
    pub fn ask<T: Answer>(
        &self,
        call: impl Display,
        request: impl FnOnce() -> nix::Result<T>,
    ) -> Result<T> {
        let answer = self.attempt(&call, request)?;
        answer.map_err(|errno| Error::call(call, errno))
    }

    /// Ask the kernel for something that it may refuse: the refusal is an answer, too.
    pub fn attempt<T: Answer>(
        &self,
        call: impl Display,
        request: impl FnOnce() -> nix::Result<T>,
    ) -> Result<nix::Result<T>> {
        self.before(&call)?;
        let answer = request();
        self.after(&call, &answer)?;
        Ok(answer)
    }

    /// Say that `call` is about to be made: for a call that does not return when it succeeds.
    pub fn announce(&self, call: &str) -> Result<()> {
        self.before(call)?;
        if self.narrates {
            self.narrate(call, "");
        }
        self.is_heard()
    }

    /// What comes before every request: nobody to hear it is a reason not to make it.
    pub(crate) fn before(&self, call: impl Display) -> Result<()> {
        self.is_heard()?;
        if self.steps { self.wait_for_enter(call) } else { Ok(()) }
    }

    /// What comes after every request: the line that tells it.
    pub(crate) fn after<T: Answer>(
        &self,
        call: impl Display,
        answer: &nix::Result<T>,
    ) -> Result<()> {
        if self.narrates {
            let result = match answer {
                Ok(value) => value.answer(),
                Err(errno) => format!("-1 {}", describe(*errno)),
            };
            self.narrate(&call.to_string(), &result);
        }
        self.is_heard()
    }

    fn narrate(&self, call: &str, result: &str) {
        if self.voice == Voice::Json {
            let fields = [("event", "request"), ("call", call), ("result", result)];
            return self.line(&object(&fields));
        }
        let equals = if result.is_empty() { "" } else { " = " };
        self.line(&format!("  → kernel   {call}{equals}{result}"));
    }

    /// Look at the machine as `who`: each fact is shown as it is seen.
    pub fn look(&self, who: &str) -> Look<'_> {
        Look { stage: self, who: who.to_string(), seen: Evidence::default() }
    }

    /// An aside for the person: what to do now, or what just happened.
    pub fn note(&self, text: &str) {
        match self.voice {
            Voice::Json => self.line(&object(&[("event", "note"), ("text", text)])),
            _ if self.narrates => self.line(&format!("  ({text})")),
            _ => {}
        }
    }

    /// A note that is needed also where nothing else is said: somebody waits for an effect.
    pub(crate) fn urge(&self, text: &str) {
        match self.voice {
            Voice::Silent => crate::warn(text),
            _ => self.note(text),
        }
    }

    /// An empty line between parts.
    pub fn gap(&self) {
        if matches!(self.voice, Voice::Lesson) && self.narrates {
            self.line("");
        }
    }

    pub(crate) fn title(&self, lesson: &str, question: &str) {
        match self.voice {
            Voice::Json => {
                let fields =
                    [("event", "lesson"), ("name", lesson), ("question", question)];
                self.line(&object(&fields));
            }
            _ if self.narrates => self.line(&format!("{lesson} · {question}")),
            _ => {}
        }
    }

    pub(crate) fn verdict(&self, verdict: &Verdict) {
        if self.voice == Voice::Json {
            return self.line(&crate::json::verdict(verdict));
        }
        for check in verdict.checks.iter().filter(|check| !check.holds) {
            let (what, predicted) = (&check.what, &check.predicted);
            let observed = &check.observed;
            self.line(&format!("✗ {what}: expected {predicted}; saw {observed}"));
        }
        for skipped in &verdict.skipped {
            self.line(&format!("○ not tried: {skipped}"));
        }
        let claim = &verdict.claim;
        if verdict.untried() {
            return;
        }
        if verdict.proved() {
            self.line(&format!("✓ {claim}"));
        } else {
            self.line(&format!("✗ not proved: {claim}"));
        }
    }

    /// Whether standard output carries events, one a line.
    pub(crate) fn speaks_json(&self) -> bool {
        self.voice == Voice::Json
    }

    /// Whether standard output is for people.
    pub(crate) fn speaks_to_people(&self) -> bool {
        self.voice == Voice::Lesson
    }

    /// Fails if nobody can read what we say: then there is no reason to go on.
    pub(crate) fn is_heard(&self) -> Result<()> {
        let unheard = self.unheard.get().map(|errno| Error::call("write", errno));
        unheard.map_or(Ok(()), Err)
    }

    /// One line, one write(2): lines of several processes never mix, and strace sees each
    /// narrated line as one record.
    pub(crate) fn line(&self, text: &str) {
        let text = if self.speaks_json() { text.to_string() } else { paint(text) };
        let bytes = format!("{text}\n").into_bytes();
        let written = match self.voice {
            Voice::Lesson | Voice::Json => self.on_output(|to| write_all(to, &bytes)),
            Voice::Explain => self.on_error(|to| write_all(to, &bytes)),
            Voice::Silent => Ok(()),
        };
        // Whatever the reason (EPIPE, ENOSPC, EIO), we are no longer heard.
        if let Err(errno) = written {
            self.unheard.set(Some(errno));
        }
    }
}

pub(crate) fn write_all(to: impl AsFd, mut bytes: &[u8]) -> nix::Result<()> {
    while !bytes.is_empty() {
        match write(&to, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// A look in progress: facts are shown and kept.
pub struct Look<'s> {
    stage: &'s Stage,
    who: String,
    seen: Evidence,
}

impl Look<'_> {
    /// One fact.
    pub fn fact(mut self, name: &str, value: impl Display) -> Self {
        let value = value.to_string();
        match self.stage.voice {
            Voice::Json => {
                let fields = [
                    ("event", "evidence"),
                    ("who", &self.who),
                    ("what", name),
                    ("value", &value),
                ];
                self.stage.line(&object(&fields));
            }
            _ => self.stage.line(&format!("  {:<10} {name:<10} {value}", self.who)),
        }
        self.seen.record(name, value);
        self
    }

    /// Everything that was seen.
    pub fn end(self) -> Evidence {
        self.seen
    }
}

/// A line on standard output.
pub(crate) fn say(text: impl Display) -> Result<()> {
    let line = format!("{text}\n");
    write_all(io::stdout(), line.as_bytes()).map_err(|errno| Error::call("write", errno))
}

/// A line on standard error.
pub(crate) fn remark(text: impl Display) {
    // With standard error gone, there is nobody to tell.
    write_all(io::stderr(), format!("{text}\n").as_bytes()).ok();
}

/// A line on standard error: `error: …`, `hint: …` or `warning: …`.
pub(crate) fn complain(label: &str, text: impl Display) {
    let line = paint(&format!("{label}: {text}")) + "\n";
    // With standard error gone, the exit status has to say it.
    write_all(io::stderr(), line.as_bytes()).ok();
}
