//! How does a process use memory?
//!
//! Not by asking for it. The kernel grants a range of addresses, and gives a page when it is
//! written to for the first time: then it is charged to the group of whoever writes.

use std::hint::black_box;

use cgroup::Group;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use stage::{Child, Cue, Error, Evidence, Result, Stage};

pub const MIB: u64 = 1 << 20;

/// A page as most processors have it, and something to write to it.
const PAGE: [u8; 4096] = [1; 4096];

/// What [`Child::wait`] returns for a process that SIGKILL has ended: 137.
const KILLED: u8 = 128 + Signal::SIGKILL as u8;

/// Memory that was asked for, and is used bit by bit.
struct Hog(Vec<u8>);

impl Hog {
    /// Ask for `bytes`, and use none of them.
    fn ask(bytes: u64) -> Result<Hog> {
        let mut memory = Vec::new();
        let size = usize::try_from(bytes).unwrap_or(usize::MAX);
        let granted = memory.try_reserve_exact(size);
        granted
            .map_err(|_| Error::call(format!("mmap(NULL, {bytes})"), Errno::ENOMEM))?;
        Ok(Hog(memory))
    }

    /// Use `bytes` more, page by page, and hand over after each MiB how much it is.
    fn eat(&mut self, cue: &mut Cue, bytes: u64) -> Result<()> {
        for _ in 0..bytes / MIB {
            for _ in 0..MIB / PAGE.len() as u64 {
                self.0.extend_from_slice(&PAGE);
            }
            // For all that the compiler knows, somebody reads it.
            black_box(&self.0);
            let mut seen = Evidence::default();
            seen.record("bytes", self.0.len());
            cue.show(seen)?;
        }
        Ok(())
    }
}

/// The sibling: uses `goal` bytes, and when the other one is dead, a little more.
pub fn grow_outside(cue: &mut Cue, goal: u64) -> Result<u8> {
    let mut hog = Hog::ask(goal + MIB)?;
    hog.eat(cue, goal)?;
    cue.listen()?;
    hog.eat(cue, MIB)?;
    Ok(0)
}

/// A process of the group's that wants to use `goal` bytes: how far it gets.
pub fn grow_inside(stage: &Stage, group: &Group, goal: u64) -> Result<Evidence> {
    let mut container = stage.fork(|cue| {
        cue.report(Evidence::default())?; // we are put into the group
        cue.report(crate::look(stage, "container")?)?;
        let mut hog = Hog::ask(goal)?;
        stage.look("container").fact("granted", mib(goal)).end();
        hog.eat(cue, goal)?;
        Ok(0)
    })?;
    container.evidence()?;
    group.add(stage, container.pid())?;
    container.proceed()?;
    let mut seen = container.evidence()?;
    container.proceed()?;
    let used = watch(&mut container, goal)?;
    let end = told(container.wait()?);
    stage.look("container").fact("used", mib(used)).fact("ended by", &end).end();
    seen.record("bytes", used);
    seen.record("ended by", end);
    Ok(seen)
}

/// Look on while `child` uses `bytes` more, or until it is killed: how much it uses then.
pub fn watch(child: &mut Child, bytes: u64) -> Result<u64> {
    let mut used = 0;
    for _ in 0..bytes / MIB {
        match child.evidence() {
            Ok(seen) => used = seen["bytes"].parse().unwrap_or_default(),
            Err(error) if error.exit_status() == KILLED => break,
            Err(error) => return Err(error),
        }
    }
    Ok(used)
}

/// How a child has ended that [`Child::wait`] returns `status` for.
pub fn told(status: u8) -> String {
    match Signal::try_from(i32::from(status) - 128) {
        Ok(signal) => format!("{signal} (status {status})"),
        Err(_) => format!("itself (status {status})"),
    }
}

/// A number of bytes as we show it.
pub fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / MIB as f64)
}
