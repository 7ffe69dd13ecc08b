//! Where can a program go wrong without harm to the machine?
//!
//! In a stand-in for it: the same names, files and mounts, but copies. `lab check` tries
//! students' programs here. All of it goes with its last process.

use std::path::Path;

use mount::Propagation::Shared;
use stage::{Result, Stage};

/// Move the calling process there.
///
/// As on a usual machine, "/" is shared, wherever we are: a mount that a program forgets to
/// keep to itself shows up here. /dev/shm is empty and ours.
pub fn enter() -> Result<()> {
    let stage = Stage::of_engine(false)?;
    uts::isolate(&stage)?;
    ipc::isolate(&stage)?;
    mount::isolate(&stage)?;
    mount::propagate_all(&stage, Path::new("/"), Shared)?;
    mount::tmpfs(&stage, Path::new("/dev/shm"))
}
