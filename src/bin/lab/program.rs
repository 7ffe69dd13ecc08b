//! How do we talk to a program that we did not write?
//!
//! Through the shell that it starts: we type a question, and the answer stands between
//! two marks that nobody else can know. It may say what it likes besides, never answer,
//! write without end, end at once or leave processes behind: everything is waited for with
//! a deadline, and in the end nothing of it is left.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};
use std::mem::replace;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread::Builder;
use std::time::{Duration, Instant};

use fakedocker::{disk, sys, sys::stop};
use stage::{Error, Result};

use crate::silence::Silence;
use crate::witness;

/// More than that is no answer to any question, in bytes.
const FLOOD: usize = 1 << 20;

/// Whoever waits for longer wants to know for what.
const A_MOMENT: Duration = Duration::from_secs(1);

/// As many of its last words are kept, in bytes.
const WORDS: usize = 4096;

/// A student's program that is running, with a shell that waits for questions.
pub struct Program {
    input: Option<ChildStdin>,
    events: Receiver<Event>,
    patience: Duration,
    mark: String,
    asked: usize,
    /// What it wrote to standard output since the last question.
    heard: Vec<u8>,
    /// The end of what it wrote to standard error.
    words: Vec<u8>,
    open_pipes: usize,
    ended: Option<String>,
    /// Who has asked us to stop, if somebody has.
    stopped: Arc<OnceLock<Error>>,
    silence: Option<Silence>,
    /// Whoever looks on knows that we wait.
    is_told: bool,
}

/// What can happen while we wait.
enum Event {
    Output(Vec<u8>),
    Words(Vec<u8>),
    /// Nobody can write any more.
    Closed,
    Ended(String),
    /// Somebody has asked us to stop.
    Stop,
}

impl Program {
    /// Start `argv` in `folder` with a pipe to its standard input and two from its outputs.
    pub fn start(
        argv: &[OsString],
        folder: &Path,
        patience: Duration,
    ) -> Result<Program> {
        // What nobody takes out is not read in, either: a flood waits in the pipe.
        let (tell, events) = sync_channel(16);
        let stopped = Arc::new(OnceLock::new());
        let (asked, wake) = (stopped.clone(), tell.clone());
        stop::on_stop(move |error| {
            asked.set(error).ok();
            wake.send(Event::Stop).ok();
        })?;
        // All who listen are there before it: one that forks without end leaves no room.
        let outputs = listener(Event::Output, tell.clone())?;
        let words = listener(Event::Words, tell.clone())?;
        let end = ready(move |mut child: Child| {
            let how = child.wait();
            let how = how.map_or_else(|error| error.to_string(), |how| how.to_string());
            tell.send(Event::Ended(how)).ok();
        })?;
        let mut child = spawn(argv, folder)?;
        let input = child.stdin.take();
        outputs.send(child.stdout.take()).ok();
        words.send(child.stderr.take()).ok();
        end.send(child).ok();
        Ok(Program {
            input,
            events,
            patience,
            // A word that a program cannot write by chance.
            mark: format!("lab{}", disk::random_id(8)?),
            asked: 0,
            heard: Vec::new(),
            words: Vec::new(),
            open_pipes: 2,
            ended: None,
            stopped,
            silence: None,
            is_told: false,
        })
    }

    /// See whether a shell answers: its PID on the host.
    pub fn greet(&mut self) -> Result<i32, Silence> {
        let mut answer = self.ask("echo $$")?;
        if answer.parse::<i32>().is_err() {
            // An echo may have come into the midst of it.
            answer = self.ask("echo $$")?;
        }
        let pipe = self.input.as_ref().map(AsRawFd::as_raw_fd).and_then(witness::pipe);
        let shell =
            answer.parse().ok().and_then(|pid| witness::shell(pid, pipe.as_deref()));
        shell.ok_or_else(|| self.fall_silent(Silence::stranger(&answer)))
    }

