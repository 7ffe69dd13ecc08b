//! What is left when a command goes wrong at one point, and what was said?

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Child;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::cases::{Case, NOTHING};
use crate::support::engine::{Ending, Engine, Store};
use crate::support::faults::point::{Fault, Point};
use crate::support::faults::tracer::{Made, Played, play};
use crate::support::machine::{Machine, undisturbed};
use crate::support::processes::MARK;
use crate::support::rootfs::tiny;
use crate::support::wait::until;

/// What was wrong at a point.
pub struct Wrong {
    pub kind: &'static str,
    pub what: String,
}

impl Wrong {
    fn new(kind: &'static str, what: impl Into<String>) -> Wrong {
        Wrong { kind, what: what.into() }
    }
}

/// The engine of a container that runs until it is let go.
struct Guest(Child);

impl Drop for Guest {
    fn drop(&mut self) {
        let pid = Pid::from_raw(self.0.id().cast_signed());
        kill(pid, Signal::SIGTERM).expect("it is not waited for yet");
        self.0.wait().expect("it was asked to end");
    }
}

/// A case that is about to be tried.
pub struct Trial<'c> {
    case: &'c Case,
    _guests: Vec<Guest>,
    store: Store,
    registry: &'c str,
    machine: Machine,
    contents: BTreeSet<PathBuf>,
}

impl<'c> Trial<'c> {
    pub fn new(case: &'c Case, registry: &'c str) -> Trial<'c> {
        let store = Store::with("tiny", &tiny());
        let (machine, contents) = (Machine::look(), BTreeSet::new());
        let _guests = Vec::new();
        let mut trial = Trial { case, _guests, store, registry, machine, contents };
        for line in case.given {
            match line.strip_prefix("& ") {
                Some(line) => trial._guests.push(trial.start(line)),
                None => drop(trial.run(line).assert_status(0)),
            }
        }
        // What is made once and stays, such as a lock's file, is there from now on.
        trial.prepare();
        trial.play(None);
        trial.run(case.then).assert_status(0);
        trial.tidy();
        (trial.machine, trial.contents) = (Machine::look(), trial.store.contents());
        trial
    }

    fn engine(&self, line: &str) -> Engine {
        let line = line.replace("MARK", MARK).replace("REGISTRY", self.registry);
        self.store.engine(&line.split(' ').collect::<Vec<_>>())
    }

    fn run(&self, line: &str) -> Ending {
        self.engine(line).end()
    }

    /// Start a container that runs on; it is called box.
    fn start(&self, line: &str) -> Guest {
        let guest = Guest(self.engine(line).start());
        until("a container that runs", || {
            (self.run("exec box true").status == Some(0)).then_some(())
        });
        guest
    }

    fn prepare(&self) {
        for line in self.case.before {
            self.run(line).assert_status(0);
        }
    }

    fn play(&self, wrong: Option<&Point>) -> Played {
        let engine = self.engine(self.case.command);
        play(engine.command(), wrong.map(|point| (&point.moment, point.fault)))
    }

    /// Any command takes away what was left. It may fail: there may be nothing.
    fn tidy(&self) {
        self.run("ps -a");
        for line in self.case.after {
            self.run(line);
        }
    }

    /// All calls of an undisturbed run.
    pub fn record(&self) -> Vec<Made> {
        self.prepare();
        let played = self.play(None);
        assert_eq!(played.status, Some(0), "{played:#?}");
        self.tidy();
        played.calls
    }

    /// Whether the command came to `point`, and what was wrong.
    pub fn try_at(&self, point: &Point) -> (bool, Vec<Wrong>) {
        self.prepare();
        let played = self.play(Some(point));
        let mut wrong = Vec::new();
        if played.reached {
            wrong.extend(judge(self.case, point, &played).err());
        }
        if played.status == Some(0) {
            let ending = self.run(self.case.then);
            if ending.status != Some(0) {
                wrong.push(Wrong::new("wrong", format!("it did well, but: {ending:?}")));
            }
        }
        self.run("ps -a");
        wrong.extend(self.half_made());
        self.tidy();
        wrong.extend(self.look());
        let again = self.run(NOTHING.then);
        if again.status != Some(0) {
            wrong.push(Wrong::new("broken", format!("afterwards: {again:?}")));
        }
        (played.reached, wrong)
    }

    /// What the next command has not taken back, before anybody removes the container: if it does
    /// not run, nothing of it is on the machine, and it is whole or not there.
    fn half_made(&self) -> Vec<Wrong> {
        let state = self.run("inspect -f {{.State.Status}} box");
        let lines = match (state.status, state.out.trim_end()) {
            (Some(0), "running") => Vec::new(),
            (Some(0), "created" | "exited") | (Some(1), "") => {
                self.machine.changes_that_stay(&Machine::kinds())
            }
            _ => vec![format!("half a container: {state:?}")],
        };
        lines.into_iter().map(|line| Wrong::new("left", line)).collect()
    }

    /// What is left.
    fn look(&self) -> Vec<Wrong> {
        let mut lines = self.machine.changes_that_stay(&Machine::kinds());
        let mut now = self.store.contents();
        // The one before it, when what happens has become long.
        now.remove(&self.store.path().join("events.1"));
        let path = |sign, path: &PathBuf| format!("{sign} {}", path.display());
        lines.extend(self.contents.difference(&now).map(|it| path('-', it)));
        lines.extend(now.difference(&self.contents).map(|it| path('+', it)));
        lines.into_iter().map(|line| Wrong::new("left", line)).collect()
    }
}

