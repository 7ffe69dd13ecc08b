//! How is it described what a container may use?
//!
//! By the part `linux.resources` of an OCI runtime configuration (config-linux.md, "Control
//! groups"), field by field, in the units of cgroup version 1 that it has kept.

use serde::{Deserialize, Serialize};
use stage::{Error, Result};

/// What a container may use. What is not said is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resources {
    /// Which devices may be opened: the last rule that fits decides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<DeviceRule>,
    /// Memory.
    pub memory: Memory,
    /// Time on the processors, and which of them.
    pub cpu: Cpu,
    /// Tasks.
    pub pids: Pids,
    /// Block devices.
    #[serde(rename = "blockIO")]
    pub block_io: BlockIo,
}

/// A rule about devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Whether it allows, or denies.
    pub allow: bool,
    /// `b`, `c`, or `a` for both.
    #[serde(rename = "type")]
    pub kind: String,
    /// None for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub major: Option<u32>,
    /// None for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minor: Option<u32>,
    /// Some of `rwm`: read, write, mknod(2).
    pub access: String,
}

/// Limits of memory, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Memory {
    /// Of memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// Of memory and swap together; -1 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<i64>,
}

/// Limits of processor time, in microseconds, and of processors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cpu {
    /// Its part where others want the same processor: 1024 is the usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<u64>,
    /// What it may use in each period; -1 for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<i64>,
    /// How long a period is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<u64>,
    /// Which processors, such as `0-2,5`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
    /// Which memory nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mems: Option<String>,
}

/// A limit of tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pids {
    /// How many; -1 for no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}

/// Limits of what goes to and comes from block devices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BlockIo {
    /// Its part where others want the same device, from 10 to 1000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    /// How fast it may read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub throttle_read_bps_device: Vec<Throttle>,
    /// How fast it may write.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub throttle_write_bps_device: Vec<Throttle>,
}

/// A limit for one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throttle {
    /// The device.
    pub major: u64,
    /// The device.
    pub minor: u64,
    /// Bytes per second.
    pub rate: u64,
}

/// Put `new` in the place of `old`, if there is a new one.
fn take<T>(old: &mut Option<T>, new: Option<T>) {
    if new.is_some() {
        *old = new;
    }
}

impl Resources {
    /// Let what `other` says be said here; what it leaves open stays. Devices stay.
    pub fn change(&mut self, other: Resources) {
        let Resources { devices: _, memory, cpu, pids, block_io } = other;
        take(&mut self.memory.limit, memory.limit);
        take(&mut self.memory.swap, memory.swap);
        take(&mut self.cpu.quota, cpu.quota);
        take(&mut self.cpu.period, cpu.period);
        take(&mut self.cpu.shares, cpu.shares);
        take(&mut self.cpu.cpus, cpu.cpus);
        take(&mut self.cpu.mems, cpu.mems);
        take(&mut self.pids.limit, pids.limit);
        take(&mut self.block_io.weight, block_io.weight);
        let throttles = [
            (
                &mut self.block_io.throttle_read_bps_device,
                block_io.throttle_read_bps_device,
            ),
            (
                &mut self.block_io.throttle_write_bps_device,
                block_io.throttle_write_bps_device,
            ),
        ];
        for (old, new) in throttles {
            old.retain(|one| {
                new.iter().all(|it| (it.major, it.minor) != (one.major, one.minor))
            });
            old.extend(new);
        }
    }

    /// Refuse limits that contradict each other.
    pub fn check(&self) -> Result<()> {
        match self.memory {
            Memory { limit: None, swap: Some(_) } => Err(Error::input(
                "--memory-swap is memory and swap together: it needs --memory",
            )),
            Memory { limit: Some(limit), swap: Some(swap) }
                if swap != -1 && swap < limit =>
            {
                Err(Error::input(
                    "--memory-swap is memory and swap together: no less than --memory, or -1",
                ))
            }
            _ => Ok(()),
        }
    }

    /// Whether anything is limited, devices aside.
    pub fn is_limited(&self) -> bool {
        let Resources { devices: _, memory, cpu, pids, block_io } = self;
        *memory != Memory::default()
            || *cpu != Cpu::default()
            || *pids != Pids::default()
            || *block_io != BlockIo::default()
    }
}
