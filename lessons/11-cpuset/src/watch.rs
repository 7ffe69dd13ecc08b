//! On which core is a busy process seen?

use std::time::{Duration, Instant};

use stage::{Child, Evidence, Result, Stage};

/// For how long it is watched, and how often it is looked at.
const TIME: Duration = Duration::from_millis(500);
const FRAME: Duration = Duration::from_millis(20);

/// Look again and again where process `pid` runs, which is the busy one of `container`. It may
/// be on each of `cores`, or elsewhere.
pub fn watch(
    stage: &Stage,
    container: &mut Child,
    pid: &str,
    cores: [usize; 2],
) -> Result<Evidence> {
    let names = cores.map(|core| format!("core {core}"));
    let (mut live, start) = (stage.live(), Instant::now());
    let mut seen: Vec<usize> = Vec::new();
    while start.elapsed() < TIME {
        container.watch(FRAME)?;
        seen.push(cpuset::current_core(pid)?);
        let share = |core: usize| {
            seen.iter().filter(|it| **it == core).count() as f64 / seen.len() as f64
        };
        let bars = [0, 1].map(|it| (names[it].as_str(), share(cores[it])));
        let left = TIME.saturating_sub(start.elapsed()).as_secs_f64();
        live.bars(&bars, &format!("{left:.1} s"));
    }
    drop(live);
    seen.sort_unstable();
    seen.dedup();
    let seen: Vec<String> = seen.iter().map(usize::to_string).collect();
    Ok(stage.look("loop").fact("seen on", seen.join(", ")).end())
}
