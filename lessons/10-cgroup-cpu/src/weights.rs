//! When does a weight matter?
//!
//! Only when there is not enough for all. A group of little weight has a whole core as long
//! as nobody else wants it; then a group with more weight comes, and they share.

use std::time::Duration;

use cgroup::Group;
use cgroup_cpu::{CONTROLLERS, cores, pin, weigh};
use stage::{Error, Result, Stage, Verdict};

use crate::busy::{Loop, Sample, measure, percent};

/// How far a share may be from what the weights say.
const TOLERANCE: f64 = 0.07;

/// The act: both loops are on one core, so that it is not enough.
pub fn play(stage: &Stage, times: u64, time: Duration) -> Result<Verdict> {
    let core = cores()?.first().copied();
    let core = core.ok_or_else(|| Error::input("no processor is ours"))?;
    let make = |name: &str| {
        let name = format!("lesson-{}-{name}", std::process::id());
        Group::make(stage, &name, &CONTROLLERS)
    };
    let (light, heavy) = (make("light")?, make("heavy")?);
    weigh(stage, &light, 100)?;
    weigh(stage, &heavy, 100 * times)?;

    let mut loops = vec![Loop::start(stage, "light", &light, |_| pin(stage, core))?];
    let alone = measure(stage, &mut loops, time / 4)?;
    let [alone] = alone[..] else { return Err(Error::input("nothing was measured")) };
    stage.look("light").fact("alone", percent(alone.share())).end();

    loops.push(Loop::start(stage, "heavy", &heavy, |_| pin(stage, core))?);
    let both = measure(stage, &mut loops, time)?;
    let [light_seen, heavy_seen] = both[..] else {
        return Err(Error::input("nothing was measured"));
    };
    stage.look("light").fact("together", percent(light_seen.share())).end();
    stage.look("heavy").fact("together", percent(heavy_seen.share())).end();
    drop(loops);
    light.remove(stage)?;
    heavy.remove(stage)?;

    Ok(judge(times, alone, light_seen, heavy_seen))
}

/// What counts is the part of what both have got: others may want the core, too.
fn judge(times: u64, alone: Sample, light: Sample, heavy: Sample) -> Verdict {
    let all = (light.used() + heavy.used()).max(1) as f64;
    let share = light.used() as f64 / all;
    let due = 1.0 / (1 + times) as f64;
    let range = format!("{} ± {}", percent(due), percent(TOLERANCE));
    let is_due = (share - due).abs() <= TOLERANCE;
    let wanted = alone.wanted();
    Verdict::on("a weight limits nobody: it says who gets how much of too little")
        .holds("alone, used or waited for", "from 80 %", percent(wanted), wanted >= 0.8)
        .holds("the lighter one's part of both", range, percent(share), is_due)
}
