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
//! ROOT/names/NAME                a link to the ID: only one container can have a name
//! ```
//!
//! A folder that nobody holds, and whose state has neither an end nor says that it was made to be
//! started later, belonged to an engine that was killed. The next command takes it away, or
//! notes the end.

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
use crate::network;
use crate::network::names::{Neighbour, introduce};
use crate::spec::{IMAGE_ID, IMAGE_NAME, Spec};
use crate::store::Store;
use crate::times::moment;
use crate::volumes::Volumes;
use crate::{events, names};

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
    /// How its life was to be.
    #[serde(default)]
    pub life: Life,
    /// When it was made (RFC 3339).
    #[serde(default)]
    pub created: String,
    /// When it was started last; empty if never.
    #[serde(default)]
    pub started: String,
    /// When it ended last; empty if never.
    #[serde(default)]
    pub finished: String,
    /// How often it was started again by itself.
    #[serde(default)]
    pub restarts: u32,
    /// Why it could not be started, the last time.
    #[serde(default)]
    pub error: String,
}

/// What was asked for, besides what is in it: how a container is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Life {
    /// Somebody may talk to its standard input.
    pub open_stdin: bool,
    /// Nobody listens to it from the beginning.
    pub detached: bool,
    /// Whether it is started again at its end.
    pub restart: Restart,
    /// How it is asked to end, if not by SIGTERM.
    pub stop_signal: Option<String>,
    /// How many seconds it has for that, if not ten.
    pub stop_timeout: Option<u32>,
    /// How long its log becomes before another begins, in bytes; none is kept for 0.
    pub log_size: Option<u64>,
    /// Which network it is to have, in the words of the command line.
    pub network: network::Request,
    /// It is a part of something that fails as a whole: its engine ends it at the first Ctrl-C.
    #[serde(skip)]
    pub at_once: bool,
}

/// When a container that has ended is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Restart {
    /// Never.
    #[default]
    No,
    /// When its exit status is not zero.
    OnFailure {
        /// But no more often than this, in a row.
        at_most: Option<u32>,
    },
    /// Whatever its status is, unless somebody has stopped it.
    UnlessStopped,
    /// The same. There is no daemon that would start it again when the machine has.
    Always,
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
        let is_still = match proc::namespace_of(pid, "pid") {
            Ok(namespace) => namespace == self.namespace,
            // Without root, who is in another user namespace is not told.
            Err(error) => error.is_refusal(),
        };
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

    /// Where all of it is kept.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Tell whoever listens to events what has happened to it.
    pub fn tell(&self, store: &Store, action: &str, more: &[(&str, &str)]) {
        tell(store, action, &self.id, self.state.name.as_deref(), &self.spec, more);
    }

    /// Its first process runs, or somebody is about to start it.
    pub fn is_running(&self) -> bool {
        self.is_held && self.state.exit_status.is_none()
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
        let mut container = Container { plan, name: None, _held: held, kept: false };
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
        Ok((Container { plan, name, _held: held, kept: true }, spec, state))
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
        self.furnish(&[("hosts", hosts)])?;
        let lock = store.lock_containers()?;
        let others = neighbours(store, &lock)?;
        let others: Vec<&Neighbour> = others.iter().collect();
        introduce(&self.plan.folder.join("hosts"), &others)
    }

    /// It runs: `first` can be joined, and others find it at its `address`.
    pub fn runs(
        &self,
        store: &Store,
        first: Option<First>,
        address: Option<Ipv4Addr>,
    ) -> Result<()> {
        let lock = store.lock_containers()?;
        let now = moment();
        self.change(|state| State {
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
        })?;
        match address {
            Some(_) => introduce_all(store, &lock),
            None => Ok(()),
        }
    }

    /// It has ended, and stays: what it wrote is there, and its name is taken.
    pub fn ended(&self, store: &Store, exit_status: u8, oom_killed: bool) -> Result<()> {
        end(&self.plan.folder, exit_status, oom_killed)?;
        introduce_all(store, &store.lock_containers()?)
    }

    /// What is known of it, but for what `change` makes of it.
    pub fn change(&self, change: impl FnOnce(State) -> State) -> Result<()> {
        let path = self.plan.folder.join("state.json");
        let state: State = read_json(&path)?.unwrap_or_default();
        write_json(&path, &change(state))
    }

    /// It is whole, and whoever wants to may start it.
    pub fn is_made(&self) -> Result<()> {
        self.change(|state| State { created: moment(), ..state })?;
        sync_folder(&self.plan.folder)
    }

    /// It stays without us.
    pub fn leave(mut self) {
        self.kept = true;
    }

    /// It goes, with all that it wrote.
    pub fn remove(mut self, store: &Store, spec: &Spec) -> Result<()> {
        self.kept = true;
        // It may have been renamed meanwhile.
        let state: Option<State> = read_json(&self.plan.folder.join("state.json"))?;
        let name = state.and_then(|state| state.name).or(self.name.take());
        remove(&self.plan.root, &self.plan.folder, name.as_deref(), true)?;
        self.tell(store, "destroy", spec, &[]);
        introduce_all(store, &store.lock_containers()?)
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
        if !self.kept {
            // What stays is taken away by the next command.
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
    write_json(&folder.join("state.json"), &State { name: Some(new.into()), ..state })?;
    drop_name(store.root(), &folder, old.as_deref())?;
    introduce_all(store, &lock)?;
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
    events::tell(store, "container", action, id, &all);
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
        introduce(&folder_of(store, &one.id).join("hosts"), &others)?;
    }
    Ok(())
}

