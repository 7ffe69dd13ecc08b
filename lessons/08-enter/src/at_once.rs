//! `enter --at-once`: can one call enter all namespaces of a process?
//!
//! Yes, since Linux 5.8: setns(2) takes a descriptor of the process, and as many flags as
//! it is to enter namespaces. A visitor does that, and then its child looks: the visitor
//! itself is in no PID namespace that its new /proc could show.

use enter::Kind;
use stage::{Result, Stage, Verdict};

use crate::{judge, look, start, unchanged};

pub fn play(stage: &Stage) -> Result<Verdict> {
    let before = look(stage, "host")?;
    let (mut container, first) = start(stage)?;

    let pid = container.pid();
    let all = [Kind::Uts, Kind::Ipc, Kind::Pid, Kind::Mount];
    let mut visitor = stage.fork(|cue| {
        enter::join_at_once(stage, pid, &all)?;
        let mut guest = stage.fork(|cue| {
            cue.report(look(stage, "joined")?)?;
            Ok(0)
        })?;
        cue.report(guest.evidence()?)?;
        guest.proceed()?;
        guest.wait()
    })?;
    let joined = visitor.evidence()?;
    container.proceed()?; // it looks once more, while the guest is there
    let together = container.evidence()?;
    visitor.proceed()?;
    visitor.wait()?;

    container.proceed()?;
    container.wait()?;
    let after = look(stage, "host")?;
    stage.gap();
    Ok(unchanged(judge(&before, &first, &joined, &together), &before, &after))
}
