//! Who may refuse a user namespace, and what can be done about it?
//!
//! A namespace that anybody may make lets anybody reach much of the kernel, so that there
//! are several switches. Read user_namespaces(7) and /proc/sys/user in namespaces(7).

use std::fs;

use nix::errno::Errno;
use stage::proc::is_restricted_by_apparmor;
use stage::{APPARMOR, Error};

/// What to do when unshare(CLONE_NEWUSER) was refused.
pub fn of_unshare(error: Error) -> Error {
    let is_zero = |path: &str| setting(path).as_deref() == Some("0");
    match error.errno() {
        Some(Errno::ENOSPC) if is_zero("user/max_user_namespaces") => error.hint(
            "user namespaces are turned off: `sudo sysctl -w user.max_user_namespaces=10000`",
        ),
        Some(Errno::EPERM) if is_zero("kernel/unprivileged_userns_clone") => error.hint(
            "only root may: `sudo sysctl -w kernel.unprivileged_userns_clone=1`, or sudo",
        ),
        Some(Errno::EPERM) if is_restricted_by_apparmor() => error.hint(APPARMOR),
        Some(Errno::EPERM) => error.hint(
            "the kernel refuses it in a chroot, a seccomp filter in a container: \
             run it on the machine itself",
        ),
        _ => error,
    }
}

/// What to do when a map was not taken.
pub fn of_map(error: Error) -> Error {
    match error.errno() {
        Some(Errno::EPERM | Errno::EACCES) if is_restricted_by_apparmor() => {
            error.hint(APPARMOR)
        }
        Some(Errno::EPERM | Errno::EACCES) => error.hint(
            "without privilege a map is one line with one's own number, written once; \
             root needs CAP_SETUID, CAP_SETGID, and for number 0 CAP_SETFCAP",
        ),
        Some(Errno::EINVAL) => {
            error.hint("a number twice, or one that is not known here")
        }
        _ => error,
    }
}

fn setting(path: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/sys/{path}")).ok()?;
    Some(text.trim().to_string())
}
