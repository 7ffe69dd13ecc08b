//! Lesson 1, the demonstration: `uts [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! A child leaves for a UTS namespace of its own and takes another hostname. Parent and
//! child both look at their names, at the same moment and afterwards.

use std::process::ExitCode;

use clap::Parser;
use stage::{Command, Evidence, Flags, Program, Result, Stage, Verdict, proc};

/// Lesson 1: can two hostnames live on one machine?
#[derive(Parser)]
struct Args {
    /// The hostname in the container, at most 64 bytes
    #[arg(long, default_value = "container")]
    hostname: String,
    /// The NIS domain name in the container, at most 64 bytes
    #[arg(long, default_value = "lesson.one")]
    domainname: String,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    stage::lesson("uts", "can two hostnames live on one machine?", &args.flags, |stage| {
        play(stage, &args)
    })
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    uts::check(&args.hostname)?;
    uts::check(&args.domainname)?;
    let before = look(stage, "host")?;

    let mut container = stage.fork(|cue| {
        uts::isolate(stage)?;
        uts::set_hostname(stage, &args.hostname)?;
        uts::set_domainname(stage, &args.domainname)?;
        cue.report(look(stage, "container")?)?;
        cue.exec(stage, &Program::from_command(&args.command))
    })?;

    let inside = container.evidence()?;
    let during = look(stage, "host")?; // the container has its new names at this moment
    let status = container.finish()?;
    let after = look(stage, "host")?;

    Ok(Verdict::on("one kernel, two names: the processes read different namespaces")
        .equal("hostname inside", &args.hostname, &inside["hostname"])
        .equal("domain name inside", &args.domainname, &inside["domainname"])
        .equal("the host's names meanwhile", &before["hostname"], &during["hostname"])
        .equal(
            "the host's domain meanwhile",
            &before["domainname"],
            &during["domainname"],
        )
        .equal("the host's hostname afterwards", &before["hostname"], &after["hostname"])
        .equal(
            "the host's domain afterwards",
            &before["domainname"],
            &after["domainname"],
        )
        .differ("the container's namespace", &during["namespace"], &inside["namespace"])
        .status(status))
}

/// What a process can see of its UTS namespace.
fn look(stage: &Stage, who: &str) -> Result<Evidence> {
    let (hostname, domainname) = uts::names()?;
    let seen = stage.look(who).fact("hostname", hostname).fact("domainname", domainname);
    Ok(seen.fact("namespace", proc::namespace("uts")?).end())
}
