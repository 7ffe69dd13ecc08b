//! When does a weight matter?
//!
//! Only when there is not enough for all. A group of little weight has a whole core as long
//! as nobody else wants it; then a group with more weight comes, and they share.

use std::time::Duration;

use cgroup::Group;
use cgroup_cpu::{CONTROLLERS, cores, pin, weigh};
use stage::{Error, Result, Stage, Verdict};

use crate::busy::{Loop, Sample, look_for, percent};

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
    let alone = look_for(stage, &mut loops, time / 4, |seen| seen[0].wants_a_core())?[0];
    stage.look("light").fact("alone", percent(alone.share())).end();

    loops.push(Loop::start(stage, "heavy", &heavy, |_| pin(stage, core))?);
    let is_right = |seen: &[Sample]| is_due(times, seen[0], seen[1]);
    let both = look_for(stage, &mut loops, time, is_right)?;
    stage.look("light").fact("together", percent(both[0].share())).end();
    stage.look("heavy").fact("together", percent(both[1].share())).end();
    drop(loops);
    light.remove(stage)?;
    heavy.remove(stage)?;

    Ok(judge(times, alone, both[0], both[1]))
}

/// What counts is the part of what both have got: others may want the core, too.
fn part(light: Sample, heavy: Sample) -> f64 {
    light.used() as f64 / (light.used() + heavy.used()).max(1) as f64
}

fn due(times: u64) -> f64 {
    1.0 / (1 + times) as f64
}

fn is_due(times: u64, light: Sample, heavy: Sample) -> bool {
    (part(light, heavy) - due(times)).abs() <= TOLERANCE
}

fn judge(times: u64, alone: Sample, light: Sample, heavy: Sample) -> Verdict {
    let claim = "a weight limits nobody: it says who gets how much of too little";
    let wanted = percent(alone.wanted());
    let verdict = Verdict::on(claim).holds(
        "alone, used or waited for",
        "from 80 %",
        wanted,
        alone.wants_a_core(),
    );
    let (part, what) = (percent(part(light, heavy)), "the lighter one's part of both");
    let range = format!("{} ± {}", percent(due(times)), percent(TOLERANCE));
    verdict.holds(what, range, part, is_due(times, light, heavy))
}
