//! How busy is a group?
//!
//! A loop never waits for anything: it runs, or it waits for a processor, which /proc tells
//! apart (schedstat). What it has used is what the kernel has counted for its group.

use std::fs;
use std::time::{Duration, Instant};

use cgroup::Group;
use cgroup_cpu::{Usage, usage};
use stage::{Child, Cue, Error, Evidence, Pid, Result, Stage};

/// How often the bars are drawn.
const FRAME: Duration = Duration::from_millis(100);

/// A process that keeps one processor busy, and its group.
pub struct Loop<'s> {
    pub name: &'static str,
    pub group: &'s Group,
    pub child: Child<'s>,
}

/// What was measured of a loop's group.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// How long we looked, in microseconds.
    window: f64,
    used: u64,
    /// How long the loop waited for a processor that others had.
    waited: u64,
    /// Periods of the limit, and those in which it was felt.
    periods: u64,
    throttled: u64,
}

impl Sample {
    /// What the group used of one core.
    pub fn share(&self) -> f64 {
        self.used as f64 / self.window
    }

    /// What it used of one core, or wanted to use while others had it.
    pub fn wanted(&self) -> f64 {
        (self.used + self.waited) as f64 / self.window
    }

    /// Whether it wanted a whole core, more or less.
    pub fn wants_a_core(&self) -> bool {
        self.wanted() >= 0.8
    }

    /// Microseconds of processor time.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// How much of the window the loop waited for others.
    pub fn waited(&self) -> f64 {
        self.waited as f64 / self.window
    }

    /// What was counted, as we show it.
    pub fn told(&self) -> String {
        let [used, window] = [self.used as f64, self.window].map(|micros| micros / 1e6);
        format!("{used:.3} s in {window:.3} s")
    }

    /// In which part of the limit's periods the quota was used up, if there is a limit.
    pub fn felt(&self) -> Option<f64> {
        (self.periods > 0).then(|| (self.throttled as f64 / self.periods as f64).min(1.0))
    }
}

/// A share as we show it.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

impl<'s> Loop<'s> {
    /// Start one in `group`: `prepare` is what it does in there before it is busy. Who enters a
    /// group may lose the cores that it chose before (Linux before 6.2, with cpuset).
    pub fn start(
        stage: &'s Stage,
        name: &'static str,
        group: &'s Group,
        prepare: impl FnOnce(&mut Cue) -> Result<()>,
    ) -> Result<Loop<'s>> {
        let mut child = stage.fork(|cue| {
            cue.report(Evidence::default())?; // we are put into the group
            prepare(cue)?;
            cue.report(stage.look(name).fact("loops", "as fast as it can").end())?;
            loop {
                std::hint::spin_loop();
            }
        })?;
        child.evidence()?;
        group.add(stage, child.pid())?;
        child.proceed()?;
        child.evidence()?;
        child.proceed()?;
        Ok(Loop { name, group, child })
    }
}

/// How often we look before we believe what we did not expect.
const LOOKS: u32 = 4;

/// Watch the loops for `time`, and again if what was measured is not `expected`: a machine that
/// is short of time itself, as an emulated one, loses some now and then.
pub fn look_for(
    stage: &Stage,
    loops: &mut [Loop],
    time: Duration,
    expected: impl Fn(&[Sample]) -> bool,
) -> Result<Vec<Sample>> {
    let mut samples = measure(stage, loops, time)?;
    for _ in 1..LOOKS {
        if expected(&samples) {
            break;
        }
        let shares: Vec<_> = samples.iter().map(|seen| percent(seen.share())).collect();
        stage.note(&format!("saw {}: looking again", shares.join(" and ")));
        samples = measure(stage, loops, time)?;
    }
    Ok(samples)
}

/// Watch the loops for `time`, and measure their groups. All of one group are one entry.
fn measure(stage: &Stage, loops: &mut [Loop], time: Duration) -> Result<Vec<Sample>> {
    let before = Snapshot::all(loops)?;
    let mut live = stage.live();
    let start = Instant::now();
    // Once at least: there is a sample for each loop.
    loop {
        let frame = FRAME.min(time.saturating_sub(start.elapsed()));
        if let Some(first) = loops.first_mut() {
            first.child.watch(frame)?;
        }
        let now = Snapshot::all(loops)?;
        let all = before.iter().zip(&now).map(|(from, to)| from.until(to));
        let samples: Vec<Sample> = all.collect();
        let left = time.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Ok(samples);
        }
        let bars = loops.iter().zip(&samples).map(|(it, seen)| (it.name, seen.share()));
        let left = format!("{:.1} s", left.as_secs_f64());
        live.bars(&bars.collect::<Vec<_>>(), &left);
    }
}

/// What was counted at one moment, which is between two instants: as we may be interrupted
/// while we read, a window is rather too long than too short.
struct Snapshot {
    between: (Instant, Instant),
    usage: Usage,
    waited: u64,
}

impl Snapshot {
    fn all(loops: &[Loop]) -> Result<Vec<Snapshot>> {
        loops.iter().map(|it| Snapshot::take(it.group, it.child.pid())).collect()
    }

    fn take(group: &Group, pid: Pid) -> Result<Snapshot> {
        let before = Instant::now();
        let (usage, waited) = (usage(group)?, waited(pid)?);
        Ok(Snapshot { between: (before, Instant::now()), usage, waited })
    }

    fn until(&self, later: &Snapshot) -> Sample {
        let window = later.between.1 - self.between.0;
        Sample {
            window: window.as_secs_f64() * 1e6,
            used: later.usage.micros - self.usage.micros,
            waited: later.waited - self.waited,
            periods: later.usage.periods - self.usage.periods,
            throttled: later.usage.throttled - self.usage.throttled,
        }
    }
}

/// How long `pid` has waited for a processor, in microseconds: the second number of
/// /proc/PID/schedstat. A kernel without CONFIG_SCHED_INFO does not tell.
fn waited(pid: Pid) -> Result<u64> {
    let path = format!("/proc/{pid}/schedstat");
    let text = fs::read_to_string(&path).map_err(|error| Error::io(&path, &error))?;
    let nanoseconds =
        text.split(' ').nth(1).and_then(|number| number.parse::<u64>().ok());
    Ok(nanoseconds.unwrap_or_default() / 1000)
}
