//! Lesson 6, the solution: give a shell a network of its own, with a loopback that works.
//!
//! Read network_namespaces(7) and netdevice(7).
//! It is checked by
//!
//!     sudo target/debug/lab check net -- target/debug/examples/net-solution

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::libc::{self, c_char, ifreq};
use nix::sched::{CloneFlags, unshare};

nix::ioctl_write_ptr_bad!(
    /// Set the flags of a link: set_flags(socket, &request).
    set_flags, libc::SIOCSIFFLAGS, ifreq
);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    leave_namespace()?;
    set_up("lo")?;
    // Become a shell that reads standard input. exec returns only when it fails.
    Err(Command::new("/bin/sh").exec().into())
}

/// Give this process a network namespace of its own.
fn leave_namespace() -> nix::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)
}

/// Let packets in and out of `link`.
#[allow(unsafe_code, reason = "an ioctl takes whatever it is given")]
fn set_up(link: &str) -> Result<(), Box<dyn std::error::Error>> {
    // Any socket will do: it stands for the namespace that it was opened in.
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    let mut request = named(link);
    request.ifr_ifru.ifru_flags = libc::IFF_UP as i16;
    // SAFETY: the descriptor is open, and the request is a whole ifreq.
    unsafe { set_flags(socket.as_raw_fd(), &request) }?;
    Ok(())
}

/// A request that speaks of `link`.
#[allow(unsafe_code, reason = "an ifreq is a C structure with a union in it")]
fn named(link: &str) -> ifreq {
    // SAFETY: a structure of numbers, all of which may be zero.
    let mut request: ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(link.bytes()) {
        *to = from as c_char;
    }
    request
}
