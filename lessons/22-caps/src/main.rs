//! Lesson 22, the demonstration: `caps [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! Root tries a few calls, drops capabilities, and tries the same again. Before that, somebody
//! careless has dropped them as well, but not from the bounding set: the next program that
//! it starts has them all back.

use std::path::Path;
use std::process::{self, ExitCode};

use caps::Set;
use clap::Parser;
use stage::{
    Command, Cue, Error, Evidence, Flags, Program, Result, Stage, Verdict, proc,
};

mod trials;

use trials::TRIALS;

/// Lesson 22: why is root in a container not root?
#[derive(Parser)]
struct Args {
    /// A capability besides Docker's, such as SYS_ADMIN, or ALL
    #[arg(long, value_name = "NAME")]
    cap_add: Vec<String>,
    /// One of Docker's that is not kept, or ALL
    #[arg(long, value_name = "NAME")]
    cap_drop: Vec<String>,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    let question = "why is root in a container not root?";
    stage::lesson("caps", question, &args.flags, |stage| play(stage, &args))
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let keep = caps::choose(&args.cap_add, &args.cap_drop)?;
    let host = sets(stage, "root", "self")?;
    let mut container = stage.fork(|cue| live(stage, cue, keep, &args.command))?;
    let before = container.evidence()?;
    container.proceed()?;
    let careless = container.evidence()?;
    container.proceed()?;
    let after = container.evidence()?;
    let inside = sets(stage, "container", &container.pid().to_string())?;
    let status = container.finish()?;

    let verdict = judge(keep, &host, &careless, &inside, &after)?;
    Ok(judge_trials(verdict, keep, &before, &after)?.status(status))
}

fn judge(
    keep: Set,
    host: &Evidence,
    careless: &Evidence,
    inside: &Evidence,
    after: &Evidence,
) -> Result<Verdict> {
    let unreadable = || Error::input("/proc/self/status has no set of capabilities");
    let had = Set::read(&host["bounding"]).ok_or_else(unreadable)?;
    let kept = had.and(keep);
    Ok(Verdict::on(
        "root is what it has capabilities for: what is not in the bounding set is gone",
    )
    .equal("what a program of the careless one has", had, &careless["effective"])
    .equal("the container's effective set", kept, &inside["effective"])
    .equal("its permitted set", kept, &inside["permitted"])
    .equal("its bounding set", kept, &inside["bounding"])
    .equal("its inheritable set", Set::default(), &inside["inheritable"])
    .equal("its ambient set", Set::default(), &inside["ambient"])
    .equal("what a program of the container has", kept, &after["program effective"]))
}

/// What it could do before, and has the capability for, it can do afterwards; nothing else.
fn judge_trials(
    mut verdict: Verdict,
    keep: Set,
    before: &Evidence,
    after: &Evidence,
) -> Result<Verdict> {
    for trial in &TRIALS {
        let was = &before[trial.what];
        verdict = match was == trial.granted {
            true => {
                let predicted = trial.predicted(keep)?;
                verdict.equal(
                    trial.what,
                    predicted,
                    &after[&format!("is {}", trial.what)],
                )
            }
            false => verdict.skip(trial.what, format!("root is told {was} here")),
        };
    }
    Ok(verdict)
}

/// The container: tries what it can do, loses most of it, and becomes COMMAND.
fn live(stage: &Stage, cue: &mut Cue, keep: Set, command: &Command) -> Result<u8> {
    mount::isolate(stage)?;
    net::isolate(stage)?;
    mount::tmpfs(stage, Path::new("/tmp"))?;
    cue.report(trials::look(stage, "root")?)?;
    let mut careless = stage.fork(|cue| {
        caps::keep(stage, keep)?;
        cue.report(program(stage, "careless")?)?;
        Ok(0)
    })?;
    cue.report(careless.evidence()?)?;
    careless.proceed()?;
    careless.wait()?;

    caps::bound(stage, keep)?;
    caps::keep(stage, keep)?;
    let is = trials::look(stage, "container")?;
    let program = program(stage, "program")?;
    cue.report(Evidence::joined([("is", is), ("program", program)]))?;
    cue.exec(stage, &Program::from_command(command))
}

/// The five sets of `process`, as /proc shows them.
fn sets(stage: &Stage, who: &str, process: &str) -> Result<Evidence> {
    let line = |name: &str| proc::status_line(process, name);
    let seen = stage.look(who).fact("effective", line("CapEff")?);
    let seen = seen.fact("permitted", line("CapPrm")?).fact("bounding", line("CapBnd")?);
    Ok(seen.fact("inheritable", line("CapInh")?).fact("ambient", line("CapAmb")?).end())
}

/// What a program has that we start.
fn program(stage: &Stage, who: &str) -> Result<Evidence> {
    let output = process::Command::new("cat").arg("/proc/self/status").output();
    let output = output.map_err(|error| Error::io("cat", &error))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let set = text.lines().find_map(|line| line.strip_prefix("CapEff:"));
    Ok(stage.look(who).fact("effective", set.unwrap_or_default().trim()).end())
}
