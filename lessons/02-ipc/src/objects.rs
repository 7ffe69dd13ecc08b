//! How are queues and shared memory made, found and removed?
//!
//! None of them dies with its maker (only with its namespace), so that each is written down
//! before it is made. nix wraps POSIX queues but not System V objects: those are libc calls.
//! Read msgget(2), shmget(2), msgctl(2), shmctl(2), mq_open(3) and mq_unlink(3).

#![allow(unsafe_code, reason = "System V calls have no wrapper in nix")]

use std::fs;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};

use nix::errno::Errno;
use nix::mqueue::{MQ_OFlag, MqAttr, mq_open, mq_unlink};
use nix::sys::stat::Mode;
use stage::{Error, Ledger, Result, Stage, proc};

/// The keys of our objects begin with one of these, a PID follows.
const HOST_KEYS: libc::key_t = 0x4f00_0000;
const INNER_KEYS: libc::key_t = 0x5f00_0000;

/// What objects can be found by: a System V key, and the name of a POSIX queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The key of a System V queue and of a System V shared memory segment.
    pub key: libc::key_t,
    /// The name of a POSIX queue, without the slash that mq_open(3) wants in front.
    pub queue: String,
}

impl Names {
    /// Names that no other run of the lesson uses; `whose` is `host` or `inner`.
    pub fn of(whose: &str) -> Names {
        let pid = std::process::id();
        let family = if whose == "host" { HOST_KEYS } else { INNER_KEYS };
        // A PID has at most 22 bits (PID_MAX_LIMIT in proc(5)).
        let key = family | i32::try_from(pid).unwrap_or_default();
        Names { key, queue: format!("fakedocker-{whose}-{pid}") }
    }
}

/// Make a System V queue, a System V segment and a POSIX queue, each for its owner only.
/// They stay when we end, until their namespace goes: see [`Guard`].
pub fn make(stage: &Stage, names: &Names) -> Result<()> {
    let (key, queue) = (names.key, &names.queue);
    let fresh = libc::IPC_CREAT | libc::IPC_EXCL | 0o600;
    let call = format!("msgget({key:#x}, IPC_CREAT|IPC_EXCL|0600)");
    stage.ask(call, || message_queue(key, fresh))?;
    let call = format!("shmget({key:#x}, 4096, IPC_CREAT|IPC_EXCL|0600)");
    stage.ask(call, || segment(key, 4096, fresh))?;
    let attributes = "{mq_flags=0, mq_maxmsg=1, mq_msgsize=64, mq_curmsgs=0}";
    let flags = "O_RDONLY|O_CREAT|O_EXCL|O_CLOEXEC";
    let call = format!("mq_open({queue:?}, {flags}, 0600, {attributes})");
    stage.ask(call, || posix_queue(queue, MQ_OFlag::O_CREAT | MQ_OFlag::O_EXCL))?;
    Ok(())
}

/// Writes objects down before they are made, and removes them when it is dropped.
pub struct Guard {
    names: Names,
    _ledger: Ledger,
}

impl Guard {
    /// Call it before [`make`].
    pub fn on(names: &Names) -> Result<Guard> {
        let mut ledger = Ledger::open("ipc")?;
        let here = proc::namespace("ipc")?;
        ledger.note(format!("{here} {:#x} {}", names.key, names.queue))?;
        Ok(Guard { names: names.clone(), _ledger: ledger })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Nobody is left to hear of a failure; the lesson's last look would show it.
        remove(&self.names).ok();
    }
}

/// The System V queue with this key, as ipcs(1) shows it, if we can see one.
pub fn find_message_queue(key: libc::key_t) -> Result<Option<String>> {
    let found = found(format!("msgget({key:#x}, 0)"), message_queue(key, 0))?;
    Ok(found.map(|id| format!("id {id}, key {key:#x}")))
}

/// The System V segment with this key, if we can see one.
pub fn find_segment(key: libc::key_t) -> Result<Option<String>> {
    let found = found(format!("shmget({key:#x}, 0, 0)"), segment(key, 0, 0))?;
    Ok(found.map(|id| format!("id {id}, key {key:#x}")))
}

