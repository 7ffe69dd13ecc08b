//! Lesson 2, the demonstration: `ipc [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! The host makes queues and shared memory. A plain child finds them; a child with an IPC
//! namespace of its own does not, and what it makes there cannot be found on the host.

use std::process::ExitCode;

use clap::Parser;
use ipc::objects::{self, Guard, Names};
use stage::{Command, Evidence, Flags, Program, Result, Stage, Verdict, proc};

/// Lesson 2: why are my queues gone?
#[derive(Parser)]
struct Args {
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    stage::lesson("ipc", "why are my queues gone?", &args.flags, |stage| {
        play(stage, &args)
    })
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    for left in objects::sweep()? {
        stage.note(&format!("removed what a killed run had left: {left}"));
    }
    let (outer, inner) = (Names::of("host"), Names::of("inner"));
    let foreign = objects::foreign_message_queues()?;
    let guard = Guard::on(&outer)?;
    objects::make(stage, &outer)?;
    let host = look(stage, "host", &outer, &inner)?;

    let mut plain = stage.fork(|cue| {
        cue.report(look(stage, "child", &outer, &inner)?)?;
        Ok(0)
    })?;
    let child = plain.evidence()?;
    plain.finish()?;

    let mut container = stage.fork(|cue| {
        ipc::isolate(stage)?;
        objects::make(stage, &inner)?; // no guard: they die with the namespace
        cue.report(look(stage, "container", &outer, &inner)?)?;
        cue.exec(stage, &Program::from_command(&args.command))
    })?;
    let inside = container.evidence()?;
    let during = look(stage, "host", &outer, &inner)?;
    let status = container.finish()?;

    drop(guard);
    let after = look(stage, "host", &outer, &inner)?;
    let still_there = objects::foreign_message_queues()?;
    Ok(judge(&[host, child, inside, during, after])
        .holds(
            "queues of others",
            "all still there",
            format!("{} of {}", still_there.len(), foreign.len()),
            foreign.iter().all(|id| still_there.contains(id)),
        )
        .status(status))
}

/// What a process can find: the host's three objects, then the container's.
fn look(stage: &Stage, who: &str, outer: &Names, inner: &Names) -> Result<Evidence> {
    let mut seen = stage.look(who).fact("namespace", proc::namespace("ipc")?);
    for (whose, names) in [("host", outer), ("own", inner)] {
        let finds = [
            ("msg", objects::find_message_queue(names.key)?),
            ("shm", objects::find_segment(names.key)?),
            ("mq", objects::find_posix_queue(&names.queue)?),
        ];
        for (what, found) in finds {
            seen =
                seen.fact(&format!("{whose} {what}"), found.as_deref().unwrap_or(NONE));
        }
    }
    Ok(seen.end())
}

const NONE: &str = "-";

fn judge([host, child, inside, during, after]: &[Evidence; 5]) -> Verdict {
    let mut verdict = Verdict::on(
        "a queue's name is looked up in the caller's own namespace",
    )
    .differ("the container's namespace", &host["namespace"], &inside["namespace"]);
    for what in ["msg", "shm", "mq"] {
        let (outer, inner) = (&*format!("host {what}"), &*format!("own {what}"));
        verdict = verdict
            .differ(&format!("{outer} on the host"), NONE, &host[outer])
            .equal(&format!("{outer} in a plain child"), &host[outer], &child[outer])
            .equal(&format!("{outer} in the container"), NONE, &inside[outer])
            .differ(&format!("{inner} in the container"), NONE, &inside[inner])
            .equal(&format!("{inner} on the host"), NONE, &during[inner])
            .equal(&format!("{outer} afterwards"), NONE, &after[outer]);
    }
    verdict
}
