//! Is the right process dead, and what is the same limit called elsewhere?

use cgroup::Version;
use stage::{Evidence, Verdict};

use crate::hog::{MIB, mib};

const CLAIM: &str = "who dies is in the group whose memory has run out";

/// What the same limits are called in the other version.
pub fn elsewhere(here: Version, ram: u64, total: u64) -> String {
    let swap = total - ram;
    match here {
        Version::V1 => {
            format!("in v2: {ram} in memory.max, and {swap} in memory.swap.max")
        }
        Version::V2 => format!(
            "in v1: {ram} in memory.limit_in_bytes, {total} in memory.memsw.limit_in_bytes"
        ),
    }
}

/// Nothing would be killed before the machine's swap is full.
pub fn untried() -> Verdict {
    let why =
        "this kernel does not limit swap: start it with swapaccount=1, or `swapoff -a`";
    Verdict::on(CLAIM).skip("the limit", why)
}

/// `limits` are those on RAM, and on RAM and swap together.
pub fn judge([ram, total]: [u64; 2], seen: &Evidence) -> Verdict {
    let number = |name: &str| seen[name].parse::<u64>().unwrap_or_default();
    let (used, kills) = (number("inside bytes"), number("group oom_kill"));
    let (swap, free) = (total - ram, free_swap(seen));
    // It gets beyond RAM if there is much swap. What is on the way there is counted twice.
    let least = if swap <= free && ram <= 2 * swap { ram } else { ram / 2 };
    let range = format!("from {} to {}", mib(least), mib(total));
    let memory = &seen["host MemTotal"];
    let verdict = Verdict::on(CLAIM)
        .equal("what ends it inside", "SIGKILL (status 137)", &seen["inside ended by"])
        .holds("what it could use", range, mib(used), least <= used && used <= total)
        .holds("the OOM killer's kills", "1 or more", kills, kills > 0)
        .equal("the memory that is told inside", memory, &seen["inside MemTotal"])
        .equal("what the sibling uses", mib(2 * total + MIB), &seen["outside used"])
        .equal("what ends the sibling", "itself (status 0)", &seen["outside ended by"]);
    let verdict = judge_peak(verdict, ram, number("group peak bytes"));
    if free < swap {
        return verdict.skip("swap", format!("this machine has {} free", mib(free)));
    }
    verdict
}

fn judge_peak(verdict: Verdict, ram: u64, peak: u64) -> Verdict {
    if peak == 0 {
        return verdict.skip("the peak", "version 2 keeps it since Linux 5.19");
    }
    // Whoever is about to die may have a little more than the limit.
    let (least, most) = (ram / 2, ram + ram / 8);
    let range = format!("from {} to {}", mib(least), mib(most));
    verdict.holds("the peak", range, mib(peak), least <= peak && peak <= most)
}

/// The machine's swap that nobody uses, in bytes.
fn free_swap(seen: &Evidence) -> u64 {
    let kib = seen["host SwapFree"].strip_suffix(" kB").unwrap_or_default();
    kib.parse::<u64>().unwrap_or_default() << 10
}
