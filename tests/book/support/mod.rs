//! What do the tests stand on?

pub mod narration;
pub mod strace;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Tests that run our programs take turns: what one leaves behind must not be taken for
/// another's.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
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
