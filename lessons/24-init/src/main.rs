//! Lesson 24, the demonstration: `init [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! A program that is not made for it is number 1: an orphan of its namespace stays a zombie,
//! and SIGTERM does not reach it. Then the same as number 2, with our init as number 1: the
//! orphan is gone, SIGTERM arrives, and the status is passed on. COMMAND is number 2, too.

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::getpid;
use stage::{
    Child, Command, Cue, Error, Evidence, Flags, Program, Result, Stage, Verdict,
};

mod orphan;

use orphan::{leave, state};

/// Lesson 24: what must PID 1 do?
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

/// With which status the program ends that has init in front of it.
const STATUS: u8 = 7;

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    let question = "what must PID 1 do?";
    stage::lesson("init", question, &args.flags, |stage| play(stage, &args))
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let mut alone = contain(stage, |cue| {
        cue.report(look(stage, "alone", leave(stage)?)?)?;
        // SIGTERM is sent meanwhile. There is no handler for it.
        cue.report(stage.look("alone").fact("SIGTERM", "not noticed").end())?;
        Ok(0)
    })?;
    let neglected = alone.evidence()?;
    terminate(stage, &alone)?;
    alone.proceed()?;
    // If it has ended, it cannot say so.
    let deaf = alone.evidence().unwrap_or_default();
    alone.kill()?;
    stage.gap();

    let mut kept =
        contain(stage, |cue| init::keep(stage, cue, |cue| be_kept(stage, cue)))?;
    let before = kept.evidence()?;
    terminate(stage, &kept)?;
    kept.proceed()?;
    let heard = kept.evidence()?;
    let passed = kept.finish()?;

    let mut container = contain(stage, |cue| {
        let program = Program::from_command(&args.command);
        init::keep(stage, cue, |cue| cue.exec(stage, &program))
    })?;
    let status = container.wait()?;
    stage.gap();

    Ok(Verdict::on(
        "PID 1 must wait for orphans, pass signals on, and end with its child",
    )
    .equal("a program alone is number", 1, &neglected["getpid()"])
    .equal("the orphan, without init", "zombie", &neglected["orphan"])
    .equal("SIGTERM, without init", "not noticed", &deaf["SIGTERM"])
    .equal("a program with init is number", 2, &before["getpid()"])
    .equal("the orphan, with init", "gone", &heard["orphan"])
    .equal("SIGTERM, with init", "heard", &heard["SIGTERM"])
    .equal("the status that init passes on", STATUS, passed)
    .status(status))
}

/// Number 1 of a PID namespace, with a /proc that shows it.
fn contain(
    stage: &Stage,
    part: impl FnOnce(&mut Cue) -> Result<u8>,
) -> Result<Child<'_>> {
    pid::fork(stage, |cue| {
        mount::isolate(stage)?;
        mount::proc(stage, Path::new("/proc"))?;
        part(cue)
    })
}

/// A program that hears SIGTERM, as number 2.
fn be_kept(stage: &Stage, cue: &mut Cue) -> Result<u8> {
    let term = SigSet::from(Signal::SIGTERM);
    // It waits until we look for it.
    term.thread_block().map_err(|errno| Error::call("sigprocmask", errno))?;
    let orphan = leave(stage)?;
    cue.report(stage.look("kept").fact("getpid()", getpid()).end())?;
    let signal = term.wait().map_err(|errno| Error::call("sigwait", errno))?;
    let heard = if signal == Signal::SIGTERM { "heard" } else { "another" };
    let seen = stage.look("kept").fact("SIGTERM", heard);
    cue.report(seen.fact("orphan", state(orphan)).end())?;
    Ok(STATUS)
}

/// Ask number 1 to end.
fn terminate(stage: &Stage, number_one: &Child) -> Result<()> {
    let pid = number_one.pid();
    stage.ask(format!("kill({pid}, SIGTERM)"), || kill(pid, Signal::SIGTERM))
}

fn look(stage: &Stage, who: &str, orphan: stage::Pid) -> Result<Evidence> {
    let seen = stage.look(who).fact("getpid()", getpid());
    Ok(seen.fact("orphan", state(orphan)).end())
}
