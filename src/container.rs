//! Where does a container keep what it is, and who takes it away?
//!
//! ```text
//! ROOT/containers/ID/            locked by the engine that runs the container
//! ROOT/containers/ID/config.json its description, an OCI runtime configuration
//! ROOT/containers/ID/state.json  its name, and how it ended
//! ROOT/containers/ID/hosts       and hostname, resolv.conf: what it finds in its /etc
//! ROOT/containers/ID/layer/upper what it has written
//! ROOT/containers/ID/layer/work  overlayfs's own
//! ROOT/containers/ID/layers/usr  the same for /usr, where it has an overlay of its own;
//!                                then `skeleton` stands for "/" (`host.rs`)
//! ROOT/rootfs                    where each container's root file system appears, but only
//!                                in its own mount namespace: one folder is enough for all
//! ROOT/names/NAME                a link to the ID: only one container can have a name
//! ```
//!
//! A folder that nobody holds and that has no end in its state belonged to an engine that
//! was killed. The next command takes it away, or notes the end.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};

use image::Digest;
use serde::{Deserialize, Serialize};
use stage::{Error, Pid, Result, proc};

use crate::disk::{hold_alone, random_id, read_json, sync_folder, write_json};
use crate::network::names::{self, Neighbour};
use crate::spec::{IMAGE_ID, Spec};
use crate::store::Store;
use crate::volumes;

/// The exit status of a container whose engine was killed: 128 + SIGKILL.
const KILLED: u8 = 137;

/// What a container will be called and where it will be: nothing is touched yet.
#[derive(Debug, Clone)]
pub struct Plan {
    /// 64 hexadecimal digits, as Docker has them.
    pub id: String,
    root: PathBuf,
    folder: PathBuf,
}

/// A container that this process owns. Dropped without [`Container::keep`], it is removed.
pub struct Container {
    plan: Plan,
    name: Option<String>,
    /// The lock dies with its last descriptor, and so with us.
    _held: File,
    kept: bool,
}

/// What is known of a container, besides its description.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The name that the user gave.
    pub name: Option<String>,
    /// It was made to be removed at its end.
    pub throw_away: bool,
    /// Its first process, while it runs.
    #[serde(default)]
    pub first: Option<First>,
    /// Its address at the bridge, while it runs.
    #[serde(default)]
    pub address: Option<Ipv4Addr>,
    /// How it ended, if it has.
    pub exit_status: Option<u8>,
    /// Whether the kernel has ended a process of it for want of memory.
    #[serde(default)]
    pub oom_killed: bool,
}

/// A container's first process, as the host knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct First {
    /// Its PID.
    pub pid: i32,
    /// Its PID namespace, by which it is told from another process with that PID.
    pub namespace: String,
}

/// A container that is running, to be joined.
pub struct Running {
    /// What it is.
    pub spec: Spec,
    /// Its first process.
    pub first: First,
    /// Its folder.
    pub folder: PathBuf,
}

/// A container, running or not.
pub struct Known {
    /// Its whole ID.
    pub id: String,
    /// What it is.
    pub spec: Spec,
    /// How it is.
    pub state: State,
    /// Whether an engine runs it. It may still be about to start.
    pub is_held: bool,
    folder: PathBuf,
}

impl First {
    /// Its PID, if it still has it: it may have ended meanwhile, and its number may be
    /// somebody else's.
    pub fn pid(&self) -> Option<Pid> {
        let pid = Pid::from_raw(self.pid);
        let is_still =
            proc::namespace_of(pid, "pid").ok().as_ref() == Some(&self.namespace);
        is_still.then_some(pid)
    }
}

impl Known {
    /// Its first process, if it runs.
    pub fn first(&self) -> Option<Pid> {
        self.state.first.as_ref().filter(|_| self.is_held)?.pid()
    }

    /// While this lives, nobody removes it. None if an engine runs it.
    pub fn hold(&self) -> Option<File> {
        hold_alone(&self.folder)
    }

    /// Keep another description of it.
    pub fn describe(&mut self, spec: Spec) -> Result<()> {
        write_json(&self.folder.join("config.json"), &spec)?;
        self.spec = spec;
        Ok(())
    }
}

impl Plan {
    /// Choose an ID.
    pub fn new(store: &Store) -> Result<Plan> {
        let id = random_id(32)?;
        let folder = folder_of(store, &id);
        Ok(Plan { id, root: store.root().to_path_buf(), folder })
    }

