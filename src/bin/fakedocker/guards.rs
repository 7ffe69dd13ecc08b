//! What can one say about what a container may do?

use clap::Args;
use fakedocker::guards::Request;

/// Each is read where it is understood: `src/guards.rs` says what would be right.
#[derive(Args)]
pub struct Guards {
    /// A capability besides Docker's fourteen, such as SYS_ADMIN, or ALL
    #[arg(long, value_name = "NAME")]
    cap_add: Vec<String>,
    /// A capability that it is not to have, or ALL
    #[arg(long, value_name = "NAME")]
    cap_drop: Vec<String>,
    /// No guards: all capabilities, calls and devices, and /proc and /sys can be written to
    #[arg(long)]
    privileged: bool,
    /// no-new-privileges=false, seccomp=FILE, seccomp=unconfined
    #[arg(long, value_name = "OPTION")]
    security_opt: Vec<String>,
}

impl Guards {
    pub fn request(&self) -> Request {
        Request {
            cap_add: self.cap_add.clone(),
            cap_drop: self.cap_drop.clone(),
            privileged: self.privileged,
            security: self.security_opt.clone(),
        }
    }
}
