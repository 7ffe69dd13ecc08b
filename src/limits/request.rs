//! What may somebody ask for, on this machine?
//!
//! Docker's flags, in Docker's units. Each is checked before anything is touched, and who is
//! refused is told what would do.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

use block_io::Device;
use stage::{Error, Result};

use super::units::{self, bytes};
use crate::spec::resources::{BlockIo, Cpu, Memory, Pids, Resources, Throttle};

/// What the command line says of limits, as it was typed.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `--cpus`
    pub cpus: Option<String>,
    /// `--cpu-period`
    pub cpu_period: Option<String>,
    /// `--cpu-quota`
    pub cpu_quota: Option<String>,
    /// `--cpu-shares`
    pub cpu_shares: Option<String>,
    /// `--cpuset-cpus`
    pub cpuset_cpus: Option<String>,
    /// `--cpuset-mems`
    pub cpuset_mems: Option<String>,
    /// `--memory`
    pub memory: Option<String>,
    /// `--memory-swap`
    pub memory_swap: Option<String>,
    /// `--pids-limit`
    pub pids_limit: Option<String>,
    /// `--blkio-weight`
    pub blkio_weight: Option<String>,
    /// `--device-read-bps`
    pub device_read_bps: Vec<String>,
    /// `--device-write-bps`
    pub device_write_bps: Vec<String>,
}

/// The usual period of a quota, in microseconds.
pub const PERIOD: u64 = 100_000;

/// Microseconds: the kernel's own bounds (kernel/sched/core.c, tg_set_cfs_bandwidth).
const PERIODS: RangeInclusive<u64> = 1000..=1_000_000;
const LEAST_QUOTA: i64 = 1000;

impl Request {
    /// The same, understood and checked.
    pub fn read(&self) -> Result<Resources> {
        Ok(Resources {
            devices: Vec::new(),
            memory: self.memory()?,
            cpu: self.cpu()?,
            pids: Pids { limit: self.pids()? },
            block_io: self.block_io()?,
        })
    }

    fn cpu(&self) -> Result<Cpu> {
        let (quota, period) = match &self.cpus {
            None => self.bandwidth()?,
            Some(_) if self.cpu_period.is_some() || self.cpu_quota.is_some() => {
                return Err(Error::input(
                    "--cpus is a period and a quota: give it, or --cpu-period and --cpu-quota",
                ));
            }
            Some(cpus) => (Some(read_cpus(cpus)?), Some(PERIOD)),
        };
        let shares = ranged("--cpu-shares", self.cpu_shares.as_deref(), 2..=262_144)?;
        Ok(Cpu {
            shares,
            quota,
            period,
            cpus: listed("--cpuset-cpus", self.cpuset_cpus.as_deref(), units::CORES)?,
            mems: listed("--cpuset-mems", self.cpuset_mems.as_deref(), units::NODES)?,
        })
    }

    fn bandwidth(&self) -> Result<(Option<i64>, Option<u64>)> {
        let period = ranged("--cpu-period", self.cpu_period.as_deref(), PERIODS)?;
        let right = || format!("microseconds from {LEAST_QUOTA} on, or -1 for no limit");
        let quota = number("--cpu-quota", self.cpu_quota.as_deref(), right)?;
        match quota {
            Some(quota) if quota != -1 && quota < LEAST_QUOTA => {
                Err(wrong("--cpu-quota", quota, right()))
            }
            _ => Ok((quota, period)),
        }
    }

    fn memory(&self) -> Result<Memory> {
        let limit = self.memory.as_deref();
        let limit =
            limit.map(|text| bytes("--memory", text, memory::LEAST)).transpose()?;
        let swap = match self.memory_swap.as_deref() {
            None => None,
            Some("-1") => Some(-1),
            Some(text) => Some(bytes("--memory-swap", text, memory::LEAST)?),
        };
        Ok(Memory { limit, swap })
    }

    fn pids(&self) -> Result<Option<i64>> {
        let right = || "a number of tasks from 1 on, or -1 for no limit".to_string();
        let limit = number("--pids-limit", self.pids_limit.as_deref(), right)?;
        match limit {
            // Docker's other way to say it.
            Some(0) => Ok(Some(-1)),
            Some(count) if count < -1 || count > i64::from(u32::MAX) => {
                Err(wrong("--pids-limit", count, right()))
            }
            limit => Ok(limit),
        }
    }

