//! Lesson 12, the demonstration: `memory [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! A process in a group uses memory until it is killed. A sibling outside uses twice the
//! limit, and goes on. COMMAND runs in the same group afterwards.

use std::fs;
use std::process::ExitCode;

use cgroup::Group;
use clap::Parser;
use memory::{CONTROLLER, Limits, Most};
use stage::{Command, Error, Evidence, Flags, Program, Result, Stage, Verdict};

mod hog;
mod judge;

use hog::{MIB, grow_inside, grow_outside, mib, told, watch};
use judge::{elsewhere, judge, untried};

/// Lesson 12: who dies when memory runs out?
#[derive(Parser)]
struct Args {
    /// How many MiB of RAM the group may use
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 64,
        value_parser = clap::value_parser!(u64).range(16..=256)
    )]
    limit: u64,
    /// How many MiB of swap it may use beside that
    #[arg(
        long,
        value_name = "MIB",
        default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(..=256)
    )]
    swap: u64,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    let question = "who dies when memory runs out?";
    stage::lesson("memory", question, &args.flags, |stage| {
        for left in cgroup::sweep()? {
            stage.note(&format!("removed what a killed run had left: {left}"));
        }
        play(stage, &args)
    })
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let (ram, total) = (args.limit * MIB, (args.limit + args.swap) * MIB);
    let goal = 2 * total;
    let host = look(stage, "host")?;

    let name = format!("lesson-{}", std::process::id());
    let group = Group::make(stage, &name, &[CONTROLLER])?;
    let counts_swap = memory::counts_swap(&group)?;
    if !counts_swap && &host["SwapFree"] != "0 kB" {
        return Ok(untried());
    }
    // Unasked, the group gets as much swap again, and would grow into that.
    let with_swap = counts_swap.then_some(Most::Bytes(total));
    memory::limit(stage, &group, &Limits { bytes: Some(ram), with_swap })?;
    stage.note(&elsewhere(group.version(CONTROLLER)?, ram, total));

    let mut sibling = stage.fork(|cue| grow_outside(cue, goal))?;
    let before = watch(&mut sibling, goal)?;
    stage.look("sibling").fact("used", mib(before)).end();
    let inside = grow_inside(stage, &group, goal)?;
    let counted = look_at_group(stage, &group)?;
    sibling.proceed()?;
    let after = mib(watch(&mut sibling, MIB)?);
    let outside = stage.look("sibling").fact("used", after);
    let outside = outside.fact("ended by", told(sibling.wait()?)).end();
    let status = run(stage, &group, &args.command)?;
    group.remove(stage)?;
    let seen =
        [("host", host), ("inside", inside), ("group", counted), ("outside", outside)];
    Ok(judge([ram, total], &Evidence::joined(seen)).status(status))
}

/// COMMAND, in the group.
fn run(stage: &Stage, group: &Group, command: &Command) -> Result<u8> {
    let mut container = stage.fork(|cue| {
        cue.report(Evidence::default())?;
        cue.exec(stage, &Program::from_command(command))
    })?;
    container.evidence()?;
    group.add(stage, container.pid())?;
    container.finish()
}

/// What /proc/meminfo says to whoever reads it: it knows no groups.
fn look(stage: &Stage, who: &str) -> Result<Evidence> {
    let path = "/proc/meminfo";
    let text = fs::read_to_string(path).map_err(|error| Error::io(path, &error))?;
    let line = |name| text.lines().find_map(|line| line.strip_prefix(name));
    let value = |name| line(name).unwrap_or_default().trim_start_matches(':').trim();
    let mut seen = stage.look(who).fact("MemTotal", value("MemTotal")).end();
    seen.record("SwapFree", value("SwapFree"));
    Ok(seen)
}

/// What the kernel has counted.
fn look_at_group(stage: &Stage, group: &Group) -> Result<Evidence> {
    let seen = stage.look("group").fact("oom_kill", memory::kills(group)?);
    let peak = memory::peak(group)?;
    let seen = seen.fact("peak", peak.map_or("not kept".into(), mib));
    let mut seen = seen.fact("in use", mib(memory::current(group)?)).end();
    seen.record("peak bytes", peak.unwrap_or_default());
    Ok(seen)
}