    /// Where its root file system appears.
    pub fn rootfs(&self) -> PathBuf {
        self.root.join("rootfs")
    }

    /// Where all of it is kept.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it writes goes here; a sibling `work` is overlayfs's own.
    pub fn upper(&self) -> PathBuf {
        self.folder.join("layer/upper")
    }

    /// overlayfs's own folder.
    pub fn work(&self) -> PathBuf {
        self.folder.join("layer/work")
    }

    /// The two for an overlay on the folder `path` of the container, in a folder of their
    /// own; those for "/" are `upper` and `work`.
    pub fn layer_of(&self, path: &Path) -> (PathBuf, PathBuf) {
        match path.strip_prefix("/").unwrap_or(path) {
            root if root == Path::new("") => (self.upper(), self.work()),
            below => {
                let room = self.folder.join("layers").join(below);
                (room.join("upper"), room.join("work"))
            }
        }
    }

    /// What stands for "/" where the machine itself is the image, and we are not its root.
    pub fn skeleton(&self) -> PathBuf {
        self.folder.join("skeleton")
    }
}

impl Container {
    /// Make the container's folder, write down what it is, and take `name` for it.
    pub fn create(
        store: &Store,
        plan: Plan,
        spec: &Spec,
        name: Option<&str>,
        throw_away: bool,
    ) -> Result<Container> {
        name.map_or(Ok(()), check_name)?;
        let _store = store.lock_containers()?;
        make_folder(&plan.folder, 0o700)?;
        let held = hold_alone(&plan.folder);
        let held = held.ok_or_else(|| Error::input("a new container is already held"))?;
        let mut container = Container { plan, name: None, _held: held, kept: false };
        let Plan { folder, .. } = &container.plan;
        for (_, layers) in spec.stacks()? {
            make_folder(&layers.upper, 0o755)?;
            layers.lower.first().map_or(Ok(()), |top| resemble(&layers.upper, top))?;
            make_folder(&layers.work, 0o755)?;
        }
        volumes::make(spec, folder)?;
        make_folder(&container.plan.rootfs(), 0o700)?;
        write_json(&folder.join("config.json"), spec)?;
        let state =
            State { name: name.map(String::from), throw_away, ..State::default() };
        write_json(&folder.join("state.json"), &state)?;
        if let Some(name) = name {
            container.take_name(name)?;
        }
        Ok(container)
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
        self.furnish(&[("hosts", hosts)])?;
        let lock = store.lock_containers()?;
        let others = neighbours(store, &lock)?;
        let others: Vec<&Neighbour> = others.iter().collect();
        names::introduce(&self.plan.folder.join("hosts"), &others)
    }

    /// It runs: `first` can be joined, and others find it at its `address`.
    pub fn runs(
        &self,
        store: &Store,
        first: First,
        address: Option<Ipv4Addr>,
    ) -> Result<()> {
        let path = self.plan.folder.join("state.json");
        let state: State = read_json(&path)?.unwrap_or_default();
        let lock = store.lock_containers()?;
        write_json(&path, &State { first: Some(first), address, ..state })?;
        match address {
            Some(_) => introduce_all(store, &lock),
            None => Ok(()),
        }
    }

    /// It has ended, and stays: what it wrote is there, and its name is taken.
    pub fn keep(
        mut self,
        store: &Store,
        exit_status: u8,
        oom_killed: bool,
    ) -> Result<()> {
        self.kept = true;
        end(&self.plan.folder, exit_status, oom_killed)?;
        introduce_all(store, &store.lock_containers()?)
    }

    /// It has ended, and goes, with all that it wrote.
    pub fn remove(mut self, store: &Store) -> Result<()> {
        self.kept = true;
        remove(&self.plan.root, &self.plan.folder, self.name.as_deref())?;
        introduce_all(store, &store.lock_containers()?)
    }

