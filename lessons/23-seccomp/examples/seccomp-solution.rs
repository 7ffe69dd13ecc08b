//! Lesson 23, the solution: a shell in which nobody can call chroot(2).
//!
//! Read seccomp(2), and the kernel's userspace-api/seccomp_filter.rst.
//! It is checked by
//!
//!     sudo target/debug/lab check seccomp -- target/debug/examples/seccomp-solution

use std::io::Error;
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    gain_nothing()?;
    install(&mut refuse(libc::SYS_chroot))?;
    // Become a shell that reads standard input. exec returns only when it fails.
    Err(Command::new("/bin/sh").exec().into())
}

/// A program that lets `call` fail with EPERM, and allows all others. The kernel gives it a
/// struct seccomp_data, in which the call's number comes first.
fn refuse(call: libc::c_long) -> [sock_filter; 4] {
    let eperm = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    [
        line(BPF_LD | BPF_W | BPF_ABS, 0, 0, 0), // load the number
        line(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, call as u32), // is it that? else skip one
        line(BPF_RET | BPF_K, 0, 0, eperm),
        line(BPF_RET | BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

/// One instruction: what to do, how many lines to skip if it is true and if not, a number.
fn line(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

/// Let no program give us more than we have: without it, only root may install a filter.
#[allow(unsafe_code, reason = "std has no prctl")]
fn gain_nothing() -> Result<(), Error> {
    let (yes, none) = (1 as libc::c_ulong, 0 as libc::c_ulong);
    // SAFETY: it takes numbers.
    match unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, yes, none, none, none) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}

/// Let the kernel run `program` before each call of ours.
#[allow(unsafe_code, reason = "std has no seccomp")]
fn install(program: &mut [sock_filter]) -> Result<(), Error> {
    let length = program.len() as u16;
    let program = libc::sock_fprog { len: length, filter: program.as_mut_ptr() };
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the kernel reads as many instructions as there are.
    match unsafe { libc::syscall(libc::SYS_seccomp, mode, 0, &raw const program) } {
        0 => Ok(()),
        _ => Err(Error::last_os_error()),
    }
}
