//! What are the capabilities called, and which of them has a container?

use std::fmt::{self, Display};

use stage::{Error, Result};

/// By their numbers, without the `CAP_` in front: linux/capability.h.
#[rustfmt::skip]
const NAMES: [&str; 41] = [
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID",
    "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW",
    "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
    "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD",
    "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG",
    "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
];

/// What Docker leaves to a container: what installing a package or starting a server takes.
#[rustfmt::skip]
pub const DOCKER: [&str; 14] = [
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID",
    "SETFCAP", "SETPCAP", "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
];

/// One capability: its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability(pub u8);

impl Capability {
    /// As prctl(2) takes it.
    pub fn long(self) -> libc::c_ulong {
        self.0.into()
    }

    /// By its name, in any case, with or without `CAP_`: as Docker takes it.
    fn named(text: &str) -> Option<Capability> {
        let name = text.to_ascii_uppercase();
        let name = name.strip_prefix("CAP_").unwrap_or(&name);
        let place = NAMES.iter().position(|known| *known == name)?;
        u8::try_from(place).ok().map(Capability)
    }
}

impl Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A later kernel may have some that we have no name for.
        match NAMES.get(usize::from(self.0)) {
            Some(name) => write!(f, "CAP_{name}"),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A set of capabilities: a bit for each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Set(u64);

impl Set {
    /// All that have a name.
    pub fn all() -> Set {
        Set((1 << NAMES.len()) - 1)
    }

    /// Those with these names.
    pub fn named<T: AsRef<str>>(names: &[T]) -> Result<Set> {
        names.iter().try_fold(Set::default(), |set, name| {
            let name = name.as_ref();
            let found = Capability::named(name).ok_or_else(|| unknown(name))?;
            Ok(set.with(found))
        })
    }

    /// As /proc/PID/status has it: hexadecimal.
    pub fn read(text: &str) -> Option<Set> {
        u64::from_str_radix(text, 16).ok().map(Set)
    }

    /// A bit for each.
    pub fn mask(self) -> u64 {
        self.0
    }

    /// One more.
    pub fn with(self, capability: Capability) -> Set {
        Set(self.0 | 1 << capability.0)
    }

    /// What is in both.
    pub fn and(self, other: Set) -> Set {
        Set(self.0 & other.0)
    }

    /// What is in one of them.
    pub fn or(self, other: Set) -> Set {
        Set(self.0 | other.0)
    }

    /// What is not in the `other`.
    pub fn without(self, other: Set) -> Set {
        Set(self.0 & !other.0)
    }

    /// Whether all of `other` is in it.
    pub fn has(self, other: Set) -> bool {
        other.without(self) == Set::default()
    }

    /// Their names, as the OCI runtime specification has them: `CAP_CHOWN`.
    pub fn names(self) -> Vec<String> {
        self.into_iter().map(|capability| capability.to_string()).collect()
    }

    pub(crate) fn words(self) -> [u32; 2] {
        [self.0 as u32, (self.0 >> 32) as u32]
    }

    pub(crate) fn from_words(low: u32, high: u32) -> Set {
        Set(u64::from(low) | u64::from(high) << 32)
    }
}

impl IntoIterator for Set {
    type Item = Capability;
    type IntoIter = std::vec::IntoIter<Capability>;

    fn into_iter(self) -> Self::IntoIter {
        let is_in = |capability: &Capability| self.0 & 1 << capability.0 != 0;
        (0..64).map(Capability).filter(is_in).collect::<Vec<_>>().into_iter()
    }
}

/// As /proc/PID/status shows it.
impl Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What is left of Docker's set when `drop` is taken from it, and then `add` is added. `ALL`
/// in one of them is what the other one is taken from, or added to.
pub fn choose(add: &[String], drop: &[String]) -> Result<Set> {
    let (all_added, add) = read(add)?;
    let (all_dropped, drop) = read(drop)?;
    Ok(match (all_added, all_dropped) {
        (true, _) => Set::all().without(drop),
        (false, true) => add,
        (false, false) => Set::named(&DOCKER)?.without(drop).or(add),
    })
}

/// Whether `ALL` is among the names, and the others.
fn read(names: &[String]) -> Result<(bool, Set)> {
    let is_all = |name: &&String| name.eq_ignore_ascii_case("ALL");
    let (all, others): (Vec<_>, Vec<_>) = names.iter().partition(is_all);
    Ok((!all.is_empty(), Set::named(&others)?))
}

fn unknown(name: &str) -> Error {
    let known = NAMES.join(", ");
    Error::input(format!("{name:?} is no capability: ALL, or one of {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(add: &[&str], drop: &[&str]) -> String {
        let texts =
            |names: &[&str]| names.iter().map(|it| it.to_string()).collect::<Vec<_>>();
        let chosen = choose(&texts(add), &texts(drop));
        chosen.map_or_else(|error| error.to_string(), |set| set.to_string())
    }

    #[test]
    fn names_are_chosen_as_docker_does() {
        assert_eq!(chosen(&[], &[]), "00000000a80425fb");
        assert_eq!(chosen(&["sys_admin"], &["CAP_MKNOD"]), "00000000a02425fb");
        assert_eq!(chosen(&["KILL"], &["all"]), "0000000000000020");
        assert_eq!(chosen(&["ALL"], &["CHOWN"]), "000001fffffffffe");
        assert_eq!(chosen(&["CHOWN"], &["CHOWN"]), "00000000a80425fb");
        assert!(
            chosen(&["ROOT"], &[]).contains("\"ROOT\" is no capability: ALL, or one of")
        );
    }
}
