//! How is a running container stopped in time, and given more or less?
//!
//! From outside, by the files of its group: it is not asked, and does not notice.

use cgroup::Group;
use stage::{Error, Result, Stage};

use crate::container::{self, Known};
use crate::limits::request::Request;
use crate::limits::{self, is_paused};
use crate::spec::resources::Resources;
use crate::store::Store;

/// Lesson 15, freezer: stop all processes of the container that `which` means.
pub fn pause(store: &Store, which: &str) -> Result<()> {
    let container = find(store, which)?;
    let group = group_of(&container, which)?;
    if is_paused(&group)? {
        return Err(Error::input(format!("container {which:?} is paused already")));
    }
    freezer::freeze(&Stage::of_engine(false)?, &group)?.leave();
    container.tell(store, "pause", &[]);
    Ok(())
}

/// Lesson 15 again: let them go on.
pub fn unpause(store: &Store, which: &str) -> Result<()> {
    let container = find(store, which)?;
    let group = group_of(&container, which)?;
    if !is_paused(&group)? {
        return Err(Error::input(format!("container {which:?} is not paused")));
    }
    freezer::thaw(&Stage::of_engine(false)?, &group)?;
    container.tell(store, "unpause", &[]);
    Ok(())
}

/// Hold the container to other limits: at once if it runs, and in its description.
pub fn update(store: &Store, which: &str, asked: &Request) -> Result<()> {
    let asked = asked.read()?;
    if !asked.is_limited() {
        return Err(Error::input(
            "there is nothing to change: give a limit, such as --cpus 1",
        ));
    }
    let lock = store.lock_containers()?;
    let mut container = container::known(store, which, &lock)?;
    let mut spec = container.spec.clone();
    spec.linux.resources.change(asked);
    spec.check()?;
    if container.first().is_some() {
        let group = group_of(&container, which)?;
        change(&group, &container.spec.linux.resources, &spec.linux.resources)?;
    }
    container.describe(spec)?;
    container.tell(store, "update", &[]);
    Ok(())
}

/// From `old` limits to `new` ones; if the kernel refuses one, back.
fn change(group: &Group, old: &Resources, new: &Resources) -> Result<()> {
    let stage = Stage::of_engine(false)?;
    // Devices stay as they are.
    let [old, new] = [old, new].map(|it| Resources { devices: Vec::new(), ..it.clone() });
    // Memory alone can be refused to who is at it: so it comes first, and nothing has changed then.
    let memory = Resources { memory: new.memory.clone(), ..Resources::default() };
    let held =
        [&memory, &new].into_iter().try_for_each(|it| limits::hold(&stage, group, it));
    held.inspect_err(|_| {
        // What could be written before can be written again.
        limits::hold(&stage, group, &old).ok();
    })
}

fn find(store: &Store, which: &str) -> Result<Known> {
    container::known(store, which, &store.lock_containers()?)
}

/// The group of a container that runs.
fn group_of(container: &Known, which: &str) -> Result<Group> {
    let first = container.first().ok_or_else(|| {
        Error::input(format!("container {which:?} is not running")).status(1)
    })?;
    limits::group_of(&container.spec, first)?.ok_or_else(|| {
        Error::input(format!("container {which:?} has no group of its own"))
            .hint("without root: systemd-run --user --scope -p Delegate=yes fakedocker run …")
            .status(1)
    })
}
