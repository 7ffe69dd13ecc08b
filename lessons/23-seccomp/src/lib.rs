//! Lesson 23: which calls does Docker forbid?
//!
//! A kernel has more than 350 system calls, and most programs need a few dozen. Each one that
//! a container cannot make is one less in which a mistake of the kernel's could be found. So
//! a process hands the kernel a small program, a filter. From then on the kernel runs it before
//! every call, and does what it says. It is passed on to children, and nobody can take it off.
//!
//! | file | its question |
//! |---|---|
//! | `profile.rs` | how is it written down which calls are allowed? |
//! | `default.json` | which ones does Docker allow? |
//! | `filter.rs` | how does that become a program for the kernel? |
//!
//! Read seccomp(2), then this file, profile.rs, filter.rs and main.rs.

use nix::errno::Errno;
use seccompiler::sock_filter;
use stage::{Result, Stage};

mod filter;
mod profile;

pub use filter::Filter;
pub use profile::{Action, Argument, Condition, Profile, Rule};

/// Let the kernel run `filter` before each call of ours from now on. It takes CAP_SYS_ADMIN
/// or no_new_privs: else a setuid program could be made to fail in the midst of its work.
pub fn install(stage: &Stage, filter: &Filter) -> Result<()> {
    filter.programs.iter().try_for_each(|program| {
        let about = format!("{{len={}, filter={:p}}}", program.len(), program.as_ptr());
        let call = format!("seccomp(SECCOMP_SET_MODE_FILTER, 0, {about})");
        stage.ask(call, || set_filter(program))
    })
}

#[allow(unsafe_code, reason = "nix has no seccomp, and seccompiler's asks for more")]
fn set_filter(program: &[sock_filter]) -> nix::Result<()> {
    let len = program.len().try_into().map_err(|_| Errno::E2BIG)?;
    // The kernel reads it only. Both types are struct sock_filter of linux/filter.h.
    let filter = program.as_ptr().cast_mut().cast();
    let program = libc::sock_fprog { len, filter };
    let (mode, none) = (libc::SECCOMP_SET_MODE_FILTER, 0 as libc::c_ulong);
    // SAFETY: the kernel reads `len` instructions, which are there.
    let set = unsafe { libc::syscall(libc::SYS_seccomp, mode, none, &raw const program) };
    Errno::result(set).map(drop)
}
