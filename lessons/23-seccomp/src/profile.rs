//! How is it written down which calls are allowed?
//!
//! In JSON, as Docker and podman have it for `--security-opt seccomp=FILE`: a default action,
//! and rules for calls by their names. Some rules hold only with or without a capability, on
//! some processors, or from some kernel on. What is left when that is decided is the object
//! `linux.seccomp` of the OCI runtime specification (config-linux.md, "Seccomp").

use std::fs;

use caps::Set;
use serde::{Deserialize, Serialize};
use stage::{Error, Result, proc};

/// What a process may call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Profile {
    /// What is done about a call that no rule is for.
    pub default_action: Action,
    /// With which errno it fails, if it fails; else EPERM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// Every rule that holds.
    #[serde(default)]
    pub syscalls: Vec<Rule>,
}

/// What is done about some calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Their names. Those that this kind of processor does not have are skipped.
    pub names: Vec<String>,
    /// What is done.
    pub action: Action,
    /// With which errno they fail, if they fail; else EPERM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// What their arguments have to be, all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Vec<Argument>>,
    /// When the rule holds.
    #[serde(default, skip_serializing)]
    pub includes: Condition,
    /// And when it does not.
    #[serde(default, skip_serializing)]
    pub excludes: Condition,
}

/// What an argument has to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Argument {
    /// Which one, from 0.
    pub index: u8,
    /// What it is compared with; for MASKED_EQ which bits are.
    pub value: u64,
    /// For MASKED_EQ what those bits have to be.
    #[serde(default)]
    pub value_two: u64,
    /// How: `SCMP_CMP_EQ` and so on.
    pub op: String,
}

/// When a rule holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Condition {
    caps: Vec<String>,
    arches: Vec<String>,
    min_kernel: Option<String>,
}

/// What the kernel does about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "seccomp(2) has them, as SECCOMP_RET_ALLOW and so on")]
pub enum Action {
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    #[serde(rename = "SCMP_ACT_KILL", alias = "SCMP_ACT_KILL_THREAD")]
    KillThread,
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
}

impl Profile {
    /// What Docker allows if nothing else is said.
    pub fn builtin() -> Result<Profile> {
        Profile::parse("the built-in profile", include_str!("default.json"))
    }

    /// What is written in the file at `path`.
    pub fn read(path: &str) -> Result<Profile> {
        let text = fs::read_to_string(path).map_err(|error| Error::io(path, &error))?;
        Profile::parse(path, &text)
    }

    fn parse(name: &str, text: &str) -> Result<Profile> {
        let parsed = serde_json::from_str(text);
        parsed.map_err(|error| {
            Error::input(format!("{name} is no seccomp profile: {error}")).hint(
                "it takes Docker's format: defaultAction, syscalls with names and action",
            )
        })
    }

    /// The rules that hold on this machine for a process with these capabilities.
    pub fn for_capabilities(mut self, set: Set) -> Result<Profile> {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let here = Here { set, kernel: proc::version(&kernel).unwrap_or_default() };
        let mut holds = Vec::new();
        for rule in self.syscalls {
            if here.holds(&rule)? {
                let (includes, excludes) = Default::default();
                holds.push(Rule { includes, excludes, ..rule });
            }
        }
        self.syscalls = holds;
        Ok(self)
    }
}

/// What conditions are about.
struct Here {
    set: Set,
    kernel: (u32, u32),
}

impl Here {
    fn holds(&self, rule: &Rule) -> Result<bool> {
        let (yes, no) = (&rule.includes, &rule.excludes);
        let all = self.set.has(Set::named(&yes.caps)?);
        let any = self.set.and(Set::named(&no.caps)?) != Set::default();
        let right = yes.arches.is_empty() || is_here(&yes.arches);
        let old = self.is_older(yes).unwrap_or(false);
        let new = self.is_older(no).is_some_and(|older| !older);
        Ok(all && right && !old && !any && !is_here(&no.arches) && !new)
    }

    /// Whether this kernel is older than the one that is named.
    fn is_older(&self, condition: &Condition) -> Option<bool> {
        let named = proc::version(condition.min_kernel.as_deref()?)?;
        Some(self.kernel < named)
    }
}

/// Whether this processor is among them, by Go's names.
fn is_here(arches: &[String]) -> bool {
    let own = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    arches.iter().any(|arch| arch == own)
}
