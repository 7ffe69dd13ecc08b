//! What does it take to start, and to change a byte?

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{syncfs, write};
use stage::{Error, Evidence, Result, Stage, descriptor};

use crate::driver::Driver;
use crate::ground::{Ground, IMAGE};
use crate::image::Image;

/// The fact that a driver could not be tried here, and why.
pub const NOT_RUN: &str = "not run";

pub fn not_run(why: &str) -> Evidence {
    let mut seen = Evidence::default();
    seen.record(NOT_RUN, why);
    seen
}

/// Start a container, change two of its files, and look at what both trees are then.
pub fn play(stage: &Stage, ground: &Ground, image: &Image) -> Result<Evidence> {
    let container = ground.container();
    let mut meter = Meter { stage, ground, seen: Evidence::default() };
    meter.sync(IMAGE)?;
    let takes = ground.disk.takes()?;
    meter.tell("disk", format!("{} long, takes {}", told(ground.size), told(takes)));
    meter.seen.record("disk: bytes", takes);

    meter.measure("start", || ground.start(stage))?;
    for (name, file) in [("big file", "big"), ("small file", "files/000/00")] {
        let path = Path::new(container).join(file);
        meter.measure(name, || match ground.driver {
            Driver::Links => cow::replace(stage, &path, |copy| change(stage, copy)),
            _ => change(stage, &path),
        })?;
    }
    meter.tell("image", image.compare(IMAGE)?);
    meter.tell("container", image.compare(container)?);
    if ground.driver == Driver::Links {
        stage.note("and now a writer who knows nothing of links");
        change(stage, &Path::new(container).join("files/000/01"))?;
        meter.tell("image now", image.compare(IMAGE)?);
    }
    Ok(meter.seen)
}

struct Meter<'m> {
    stage: &'m Stage,
    ground: &'m Ground<'m>,
    seen: Evidence,
}

impl Meter<'_> {
    /// Do `act`, until all of it is on the disk: the bytes and the time that it takes.
    fn measure(&mut self, name: &str, act: impl FnOnce() -> Result<()>) -> Result<()> {
        let (before, begin) = (self.ground.used()?, Instant::now());
        act()?;
        self.sync(self.ground.container())?;
        let seconds = begin.elapsed().as_secs_f64();
        let bytes = self.ground.used()?.saturating_sub(before);
        self.tell(name, format!("{} in {seconds:.3} s", told(bytes)));
        self.seen.record(format!("{name}: bytes"), bytes);
        self.seen.record(format!("{name}: seconds"), seconds);
        Ok(())
    }

    /// Bring all that was written to the file system of `folder` to its disk.
    fn sync(&self, folder: &str) -> Result<()> {
        let open = File::open(folder).map_err(|error| Error::io(folder, &error))?;
        syncfs(&open).map_err(|errno| Error::call(format!("syncfs({folder:?})"), errno))
    }

    fn tell(&mut self, name: &str, value: String) {
        self.stage.look(&self.ground.driver.to_string()).fact(name, &value);
        self.seen.record(name, value);
    }
}

/// Change the first byte of a file.
fn change(stage: &Stage, path: &Path) -> Result<()> {
    let call = format!("openat(AT_FDCWD, {path:?}, O_WRONLY|O_CLOEXEC)");
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let file = stage.ask(call, || openat(AT_FDCWD, path, flags, Mode::empty()))?;
    let call = format!("write({}, \"X\", 1)", descriptor(&file));
    stage.ask(call, || write(&file, b"X")).map(drop)
}

/// Bytes as we show them.
pub fn told(bytes: u64) -> String {
    let (kib, mib) = (bytes as f64 / 1024.0, bytes as f64 / f64::from(1 << 20));
    if mib < 0.5 { format!("{kib:.1} KiB") } else { format!("{mib:.2} MiB") }
}
