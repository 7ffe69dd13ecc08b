//! Where does overlayfs keep notes that are not files?
//!
//! In extended attributes of the files in the upper layer, under `trusted.overlay.`: only
//! a process with CAP_SYS_ADMIN sees them. In a user namespace (lesson 5) nobody has that
//! one, and the option `userxattr` has them kept under `user.overlay.`, which the owner of
//! the file can read and write. Read xattr(7) and getxattr(2).

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

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
