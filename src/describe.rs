//! How do an image and some flags become a description?
//!
//! Defaults are Docker's: what is mounted, which paths are masked, the environment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::manifest::Settings;
use stage::{Error, Result};
use user::Numbers;

use crate::container::Plan;
use crate::guards::{self, Capabilities};
use crate::host::View;
use crate::limits;
use crate::limits::devices::Device;
use crate::network::{self, Setup};
use crate::rootless;
use crate::settings;
use crate::spec::resources::Resources;
use crate::spec::{
    ENTRYPOINT, EXPOSED_PORTS, IMAGE_ID, IMAGE_NAME, INIT, Linux, Mount, NAMESPACES,
    Namespace, Process, Root, STOP_SIGNAL, Spec,
};
use crate::store::{HOST, Image, Store};
use crate::userns::Users;
use crate::users;
use crate::volumes::Volumes;
use crate::volumes::asked::{self, Asked};

/// What somebody wants to run.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// An image of the store, or `host`; not needed with a `rootfs`.
    pub image: Option<String>,
    /// A folder to use as the image.
    pub rootfs: Option<PathBuf>,
    /// The command and its arguments; empty for the image's, or a shell.
    pub command: Vec<String>,
    /// What comes before them, in place of the image's; empty for nothing.
    pub entrypoint: Option<String>,
    /// The container's name.
    pub name: Option<String>,
    /// The container's hostname; else the beginning of its ID.
    pub hostname: Option<String>,
    /// `NAME=value`, or `NAME` for our own value.
    pub env: Vec<String>,
    /// The working directory; else the image's.
    pub cwd: Option<PathBuf>,
    /// `USER[:GROUP]`, names or numbers; else the image's, else root.
    pub user: Option<String>,
    /// Who its users are outside.
    pub users: Users,
    /// What is mounted in it.
    pub volumes: asked::Request,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// Limits of its processes, labels and the like.
    pub settings: settings::Request,
    /// Its network.
    pub network: network::Request,
    /// What it may use.
    pub limits: limits::request::Request,
    /// What it may do.
    pub guards: guards::Request,
    /// Devices of the host's: `HOST[:CONTAINER][:rwm]`
    pub devices: Vec<String>,
    /// Whether it sees its group as the topmost one.
    pub cgroupns: bool,
    /// Whether it gets a terminal of its own.
    pub terminal: bool,
    /// Whether an init is number 1, and the command its child.
    pub init: bool,
}

impl Request {
    /// Whether the image is the machine itself.
    pub fn is_host(&self) -> bool {
        self.rootfs.is_none() && self.image.as_deref() == Some(HOST)
    }
}

const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What every image knows, whatever the caller's terminal is called.
pub const TERM: &str = "TERM=xterm";

/// Docker's lists, as in moby's `oci/defaults.go`.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The image that is asked for, if it is one of the store's. Its files stay while it is held.
pub fn find_image(store: &Store, request: &Request) -> Result<Option<Image>> {
    match (&request.rootfs, &request.image) {
        (Some(folder), _) if !folder.is_dir() => Err(Error::input(format!(
            "--rootfs {folder:?} is no folder: give one with a root file system"
        ))),
        (None, Some(name)) if name != HOST => store.image(name).map(Some),
        (None, None) => Err(Error::input("no image given: `host` is built in")),
        _ => Ok(None),
    }
}

/// What a container stands on, besides a folder that the request names.
#[derive(Debug)]
pub struct Base<'i> {
    /// An image of the store.
    pub image: Option<&'i Image>,
    /// The machine, where somebody who is not its root wants it as the image.
    pub view: Option<View>,
}

/// The whole description.
pub fn spec(
    store: &Store,
    request: &Request,
    from: &Base,
    plan: &Plan,
    network: &Setup,
) -> Result<Spec> {
    let lower = lower(request, from.image)?;
    let settings =
        from.image.map(|image| image.config.config.clone()).unwrap_or_default();
    let (devices, resources) = resources(request)?;
    let short_id: String = plan.id.chars().take(12).collect();
    let hostname = request.hostname.clone().unwrap_or(short_id);
    let mut mounts = ground(from, &lower, plan)?;
    mounts.extend(furniture(store, request, plan, network)?);
    let asked = wanted(store, request, &settings, &mounts)?;
    let mut annotations = annotations(network, from.image, &asked);
    annotations.extend(request.settings.annotations(&settings.labels)?);
    let words = entrypoint(request, &settings).len();
    annotations.extend((words > 0).then(|| (ENTRYPOINT.into(), words.to_string())));
    annotations.extend(request.init.then(|| (INIT.to_string(), "true".to_string())));
    add(&mut mounts, asked.mounts, &network.mounts(plan));
    mounts.extend(devices);
    let mut spec = Spec {
        oci_version: "1.2.0".into(),
        process: process(request, &settings, &lower, &hostname)?,
        root: Root { path: plan.rootfs(), readonly: request.read_only },
        hostname,
        mounts,
        linux: linux(request, network, plan, resources)?,
        annotations,
    };
    request.guards.read()?.write(&mut spec);
    Ok(spec)
}

