//! What can one say about what a container may use?

use clap::Args;
use fakedocker::limits::request::Request;

/// Each is read where it is understood: `src/limits/request.rs` says what would be right.
#[derive(Args)]
pub struct Limits {
    /// How many processors' time it may use, such as 0.5
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    cpus: Option<String>,
    /// How long a period of the quota is
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true)]
    cpu_period: Option<String>,
    /// How much processor time it may use in each period; -1 for no limit
    #[arg(long, value_name = "MICROSECONDS", allow_hyphen_values = true)]
    cpu_quota: Option<String>,
    /// Its part where others want the same processor: 1024 is the usual one
    #[arg(short, long, value_name = "NUMBER", allow_hyphen_values = true)]
    cpu_shares: Option<String>,
    /// The processors that it may use, such as 0-2,5
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    cpuset_cpus: Option<String>,
    /// The memory nodes that it may use
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    cpuset_mems: Option<String>,
    /// How much memory it may use, such as 64m
    #[arg(short, long, value_name = "BYTES", allow_hyphen_values = true)]
    memory: Option<String>,
    /// How much memory and swap together [default: twice the memory]; -1 for no limit
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    memory_swap: Option<String>,
    /// How many processes and threads it may have; -1 for no limit
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pids_limit: Option<String>,
    /// Its part where others want the same disk, from 10 to 1000
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    blkio_weight: Option<String>,
    /// How fast it may read from a disk, in bytes per second, such as /dev/sda:1mb
    #[arg(long, value_name = "DEVICE:RATE")]
    device_read_bps: Vec<String>,
    /// How fast it may write to a disk
    #[arg(long, value_name = "DEVICE:RATE")]
    device_write_bps: Vec<String>,
}

impl Limits {
    pub fn request(&self) -> Request {
        Request {
            cpus: self.cpus.clone(),
            cpu_period: self.cpu_period.clone(),
            cpu_quota: self.cpu_quota.clone(),
            cpu_shares: self.cpu_shares.clone(),
            cpuset_cpus: self.cpuset_cpus.clone(),
            cpuset_mems: self.cpuset_mems.clone(),
            memory: self.memory.clone(),
            memory_swap: self.memory_swap.clone(),
            pids_limit: self.pids_limit.clone(),
            blkio_weight: self.blkio_weight.clone(),
            device_read_bps: self.device_read_bps.clone(),
            device_write_bps: self.device_write_bps.clone(),
        }
    }
}