    /// Type `command` into the shell: what it printed, errors included, trimmed.
    pub fn ask(&mut self, command: &str) -> Result<String, Silence> {
        if let Some(silence) = &self.silence {
            return Err(silence.clone());
        }
        self.asked += 1;
        let [begin, end] = ["begin", "end"].map(|part| format!("{part}-{}", self.asked));
        let mark = &self.mark;
        // In two pieces: a shell that echoes what it reads does not write the whole mark.
        let print = |part: &str| format!("printf '\\n%s%s\\n' {mark} {part}");
        // The program may have cleared the environment.
        let lab = witness::LAB;
        let question = format!(
            "{}; {{ LAB={lab}; {command}\n}} 2>&1; {}\n",
            print(&begin),
            print(&end)
        );
        let marks = [begin, end].map(|part| format!("\n{mark}{part}\n"));
        self.heard.clear();
        if let Some(input) = &mut self.input {
            // When nobody reads it, nobody answers, and that is what we notice.
            input.write_all(question.as_bytes()).ok();
        }
        let answer = self.hear(&marks)?;
        Ok(without_echo(&answer, &self.mark, command))
    }

    fn hear(&mut self, [begin, end]: &[String; 2]) -> Result<String, Silence> {
        let deadline = Instant::now() + self.patience;
        loop {
            // A terminal, which the shell may be on, ends a line with two characters.
            let heard = String::from_utf8_lossy(&self.heard).replace("\r\n", "\n");
            let answer =
                heard.split_once(begin).and_then(|(_, rest)| rest.split_once(end));
            if let Some((answer, _)) = answer {
                return Ok(answer.to_string());
            }
            if heard.len() > FLOOD {
                return Err(self.fall_silent(Silence::flood()));
            }
            if !self.await_event(deadline) {
                let why = Silence::no_shell(self.why_no_answer(), self.last_words());
                return Err(self.fall_silent(why));
            }
        }
    }

    fn why_no_answer(&self) -> String {
        let seconds = self.patience.as_secs();
        match &self.ended {
            Some(how) if self.open_pipes == 0 => {
                format!("the program ended ({how}) before a shell answered")
            }
            Some(how) => format!("no answer in {seconds} s; the program ended ({how})"),
            None => format!(
                "no answer in {seconds} s: the program must start a shell that reads its \
                 standard input"
            ),
        }
    }

    fn fall_silent(&mut self, silence: Silence) -> Silence {
        self.silence = Some(silence.clone());
        silence
    }

    /// The last lines that it wrote to standard error.
    fn last_words(&self) -> Vec<String> {
        let words = String::from_utf8_lossy(&self.words);
        let mut last: Vec<String> =
            words.lines().rev().take(3).map(String::from).collect();
        last.reverse();
        last
    }

    /// Where it stands that somebody has asked us to stop, also when the program has ended.
    pub fn stopped(&self) -> Arc<OnceLock<Error>> {
        self.stopped.clone()
    }