/// The mounts that it stands on.
fn ground(from: &Base, lower: &[PathBuf], plan: &Plan) -> Result<Vec<Mount>> {
    match &from.view {
        Some(view) => view.mounts(plan),
        None => Ok(vec![overlay(Path::new("/"), lower, plan)?]),
    }
}

/// What runs in it, and as whom.
fn process(
    request: &Request,
    settings: &Settings,
    lower: &[PathBuf],
    hostname: &str,
) -> Result<Process> {
    let user = request.user.clone().or(said(&settings.user));
    let user = users::in_image(lower, user.as_deref())?;
    let (home, user) = (user.home.clone(), user.into());
    Ok(Process {
        terminal: request.terminal,
        args: command(request, settings, lower),
        env: environment(request, settings, hostname, &home)?,
        cwd: working_directory(request, settings),
        user: rootless::possible(user, request.users, &Numbers::here()?)?,
        rlimits: request.settings.rlimits()?,
        capabilities: Capabilities::default(),
        no_new_privileges: true,
    })
}

/// What the container stands on, the topmost first.
fn lower(request: &Request, image: Option<&Image>) -> Result<Vec<PathBuf>> {
    Ok(match (&request.rootfs, image) {
        (Some(folder), _) => vec![resolved(folder)?],
        (None, Some(image)) => image.layers.iter().rev().cloned().collect(),
        (None, None) => vec!["/".into()],
    })
}

/// What is mounted in the root file system.
fn furniture(
    store: &Store,
    request: &Request,
    plan: &Plan,
    network: &Setup,
) -> Result<Vec<Mount>> {
    let mut mounts = standard_mounts(request, network)?;
    if request.is_host() {
        mounts.extend(host_mounts(store));
    }
    mounts.extend(network.mounts(plan));
    Ok(mounts)
}

/// Add those that were asked for. What covers /etc would hide the network's files there, which
/// come after it, then; but for those in whose place others were asked for.
fn add(mounts: &mut Vec<Mount>, asked: Vec<Mount>, files: &[Mount]) {
    let is_covered = |file: &mut Mount| {
        let folder = file.destination.parent();
        let is_asked = |place: &Path| asked.iter().any(|it| it.destination == place);
        files.contains(file)
            && !is_asked(&file.destination)
            && folder.is_some_and(is_asked)
    };
    let covered: Vec<Mount> = mounts.extract_if(.., is_covered).collect();
    mounts.extend(asked);
    mounts.extend(covered);
}

/// What the user wants mounted besides, and the image.
fn wanted(
    store: &Store,
    request: &Request,
    settings: &Settings,
    taken: &[Mount],
) -> Result<Asked> {
    let of_image = settings.volumes.keys().map(PathBuf::from);
    let lent = asked::lent(store, &request.volumes)?;
    request.volumes.read(&Volumes::of(store.root()), lent, of_image, taken)
}

/// The devices that it gets nodes for, and what it may use.
fn resources(request: &Request) -> Result<(Vec<Mount>, Resources)> {
    let devices = request.devices.iter().map(|text| Device::read(text));
    let mut devices = devices.collect::<Result<Vec<_>>>()?;
    let rules = match request.guards.privileged {
        true => {
            devices.extend(limits::devices::all());
            Vec::new()
        }
        false => limits::devices::rules(&devices),
    };
    let resources = Resources { devices: rules, ..request.limits.read()? };
    Ok((devices.into_iter().map(|device| device.mount).collect(), resources))
}

