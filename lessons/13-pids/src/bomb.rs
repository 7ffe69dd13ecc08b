//! `pids --bomb`: what does a real fork bomb do in there?
//!
//! A program that forks for ever, and so does each of its children. In a group with a limit
//! it fills the group and no more: the host goes on, and the group is ended as a whole,
//! because nobody could catch its processes one by one. They are also in a PID namespace
//! (lesson 3), so that they end with us if we are killed.

use std::time::{Duration, Instant};

use cgroup::Group;
use nix::poll::{PollTimeout, poll};
use nix::unistd::fork;
use stage::{Evidence, Result, Stage, Verdict};

use crate::crowd::Crowd;
use crate::limited;

/// So often must the kernel have refused: the bomb has really gone off.
const REFUSALS: u64 = 100;
const PATIENCE: Duration = Duration::from_secs(20);

pub fn play(stage: &Stage, limit: u32) -> Result<Verdict> {
    let group = limited(stage, limit)?;
    let mut container = pid::fork(stage, |cue| {
        cue.report(Evidence::default())?; // we are put into the group
        explode()
    })?;
    container.evidence()?;
    group.add(stage, container.pid())?;
    container.proceed()?;

    let (most, refusals) = watch(&group)?;
    let seen =
        stage.look("group").fact("most tasks", most).fact("refusals", refusals).end();
    let (started, refused) = Crowd::new()?.grow(stage, limit)?;
    let host = stage.look("host").fact("started", started).end();
    let folder = group.folder(pids::CONTROLLER)?.to_path_buf();
    group.remove(stage)?;
    container.wait()?;
    let left = if folder.exists() { "there" } else { "gone" };
    let after = stage.look("host").fact("the group", left).end();
    stage.gap();
    let limits = (format!("at most {limit}"), format!("{REFUSALS} or more"));
    let refused = refused.map_or("nothing".into(), |errno| errno.to_string());
    let is_full = most <= u64::from(limit);
    Ok(Verdict::on("a fork bomb fills its group, and nothing else")
        .holds("the most tasks that it had", limits.0, &seen["most tasks"], is_full)
        .holds("refused forks", limits.1, &seen["refusals"], refusals >= REFUSALS)
        .equal("processes that the host could start", limit, &host["started"])
        .equal("what the host was refused", "nothing", refused)
        .equal("the group afterwards", "gone", &after["the group"]))
}

/// Wait until the bomb has gone off: the most tasks that were seen, and the refusals.
fn watch(group: &Group) -> Result<(u64, u64)> {
    let (start, mut most) = (Instant::now(), 0);
    loop {
        most = most.max(tasks_now(group)?);
        let refusals = pids::refusals(group)?;
        if refusals >= REFUSALS || start.elapsed() > PATIENCE {
            return Ok((most.max(tasks_now(group)?), refusals));
        }
        // There is no event for it: we look again.
        wait_a_moment();
    }
}

/// The kernel counts a fork before it refuses it: of two looks, the lesser tells.
fn tasks_now(group: &Group) -> Result<u64> {
    let first = tasks(&pids::current(group)?);
    wait_a_moment();
    Ok(first.min(tasks(&pids::current(group)?)))
}

fn wait_a_moment() {
    poll(&mut [], PollTimeout::from(5u8)).ok(); // milliseconds
}

fn tasks(text: &str) -> u64 {
    text.parse().unwrap_or(u64::MAX)
}

/// The bomb: each process that there is does this.
#[allow(unsafe_code, reason = "nix marks fork(2) as unsafe")]
fn explode() -> ! {
    loop {
        // A refusal is no reason to stop.
        // SAFETY: we have one thread, so that the child may do all that we may.
        unsafe { fork() }.ok();
    }
}