    /// An error, if somebody has asked us to stop.
    pub fn goes_on(&self) -> Result<()> {
        self.stopped.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Close its standard input and wait until all of it has ended.
    pub fn end(&mut self) -> Result<(), Silence> {
        if let Some(silence) = &self.silence {
            return Err(silence.clone());
        }
        self.input = None;
        let deadline = Instant::now() + self.patience;
        while self.await_event(deadline) {
            self.heard.clear();
        }
        match &self.ended {
            Some(_) if self.open_pipes == 0 => Ok(()),
            _ => Err(self.fall_silent(Silence::lingers(self.patience.as_secs()))),
        }
    }

    /// Take in the next event. False if none came in time, or none can come any more.
    fn await_event(&mut self, deadline: Instant) -> bool {
        if self.ended.is_some() && self.open_pipes == 0 {
            return false;
        }
        match self.next(deadline) {
            Ok(Event::Output(bytes)) => self.heard.extend(bytes),
            Ok(Event::Words(bytes)) => {
                self.words.extend(bytes);
                let too_many = self.words.len().saturating_sub(WORDS);
                self.words.drain(..too_many);
            }
            Ok(Event::Closed) => self.open_pipes -= 1,
            Ok(Event::Ended(how)) => self.ended = Some(how),
            Ok(Event::Stop) | Err(_) => return false,
        }
        Instant::now() < deadline
    }

    /// The next event, if one comes in time. On a terminal, who has to wait is told so, once.
    fn next(&mut self, deadline: Instant) -> Result<Event, RecvTimeoutError> {
        let left = || deadline.saturating_duration_since(Instant::now());
        let event = self.events.recv_timeout(left().min(A_MOMENT));
        if !matches!(event, Err(RecvTimeoutError::Timeout)) || left().is_zero() {
            return event;
        }
        if !replace(&mut self.is_told, true) && io::stderr().is_terminal() {
            stage::remark(format!(
                "waiting for an answer, for up to {} s ...",
                self.patience.as_secs()
            ));
        }
        self.events.recv_timeout(left())
    }
}

/// Nothing that the program started outlives it, wherever it went: we are the subreaper.
impl Drop for Program {
    fn drop(&mut self) {
        // Who starts others as fast as we end them would never come to an end. When all are
        // held, nobody starts anything.
        let mut held = BTreeSet::new();
        loop {
            let others = witness::descendants().into_iter();
            let new: Vec<i32> = others.filter(|pid| held.insert(*pid)).collect();
            if new.is_empty() {
                break;
            }
            new.into_iter().for_each(stop::hold);
        }
        loop {
            for pid in witness::descendants() {
                // What cannot be killed is not ours, and not a child to wait for below.
                sys::kill(pid).ok();
            }
            if !sys::wait_for_any_child() {
                return;
            }
        }
    }
}

/// `answer`, trimmed, without what a terminal has echoed of our questions. If the shell does not
/// write to that terminal itself, the echo comes at any time, also in between.
fn without_echo(answer: &str, mark: &str, command: &str) -> String {
    let is_echo =
        |line: &str| line.contains(mark) || command.lines().any(|it| it == line);
    if !answer.contains(mark) {
        return answer.trim().to_string();
    }
    let own: Vec<&str> = answer.lines().filter(|line| !is_echo(line)).collect();
    own.join("\n").trim().to_string()
}

fn spawn(argv: &[OsString], folder: &Path) -> Result<Child> {
    let (name, args) =
        argv.split_first().ok_or_else(|| Error::input("no program to check"))?;
    let mut command = Command::new(name);
    command.args(args).current_dir(folder).env("LAB", witness::LAB);
    // The last words of a program that panics are its reason, not where it stood.
    command.env("RUST_BACKTRACE", "0");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    stop::hears_all(sys::end_with_us(&mut command)).spawn().map_err(|error| {
        Error::io(name.display(), &error)
            .hint("after `--` stands a program to start, as in `-- ./my-program`")
    })
}

/// A thread that passes on what arrives on the pipe that it will be given, until its end.
fn listener<P: Read + Send + 'static>(
    event: fn(Vec<u8>) -> Event,
    tell: SyncSender<Event>,
) -> Result<SyncSender<Option<P>>> {
    ready(move |mut pipe: Option<P>| {
        let mut bytes = vec![0; 1 << 16];
        while let Some(count) = pipe.as_mut().and_then(|pipe| pipe.read(&mut bytes).ok())
        {
            if count == 0 || tell.send(event(bytes[..count].to_vec())).is_err() {
                break;
            }
        }
        tell.send(Event::Closed).ok();
    })
}

/// A thread that does `work` on what it will be given. If that never comes, it ends.
fn ready<T: Send + 'static>(
    work: impl FnOnce(T) + Send + 'static,
) -> Result<SyncSender<T>> {
    let (give, given) = sync_channel(1);
    let started = Builder::new().spawn(move || given.recv().map(work));
    started.map_err(|error| Error::io("clone3", &error))?;
    Ok(give)
}