fn linux(
    request: &Request,
    network: &Setup,
    plan: &Plan,
    resources: Resources,
) -> Result<Linux> {
    let own = |kind: &str| Namespace { kind: kind.to_string(), path: None };
    let mut namespaces = NAMESPACES.map(own).to_vec();
    namespaces.extend(network.namespace());
    namespaces.extend(request.users.namespace());
    namespaces.extend(request.cgroupns.then(|| own("cgroup")));
    let paths = |list: &[&str]| list.iter().map(PathBuf::from).collect();
    Ok(Linux {
        namespaces,
        uid_mappings: request.users.mappings(),
        gid_mappings: request.users.mappings(),
        cgroups_path: Some(limits::path_of(&plan.id).into()),
        resources,
        sysctl: request.settings.sysctl()?,
        masked_paths: paths(&MASKED),
        readonly_paths: paths(&READ_ONLY),
        seccomp: None,
    })
}

/// An overlay on the folder `place` of the container.
pub(crate) fn overlay(place: &Path, lower: &[PathBuf], plan: &Plan) -> Result<Mount> {
    let (upper, work) = plan.layer_of(place);
    let option = |name: &str, path: &Path| match path.to_str() {
        Some(path) => Ok(format!("{name}={path}")),
        None => Err(Error::input(format!("{path:?} is not UTF-8: rename it"))),
    };
    let lower = lower.iter().map(|layer| ("lowerdir", layer));
    let options = lower.chain([("upperdir", &upper), ("workdir", &work)]);
    let options =
        options.map(|(name, path)| option(name, path)).collect::<Result<_>>()?;
    Ok(Mount {
        destination: place.into(),
        kind: "overlay".into(),
        source: "overlay".into(),
        options,
    })
}

fn mount(destination: &str, kind: &str, options: &str) -> Mount {
    let options = options.split(',').map(String::from).collect();
    Mount {
        destination: destination.into(),
        kind: kind.into(),
        source: kind.into(),
        options,
    }
}

/// What is at `source` on the host, at `destination` in the container.
pub(crate) fn bind(source: &Path, destination: &Path, options: &str) -> Mount {
    let (source, destination) = (source.into(), destination.into());
    Mount { destination, source, ..mount("", "bind", options) }
}

/// The group of terminals, as in all distributions.
const TTY: u32 = 5;

/// What every container finds; sizes in KiB (`k`), as in tmpfs(5).
fn standard_mounts(request: &Request, network: &Setup) -> Result<Vec<Mount>> {
    // Who may write to each other's terminals: a small map has no such group.
    let tty = match request.users.has_group(TTY) && Numbers::here()?.has_group(TTY) {
        true => format!(",gid={TTY}"),
        false => String::new(),
    };
    let devpts = format!("nosuid,noexec,newinstance,ptmxmode=0666,mode=0620{tty}");
    let mut mounts = vec![mount("/proc", "proc", "nosuid,nodev,noexec")];
    mounts.extend(sysfs(request, network));
    let size = request.settings.shm_size()?;
    let shm = format!("nosuid,nodev,noexec,mode=1777,size={size}");
    mounts.extend([
        mount("/dev", "tmpfs", "nosuid,nodev,noexec,mode=755,size=65536k"),
        mount("/dev/pts", "devpts", &devpts),
        mount("/dev/shm", "tmpfs", &shm),
        mount("/dev/mqueue", "mqueue", "nosuid,nodev,noexec"),
    ]);
    Ok(mounts)
}

/// sysfs belongs to a network namespace. Root of a user namespace may not mount another's
/// than its own, but show the host's, without the cgroups that are mounted in it.
fn sysfs(request: &Request, network: &Setup) -> Vec<Mount> {
    let (sys, fixed) = (Path::new("/sys"), "ro,nosuid,nodev,noexec");
    let is_ours = match (network.namespace(), request.users) {
        (None, users) => users == Users::Host && !rootless::is_rootless(),
        // Another container's belongs to its user namespace, which without root is ours.
        (Some(namespace), users) => namespace.path.is_none() || users == Users::Host,
    };
    if is_ours {
        return vec![mount("/sys", "sysfs", fixed)];
    }
    let without = mount("/sys/fs/cgroup", "tmpfs", "ro,nosuid,nodev,noexec,mode=755");
    vec![bind(sys, sys, fixed), without]
}

