//! Lesson 23, the exercise: a shell in which nobody can call chroot(2).
//!
//! Fill in the two functions. `line` makes one instruction. Read seccomp(2), with the example
//! at its end, and PR_SET_NO_NEW_PRIVS in prctl(2).
//! Then run
//!
//!     sudo target/debug/lab check seccomp

#![allow(
    clippy::todo,
    dead_code,
    unused_imports,
    unused_variables,
    reason = "the exercise is yours to finish"
)]

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
    todo!("load the number, compare it, and return one of two answers")
}

/// One instruction: what to do, how many lines to skip if it is true and if not, a number.
fn line(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

/// Let no program give us more than we have: without it, only root may install a filter.
#[allow(unsafe_code, reason = "std has no prctl")]
fn gain_nothing() -> Result<(), Error> {
    todo!("ask for no new privileges")
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
