//! How does a test talk to containers that talk to each other?
//!
//! A town is a host and its world (site.rs) with a store of its own. Its containers are real
//! ones, of busybox: a web server in each tells whose it is.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout};
use std::thread;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::engine::{Ending, Engine, Store};
use super::processes::MARK;
use super::rootfs::busybox;
use super::site::Site;
use super::wait::until;

pub struct Town {
    pub site: Site,
    pub store: Store,
}

/// A container that runs until it is let go.
pub struct Guest {
    pub engine: Child,
    pub out: BufReader<ChildStdout>,
}

impl Town {
    pub fn new() -> Town {
        Town { site: Site::new(), store: Store::with("busybox", &busybox()) }
    }

    /// `fakedocker ARGS` on this host.
    pub fn engine(&self, args: &[&str]) -> Engine {
        let host = &self.site.host.pid;
        let enter = ["nsenter", "--net", "--mount", "--target", host];
        self.store.engine(args).inside(&enter)
    }

    /// `fakedocker run --rm FLAGS busybox sh -c SCRIPT`, to its end.
    pub fn run(&self, flags: &[&str], script: &str) -> Ending {
        self.engine(&command(flags, script)).end()
    }

    /// What such a container prints that must do well, and say nothing else.
    pub fn says(&self, flags: &[&str], script: &str) -> String {
        self.run(flags, script).assert_status(0).assert_quiet().out.clone()
    }

    /// A container called `name` with a web server, which serves its name.
    pub fn serve(&self, name: &str, flags: &[&str]) -> Guest {
        let script = format!(
            "mkdir /www; echo {name} > /www/name; httpd -p 80 -h /www; echo up
             exec tail -f /dev/null"
        );
        let flags = [&["--name", name][..], flags].concat();
        let mut guest = self.start(&flags, &script);
        assert_eq!(guest.line(), "up");
        guest
    }

    /// A container that does what `script` says.
    pub fn start(&self, flags: &[&str], script: &str) -> Guest {
        let mut engine = self.engine(&command(flags, script)).start();
        let out = BufReader::new(engine.stdout.take().expect("it is piped"));
        Guest { engine, out }
    }

    /// What is said in the container called `name` that must do well.
    pub fn exec(&self, name: &str, script: &str) -> String {
        self.pid_of(name);
        let ending = self.engine(&["exec", name, "sh", "-c", script]).end();
        ending.assert_status(0).out.clone()
    }

    /// The first process of the container called `name`, as soon as the engine has noted it.
    pub fn pid_of(&self, name: &str) -> String {
        let id = fs::read_link(self.store.path().join("names").join(name));
        let folder = self.store.path().join("containers").join(id.expect("it is there"));
        until("a container that runs", || {
            let state = fs::read(folder.join("state.json")).expect("it has a state");
            let state: Value = serde_json::from_slice(&state).expect("it is JSON");
            state["first"]["pid"].as_i64().map(|pid| pid.to_string())
        })
    }
}

fn command<'w>(flags: &[&'w str], script: &'w str) -> Vec<&'w str> {
    let run = ["run", "--rm", "-e", MARK];
    [&run[..], flags, &["busybox", "sh", "-c", script]].concat()
}

impl Guest {
    /// The next line that it prints.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("it is text");
        line.trim_end().to_string()
    }

    /// End its engine at once, as by `kill -9`.
    pub fn kill_engine(mut self) {
        self.engine.kill().expect("it is there");
        self.engine.wait().expect("it was killed");
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let pid = i32::try_from(self.engine.id()).expect("a PID is an i32");
        // One that has ended already is what we want.
        if self.engine.try_wait().is_ok_and(|ended| ended.is_none()) {
            kill(Pid::from_raw(pid), Signal::SIGTERM).expect("it is there");
            self.engine.wait().expect("it was asked to end");
        }
    }
}

/// Let `play` happen in the network of process `pid`.
pub fn in_network_of<T: Send + 'static>(
    pid: &str,
    play: impl FnOnce() -> T + Send + 'static,
) -> T {
    let namespace = fs::File::open(format!("/proc/{pid}/ns/net")).expect("it is there");
    let player = thread::spawn(move || {
        // A thread of its own: only it moves.
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("we are root");
        play()
    });
    player.join().expect("it plays to its end")
}
