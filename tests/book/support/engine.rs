//! How does a test talk to the engine?
//!
//! By its command line, as a user would. Each test has a store of its own, on the disk, so
//! that it sees nothing of the user's; it goes with the test. What runs in a container
//! carries our mark, so that none of it can be left behind unseen.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{must_have_turn, processes, program};

/// A folder on the disk that goes with the test. Not under /tmp or /run: these the
/// container has for itself.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(what: &str) -> Folder {
        Folder::below("/var/tmp", what)
    }

    /// One that the image `host` has, too: /var/tmp may be a file system of its own.
    pub fn of_host(what: &str) -> Folder {
        Folder::below("/opt", what)
    }

    fn below(folder: &str, what: &str) -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (ours, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let name = format!("{folder}/fakedocker-{what}-{ours}-{count}");
        must_have_turn(&name);
        fs::create_dir(&name).expect("root can write there");
        Folder(name.into())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path in it, as text.
    pub fn at(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Write a file in it; its path.
    pub fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.0.join(name), text).expect("the folder is ours");
        self.at(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is found by the comparison of the machine before and after.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A store of images and containers.
pub struct Store(Folder);

impl Store {
    /// An empty one.
    pub fn new() -> Store {
        Store(Folder::new("store"))
    }

    /// One that has the image `name`.
    pub fn with(name: &str, tarball: &Path) -> Store {
        let store = Store::new();
        let tarball = tarball.display().to_string();
        store.engine(&["import", &tarball, name]).end().assert_status(0);
        store
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// `fakedocker ARGS` on this store, to be started.
    pub fn engine(&self, args: &[&str]) -> Engine {
        Engine::on(self.path(), args)
    }

    /// `fakedocker run --rm ARGS`, to be started. The mark goes into the container.
    pub fn run(&self, args: &[&str]) -> Engine {
        self.engine(&[&["run", "--rm", "-e", processes::MARK][..], args].concat())
    }

    /// Let a shell on `host` play `script`; what it printed.
    pub fn on_host(&self, script: &str) -> String {
        self.run(&["host", "sh", "-c", script]).end().assert_status(0).out.clone()
    }

    /// Everything in the store; the times and contents of files do not matter.
    pub fn contents(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        let mut folders = vec![self.path().to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    folders.push(entry.path());
                }
                found.insert(entry.path());
            }
        }
        found
    }

    /// The folders of containers, and the names that are taken.
    pub fn containers(&self) -> Vec<PathBuf> {
        let folders = ["containers", "names"].map(|name| self.path().join(name));
        let entries = folders.iter().flat_map(fs::read_dir).flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    }

    pub fn assert_no_container(&self) {
        assert_eq!(self.containers(), [""; 0].map(PathBuf::from));
    }
}

/// A test that has failed does not end what it has started.
impl Drop for Store {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let all = self.engine(&["ps", "-aq"]).end().out;
            let all: Vec<&str> = all.lines().collect();
            if !all.is_empty() {
                self.engine(&[&["rm", "-f"], &all[..]].concat()).end();
            }
        }
    }
}

/// A command line that is about to be run.
pub struct Engine(Command);

impl Engine {
    /// `fakedocker ARGS` with the store in `root`.
    pub fn on(root: impl AsRef<OsStr>, args: &[&str]) -> Engine {
        let mut command = Command::new(program("fakedocker"));
        command.arg("--root").arg(root).args(args);
        Engine::of(command)
    }

    /// Any command that runs the engine in the end.
    pub fn of(mut command: Command) -> Engine {
        command.stdin(Stdio::null());
        processes::mark(&mut command);
        Engine(command)
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Engine {
        self.0.env(name, value);
        self
    }

    /// What is about to be run.
    pub fn command(&self) -> &Command {
        &self.0
    }

    /// Run it inside another program, such as `["unshare", "--mount"]`.
    pub fn inside(self, wrapper: &[&str]) -> Engine {
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(self.0.get_program()).args(self.0.get_args());
        Engine::of(command)
    }

    /// Run it to its end.
    pub fn end(mut self) -> Ending {
        Ending::from(self.0.output().expect("the engine starts"))
    }

    /// Run it to its end, with `input` on its standard input.
    pub fn end_with(self, input: &str) -> Ending {
        let mut child = self.start();
        let mut stdin = child.stdin.take().expect("it is piped");
        // Who does not read its input is no reason to fail here.
        stdin.write_all(input.as_bytes()).ok();
        drop(stdin);
        Ending::from(child.wait_with_output().expect("it can be waited for"))
    }

    /// Run it to its end, with `file` as its standard input.
    pub fn end_from(mut self, file: fs::File) -> Ending {
        self.0.stdin(file);
        self.end()
    }

    /// Start it, with pipes.
    pub fn start(mut self) -> Child {
        self.0.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.0.spawn().expect("the engine starts")
    }
}

/// How the engine ended, and what was said.
#[derive(Debug)]
pub struct Ending {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ending {
    fn from(output: Output) -> Ending {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        Ending { status: output.status.code(), out, err }
    }
}

impl Ending {
    pub fn assert_status(&self, expected: i32) -> &Ending {
        assert_eq!(self.status, Some(expected), "{self:#?}");
        self
    }

    /// One line says what went wrong, and perhaps one what to do; nothing else is said.
    pub fn assert_one_error(&self) -> &str {
        let mut lines = self.err.lines();
        let error = lines.next().unwrap_or_default();
        assert!(error.starts_with("error: "), "{self:#?}");
        if let Some(hint) = lines.next() {
            assert!(hint.starts_with("hint: "), "{self:#?}");
        }
        assert_eq!((lines.next(), self.out.as_str()), (None, ""), "{self:#?}");
        error
    }

    /// Nothing was said on standard error.
    pub fn assert_quiet(&self) -> &Ending {
        assert_eq!(self.err, "", "{self:#?}");
        self
    }
}
