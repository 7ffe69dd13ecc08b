//! Lesson 10, the demonstration: `cgroup-cpu [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! A loop keeps a core busy. Its group is measured, then limited, and measured again. In the
//! same group COMMAND runs afterwards.

use std::process::ExitCode;
use std::time::Duration;

use cgroup::Group;
use cgroup_cpu::{Bandwidth, CONTROLLERS};
use clap::Parser;
use stage::{Command, Error, Evidence, Flags, Program, Result, Stage, Verdict};

mod busy;
mod judge;
mod weights;

use busy::{Loop, Sample, look_for, percent};
use judge::{elsewhere, is_held, judge};

/// Lesson 10: how is a busy loop held to 20 % of a core?
#[derive(Parser)]
struct Args {
    /// Microseconds of processor time in each period
    #[arg(
        long,
        value_name = "MICROSECONDS",
        default_value_t = 20_000,
        value_parser = clap::value_parser!(u64).range(1000..=1_000_000)
    )]
    quota: u64,
    /// How long a period is
    #[arg(
        long,
        value_name = "MICROSECONDS",
        default_value_t = 100_000,
        value_parser = clap::value_parser!(u64).range(1000..=1_000_000)
    )]
    period: u64,
    /// For how long the limited loop is watched
    #[arg(
        long,
        default_value_t = 2,
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    seconds: u64,
    /// Instead: two groups on one core, one with TIMES the other's weight (2 to 20)
    #[arg(
        long,
        value_name = "TIMES",
        num_args = 0..=1,
        default_missing_value = "3",
        value_parser = clap::value_parser!(u64).range(2..=20),
        conflicts_with_all = ["quota", "period", "argv"]
    )]
    weight: Option<u64>,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    let question = "how is a busy loop held to 20 % of a core?";
    stage::lesson("cgroup-cpu", question, &args.flags, |stage| {
        for left in cgroup::sweep()? {
            stage.note(&format!("removed what a killed run had left: {left}"));
        }
        match args.weight {
            Some(times) => weights::play(stage, times, Duration::from_secs(args.seconds)),
            None => play(stage, &args),
        }
    })
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let bandwidth = Bandwidth { quota: args.quota, period: args.period };
    if args.quota >= args.period {
        let error = Error::input("a loop cannot use more than one core");
        return Err(error.hint("--quota must be less than --period here"));
    }
    let name = format!("lesson-{}", std::process::id());
    let group = Group::make(stage, &name, &CONTROLLERS)?;
    let mut busy = [Loop::start(stage, "loop", &group, |_| Ok(()))?];
    let free = look_for(stage, &mut busy, WARM_UP, |seen| seen[0].wants_a_core())?[0];
    let before = look(stage, &free);
    cgroup_cpu::limit(stage, &group, bandwidth)?;
    stage.note(&elsewhere(group.version("cpu")?, bandwidth));
    // Ten periods at least: the first and the last one are seen in part.
    let time =
        Duration::from_secs(args.seconds).max(Duration::from_micros(args.period) * 10);
    let is_right = |seen: &[Sample]| is_held(&seen[0], bandwidth);
    let held = look_for(stage, &mut busy, time, is_right)?[0];
    let during = look(stage, &held);
    drop(busy);

    let mut container = stage.fork(|cue| {
        cue.report(stage.look("container").fact("getpid()", std::process::id()).end())?;
        cue.exec(stage, &Program::from_command(&args.command))
    })?;
    container.evidence()?;
    group.add(stage, container.pid())?;
    let status = container.finish()?;
    group.remove(stage)?;
    Ok(judge(&free, &held, bandwidth, [&before, &during]).status(status))
}

/// For how long the loop runs without a limit.
const WARM_UP: Duration = Duration::from_millis(500);

/// What the kernel has counted.
fn look(stage: &Stage, seen: &Sample) -> Evidence {
    let felt = seen.felt().map(|felt| format!("in {} of the periods", percent(felt)));
    let look = stage.look("loop").fact("used", seen.told());
    let look = look.fact("share", percent(seen.share()));
    look.fact("throttled", felt.unwrap_or_else(|| "never".into())).end()
}
