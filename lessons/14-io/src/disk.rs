//! How does one get a disk of one's own?
//!
//! A loop device is a disk whose blocks are those of a file. Ours is a file in memory
//! (memfd_create(2)) that has no name. The device is told to let go of it when nobody has the
//! device open any more, which is so when we are gone, however we went: nothing is left.
//!
//! Read loop(4).

use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::memfd::{MFdFlags, memfd_create};
use stage::{Error, Result, Stage, descriptor};

use crate::Device;

/// From linux/loop.h, as the two structures below.
const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;
const LOOP_CONFIGURE: libc::Ioctl = 0x4C0A;
const LO_FLAGS_AUTOCLEAR: u32 = 4;

/// How often another program may be faster to take the free number that we were told.
const ATTEMPTS: usize = 100;

/// A disk that is gone when nobody has it open.
pub struct Disk {
    /// Its name in /dev.
    pub path: PathBuf,
    /// Its numbers.
    pub device: Device,
    memory: File,
    _open: File,
}

impl Disk {
    /// A disk of `size` bytes, all of them 0; what is written takes memory.
    pub fn make(stage: &Stage, size: u64) -> Result<Disk> {
        let call = "memfd_create(\"disk\", MFD_CLOEXEC)";
        let memory = stage.ask(call, || memfd_create("disk", MFdFlags::MFD_CLOEXEC))?;
        let memory = File::from(memory);
        memory.set_len(size).map_err(|error| Error::io("ftruncate", &error))?;
        let control = open(Path::new("/dev/loop-control"))?;
        for _ in 0..ATTEMPTS {
            let call = format!("ioctl({}, LOOP_CTL_GET_FREE)", descriptor(&control));
            let number = stage.ask(call, || free_number(&control))?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            if let Some(open) = claim(stage, &path, &memory)? {
                let device = Device::at(&path)?;
                return Ok(Disk { path, device, memory, _open: open });
            }
        }
        Err(Error::input("others take each loop device before we can"))
    }

    /// How many bytes of memory it takes: those that something was written to.
    pub fn takes(&self) -> Result<u64> {
        let memory = self.memory.metadata();
        // st_blocks counts 512 bytes each, whatever the file system's own blocks are: stat(2).
        Ok(memory.map_err(|error| Error::io("fstat", &error))?.blocks() * 512)
    }
}

/// Let the device at `path` have the blocks of `memory`; None if another program was faster.
fn claim(stage: &Stage, path: &Path, memory: &File) -> Result<Option<File>> {
    let device = open(path)?;
    let settings =
        format!("{{fd={}, info={{lo_flags=LO_FLAGS_AUTOCLEAR}}}}", memory.as_raw_fd());
    let call = format!("ioctl({}, LOOP_CONFIGURE, {settings})", descriptor(&device));
    match stage.attempt(&call, || configure(&device, memory.as_raw_fd()))? {
        Ok(_) => Ok(Some(device)),
        Err(Errno::EBUSY) => Ok(None),
        Err(errno) => Err(Error::call(call, errno)),
    }
}

fn open(path: &Path) -> Result<File> {
    let file = File::options().read(true).write(true).open(path);
    file.map_err(|error| {
        let error = Error::io(format!("openat({path:?})"), &error);
        match error.errno() {
            Some(Errno::ENOENT | Errno::ENODEV | Errno::ENXIO) => {
                error.hint("this kernel has no loop devices yet: `sudo modprobe loop`")
            }
            Some(Errno::EACCES) => {
                error.hint("disks belong to the host's root: run it with sudo")
            }
            _ => error,
        }
    })
}

/// `struct loop_config`, with its `struct loop_info64` unfolded: what we do not set is 0.
#[repr(C)]
struct Config {
    fd: u32,
    block_size: u32,
    device_inode_rdevice_offset_sizelimit: [u64; 5],
    number_and_encryption: [u32; 3],
    flags: u32,
    names_and_key: [u8; 160],
    init_and_reserved: [u64; 10],
}

#[allow(unsafe_code, reason = "nix has no wrapper for the ioctls of loop devices")]
fn free_number(control: &File) -> nix::Result<i32> {
    // SAFETY: this ioctl takes no argument.
    Errno::result(unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) })
}

#[allow(unsafe_code, reason = "nix has no wrapper for the ioctls of loop devices")]
fn configure(device: &File, memory: RawFd) -> nix::Result<i32> {
    let config = Config {
        fd: memory.cast_unsigned(),
        block_size: 0, // the usual one
        device_inode_rdevice_offset_sizelimit: [0; 5],
        number_and_encryption: [0; 3],
        flags: LO_FLAGS_AUTOCLEAR,
        names_and_key: [0; 160],
        init_and_reserved: [0; 10],
    };
    // SAFETY: the kernel reads a `struct loop_config`, and keeps no pointer to it.
    let done =
        unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) };
    Errno::result(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes that linux/loop.h gives, with the flags where they belong.
    #[test]
    fn the_structure_is_the_kernels() {
        assert_eq!(size_of::<Config>(), 8 + 232 + 64);
        assert_eq!(std::mem::offset_of!(Config, flags), 8 + 52);
    }
}
