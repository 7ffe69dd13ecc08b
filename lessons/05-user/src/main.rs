//! Lesson 5, the demonstration: `user [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! A child leaves for a user namespace of its own and is nobody. It waits while we write
//! its maps; then it is root, and we still see the user that it was. It makes a file, and
//! its own child tries how far its rights go: not to the host's name.

use std::process::ExitCode;

use clap::Parser;
use stage::{Command, Evidence, Flags, Program, Result, Stage, Verdict};
use user::{Line, Maps};

mod look;

/// Lesson 5: who am I in here?
#[derive(Parser)]
struct Args {
    /// Map all numbers as root, or the subordinate ones of /etc/subuid
    #[arg(long, conflicts_with = "from")]
    range: bool,
    /// Map 65536 numbers, from FIRST on outside (as root)
    #[arg(long, value_name = "FIRST")]
    from: Option<u32>,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    stage::lesson("user", "who am I in here?", &args.flags, |stage| play(stage, &args))
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let maps = match args.from {
        Some(first) => Maps::shifted(first),
        None if args.range => Maps::range()?,
        None => Maps::own(),
    };
    let host = look::at_self(stage, "host")?;

    let mut container = stage.fork(|cue| {
        user::isolate(stage)?;
        // Here it waits until its maps are written.
        cue.report(look::at_self(stage, "container")?)?;
        user::become_root(stage)?;
        let root = look::at_self(stage, "container")?;
        let file = look::make_file(stage)?;
        let made = look::at_file(stage, &file)?;
        cue.report(Evidence::joined([("is", root), ("made", made)]))?;
        drop(file);
        cue.report(send_witness(stage)?)?;
        cue.exec(stage, &Program::from_command(&args.command))
    })?;

    let nobody = container.evidence()?;
    user::write(stage, container.pid(), &maps)?;
    container.proceed()?;
    let root = container.evidence()?;
    let outside = look::at_child(stage, container.pid(), &root["made as"])?;
    container.proceed()?;
    let rights = container.evidence()?;
    let status = container.finish()?;
    Ok(judge_numbers(&maps, &host, &nobody, &root)?
        .equal("the user, seen from the host", maps.uids[0].outside, &outside["its uid"])
        .equal("the group, seen from the host", maps.gids[0].outside, &outside["its gid"])
        .equal("the file's owner inside", 0, &root["made file of"])
        .equal("and on the host", maps.uids[0].outside, &outside["file of"])
        .equal("root inside renames the host", "EPERM", &rights["host name"])
        .equal("root inside renames a namespace of its own", "done", &rights["own name"])
        .status(status))
}

/// A child of root's, to try its rights: the namespace that it makes goes with it.
fn send_witness(stage: &Stage) -> Result<Evidence> {
    let mut witness = stage.fork(|cue| {
        cue.report(look::try_rights(stage)?)?;
        Ok(0)
    })?;
    let rights = witness.evidence()?;
    witness.proceed()?;
    witness.wait()?;
    Ok(rights)
}

/// Who the child is by its own numbers, without a map and with it.
fn judge_numbers(
    maps: &Maps,
    host: &Evidence,
    nobody: &Evidence,
    root: &Evidence,
) -> Result<Verdict> {
    let all = look::all_capabilities()?;
    let map = Line::text(&maps.uids).replace('\n', ", ");
    let outside = maps.uids[0].outside;
    let claim = format!("numbers are translated: root inside is user {outside} outside");
    Ok(Verdict::on(claim)
        .differ("the container's namespace", &host["namespace"], &nobody["namespace"])
        .equal("the user without a map", look::overflow("uid")?, &nobody["uid"])
        .equal("the group without a map", look::overflow("gid")?, &nobody["gid"])
        .equal("capabilities without a map", &all, &nobody["CapEff"])
        .equal("the map", map, &root["is uid_map"])
        .equal("the user with it", 0, &root["is uid"])
        .equal("the group with it", 0, &root["is gid"])
        .equal("capabilities with it", &all, &root["is CapEff"]))
}
