//! Lesson 8, the demonstration: `enter [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! A container runs: number 1 of its PID namespace, with a hostname, queues and mounts of
//! its own. COMMAND is not its child: it is ours, and joins. Afterwards both see the same,
//! and the host is as it was. `--at-once` joins by one call, `--keep` a namespace in which
//! nobody is.

use std::process::ExitCode;

use clap::Parser;
use enter::Kind;
use nix::unistd::Pid;
use stage::{
    Child, Command, Cue, Error, Evidence, Flags, Program, Result, Stage, Verdict, proc,
};

mod at_once;
mod keep;

/// Lesson 8: what does `docker exec` do?
#[derive(Parser)]
struct Args {
    /// Instead: can one call enter all namespaces of a process?
    #[arg(long, conflicts_with_all = ["argv", "keep"])]
    at_once: bool,
    /// Instead: can a namespace outlive its processes?
    #[arg(long, conflicts_with = "argv")]
    keep: bool,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

/// What the container has of its own, by the names in /proc/PID/ns.
const KINDS: [&str; 4] = ["uts", "ipc", "mnt", "pid"];

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    if args.at_once {
        let question = "can one call enter all namespaces of a process?";
        return stage::lesson("enter", question, &args.flags, at_once::play);
    }
    if args.keep {
        let question = "can a namespace outlive its processes?";
        return stage::lesson("enter", question, &args.flags, keep::play);
    }
    let question = "what does `docker exec` do?";
    stage::lesson("enter", question, &args.flags, |stage| play(stage, &args))
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let before = look(stage, "host")?;
    let (mut container, first) = start(stage)?;

    let pid = number_one(&first)?;
    enter::join(stage, pid, &[Kind::Pid])?;
    let stayed = look_at_pids(stage, "host")?;
    let mut guest = stage.fork(|cue| {
        enter::join(stage, pid, &[Kind::Uts, Kind::Ipc, Kind::Mount])?;
        cue.report(look(stage, "joined")?)?;
        cue.exec(stage, &Program::from_command(&args.command))
    })?;
    let joined = guest.evidence()?;
    container.proceed()?; // it looks once more, while the guest is there
    let together = container.evidence()?;
    let status = guest.finish()?;

    container.proceed()?;
    container.wait()?;
    let after = look(stage, "host")?;
    let verdict = judge(&before, &first, &joined, &together)
        .equal("our own PID namespace after setns", &before["pid"], &stayed["pid"])
        .equal("the one for our children", &first["pid"], &stayed["children"]);
    Ok(unchanged(verdict, &before, &after).status(status))
}

/// Have somebody else start a container: unshare decides where the children of its caller
/// will be, and ours are to be on the host.
fn start(stage: &Stage) -> Result<(Child<'_>, Evidence)> {
    let mut starter = stage.fork(|cue| {
        pid::isolate(stage)?;
        let mut container = stage.fork(|cue| live(stage, cue))?;
        let mut first = container.evidence()?;
        first.record(NUMBER_ONE, container.pid());
        cue.report(first)?;
        container.proceed()?;
        cue.report(container.evidence()?)?;
        container.proceed()?;
        container.wait()
    })?;
    let first = starter.evidence()?;
    Ok((starter, first))
}

/// What the host calls the container's first process.
const NUMBER_ONE: &str = "number 1 on the host";

fn number_one(first: &Evidence) -> Result<Pid> {
    let told = first[NUMBER_ONE].parse().map(Pid::from_raw);
    told.map_err(|_| Error::input("the container's starter has not told its PID"))
}

/// The container's first process, which does nothing but look, twice.
fn live(stage: &Stage, cue: &mut Cue) -> Result<u8> {
    uts::isolate(stage)?;
    uts::set_hostname(stage, "container")?;
    ipc::isolate(stage)?;
    mount::isolate(stage)?;
    mount::proc(stage, "/proc".as_ref())?;
    cue.report(look(stage, "container")?)?;
    let seen = stage.look("container").fact("processes", proc::processes()?);
    cue.report(seen.end())?;
    Ok(0)
}

/// What a process sees of the namespaces that it is in.
fn look(stage: &Stage, who: &str) -> Result<Evidence> {
    let seen = stage.look(who).fact("hostname", uts::names()?.0);
    let seen = KINDS.iter().try_fold(seen, |seen, kind| {
        Ok::<_, Error>(seen.fact(kind, proc::namespace(kind)?))
    })?;
    Ok(seen.fact("processes", proc::processes()?).end())
}

/// Which PID namespace we are in, and which our children will be in.
fn look_at_pids(stage: &Stage, who: &str) -> Result<Evidence> {
    let seen = stage.look(who).fact("pid", proc::namespace("pid")?);
    Ok(seen.fact("children", proc::namespace("pid_for_children")?).end())
}

fn judge(
    host: &Evidence,
    first: &Evidence,
    joined: &Evidence,
    together: &Evidence,
) -> Verdict {
    let claim = "a process that joins is as much in the container as its first one";
    let verdict = KINDS.iter().fold(Verdict::on(claim), |verdict, kind| {
        verdict
            .differ(&format!("the container's {kind}"), &host[kind], &first[kind])
            .equal(&format!("the joined process's {kind}"), &first[kind], &joined[kind])
    });
    verdict
        .equal("the hostname that it sees", "container", &joined["hostname"])
        .equal("the processes that it sees", "1 2", &joined["processes"])
        .equal(
            "the processes that number 1 sees",
            &joined["processes"],
            &together["processes"],
        )
}

fn unchanged(verdict: Verdict, before: &Evidence, after: &Evidence) -> Verdict {
    ["hostname"].iter().chain(&KINDS).fold(verdict, |verdict, name| {
        let what = format!("the host's {name} afterwards");
        verdict.equal(&what, &before[name], &after[name])
    })
}
