//! What can one know of a container's network?
//!
//! What its description says, and where it runs, what the kernel does: proc_pid_net(5). Docker's
//! names for it.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;

use net::bridge::hardware_of;
use serde_json::{Map, Value, json};
use stage::{Error, Pid, Result};

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
pub fn bindings(state: &State) -> BTreeMap<String, Vec<(String, u16)>> {
    let mut all: BTreeMap<String, Vec<(String, u16)>> = BTreeMap::new();
    for it in published(state) {
        let port = format!("{}/{}", it.container, it.protocol);
        all.entry(port).or_default().push((it.host.ip().to_string(), it.host.port()));
    }
    all
}

/// The same as JSON. What nobody outside can reach is nothing.
pub fn ports(spec: &Spec, state: &State) -> Map<String, Value> {
    let mut all: Map<String, Value> =
        exposed(spec).map(|port| (port.to_string(), Value::Null)).collect();
    for (port, places) in bindings(state) {
        let place = |(address, port): &(String, u16)| json!({ "HostIp": address, "HostPort": port.to_string() });
        all.insert(port, places.iter().map(place).collect());
    }
    all
}

/// And as `ps` has them: `0.0.0.0:8080->80/tcp, 81/tcp`.
pub fn shown(spec: &Spec, state: &State) -> String {
    let bindings = bindings(state);
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

/// The lines of `fakedocker port`: of all its ports, or of `port` alone (`80`, `53/udp`).
pub fn lines(state: &State, port: Option<&str>) -> Result<Vec<String>> {
    let bindings = bindings(state);
    let place = |(address, port): &(String, u16)| format!("{address}:{port}");
    let Some(port) = port else {
        let lines = bindings.iter().flat_map(|(port, places)| {
            places.iter().map(move |it| format!("{port} -> {}", place(it)))
        });
        return Ok(lines.collect());
    };
    let whole = if port.contains('/') { port.into() } else { format!("{port}/tcp") };
    match bindings.get(&whole) {
        Some(places) => Ok(places.iter().map(place).collect()),
        None => {
            Err(Error::input(format!("port {whole} is none of the host's")).status(1))
        }
    }
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
        Some(_) => Value::Object(ports(spec, state)),
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
