//! Where does a container keep what it is, and who takes it away?
//!
//! ```text
//! ROOT/containers/ID/            locked by the engine that runs the container
//! ROOT/containers/ID/config.json its description, an OCI runtime configuration
//! ROOT/containers/ID/state.json  its name, and how it ended
//! ROOT/containers/ID/hosts       and hostname, resolv.conf: what it finds in its /etc
//! ROOT/containers/ID/log         what it has said (`logs.rs`); log.1 is the log before it
//! ROOT/containers/ID/attach      where its engine listens to others (`talk.rs`)
//! ROOT/containers/ID/layer/upper what it has written
//! ROOT/containers/ID/layer/work  overlayfs's own
//! ROOT/containers/ID/layers/usr  the same for /usr, where it has an overlay of its own;
//!                                then `skeleton` stands for "/" (`host.rs`)
//! ROOT/rootfs                    where each container's root file system appears, but only
//!                                in its own mount namespace: one folder is enough for all
//! ROOT/neighbours                who can be found at the bridge (`neighbours.rs`)
//! ROOT/names/NAME                a link to the ID: only one container can have a name
//! ```
//!
//! A folder that nobody holds, and whose state has neither an end nor says that it was made to be
//! started later, belonged to an engine that was killed. The next command takes it away, or
//! notes the end.

use std::cell::Cell;
use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};

use stage::{Error, Result};

pub(crate) use self::known::described;
pub use self::known::{
    Known, Running, ids, known, known_if_any, layers_in_use, nobody, running, users_of,
};
use self::neighbours::Neighbours;
pub use self::plan::Plan;
pub use self::state::{First, Life, Restart, State};
use self::sweep::{delete, drop_name, end, forget, remove};
pub use self::sweep::{left, sweep};
use crate::disk::{hold_alone, read_json, sync_folder, write_json};
use crate::spec::{IMAGE_NAME, Spec};
use crate::store::Store;
use crate::times::moment;
use crate::volumes::Volumes;
use crate::{events, names};

mod known;
mod neighbours;
mod plan;
mod state;
mod sweep;

/// A container that this process owns. Dropped without [`Container::leave`], it is removed,
/// if it is new and its command has never been started.
pub struct Container {
    plan: Plan,
    name: Option<String>,
    /// The lock dies with its last descriptor, and so with us.
    _held: File,
    /// It is somebody's, and is not removed with this.
    stays: Cell<bool>,
}

impl Container {
    /// Make the container's folder, write down what it is, and take a name for it: that in `state`,
    /// or one that nobody has.
    pub fn create(
        store: &Store,
        plan: Plan,
        spec: &Spec,
        mut state: State,
    ) -> Result<Container> {
        state.name.as_deref().map_or(Ok(()), check_name)?;
        let _store = store.lock_containers()?;
        make_folder(&plan.folder, 0o700)?;
        let held = hold_alone(&plan.folder);
        let held = held.ok_or_else(|| Error::input("a new container is already held"))?;
        let stays = Cell::new(false);
        let mut container = Container { plan, name: None, _held: held, stays };
        let Plan { folder, root, .. } = &container.plan;
        for (_, layers) in spec.stacks()? {
            make_folder(&layers.upper, 0o755)?;
            layers.lower.first().map_or(Ok(()), |top| resemble(&layers.upper, top))?;
            make_folder(&layers.work, 0o755)?;
        }
        make_folder(&container.plan.rootfs(), 0o700)?;
        write_json(&folder.join("config.json"), spec)?;
        let is_taken = |name: &str| names_of(root).join(name).symlink_metadata().is_ok();
        let name = state.name.take().map_or_else(|| names::generate(is_taken), Ok)?;
        state.name = Some(name.clone());
        write_json(&folder.join("state.json"), &state)?;
        // What says that they are its own is on the disk by now.
        Volumes::of(root).make_for(spec)?;
        container.take_name(&name)?;
        container.tell(store, "create", spec, &[]);
        Ok(container)
    }

    /// Have one that has been there before, and does not run, as ours.
    pub fn reopen(store: &Store, which: &str) -> Result<(Container, Spec, State)> {
        let lock = store.lock_containers()?;
        let Known { id, spec, state, folder, .. } = known(store, which, &lock)?;
        let held = hold_alone(&folder).ok_or_else(|| {
            Error::input(format!("container {which:?} is running already"))
        })?;
        let plan = Plan { id, root: store.root().to_path_buf(), folder };
        let name = state.name.clone();
        let stays = Cell::new(true);
        Ok((Container { plan, name, _held: held, stays }, spec, state))
    }

    /// Its whole ID.
    pub fn id(&self) -> &str {
        &self.plan.id
    }

