//! What was asked for, when a container was made?
//!
//! The part of what is known of it that Docker calls `HostConfig`.

use serde_json::{Map, Value, json};

use super::mounts;
use crate::container::{Known, Restart, State};
use crate::network::known;
use crate::spec::{Rlimit, Spec};

/// All of it.
pub fn host_config(container: &Known) -> Value {
    let Known { spec, state, .. } = container;
    let mut known = limits(spec);
    let private = spec.namespace("cgroup").is_some();
    let others = json!({
        "AutoRemove": state.throw_away,
        "Binds": mounts(spec).map(|mount| bind(&mount)).collect::<Vec<_>>(),
        "CapAdd": capabilities_added(spec),
        "CapDrop": capabilities_dropped(spec),
        "CgroupnsMode": if private { "private" } else { "host" },
        "Init": spec.has_init(),
        "NetworkMode": known::name(spec),
        "PortBindings": bindings(spec, state),
        "Privileged": spec.is_privileged(),
        "ReadonlyRootfs": spec.root.readonly,
        "RestartPolicy": restart(state.life.restart),
        "SecurityOpt": security(spec),
        "Sysctls": spec.linux.sysctl,
        "Ulimits": spec.process.rlimits.iter().map(ulimit).collect::<Vec<_>>(),
        "UsernsMode": if spec.namespace("user").is_some() { "private" } else { "" },
        "MaskedPaths": spec.linux.masked_paths,
        "ReadonlyPaths": spec.linux.readonly_paths,
    });
    if let Value::Object(others) = others {
        known.extend(others);
    }
    Value::Object(known)
}

/// Those besides Docker's usual ones. Who has no guards has all anyway.
fn capabilities_added(spec: &Spec) -> Vec<&String> {
    let has = spec.process.capabilities.bounding.iter();
    has.filter(|name| !spec.is_privileged() && !caps::DOCKER.contains(&short(name)))
        .collect()
}

fn capabilities_dropped(spec: &Spec) -> Vec<String> {
    let has = &spec.process.capabilities.bounding;
    let is_there = |usual: &str| has.iter().any(|name| short(name) == usual);
    let dropped = caps::DOCKER.into_iter().filter(|usual| !is_there(usual));
    dropped.map(|name| format!("CAP_{name}")).collect()
}

/// Without what all have in common.
fn short(capability: &str) -> &str {
    capability.strip_prefix("CAP_").unwrap_or(capability)
}

/// As `--security-opt` has it.
fn security(spec: &Spec) -> Vec<&'static str> {
    let fixed = spec.process.no_new_privileges.then_some("no-new-privileges");
    let open = spec.linux.seccomp.is_none().then_some("seccomp=unconfined");
    fixed.into_iter().chain(open).collect()
}

/// As `--ulimit` has its name.
fn ulimit(limit: &Rlimit) -> Value {
    let name = limit.kind.trim_start_matches("RLIMIT_").to_lowercase();
    json!({ "Name": name, "Soft": limit.soft, "Hard": limit.hard })
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