/// What it said and how it ended.
fn judge(case: &Case, point: &Point, played: &Played) -> Result<(), Wrong> {
    let Played { status, out, err, .. } = played;
    let told = || format!("{status:?}: {err:?} {out:?}");
    if played.hung {
        return Err(Wrong::new("hung", told()));
    }
    if point.fault == Fault::Kill && status.is_none() {
        // It was the engine, or a thread of it.
        return Ok(());
    }
    if err.contains("panicked") || status.is_none_or(|it| it == 101) {
        return Err(Wrong::new("panicked", told()));
    }
    let begins = |begin: &[&str]| {
        err.lines().filter(|line| begin.iter().any(|it| line.starts_with(it))).count()
    };
    let (errors, known) =
        (begins(&["error: "]), begins(&["error: ", "hint: ", "warning: "]));
    let is_right = match status {
        Some(0) => errors == 0 && out.starts_with(case.says),
        // That somebody was killed may be all that there is to say.
        Some(137) if point.fault == Fault::Kill => errors <= 1,
        _ => errors == 1,
    };
    match is_right && known == err.lines().count() {
        true => Ok(()),
        false => Err(Wrong::new("unclear", told())),
    }
}

#[test]
fn what_is_left_is_found() {
    undisturbed(|| {
        let leaves = Case { command: "create --network none tiny true", ..NOTHING };
        let trial = Trial::new(&leaves, "");
        let point = "create:fail:child9:read:1".parse().expect("it is a point");
        let (reached, wrong) = trial.try_at(&point);
        assert!(!reached, "there is no such child");
        let names: Vec<_> = wrong.iter().map(|it| (it.kind, it.what.as_str())).collect();
        let found =
            |end: &str| names.iter().any(|it| it.0 == "left" && it.1.ends_with(end));
        assert!(found("/config.json") && found("/state.json"), "{names:?}");
    });
}

#[test]
fn a_call_that_fails_is_told_and_one_that_is_killed_says_nothing() {
    undisturbed(|| {
        let case = Case { command: "images -q", ..NOTHING };
        let trial = Trial::new(&case, "");
        let told = |point: &str| {
            let played = trial.play(Some(&point.parse().expect("it is a point")));
            assert!(played.reached, "{point}");
            (played.status, played.err)
        };
        let (status, err) = told("images:fail:engine:flock:1");
        assert!(status == Some(1) && err.contains("ENOLCK"), "{status:?} {err}");
        assert_eq!(told("images:kill:engine:flock:1"), (None, String::new()));
    });
}
