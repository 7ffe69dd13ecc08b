//! Lesson 4, the demonstration: `mount [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! A child is number 1 of a PID namespace, and still sees the host in /proc. It leaves for
//! a mount namespace of its own and mounts another /proc: now it sees itself, and the
//! host's mounts are what they were. `--propagation` shows who would have noticed.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use stage::{Command, Error, Evidence, Flags, Program, Result, Stage, Verdict, proc};

mod propagation;

/// Lesson 4: why does `ps` still show the host?
#[derive(Parser)]
struct Args {
    /// Instead: what do shared, slave, private and unbindable mounts pass on?
    #[arg(long, conflicts_with = "argv")]
    propagation: bool,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    if args.propagation {
        let question = "who notices a mount?";
        return stage::lesson("mount", question, &args.flags, propagation::play);
    }
    let question = "why does `ps` still show the host?";
    stage::lesson("mount", question, &args.flags, |stage| play(stage, &args))
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let before = look(stage, "host")?;
    pid::isolate(stage)?;

    let mut container = stage.fork(|cue| {
        cue.report(look(stage, "container")?)?;
        mount::isolate(stage)?;
        mount::proc(stage, Path::new("/proc"))?;
        cue.report(look(stage, "container")?)?;
        cue.exec(stage, &Program::from_command(&args.command))
    })?;

    let child = container.pid();
    let with_old_proc = container.evidence()?;
    container.proceed()?;
    let with_new_proc = container.evidence()?;
    let during = look(stage, "host")?;
    let status = container.finish()?;
    let after = look(stage, "host")?;

    Ok(judge(&before, &with_old_proc, &with_new_proc)
        .equal("who we are in the host's /proc", child, &with_old_proc["self"])
        .equal(
            "who we are in the host's /proc meanwhile",
            &before["self"],
            &during["self"],
        )
        .equal("the host's mounts meanwhile", &before["mounts"], &during["mounts"])
        .equal(
            "who we are in the host's /proc afterwards",
            &before["self"],
            &after["self"],
        )
        .equal("the host's mounts afterwards", &before["mounts"], &after["mounts"])
        .status(status))
}

fn judge(host: &Evidence, old_proc: &Evidence, new_proc: &Evidence) -> Verdict {
    Verdict::on("ps reads /proc: a new one shows only the processes of its namespace")
        .equal(
            "processes in the host's /proc",
            &host["processes"],
            &old_proc["processes"],
        )
        .equal("who we are in the new /proc", 1, &new_proc["self"])
        .equal("processes in the new /proc", 1, &new_proc["processes"])
        .differ("the container's namespace", &host["namespace"], &new_proc["namespace"])
}

/// What /proc says: who we are, who else there is, and what is mounted.
fn look(stage: &Stage, who: &str) -> Result<Evidence> {
    let itself =
        fs::read_link("/proc/self").map_err(|error| Error::io("/proc/self", &error))?;
    let seen = stage
        .look(who)
        .fact("self", itself.display())
        .fact("processes", proc::processes()?);
    let seen = seen.fact("namespace", proc::namespace("mnt")?);
    Ok(seen.fact("mounts", format!("fingerprint {}", fingerprint()?)).end())
}

/// A number that changes when anything in our list of mounts does.
fn fingerprint() -> Result<String> {
    let list = "/proc/self/mountinfo";
    let text = fs::read_to_string(list).map_err(|error| Error::io(list, &error))?;
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    Ok(format!("{:016x}", hasher.finish()))
}
