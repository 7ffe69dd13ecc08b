//! How fast does a process write?
//!
//! Directly (O_DIRECT): past the page cache, so that each write(2) returns when the disk has
//! the bytes. How many there were is not asked of the writer, but of its group.

use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use block_io::{Device, disk::Disk, traffic_on};
use cgroup::Group;
use stage::{Child, Error, Result, Stage};

use crate::amount::{MIB, mib};

/// How big the disk is.
pub const SIZE: u64 = 16 * MIB;
/// How often the bars are drawn.
const FRAME: Duration = Duration::from_millis(100);

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
    /// Start one in `group`, which writes a sixteenth of `limit` at a time, so that a second
    /// of waiting is divided evenly.
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

    /// Measure it for `time`. A bar is drawn: how much of `limit` it writes, if there is one.
    pub fn measure(&mut self, time: Duration, limit: Option<u64>) -> Result<Sample> {
        let mut live = self.stage.live();
        let (before, start) = (self.written()?, Instant::now());
        loop {
            self.child.watch(FRAME.min(time.saturating_sub(start.elapsed())))?;
            let bytes = self.written()?.saturating_sub(before);
            let sample = Sample { bytes, window: start.elapsed() };
            if sample.window >= time {
                return Ok(sample);
            }
            let share = limit.map_or(1.0, |limit| sample.rate() / limit as f64);
            let left = (time - sample.window).as_secs_f64();
            let rest = format!("{}/s, {left:.1} s", mib(sample.rate()));
            live.bars(&[("writer", share)], &rest);
        }
    }

    fn written(&self) -> Result<u64> {
        Ok(traffic_on(self.group, self.device)?.written)
    }
}

/// From the disk's beginning to its end, again and again.
fn write_for_ever(path: &Path, block: usize) -> Result<u8> {
    let failed = |error| Error::io(format!("pwrite64({path:?})"), &error);
    let mut options = File::options();
    let disk = options.write(true).custom_flags(libc::O_DIRECT).open(path);
    let disk = disk.map_err(|error| Error::io(format!("openat({path:?})"), &error))?;
    let blocks = Box::new(Blocks([0; 64 << 10]));
    loop {
        for at in (0..SIZE).step_by(block) {
            let count = block.min((SIZE - at) as usize);
            disk.write_all_at(&blocks.0[..count], at).map_err(failed)?;
        }
    }
}
