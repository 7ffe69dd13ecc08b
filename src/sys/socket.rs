//! How do two of our processes talk?
//!
//! By packets (SOCK_SEQPACKET): each arrives whole, or not at all, and the end of one side is
//! seen by the other. A descriptor can be passed on with one. Read unix(7).

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, Backlog, ControlMessage, ControlMessageOwned, MsgFlags, Shutdown,
    SockFlag, SockType, UnixAddr, accept4, bind, connect, listen, recv, recvmsg, send,
    sendmsg, shutdown, socket, socketpair,
};
use stage::{Error, Result};

/// The longest packet, in bytes.
pub const PACKET: usize = 32 << 10;

/// Two ends, for two processes of ours.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let (family, kind) = (AddressFamily::Unix, SockType::SeqPacket);
    let pair = socketpair(family, kind, None, SockFlag::SOCK_CLOEXEC);
    pair.map_err(|errno| Error::call("socketpair", errno))
}

/// Be called at `name` in `folder`, which may be far down: an address has room for 108 bytes.
pub fn listen_at(folder: &Path, name: &str) -> Result<OwnedFd> {
    let (_folder, address) = address(folder, name)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let ours = new(flags)?;
    bind(ours.as_raw_fd(), &address)
        .map_err(|errno| Error::call(format!("bind({name:?})"), errno))?;
    listen(&ours, Backlog::MAXCONN).map_err(|errno| Error::call("listen", errno))?;
    Ok(ours)
}

/// The next one that calls at `listener`, if any.
pub fn next_caller(listener: &OwnedFd) -> Option<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let caller = accept4(listener.as_raw_fd(), flags).ok()?;
    #[allow(unsafe_code, reason = "nix gives the number alone")]
    // SAFETY: the kernel has just opened it for us, and nobody else has it.
    Some(unsafe { OwnedFd::from_raw_fd(caller) })
}

/// From here on nobody can call at `listener`. Who has called can still be let in.
pub fn close_door(listener: &OwnedFd) {
    shutdown(listener.as_raw_fd(), Shutdown::Read).ok();
}

/// Call whoever listens at `name` in `folder`. None if nobody does.
pub fn call(folder: &Path, name: &str) -> Result<Option<OwnedFd>> {
    let (_folder, address) = match address(folder, name) {
        Err(error) if error.errno() == Some(Errno::ENOENT) => return Ok(None),
        address => address?,
    };
    let ours = new(SockFlag::SOCK_CLOEXEC)?;
    match connect(ours.as_raw_fd(), &address) {
        Ok(()) => Ok(Some(ours)),
        Err(Errno::ENOENT | Errno::ECONNREFUSED) => Ok(None),
        Err(errno) => Err(Error::call(format!("connect({name:?})"), errno)),
    }
}

fn new(flags: SockFlag) -> Result<OwnedFd> {
    let made = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None);
    made.map_err(|errno| Error::call("socket(AF_UNIX)", errno))
}

/// A short way to `name` in `folder`, as long as the descriptor is open.
fn address(folder: &Path, name: &str) -> Result<(File, UnixAddr)> {
    let open = File::open(folder).map_err(|error| Error::io(folder.display(), &error))?;
    let way = format!("/proc/self/fd/{}/{name}", open.as_raw_fd());
    let address = UnixAddr::new(way.as_str());
    Ok((open, address.map_err(|errno| Error::call("bind", errno))?))
}

/// Send a packet, now or not at all: EAGAIN if the other side does not keep up, EPIPE if it has
/// gone.
pub fn send_to(to: &impl AsFd, packet: &[u8]) -> io::Result<()> {
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    Ok(send(to.as_fd().as_raw_fd(), packet, flags).map(drop)?)
}

/// The next packet, if one is there: EAGAIN if not. An empty one is the end.
pub fn receive(from: &impl AsFd) -> io::Result<Vec<u8>> {
    let mut packet = vec![0; PACKET];
    let mut next = || recv(from.as_fd().as_raw_fd(), &mut packet, MsgFlags::MSG_DONTWAIT);
    // Whoever ends with our packets unread leaves this error, once, before what it has said last.
    let count = match next() {
        Err(Errno::ECONNRESET) => next(),
        count => count,
    };
    packet.truncate(count?);
    Ok(packet)
}

/// Give the other side a descriptor of its own for what `what` stands for.
pub fn pass(to: &impl AsFd, what: &impl AsFd) -> Result<()> {
    let fds = [what.as_fd().as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&fds)];
    let (text, flags) = ([IoSlice::new(b"!")], MsgFlags::MSG_NOSIGNAL);
    let sent = sendmsg::<()>(to.as_fd().as_raw_fd(), &text, &rights, flags, None);
    sent.map(drop).map_err(|errno| Error::call("sendmsg(SCM_RIGHTS)", errno))
}

/// What the other side has passed; None if nothing is there.
pub fn passed(from: &impl AsFd) -> Option<OwnedFd> {
    let (mut text, mut room) = ([0; 1], cmsg_space!([i32; 1]));
    let mut text = [IoSliceMut::new(&mut text)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
    let from = from.as_fd().as_raw_fd();
    let message = recvmsg::<()>(from, &mut text, Some(&mut room), flags).ok()?;
    let fd = message.cmsgs().ok()?.find_map(|control| match control {
        ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
        _ => None,
    })?;
    #[allow(unsafe_code, reason = "nix gives the number alone")]
    // SAFETY: the kernel has just opened it for us, and nobody else has it.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What one waits for: a descriptor that can be read, or written to.
#[derive(Debug, Clone, Copy)]
pub enum Want<'f> {
    /// There is something to read, or its end.
    Read(BorrowedFd<'f>),
    /// There is room to write, or nobody reads any more.
    Write(BorrowedFd<'f>),
}

impl<'f> Want<'f> {
    fn watched(&self) -> PollFd<'f> {
        match *self {
            Want::Read(fd) => PollFd::new(fd, PollFlags::POLLIN),
            Want::Write(fd) => PollFd::new(fd, PollFlags::POLLOUT),
        }
    }
}

/// Sleep until one of them is so, or for `milliseconds`. Says for each whether it is.
pub fn await_any(wants: &[Want], milliseconds: Option<u16>) -> Result<Vec<bool>> {
    let mut watched: Vec<PollFd> = wants.iter().map(Want::watched).collect();
    let late = milliseconds.map_or(PollTimeout::NONE, PollTimeout::from);
    match poll(&mut watched, late) {
        Ok(_) => {}
        Err(Errno::EINTR) => return Ok(vec![false; wants.len()]),
        Err(errno) => return Err(Error::call("poll", errno)),
    }
    let happened = |one: &PollFd| one.revents().is_some_and(|events| !events.is_empty());
    Ok(watched.iter().map(happened).collect())
}

/// From here on, reading and writing there never waits.
pub fn never_wait(file: &impl AsFd) -> Result<()> {
    let set = fcntl(file, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
    set.map(drop).map_err(|errno| Error::call("fcntl(F_SETFL)", errno))
}
