//! How does the engine keep its own program from those who run in containers?
//!
//! While the engine is in a container, before it becomes COMMAND, /proc/PID/exe in there leads
//! to the engine's file on the host, and `#!/proc/self/exe` starts it. Who can open that can
//! write to it as soon as it does not run any more (CVE-2019-5736). So the engine first starts
//! itself once more from a place where nobody can write: a read-only mount of its file that is
//! in no folder, or, where it may not mount, a sealed copy in memory.

use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::prctl;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{execveat, geteuid};
use stage::{Error, Result};

const EXE: &str = "/proc/self/exe";
const NAME: &std::ffi::CStr = c"fakedocker";

/// Be a program that nobody can write to. Before anything is open, and any thread started.
pub fn protect() -> Result<()> {
    if is_protected() {
        // The kernel calls a program that was started by a descriptor after its number.
        return prctl::set_name(NAME)
            .map_err(|errno| Error::call("prctl(PR_SET_NAME)", errno));
    }
    let file = fs::metadata(EXE).map_err(|error| Error::io(EXE, &error))?;
    let user = geteuid();
    if !user.is_root() && file.uid() != user.as_raw() {
        // Neither we nor our containers have a say over files of others.
        return Ok(());
    }
    let mount = if user.is_root() { read_only_mount() } else { Err(Errno::EPERM) };
    let place = match mount {
        Ok(mount) => mount,
        Err(_) => sealed_copy().map_err(|error| Error::io(EXE, &error))?,
    };
    let words = |words: Vec<OsString>| -> Vec<CString> {
        words.into_iter().filter_map(|word| CString::new(word.into_vec()).ok()).collect()
    };
    let env = std::env::vars_os().map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        name
    });
    let (args, env) = (words(std::env::args_os().collect()), words(env.collect()));
    let Err(errno) = execveat(&place, c"", &args, &env, AtFlags::AT_EMPTY_PATH);
    Err(Error::call("execveat(/proc/self/exe)", errno))
}

/// Whether our file is on a mount that is read-only, or in memory and sealed.
fn is_protected() -> bool {
    let on_read_only =
        || statvfs(EXE).is_ok_and(|about| about.flags().contains(FsFlags::ST_RDONLY));
    let in_memory = || {
        fs::read_link(EXE)
            .is_ok_and(|path| path.starts_with("/memfd:fakedocker (deleted)"))
    };
    on_read_only() || in_memory()
}

/// A mount of our file alone. It goes with the last process that runs from it.
fn read_only_mount() -> nix::Result<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    let path = c"/proc/self/exe";
    #[allow(unsafe_code, reason = "nix has no open_tree")]
    // SAFETY: the path ends in a zero, the rest are numbers.
    let tree = unsafe {
        libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags)
    };
    let number = RawFd::try_from(Errno::result(tree)?).map_err(|_| Errno::EBADF)?;
    #[allow(unsafe_code, reason = "the kernel says a number")]
    // SAFETY: the kernel has just opened it for us, and nobody else has it.
    let tree = unsafe { OwnedFd::from_raw_fd(number) };
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let (call, size) = (libc::SYS_mount_setattr, size_of::<libc::mount_attr>());
    let (empty, flag) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
    #[allow(unsafe_code, reason = "nix has no mount_setattr")]
    // SAFETY: the kernel reads the structure, whose size it is told.
    let set = unsafe {
        libc::syscall(call, tree.as_raw_fd(), empty, flag, &raw const attributes, size)
    };
    Errno::result(set).map(|_| tree)
}

fn sealed_copy() -> std::io::Result<OwnedFd> {
    let copy = memfd_create(NAME, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let mut copy = File::from(copy);
    std::io::copy(&mut File::open(EXE)?, &mut copy)?;
    let seals = SealFlag::F_SEAL_SEAL
        | SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_WRITE;
    fcntl(&copy, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(copy.into())
}
