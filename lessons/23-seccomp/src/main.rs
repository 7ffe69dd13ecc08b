//! Lesson 23, the demonstration: `seccomp [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! A process tries a few calls, installs the filter that Docker's profile becomes, and tries
//! them again. Another one has a filter of one rule, by which the kernel ends it.

use std::process::ExitCode;

use caps::Set;
use clap::Parser;
use nix::sys::prctl::set_dumpable;
use nix::unistd::getppid;
use seccomp::{Action, Condition, Filter, Profile, Rule};
use stage::{Command, Cue, Error, Evidence, Flags, Program, Result, Stage, Verdict};

mod trials;

/// Lesson 23: which calls does Docker forbid?
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

/// 128 + SIGSYS
const ENDED: u8 = 128 + 31;

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    let question = "which calls does Docker forbid?";
    stage::lesson("seccomp", question, &args.flags, |stage| play(stage, &args))
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let docker = Set::named(&caps::DOCKER)?;
    let profile = Profile::builtin()?.for_capabilities(docker)?;
    let filter = Filter::compile(&profile)?;
    let rules = profile.syscalls.len();
    let about = stage.look("profile").fact("rules", rules);
    let about =
        about.fact("the filter", format!("{} instructions", filter.length())).end();

    let ended = end_somebody(stage)?;
    let mut container = stage.fork(|cue| live(stage, cue, &filter, &args.command))?;
    let before = container.evidence()?;
    container.proceed()?;
    let after = container.evidence()?;
    let status = container.finish()?;
    Ok(judge(&about, &ended, &before, &after).status(status))
}

fn judge(
    about: &Evidence,
    ended: &Evidence,
    before: &Evidence,
    after: &Evidence,
) -> Verdict {
    let claim = "a filter decides about each call: some fail, some end the process, the rest works";
    let keys = "keys, which are the whole machine's";
    let verdict = Verdict::on(claim)
        .differ("the filter", "0 instructions", &about["the filter"])
        .equal("the forbidden call's process", ENDED, &ended["status"])
        .equal("filters at first", 0, &before["Seccomp"])
        .equal("filters then", 2, &after["Seccomp"])
        .equal("personality, before", "works", &before["same place"])
        .equal("personality, with this argument", "EPERM", &after["same place"])
        .equal("and with another one", "works", &after["question"])
        .equal("clone3, before", "EINVAL", &before["clone3"])
        .equal("clone3, as if it was not there", "ENOSYS", &after["clone3"])
        .equal("a program that is started", "works", &after["a program"]);
    match &before["keyctl"] {
        "ENOSYS" => verdict.skip(keys, "this kernel has none"),
        _ => verdict.equal(keys, "EPERM", &after["keyctl"]),
    }
}

/// The container: tries, is filtered, tries again, and becomes COMMAND.
fn live(stage: &Stage, cue: &mut Cue, filter: &Filter, command: &Command) -> Result<u8> {
    cue.report(trials::look(stage, "before")?)?;
    caps::no_new_privs(stage)?;
    seccomp::install(stage, filter)?;
    cue.report(trials::look(stage, "container")?)?;
    cue.exec(stage, &Program::from_command(command))
}

/// Somebody who asks for its parent's number, where that is forbidden.
fn end_somebody(stage: &Stage) -> Result<Evidence> {
    let (names, action) = (vec!["getppid".to_string()], Action::KillProcess);
    let never = Condition::default;
    let (includes, excludes) = (never(), never());
    let rule = Rule { names, action, errno_ret: None, args: None, includes, excludes };
    let default_action = Action::Allow;
    let profile =
        Profile { default_action, default_errno_ret: None, syscalls: vec![rule] };
    let filter = Filter::compile(&profile)?;
    let mut somebody = stage.fork(|_| {
        // The kernel would leave a core file.
        set_dumpable(false)
            .map_err(|errno| Error::call("prctl(PR_SET_DUMPABLE)", errno))?;
        caps::no_new_privs(stage)?;
        seccomp::install(stage, &filter)?;
        stage.note("now it calls getppid()");
        getppid();
        Ok(0)
    })?;
    let status = somebody.wait()?;
    let seen = stage.look("somebody").fact("status", status).end();
    stage.gap();
    Ok(seen)
}
