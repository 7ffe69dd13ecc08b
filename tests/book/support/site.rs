//! How do the tests have a network without touching the machine's?
//!
//! A namespace of theirs plays the host, a second one the world that the host has its
//! default route to. Both have a /run of their own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::{fs, thread};

use nix::sched::{CloneFlags, setns, unshare};
use serde_json::Value;

use super::processes::mark;
use super::program;
use super::wait::{DEADLINE, slowness, until};

pub const WORLD: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
pub const HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

/// A process that keeps a network namespace, and a /run of its own.
pub struct Stack {
    keeper: Child,
    /// The process in it, which need not be the one that we have started.
    pub pid: String,
}

impl Stack {
    pub fn new() -> Stack {
        let mut unshare = Command::new("unshare");
        unshare.args(["--net", "--mount", "sh", "-c"]);
        Stack::keep(unshare.arg(
            "mount -t tmpfs tmpfs /run && ip link set lo up && echo $$ && exec sleep infinity",
        ))
    }

    /// Start `command`, which says its PID in a line of its own.
    pub fn keep(command: &mut Command) -> Stack {
        mark(command).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut keeper = command.spawn().expect("it starts");
        let mut said = BufReader::new(keeper.stdout.take().expect("it is piped")).lines();
        let is_pid = |line: &String| line.parse::<u32>().is_ok();
        let pid = said.find_map(|line| line.ok().filter(is_pid));
        let stack = Stack { keeper, pid: pid.unwrap_or_default() };
        assert_ne!(stack.pid, "", "it ended early");
        // Whoever writes to us later is not to be told that nobody listens.
        thread::spawn(move || said.for_each(drop));
        stack
    }

    pub fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--mount", "--target", &self.pid]);
        mark(&mut command);
        command
    }

    /// Let `play` happen in here; a thread of its own does it, and those that this starts.
    pub fn host_all<T: Send>(&self, play: impl FnOnce() -> T + Send) -> T {
        let file = |kind| fs::File::open(format!("/proc/{}/ns/{kind}", self.pid));
        let [net, mounts] = ["net", "mnt"].map(|kind| file(kind).expect("it is there"));
        let player = move || {
            setns(net, CloneFlags::CLONE_NEWNET).expect("we are root");
            // Who shares a working directory with others may not leave them.
            unshare(CloneFlags::CLONE_FS).expect("we are root");
            setns(mounts, CloneFlags::CLONE_NEWNS).expect("we are root");
            play()
        };
        thread::scope(|scope| scope.spawn(player).join().expect("it plays to its end"))
    }

    pub fn run(&self, script: &str) -> Output {
        self.enter().args(["sh", "-c", script]).output().expect("nsenter is there")
    }

    /// What a script says that must succeed.
    pub fn says(&self, script: &str) -> String {
        let output = self.run(script);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}\n{said}{complained}");
        said
    }

    pub fn json(&self, command: &str) -> Value {
        serde_json::from_str(&self.says(command)).expect("it is JSON")
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // The processes of a lesson end with it.
        self.keeper.kill().ok();
        self.keeper.wait().ok();
    }
}

/// A host with a default route into a world.
pub struct Site {
    pub host: Stack,
    pub world: Stack,
}

impl Site {
    pub fn new() -> Site {
        let (host, world) = (Stack::new(), Stack::new());
        host.says(&format!(
            "ip link add up0 type veth peer name host0 netns {}
             ip address add {HOST}/24 dev up0 && ip link set up0 up",
            world.pid
        ));
        world.says(&format!(
            "ip address add {WORLD}/24 dev host0 && ip link set host0 up"
        ));
        host.says(&format!("ip route add default via {WORLD}"));
        // A worker of the kernel's notices that the other end is up.
        until("a carrier", || {
            host.says("ip -oneline link show up0").contains("state UP").then_some(())
        });
        Site { host, world }
    }

    /// The lesson's container, on this host.
    pub fn container(&self, options: &[&str]) -> Stack {
        let mut net = self.host.enter();
        net.arg(program("net")).args(options);
        Stack::keep(net.args(["--", "sh", "-c", "echo $$; exec sleep infinity"]))
    }

    /// Forward nothing but what a rule allows, and translate for others: as Docker does.
    pub fn install_docker(&self) {
        self.host.says(
            "iptables -P FORWARD DROP && iptables -N DOCKER-USER &&
             iptables -A FORWARD -j DOCKER-USER &&
             iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
        );
    }

    /// All that `host_net.sh down` must leave as it was.
    pub fn look(&self) -> String {
        self.host.says(
            "ip -oneline link; ip -4 route; nft --stateless list ruleset
             iptables-save | sed -e '/^#/d' -e 's/ \\[.*//'
             cat /proc/sys/net/ipv4/ip_forward; find /run",
        )
    }

    /// A web server out there that answers one request, and tells who asked.
    pub fn serve(&self, text: &'static str) -> Receiver<IpAddr> {
        let (say, told) = channel();
        let (ready, is_ready) = channel();
        let namespace = fs::File::open(format!("/proc/{}/ns/net", self.world.pid));
        let namespace = namespace.expect("the world is there");
        thread::spawn(move || {
            // A thread of its own: only it moves.
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("we are root");
            let listener = TcpListener::bind((WORLD, 80)).expect("the port is free");
            ready.send(()).expect("somebody waits");
            let (mut stream, from) = listener.accept().expect("somebody asks");
            let request = stream.read(&mut [0; 1024]);
            request.expect("a request fits in one packet");
            let header = "HTTP/1.0 200 OK\r\nConnection: close\r\n";
            write!(stream, "{header}Content-Length: {}\r\n\r\n{text}", text.len())
                .expect("it is still there");
            say.send(from.ip()).expect("somebody wants to know");
        });
        is_ready.recv_timeout(DEADLINE * slowness()).expect("the server starts");
        told
    }
}

/// A folder with some of the machine's programs, for a PATH that lacks the others.
pub struct Programs(PathBuf);

impl Programs {
    pub fn only(names: &str) -> Programs {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("programs-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::remove_dir_all(&folder).ok(); // of an earlier run
        fs::create_dir(&folder).expect("the target folder is ours");
        for name in names.split(' ') {
            let places = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(Path::new);
            let mut place = places.into_iter().map(|place| place.join(name));
            let place = place.find(|path| path.exists());
            let place = place.unwrap_or_else(|| panic!("{name} is not installed"));
            symlink(place, folder.join(name)).expect("the folder is ours");
        }
        Programs(folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        // The next use begins with that, too.
        fs::remove_dir_all(&self.0).ok();
    }
}