    fn take_name(&mut self, name: &str) -> Result<()> {
        let names = names_of(&self.plan.root);
        let link = names.join(name);
        make_folder(&names, 0o700)?;
        match symlink(&self.plan.id, &link) {
            Ok(()) => {
                self.name = Some(name.to_string());
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let other = fs::read_link(&link).unwrap_or_default();
                let other: String = other.to_string_lossy().chars().take(12).collect();
                Err(Error::input(format!(
                    "the name {name:?} is taken by container {other}"
                ))
                .hint(format!("choose another, or remove it: fakedocker rm {name}")))
            }
            Err(error) => Err(Error::io(link.display(), &error)),
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if !self.kept {
            // What stays is taken away by the next command.
            remove(&self.plan.root, &self.plan.folder, self.name.as_deref()).ok();
        }
    }
}

/// Remove the ended container that `which` (a name, an ID or the beginning of one) means.
pub fn remove_ended(store: &Store, which: &str) -> Result<()> {
    let _store = store.lock_containers()?;
    let id = find(store, which)?;
    let folder = folder_of(store, &id);
    let Some(_held) = hold_alone(&folder) else {
        return Err(Error::input(format!(
            "container {which:?} is running: end it first"
        )));
    };
    let state: State = read_json(&folder.join("state.json"))?.unwrap_or_default();
    remove(store.root(), &folder, state.name.as_deref())
}

/// The running container that `which` means.
pub fn running(store: &Store, which: &str) -> Result<Running> {
    let _store = store.lock_containers()?;
    let id = find(store, which)?;
    let folder = folder_of(store, &id);
    let ended = || Error::input(format!("container {which:?} is not running")).status(1);
    // Nobody holds it: its engine is gone, and it with its engine.
    if hold_alone(&folder).is_some() {
        return Err(ended());
    }
    let state: Option<State> = read_json(&folder.join("state.json"))?;
    let first = state.and_then(|state| state.first).ok_or_else(ended)?;
    let spec = read_json(&folder.join("config.json"))?.ok_or_else(ended)?;
    Ok(Running { spec, first, folder })
}

/// The container that `which` means. Nobody else changes it as long as `_lock` is held.
pub fn known(store: &Store, which: &str, _lock: &File) -> Result<Known> {
    let id = find(store, which)?;
    let folder = folder_of(store, &id);
    let is_held = hold_alone(&folder).is_none();
    let gone = || Error::input(format!("no container is called {which:?}")).status(1);
    let state = read_json(&folder.join("state.json"))?.ok_or_else(gone)?;
    let spec = read_json(&folder.join("config.json"))?.ok_or_else(gone)?;
    Ok(Known { id, spec, state, is_held, folder })
}

/// The containers that others can find at the bridge.
fn neighbours(store: &Store, _lock: &File) -> Result<Vec<Neighbour>> {
    let mut all = Vec::new();
    for id in ids(store)? {
        let state: Option<State> = read_json(&folder_of(store, &id).join("state.json"))?;
        let Some(State { address: Some(address), name, .. }) = state else { continue };
        all.push(Neighbour { id, name, address });
    }
    all.sort_unstable_by_key(|one| one.address);
    Ok(all)
}

/// Let each of them know all others by name.
fn introduce_all(store: &Store, lock: &File) -> Result<()> {
    let all = neighbours(store, lock)?;
    for one in &all {
        let others: Vec<&Neighbour> = all.iter().filter(|it| it.id != one.id).collect();
        names::introduce(&folder_of(store, &one.id).join("hosts"), &others)?;
    }
    Ok(())
}

/// The folders of layers that containers stand on, running or not.
pub fn layers_in_use(store: &Store) -> Result<BTreeSet<PathBuf>> {
    let mut folders = BTreeSet::new();
    for (_, spec) in described(store)? {
        let layers = spec.stacks()?.into_iter().flat_map(|(_, layers)| layers.lower);
        folders.extend(layers);
    }
    Ok(folders)
}

/// The IDs of the containers that were made from the image `id`.
pub fn users_of(store: &Store, id: &Digest) -> Result<Vec<String>> {
    let of_it = |spec: &Spec| spec.annotations.get(IMAGE_ID) == Some(&id.to_string());
    let users = described(store)?.into_iter().filter(|(_, spec)| of_it(spec));
    Ok(users.map(|(id, _)| id).collect())
}

/// All containers that have a description, with their IDs.
fn described(store: &Store) -> Result<Vec<(String, Spec)>> {
    let mut all = Vec::new();
    for id in ids(store)? {
        let spec = read_json(&folder_of(store, &id).join("config.json"))?;
        all.extend(spec.map(|spec| (id, spec)));
    }
    Ok(all)
}

/// Take away what killed engines have left; returns a line for each. Every command begins
/// with it.
pub fn sweep(store: &Store) -> Result<Vec<String>> {
    let lock = store.lock_containers()?;
    let mut done = Vec::new();
    for id in ids(store)? {
        let folder = folder_of(store, &id);
        if let Some(_held) = hold_alone(&folder) {
            done.extend(settle(store, &id, &folder)?);
        }
    }
    sweep_names(store)?;
    if !done.is_empty() {
        introduce_all(store, &lock)?;
    }
    Ok(done)
}

/// Settle what becomes of a container whose engine is gone.
fn settle(store: &Store, id: &str, folder: &Path) -> Result<Option<String>> {
    let short: String = id.chars().take(12).collect();
    let state = match read_json::<State>(&folder.join("state.json")) {
        Ok(state) => state,
        Err(error) => {
            stage::warn(format!("container {short} is left alone: {error}"));
            return Ok(None);
        }
    };
    match state {
        Some(State { exit_status: Some(_), .. }) => Ok(None),
        Some(State { throw_away: false, .. }) => {
            end(folder, KILLED, false)?;
            Ok(Some(format!("container {short}: its engine was killed, kept as ended")))
        }
        state => {
            let name = state.and_then(|state| state.name);
            remove(store.root(), folder, name.as_deref())?;
            Ok(Some(format!("container {short}: removed")))
        }
    }
}

/// Names whose container is gone.
fn sweep_names(store: &Store) -> Result<()> {
    for name in entries(&names_of(store.root()))? {
        let link = names_of(store.root()).join(&name);
        let failed = |error| Error::io(link.display(), &error);
        let id = fs::read_link(&link).map_err(failed)?;
        // Only what is certainly not there: any other failure says nothing about it.
        if !store.containers().join(id).try_exists().map_err(failed)? {
            fs::remove_file(&link).map_err(failed)?;
        }
    }
    Ok(())
}

/// The IDs of all containers, in no order.
pub fn ids(store: &Store) -> Result<Vec<String>> {
    entries(&store.containers())
}

/// The ID that `which` means: a name, an ID, or the beginning of exactly one.
fn find(store: &Store, which: &str) -> Result<String> {
    check_name(which)?;
    if let Ok(id) = fs::read_link(names_of(store.root()).join(which)) {
        return Ok(id.to_string_lossy().into_owned());
    }
    let mut meant = ids(store)?.into_iter().filter(|id| id.starts_with(which));
    match (meant.next(), meant.next()) {
        (Some(id), None) => Ok(id),
        (Some(_), Some(_)) => {
            Err(Error::input(format!("several containers begin with {which:?}")))
        }
        (None, _) => {
            Err(Error::input(format!("no container is called {which:?}")).status(1))
        }
    }
}

/// Docker's rule for names.
fn check_name(name: &str) -> Result<()> {
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

/// Note how the container ended.
fn end(folder: &Path, exit_status: u8, oom_killed: bool) -> Result<()> {
    let path = folder.join("state.json");
    let state: State = read_json(&path)?.unwrap_or_default();
    let exit_status = Some(exit_status);
    let state = State { first: None, address: None, exit_status, oom_killed, ..state };
    write_json(&path, &state)?;
    sync_folder(folder)
}

/// The state first: without it, whoever comes after us goes on if we are killed. Then the name: it
/// must never lead to a container that is half gone. It may be another's, if we were killed before
/// we could take it.
fn remove(root: &Path, folder: &Path, name: Option<&str>) -> Result<()> {
    let state = folder.join("state.json");
    match fs::remove_file(&state) {
        // We were killed before there was one, or go on where somebody else was.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        removed => removed.map_err(|error| Error::io(state.display(), &error))?,
    }
    let link = name.map(|name| names_of(root).join(name));
    let is_ours = |link: &PathBuf| {
        fs::read_link(link).ok().as_deref().map(Path::as_os_str) == folder.file_name()
    };
    if let Some(link) = link.filter(is_ours) {
        fs::remove_file(&link).map_err(|error| Error::io(link.display(), &error))?;
    }
    fs::remove_dir_all(folder).map_err(|error| Error::io(folder.display(), &error))
}

fn make_folder(path: &Path, mode: u32) -> Result<()> {
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

fn entries(folder: &Path) -> Result<Vec<String>> {
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
