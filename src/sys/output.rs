//! Where does our output go while nobody is to see it?
//!
//! Into a file without a name, which is shown after all if something has gone wrong.

use std::fs::File;
use std::io::{self, Seek, stderr, stdout};
use std::os::fd::{AsFd, OwnedFd};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{dup2_stderr, dup2_stdout};
use stage::{Error, Result};

/// Our output goes elsewhere as long as this lives.
pub struct Diverted {
    out: OwnedFd,
    err: OwnedFd,
    aside: File,
}

impl Diverted {
    /// From here on.
    pub fn begin() -> Result<Diverted> {
        let aside = memfd_create(c"output", MFdFlags::MFD_CLOEXEC);
        let aside = aside.map_err(|errno| Error::call("memfd_create", errno))?;
        let copy = |fd: io::Result<OwnedFd>| fd.map_err(|error| Error::io("dup", &error));
        let out = copy(stdout().as_fd().try_clone_to_owned())?;
        let err = copy(stderr().as_fd().try_clone_to_owned())?;
        let diverted = Diverted { out, err, aside: aside.into() };
        diverted.to(&diverted.aside, &diverted.aside)?;
        Ok(diverted)
    }

    /// Show on standard error what there was.
    pub fn tell(mut self) -> Result<()> {
        self.to(&self.out, &self.err)?;
        let told =
            self.aside.rewind().and_then(|()| io::copy(&mut self.aside, &mut stderr()));
        told.map(drop).map_err(|error| Error::io("standard error", &error))
    }

    fn to(&self, out: &impl AsFd, err: &impl AsFd) -> Result<()> {
        dup2_stdout(out)
            .and_then(|()| dup2_stderr(err))
            .map_err(|errno| Error::call("dup2", errno))
    }
}

impl Drop for Diverted {
    fn drop(&mut self) {
        // These descriptors are there: they were ours before.
        self.to(&self.out, &self.err).ok();
    }
}
