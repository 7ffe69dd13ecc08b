//! How does root get out of a chroot?
//!
//! ".." stops at the process's root, and only there. Whoever is outside of the own root
//! never comes by it. So: move the root down into a folder, while the working directory
//! stays where it was, and climb. chroot(2) names this trick in its notes.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::fcntl::{OFlag, open};
use nix::sys::stat::{FileStat, Mode, stat};
use nix::unistd::{UnlinkatFlags, chdir, chroot, fchdir, mkdir, unlinkat};
use stage::{Error, Result, Stage};

const DUNGEON: &str = "dungeon";

/// More steps than any path has: PATH_MAX is 4096, and a step takes three bytes.
const MANY: usize = 2048;

/// Try to leave the root that we have been put into. Needs CAP_SYS_CHROOT.
pub fn attempt(stage: &Stage) -> Result<()> {
    let here = open_here(stage)?;
    let call = format!("mkdir({DUNGEON:?}, 0700)");
    stage.ask(call, || mkdir(DUNGEON, Mode::S_IRWXU))?;
    stage.ask(format!("chroot({DUNGEON:?})"), || chroot(DUNGEON))?;
    // Our root is now below us, so that no ".." will ever meet it.
    let number = here.as_raw_fd();
    stage.ask(format!("fchdir({number})"), || fchdir(&here))?;
    // While there is a path to it: the folder was only needed for its being a folder.
    unlinkat(&here, DUNGEON, UnlinkatFlags::RemoveDir)
        .map_err(|errno| Error::call(format!("unlinkat({DUNGEON:?})"), errno))?;
    climb(stage)?;
    stage.ask("chroot(\".\")", || chroot("."))
}

/// Go up until there is no further up.
fn climb(stage: &Stage) -> Result<()> {
    let mut before = identity(".")?;
    for _ in 0..MANY {
        stage.ask("chdir(\"..\")", || chdir(".."))?;
        let now = identity(".")?;
        if now == before {
            break;
        }
        before = now;
    }
    Ok(())
}

/// In a chroot we do not know the true path of a descriptor: only its number is told.
fn open_here(stage: &Stage) -> Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(".", flags, Mode::empty())
        .map_err(|errno| Error::call("open(\".\")", errno))
        .inspect(|_| stage.note("the prisoner keeps a descriptor of the folder it is in"))
}

/// Which folder it really is: the device and the inode, whatever the path says.
pub fn identity(path: &str) -> Result<(u64, u64)> {
    let about: FileStat =
        stat(path).map_err(|errno| Error::call(format!("stat({path:?})"), errno))?;
    Ok((about.st_dev, about.st_ino))
}
