//! What if a command goes wrong at any one of its system calls?
//!
//! Each point of a recorded run is tried: a process of the engine's is killed there, or the call
//! fails. Then comes one ordinary command, and the machine and the store must be as before, and
//! good for another container. A failing call ends in one line, or does no harm to the result.
//!
//! An ordinary run of the tests takes some points of each command, evenly spread.
//! FAKEDOCKER_FAULTS=all tries all; `FAKEDOCKER_FAULTS='rm'` all of one command, and
//! `FAKEDOCKER_FAULTS='rm:kill:engine:openat:17'` only this one. FAKEDOCKER_FAULTS_START says
//! with which point to begin.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::{Write, stderr};
use std::path::PathBuf;
use std::process::Child;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::engine::{Ending, Engine, Store};
use crate::support::faults::calls::Failure;
use crate::support::faults::point::{Fault, Point};
use crate::support::faults::tracer::{Made, Played, play};
use crate::support::machine::{Machine, undisturbed};
use crate::support::processes::MARK;
use crate::support::registry::Real;
use crate::support::rootfs::tiny;
use crate::support::site::Site;
use crate::support::wait::until;

/// How many points of each command and each kind an ordinary run tries.
const SAMPLE: usize = 10;

/// A command, and what belongs to it. Each line is a command line of the engine's.
#[derive(Default)]
struct Case {
    name: &'static str,
    /// Once, before all points: nothing of it may change.
    given: &'static [&'static str],
    /// Before each point.
    before: &'static [&'static str],
    command: &'static str,
    /// What the command says if it does well.
    says: &'static str,
    /// What must then be possible.
    then: &'static str,
    /// Takes away what may be there after it, done or not: then it must be as before.
    after: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "run --rm",
        command: "run --rm --network none -e MARK tiny echo well",
        says: "well\n",
        ..NOTHING
    },
    Case {
        name: "run --rm, bridge",
        command: "run --rm -e MARK tiny echo well",
        says: "well\n",
        ..NOTHING
    },
    Case {
        name: "rm",
        before: &["run --network none --name box tiny true"],
        command: "rm box",
        says: "box\n",
        then: "run --rm --network none --name box tiny true",
        after: &["rm box"],
        ..NOTHING
    },
    Case {
        name: "run -d",
        command: "run -d --network none --name box tiny true",
        then: "logs box",
        after: &["rm -f box"],
        ..NOTHING
    },
    Case {
        name: "start",
        before: &["create --network none --name box tiny true"],
        command: "start box",
        says: "box\n",
        then: "logs box",
        after: &["rm -f box"],
        ..NOTHING
    },
    Case {
        name: "stop",
        before: &["run -d --network none --name box -e MARK tiny tail -f /dev/null"],
        command: "stop -t 0 box",
        says: "box\n",
        then: "rm box",
        after: &["rm -f box"],
        ..NOTHING
    },
    Case {
        name: "rm -f",
        before: &["run -d --network none --name box -e MARK tiny tail -f /dev/null"],
        command: "rm -f box",
        says: "box\n",
        then: "run --rm --network none --name box tiny true",
        after: &["rm -f box"],
        ..NOTHING
    },
    Case {
        name: "exec",
        given: &["& run --network none --name box -e MARK tiny tail -f /dev/null"],
        command: "exec box echo well",
        says: "well\n",
        then: "exec box true",
        ..NOTHING
    },
    Case {
        name: "pull",
        given: &[
            "run --network none --name box tiny touch /new",
            "commit box REGISTRY/new",
            "rm box",
            "push REGISTRY/new",
            "rmi REGISTRY/new",
        ],
        command: "pull -q REGISTRY/new",
        then: "run --rm --network none REGISTRY/new cat /new",
        // What has arrived may stay, for the next pull.
        after: &["pull -q REGISTRY/new", "rmi REGISTRY/new"],
        ..NOTHING
    },
    Case {
        name: "commit",
        given: &["run --network none --name box tiny touch /new"],
        command: "commit box new",
        then: "run --rm --network none new cat /new",
        after: &["rmi new"],
        ..NOTHING
    },
];