    /// What it is.
    pub fn spec(&self) -> Result<Spec> {
        let path = self.plan.folder.join("config.json");
        let gone = || Error::input(format!("{} is gone", path.display()));
        read_json(&path)?.ok_or_else(gone)
    }

    /// Whether it is somebody's: its command has been started, or somebody had it before us.
    pub fn stays(&self) -> bool {
        self.stays.get()
    }

    /// What it is called.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where all of it is kept.
    pub fn folder(&self) -> &Path {
        &self.plan.folder
    }

    /// The same, and what else can be told from its place.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Tell whoever listens to events what has happened to it.
    pub fn tell(&self, store: &Store, action: &str, spec: &Spec, more: &[(&str, &str)]) {
        tell(store, action, self.id(), self.name(), spec, more);
    }

    /// It will find these files in its /etc.
    pub fn furnish(&self, files: &[(&str, String)]) -> Result<()> {
        for (name, text) in files {
            let path = self.plan.folder.join(name);
            fs::write(&path, text).map_err(|error| Error::io(path.display(), &error))?;
        }
        Ok(())
    }

    /// It is about to run with these lines of its own in /etc/hosts, and is to know the
    /// others.
    pub fn meets_others(&self, store: &Store, hosts: String) -> Result<()> {
        let lock = store.lock_containers()?;
        let others = Neighbours::of(store, &lock)?.lines();
        self.furnish(&[("hosts", hosts + &others)])
    }

    /// It runs: `first` can be joined, and others find it at its `address`.
    pub fn runs(
        &self,
        store: &Store,
        first: Option<First>,
        address: Option<Ipv4Addr>,
    ) -> Result<()> {
        self.stays.set(true);
        let lock = store.lock_containers()?;
        let (now, mut name) = (moment(), None);
        self.change(&lock, |state| {
            // It may have been renamed meanwhile.
            name.clone_from(&state.name);
            State {
                first,
                address,
                created: Some(state.created)
                    .filter(|at| !at.is_empty())
                    .unwrap_or(now.clone()),
                started: now,
                finished: String::new(),
                exit_status: None,
                oom_killed: false,
                error: String::new(),
                ..state
            }
        })?;
        let Some(address) = address else { return Ok(()) };
        Neighbours::of(store, &lock)?.come(self.id(), name.as_deref(), address)
    }

    /// It has ended, and stays: what it wrote is there, and its name is taken.
    pub fn ended(&self, store: &Store, exit_status: u8, oom_killed: bool) -> Result<()> {
        let lock = store.lock_containers()?;
        end(&self.plan.folder, exit_status, oom_killed)?;
        Neighbours::of(store, &lock)?.go(self.id())
    }

    /// What is known of it, but for what `change` makes of it. Without `_lock`, one of two who
    /// change it at once would lose what it wrote.
    pub fn change(
        &self,
        _lock: &File,
        change: impl FnOnce(State) -> State,
    ) -> Result<()> {
        let path = self.plan.folder.join("state.json");
        let state: State = read_json(&path)?.unwrap_or_default();
        write_json(&path, &change(state))
    }

    /// It is whole, and whoever wants to may start it.
    pub fn is_made(&self, store: &Store) -> Result<()> {
        let lock = store.lock_containers()?;
        self.change(&lock, |state| State { created: moment(), ..state })?;
        sync_folder(&self.plan.folder)
    }

    /// It stays without us.
    pub fn leave(self) {
        self.stays.set(true);
    }

    /// It goes, with all that it wrote.
    pub fn remove(mut self, store: &Store, spec: &Spec) -> Result<()> {
        // What a failure leaves is taken away by the next command.
        self.stays.set(true);
        let Plan { root, folder, .. } = &self.plan;
        let lock = store.lock_containers()?;
        // It may have been renamed meanwhile.
        let state: Option<State> = read_json(&folder.join("state.json"))?;
        let name = state.and_then(|state| state.name).or(self.name.take());
        forget(root, folder, name.as_deref(), Some(spec))?;
        Neighbours::of(store, &lock)?.go(&self.plan.id)?;
        // Nobody has to wait for its files, of which there may be many.
        drop(lock);
        delete(folder)?;
        self.tell(store, "destroy", spec, &[]);
        Ok(())
    }

    fn take_name(&mut self, name: &str) -> Result<()> {
        take_name(&self.plan.root, &self.plan.id, name)?;
        self.name = Some(name.to_string());
        Ok(())
    }
}

