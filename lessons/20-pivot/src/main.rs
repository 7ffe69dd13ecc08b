//! Lesson 20, the demonstration: `pivot [OPTIONS] [-- COMMAND [ARG]...]`.
//!
//! Two prisoners get the same root, an overlay over this machine's own: one by chroot(2),
//! one by pivot_root(2). Both are root, and both try the same way out.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use nix::errno::Errno;
use nix::unistd::{chdir, chroot};
use pivot::escape;
use stage::{Command, Error, Evidence, Flags, Program, Result, Stage, Verdict};

mod prison;

use prison::{ROOT, build};

/// Lesson 20: why is chroot not enough?
#[derive(Parser)]
struct Args {
    /// Make the container's root read-only
    #[arg(long)]
    read_only: bool,
    #[command(flatten)]
    flags: Flags,
    #[command(flatten)]
    command: Command,
}

fn main() -> ExitCode {
    let args: Args = stage::arguments();
    let question = "why is chroot not enough?";
    stage::lesson("pivot", question, &args.flags, |stage| play(stage, &args))
}

fn play(stage: &Stage, args: &Args) -> Result<Verdict> {
    let host = look(stage, "host", None)?;
    let old_root = &*what_is_at_root()?;
    let (jailed, fled) = in_a_chroot(stage, old_root)?;

    let mut container = stage.fork(|cue| {
        build(stage)?;
        pivot::enter(stage, Path::new(ROOT))?;
        cue.report(look(stage, "pivot", Some(old_root))?)?;
        escape::attempt(stage)?;
        if args.read_only {
            pivot::read_only(stage, Path::new("/"))?;
        }
        let tried = stage.look("pivot").fact("writable", try_writing()).end();
        let after = look(stage, "pivot", Some(old_root))?;
        cue.report(Evidence::joined([("is", tried), ("after", after)]))?;
        cue.exec(stage, &Program::from_command(&args.command))
    })?;
    let entered = container.evidence()?;
    container.proceed()?;
    let stayed = container.evidence()?;
    let status = container.finish()?;

    let writable = if args.read_only { "EROFS" } else { "yes" };
    Ok(Verdict::on("chroot can be left; after pivot_root there is nothing to go to")
        .differ("the chroot's root", &host["root"], &jailed["root"])
        .equal("where the escape from chroot leads", &host["root"], &fled["root"])
        .equal("the old root, seen from there", "mounted", &fled["old root"])
        .differ("the pivot's root", &host["root"], &entered["root"])
        .equal(
            "where the escape from pivot leads",
            &entered["root"],
            &stayed["after root"],
        )
        .equal("the old root, seen from there", "gone", &stayed["after old root"])
        .equal("whether a file can be written", writable, &stayed["is writable"])
        .status(status))
}

/// The first prisoner: what "/" is in the chroot, and what it is after the escape.
fn in_a_chroot(stage: &Stage, old_root: &str) -> Result<(Evidence, Evidence)> {
    let mut prisoner = stage.fork(|cue| {
        build(stage)?;
        stage.ask(format!("chroot({ROOT:?})"), || chroot(ROOT))?;
        stage.ask("chdir(\"/\")", || chdir("/"))?;
        cue.report(look(stage, "chroot", None)?)?;
        escape::attempt(stage)?;
        cue.report(look(stage, "chroot", Some(old_root))?)?;
        Ok(0)
    })?;
    let jailed = prisoner.evidence()?;
    prisoner.proceed()?;
    let fled = prisoner.evidence()?;
    prisoner.finish()?;
    Ok((jailed, fled))
}

/// Whether the root can be written to.
fn try_writing() -> String {
    let path = "/written";
    match fs::write(path, "").and_then(|()| fs::remove_file(path)) {
        Ok(()) => "yes".into(),
        Err(error) => {
            format!("{:?}", Errno::from_raw(error.raw_os_error().unwrap_or_default()))
        }
    }
}

/// What "/" is, what is mounted, and whether the `old_root` is among it.
fn look(stage: &Stage, who: &str, old_root: Option<&str>) -> Result<Evidence> {
    let (device, inode) = escape::identity("/")?;
    let seen =
        stage.look(who).fact("root", format!("device {device:#010x}, inode {inode}"));
    let Some(old_root) = old_root else { return Ok(seen.end()) };

    let mounts = mounts()?;
    let is_there = mounts.iter().any(|(what, _)| what == old_root);
    let mut points: Vec<&str> = mounts.iter().map(|(_, point)| point.as_str()).collect();
    points.sort_unstable();
    let more = if points.len() > 3 { " …" } else { "" };
    points.truncate(3);
    let seen = seen.fact("mounts", points.join(" ") + more);
    Ok(seen.fact("old root", if is_there { "mounted" } else { "gone" }).end())
}

/// What is mounted on "/".
fn what_is_at_root() -> Result<String> {
    let at_root = mounts()?.into_iter().rfind(|(_, point)| point == "/");
    at_root
        .map(|(what, _)| what)
        .ok_or_else(|| Error::input("nothing is mounted on \"/\""))
}

/// What is mounted (device and folder of its file system) and where, of each mount that we
/// can reach: proc_pid_mountinfo(5).
fn mounts() -> Result<Vec<(String, String)>> {
    let list = "/proc/self/mountinfo";
    let text = fs::read_to_string(list).map_err(|error| Error::io(list, &error))?;
    let mount = |line: &str| {
        let fields: Vec<&str> = line.split(' ').collect();
        let [_, _, device, folder, point, ..] = fields[..] else { return None };
        Some((format!("{device} {folder}"), point.to_string()))
    };
    Ok(text.lines().filter_map(mount).collect())
}