/// The POSIX queue with this name, if we can see one.
pub fn find_posix_queue(name: &str) -> Result<Option<String>> {
    let opened = posix_queue(name, MQ_OFlag::empty());
    let found = found(format!("mq_open({name:?}, O_RDONLY)"), opened)?;
    Ok(found.map(|_descriptor| format!("/{name}")))
}

/// The identifiers of the System V queues that we can see and that no run of this lesson
/// has made.
pub fn foreign_message_queues() -> Result<Vec<String>> {
    let table = "/proc/sysvipc/msg";
    let text = fs::read_to_string(table).map_err(|error| Error::io(table, &error))?;
    let foreign = |line: &str| {
        let mut fields = line.split_whitespace();
        let (key, id) = (fields.next()?.parse::<libc::key_t>().ok()?, fields.next()?);
        let ours = [HOST_KEYS, INNER_KEYS].contains(&(key & 0x7f00_0000));
        (!ours).then(|| id.to_string())
    };
    Ok(text.lines().skip(1).filter_map(foreign).collect())
}

/// Remove what a killed run has left; returns a line for each. A note from another IPC
/// namespace stays: its objects cannot be seen from here.
pub fn sweep() -> Result<Vec<String>> {
    let here = proc::namespace("ipc")?;
    Ledger::abandoned("ipc", |note| {
        let names = read_note(note).filter(|(namespace, _)| *namespace == here);
        names.is_some_and(|(_, names)| remove(&names).is_ok())
    })
}

/// What [`sweep`] would say: nothing is changed.
pub fn left() -> Result<Vec<String>> {
    let here = proc::namespace("ipc")?;
    let notes = Ledger::left("ipc")?;
    let ours = |note: &&str| read_note(note).is_some_and(|(space, _)| *space == here);
    Ok(notes
        .iter()
        .flat_map(|note| note.lines())
        .filter(ours)
        .map(String::from)
        .collect())
}

fn read_note(note: &str) -> Option<(&str, Names)> {
    let mut words = note.split(' ');
    let (namespace, key, queue) = (words.next()?, words.next()?, words.next()?);
    let key = libc::key_t::from_str_radix(key.strip_prefix("0x")?, 16).ok()?;
    Some((namespace, Names { key, queue: queue.to_string() }))
}

/// Remove all three; what is not there needs no removing.
fn remove(names: &Names) -> nix::Result<()> {
    if let Some(id) = absent_is_none(message_queue(names.key, 0))? {
        // SAFETY: IPC_RMID ignores the pointer (msgctl(2)).
        Errno::result(unsafe { libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()) })?;
    }
    if let Some(id) = absent_is_none(segment(names.key, 0, 0))? {
        // SAFETY: IPC_RMID ignores the pointer (shmctl(2)).
        Errno::result(unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) })?;
    }
    absent_is_none(mq_unlink(format!("/{}", names.queue).as_str())).map(drop)
}

fn message_queue(key: libc::key_t, flags: i32) -> nix::Result<i32> {
    // SAFETY: msgget(2) takes no pointers.
    Errno::result(unsafe { libc::msgget(key, flags) })
}

fn segment(key: libc::key_t, size: usize, flags: i32) -> nix::Result<i32> {
    // SAFETY: shmget(2) takes no pointers.
    Errno::result(unsafe { libc::shmget(key, size, flags) })
}

fn posix_queue(name: &str, flags: MQ_OFlag) -> nix::Result<OwnedFd> {
    let path = format!("/{name}");
    let flags = flags | MQ_OFlag::O_RDONLY | MQ_OFlag::O_CLOEXEC;
    // Room for one short message: it is there to be found, not to be used.
    let size = MqAttr::new(0, 1, 64, 0);
    let queue =
        mq_open(path.as_str(), flags, Mode::from_bits_truncate(0o600), Some(&size))?;
    // SAFETY: on Linux a queue descriptor is a file descriptor (mq_overview(7)), and
    // `into_raw_fd` has just given it up.
    Ok(unsafe { OwnedFd::from_raw_fd(queue.into_raw_fd()) })
}

fn absent_is_none<T>(answer: nix::Result<T>) -> nix::Result<Option<T>> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn found<T>(call: String, answer: nix::Result<T>) -> Result<Option<T>> {
    absent_is_none(answer).map_err(|errno| Error::call(call, errno))
}