    fn block_io(&self) -> Result<BlockIo> {
        let all = |flag: &str, texts: &[String]| {
            texts.iter().map(|text| throttle(flag, text)).collect::<Result<_>>()
        };
        Ok(BlockIo {
            weight: ranged("--blkio-weight", self.blkio_weight.as_deref(), 10..=1000)?,
            throttle_read_bps_device: all("--device-read-bps", &self.device_read_bps)?,
            throttle_write_bps_device: all("--device-write-bps", &self.device_write_bps)?,
        })
    }
}

/// A quota for the usual period.
fn read_cpus(text: &str) -> Result<i64> {
    let count = units::present(units::CORES).len();
    let right = format!(
        "a number of processors from 0.01 to {count}.00: this machine has {count}"
    );
    match text.parse::<f64>() {
        Ok(cpus) if (0.01..=count as f64).contains(&cpus) => {
            Ok((cpus * PERIOD as f64).round() as i64)
        }
        _ => Err(wrong("--cpus", text, right)),
    }
}

fn listed(flag: &str, text: Option<&str>, file: &str) -> Result<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    let there = units::present(file);
    let asked = units::list(text).filter(|asked| asked.is_subset(&there));
    let right =
        || format!("a list such as 0-2,5: this machine has {}", units::shown(file));
    asked.map(|_| Some(text.to_string())).ok_or_else(|| wrong(flag, text, right()))
}

/// `PATH:RATE`, the rate in bytes per second.
fn throttle(flag: &str, text: &str) -> Result<Throttle> {
    let right = "DEVICE:RATE, such as /dev/sda:1mb";
    let (path, rate) = text.rsplit_once(':').ok_or_else(|| wrong(flag, text, right))?;
    let rate = bytes(flag, rate, 1)?;
    let Device { major, minor } = Device::at(Path::new(path))?;
    Ok(Throttle { major, minor, rate: rate.unsigned_abs() })
}

fn ranged<T>(
    flag: &str,
    text: Option<&str>,
    range: RangeInclusive<T>,
) -> Result<Option<T>>
where
    T: FromStr + PartialOrd + Display,
{
    let right = || format!("a number from {} to {}", range.start(), range.end());
    match number(flag, text, right)? {
        Some(number) if !range.contains(&number) => Err(wrong(flag, number, right())),
        number => Ok(number),
    }
}

fn number<T: FromStr>(
    flag: &str,
    text: Option<&str>,
    right: impl Fn() -> String,
) -> Result<Option<T>> {
    let read = |text: &str| text.parse().map_err(|_| wrong(flag, text, right()));
    text.map(read).transpose()
}

fn wrong(flag: &str, text: impl Display, right: impl Display) -> Error {
    Error::input(format!("{flag} {text}: it takes {right}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(change: impl FnOnce(&mut Request)) -> Result<Resources> {
        let mut request = Request::default();
        change(&mut request);
        request.read()
    }

    #[test]
    fn cpus_are_a_quota() {
        let cpu = asking(|it| it.cpus = Some("0.2".into())).unwrap().cpu;
        assert_eq!((cpu.quota, cpu.period), (Some(20_000), Some(100_000)));
        for text in ["0", "-1", "abc", "100000", "nan", "inf", ""] {
            let error = asking(|it| it.cpus = Some(text.into())).unwrap_err();
            assert!(error.to_string().contains("from 0.01 to "), "{text}: {error}");
        }
    }

    #[test]
    fn what_cannot_be_is_told_with_what_can() {
        let refused = |change: fn(&mut Request), right: &str| {
            let error = asking(change).unwrap_err().to_string();
            assert!(error.contains(right), "{error}");
        };
        refused(|it| it.cpu_period = Some("999".into()), "from 1000 to 1000000");
        refused(|it| it.cpu_quota = Some("0".into()), "microseconds from 1000 on");
        refused(|it| it.cpu_shares = Some("1".into()), "from 2 to 262144");
        refused(|it| it.cpuset_cpus = Some("0-9999".into()), "this machine has");
        refused(|it| it.cpuset_mems = Some("4-1".into()), "this machine has");
        refused(|it| it.memory = Some("1k".into()), "from 6m on");
        refused(|it| it.memory = Some("6x".into()), "b, k, m, g");
        refused(|it| it.pids_limit = Some("-2".into()), "from 1 on, or -1");
        refused(|it| it.blkio_weight = Some("5".into()), "from 10 to 1000");
        refused(|it| it.device_read_bps = vec!["/dev/null".into()], "DEVICE:RATE");
        refused(|it| it.device_write_bps = vec!["/dev/null:1mb".into()], "/dev/null");
    }
}
