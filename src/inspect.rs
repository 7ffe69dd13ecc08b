//! What can one know of a container?
//!
//! Docker's names for it, as JSON, as far as we have the same; and `Cgroups`, where its limits
//! can be read by hand: for each controller the folder of its group.

use std::path::Path;

use cgroup::Group;
use serde_json::{Map, Value, json};
use stage::{Pid, Result};

use crate::container::{self, Known, State};
use crate::limits::{self, is_paused};
use crate::network::known;
use crate::network::names::FILES;
use crate::spec::{EXPOSED_PORTS, IMAGE_ID, IMAGE_NAME, Mount, STOP_SIGNAL, Spec};
use crate::store::Store;
use crate::sys::device;
use crate::volumes::Volumes;

/// All that is known of the container that `which` means.
pub fn inspect(store: &Store, which: &str) -> Result<Value> {
    let container = container::known(store, which, &store.lock_containers()?)?;
    let Known { id, spec, state, .. } = &container;
    let first = container.first();
    let group = first.map(|first| limits::group_of(spec, first)).transpose()?.flatten();
    let mut cgroups = Map::new();
    for (controller, folder) in group.iter().flat_map(|group| group.folders()) {
        cgroups.insert(controller, json!(folder));
    }
    Ok(json!({
        "Id": id,
        "Name": state.name.as_ref().map_or(String::new(), |name| format!("/{name}")),
        "Path": spec.process.args.first(),
        "Args": spec.process.args.get(1..),
        "State": state_of(state, first, group.as_ref())?,
        "Image": spec.annotations.get(IMAGE_ID),
        "Config": {
            "Image": spec.annotations.get(IMAGE_NAME),
            "ExposedPorts": exposed_ports(spec),
            "StopSignal": spec.annotations.get(STOP_SIGNAL),
            "Hostname": spec.hostname,
            "Env": spec.process.env,
            "WorkingDir": spec.process.cwd,
        },
        "HostConfig": limits_of(&container),
        "Mounts": mounts(spec).collect::<Vec<_>>(),
        "NetworkSettings": known::settings(spec, state, first),
        "Cgroups": cgroups,
    }))
}

/// As in an image: the ports are names, with nothing behind them.
fn exposed_ports(spec: &Spec) -> Map<String, Value> {
    let ports = spec.annotations.get(EXPOSED_PORTS).map_or("", String::as_str);
    let ports = ports.split(',').filter(|port| !port.is_empty());
    ports.map(|port| (port.to_string(), json!({}))).collect()
}

fn state_of(state: &State, first: Option<Pid>, group: Option<&Group>) -> Result<Value> {
    let paused = group.map(is_paused).transpose()?.unwrap_or(false);
    let status = match (first, state.exit_status) {
        (Some(_), _) if paused => "paused",
        (Some(_), _) => "running",
        (None, None) => "created",
        (None, Some(_)) => "exited",
    };
    Ok(json!({
        "Status": status,
        "Running": first.is_some(),
        "Paused": paused,
        "OOMKilled": state.oom_killed,
        "Pid": first.map_or(0, Pid::as_raw),
        "ExitCode": state.exit_status.unwrap_or_default(),
    }))
}

/// As in Docker, 0 and "" stand for what is not limited.
fn limits_of(container: &Known) -> Value {
    let linux = &container.spec.linux;
    let (resources, io) = (&linux.resources, &linux.resources.block_io);
    let (cpu, memory) = (&resources.cpu, &resources.memory);
    let with_swap = memory.swap.or(memory.limit.map(|limit| limit.saturating_mul(2)));
    let private = container.spec.namespace("cgroup").is_some();
    json!({
        "CgroupnsMode": if private { "private" } else { "host" },
        "CpuShares": cpu.shares.unwrap_or_default(),
        "CpuPeriod": cpu.period.unwrap_or_default(),
        "CpuQuota": cpu.quota.unwrap_or_default(),
        "CpusetCpus": cpu.cpus.as_deref().unwrap_or_default(),
        "CpusetMems": cpu.mems.as_deref().unwrap_or_default(),
        "Memory": memory.limit.unwrap_or_default(),
        "MemorySwap": with_swap.unwrap_or_default(),
        "PidsLimit": resources.pids.limit.unwrap_or_default(),
        "BlkioWeight": io.weight.unwrap_or_default(),
        "BlkioDeviceReadBps": io.throttle_read_bps_device,
        "BlkioDeviceWriteBps": io.throttle_write_bps_device,
    })
}

/// What somebody has mounted in it.
pub fn mounts(spec: &Spec) -> impl Iterator<Item = Value> {
    let theirs = spec.mounts.iter().filter(|it| !is_furniture(it));
    theirs.filter_map(|it| mount(spec, it))
}

/// Whether it is what every container finds, or a device.
fn is_furniture(mount: &Mount) -> bool {
    let (from, to) = (&mount.source, &mount.destination);
    let in_etc = FILES.iter().any(|file| *to == Path::new("/etc").join(file));
    (in_etc && from.file_name() == to.file_name() && !from.starts_with("/etc"))
        || (from == Path::new("/sys") && from == to)
        || device(from).is_some()
}

/// What shows files of the host's, or a volume.
fn mount(spec: &Spec, mount: &Mount) -> Option<Value> {
    if mount.kind != "bind" {
        return None;
    }
    let mut known = json!({
        "Type": "bind",
        "Source": mount.source,
        "Destination": mount.destination,
        "RW": !mount.options.iter().any(|option| option == "ro"),
    });
    if let Some(name) = Volumes::beside(spec).name_of(mount) {
        known["Type"] = json!("volume");
        known["Name"] = json!(name);
        known["Driver"] = json!("local");
    }
    Some(known)
}
