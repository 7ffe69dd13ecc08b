//! Lesson 7, the demonstration: `time [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! We ask for a time namespace, write down how far its clocks are ahead, and stay outside;
//! our child lives in it. All clocks are read on the host, in the container, and on the host
//! again: what the container reads must lie between the two, plus the offset.

use std::fs;
use std::process::ExitCode;

use clap::Parser;
use nix::time::{ClockId, clock_gettime};
use stage::{Command, Error, Evidence, Flags, Program, Result, Stage, Verdict, proc};

/// Lesson 7: can a container have booted last year?
#[derive(Parser)]
struct Args {
    /// How many days earlier the machine has booted, as the container sees it
    #[arg(
        long,
        value_name = "DAYS",
        default_value_t = 365,
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(i64).range(-1_000_000..=1_000_000)
    )]
    offset: i64,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

/// The clocks, and whether the namespace shifts them. The last is a file, which ps and
/// uptime read.
const CLOCKS: [(&str, bool); 4] =
    [("realtime", false), ("monotonic", true), ("boottime", true), ("uptime", true)];

/// For how many seconds two looks may disagree about the moment of boot: it is computed
/// from two clocks, and one of them is set now and then.
const TOLERANCE: i64 = 60;

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    let question = "can a container have booted last year?";
    stage::lesson("time", question, &args.flags, |stage| play(stage, &args))
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let offset = args.offset * 24 * 60 * 60;
    let before = look(stage, "host")?;
    time_ns::isolate(stage)?;
    time_ns::shift(stage, offset)?;

    let mut container = stage.fork(|cue| {
        cue.report(look(stage, "container")?)?;
        cue.exec(stage, &Program::from_command(&args.command))
    })?;

    let inside = container.evidence()?;
    let during = look(stage, "host")?; // the container runs with its clocks meanwhile
    let status = container.finish()?;
    let after = look(stage, "host")?;

    Ok(judge(offset, &before, &inside, &during)
        .equal("our own namespace", &before["namespace"], &during["namespace"])
        .differ("the container's namespace", &before["namespace"], &inside["namespace"])
        .holds(
            "when the host has booted, seen afterwards",
            format!("{} within {TOLERANCE} s", show(boot(&before))),
            show(boot(&after)),
            (boot(&before) - boot(&after)).abs() <= TOLERANCE * HUNDREDTHS,
        )
        .status(status))
}

/// No clock runs backwards, so that no tolerance is needed: the container looked after our
/// first look and before our second.
fn judge(
    offset: i64,
    before: &Evidence,
    inside: &Evidence,
    during: &Evidence,
) -> Verdict {
    let claim = "seconds since boot are a matter of the namespace, the date is not";
    CLOCKS.iter().fold(Verdict::on(claim), |verdict, &(name, is_shifted)| {
        let offset = if is_shifted { offset * HUNDREDTHS } else { 0 };
        let [earliest, seen, latest] =
            [before, inside, during].map(|look| hundredths(&look[name]));
        let (earliest, latest) = (earliest + offset, latest + offset);
        verdict.holds(
            &format!("{name} in the container"),
            format!("from {} to {}", show(earliest), show(latest)),
            &inside[name],
            earliest <= seen && seen <= latest,
        )
    })
}

/// What a process can know of the time.
fn look(stage: &Stage, who: &str) -> Result<Evidence> {
    let seen = stage
        .look(who)
        .fact("realtime", read(ClockId::CLOCK_REALTIME)?)
        .fact("monotonic", read(ClockId::CLOCK_MONOTONIC)?)
        .fact("boottime", read(ClockId::CLOCK_BOOTTIME)?)
        .fact("uptime", uptime()?);
    let namespace = proc::namespace("time").map_err(|error| {
        error.hint(
            "this kernel has no time namespaces: Linux 5.6 or newer with CONFIG_TIME_NS",
        )
    })?;
    Ok(seen.fact("namespace", namespace).end())
}

/// What `clock` shows, in seconds.
fn read(clock: ClockId) -> Result<String> {
    let now = clock_gettime(clock);
    let now =
        now.map_err(|errno| Error::call(format!("clock_gettime({clock})"), errno))?;
    Ok(show(now.tv_sec() * HUNDREDTHS + now.tv_nsec() / 10_000_000))
}

/// The first number in /proc/uptime; the second is the idle time of all processors.
fn uptime() -> Result<String> {
    let file = "/proc/uptime";
    let text = fs::read_to_string(file).map_err(|error| Error::io(file, &error))?;
    Ok(text.split(' ').next().unwrap_or_default().to_string())
}

/// As many of the unit in which we count make a second: /proc/uptime has no finer one.
const HUNDREDTHS: i64 = 100;

fn show(hundredths: i64) -> String {
    format!("{}.{:02}", hundredths / HUNDREDTHS, hundredths % HUNDREDTHS)
}

/// The number that [`show`] and /proc/uptime write; what is none proves nothing.
fn hundredths(shown: &str) -> i64 {
    shown.replace('.', "").parse().unwrap_or(i64::MIN / 2)
}

/// When the machine has booted, in hundredths of seconds since 1970.
fn boot(seen: &Evidence) -> i64 {
    hundredths(&seen["realtime"]) - hundredths(&seen["boottime"])
}
