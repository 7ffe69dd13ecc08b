//! What does a failure tell the person in front of it?
//!
//! One line that names the call and the errno, and a hint that says what to do.
//! Errnos are explained in errno(3), and for each call in its own manual page.

use std::fmt::{self, Display};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use crate::proc;

/// The result of anything on the stage.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The exit status of a failure of ours, as Docker has it. COMMAND's own failures
/// are 126 (cannot be executed) and 127 (not found).
pub const FAILED: u8 = 125;

/// A failure: one line for the person, and the status for the shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    what: String,
    errno: Option<Errno>,
    hint: Option<String>,
    status: u8,
}

impl Error {
    /// The kernel refused `call` with `errno`.
    pub fn call(call: impl Display, errno: Errno) -> Error {
        let what = call.to_string();
        let hint = hint_for(&what, errno);
        Error { what, errno: Some(errno), hint, status: FAILED }
    }

    /// What we were asked for is wrong: `what` says how, and what would be right.
    pub fn input(what: impl Display) -> Error {
        Error { what: what.to_string(), errno: None, hint: None, status: FAILED }
    }

    /// A standard library operation on `what` failed.
    pub fn io(what: impl Display, error: &std::io::Error) -> Error {
        match error.raw_os_error() {
            Some(code) => Error::call(what, Errno::from_raw(code)),
            None => Error::input(format!("{what}: {error}")),
        }
    }

    /// A signal asked us to stop; the status is 128 + its number, as in a shell.
    pub fn ended_by(signal: Signal) -> Error {
        let status = 128 + signal as u8;
        Error::input(format!("ended by {signal}")).status(status)
    }

    /// The same failure, with what to do about it.
    pub fn hint(self, hint: impl Display) -> Error {
        Error { hint: Some(hint.to_string()), ..self }
    }

    /// The same failure, with the place where it happened before it.
    pub fn within(self, place: impl Display) -> Error {
        Error { what: format!("{place}: {}", self.what), ..self }
    }

    /// The same failure, with another exit status.
    pub fn status(self, status: u8) -> Error {
        Error { status, ..self }
    }

    /// What the kernel said, if it was the kernel.
    pub fn errno(&self) -> Option<Errno> {
        self.errno
    }

    /// Whether the kernel has said that we may not.
    pub fn is_refusal(&self) -> bool {
        matches!(self.errno, Some(Errno::EPERM | Errno::EACCES))
    }

    /// The status for the shell.
    pub fn exit_status(&self) -> u8 {
        self.status
    }

    /// What to do about it, if we know.
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Nobody reads our output any more: a reason to end, not to complain.
    pub fn is_closed_pipe(&self) -> bool {
        self.errno == Some(Errno::EPIPE)
    }

    /// The fields, for the pipe on which a child reports to its parent.
    pub(crate) fn to_fields(&self) -> Vec<String> {
        let errno = self.errno.map_or(0, |errno| errno as i32);
        let hint = self.hint.clone().unwrap_or_default();
        vec![self.what.clone(), errno.to_string(), hint, self.status.to_string()]
    }

    /// The failure that a child put into fields.
    pub(crate) fn from_fields(fields: &[String]) -> Error {
        let field = |at: usize| fields.get(at).cloned().unwrap_or_default();
        let errno = field(1).parse().ok().filter(|&code| code != 0).map(Errno::from_raw);
        let hint = Some(field(2)).filter(|hint| !hint.is_empty());
        Error { what: field(0), errno, hint, status: field(3).parse().unwrap_or(FAILED) }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errno {
            Some(errno) => write!(f, "{}: {}", self.what, describe(errno)),
            None => f.write_str(&self.what),
        }
    }
}

impl std::error::Error for Error {}

/// An errno in strace's words: `EPERM (Operation not permitted)`. The text is the C
/// library's (strerror(3)), which differs from nix's for some.
pub(crate) fn describe(errno: Errno) -> String {
    let text = std::io::Error::from(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    format!("{errno:?} ({text})")
}

/// The lesson that is played, if one is: `user -- LESSON` plays it without sudo.
static LESSON: OnceLock<String> = OnceLock::new();

/// Let hints name the lesson.
pub(crate) fn we_play(lesson: &str) {
    // A program plays one lesson: the first one stays.
    LESSON.get_or_init(|| lesson.to_string());
}

/// What to do where [`proc::is_restricted_by_apparmor`] is the reason for a refusal.
pub const APPARMOR: &str = "AppArmor takes the rights from user namespaces: use sudo, or \
    `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`";

/// Calls that make or join a namespace.
const NAMESPACES: [&str; 4] = ["unshare", "setns", "clone", "clone3"];

/// Calls that take a capability.
const PRIVILEGED: [&str; 7] =
    ["mount", "umount2", "pivot_root", "chroot", "sethostname", "setdomainname", "mknod"];

/// What to do when `call` was refused with `errno`, for the refusals that students meet.
fn hint_for(call: &str, errno: Errno) -> Option<String> {
    let name = call.split('(').next().unwrap_or(call);
    let namespaces = NAMESPACES.contains(&name);
    match errno {
        Errno::EPERM if namespaces || PRIVILEGED.contains(&name) => {
            Some(hint_for_privilege(call))
        }
        Errno::ENOSPC if namespaces => {
            Some("the limit on namespaces is reached: see `sysctl user`".into())
        }
        Errno::EINVAL if namespaces => Some(
            "this kernel was built without that namespace: see `ls /proc/self/ns`".into(),
        ),
        _ => None,
    }
}

/// What to do when `call` was refused for want of a capability.
fn hint_for_privilege(call: &str) -> String {
    if !geteuid().is_root() {
        return match LESSON.get() {
            Some(lesson) if lesson != "user" => {
                format!("run it with sudo, or as `user -- {lesson}` (lesson 5)")
            }
            _ => "run it with sudo".into(),
        };
    }
    if !proc::is_in_user_namespace() {
        return "root without CAP_SYS_ADMIN, as in a container: use the machine itself, or a VM"
            .into();
    }
    if proc::is_restricted_by_apparmor() {
        return APPARMOR.into();
    }
    if call.starts_with("mount(\"proc\"") {
        return "a user namespace gets a /proc only for a PID namespace of its own, and where \
            no part of /proc is covered (as Docker does): run it with sudo"
            .into();
    }
    "root of a user namespace has no say in what belongs to the host: run it with sudo"
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_survives_the_pipe() {
        let errors = [
            Error::call("unshare(CLONE_NEWUTS)", Errno::ENOSPC),
            Error::input("no such image").hint("import one").status(125),
            Error::ended_by(Signal::SIGINT),
        ];
        for error in errors {
            assert_eq!(Error::from_fields(&error.to_fields()), error);
        }
    }

    #[test]
    fn errnos_are_told_as_strace_tells_them() {
        assert_eq!(describe(Errno::ENOMEM), "ENOMEM (Cannot allocate memory)");
        assert_eq!(describe(Errno::EAGAIN), "EAGAIN (Resource temporarily unavailable)");
    }

    #[test]
    fn the_line_names_call_and_errno() {
        let error = Error::call("unshare(CLONE_NEWUTS)", Errno::EPERM);
        assert_eq!(
            error.to_string(),
            "unshare(CLONE_NEWUTS): EPERM (Operation not permitted)"
        );
        assert!(error.advice().is_some());
    }
}
