//! Do a database and a web server serve many, and lose nothing when all is killed?
//!
//! PostgreSQL and nginx as Debian packages them, in images that the engine has built. The clients
//! of the database are in the web server's container, and find it by its name.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::engine::{Ending, Store};
use crate::support::machine::{Machine, undisturbed};
use crate::support::processes::{self, MARK};
use crate::support::rootfs::services;
use crate::support::wait::{DEADLINE, slowness, until, within};

/// Who they are, and where they find it, as libpq reads it.
const CLIENTS: [&str; 6] =
    ["-e", "PGHOST=db", "-e", "PGUSER=postgres", "-e", "PGDATABASE=postgres"];

/// Clients of the web server, and how often each of them asks.
const VISITORS: usize = 4;
const VISITS: usize = 100;

impl Store {
    /// One that has the images `system`, `db` and `web`.
    pub fn with_services() -> Store {
        let store = Store::new();
        store.loads(&services());
        store
    }

    /// Start the container `db`; its data is on a volume.
    fn run_db(&self) {
        let data = "data:/var/lib/postgresql";
        self.ends(&["run", "-d", "--name", "db", "-e", MARK, "-v", data, "db"]);
        self.await_db();
    }

    /// Start the container `web`, whose port 80 is the host's `port`; its pages are on a volume.
    fn run_web(&self, port: u16) {
        let publish = format!("127.0.0.1:{port}:80");
        let run = ["run", "-d", "--name", "web", "-e", MARK];
        let flags = ["-p", &publish, "-v", "pages:/var/www/html"];
        self.ends(&[&run[..], &flags, &CLIENTS, &["web"]].concat());
    }

    /// What is lost has to be found again first, on a disk that others use, too.
    fn await_db(&self) {
        let ready = || self.engine(&["exec", "db", "pg_isready", "-q"]).end().status;
        let ready = within(DEADLINE * 6, || (ready() == Some(0)).then_some(()));
        assert!(ready.is_some(), "{:#?}", self.engine(&["logs", "db"]).end());
    }

    /// What the database answers.
    fn query(&self, query: &str) -> String {
        let answer = self.ends(&["exec", "web", "psql", "-qAtXc", query]);
        answer.trim_end().to_string()
    }

    /// Make the tables of pgbench, and one of numbers.
    fn fill(&self) {
        self.engine(&["exec", "web", "pgbench", "-iq"]).end().assert_status(0);
        self.query("create table numbers (n integer)");
    }

    /// Four clients that pay, this often each.
    fn bench(&self, times: &str) -> Child {
        self.engine(&["exec", "web", "pgbench", "-n", "-c", "4", "-t", times]).start()
    }

    /// Every payment is in four tables, or in none.
    fn assert_no_payment_is_lost(&self) {
        let sum = |column: &str, table: &str| {
            self.query(&format!("select coalesce(sum({column}), 0) from pgbench_{table}"))
        };
        let paid = sum("delta", "history");
        for (column, table) in
            [("abalance", "accounts"), ("tbalance", "tellers"), ("bbalance", "branches")]
        {
            assert_eq!(sum(column, table), paid, "{table}");
        }
    }

    /// All processes of containers, of who has joined them, and of the engines that keep them.
    fn living(&self) -> BTreeSet<i32> {
        let firsts = self.ends(&["ps", "-q"]);
        let namespaces = firsts.lines().map(|id| {
            let first = self.ends(&["inspect", "-f", "{{.State.Pid}}", id]);
            namespace_of(first.trim_end()).expect("it runs")
        });
        let namespaces: BTreeSet<PathBuf> = namespaces.collect();
        let folders = fs::read_dir("/proc").expect("/proc is mounted").flatten();
        let pids = folders.filter_map(|entry| entry.file_name().into_string().ok());
        let inside = pids.filter(|pid| {
            namespace_of(pid).is_some_and(|namespace| namespaces.contains(&namespace))
        });
        let inside = inside.filter_map(|pid| pid.parse().ok());
        inside.chain(processes::ours().into_iter().map(|process| process.pid)).collect()
    }

    /// How the container `which` has ended.
    fn status_of(&self, which: &str) -> String {
        let status = self.ends(&["inspect", "-f", "{{.State.ExitCode}}", which]);
        status.trim_end().to_string()
    }
}

/// The PID namespace that a process is in; PostgreSQL and nginx write over what marks them.
fn namespace_of(pid: &str) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

/// A port of the host's that nobody uses.
fn free_port() -> u16 {
    let ear = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    ear.local_addr().expect("it has one").port()
}

