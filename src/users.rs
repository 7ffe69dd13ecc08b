//! As whom does a process run in a container?
//!
//! As who the container's own /etc/passwd says: lesson 5 knows how to read it. Here is where
//! it is found, before a container starts and while it runs.

use std::path::{Path, PathBuf};

use mount::target::Root;
use stage::{Pid, Result};
use user::accounts::{Accounts, FILES, Identity, MOST_BYTES};

use crate::spec::{Process, User};

/// Whom `asked` (`USER[:GROUP]`, else root) means in an image with these `layers`, the
/// topmost first.
pub fn in_image(layers: &[PathBuf], asked: Option<&str>) -> Result<Identity> {
    let roots =
        layers.iter().map(|layer| Root::open(layer)).collect::<Result<Vec<_>>>()?;
    accounts("the image", &roots)?.find(asked.unwrap_or("0"))
}

/// Let `process` be whom `asked` means in the container of process `pid`. Its home is the
/// user's, unless the container was given another one.
pub fn change(process: &mut Process, pid: Pid, asked: &str) -> Result<()> {
    // The container's root as the kernel has it, whatever is mounted in there.
    let root = Root::open(&Path::new("/proc").join(pid.to_string()).join("root"))?;
    let accounts = accounts("the container", &[root])?;
    let (found, before) =
        (accounts.find(asked)?, accounts.find(&process.user.uid.to_string())?);
    let (home, own) = (format!("HOME={}", found.home), format!("HOME={}", before.home));
    process
        .env
        .iter_mut()
        .filter(|entry| **entry == own)
        .for_each(|entry| *entry = home.clone());
    process.user = found.into();
    Ok(())
}

/// What the topmost of `roots` that has it says.
fn accounts(of: &'static str, roots: &[Root]) -> Result<Accounts> {
    let read = |path: &str| {
        let found = roots
            .iter()
            .find_map(|root| root.read(Path::new(path), MOST_BYTES).transpose());
        found.unwrap_or_else(|| Ok(Vec::new()))
    };
    let [passwd, group] = FILES;
    Ok(Accounts { of, passwd: read(passwd)?, group: read(group)? })
}

impl From<Identity> for User {
    fn from(found: Identity) -> User {
        User { uid: found.uid, gid: found.gid, additional_gids: found.groups }
    }
}