const NOTHING: Case = Case {
    name: "",
    given: &[],
    before: &[],
    command: "",
    says: "",
    then: "run --rm --network none tiny true",
    after: &[],
};

/// What was wrong at a point.
struct Wrong {
    kind: &'static str,
    what: String,
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
struct Trial<'c> {
    case: &'c Case,
    _guests: Vec<Guest>,
    store: Store,
    registry: &'c str,
    machine: Machine,
    contents: BTreeSet<PathBuf>,
}

impl<'c> Trial<'c> {
    fn new(case: &'c Case, registry: &'c str) -> Trial<'c> {
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

    fn words<'w>(&'w self, line: &'w str) -> Vec<String> {
        let line = line.replace("MARK", MARK).replace("REGISTRY", self.registry);
        line.split(' ').map(String::from).collect()
    }

    fn engine(&self, line: &str) -> Engine {
        let words = self.words(line);
        self.store.engine(&words.iter().map(String::as_str).collect::<Vec<_>>())
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
    fn record(&self) -> Vec<Made> {
        self.prepare();
        let played = self.play(None);
        assert_eq!(played.status, Some(0), "{played:#?}");
        self.tidy();
        played.calls
    }

    /// Whether the command came to `point`, and what was wrong.
    fn try_at(&self, point: &Point) -> (bool, Vec<Wrong>) {
        self.prepare();
        let played = self.play(Some(point));
        let mut wrong = Vec::new();
        if played.reached {
            wrong.extend(self.judge(point, &played).err());
        }
        if played.status == Some(0) {
            let ending = self.run(self.case.then);
            if ending.status != Some(0) {
                wrong.push(Wrong::new("wrong", format!("it did well, but: {ending:?}")));
            }
        }
        self.tidy();
        wrong.extend(self.look());
        let again = self.run(NOTHING.then);
        if again.status != Some(0) {
            wrong.push(Wrong::new("broken", format!("afterwards: {again:?}")));
        }
        (played.reached, wrong)
    }

    /// What it said and how it ended.
    fn judge(&self, point: &Point, played: &Played) -> Result<(), Wrong> {
        if played.hung {
            return Err(Wrong::new("hung", format!("{:?}", played.err)));
        }
        if point.fault == Fault::Kill && played.status.is_none() {
            // It was the engine, or a thread of it.
            return Ok(());
        }
        let told = || format!("{:?}: {:?}", played.status, played.err);
        if played.err.contains("panicked") || played.status.is_none_or(|it| it == 101) {
            return Err(Wrong::new("panicked", told()));
        }
        let begins = |begin: &[&str]| {
            let lines = played.err.lines();
            lines.filter(|line| begin.iter().any(|it| line.starts_with(it))).count()
        };
        let (errors, known) =
            (begins(&["error: "]), begins(&["error: ", "hint: ", "warning: "]));
        let is_right = match played.status {
            Some(0) => errors == 0 && played.out.starts_with(self.case.says),
            // That somebody was killed may be all that there is to say.
            Some(137) if point.fault == Fault::Kill => errors <= 1,
            _ => errors == 1,
        };
        match is_right && known == played.err.lines().count() {
            true => Ok(()),
            false => Err(Wrong::new("unclear", format!("{} {:?}", told(), played.out))),
        }
    }

    /// What is left.
    fn look(&self) -> Vec<Wrong> {
        let mut wrong = self.changes(&Machine::kinds());
        let mut lines = Vec::new();
        let now = self.store.contents();
        let path = |sign, path: &PathBuf| format!("{sign} {}", path.display());
        lines.extend(self.contents.difference(&now).map(|it| path('-', it)));
        lines.extend(now.difference(&self.contents).map(|it| path('+', it)));
        wrong.extend(lines.into_iter().map(|line| Wrong::new("left", line)));
        wrong
    }

    fn changes(&self, kinds: &[&str]) -> Vec<Wrong> {
        let lines = self.machine.changes_that_stay(kinds);
        lines.into_iter().map(|line| Wrong::new("left", line)).collect()
    }
}

/// What each command begins with: a plan of what to try.
#[derive(Default)]
struct Told {
    counts: BTreeMap<&'static str, usize>,
    excluded: BTreeMap<String, usize>,
    failures: Vec<String>,
}

