//! How is a container, and how was its life to be?

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use stage::{Pid, proc};

use crate::network;

/// What is known of a container, besides its description.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The name that the user gave.
    pub name: Option<String>,
    /// It was made to be removed at its end.
    pub throw_away: bool,
    /// Its first process, while it runs.
    #[serde(default)]
    pub first: Option<First>,
    /// Its address at the bridge, while it runs.
    #[serde(default)]
    pub address: Option<Ipv4Addr>,
    /// How it ended, if it has.
    pub exit_status: Option<u8>,
    /// Whether the kernel has ended a process of it for want of memory.
    #[serde(default)]
    pub oom_killed: bool,
    /// How its life was to be.
    #[serde(default)]
    pub life: Life,
    /// When it was made (RFC 3339).
    #[serde(default)]
    pub created: String,
    /// When it was started last; empty if never.
    #[serde(default)]
    pub started: String,
    /// When it ended last; empty if never.
    #[serde(default)]
    pub finished: String,
    /// How often it was started again by itself.
    #[serde(default)]
    pub restarts: u32,
    /// Why it could not be started, the last time.
    #[serde(default)]
    pub error: String,
}

impl State {
    /// It has ended, and goes with its nameless volumes, as if it had been made for that.
    pub fn doomed(self) -> State {
        let exit_status = self.exit_status.or(Some(0));
        State { throw_away: true, exit_status, ..self }
    }
}

/// What was asked for, besides what is in it: how a container is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Life {
    /// Somebody may talk to its standard input.
    pub open_stdin: bool,
    /// Nobody listens to it from the beginning.
    pub detached: bool,
    /// Whether it is started again at its end.
    pub restart: Restart,
    /// How it is asked to end, if not by SIGTERM.
    pub stop_signal: Option<String>,
    /// How many seconds it has for that, if not ten.
    pub stop_timeout: Option<u32>,
    /// How long its log becomes before another begins, in bytes; none is kept for 0.
    pub log_size: Option<u64>,
    /// Which network it is to have, in the words of the command line.
    pub network: network::Request,
    /// It is a part of something that fails as a whole: its engine ends it at the first Ctrl-C.
    #[serde(skip)]
    pub at_once: bool,
}

/// When a container that has ended is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Restart {
    /// Never.
    #[default]
    No,
    /// When its exit status is not zero.
    OnFailure {
        /// But no more often than this, in a row.
        at_most: Option<u32>,
    },
    /// Whatever its status is, unless somebody has stopped it.
    UnlessStopped,
    /// The same. There is no daemon that would start it again when the machine has.
    Always,
}

/// A container's first process, as the host knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct First {
    /// Its PID.
    pub pid: i32,
    /// Its PID namespace, by which it is told from another process with that PID.
    pub namespace: String,
}

impl First {
    /// Its PID, if it still has it: it may have ended meanwhile, and its number may be
    /// somebody else's.
    pub fn pid(&self) -> Option<Pid> {
        let pid = Pid::from_raw(self.pid);
        let is_still = match proc::namespace_of(pid, "pid") {
            Ok(namespace) => namespace == self.namespace,
            // Without root, who is in another user namespace is not told.
            Err(error) => error.is_refusal(),
        };
        is_still.then_some(pid)
    }
}
