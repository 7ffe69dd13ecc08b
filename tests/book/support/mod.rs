//! What do the tests stand on?

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::geteuid;

pub mod machine;
pub mod processes;
pub mod tmux;
pub mod wait;

/// The machine is ours as long as we hold this.
pub struct Turn {
    _machine: Flock<File>,
    _thread: MutexGuard<'static, ()>,
}

/// Tests that run our programs take turns: what one leaves behind must not be taken for
/// another's, be it in another thread or in another checkout.
pub fn turn() -> Turn {
    static TURN: Mutex<()> = Mutex::new(());
    assert!(
        geteuid().is_root(),
        "these tests make namespaces: run `sudo -E scripts/check`"
    );
    let _thread = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    // A folder that every machine has, so that the lock leaves nothing behind.
    let run = File::open("/run").expect("/run is there");
    let locked = Flock::lock(run, FlockArg::LockExclusive);
    let _machine = locked.map_err(|(_, errno)| errno).expect("/run can be locked");
    Turn { _machine, _thread }
}

/// The top of the repository.
pub fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The program `name` that this build has made, such as `uts` or `examples/uts-solution`.
/// Lessons are other packages, so Cargo does not tell their paths: they lie beside ours.
pub fn program(name: &str) -> PathBuf {
    let ours = Path::new(env!("CARGO_BIN_EXE_fakedocker"));
    let folder = ours.parent().unwrap_or(Path::new("/"));
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is missing: run `cargo build --workspace --all-targets` first",
        path.display()
    );
    path
}

/// The lessons in the order of their numbers, as folder names: `01-uts`. The stage is none.
pub fn lessons() -> Vec<String> {
    let folders = std::fs::read_dir(top().join("lessons")).expect("lessons/ is there");
    let names = folders.map(|entry| entry.expect("lessons/ can be read").file_name());
    let mut names: Vec<String> = names
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| !name.starts_with("00"))
        .collect();
    names.sort();
    names
}