/// What is asked for.
struct Asked {
    only: Option<String>,
    point: Option<Point>,
    start: usize,
}

impl Asked {
    fn read() -> Asked {
        let text = env::var("FAKEDOCKER_FAULTS").ok();
        let point = text.as_ref().and_then(|text| text.parse().ok());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let start = env::var("FAKEDOCKER_FAULTS_START").ok();
        let start = start.and_then(|start| start.parse().ok());
        let start = start.unwrap_or(usize::try_from(now.as_secs()).unwrap_or(0) % 1000);
        Asked { only: text, point, start }
    }

    fn concerns(&self, case: &Case) -> bool {
        let is_meant = |name: &str| ["all", case.name].contains(&name);
        let point = self.point.as_ref().map(|point| point.command.as_str());
        point.or(self.only.as_deref()).is_none_or(is_meant)
    }

    /// Those of `points` that are to be tried.
    fn choose(&self, points: Vec<Point>) -> Vec<Point> {
        match (self.only.as_deref(), &self.point) {
            (_, Some(point)) => points.into_iter().filter(|it| it == point).collect(),
            (Some(_), _) => points,
            (None, _) => {
                let step = points.len().div_ceil(SAMPLE).max(1);
                points.into_iter().skip(self.start % step).step_by(step).collect()
            }
        }
    }
}

fn tell(line: &str) {
    writeln!(stderr(), "faults: {line}").expect("it can be told");
}

/// All points of `fault` in a run that made these `calls`.
fn points(case: &Case, fault: Fault, calls: &[Made], told: &mut Told) -> Vec<Point> {
    let mut points = Vec::new();
    for Made { moment, failure } in calls {
        match failure {
            Failure::Never(why) if fault == Fault::Fail => {
                let name = format!("{} ({why})", moment.call);
                *told.excluded.entry(name).or_default() += 1;
            }
            _ => {
                let (command, moment) = (case.name.to_string(), moment.clone());
                points.push(Point { command, fault, moment });
            }
        }
    }
    points
}

fn try_case(case: &Case, registry: &str, asked: &Asked) -> Vec<String> {
    let (start, mut told) = (Instant::now(), Told::default());
    let mut trial = Trial::new(case, registry);
    let calls = trial.record();
    for fault in [Fault::Kill, Fault::Fail] {
        let points = points(case, fault, &calls, &mut told);
        *told.counts.entry("points").or_default() += points.len();
        for point in asked.choose(points) {
            let (reached, wrongs) = trial.try_at(&point);
            *told.counts.entry("tried").or_default() += 1;
            *told.counts.entry("passed by").or_default() += usize::from(!reached);
            if !wrongs.is_empty() {
                // What is broken is not to be blamed on the next point.
                drop(trial);
                trial = Trial::new(case, registry);
            }
            for wrong in wrongs {
                *told.counts.entry(wrong.kind).or_default() += 1;
                let line = format!("'{point}': {}: {}", wrong.kind, wrong.what);
                tell(&line);
                told.failures.push(line);
            }
        }
    }
    let counts: Vec<_> =
        told.counts.iter().map(|(what, n)| format!("{n} {what}")).collect();
    let took = start.elapsed().as_secs();
    tell(&format!("{}: {} in {took} s", case.name, counts.join(", ")));
    let excluded = told.excluded.iter().map(|(name, count)| format!("{count} {name}"));
    let excluded: Vec<_> = excluded.collect();
    tell(&format!("{}: not let fail: {}", case.name, excluded.join(", ")));
    told.failures
}

#[test]
fn what_goes_wrong_leaves_nothing() {
    let asked = Asked::read();
    tell(&format!("FAKEDOCKER_FAULTS_START={}", asked.start));
    let mut failures = Vec::new();
    undisturbed(|| {
        let site = Site::new();
        site.host.host_all(|| {
            let registry = Real::start();
            let place = format!("127.0.0.1:{}", registry.port);
            for case in CASES.iter().filter(|case| asked.concerns(case)) {
                failures.extend(try_case(case, &place, &asked));
            }
        });
    });
    assert!(failures.is_empty(), "{} faults", failures.len());
}
