//! Lesson 19, the exercise: two copies of an image that take no room.
//!
//! Fill in the two functions, with libc for the first and std for the second. Read
//! ioctl_ficlone(2), link(2) and rename(2).
//! Then run
//!
//!     sudo target/debug/lab check cow

#![allow(
    clippy::todo,
    unused_imports,
    unused_variables,
    dead_code,
    reason = "the exercise is yours to finish"
)]

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

/// From linux/fs.h.
const FICLONE: libc::Ioctl = 0x4004_9409;

const FILES: [&str; 2] = ["big", "hosts"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `lab check` puts an image there, on a file system whose files can share blocks.
    let disk =
        PathBuf::from(std::env::var("LAB").unwrap_or(".".to_string())).join("disk");
    let (image, cloned, linked) =
        (disk.join("image"), disk.join("cloned"), disk.join("linked"));
    fs::create_dir(&cloned)?;
    fs::create_dir(&linked)?;
    for name in FILES {
        share_blocks(&File::open(image.join(name))?, &File::create(cloned.join(name))?)?;
        fs::hard_link(image.join(name), linked.join(name))?;
    }
    replace(&linked.join("hosts"), "container\n")?;
    // A shell that reads standard input, to look at it.
    let status = Command::new("/bin/sh").status()?;
    std::process::exit(status.code().unwrap_or(1))
}

/// Let `to`, which is empty, have the blocks of `from`.
#[allow(unsafe_code, reason = "std has no wrapper for ioctl(2)")]
fn share_blocks(from: &File, to: &File) -> io::Result<()> {
    todo!("libc::ioctl on `to`: FICLONE, and the descriptor of `from`")
}

/// Let the file at `path` have the content `text`, without changing it where it has another
/// name: a new file takes over this one.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    todo!("write the new file beside it, and rename it")
}
