//! `io --buffered`: is a writer slowed that does not wait for the disk?
//!
//! write(2) usually copies to memory (the page cache), and a thread of the kernel's brings it
//! to the disk later. Whose group is that charged to? In version 1 to the thread's, which is
//! the topmost one. In version 2 the page remembers whose it is (cgroup writeback), where
//! the file system helps and memory, which pages are, is counted there as well.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use block_io::disk::Disk;
use block_io::filesystem::{self, Access};
use block_io::{CONTROLLER, Device, Direction, throttle, traffic_on};
use cgroup::{Group, Hierarchy, Version};
use nix::unistd::syncfs;
use stage::{Cue, Error, Evidence, Result, Stage, Verdict, descriptor};

use crate::amount::{MIB, mib};

/// How many bytes a second the group may write, and how many it writes.
const LIMIT: u64 = MIB;
const AMOUNT: u64 = 4 * MIB;
/// Where the disk is mounted, for one process and its child.
const AT: &str = "/mnt";

pub fn play(stage: &Stage) -> Result<Verdict> {
    let on_v2 = |name| Hierarchy::of(name).is_ok_and(|it| it.version == Version::V2);
    let remembers = on_v2(CONTROLLER) && on_v2("memory");
    let verdict = Verdict::on(match remembers {
        true => "a buffered writer is slowed later: its pages remember whose they are",
        false => "a buffered writer escapes: who brings its pages to the disk is not it",
    });
    let controllers = [CONTROLLER, "memory"];
    let controllers = if remembers { &controllers[..] } else { &controllers[..1] };
    let name = format!("lesson-{}", std::process::id());
    let group = Group::make(stage, &name, controllers)?;
    let disk = Disk::make(stage, 4 * AMOUNT)?;
    throttle(stage, &group, disk.device, Direction::Write, LIMIT)?;
    // It lives for seconds: no journal, and nothing that is finished in the background.
    let brief = ["-F", "-O", "^has_journal", "-E", "lazy_itable_init=0"];
    if !filesystem::make(&disk, "mkfs.ext4", &brief)? {
        return Ok(verdict.skip("a file", "there is no mkfs.ext4 (package e2fsprogs)"));
    }
    let mut host = stage.fork(|cue| {
        mount::isolate(stage)?;
        let seen = match filesystem::mount(stage, &disk.path, AT, "ext4", Access::Full)? {
            Err(errno) => Err(errno),
            Ok(()) => Ok(write_and_flush(stage, &group, &disk)?),
        };
        cue.report(seen.unwrap_or_default())?;
        Ok(0)
    })?;
    let seen = host.evidence()?;
    host.finish()?;
    group.remove(stage)?;
    match seen == Evidence::default() {
        true => Ok(verdict.skip("a file", "this kernel has no ext4")),
        false => Ok(judge(verdict, remembers, &seen)),
    }
}

/// The host: lets a child of the group write, and has it brought to the disk.
fn write_and_flush(stage: &Stage, group: &Group, disk: &Disk) -> Result<Evidence> {
    let mut writer = stage.fork(|cue| write_buffered(stage, cue))?;
    writer.evidence()?;
    group.add(stage, writer.pid())?;
    let (before, start) = (received(disk.device)?, Instant::now());
    writer.proceed()?;
    let mut seen = writer.evidence()?;
    writer.proceed()?;
    writer.wait()?;
    let root = File::open(AT).map_err(|error| Error::io(AT, &error))?;
    // It waits for the kernel's thread, which would begin by itself after some seconds.
    stage.ask(format!("syncfs({})", descriptor(&root)), || syncfs(&root))?;
    let (bytes, time) = (received(disk.device)? - before, start.elapsed());
    let charged = traffic_on(group, disk.device)?.written;
    let told = format!("{} in {:.3} s", mib(bytes as f64), time.as_secs_f64());
    stage.look("disk").fact("received", told).end();
    stage.look("group").fact("charged", mib(charged as f64)).end();
    seen.record("received", bytes);
    seen.record("received at", bytes as f64 / time.as_secs_f64());
    seen.record("charged", charged);
    Ok(seen)
}

/// The writer, a process of the group.
fn write_buffered(stage: &Stage, cue: &mut Cue) -> Result<u8> {
    cue.report(Evidence::default())?; // we are put into the group
    let path = Path::new(AT).join("file");
    let failed = |error| Error::io(path.display(), &error);
    let bytes = vec![b'x'; AMOUNT as usize];
    let start = Instant::now();
    let mut file = File::create(&path).map_err(failed)?;
    file.write_all(&bytes).map_err(failed)?;
    let time = start.elapsed().as_secs_f64();
    let told = format!("{} in {time:.3} s", mib(AMOUNT as f64));
    let mut seen = stage.look("writer").fact("wrote", told).end();
    seen.record("wrote at", AMOUNT as f64 / time);
    cue.report(seen)?;
    Ok(0)
}

/// How many bytes the disk was given, by anybody: see the kernel's block/stat.rst.
fn received(device: Device) -> Result<u64> {
    let path = format!("/sys/dev/block/{device}/stat");
    let text = fs::read_to_string(&path).map_err(|error| Error::io(&path, &error))?;
    let sectors =
        text.split_whitespace().nth(6).and_then(|word| word.parse::<u64>().ok());
    let sectors = sectors.ok_or_else(|| Error::input(format!("{path} has no number")))?;
    Ok(sectors * 512)
}

fn judge(verdict: Verdict, remembers: bool, seen: &Evidence) -> Verdict {
    let number = |name: &str| seen[name].parse::<f64>().unwrap_or_default();
    let (amount, limit) = (AMOUNT as f64, LIMIT as f64);
    let (charged, received) = (number("charged"), number("received"));
    let (wrote_at, received_at) = (number("wrote at"), number("received at"));
    let rate = |rate: f64| format!("{}/s", mib(rate));
    let fast = "more than twice the limit";
    let verdict = verdict
        .holds("the writer's rate", fast, rate(wrote_at), wrote_at > 2.0 * limit)
        .holds("what the disk received", mib(amount), mib(received), received >= amount);
    let charge = "what the group is charged";
    match remembers {
        true => verdict
            .holds(charge, "most of it", mib(charged), charged >= 0.9 * amount)
            .holds(
                "the disk's rate",
                "at most 1.2 times the limit",
                rate(received_at),
                received_at <= 1.2 * limit,
            ),
        false => verdict
            .holds(charge, "next to nothing", mib(charged), charged <= 0.1 * amount)
            .holds("the disk's rate", fast, rate(received_at), received_at > 2.0 * limit),
    }
}