/// What the image `host` must not share with the machine: running services' files, and the
/// store, in which the container's own layers would appear a second time.
fn host_mounts(store: &Store) -> Vec<Mount> {
    let mut mounts = vec![
        mount("/run", "tmpfs", "nosuid,nodev,mode=755"),
        mount("/tmp", "tmpfs", "nosuid,nodev,mode=1777"),
    ];
    let covered = mounts.iter().any(|mount| store.root().starts_with(&mount.destination));
    if !covered {
        let destination = store.root().to_path_buf();
        mounts.push(Mount {
            destination,
            ..mount("", "tmpfs", "ro,nosuid,nodev,mode=000")
        });
    }
    mounts
}

/// What an image says, if it says something.
fn said(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_string())
}

fn working_directory(request: &Request, settings: &Settings) -> PathBuf {
    let said = said(&settings.working_dir).map(PathBuf::from);
    request.cwd.clone().or(said).unwrap_or("/".into())
}

/// What there is to know of it besides: its network, its volumes, and the image that it was made
/// from.
fn annotations(
    network: &Setup,
    image: Option<&Image>,
    asked: &Asked,
) -> BTreeMap<String, String> {
    let mut all = network.annotations();
    all.extend(asked.annotations());
    let Some(image) = image else { return all };
    let settings = &image.config.config;
    let ports = settings.exposed_ports.keys().cloned().collect::<Vec<_>>().join(",");
    let name = image.name.as_ref().map(ToString::to_string).unwrap_or_default();
    let of_image = [
        (IMAGE_ID, image.id.to_string()),
        (IMAGE_NAME, name),
        (STOP_SIGNAL, settings.stop_signal.clone()),
        (EXPOSED_PORTS, ports),
    ];
    let of_image = of_image.into_iter().filter(|(_, text)| !text.is_empty());
    all.extend(of_image.map(|(key, text)| (key.to_string(), text)));
    all
}

/// Docker's environment: PATH, HOSTNAME, HOME, with a terminal TERM, then the image's, then the
/// user's.
fn environment(
    request: &Request,
    settings: &Settings,
    hostname: &str,
    home: &str,
) -> Result<Vec<String>> {
    let hostname = format!("HOSTNAME={hostname}");
    let mut env = vec![PATH.to_string(), hostname, format!("HOME={home}")];
    if request.terminal {
        env.push(TERM.into());
    }
    // In an image, a name without a value is nothing: it must not be ours.
    let of_image: Vec<String> =
        settings.env.iter().filter(|entry| entry.contains('=')).cloned().collect();
    set_environment(&mut env, &of_image)?;
    set_environment(&mut env, &request.env)?;
    Ok(env)
}

/// Set each `NAME=value` of `wanted` in `env`; a `NAME` alone gets our own value.
pub(crate) fn set_environment(env: &mut Vec<String>, wanted: &[String]) -> Result<()> {
    for wanted in wanted {
        let (name, value) = match wanted.split_once('=') {
            Some((name, value)) => (name, Some(value.to_string())),
            None => (wanted.as_str(), std::env::var(wanted).ok()),
        };
        if name.is_empty() {
            return Err(Error::input(format!(
                "-e {wanted:?} has no name: give NAME=value or NAME"
            )));
        }
        env.retain(|entry| entry.split('=').next() != Some(name));
        env.extend(value.map(|value| format!("{name}={value}")));
    }
    Ok(())
}

/// What was asked for, else what the image says, else a shell: bash where there is one.
fn command(request: &Request, settings: &Settings, lower: &[PathBuf]) -> Vec<String> {
    let after = match request.command.is_empty() {
        // With another entrypoint, the image's command makes no sense.
        true if request.entrypoint.is_none() => settings.cmd.clone(),
        _ => request.command.clone(),
    };
    let all = [entrypoint(request, settings), after].concat();
    if !all.is_empty() {
        return all;
    }
    // Not followed: in an image a link leads to another place than here.
    let has = |path: &str| {
        lower.iter().any(|layer| layer.join(path).symlink_metadata().is_ok())
    };
    let bash = has("bin/bash") || has("usr/bin/bash");
    vec![if bash { "/bin/bash".into() } else { "/bin/sh".into() }]
}

/// What comes before the command in any case.
fn entrypoint(request: &Request, settings: &Settings) -> Vec<String> {
    match &request.entrypoint {
        Some(entrypoint) => said(entrypoint).into_iter().collect(),
        None => settings.entrypoint.clone(),
    }
}

fn resolved(folder: &Path) -> Result<PathBuf> {
    folder.canonicalize().map_err(|error| Error::io(folder.display(), &error))
}
