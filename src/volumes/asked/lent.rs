//! What does another container have that this one is to have, too?
//!
//! `--volumes-from CONTAINER`: its volumes and what it sees of the host, in the same places. What it
//! may only read, nobody may write to by this.

use stage::{Error, FAILED, Result};

use super::Request;
use crate::container;
use crate::inspect;
use crate::spec::Mount;
use crate::store::Store;

/// What the lenders have, the last one's first. They need not run.
pub fn lent(store: &Store, request: &Request) -> Result<Vec<Mount>> {
    let mut mounts = Vec::new();
    for text in request.lenders.iter().rev() {
        mounts.extend(lent_by(store, text)?);
    }
    Ok(mounts)
}

fn lent_by(store: &Store, text: &str) -> Result<Vec<Mount>> {
    let wrong = |error: Error| error.within(format!("--volumes-from {text:?}"));
    let (lender, is_fixed) = match text.split_once(':') {
        None | Some((_, "rw")) => (text.trim_end_matches(":rw"), false),
        Some((lender, "ro")) => (lender, true),
        Some((_, mode)) => {
            return Err(wrong(Error::input(format!("{mode:?} is neither ro nor rw"))));
        }
    };
    let known = container::known(store, lender, &store.lock_containers()?);
    let known = known.map_err(|error| wrong(error).status(FAILED))?;
    let mut mounts: Vec<Mount> = inspect::shown(&known.spec).cloned().collect();
    for mount in mounts.iter_mut().filter(|_| is_fixed) {
        mount.options.retain(|option| option != "ro");
        mount.options.push("ro".into());
    }
    Ok(mounts)
}
