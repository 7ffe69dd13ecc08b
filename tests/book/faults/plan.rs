//! Which points are to be tried, and what is told of them?

use std::collections::BTreeMap;
use std::env;
use std::io::{Write, stderr};
use std::process::Command;
use std::time::Instant;

use super::cases::Case;
use super::trial::Wrong;
use crate::support::faults::calls::Failure;
use crate::support::faults::point::{Fault, Point};
use crate::support::faults::tracer::Made;
use crate::support::top;
use crate::support::wait::slowness;

/// How many points of each command and each kind an ordinary run tries, on a slow machine fewer.
const SAMPLE: usize = 10;

/// What is asked for.
pub struct Asked {
    only: Option<String>,
    point: Option<Point>,
    start: usize,
}

impl Asked {
    pub fn read() -> Asked {
        let only = env::var("FAKEDOCKER_FAULTS").ok();
        let point = only.as_ref().and_then(|text| text.parse().ok());
        let told = env::var("FAKEDOCKER_FAULTS_START").ok();
        let start = told.map_or_else(anywhere, |start| start.parse().expect("a number"));
        tell(&format!("FAKEDOCKER_FAULTS_START={start}"));
        Asked { only, point, start }
    }

    pub fn concerns(&self, case: &Case) -> bool {
        let is_meant = |name: &str| ["all", case.name].contains(&name);
        let point = self.point.as_ref().map(|point| point.command.as_str());
        point.or(self.only.as_deref()).is_none_or(is_meant)
    }

    /// Those of the `points` of this `fault` that are to be tried.
    pub fn choose(&self, fault: Fault, points: Vec<Point>) -> Vec<Point> {
        match (&self.only, &self.point) {
            (_, Some(point)) if point.fault == fault => vec![point.clone()],
            (_, Some(_)) => Vec::new(),
            (Some(_), None) => points,
            (None, None) => {
                let count = (SAMPLE / slowness() as usize).max(1);
                let step = points.len().div_ceil(count).max(1);
                points.into_iter().skip(self.start % step).step_by(step).collect()
            }
        }
    }
}

/// Another point for each commit; for one and the same, what has failed fails again.
fn anywhere() -> usize {
    let mut git = Command::new("git");
    let commit = git.args(["rev-parse", "HEAD"]).current_dir(top()).output();
    let commit = commit.map(|it| it.stdout).unwrap_or_default();
    commit.iter().fold(0, |sum, byte| (sum * 31 + usize::from(*byte)) % 1009)
}

/// What comes of a command.
pub struct Told {
    case: &'static str,
    start: Instant,
    counts: BTreeMap<&'static str, usize>,
    excluded: BTreeMap<String, usize>,
    pub failures: Vec<String>,
}

impl Told {
    pub fn of(case: &Case) -> Told {
        let (counts, excluded) = (BTreeMap::new(), BTreeMap::new());
        let (case, start, failures) = (case.name, Instant::now(), Vec::new());
        Told { case, start, counts, excluded, failures }
    }

    pub fn count(&mut self, what: &'static str, how_many: usize) {
        *self.counts.entry(what).or_default() += how_many;
    }

    /// All points of `fault` in a run that made these `calls`.
    pub fn points(&mut self, fault: Fault, calls: &[Made]) -> Vec<Point> {
        let mut points = Vec::new();
        for Made { moment, failure } in calls {
            if let (Failure::Never(why), Fault::Fail) = (failure, fault) {
                let name = format!("{} ({why})", moment.call);
                *self.excluded.entry(name).or_default() += 1;
                continue;
            }
            let (command, moment) = (self.case.to_string(), moment.clone());
            points.push(Point { command, fault, moment });
        }
        self.count("points", points.len());
        points
    }

    /// What was wrong at `point`.
    pub fn note(&mut self, point: &Point, wrong: &[Wrong]) {
        for (at, Wrong { kind, what }) in wrong.iter().enumerate() {
            // Much may be left at one point.
            let is_first = wrong[..at].iter().all(|it| it.kind != *kind);
            self.count(kind, usize::from(is_first));
            let line = format!("'{point}': {kind}: {what}");
            tell(&line);
            self.failures.push(line);
        }
    }

    /// Tell all of it. A run that seldom comes to what was recorded proves nothing.
    pub fn sum_up(&mut self) {
        let of = |what| self.counts.get(what).copied().unwrap_or_default();
        let (tried, missed) = (of("tried"), of("passed by"));
        let counts = self.counts.iter().map(|(what, count)| format!("{count} {what}"));
        let counts: Vec<_> = counts.collect();
        let (case, took) = (self.case, self.start.elapsed().as_secs());
        tell(&format!("{case}: {} in {took} s", counts.join(", ")));
        let excluded =
            self.excluded.iter().map(|(name, count)| format!("{count} {name}"));
        let excluded: Vec<_> = excluded.collect();
        tell(&format!("{case}: not let fail: {}", excluded.join(", ")));
        if tried == 0 || missed > tried / 2 {
            self.failures
                .push(format!("{case}: of {tried} points {missed} were passed by"));
        }
    }
}

/// Past cargo's capture.
fn tell(line: &str) {
    writeln!(stderr(), "faults: {line}").expect("it can be told");
}
