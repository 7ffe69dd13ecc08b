//! `cgroup-ns --too-early`: what if the group is joined too late?
//!
//! A namespace begins where its maker is at that moment. Who joins a group afterwards is below
//! the root of its namespace, and sees what should have been hidden: a path, and all groups
//! of the host beside its own.

use cgroup::Hierarchy;
use stage::{Evidence, Result, Stage, Verdict};

use crate::{CONTROLLER, group, look};

pub fn play(stage: &Stage) -> Result<Verdict> {
    let hierarchy = Hierarchy::of(CONTROLLER)?;
    let group = group(stage)?;
    let mut container = stage.fork(|cue| {
        cgroup_ns::isolate(stage)?;
        cue.report(Evidence::default())?; // we are put into the group
        cue.show(look::inside(stage, &hierarchy)?)?;
        Ok(0)
    })?;
    container.evidence()?;
    group.add(stage, container.pid())?;
    container.proceed()?;
    let inside = container.evidence()?;
    container.wait()?;
    group.remove(stage)?;
    stage.gap();

    let below = inside["group"].ends_with(&format!("/lesson-{}", std::process::id()));
    Ok(Verdict::on("a namespace begins where its maker was: join first, then make it")
        .holds("its group", "a path that tells of the host", &inside["group"], below)
        .equal("its parent's, which should be above /", "/", &inside["parent"]))
}
