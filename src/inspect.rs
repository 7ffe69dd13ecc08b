//! What can one know of a container?
//!
//! Docker's names for it, as JSON, as far as we have the same; and `Cgroups`, where its limits
//! can be read by hand: for each controller the folder of its group.

use std::path::Path;

use serde_json::{Map, Value, json};
use stage::{Pid, Result};

use self::host_config::host_config;
use crate::container::{self, Known, State};
use crate::limits;
use crate::listing::{image_of, sizes};
use crate::network::known;
use crate::network::names::FILES;
use crate::spec::{IMAGE_ID, Mount, STOP_SIGNAL, Spec};
use crate::status::Status;
use crate::store::Store;
use crate::sys::device;
use crate::volumes::Volumes;

mod host_config;

/// When something was that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// All that is known of the container that `which` means; with `size` what its files come to.
pub fn inspect(store: &Store, which: &str, size: bool) -> Result<Value> {
    let container = container::known(store, which, &store.lock_containers()?)?;
    let Known { id, spec, state, .. } = &container;
    let first = container.first();
    let folder = store.containers().join(id);
    let mut known = json!({
        "Id": id,
        "Created": moment(&state.created),
        "Name": state.name.as_ref().map_or(String::new(), |name| format!("/{name}")),
        "Path": spec.process.args.first(),
        "Args": spec.process.args.get(1..),
        "State": state_of(&container)?,
        "Image": spec.annotations.get(IMAGE_ID).map_or("", String::as_str),
        "ResolvConfPath": folder.join("resolv.conf"),
        "HostnamePath": folder.join("hostname"),
        "HostsPath": folder.join("hosts"),
        "LogPath": folder.join("log"),
        "RestartCount": state.restarts,
        "Driver": "overlay2",
        "Platform": "linux",
        "GraphDriver": { "Name": "overlay2", "Data": layers(spec)? },
        "Config": config(spec, state),
        "HostConfig": host_config(&container),
        "Mounts": mounts(spec).collect::<Vec<_>>(),
        "NetworkSettings": known::settings(spec, state, first),
        "Cgroups": cgroups(spec, first)?,
    });
    if size {
        let (written, below) = sizes(store, &container)?;
        known["SizeRw"] = json!(written);
        known["SizeRootFs"] = json!(written + below);
    }
    Ok(known)
}

fn moment(text: &str) -> &str {
    if text.is_empty() { NEVER } else { text }
}

fn state_of(container: &Known) -> Result<Value> {
    let (state, status) = (&container.state, Status::of(container)?);
    Ok(json!({
        "Status": status.name(),
        "Running": status.is_running(),
        "Paused": status == Status::Paused,
        "Restarting": status == Status::Restarting,
        "OOMKilled": state.oom_killed,
        "Dead": false,
        "Pid": container.first().map_or(0, Pid::as_raw),
        "ExitCode": state.exit_status.unwrap_or_default(),
        "Error": state.error,
        "StartedAt": moment(&state.started),
        "FinishedAt": moment(&state.finished),
    }))
}

fn config(spec: &Spec, state: &State) -> Value {
    // As in an image: the ports are names, with nothing behind them.
    let ports = known::exposed(spec).map(|port| (port.to_string(), json!({})));
    let user = &spec.process.user;
    let life = &state.life;
    let of_image = spec.annotations.get(STOP_SIGNAL);
    let entrypoint = spec.entrypoint();
    json!({
        "Hostname": spec.hostname,
        "User": match (user.uid, user.gid) {
            (0, 0) => String::new(),
            (uid, gid) => format!("{uid}:{gid}"),
        },
        "AttachStdin": life.open_stdin && !life.detached,
        "AttachStdout": !life.detached,
        "AttachStderr": !life.detached,
        "ExposedPorts": ports.collect::<Map<_, _>>(),
        "Tty": spec.process.terminal,
        "OpenStdin": life.open_stdin,
        "Env": spec.process.env,
        "Cmd": words(spec.process.args.get(entrypoint..)),
        "Entrypoint": words(spec.process.args.get(..entrypoint)),
        "Image": image_of(spec),
        "WorkingDir": spec.process.cwd,
        "Labels": spec.labels().map(|(key, value)| (key.to_string(), json!(value)))
            .collect::<Map<_, _>>(),
        "StopSignal": life.stop_signal.as_ref().or(of_image),
        "StopTimeout": life.stop_timeout,
    })
}

/// Docker's word for no words at all.
fn words(words: Option<&[String]>) -> Value {
    words.filter(|words| !words.is_empty()).map_or(Value::Null, |words| json!(words))
}

/// The overlay on "/", in overlayfs's words.
fn layers(spec: &Spec) -> Result<Value> {
    let stacks = spec.stacks()?;
    let layers = stacks.into_iter().next().map(|(_, layers)| layers);
    Ok(layers.map_or(Value::Null, |layers| {
        let lower = layers.lower.iter().map(|it| it.display().to_string());
        json!({
            "LowerDir": lower.collect::<Vec<_>>().join(":"),
            "UpperDir": layers.upper,
            "WorkDir": layers.work,
            "MergedDir": spec.root.path,
        })
    }))
}

fn cgroups(spec: &Spec, first: Option<Pid>) -> Result<Map<String, Value>> {
    let group = first.map(|first| limits::group_of(spec, first)).transpose()?.flatten();
    let folders = group.iter().flat_map(|group| group.folders());
    Ok(folders.map(|(controller, folder)| (controller, json!(folder))).collect())
}

/// What somebody has mounted in it: files of the host's, and volumes.
pub fn mounts(spec: &Spec) -> impl Iterator<Item = Value> {
    shown(spec).map(|it| mount(spec, it))
}

/// The same, as the description has it.
pub fn shown(spec: &Spec) -> impl Iterator<Item = &Mount> {
    spec.mounts.iter().filter(|it| it.kind == "bind" && !is_furniture(it))
}

/// Whether it is what every container finds, or a device.
fn is_furniture(mount: &Mount) -> bool {
    let (from, to) = (&mount.source, &mount.destination);
    let in_etc = FILES.iter().any(|file| *to == Path::new("/etc").join(file));
    (in_etc && from.file_name() == to.file_name() && !from.starts_with("/etc"))
        || (from == Path::new("/sys") && from == to)
        || device(from).is_some()
}

fn mount(spec: &Spec, mount: &Mount) -> Value {
    let is_fixed = mount.options.iter().any(|option| option == "ro");
    let mut known = json!({
        "Type": "bind",
        "Source": mount.source,
        "Destination": mount.destination,
        "Mode": if is_fixed { "ro" } else { "" },
        "RW": !is_fixed,
        "Propagation": "rprivate",
    });
    if let Some(name) = Volumes::beside(spec).name_of(mount) {
        known["Type"] = json!("volume");
        known["Name"] = json!(name);
        known["Driver"] = json!("local");
        known["Propagation"] = json!("");
    }
    known
}
