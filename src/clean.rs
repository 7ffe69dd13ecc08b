//! What is left on this machine that carries our name?
//!
//! Everything that outlives its process was written down before it was made; what nobody
//! holds any more is taken back here. Images, and containers that ended and were kept, are
//! the user's: they stay.

use std::path::Path;

use stage::Result;

use crate::container;
use crate::network;
use crate::rootless;
use crate::store::Store;
use crate::volumes::Volumes;

/// Take back what killed lessons and engines have left; returns a line for each thing.
pub fn clean(root: &Path) -> Result<Vec<String>> {
    let mut done = of_lesson(2, ipc::objects::sweep()?);
    done.extend(of_lesson(6, net::sweep()?));
    done.extend(network::sweep()?);
    done.extend(of_lesson(9, cgroup::sweep()?));
    done.extend(of_lesson(18, overlay::sweep()?));
    done.extend(of_lesson(19, cow::mapper::sweep()?));
    if root.is_dir() {
        // What our containers have written may be their users'.
        rootless::enter(false)?;
        let store = Store::open(root)?;
        done.extend(container::sweep(&store)?);
        Volumes::of(store.root()).sweep()?;
    }
    Ok(done)
}

/// What [`clean`] would take back: nothing is changed.
pub fn left(root: &Path) -> Result<Vec<String>> {
    let mut left = of_lesson(2, ipc::objects::left()?);
    left.extend(of_lesson(6, net::left()?));
    left.extend(network::left()?);
    left.extend(of_lesson(9, cgroup::left()?));
    left.extend(of_lesson(18, overlay::left()?));
    left.extend(of_lesson(19, cow::mapper::left()?));
    left.extend(container::left(root)?);
    Ok(left)
}

fn of_lesson(number: u8, things: Vec<String>) -> Vec<String> {
    things.into_iter().map(|thing| format!("lesson {number}: {thing}")).collect()
}
