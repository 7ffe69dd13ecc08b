//! What can one know of a container?
//!
//! Docker's names for it, as JSON, as far as we have the same; and `Cgroups`, where its limits
//! can be read by hand: for each controller the folder of its group.

use cgroup::Group;
use serde_json::{Map, Value, json};
use stage::{Error, Pid, Result};

use crate::container::{self, Known, State};
use crate::limits::{self, is_paused};
use crate::spec::{EXPOSED_PORTS, IMAGE_ID, IMAGE_NAME, Mount, STOP_SIGNAL, Spec};
use crate::store::Store;
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
        "Mounts": spec.mounts.iter().filter_map(|it| mount(spec, it)).collect::<Vec<_>>(),
        "NetworkSettings": {
            "IPAddress": state.address.map_or(String::new(), |address| address.to_string()),
        },
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

/// `template`, with what is known in the place of each `{{.Name.Name}}`.
pub fn format(template: &str, known: &Value) -> Result<String> {
    let wrong = |what: &str| {
        Error::input(format!("--format {template:?}: {what}")).hint(
            "names stand in it as {{.State.Pid}}; without --format all of them are shown",
        )
    };
    let (mut text, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) =
            after.split_once("}}").ok_or_else(|| wrong("it has no }}"))?;
        let (name, is_json) = match name.trim().strip_prefix("json ") {
            Some(name) => (name.trim(), true),
            None => (name.trim(), false),
        };
        let steps =
            name.strip_prefix('.').ok_or_else(|| wrong("a name begins with a dot"))?;
        let steps = steps.split('.').filter(|step| !step.is_empty());
        let value = steps.into_iter().try_fold(known, |value, step| value.get(step));
        let value = value.ok_or_else(|| wrong(&format!("nothing is called {name}")))?;
        text.push_str(before);
        match value {
            Value::String(value) if !is_json => text.push_str(value),
            value => text.push_str(&value.to_string()),
        }
        rest = after;
    }
    Ok(text + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced() {
        let known = json!({"Id": "4f", "State": {"Pid": 7, "Paused": false}});
        let shown =
            |template| format(template, &known).map_err(|error| error.to_string());
        assert_eq!(shown("{{.Id}} is {{ .State.Pid }}!"), Ok("4f is 7!".into()));
        assert_eq!(shown("{{json .Id}}"), Ok("\"4f\"".into()));
        assert_eq!(shown("{{json .State}}"), Ok(r#"{"Paused":false,"Pid":7}"#.into()));
        assert_eq!(shown("plain"), Ok("plain".into()));
        for wrong in ["{{.Id", "{{Id}}", "{{.State.Nothing}}", "{{range .}}"] {
            assert!(shown(wrong).is_err(), "{wrong}");
        }
    }
}
