//! What is on 0, 1 and 2?

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::fstat;
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::{
    Uid, dup2_stderr, dup2_stdin, dup2_stdout, fchown, pipe2, read, setsid, write,
};
use stage::{Error, Result};

/// Our standard input, output and error. They are open as long as we live: whoever starts a
/// program without them is given /dev/null in their place by Rust's runtime.
pub const OURS: [BorrowedFd<'static>; 3] = [standard(0), standard(1), standard(2)];

#[allow(unsafe_code, reason = "the numbers have no owner that could lend them")]
const fn standard(number: i32) -> BorrowedFd<'static> {
    // SAFETY: it is one of the three that are always open.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// A pipe: where to read, and where to write.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe2(OFlag::O_CLOEXEC).map_err(|errno| Error::call("pipe2", errno))
}

/// Be in a session of our own, which has no terminal.
pub fn leave_terminal() -> Result<()> {
    setsid().map(drop).map_err(|errno| Error::call("setsid", errno))
}

/// From here on these are our standard input, output and error.
pub fn speak_through(
    input: &impl AsFd,
    output: &impl AsFd,
    error: &impl AsFd,
) -> Result<()> {
    let done = dup2_stdin(input)
        .and_then(|()| dup2_stdout(output))
        .and_then(|()| dup2_stderr(error));
    done.map_err(|errno| Error::call("dup2", errno))
}

/// Give `file` to user `uid`, who may want to open it once more, as /dev/stdout.
pub fn give(file: &impl AsFd, uid: u32) {
    // Without it, all but opening it once more works.
    fchown(file, Some(Uid::from_raw(uid)), None).ok();
}

/// From here on we have none, and are nowhere: a process that lives on by itself.
pub fn forget() -> Result<()> {
    let failed = |error| Error::io("/dev/null", &error);
    let nothing = File::options().read(true).write(true).open("/dev/null");
    let nothing = nothing.map_err(failed)?;
    std::env::set_current_dir("/").map_err(failed)?;
    speak_through(&nothing, &nothing, &nothing)
}

/// Write all of `bytes`.
pub fn write_all(to: impl AsFd, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        match write_to(&to, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("write", &error)),
        }
    }
    Ok(())
}

/// Give `file` to user `uid` if it is a pipe of root's, and not if it has a place, and an owner, of
/// its own, as a terminal has, a file or a named pipe.
pub fn give_pipe(file: &impl AsFd, uid: u32) {
    let is_nameless = fstatfs(file).is_ok_and(|it| it.filesystem_type() == PIPES);
    if uid != 0 && is_nameless && fstat(file).is_ok_and(|about| about.st_uid == 0) {
        give(file, uid);
    }
}

/// The file system that nameless pipes are on: PIPEFS_MAGIC in linux/magic.h.
const PIPES: FsType = FsType(0x5049_5045);

/// What can be read now. None for the end.
pub fn read_from(from: impl AsFd) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; super::socket::PACKET - 1];
    let count = read(from, &mut bytes)?;
    bytes.truncate(count);
    Ok((count > 0).then_some(bytes))
}

/// Write some of `bytes`; how many.
pub fn write_to(to: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    match write(to, bytes) {
        // The end of a pipe that nobody reads any more.
        Err(Errno::EPIPE) => Err(io::ErrorKind::BrokenPipe.into()),
        count => Ok(count?),
    }
}
