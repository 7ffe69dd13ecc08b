//! What does a container find out about its number 1?
//!
//! We did not execve(2): we are still the program that has made the container, with its open
//! files, its environment and its memory. /proc/1 would show them. Read close_range(2),
//! proc_pid_environ(5), and PR_SET_DUMPABLE in prctl(2).

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};

use nix::errno::Errno;
use nix::sys::prctl::{set_dumpable, set_name};
use stage::{Error, Result, proc};

/// What /proc/1/cmdline and /proc/1/comm say.
const NAME: &std::ffi::CStr = c"init";

/// Forget what only the host is to know. To close our files comes last: COMMAND waits at one.
pub fn all() -> Result<()> {
    set_name(NAME).map_err(|errno| Error::call("prctl(PR_SET_NAME)", errno))?;
    // Who has become another user cannot open its own memory otherwise.
    let dumpable = |can: bool| {
        let set = set_dumpable(can);
        set.map_err(|errno| Error::call("prctl(PR_SET_DUMPABLE)", errno))
    };
    dumpable(true)?;
    overwrite().map_err(|error| Error::io("/proc/self/mem", &error))?;
    // From now on, nobody in here can look into our memory. Whoever has made a user namespace
    // without being root could not either, and thus not join the container any more.
    if !proc::is_in_user_namespace() {
        dumpable(false)?;
    }
    close_files()
}

/// Put zeros in the place of our environment and our arguments: proc_pid_stat(5) says where.
fn overwrite() -> std::io::Result<()> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name is in parentheses, and may have some of its own. Behind it is field 3.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let fields: Vec<u64> =
        fields.split(' ').map(|field| field.trim().parse().unwrap_or(0)).collect();
    let Some(&[args, args_end, env, env_end]) = fields.get(45..49) else {
        return Err(std::io::ErrorKind::InvalidData.into());
    };
    let mut memory = File::options().write(true).open("/proc/self/mem")?;
    for (start, end, text) in
        [(args, args_end, NAME.to_bytes()), (env, env_end, b"".as_slice())]
    {
        let length = usize::try_from(end.saturating_sub(start)).unwrap_or(0);
        let mut bytes = text.to_vec();
        bytes.resize(length, 0);
        memory.seek(SeekFrom::Start(start))?;
        memory.write_all(&bytes)?;
    }
    Ok(())
}

/// Close all but standard input, output and error.
#[allow(unsafe_code, reason = "nix has no close_range, and the C library may have none")]
fn close_files() -> Result<()> {
    // SAFETY: what is closed is not used again: we end without running a destructor.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    let closed = Errno::result(closed).map(drop);
    closed.map_err(|errno| Error::call("close_range(3, ~0U, 0)", errno))
}
