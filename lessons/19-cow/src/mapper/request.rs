//! How is the device mapper asked?
//!
//! By ioctl(2) on its control file, with a structure that names the device. A table follows
//! behind it: which sectors are brought by which target, with what parameters. This is what
//! dmsetup(8) does. Read linux/dm-ioctl.h.

use std::fs::File;
use std::os::fd::AsRawFd;

use nix::errno::Errno;
use stage::{Error, Result};

/// What can be asked, by its name in linux/dm-ioctl.h.
#[allow(non_camel_case_types, reason = "strace shows these names")]
#[derive(Debug, Clone, Copy)]
pub enum Ask {
    DM_DEV_CREATE = 3,
    DM_DEV_REMOVE = 4,
    DM_DEV_SUSPEND = 6,
    DM_TABLE_LOAD = 9,
    DM_GET_TARGET_VERSION = 17,
}

/// The ioctls' numbers, but for the last byte: they read and write a `struct dm_ioctl`.
const DM_IOCTL: libc::Ioctl = 0xC138_FD00;

const DM_DEFERRED_REMOVE: u32 = 1 << 17;

/// `struct dm_ioctl`.
#[repr(C)]
struct Header {
    version: [u32; 3],
    data_size: u32,
    data_start: u32,
    target_count: u32,
    open_count: i32,
    flags: u32,
    event_number: u32,
    padding: u32,
    device: u64,
    name: [u8; 128],
    uuid_and_padding: [u8; 136],
}

/// `struct dm_target_spec`, and the text that stands behind it.
#[repr(C)]
struct Line {
    first_sector: u64,
    sectors: u64,
    status: i32,
    next: u32,
    kind: [u8; 16],
    parameters: [u8; 256],
}

/// A request, and after it the answer; with a table of one line.
#[repr(C)]
pub struct Request {
    header: Header,
    table: Line,
}

impl Request {
    /// One about the mapped device `name`.
    pub fn about(name: &str) -> Result<Request> {
        Request::with_table(name, 0, "", "").map(|mut request| {
            request.header.target_count = 0;
            request
        })
    }

    /// The same with a table: all `sectors` are a target's of this `kind`.
    pub fn with_table(
        name: &str,
        sectors: u64,
        kind: &str,
        parameters: &str,
    ) -> Result<Request> {
        let header = Header {
            version: [4, 0, 0],
            data_size: size_of::<Request>() as u32,
            data_start: size_of::<Header>() as u32,
            target_count: 1,
            open_count: 0,
            flags: 0,
            event_number: 0,
            padding: 0,
            device: 0,
            name: text(name)?,
            uuid_and_padding: [0; 136],
        };
        let (kind, parameters) = (text(kind)?, text(parameters)?);
        let table =
            Line { first_sector: 0, sectors, status: 0, next: 0, kind, parameters };
        Ok(Request { header, table })
    }

    /// For a removal: at once, or when the last user is gone.
    pub fn let_go(&mut self) {
        self.header.flags = DM_DEFERRED_REMOVE;
    }

    /// The number of the device, in an answer.
    pub fn device(&self) -> u64 {
        self.header.device
    }

    /// Send it; it becomes the answer.
    #[allow(unsafe_code, reason = "nix has no wrapper for the ioctls of device mapper")]
    pub fn send(&mut self, control: &File, ask: Ask) -> nix::Result<i32> {
        let what = DM_IOCTL | ask as libc::Ioctl;
        // SAFETY: the kernel reads and writes a `struct dm_ioctl` and what belongs to it,
        // `data_size` bytes in all, and keeps no pointer to it.
        let done = unsafe { libc::ioctl(control.as_raw_fd(), what, &raw mut *self) };
        Errno::result(done)
    }
}

/// A text in a field of fixed size, with a zero byte at its end.
fn text<const SIZE: usize>(text: &str) -> Result<[u8; SIZE]> {
    let mut field = [0; SIZE];
    match field.get_mut(..text.len()).filter(|_| text.len() < SIZE) {
        Some(room) => room.copy_from_slice(text.as_bytes()),
        None => return Err(Error::input(format!("{text:?} is too long"))),
    }
    Ok(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size is a part of the ioctl's number, in bits 16 to 29.
    #[test]
    fn the_structures_are_the_kernels() {
        assert_eq!(size_of::<Header>(), (DM_IOCTL >> 16 & 0x3FFF) as usize);
        assert_eq!(std::mem::offset_of!(Header, name), 48);
        assert_eq!(std::mem::offset_of!(Line, parameters), 40);
    }

    #[test]
    fn a_name_has_to_fit() {
        assert!(Request::about(&"n".repeat(127)).is_ok());
        assert!(Request::about(&"n".repeat(128)).is_err());
    }
}
