//! What may a single process use, whatever group it is in?
//!
//! Long before there were groups, each process had limits of its own: how many files it may have
//! open, how large its stack may grow. A child has its parent's. The soft limit is what holds, and
//! any process may move it, up to the hard limit; that can be lowered by everybody, and raised
//! only with CAP_SYS_RESOURCE on the machine itself, whatever one is in a user namespace.
//!
//! Read getrlimit(2), and `ulimit` in bash(1).

use nix::errno::Errno;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use stage::{Result, Stage};

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Of what.
    pub resource: Resource,
    /// What holds.
    pub soft: u64,
    /// What it can be raised to.
    pub hard: u64,
}

/// All that can be limited, with its name in getrlimit(2).
pub const RESOURCES: [(&str, Resource); 16] = [
    ("RLIMIT_AS", Resource::RLIMIT_AS),
    ("RLIMIT_CORE", Resource::RLIMIT_CORE),
    ("RLIMIT_CPU", Resource::RLIMIT_CPU),
    ("RLIMIT_DATA", Resource::RLIMIT_DATA),
    ("RLIMIT_FSIZE", Resource::RLIMIT_FSIZE),
    ("RLIMIT_LOCKS", Resource::RLIMIT_LOCKS),
    ("RLIMIT_MEMLOCK", Resource::RLIMIT_MEMLOCK),
    ("RLIMIT_MSGQUEUE", Resource::RLIMIT_MSGQUEUE),
    ("RLIMIT_NICE", Resource::RLIMIT_NICE),
    ("RLIMIT_NOFILE", Resource::RLIMIT_NOFILE),
    ("RLIMIT_NPROC", Resource::RLIMIT_NPROC),
    ("RLIMIT_RSS", Resource::RLIMIT_RSS),
    ("RLIMIT_RTPRIO", Resource::RLIMIT_RTPRIO),
    ("RLIMIT_RTTIME", Resource::RLIMIT_RTTIME),
    ("RLIMIT_SIGPENDING", Resource::RLIMIT_SIGPENDING),
    ("RLIMIT_STACK", Resource::RLIMIT_STACK),
];

/// The resource that is called `name`, if there is one.
pub fn find(name: &str) -> Option<Resource> {
    RESOURCES.iter().find(|(it, _)| *it == name).map(|(_, resource)| *resource)
}

/// What stands for no limit.
pub const UNLIMITED: u64 = RLIM_INFINITY;

/// Hold the calling process, and all that it starts from now on, to `limits`.
pub fn set(stage: &Stage, limits: &[Limit]) -> Result<()> {
    limits.iter().try_for_each(|limit| put(stage, limit))
}

/// Let the calling process, and those that it starts, hold themselves to `limits` later: in a user
/// namespace, nobody could raise one.
pub fn allow(stage: &Stage, limits: &[Limit]) -> Result<()> {
    for limit in limits {
        let (soft, hard) = ours(limit.resource)?;
        if hard < limit.hard {
            put(stage, &Limit { soft, ..*limit })?;
        }
    }
    Ok(())
}

fn put(stage: &Stage, limit: &Limit) -> Result<()> {
    let Limit { resource, soft, hard } = *limit;
    let (now, most) = (shown(soft), shown(hard));
    let name = name_of(resource);
    let call = format!("prlimit64(0, {name}, {{rlim_cur={now}, rlim_max={most}}}, NULL)");
    let set = stage.ask(call, || setrlimit(resource, soft, hard));
    set.map_err(|error| match (error.errno(), ours(resource)) {
        (Some(Errno::EPERM), Ok((_, ours))) => error.hint(format!(
            "the hard limit here is {}, and to raise it takes CAP_SYS_RESOURCE",
            shown(ours)
        )),
        _ => error,
    })
}

/// Our own soft and hard limit.
fn ours(resource: Resource) -> Result<(u64, u64)> {
    getrlimit(resource).map_err(|errno| {
        stage::Error::call(format!("getrlimit({})", name_of(resource)), errno)
    })
}

fn name_of(resource: Resource) -> &'static str {
    let found = RESOURCES.iter().find(|(_, it)| *it == resource);
    found.map_or("?", |(name, _)| name)
}

fn shown(limit: u64) -> String {
    if limit == UNLIMITED { "RLIM64_INFINITY".into() } else { limit.to_string() }
}
