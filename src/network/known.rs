//! What can one know of a container's network?
//!
//! What its description says, and where it runs, what the kernel does: proc_pid_net(5). Docker's
//! names for it.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;

use net::bridge::hardware_of;
use serde_json::{Map, Value, json};
use stage::Pid;

use super::{NETWORK, published};
use crate::container::State;
use crate::spec::{EXPOSED_PORTS, Spec};

/// What its network is called.
pub fn name(spec: &Spec) -> &str {
    spec.annotations.get(NETWORK).map_or("", String::as_str)
}

/// The ports that its image says it listens at.
pub fn exposed(spec: &Spec) -> impl Iterator<Item = &str> {
    let ports = spec.annotations.get(EXPOSED_PORTS).map_or("", String::as_str);
    ports.split(',').filter(|port| !port.is_empty())
}

/// Its ports, as `80/tcp`, and which of the host's these are.
pub fn bindings(spec: &Spec) -> BTreeMap<String, Vec<(String, u16)>> {
    let mut all: BTreeMap<String, Vec<(String, u16)>> = BTreeMap::new();
    for it in published(spec) {
        let port = format!("{}/{}", it.container, it.protocol);
        all.entry(port).or_default().push((it.host.ip().to_string(), it.host.port()));
    }
    all
}

/// The same as JSON. What nobody outside can reach is nothing.
pub fn ports(spec: &Spec) -> Map<String, Value> {
    let mut all: Map<String, Value> =
        exposed(spec).map(|port| (port.to_string(), Value::Null)).collect();
    for (port, places) in bindings(spec) {
        let place = |(address, port): &(String, u16)| json!({ "HostIp": address, "HostPort": port.to_string() });
        all.insert(port, places.iter().map(place).collect());
    }
    all
}

/// And as `ps` has them: `0.0.0.0:8080->80/tcp, 81/tcp`.
pub fn shown(spec: &Spec) -> String {
    let bindings = bindings(spec);
    let mut all = Vec::new();
    for (port, places) in &bindings {
        all.extend(
            places.iter().map(|(address, host)| format!("{address}:{host}->{port}")),
        );
    }
    let others = exposed(spec).filter(|port| !bindings.contains_key(*port));
    all.extend(others.map(String::from));
    all.join(", ")
}

/// All of it, of one whose first process is `first`, if it runs.
pub fn settings(spec: &Spec, state: &State, first: Option<Pid>) -> Value {
    let address = state.address.filter(|_| first.is_some());
    let gateway = first.filter(|_| address.is_some()).and_then(gateway);
    let text = |address: Option<Ipv4Addr>| {
        address.map_or_else(String::new, |address| address.to_string())
    };
    let hardware = address.map(hardware_of).unwrap_or_default();
    let hardware = hardware.map(|byte| format!("{byte:02x}")).join(":");
    let place = json!({
        "IPAddress": text(address),
        "Gateway": text(gateway),
        "MacAddress": if address.is_some() { hardware } else { String::new() },
    });
    let mut all = place.clone();
    all["Ports"] = match first {
        Some(_) => Value::Object(ports(spec)),
        None => json!({}),
    };
    all["Networks"] = json!({ name(spec): place });
    all
}

/// Where a process sends what is for nobody near.
fn gateway(pid: Pid) -> Option<Ipv4Addr> {
    let routes = fs::read_to_string(format!("/proc/{pid}/net/route")).ok()?;
    routes.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let mut number = || u32::from_str_radix(fields.next()?, 16).ok();
        let (to, gateway) = (number()?, number()?);
        // Its bytes are written backwards.
        (to == 0).then(|| gateway.swap_bytes().into())
    })
}
