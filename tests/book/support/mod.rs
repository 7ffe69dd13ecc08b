//! What do the tests stand on?

pub mod console;
pub mod course;
pub mod engine;
#[cfg(target_arch = "x86_64")]
pub mod faults;
pub mod items;
pub mod layout;
pub mod machine;
pub mod narration;
pub mod picture;
pub mod processes;
pub mod registry;
pub mod rootfs;
pub mod site;
pub mod skip;
pub mod strace;
pub mod student;
pub mod tmux;
pub mod town;
pub mod wait;

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::geteuid;

thread_local! {
    /// Whether this thread has a [`Turn`].
    static HAS_TURN: Cell<bool> = const { Cell::new(false) };
}

/// The machine is ours as long as we hold this.
pub struct Turn {
    _machine: Flock<File>,
    _thread: MutexGuard<'static, ()>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        HAS_TURN.set(false);
    }
}

/// What `what` makes would be taken for something that another test has left. The threads that a
/// test starts have no name: they are its own business.
pub fn must_have_turn(what: &str) {
    let has = HAS_TURN.get() || std::thread::current().name().is_none();
    assert!(has, "{what} is made outside of `undisturbed`, or of a `turn`");
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
    HAS_TURN.set(true);
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

/// Copy `program` to `to`, from where it is started. By another process: if we had it open to
/// write to, a child that another test has just forked would have so, too, for a moment, and
/// nobody could execute it (ETXTBSY).
pub fn copy_program(program: &Path, to: impl AsRef<OsStr>) {
    let done = Command::new("cp").arg(program).arg(to).status();
    assert!(done.expect("cp is there").success(), "{}", program.display());
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

/// All files of the project, from its top: those that git knows or would take.
pub fn files() -> Vec<String> {
    let mut git = Command::new("git");
    git.args(["-c", "safe.directory=*", "ls-files", "--cached", "--others"]);
    let listed = git.arg("--exclude-standard").current_dir(top()).output();
    let listed = listed.expect("git lists the files");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let mut files: Vec<String> =
        String::from_utf8_lossy(&listed.stdout).lines().map(String::from).collect();
    files.retain(|file| top().join(file).exists());
    files.sort();
    files.dedup();
    files
}

/// The Rust files under `folder`.
pub fn sources(folder: &str) -> Vec<String> {
    let within = |file: &String| file.starts_with(folder) && file.ends_with(".rs");
    files().into_iter().filter(within).collect()
}

/// The pages of the book.
pub fn pages() -> Vec<String> {
    let at_top = [
        "README.md",
        "get-started.md",
        "instructor.md",
        "tutorial.md",
        "ARCHITECTURE.md",
    ];
    let is_page = |file: &String| {
        at_top.contains(&file.as_str())
            || (file.starts_with("lessons/") && file.ends_with("/README.md"))
    };
    files().into_iter().filter(is_page).collect()
}

/// The text of a file of the project.
pub fn read(file: &str) -> String {
    std::fs::read_to_string(top().join(file)).expect("a file of the project can be read")
}
