//! Where can the files of a container be reached, whether it runs or not?
//!
//! A running one's through its first process: /proc/PID/root is its root as the kernel has it,
//! with all that is mounted. For one that has ended, a child stacks its layers once more, in a
//! mount namespace of its own, and waits; its root, too, is found by /proc. The machine itself
//! gets no mount of it. Read proc_pid_root(5).

use std::fs;
use std::path::{Path, PathBuf};

use mount::target::Root;
use overlay::Layers;
use stage::{Child, Error, Evidence, Result, Stage};

use crate::container::{self, Known};
use crate::store::Store;

/// Files that can be reached as long as this lives.
pub struct Reached<'s> {
    /// Their root, which no link in there leads out of.
    pub root: Root,
    /// Who has stacked them. It ends with this.
    _child: Option<Child<'s>>,
    /// Keeps others from removing them.
    _held: Option<fs::File>,
}

/// The container that `which` means, and its files.
pub fn container<'s>(
    store: &Store,
    stage: &'s Stage,
    which: &str,
) -> Result<(Known, Reached<'s>)> {
    let known = container::known(store, which, &store.lock_containers()?)?;
    if let Some(first) = known.first() {
        let root = Root::open(&Path::new("/proc").join(first.to_string()).join("root"))?;
        // The process may have ended, and its number may be somebody else's by now.
        if known.first() == Some(first) {
            return Ok((known, Reached { root, _child: None, _held: None }));
        }
    }
    let Some(held) = known.hold(store)? else {
        let what = format!("container {which:?} is just starting or ending");
        return Err(Error::input(what).hint("try again").status(1));
    };
    let reached = stacked(stage, &workshop(store)?, &known.spec.stacks()?)?;
    Ok((known, Reached { _held: Some(held), ..reached }))
}

/// These stacks of layers, each on its place.
pub fn stacked<'s>(
    stage: &'s Stage,
    workshop: &Path,
    stacks: &[(PathBuf, Layers)],
) -> Result<Reached<'s>> {
    let merged = workshop.join("merged");
    show(stage, workshop, &merged, || {
        stacks.iter().try_for_each(|(place, layers)| {
            let place = merged.join(place.strip_prefix("/").unwrap_or(place));
            overlay::stack(stage, layers, &place)
        })
    })
}

/// Layers that are only looked at: `lower`, the topmost first.
pub fn lower<'s>(
    stage: &'s Stage,
    workshop: &Path,
    lower: &[PathBuf],
) -> Result<Reached<'s>> {
    let merged = workshop.join("merged");
    let (upper, work) = (workshop.join("upper"), workshop.join("work"));
    let layers = Layers { lower: lower.to_vec(), upper, work };
    show(stage, workshop, &merged, || {
        make_folder(&layers.upper)?;
        make_folder(&layers.work)?;
        match lower.is_empty() {
            true => Ok(()),
            false => overlay::stack(stage, &layers, &merged),
        }
    })
}

/// The folder where containers' root file systems appear, each in its own mount namespace.
pub fn workshop(store: &Store) -> Result<PathBuf> {
    let place = store.root().join("rootfs");
    fs::create_dir_all(&place).map_err(|error| Error::io(place.display(), &error))?;
    Ok(place)
}

/// Let a child show files at `merged`, and wait.
fn show<'s>(
    stage: &'s Stage,
    workshop: &Path,
    merged: &Path,
    stack: impl FnOnce() -> Result<()>,
) -> Result<Reached<'s>> {
    let mut child = stage.fork(|cue| {
        mount::isolate(stage)?;
        mount::tmpfs(stage, workshop)?;
        make_folder(merged)?;
        stack()?;
        cue.report(Evidence::default())?;
        Ok(0)
    })?;
    child.evidence()?;
    let its = Path::new("/proc").join(child.pid().to_string()).join("root");
    let root = Root::open(&its.join(merged.strip_prefix("/").unwrap_or(merged)))?;
    Ok(Reached { root, _child: Some(child), _held: None })
}

/// Let a child do what takes long: a signal that asks us to stop ends it at once, and then us, by
/// the ordinary way out.
pub fn apart(stage: &Stage, part: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut child = stage.fork(|_| part().map(|()| 0))?;
    match child.wait()? {
        0 => Ok(()),
        status => Err(Error::input("stopped half-way").status(status)),
    }
}

fn make_folder(path: &Path) -> Result<()> {
    fs::create_dir(path).map_err(|error| Error::io(path.display(), &error))
}
