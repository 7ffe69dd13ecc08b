//! Where does overlayfs keep notes that are not files?
//!
//! In extended attributes of the files in the upper layer, under `trusted.overlay.`: only
//! a process with CAP_SYS_ADMIN sees them. In a user namespace (lesson 5) nobody has that
//! one, and the option `userxattr` has them kept under `user.overlay.`, which the owner of
//! the file can read and write. Read xattr(7) and getxattr(2).

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use stage::{Error, Result, UNTRIED, proc};

/// The extended attribute `name` of `path` itself (links are not followed), if it has one.
#[allow(unsafe_code, reason = "nix has no wrapper for getxattr(2)")]
pub fn get(path: &Path, name: &str) -> Option<String> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let name = CString::new(name).ok()?;
    let mut value = [0u8; 256];
    // SAFETY: both texts end with a zero byte, and the length is that of `value`.
    let length = unsafe {
        libc::lgetxattr(
            path.as_ptr(),
            name.as_ptr(),
            value.as_mut_ptr().cast(),
            value.len(),
        )
    };
    let value = value.get(..usize::try_from(length).ok()?)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// Replace the folder at `path` by an empty one: in an overlay, the one change that takes an
/// attribute, and that an old kernel cannot keep in memory for who is not root.
pub fn replace_folder(path: &str) -> Result<()> {
    let replaced = fs::remove_dir_all(path).and_then(|()| fs::create_dir(path));
    let failed = replaced.map_err(|error| Error::io(path, &error));
    failed.map_err(|error| match error.errno() {
        Some(Errno::EIO) if proc::is_in_user_namespace() => Error::input(
            "not tried: in a user namespace, to replace a folder takes a tmpfs with user.* \
             attributes, and so Linux 6.6",
        )
        .hint("run it with sudo")
        .status(UNTRIED),
        _ => error,
    })
}
