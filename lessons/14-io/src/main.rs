//! Lesson 14, the demonstration: `io [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! A process writes to a disk of the lesson's own, as fast as it can. Its group is measured,
//! then limited, and measured again. In the same group COMMAND runs afterwards.

use std::process::ExitCode;
use std::time::Duration;

use block_io::disk::Disk;
use block_io::{CONTROLLER, Device, Direction, command, throttle};
use cgroup::{Group, Version};
use clap::Parser;
use stage::{Command, Evidence, Flags, Program, Result, Stage, Verdict};

mod amount;
mod buffered;
mod writer;

use amount::{mib, parse_limit};
use writer::{SIZE, Sample, Writer};

/// Lesson 14: can a disk writer be slowed?
#[derive(Parser)]
struct Args {
    /// How many bytes a second it may write: from 64K to 1G
    #[arg(long, value_name = "BYTES", default_value = "1M", value_parser = parse_limit)]
    bps: u64,
    /// For how long the limited writer is watched
    #[arg(
        long,
        default_value_t = 3,
        value_parser = clap::value_parser!(u64).range(1..=3600)
    )]
    seconds: u64,
    /// Instead: is a writer slowed that does not wait for the disk?
    #[arg(long, conflicts_with_all = ["bps", "seconds", "argv"])]
    buffered: bool,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    let question = "can a disk writer be slowed?";
    stage::lesson("io", question, &args.flags, |stage| {
        for left in cgroup::sweep()? {
            stage.note(&format!("removed what a killed run had left: {left}"));
        }
        if args.buffered { buffered::play(stage) } else { play(stage, &args) }
    })
}

/// More than any disk can: many kernels count in version 1 only where there is a limit.
const AMPLE: u64 = 1 << 40;
/// For how long the writer is watched without a limit that it could feel.
const FREE: Duration = Duration::from_millis(500);
/// How far the rate may be from the limit.
const TOLERANCE: f64 = 0.2;
/// The kernel deals in slices of a tenth of a second: after so many, they follow each other.
const SETTLED: Duration = Duration::from_millis(500);

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let name = format!("lesson-{}", std::process::id());
    let group = Group::make(stage, &name, &[CONTROLLER])?;
    let disk = Disk::make(stage, SIZE)?;
    throttle(stage, &group, disk.device, Direction::Write, AMPLE)?;
    let mut writer = Writer::start(stage, &group, &disk, args.bps)?;
    let free = writer.measure(FREE, None)?;
    look(stage, free);
    throttle(stage, &group, disk.device, Direction::Write, args.bps)?;
    stage.note(&elsewhere(group.version(CONTROLLER)?, disk.device, args.bps));
    writer.measure(SETTLED, Some(args.bps))?;
    let held = measure_held(stage, &mut writer, args)?;
    let during = look(stage, held);
    drop(writer);

    let path = disk.path.display();
    let mut container = stage.fork(|cue| {
        cue.report(stage.look("container").fact("the disk", path).end())?;
        cue.exec(stage, &Program::from_command(&args.command))
    })?;
    container.evidence()?;
    group.add(stage, container.pid())?;
    let status = container.finish()?;
    group.remove(stage)?;
    Ok(judge(args.bps, free, held, &during).status(status))
}

/// A limit says how much at most. Who is too slow may have been kept from its processor by
/// other programs, and gets a second chance, and a third.
fn measure_held(stage: &Stage, writer: &mut Writer, args: &Args) -> Result<Sample> {
    let mut measure =
        || writer.measure(Duration::from_secs(args.seconds), Some(args.bps));
    let mut held = measure()?;
    for _ in 0..2 {
        if held.rate() < (1.0 - TOLERANCE) * args.bps as f64 {
            let rate = mib(held.rate());
            stage.note(&format!("only {rate}/s: is the machine busy? once more"));
            held = measure()?;
        }
    }
    Ok(held)
}

/// What the same limit is called in the other version.
fn elsewhere(here: Version, device: Device, limit: u64) -> String {
    let there = if here == Version::V1 { Version::V2 } else { Version::V1 };
    let (name, text) = command(there, device, Direction::Write, limit);
    format!("in {there} the same is `{text}`, in {name}")
}

fn look(stage: &Stage, seen: Sample) -> Evidence {
    let look = stage.look("writer").fact("wrote", seen.told());
    look.fact("rate", format!("{}/s", mib(seen.rate()))).end()
}

fn judge(limit: u64, free: Sample, held: Sample, during: &Evidence) -> Verdict {
    let verdict = Verdict::on("a limit holds a writer, although the disk has time");
    let (limit, told) = (limit as f64, mib(limit as f64));
    if free.rate() < 2.0 * limit {
        let why = format!("without it, only {}/s were written here", mib(free.rate()));
        return verdict.skip(&format!("a limit of {told}/s"), why);
    }
    let is_held = (held.rate() / limit - 1.0).abs() <= TOLERANCE;
    verdict.holds("the rate", format!("{told}/s ± 20 %"), &during["rate"], is_held)
}
