//! What can one say to `fakedocker run` about variables, labels, and the kernel's settings?

use std::path::PathBuf;

use clap::Args;
use fakedocker::settings::{Request, lines};
use stage::Result;

#[derive(Args)]
pub struct Settings {
    /// Set an environment variable, or pass on ours
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// The same for each line of a file
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Something to be known of the container
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    label: Vec<String>,
    /// The same for each line of a file
    #[arg(long, value_name = "FILE")]
    label_file: Vec<PathBuf>,
    /// What each process may use, such as nofile=1024 (open files) or core=0; -1 for no limit
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    ulimit: Vec<String>,
    /// A switch of the container's part of the kernel, such as net.ipv4.ip_unprivileged_port_start=0
    #[arg(long, value_name = "NAME=VALUE")]
    sysctl: Vec<String>,
    /// The size of /dev/shm, with b, k, m or g [default: 64m]
    #[arg(long, value_name = "SIZE")]
    shm_size: Option<String>,
}

/// What files say, and then what the command line says.
pub fn env(files: &[PathBuf], said: &[String]) -> Result<Vec<String>> {
    Ok([lines::read(files)?, said.to_vec()].concat())
}

impl Settings {
    pub fn env(&self) -> Result<Vec<String>> {
        env(&self.env_file, &self.env)
    }

    pub fn request(&self) -> Result<Request> {
        Ok(Request {
            ulimits: self.ulimit.clone(),
            sysctls: self.sysctl.clone(),
            labels: [lines::read(&self.label_file)?, self.label.clone()].concat(),
            shm_size: self.shm_size.clone(),
        })
    }
}
