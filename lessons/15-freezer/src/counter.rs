//! How does one see that a process runs?
//!
//! It counts, in a file in memory that it shares with whoever looks.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::poll::{PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use stage::{Error, Result};

/// Far longer than a process has to wait for its turn.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long nothing must happen, in milliseconds.
const PAUSE: u16 = 200;

/// A number that is seen by whoever has the file open: after fork(2), also our children.
pub struct Counter(File);

impl Counter {
    /// From 0 on.
    pub fn new() -> Result<Counter> {
        let file = memfd_create("counter", MFdFlags::MFD_CLOEXEC)
            .map_err(|errno| Error::call("memfd_create", errno))?;
        let counter = Counter(file.into());
        counter.set(0)?;
        Ok(counter)
    }

    /// Count, for ever.
    pub fn run(&self) -> Result<u8> {
        let mut number = 0;
        loop {
            number += 1;
            self.set(number)?;
        }
    }

    fn set(&self, number: u64) -> Result<()> {
        let written = self.0.write_all_at(&number.to_le_bytes(), 0);
        written.map_err(|error| Error::io("pwrite64", &error))
    }

    /// Where it is now.
    pub fn get(&self) -> Result<u64> {
        let mut bytes = [0; 8];
        let read = self.0.read_exact_at(&mut bytes, 0);
        read.map_err(|error| Error::io("pread64", &error))?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Whether it gets beyond where it is now: `runs`, or `stands` if it does not.
    pub fn watch(&self) -> Result<&'static str> {
        let (start, before) = (Instant::now(), self.get()?);
        loop {
            poll(&mut [], PollTimeout::from(PAUSE)).ok();
            match self.get()? {
                now if now > before => return Ok("runs"),
                // One that stands is believed at once, when it is known to be frozen.
                _ if start.elapsed() > PATIENCE => return Ok("stands"),
                _ => {}
            }
        }
    }

    /// The same for one that is expected to stand: nobody waits for long.
    pub fn watch_shortly(&self) -> Result<&'static str> {
        let before = self.get()?;
        poll(&mut [], PollTimeout::from(PAUSE)).ok();
        Ok(if self.get()? > before { "runs" } else { "stands" })
    }
}