/// The folders of layers that containers stand on, running or not.
pub fn layers_in_use(store: &Store) -> Result<BTreeSet<PathBuf>> {
    let mut folders = BTreeSet::new();
    for (_, spec) in described(store.root())? {
        let layers = spec.stacks()?.into_iter().flat_map(|(_, layers)| layers.lower);
        folders.extend(layers);
    }
    Ok(folders)
}

/// The IDs of the containers that were made from the image `id`.
pub fn users_of(store: &Store, id: &Digest) -> Result<Vec<String>> {
    let of_it = |spec: &Spec| spec.annotations.get(IMAGE_ID) == Some(&id.to_string());
    let users = described(store.root())?.into_iter().filter(|(_, spec)| of_it(spec));
    Ok(users.map(|(id, _)| id).collect())
}

/// All containers in the store at `root` that have a description, with their IDs.
pub(crate) fn described(root: &Path) -> Result<Vec<(String, Spec)>> {
    let (mut all, containers) = (Vec::new(), root.join("containers"));
    for id in entries(&containers)? {
        let spec = read_json(&containers.join(&id).join("config.json"))?;
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
        Some(State { exit_status: Some(_), throw_away: false, .. }) => Ok(None),
        // It waits for its first start.
        Some(State { started, created, .. })
            if started.is_empty() && !created.is_empty() =>
        {
            Ok(None)
        }
        Some(State { throw_away: false, started, .. }) if !started.is_empty() => {
            end(folder, KILLED, false)?;
            Ok(Some(format!("container {short}: its engine was killed, kept as ended")))
        }
        state => {
            // Without a state, it has no volumes yet, or keeps them.
            let (volumes, name) = (state.is_some(), state.and_then(|state| state.name));
            remove(store.root(), folder, name.as_deref(), volumes)?;
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

/// Note how the container ended.
fn end(folder: &Path, exit_status: u8, oom_killed: bool) -> Result<()> {
    let path = folder.join("state.json");
    let state: State = read_json(&path)?.unwrap_or_default();
    let (exit_status, finished) = (Some(exit_status), moment());
    let state =
        State { first: None, address: None, exit_status, oom_killed, finished, ..state };
    write_json(&path, &state)?;
    sync_folder(folder)
}

/// Its nameless `volumes` first, which nobody would know as its own any more. Then the state:
/// without it, the next command goes on if we are killed. Then the name: it must never lead to a
/// container that is half gone. It may be another's, if we were killed before we could take it.
fn remove(root: &Path, folder: &Path, name: Option<&str>, volumes: bool) -> Result<()> {
    let spec: Option<Spec> = read_json(&folder.join("config.json"))?;
    if let (true, Some(spec), Some(id)) = (volumes, spec, folder.file_name()) {
        Volumes::of(root).remove_nameless(&id.to_string_lossy(), &spec)?;
    }
    let state = folder.join("state.json");
    match fs::remove_file(&state) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        removed => removed.map_err(|error| Error::io(state.display(), &error))?,
    }
    drop_name(root, folder, name)?;
    fs::remove_dir_all(folder).map_err(|error| Error::io(folder.display(), &error))
}

fn drop_name(root: &Path, folder: &Path, name: Option<&str>) -> Result<()> {
    let link = name.map(|name| names_of(root).join(name));
    let is_ours = |link: &PathBuf| {
        fs::read_link(link).ok().as_deref().map(Path::as_os_str) == folder.file_name()
    };
    if let Some(link) = link.filter(is_ours) {
        fs::remove_file(&link).map_err(|error| Error::io(link.display(), &error))?;
    }
    Ok(())
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
