//! How are several blobs on their way at once?
//!
//! Three threads take one after the other from a list, as Docker does. When one fails, nobody
//! begins another, and those that are at it can ask whether they should go on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Builder};

use image::manifest::Descriptor;
use stage::Error;

use super::Trouble;

const AT_ONCE: usize = 3;

/// Do `action` to each of `blobs`, once; what came of it, in any order. It is told by whom to
/// ask whether another one has failed.
pub(crate) fn each_once<T: Send>(
    blobs: &[&Descriptor],
    action: impl Fn(&Descriptor, &AtomicBool) -> Result<T, Trouble> + Sync,
) -> Result<Vec<T>, Trouble> {
    let mut seen = BTreeSet::new();
    let once = blobs.iter().filter(|blob| seen.insert(&blob.digest));
    let queue = Mutex::new(once.copied().collect::<Vec<_>>().into_iter());
    let (done, failed) = (Mutex::new(Vec::new()), Mutex::new(None));
    let stop = AtomicBool::new(false);
    let work = || {
        while !stop.load(Ordering::Relaxed)
            && let Some(blob) = next(&queue)
        {
            match action(blob, &stop) {
                Ok(result) => hold(&done).push(result),
                Err(trouble) => {
                    stop.store(true, Ordering::Relaxed);
                    // The first one is the reason; the others were told to stop.
                    hold(&failed).get_or_insert(trouble);
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(blobs.len()) {
            let started = Builder::new().spawn_scoped(scope, work);
            started.map_err(|error| Error::io("clone3", &error))?;
        }
        Ok::<_, Trouble>(())
    })?;
    match hold(&failed).take() {
        Some(trouble) => Err(trouble),
        None => Ok(std::mem::take(&mut hold(&done))),
    }
}

/// No longer than for this: another thread wants one, too.
fn next<'b>(
    queue: &Mutex<impl Iterator<Item = &'b Descriptor>>,
) -> Option<&'b Descriptor> {
    hold(queue).next()
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
