//! Lesson 3, the demonstration: `pid [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! We ask for a PID namespace and stay outside; our child is number 1 in it and cannot even
//! kill itself. Its own child, the witness, is number 2; when number 1 ends, the witness is
//! gone, too, although nobody but the kernel has killed it.

use std::fs::File;
use std::io::Read;
use std::process::ExitCode;

use clap::Parser;
use nix::fcntl::OFlag;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{getpid, pause, pipe2};
use stage::{
    Command, Cue, Error, Evidence, Flags, Program, Result, Stage, Verdict, proc,
};

/// Lesson 3: how can a process be number 1?
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    let question = "how can a process be number 1?";
    stage::lesson("pid", question, &args.flags, |stage| play(stage, &args))
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let before = look(stage, "host")?;
    pid::isolate(stage)?;
    let stayed = look(stage, "host")?;

    // Nobody writes into this pipe: it ends with the last process that holds `alive`.
    let (end, alive) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
        .map_err(|errno| Error::call("pipe2", errno))?;
    let mut container = stage.fork(|cue| {
        let me = getpid();
        stage.ask(format!("kill({me}, SIGKILL)"), || kill(me, Signal::SIGKILL))?;
        cue.report(look(stage, "container")?)?;
        let mut witness = stage.fork(|cue| stand_by(stage, cue))?;
        cue.report(witness.evidence()?)?;
        witness.proceed()?;
        // execve(2) closes our copy of `alive`: the witness has the last one.
        cue.exec(stage, &Program::from_command(&args.command))
    })?;
    drop(alive);

    let first = container.evidence()?;
    container.proceed()?;
    let second = container.evidence()?;
    let outside = container.pid();
    let status = container.finish()?;

    // At its end, read(2) returns 0; before, it would have to wait and fails.
    let at_end = File::from(end).read(&mut [0]).is_ok();
    let ended =
        stage.look("host").fact("witness", if at_end { "gone" } else { "alive" }).end();
    let verdict = judge(&before, &stayed, &first, &second)
        .equal("PIDs of number 1, host first", format!("{outside} 1"), &first["NSpid"])
        .equal("number 2 after the end of number 1", "gone", &ended["witness"]);
    Ok(verdict.status(status))
}

/// The witness: says its number, and then only exists.
fn stand_by(stage: &Stage, cue: &mut Cue) -> Result<u8> {
    // Every child of ours asks to die with its parent. Not this one, or it would prove
    // nothing about namespaces.
    stage.ask("prctl(PR_SET_PDEATHSIG, 0)", || set_pdeathsig(None))?;
    cue.report(look(stage, "witness")?)?;
    loop {
        pause();
    }
}

/// What a process can know of its numbers.
fn look(stage: &Stage, who: &str) -> Result<Evidence> {
    let seen = stage.look(who).fact("getpid()", getpid());
    let seen = seen.fact("NSpid", proc::status_line("self", "NSpid")?);
    Ok(seen.fact("namespace", proc::namespace("pid")?).end())
}

fn judge(
    before: &Evidence,
    stayed: &Evidence,
    first: &Evidence,
    second: &Evidence,
) -> Verdict {
    Verdict::on("one process, two numbers: each PID namespace counts from 1")
        .equal("our own PID after unshare", &before["getpid()"], &stayed["getpid()"])
        .equal(
            "our own namespace after unshare",
            &before["namespace"],
            &stayed["namespace"],
        )
        .differ("the child's namespace", &before["namespace"], &first["namespace"])
        .equal("the child's own PID", 1, &first["getpid()"])
        .equal("the PID of its child", 2, &second["getpid()"])
        .equal("the namespace of its child", &first["namespace"], &second["namespace"])
}
