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
    let lesson = |number: u8, things: Vec<String>| {
        things.into_iter().map(move |thing| format!("lesson {number}: {thing}"))
    };
    let mut done: Vec<String> = lesson(2, ipc::objects::sweep()?).collect();
    done.extend(lesson(6, net::sweep()?));
    done.extend(network::sweep()?);
    done.extend(lesson(9, cgroup::sweep()?));
    done.extend(lesson(18, overlay::sweep()?));
    done.extend(lesson(19, cow::mapper::sweep()?));
    if root.is_dir() {
        // What our containers have written may be their users'.
        rootless::enter(false)?;
        let store = Store::open(root)?;
        done.extend(container::sweep(&store)?);
        Volumes::of(store.root()).sweep()?;
    }
    Ok(done)
}
