//! What is written to limit RAM and swap, and in which order?
//!
//! Version 2 has a file for each. Version 1 has one for RAM, and one for RAM and swap together
//! (memsw), as Docker's command line.

use stage::{Error, Result};

use crate::LEAST;

/// How much a group may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Most {
    /// So many bytes. The kernel rounds them down to whole pages.
    Bytes(u64),
    /// As much as there is.
    Unlimited,
}

/// What to change; nothing of what is None.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// RAM, in bytes.
    pub bytes: Option<u64>,
    /// RAM and swap together, as Docker's --memory-swap. If only `bytes` is given, it is twice
    /// as much: the group may use as much swap again.
    pub with_swap: Option<Most>,
}

impl Limits {
    /// Both limits, when RAM is limited to `ram` now.
    pub(crate) fn complete(self, ram: Most) -> Result<(Most, Most)> {
        if let Some(bytes) = self.bytes.filter(|&bytes| bytes < LEAST) {
            let error = format!("{bytes} bytes of memory are less than {LEAST} (6 MiB)");
            return Err(Error::input(error));
        }
        let twice = |bytes: u64| Most::Bytes(bytes.saturating_mul(2));
        let total = self.with_swap.or(self.bytes.map(twice)).unwrap_or(Most::Unlimited);
        let ram = self.bytes.map_or(ram, Most::Bytes);
        if total < ram {
            let error = Error::input("memory and swap together are less than memory");
            return Err(error.hint("limit memory, too, to no more than both together"));
        }
        Ok((ram, total))
    }
}

impl Most {
    fn text(self, unlimited: &str) -> String {
        match self {
            Most::Bytes(bytes) => bytes.to_string(),
            Most::Unlimited => unlimited.to_string(),
        }
    }
}

/// What to write to which file. RAM may never be more than both together, which are limited to
/// `now`: who raises them begins with both, and who lowers them with RAM.
pub(crate) fn in_version_1(
    ram: Most,
    total: Option<Most>,
    now: Most,
) -> Vec<(&'static str, String)> {
    let mut writes = vec![("memory.limit_in_bytes", ram.text("-1"))];
    writes.extend(total.map(|total| ("memory.memsw.limit_in_bytes", total.text("-1"))));
    if total.is_some_and(|total| total > now) {
        writes.reverse();
    }
    writes
}

/// The same for version 2, where swap is apart, so that there is no order.
pub(crate) fn in_version_2(
    ram: Most,
    total: Option<Most>,
) -> Vec<(&'static str, String)> {
    let swap = |total| match (total, ram) {
        (Most::Bytes(total), Most::Bytes(ram)) => Most::Bytes(total - ram),
        _ => Most::Unlimited,
    };
    let mut writes = vec![("memory.max", ram.text("max"))];
    writes.extend(total.map(|total| ("memory.swap.max", swap(total).text("max"))));
    writes
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAM: &str = "memory.limit_in_bytes";
    const BOTH: &str = "memory.memsw.limit_in_bytes";

    /// The names of the files, in the order in which they are written to.
    fn order(total: Option<Most>, now: Most) -> Vec<&'static str> {
        let writes = in_version_1(Most::Bytes(LEAST), total, now);
        writes.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn ram_is_never_more_than_both() {
        let [less, more] = [Most::Bytes(LEAST), Most::Bytes(2 * LEAST)];
        assert_eq!(order(Some(less), Most::Unlimited), [RAM, BOTH]);
        assert_eq!(order(Some(less), more), [RAM, BOTH]);
        assert_eq!(order(Some(more), less), [BOTH, RAM]);
        assert_eq!(order(Some(Most::Unlimited), more), [BOTH, RAM]);
        assert_eq!(order(None, Most::Unlimited), [RAM]);
    }

    #[test]
    fn what_is_not_said_is_completed() {
        let limits = |bytes, with_swap| Limits { bytes, with_swap };
        let [less, more] = [Most::Bytes(LEAST), Most::Bytes(2 * LEAST)];
        let both = |limits: Limits, now| limits.complete(now).ok();
        assert_eq!(both(limits(Some(LEAST), None), Most::Unlimited), Some((less, more)));
        assert_eq!(both(limits(None, Some(more)), less), Some((less, more)));
        assert_eq!(both(limits(None, Some(more)), Most::Unlimited), None);
        assert_eq!(both(limits(Some(2 * LEAST), Some(less)), less), None);
        assert_eq!(both(limits(Some(LEAST - 1), None), less), None);
    }

    #[test]
    fn swap_is_what_is_left() {
        let writes = in_version_2(Most::Bytes(LEAST), Some(Most::Bytes(LEAST)));
        let swap = ("memory.swap.max", "0".to_string());
        assert_eq!(writes, [("memory.max", LEAST.to_string()), swap]);
        let writes = in_version_2(Most::Bytes(LEAST), Some(Most::Unlimited));
        assert_eq!(writes[1], ("memory.swap.max", "max".to_string()));
    }
}
