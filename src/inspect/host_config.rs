//! What was asked for, when a container was made?
//!
//! The part of what is known of it that Docker calls `HostConfig`.

use serde_json::{Map, Value, json};

use super::mounts;
use crate::container::{Known, Restart, State};
use crate::network::known;
use crate::spec::Spec;

/// All of it.
pub fn host_config(container: &Known) -> Value {
    let Known { spec, state, .. } = container;
    let mut known = limits(spec);
    let private = spec.namespace("cgroup").is_some();
    let others = json!({
        "AutoRemove": state.throw_away,
        "Binds": mounts(spec).map(|mount| bind(&mount)).collect::<Vec<_>>(),
        "CgroupnsMode": if private { "private" } else { "host" },
        "NetworkMode": known::name(spec),
        "PortBindings": bindings(spec, state),
        "ReadonlyRootfs": spec.root.readonly,
        "RestartPolicy": restart(state.life.restart),
        "UsernsMode": if spec.namespace("user").is_some() { "private" } else { "" },
        "MaskedPaths": spec.linux.masked_paths,
        "ReadonlyPaths": spec.linux.readonly_paths,
    });
    if let Value::Object(others) = others {
        known.extend(others);
    }
    Value::Object(known)
}

/// As in Docker, 0 and "" stand for what is not limited.
fn limits(spec: &Spec) -> Map<String, Value> {
    let resources = &spec.linux.resources;
    let (cpu, memory, io) = (&resources.cpu, &resources.memory, &resources.block_io);
    let with_swap = memory.swap.or(memory.limit.map(|limit| limit.saturating_mul(2)));
    let known = [
        ("CpuShares", json!(cpu.shares.unwrap_or_default())),
        ("CpuPeriod", json!(cpu.period.unwrap_or_default())),
        ("CpuQuota", json!(cpu.quota.unwrap_or_default())),
        ("CpusetCpus", json!(cpu.cpus.as_deref().unwrap_or_default())),
        ("CpusetMems", json!(cpu.mems.as_deref().unwrap_or_default())),
        ("Memory", json!(memory.limit.unwrap_or_default())),
        ("MemorySwap", json!(with_swap.unwrap_or_default())),
        ("PidsLimit", json!(resources.pids.limit.unwrap_or_default())),
        ("BlkioWeight", json!(io.weight.unwrap_or_default())),
        ("BlkioDeviceReadBps", json!(io.throttle_read_bps_device)),
        ("BlkioDeviceWriteBps", json!(io.throttle_write_bps_device)),
    ];
    known.map(|(name, value)| (name.to_string(), value)).into_iter().collect()
}

/// As `-v` has it.
fn bind(mount: &Value) -> String {
    let text = |field: &str| mount[field].as_str().unwrap_or_default();
    let from = mount["Name"].as_str().unwrap_or(text("Source"));
    let mode = if text("Mode").is_empty() { "" } else { ":ro" };
    format!("{from}:{}{mode}", text("Destination"))
}

fn bindings(spec: &Spec, state: &State) -> Map<String, Value> {
    known::ports(spec, state)
        .into_iter()
        .filter(|(_, places)| !places.is_null())
        .collect()
}

fn restart(restart: Restart) -> Value {
    let (name, most) = match restart {
        Restart::No => ("no", 0),
        Restart::OnFailure { at_most } => ("on-failure", at_most.unwrap_or(0)),
        Restart::UnlessStopped => ("unless-stopped", 0),
        Restart::Always => ("always", 0),
    };
    json!({ "Name": name, "MaximumRetryCount": most })
}
