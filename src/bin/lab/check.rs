//! Does a program do what the lesson asks for?
//!
//! The program is a black box, in any language. Its shell is asked from inside, the kernel
//! is asked from outside at the same time, and the host again when all is over. That host
//! is a stand-in (stand_in.rs): a program that goes wrong does the machine no lasting harm.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use fakedocker::{stand_in, sys};
use stage::{Error, Result, tell};

use crate::doctor;
use crate::exercise::{self, Kind};
use crate::lessons::Lesson;
use crate::program::Program;
use crate::progress::{Notes, Refuted};
use crate::questions::{Check, Place, Questions};
use crate::silence::Silence;
use crate::student;
use crate::witness;

/// What is checked.
pub enum Subject {
    /// What stands in the lesson's folder, which is built first.
    Ours(Kind),
    /// A program of the student's, in any language.
    Program(Vec<OsString>),
}

/// Check the `subject`. True if all claims hold.
pub fn check(lesson: &Lesson, subject: Subject, patience: Duration) -> Result<bool> {
    let questions = Questions::read(&lesson.questions())?;
    if !sys::is_root() {
        let error =
            Error::input("a check looks at other processes from outside, as root");
        return Err(error.hint("run it with sudo"));
    }
    doctor::admit(&questions.needs)?;
    // The text that is judged is the one from which the program is built.
    let text = match subject {
        Subject::Ours(Kind::Exercise) => Some(lesson.read(&lesson.exercise())?),
        _ => None,
    };
    let notes = match subject {
        Subject::Ours(Kind::Solution) => None,
        _ => Notes::open(lesson).map_err(stage::warn).ok(),
    };
    let argv = match subject {
        Subject::Ours(kind) => exercise::build(lesson, kind)?,
        Subject::Program(argv) => argv,
    };
    // Where we go we are called otherwise.
    let more = notes.as_ref().map(|_| format!("{} hint {}", student::lab(), lesson.name));
    tell(format!("{} · {}\n", lesson.name, questions.question))?;
    let mut report = examine(&questions, &argv, patience)?;
    report.verdict(&lesson.name, more)?;
    let holds = report.refuted.is_none();
    if let Some(mut notes) = notes {
        match report.refuted {
            Some(refuted) => notes.record.refute(text.as_deref(), refuted),
            None => notes.record.pass(text),
        }
        // We stand in /proc.
        notes.write(Path::new(".")).unwrap_or_else(stage::warn);
    }
    Ok(holds)
}

fn examine(
    questions: &Questions,
    argv: &[OsString],
    patience: Duration,
) -> Result<Report> {
    let here = std::env::current_dir().map_err(|error| Error::io("getcwd", &error))?;
    sys::become_subreaper()?;
    stand_in::enter()?;
    witness::take_position()?;
    witness::prepare(questions.setup.as_deref().unwrap_or_default())?;
    let checks = with_host(&questions.check)?;
    let (later, sooner): (Vec<_>, Vec<_>) =
        checks.into_iter().partition(|(check, _)| check.place == Place::After);

    let mut report = Report::default();
    let program = Program::start(argv, &here, patience)?;
    let stopped = program.stopped();
    interview(program, &sooner, &mut report)?;
    for (check, before) in &later {
        let seen = witness::observe(&check.command, witness::ours());
        // Whoever has pressed Ctrl-C has ended our observer, too: that was no answer.
        stopped.get().map_or(Ok(()), |asked| Err(asked.clone()))?;
        report.seen(check, before, seen)?;
    }
    Ok(report)
}

/// What is asked while the program runs, from its start to its end.
fn interview(
    mut program: Program,
    checks: &[(&Check, String)],
    report: &mut Report,
) -> Result<()> {
    let shell = program.greet();
    program.goes_on()?;
    report.heard("a shell answers on standard input", &shell)?;
    for (check, before) in checks {
        let seen = match (check.place, &shell) {
            (Place::Outside, Ok(pid)) => witness::observe(&check.command, *pid),
            // Without a shell there is nothing to look at, and asking says why.
            _ => program.ask(&check.command),
        };
        program.goes_on()?;
        report.seen(check, before, seen)?;
    }
    let ended = program.end();
    program.goes_on()?;
    report.heard("the program ends when its input ends", &ended)
}

/// Each check with what the host shows now, if the check compares.
fn with_host(checks: &[Check]) -> Result<Vec<(&Check, String)>> {
    let look = |check: &Check| match check.compares() {
        true => witness::observe(&check.command, witness::ours())
            .map_err(|silence| Error::input(silence.why())),
        false => Ok(String::new()),
    };
    checks.iter().map(|check| Ok((check, look(check)?))).collect()
}

/// What came out so far.
#[derive(Default)]
struct Report {
    claims: usize,
    held: usize,
    /// The program has stopped answering.
    silent: bool,
    /// The first claim that does not hold, and what to do about it.
    refuted: Option<Refuted>,
}

impl Report {
    /// Whether the program could be talked to.
    fn heard<T>(&mut self, claim: &str, answer: &Result<T, Silence>) -> Result<()> {
        match answer {
            Ok(_) => self.holds(claim),
            Err(silence) => self.silent(claim, silence),
        }
    }

    fn seen(
        &mut self,
        check: &Check,
        before: &str,
        seen: Result<String, Silence>,
    ) -> Result<()> {
        match seen {
            Ok(seen) if check.holds(&seen, before) => self.holds(&check.claim),
            Ok(seen) => {
                self.refute(&check.claim, check.advice(&seen, before));
                self.claim("✗", &check.claim)
            }
            Err(silence) => self.silent(&check.claim, &silence),
        }
    }

    fn holds(&mut self, claim: &str) -> Result<()> {
        self.held += 1;
        self.claim("✓", claim)
    }

    /// A program that does not answer one question answers none after it: only the first
    /// is held against it, the others were not asked.
    fn silent(&mut self, claim: &str, silence: &Silence) -> Result<()> {
        if std::mem::replace(&mut self.silent, true) {
            return self.claim("○", claim);
        }
        self.refute(claim, silence.hints.clone());
        self.claim("✗", claim)?;
        silence.last_words.iter().try_for_each(|line| tell(format!("  | {line}")))
    }

    fn claim(&mut self, mark: &str, claim: &str) -> Result<()> {
        self.claims += 1;
        tell(format!("{mark} {claim}"))
    }

    fn refute(&mut self, claim: &str, hints: Vec<String>) {
        self.refuted.get_or_insert_with(|| Refuted { hints, ..Refuted::of(claim) });
    }

    /// All in all; the command that tells `more` than the first hint.
    fn verdict(&mut self, lesson: &str, more: Option<String>) -> Result<()> {
        let (held, claims) = (self.held, self.claims);
        let Some(refuted) = &mut self.refuted else {
            return tell(format!("\n✓ {lesson}: all {claims} claims hold"));
        };
        (refuted.held, refuted.claims) = (held, claims);
        let hint = refuted.hints.first().map_or("", |hint| hint);
        tell(format!("\nhint: {hint}"))?;
        if let Some(more) = more.filter(|_| refuted.hints.len() > 1) {
            tell(format!("more: {more}"))?;
        }
        tell(format!("✗ {lesson}: {held} of {claims} claims hold"))
    }
}
