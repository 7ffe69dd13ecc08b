//! How does a program of ours get into the kernel?
//!
//! With bpf(2), twice. The first call loads it: the kernel follows every way through it, and
//! refuses one that could read what is not its own, or might not come to an end. The second
//! attaches it to a group. From then on the group keeps it; its descriptor may be closed.
//!
//! Read bpf(2), and union bpf_attr in linux/bpf.h: each command has a structure of its own.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use stage::{Error, Result, Stage};

// From linux/bpf.h.
const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// What BPF_PROG_LOAD wants to know. What an older or a newer kernel has beside it is 0.
#[repr(C)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

/// What BPF_PROG_ATTACH wants to know.
#[repr(C)]
struct Attach {
    target_fd: i32,
    attach_bpf_fd: i32,
    attach_type: u32,
    attach_flags: u32,
}

/// Let the kernel check a program that decides about devices, and take it. It is gone with
/// its descriptor, unless it is attached.
pub fn load(stage: &Stage, code: &[u8]) -> Result<OwnedFd> {
    let count = code.len() / 8;
    // Some of the kernel's functions are for programs under the GPL. Ours calls none.
    let license = c"MIT";
    let load = Load {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: u32::try_from(count).unwrap_or(u32::MAX),
        insns: code.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
    };
    let what = "prog_type=BPF_PROG_TYPE_CGROUP_DEVICE";
    let size = size_of::<Load>();
    let call = format!(
        "bpf(BPF_PROG_LOAD, {{{what}, insn_cnt={count}, license=\"MIT\"}}, {size})"
    );
    let loaded = stage.attempt(&call, || bpf(BPF_PROG_LOAD, &load).map(owned))?;
    loaded.map_err(|errno| {
        let error = Error::call(call, errno);
        match errno {
            Errno::EPERM => error.hint(crate::HINT),
            Errno::EINVAL | Errno::ENOSYS => {
                error.hint("this kernel was built without CONFIG_CGROUP_BPF")
            }
            _ => error,
        }
    })
}

/// Let `program` decide for the group at `folder`, together with those that decide already:
/// a device may be used if all of them allow it.
pub fn attach(stage: &Stage, program: &OwnedFd, folder: &Path) -> Result<()> {
    let group = File::open(folder).map_err(|it| Error::io(folder.display(), &it))?;
    let attach = Attach {
        target_fd: group.as_raw_fd(),
        attach_bpf_fd: program.as_raw_fd(),
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: BPF_F_ALLOW_MULTI,
    };
    let (group, program) = (stage::descriptor(&group), stage::descriptor(program));
    let what = format!("target_fd={group}, attach_bpf_fd={program}");
    let how = "attach_type=BPF_CGROUP_DEVICE, attach_flags=BPF_F_ALLOW_MULTI";
    let size = size_of::<Attach>();
    let call = format!("bpf(BPF_PROG_ATTACH, {{{what}, {how}}}, {size})");
    stage.ask(call, || bpf(BPF_PROG_ATTACH, &attach).map(drop))
}

#[allow(unsafe_code, reason = "nix has no wrapper for bpf(2)")]
fn bpf<T>(command: libc::c_int, about: &T) -> nix::Result<libc::c_int> {
    let about = std::ptr::from_ref(about);
    // SAFETY: the structure lives on, and so does what it points to; the size is its own.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, about, size_of::<T>()) };
    Errno::result(answer).map(|answer| answer as libc::c_int)
}

#[allow(unsafe_code, reason = "a descriptor from a call that nix does not know")]
fn owned(fd: libc::c_int) -> OwnedFd {
    // SAFETY: the kernel has just opened it for us, and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}
