//! Is the loop held to its quota, and what would the same limit be elsewhere?

use cgroup::Version;
use cgroup_cpu::Bandwidth;
use stage::{Evidence, Verdict};

use crate::busy::{Sample, percent};

/// What the same limit is called in the other version.
pub fn elsewhere(here: Version, Bandwidth { quota, period }: Bandwidth) -> String {
    match here {
        Version::V1 => {
            format!("in v2 the same is one line, `{quota} {period}`, in cpu.max")
        }
        Version::V2 => format!(
            "in v1: {period} in cpu.cfs_period_us, and {quota} in cpu.cfs_quota_us"
        ),
    }
}

/// By how much the share may miss the quota.
fn tolerance(quota: f64) -> f64 {
    (quota * 0.15).max(0.03)
}

/// The least and the most that the loop may have had: less where others have taken the
/// core from it, so that it has not felt the limit in every period.
fn bounds(held: &Sample, Bandwidth { quota, period }: Bandwidth) -> (f64, f64) {
    let quota = quota as f64 / period as f64;
    let (felt, tolerance) = (held.felt().unwrap_or_default(), tolerance(quota));
    ((quota - tolerance) * felt, quota + tolerance)
}

/// Whether the loop had what the limit allows it.
pub fn is_held(held: &Sample, bandwidth: Bandwidth) -> bool {
    let (low, high) = bounds(held, bandwidth);
    low <= held.share() && held.share() <= high
}

/// Other programs may take the core from the loop. Without a limit, the time that it waited
/// for them counts as wanted. With one, the periods in which it was not throttled are those
/// in which it did not get enough to use the quota up.
pub fn judge(
    free: &Sample,
    held: &Sample,
    bandwidth: Bandwidth,
    [before, during]: [&Evidence; 2],
) -> Verdict {
    let (low, high) = bounds(held, bandwidth);
    let range = format!("from {} to {}", percent(low), percent(high));
    let felt = held.felt().unwrap_or_default();
    let is_held = is_held(held, bandwidth);
    let verdict = Verdict::on("a quota holds a loop, although the core is idle")
        .holds(
            "without limit, used or waited for",
            "from 80 %",
            percent(free.wanted()),
            free.wants_a_core(),
        )
        .equal("throttled without limit", "never", &before["throttled"])
        .holds("the share of a core", range, &during["share"], is_held);
    if felt == 0.0 && held.waited() > 0.5 {
        return verdict.skip("throttling", "other programs left too little of the core");
    }
    verdict.holds("throttled", "in some periods", &during["throttled"], felt > 0.0)
}