/// Let `name` be that of container `id`, if it is nobody's.
fn take_name(root: &Path, id: &str, name: &str) -> Result<()> {
    let names = names_of(root);
    let link = names.join(name);
    make_folder(&names, 0o700)?;
    match symlink(id, &link) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let other = fs::read_link(&link).unwrap_or_default();
            let other: String = other.to_string_lossy().chars().take(12).collect();
            let taken = format!("the name {name:?} is taken by container {other}");
            Err(Error::input(taken)
                .hint(format!("choose another, or remove it: fakedocker rm {name}")))
        }
        Err(error) => Err(Error::io(link.display(), &error)),
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if !self.stays() {
            // What a failure leaves is taken away by the next command.
            remove(&self.plan.root, &self.plan.folder, self.name.as_deref(), true).ok();
        }
    }
}

/// Remove the ended container that `which` (a name, an ID or the beginning of one) means; if
/// asked for, its nameless volumes as well.
pub fn remove_ended(store: &Store, which: &str, volumes: bool) -> Result<()> {
    let lock = store.lock_containers()?;
    let Known { id, spec, state, folder, .. } = known(store, which, &lock)?;
    let Some(_held) = hold_alone(&folder) else {
        return Err(Error::input(format!("container {which:?} is running"))
            .hint("end it first: fakedocker stop, or rm -f"));
    };
    if volumes {
        // If we are killed, the next command goes on.
        write_json(&folder.join("state.json"), &state.clone().doomed())?;
    }
    remove(store.root(), &folder, state.name.as_deref(), volumes)?;
    tell(store, "destroy", &id, state.name.as_deref(), &spec, &[]);
    Ok(())
}

/// Let the container that `which` means be called `new`.
pub fn rename(store: &Store, which: &str, new: &str) -> Result<()> {
    check_name(new)?;
    let lock = store.lock_containers()?;
    let Known { id, spec, state, folder, .. } = known(store, which, &lock)?;
    take_name(store.root(), &id, new)?;
    let old = state.name.clone();
    let state = State { name: Some(new.into()), ..state };
    if let Err(error) = write_json(&folder.join("state.json"), &state) {
        drop_name(store.root(), &folder, Some(new))?;
        return Err(error);
    }
    drop_name(store.root(), &folder, old.as_deref())?;
    let mut neighbours = Neighbours::of(store, &lock)?;
    if let Some(address) = state.address {
        neighbours.go(&id)?;
        neighbours.come(&id, Some(new), address)?;
    }
    let was = old.as_deref().unwrap_or_default();
    tell(store, "rename", &id, Some(new), &spec, &[("oldName", was)]);
    Ok(())
}

/// Tell whoever listens to events what has happened to a container.
pub fn tell(
    store: &Store,
    action: &str,
    id: &str,
    name: Option<&str>,
    spec: &Spec,
    more: &[(&str, &str)],
) {
    let image = spec.annotations.get(IMAGE_NAME).map_or("", String::as_str);
    let labels = spec.labels();
    let mut all = vec![("image", image), ("name", name.unwrap_or_default())];
    all.extend(labels);
    all.extend(more);
    events::tell(store.root(), "container", action, id, &all);
}

/// Docker's rule for names.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    let begins_well = name.starts_with(|letter: char| letter.is_ascii_alphanumeric());
    if begins_well && name.chars().all(allowed) && (2..=128).contains(&name.len()) {
        return Ok(());
    }
    let shown: String = name.chars().take(40).collect();
    Err(Error::input(format!(
        "{shown:?} cannot be a name: 2 to 128 letters, digits, `_`, `.`, `-`, the first a letter or digit"
    )))
}

pub(crate) fn make_folder(path: &Path, mode: u32) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.map_err(|error| Error::io(path.display(), &error))
}

/// Let the folder `path` have the owner, the mode and the time of `model`: of folders that lie
/// upon each other, an overlay shows those of the topmost.
fn resemble(path: &Path, model: &Path) -> Result<()> {
    let copied = fs::metadata(model).and_then(|about| {
        // Who is alone in a user namespace has nobody to give it to.
        chown(path, Some(about.uid()), Some(about.gid())).ok();
        fs::set_permissions(path, about.permissions())?;
        File::open(path)?.set_modified(about.modified()?)
    });
    match copied {
        // It is made later, from nothing (`host.rs`), and looks like any other folder.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        copied => copied.map_err(|error| Error::io(path.display(), &error)),
    }
}

/// The names in `folder`, in no order; none if it is not there.
pub(crate) fn entries(folder: &Path) -> Result<Vec<String>> {
    let failed = |error| Error::io(folder.display(), &error);
    let listed = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.map_err(failed)?,
    };
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.map(|entry| entry.file_name().to_string_lossy().into_owned())
    };
    listed.map(name).collect::<std::io::Result<_>>().map_err(failed)
}

fn folder_of(store: &Store, id: &str) -> PathBuf {
    store.containers().join(id)
}

fn names_of(root: &Path) -> PathBuf {
    root.join("names")
}
