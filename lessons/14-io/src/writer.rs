//! How fast does a process write?
//!
//! Directly (O_DIRECT): past the page cache, so that each write(2) returns when the disk has
//! the bytes. How many there were is not asked of the writer, but of its group.

use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use block_io::{Device, disk::Disk, traffic_on};
use cgroup::Group;
use stage::{Child, Error, Result, Stage};

use crate::amount::{MIB, mib};

/// How big the disk is.
pub const SIZE: u64 = 16 * MIB;
/// How many write at the same time, and how much of the disk each has.
const THREADS: u64 = 4;
const PART: u64 = SIZE / THREADS;
/// How often the bars are drawn.
const FRAME: Duration = Duration::from_millis(100);
/// How exactly we want to know when something was written, and how long we wait for that.
const GLANCE: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(2);

/// What a disk takes directly begins where a block begins, in memory, too.
#[repr(align(4096))]
struct Blocks([u8; 64 << 10]);

/// A process that writes to a disk as fast as it can.
pub struct Writer<'s> {
    stage: &'s Stage,
    group: &'s Group,
    device: Device,
    child: Child<'s>,
}

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    bytes: u64,
    window: Duration,
}

impl Sample {
    /// Bytes per second.
    pub fn rate(self) -> f64 {
        self.bytes as f64 / self.window.as_secs_f64()
    }

    /// What was counted, as we show it.
    pub fn told(self) -> String {
        format!("{} in {:.3} s", mib(self.bytes as f64), self.window.as_secs_f64())
    }
}

impl<'s> Writer<'s> {
    /// Start one in `group`, which writes a sixteenth of `limit` at a time, so that it has to
    /// wait often in a second.
    pub fn start(
        stage: &'s Stage,
        group: &'s Group,
        disk: &Disk,
        limit: u64,
    ) -> Result<Writer<'s>> {
        let block = (limit / 16).next_multiple_of(4096).min(64 << 10) as usize;
        let mut child = stage.fork(|cue| {
            let text = format!("{} KiB at a time, directly", block >> 10);
            cue.report(stage.look("writer").fact("writes", text).end())?;
            write_for_ever(&disk.path, block)
        })?;
        child.evidence()?;
        // In the group before its first write.
        group.add(stage, child.pid())?;
        child.proceed()?;
        Ok(Writer { stage, group, device: disk.device, child })
    }

    /// Measure it for `time`, from one write of the disk's to another. A bar is drawn: how
    /// much of `limit` it writes, if there is one.
    pub fn measure(&mut self, time: Duration, limit: Option<u64>) -> Result<Sample> {
        let mut live = self.stage.live();
        let (before, start) = (self.next_write()?, Instant::now());
        loop {
            self.child.watch(FRAME.min(time.saturating_sub(start.elapsed())))?;
            if start.elapsed() >= time {
                let bytes = self.next_write()?.saturating_sub(before);
                return Ok(Sample { bytes, window: start.elapsed() });
            }
            let bytes = self.written()?.saturating_sub(before);
            let sample = Sample { bytes, window: start.elapsed() };
            let share = limit.map_or(1.0, |limit| sample.rate() / limit as f64);
            let left = time.saturating_sub(sample.window).as_secs_f64();
            let rest = format!("{}/s, {left:.1} s", mib(sample.rate()));
            live.bars(&[("writer", share)], &rest);
        }
    }

    /// What was written when there is more than now: nobody tells us, so that we look again.
    fn next_write(&mut self) -> Result<u64> {
        let (start, before) = (Instant::now(), self.written()?);
        loop {
            self.child.watch(GLANCE)?;
            let now = self.written()?;
            if now != before || start.elapsed() > PATIENCE {
                return Ok(now);
            }
        }
    }

    fn written(&self) -> Result<u64> {
        Ok(traffic_on(self.group, self.device)?.written)
    }
}

/// With some threads, so that there are always writes that wait: what we measure is the
/// limit, and not how soon a thread comes back with its next one.
fn write_for_ever(path: &Path, block: usize) -> Result<u8> {
    for part in 1..THREADS {
        let path = path.to_owned();
        let started = thread::Builder::new().spawn(move || fill(&path, block, part));
        started.map_err(|error| Error::io("clone3", &error))?;
    }
    fill(path, block, 0)
}

/// Write a part of the disk from its beginning to its end, again and again.
fn fill(path: &Path, block: usize, part: u64) -> Result<u8> {
    let mut options = File::options();
    let disk = options.write(true).custom_flags(libc::O_DIRECT).open(path);
    let disk = disk.map_err(|error| Error::io(format!("openat({path:?})"), &error))?;
    let blocks = Box::new(Blocks([0; 64 << 10]));
    let (start, end) = (part * PART, (part + 1) * PART);
    loop {
        for at in (start..end).step_by(block) {
            let count = block.min((end - at) as usize);
            let written = disk.write_all_at(&blocks.0[..count], at);
            written.map_err(|error| Error::io(format!("pwrite64({path:?})"), &error))?;
        }
    }
}
