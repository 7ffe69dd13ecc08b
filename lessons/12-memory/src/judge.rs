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
pub fn judge(limits: [u64; 2], seen: &Evidence) -> Verdict {
    let [ram, total] = limits;
    let number = |name: &str| seen[name].parse::<u64>().unwrap_or_default();
    let (kills, used, peak) =
        (number("group oom_kill"), number("inside bytes"), number("group peak bytes"));
    let range = format!("from {} to {}", mib(ram / 2), mib(total));
    let is_near = ram / 2 < used && used <= total;
    let verdict = Verdict::on(CLAIM)
        .equal("what ends it inside", "SIGKILL (status 137)", &seen["inside ended by"])
        .holds("how much it could use", range, mib(used), is_near)
        .holds("how often the OOM killer has killed", "1 or more", kills, kills > 0)
        .equal(
            "the machine's memory, seen inside",
            &seen["host MemTotal"],
            &seen["inside MemTotal"],
        )
        .equal(
            "what the sibling uses at last",
            mib(2 * total + MIB),
            &seen["outside used"],
        )
        .equal("what ends the sibling", "itself (status 0)", &seen["outside ended by"]);
    let verdict = match peak {
        0 => verdict.skip("the peak", "version 2 keeps it since Linux 5.19"),
        _ => {
            // What a process needs to die is granted beyond the limit.
            let (range, most) = (format!("about {}", mib(ram)), ram + ram / 8);
            verdict.holds("the peak", range, mib(peak), ram / 2 < peak && peak <= most)
        }
    };
    match &seen["host SwapFree"] {
        _ if total == ram => verdict,
        "0 kB" => verdict.skip("swap", "this machine has none that is free"),
        _ => verdict.holds(
            "with swap, it could use",
            "more than RAM",
            mib(used),
            used > ram,
        ),
    }
}