/// What the web server at `port` answers.
fn fetch(port: u16, path: &str) -> String {
    let mut stream =
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("it listens there");
    let patience = Some(DEADLINE * slowness());
    stream.set_read_timeout(patience).expect("it is a time");
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[test]
fn they_serve_many_at_once_and_end_cleanly() {
    undisturbed(|| {
        let (store, port) = (Store::with_services(), free_port());
        store.run_db();
        store.run_web(port);
        store.fill();
        let page = "echo forty-two > /var/www/html/answer";
        store.ends(&["exec", "web", "sh", "-c", page]);

        let bench = store.bench("250");
        let visit = |_| {
            let answer = fetch(port, "/answer");
            let right = answer.starts_with("HTTP/1.1 200 OK\r\n")
                && answer.ends_with("\r\n\r\nforty-two\n");
            assert!(right, "{answer}");
        };
        thread::scope(|scope| {
            for _ in 0..VISITORS {
                scope.spawn(|| (0..VISITS).for_each(visit));
            }
            let bench = watch(&store, bench);
            assert!(bench.out.contains("actually processed: 1000/1000"), "{bench:#?}");
        });
        assert_eq!(store.query("select count(*) from pgbench_history"), "1000");
        store.assert_no_payment_is_lost();
        until("a line for each visit", || {
            let count = store.ends(&["logs", "web"]).matches("GET /answer ").count();
            (count == VISITORS * VISITS).then_some(())
        });

        store.ends(&["stop", "-t", "60", "web", "db"]);
        assert_eq!(
            (store.status_of("web"), store.status_of("db")),
            ("0".into(), "0".into())
        );
        let log = store.engine(&["logs", "--tail", "1", "db"]).end();
        assert!(log.err.ends_with("database system is shut down\n"), "{log:?}");
        store.ends(&["rm", "web", "db"]);
        store.assert_no_container();
    });
}

/// Look at the containers as long as `load` is on them.
fn watch(store: &Store, mut load: Child) -> Ending {
    let mut has_ended = false;
    while !has_ended {
        has_ended = load.try_wait().expect("it is ours").is_some();
        let stats = store.ends(&["stats", "--no-stream", "--format", "{{.Name}}"]);
        assert_eq!(stats.lines().collect::<BTreeSet<_>>(), BTreeSet::from(["db", "web"]));
        let ps = store.ends(&["ps", "--format", "{{.Names}} {{.State}}"]);
        assert_eq!(ps, "web running\ndb running\n");
        let logs = store.engine(&["logs", "db"]).end();
        assert!(logs.assert_status(0).err.contains("ready to accept"), "{logs:?}");
    }
    let ending = Ending::from(load.wait_with_output().expect("it ends"));
    ending.assert_status(0);
    ending
}

/// A client that adds one number after the other, and prints each when it is told that it is
/// there.
fn count_up(store: &Store) -> Child {
    let script = "n=0; while n=$((n + 1)); do
        echo \"insert into numbers values ($n) returning n;\"
        done | psql -qAtX";
    store.engine(&["exec", "web", "sh", "-c", script]).start()
}

/// Kill all processes with these `pids`, in this order: some go with others.
fn kill_all<'p>(pids: impl Iterator<Item = &'p i32>) {
    for pid in pids {
        match kill(Pid::from_raw(*pid), Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => panic!("kill({pid}): {errno}"),
        }
    }
}

/// When a client among others has been told of so many numbers, kill everybody: the containers'
/// processes, who has joined them, and the engines that keep them. The last number that it was
/// told of.
fn kill_under_load(store: &Store, moment: usize, engines_first: bool) -> usize {
    let mut bench = store.bench("1000000");
    let mut client = count_up(store);
    let out = BufReader::new(client.stdout.take().expect("it is piped"));
    let mut told = out.lines().map_while(Result::ok);
    assert_eq!(told.nth(moment - 1), Some(moment.to_string()));
    let living = store.living();
    assert!(living.len() > 15, "{living:?}");
    // The engines were there before what they keep.
    match engines_first {
        true => kill_all(living.iter()),
        false => kill_all(living.iter().rev()),
    }
    let last = told.last().map(|last| last.parse().expect("a number"));
    for child in [&mut bench, &mut client] {
        child.wait().expect("it was killed");
    }
    let is_there = |pid: &i32| Path::new(&format!("/proc/{pid}")).exists();
    until("their ends", || (!living.iter().any(is_there)).then_some(()));
    last.unwrap_or(moment)
}

/// Wait until the database has found again what it had, and compare.
fn assert_all_is_there(store: &Store, acknowledged: usize) {
    store.await_db();
    let log = store.engine(&["logs", "db"]).end().err;
    assert!(log.contains("automatic recovery in progress"), "{log}");
    let known = store.query("select count(*), max(n) from numbers");
    let (count, largest) = known.split_once('|').expect("two numbers");
    assert_eq!(count, largest);
    let largest: usize = largest.parse().expect("a number");
    println!("acknowledged: {acknowledged}, there: {largest}");
    // One more may have been there before anybody could be told.
    assert!((acknowledged..=acknowledged + 1).contains(&largest), "{largest}");
    store.assert_no_payment_is_lost();
}

/// Whatever it does at that moment, and whoever goes first.
#[test]
fn what_was_acknowledged_is_there_after_all_were_killed() {
    undisturbed(|| {
        let (store, port) = (Store::with_services(), free_port());
        let idle = Machine::look();
        store.run_db();
        store.run_web(port);
        store.fill();
        for (moment, engines_first) in [(123, true), (321, false)] {
            store.query("truncate numbers");
            let acknowledged = kill_under_load(&store, moment, engines_first);
            // The next command tidies up.
            let all = store.ends(&["ps", "-a", "--format", "{{.Names}} {{.State}}"]);
            assert_eq!(all, "web exited\ndb exited\n");
            idle.assert_unchanged();
            store.ends(&["start", "db", "web"]);
            assert_all_is_there(&store, acknowledged);
        }
        assert_eq!(fetch(port, "/nothing").split(' ').nth(1), Some("404"));
        store.ends(&["stop", "-t", "60", "db", "web"]);
        assert_eq!(store.status_of("db"), "0");
        store.ends(&["rm", "db", "web"]);
        // Another container finds the same on the volume.
        store.run_db();
        let count =
            ["exec", "db", "psql", "-qAtXc", "select count(*) > 300 from numbers"];
        assert_eq!(store.ends(&count), "t\n");
        store.ends(&["rm", "-f", "db"]);
        store.assert_no_container();
    });
}
