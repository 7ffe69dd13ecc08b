//! How does one start processes until no more can be had?
//!
//! Each waits for the end of a pipe that only the first one can end.

use std::io::{PipeReader, PipeWriter, Read, pipe};

use nix::errno::Errno;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};
use stage::{Error, Result, Stage};

/// Processes that do nothing but be there. Dropped, they end.
pub struct Crowd {
    members: Vec<Pid>,
    end: Option<PipeWriter>,
    listen: PipeReader,
}

impl Crowd {
    /// Nobody yet.
    pub fn new() -> Result<Crowd> {
        let (listen, end) = pipe().map_err(|error| Error::io("pipe2", &error))?;
        Ok(Crowd { members: Vec::new(), end: Some(end), listen })
    }

    /// Start processes until the kernel refuses one, but no more than `most`. Returns how many
    /// there are, and the refusal.
    pub fn grow(&mut self, stage: &Stage, most: u32) -> Result<(usize, Option<Errno>)> {
        for _ in 0..most {
            // The last one is told; twenty lines of the same would say less.
            match self.one_more() {
                Ok(member) => self.members.push(member),
                Err(Errno::EAGAIN) => {
                    let refused = stage.attempt("fork()", || self.one_more())?;
                    return Ok((self.members.len(), refused.err()));
                }
                Err(errno) => return Err(Error::call("fork()", errno)),
            }
        }
        Ok((self.members.len(), None))
    }

    #[allow(unsafe_code, reason = "nix marks fork(2) as unsafe")]
    fn one_more(&mut self) -> nix::Result<Pid> {
        // SAFETY: we have one thread, so that the child may do all that we may.
        match unsafe { fork() }? {
            ForkResult::Parent { child } => Ok(child),
            ForkResult::Child => {
                self.end = None;
                // Nothing is ever written: this returns when the pipe has ended.
                self.listen.read_exact(&mut [0]).ok();
                std::process::exit(0)
            }
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.end = None;
        for member in &self.members {
            // It cannot fail: they are our children, and they end.
            waitpid(*member, None).ok();
        }
    }
}
