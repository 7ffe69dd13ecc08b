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
    let [passwd, group] = FILES.map(|path| in_layers(layers, Path::new(path)));
    let (passwd, group) = (passwd?, group?);
    Accounts { of: "the image", passwd, group }.find(asked.unwrap_or("0"))
}

/// What the topmost of `layers` that has the file `path` says, or that hides it.
fn in_layers(layers: &[PathBuf], path: &Path) -> Result<Vec<u8>> {
    for layer in layers {
        let steps = path
            .ancestors()
            .map(|step| layer.join(step.strip_prefix("/").unwrap_or(step)));
        let mut steps = steps.filter(|step| step != layer);
        if steps.clone().any(|step| overlay::is_whiteout(&step)) {
            break;
        }
        if let Some(text) = Root::open(layer)?.read(path, MOST_BYTES)? {
            return Ok(text);
        }
        if steps.any(|step| overlay::is_opaque(&step)) {
            break;
        }
    }
    Ok(Vec::new())
}

/// Let `process` be whom `asked` means in the container of process `pid`. Its home is the
/// user's, unless the container was given another one.
pub fn change(process: &mut Process, pid: Pid, asked: &str) -> Result<()> {
    // The container's root as the kernel has it, whatever is mounted in there.
    let root = Root::open(&Path::new("/proc").join(pid.to_string()).join("root"))?;
    let accounts = accounts(&root)?;
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

/// What the container itself says.
fn accounts(root: &Root) -> Result<Accounts> {
    let read = |path: &str| {
        let text = root.read(Path::new(path), MOST_BYTES);
        text.map(Option::unwrap_or_default)
    };
    let [passwd, group] = FILES;
    Ok(Accounts { of: "the container", passwd: read(passwd)?, group: read(group)? })
}

impl From<Identity> for User {
    fn from(found: Identity) -> User {
        User { uid: found.uid, gid: found.gid, additional_gids: found.groups }
    }
}
