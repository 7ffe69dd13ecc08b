//! What does the kernel say about a process?
//!
//! Everything here is read from /proc; see proc(5) and namespaces(7).

use std::fs::{self, File};
use std::io::Read;

use nix::sys::signal::Signal;
use nix::unistd::{Pid, geteuid};

use crate::{Error, Result};

/// All of a file such as /proc/self/mountinfo, which the kernel writes while it is read and whose
/// length nobody knows before: in one piece, if it is not longer than a page.
pub fn read(path: &str) -> Result<String> {
    let mut text = String::with_capacity(4096);
    let read = File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    read.map_err(|error| Error::io(path, &error)).map(|_| text)
}

/// The namespace of kind `kind` that we are in, such as `uts:[4026531838]`: the inode
/// number is the namespace's identity.
pub fn namespace(kind: &str) -> Result<String> {
    link(&format!("/proc/self/ns/{kind}"))
}

/// The namespace of kind `kind` that process `pid` is in.
pub fn namespace_of(pid: Pid, kind: &str) -> Result<String> {
    link(&format!("/proc/{pid}/ns/{kind}"))
}

/// Whether we are in a user namespace that somebody has made (lesson 5), and not in the
/// machine's own: that one has the same number everywhere (PROC_USER_INIT_INO in the
/// kernel's linux/proc_ns.h).
pub fn is_in_user_namespace() -> bool {
    namespace("user").is_ok_and(|here| here != "user:[4026531837]")
}

/// The user that we are outside of our user namespace, as our uid_map tells it; it is the
/// same number for whoever is in no other.
pub fn uid_outside() -> u32 {
    let uid = geteuid().as_raw();
    let text = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let translate = |line: &str| {
        let mut numbers = line.split_whitespace().map(str::parse::<u32>);
        let mut next = || numbers.next()?.ok();
        let (inside, outside, count) = (next()?, next()?, next()?);
        let place = uid.checked_sub(inside).filter(|&place| place < count)?;
        outside.checked_add(place)
    };
    text.lines().find_map(translate).unwrap_or(uid)
}

/// The two numbers at the beginning of a kernel's release such as `6.1.0-18-amd64`, which
/// /proc/sys/kernel/osrelease and uname(2) tell; None if it does not begin with two.
pub fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Whether AppArmor takes all capabilities from user namespaces that are not made by root,
/// as in Ubuntu since 23.10.
pub fn is_restricted_by_apparmor() -> bool {
    let switch = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
    fs::read_to_string(switch).is_ok_and(|text| text.trim() == "1")
}

/// The names of process `pid` in each PID namespace that has one for it, from the one of
/// /proc inwards (the line NSpid).
pub fn pids_of(pid: Pid) -> Result<Vec<i32>> {
    let numbers = status_line(&pid.to_string(), "NSpid")?;
    Ok(numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect())
}

/// Whether process `pid` notices `signal` if it is PID 1: it has a handler for it (the line
/// SigCgt) or keeps it for later (the line SigBlk).
pub fn hears(pid: Pid, signal: Signal) -> bool {
    let process = pid.to_string();
    if is_in(signals(&process, "SigCgt"), signal) {
        return true;
    }
    // While it forks, the C library blocks all signals, also those that nobody waits for.
    // That is no wish to hear them, and over in a moment.
    for _ in 0..LOOKS {
        let blocked = signals(&process, "SigBlk");
        if !is_in(blocked, Signal::SIGSEGV) {
            return is_in(blocked, signal);
        }
    }
    false
}

/// How often to look whether a process still forks. One that never does anything else is no
/// better than deaf.
const LOOKS: usize = 100;

/// The signals that `process` (a PID or `self`) ignores, a bit for each (the line SigIgn).
pub fn ignored(process: &str) -> u64 {
    signals(process, "SigIgn")
}

/// A line of signals in /proc/`process`/status, a bit for each.
fn signals(process: &str, line: &str) -> u64 {
    let mask = status_line(process, line).ok();
    mask.and_then(|mask| u64::from_str_radix(&mask, 16).ok()).unwrap_or_default()
}

/// Whether `signal` is one of `signals`.
pub fn is_in(signals: u64, signal: Signal) -> bool {
    signals & (1 << (signal as i32 - 1)) != 0
}

/// The value of line `name` in /proc/`process`/status, its fields a space apart; `process`
/// is a PID or `self`.
pub fn status_line(process: &str, name: &str) -> Result<String> {
    let path = format!("/proc/{process}/status");
    let text = read(&path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = line.ok_or_else(|| Error::input(format!("{path} has no line {name}")))?;
    Ok(value.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The processes that /proc shows, its folders with a number for a name: all of them, or the
/// first three of many.
pub fn processes() -> Result<String> {
    let failed = |error| Error::io("/proc", &error);
    let mut pids: Vec<u32> = Vec::new();
    for entry in fs::read_dir("/proc").map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        pids.extend(name.to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    pids.sort_unstable();
    let few: Vec<String> = pids.iter().take(3).map(u32::to_string).collect();
    Ok(few.join(" ") + if pids.len() > few.len() { " …" } else { "" })
}

fn link(path: &str) -> Result<String> {
    let target = fs::read_link(path).map_err(|error| Error::io(path, &error))?;
    Ok(target.to_string_lossy().into_owned())
}
