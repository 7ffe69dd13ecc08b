//! Lesson 6, the demonstration: `net [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! A child leaves for a network namespace of its own, where nothing can be reached. A cable
//! into the host's is laid, both ends are configured, and a question and its answer travel
//! over it.

use std::fs;
use std::process::ExitCode;

use clap::Parser;
use net::{Cable, INSIDE, Subnet};
use stage::{Command, Error, Evidence, Flags, Program, Result, Stage, Verdict};

mod echo;
mod look;
mod neighbours;

use echo::{answer, ask, hear, listen};
use look::NONE;

/// Lesson 6: how does an empty network stack reach the world?
#[derive(Parser)]
struct Args {
    /// The addresses of the two ends: the first is the host's, the second the container's
    #[arg(long, default_value = "10.207.1.0/24")]
    subnet: Subnet,
    /// Lay no cable: that is left to scripts/host_net.sh and scripts/inner_net.sh
    #[arg(long)]
    bare: bool,
    /// Instead: who gets what is sent to a neighbour on the same bridge?
    #[arg(long, conflicts_with_all = ["bare", "subnet", "argv"])]
    bridge: bool,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    let question = "how does an empty network stack reach the world?";
    stage::lesson("net", question, &args.flags, |stage| {
        for left in net::sweep()? {
            stage.note(&format!("removed what a killed run had left: {left}"));
        }
        match args {
            Args { bridge: true, .. } => neighbours::play(stage),
            Args { bare: true, .. } => play_bare(stage, &args),
            _ => play(stage, &args),
        }
    })
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let (gateway, address) = (args.subnet.gateway(), args.subnet.container());
    let length = args.subnet.length();
    stand_in(stage)?;
    args.subnet.must_be_free()?;
    let mut container = stage.fork(|cue| {
        net::isolate(stage)?;
        cue.report(look::container(stage)?)?;
        net::configure(address, length, gateway)?;
        let ear = listen(address)?;
        cue.report(look::container(stage)?)?;
        cue.report(answer(stage, &ear)?)?;
        cue.exec(stage, &Program::from_command(&args.command))
    })?;

    let empty = container.evidence()?;
    let cable = Cable::lay(container.pid(), &args.subnet)?;
    let outside = cable.outside.clone();
    stage.note(&format!("by netlink: a cable, {outside} here and {INSIDE} in there"));
    let during = look::host(stage, &outside)?;
    container.proceed()?;
    let connected = container.evidence()?;
    let mouth = ask(gateway, address)?;
    container.proceed()?;
    let asked = container.evidence()?;
    let answered = hear(stage, &mouth)?;
    let status = container.finish()?;
    drop(cable);
    let after = look::host(stage, &outside)?;

    Ok(judge_empty(Verdict::on(CLAIM), &during, &empty)
        .equal("its loopback, configured", "up 127.0.0.1/8", &connected["lo"])
        .equal("its end", format!("up {address}/{length}"), &connected[INSIDE])
        .equal("the host's end", format!("up {gateway}/{length}"), &during[&*outside])
        .equal("its way out", gateway, &connected["gateway"])
        .equal("who asked the container", gateway, &asked["asked by"])
        .equal("who answered the host", address, &answered["answer by"])
        .equal("the host's end afterwards", NONE, &after[&*outside])
        .equal("the host's namespace", &during["namespace"], &after["namespace"])
        .status(status))
}

const CLAIM: &str =
    "a new network stack is empty: a cable, addresses and a route connect it";

fn play_bare(stage: &Stage, args: &Args) -> Result<Verdict> {
    let before = look::host(stage, "lo")?;
    let mut container = stage.fork(|cue| {
        net::isolate(stage)?;
        cue.report(look::container(stage)?)?;
        cue.exec(stage, &Program::from_command(&args.command))
    })?;
    let empty = container.evidence()?;
    let on = format!("process {} waits for scripts/host_net.sh", container.pid());
    stage.note(&on);
    let status = container.finish()?;
    let verdict = Verdict::on("a new network stack is empty, and reaches nobody");
    Ok(judge_empty(verdict, &before, &empty).status(status))
}

/// What holds of every new network namespace.
fn judge_empty(verdict: Verdict, host: &Evidence, empty: &Evidence) -> Verdict {
    verdict
        .differ("the container's namespace", &host["namespace"], &empty["namespace"])
        .equal("the links in a new namespace", "lo", &empty["links"])
        .equal("its loopback", "down", &empty["lo"])
        .equal("its way out", NONE, &empty["gateway"])
        .equal("its own 127.0.0.1", "ENETUNREACH", &empty["127.0.0.1"])
}

/// In a user namespace (lesson 5) we are root, but not of the host's network: a second
/// network namespace, of our own, plays the host.
fn stand_in(stage: &Stage) -> Result<()> {
    let map = "/proc/self/uid_map";
    let map = fs::read_to_string(map).map_err(|error| Error::io(map, &error))?;
    if !map.split_whitespace().eq(["0", "0", "4294967295"]) {
        stage.note(
            "the host's network is not ours to change: another one stands in for it",
        );
        net::isolate(stage)?;
    }
    Ok(())
}
