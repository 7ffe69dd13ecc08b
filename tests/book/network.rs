//! Do the network scripts keep their word?
//!
//! The machine's own network is not touched: a namespace of the test's plays the host, a
//! second one the world that the host has its default route to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::{fs, thread};

use nix::sched::{CloneFlags, setns};
use serde_json::Value;

use crate::support::machine::undisturbed;
use crate::support::processes::mark;
use crate::support::wait::{DEADLINE, until};
use crate::support::{program, top};

const WORLD: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);

/// A process that keeps a network namespace, and a /run of its own.
struct Stack {
    keeper: Child,
    /// The process in it, which need not be the one that we have started.
    pid: String,
}

impl Stack {
    fn new() -> Stack {
        let mut unshare = Command::new("unshare");
        unshare.args(["--net", "--mount", "sh", "-c"]);
        Stack::keep(unshare.arg(
            "mount -t tmpfs tmpfs /run && ip link set lo up && echo $$ && exec sleep infinity",
        ))
    }

    /// Start `command`, which says its PID in a line of its own.
    fn keep(command: &mut Command) -> Stack {
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

    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--mount", "--target", &self.pid]);
        mark(&mut command);
        command
    }

    fn run(&self, script: &str) -> Output {
        self.enter().args(["sh", "-c", script]).output().expect("nsenter is there")
    }

    /// What a script says that must succeed.
    fn says(&self, script: &str) -> String {
        let output = self.run(script);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}\n{said}{complained}");
        said
    }

    fn json(&self, command: &str) -> Value {
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
struct Site {
    host: Stack,
    world: Stack,
}

impl Site {
    fn new() -> Site {
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
        Site { host, world }
    }

    /// The lesson's container, on this host.
    fn container(&self, options: &[&str]) -> Stack {
        let mut net = self.host.enter();
        net.arg(program("net")).args(options);
        Stack::keep(net.args(["--", "sh", "-c", "echo $$; exec sleep infinity"]))
    }

    /// Forward nothing but what a rule allows, and translate for others: as Docker does.
    fn install_docker(&self) {
        self.host.says(
            "iptables -P FORWARD DROP && iptables -N DOCKER-USER &&
             iptables -A FORWARD -j DOCKER-USER &&
             iptables -t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
        );
    }

    /// All that `host_net.sh down` must leave as it was.
    fn look(&self) -> String {
        self.host.says(
            "ip -oneline link; ip -4 route; nft --stateless list ruleset
             iptables-save | sed -e '/^#/d' -e 's/ \\[.*//'
             cat /proc/sys/net/ipv4/ip_forward; find /run",
        )
    }

    /// A web server out there that answers one request, and tells who asked.
    fn serve(&self, text: &'static str) -> Receiver<IpAddr> {
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
        is_ready.recv_timeout(DEADLINE).expect("the server starts");
        told
    }
}

fn script(name: &str) -> String {
    top().join("scripts").join(name).display().to_string()
}

/// A folder with the programs that host_net.sh needs when there is no nft.
fn programs_without_nft() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("without-nft");
    fs::remove_dir_all(&folder).ok(); // of an earlier run
    fs::create_dir(&folder).expect("the target folder is ours");
    let names = "bash cat grep id ip iptables iptables-save mkdir rm rmdir sed";
    for name in names.split(' ') {
        let places = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(Path::new);
        let mut place = places.into_iter().map(|place| place.join(name));
        let place = place.find(|path| path.exists());
        let place = place.unwrap_or_else(|| panic!("{name} is not installed"));
        symlink(place, folder.join(name)).expect("the folder is ours");
    }
    folder
}

/// The original experiment: a container without network, the scripts, and the world.
fn experiment(docker: bool, host_net: &str) {
    let site = Site::new();
    if docker {
        site.install_docker();
    }
    let before = site.look();
    let container = site.container(&["--bare"]);
    let pid = &container.pid;
    for _ in 0..2 {
        let said = site.host.says(&format!("{host_net} {pid}"));
        assert!(said.starts_with("inside: scripts/inner_net.sh 10.207.0.2/24"), "{said}");
        assert_eq!(site.host.says(host_net), "uplink: up0\n");
        container.says(&format!(
            "busybox sh {} 10.207.0.2/24 10.207.0.1",
            script("inner_net.sh")
        ));
    }
    container.says("ping -c1 -W5 10.207.0.1");
    site.host.says("ping -c1 -W5 10.207.0.2");
    container.says(&format!("ping -c1 -W5 {WORLD}"));
    let asked = site.serve("greetings from the world");
    let fetched = container.says(&format!("busybox wget -q -O - http://{WORLD}/hello"));
    assert_eq!(fetched, "greetings from the world");
    assert_eq!(asked.recv_timeout(DEADLINE), Ok(IpAddr::V4(HOST)));

    let during = site.look();
    assert!(
        during.contains("fakedocker0") && during.contains("10.207.0.0/24"),
        "{during}"
    );
    for _ in 0..2 {
        site.host.says(&format!("{host_net} down"));
        assert_eq!(site.look(), before);
    }
    assert!(!container.says("cat /proc/net/dev").contains("eth0"));
}

#[test]
fn a_container_reaches_the_world_by_the_scripts() {
    undisturbed(|| experiment(false, &script("host_net.sh")));
}

#[test]
fn a_container_reaches_the_world_past_dockers_rules() {
    undisturbed(|| experiment(true, &script("host_net.sh")));
}

#[test]
fn a_container_reaches_the_world_by_iptables_alone() {
    let programs = programs_without_nft();
    let host_net = format!("PATH={} {}", programs.display(), script("host_net.sh"));
    undisturbed(|| experiment(true, &host_net));
    fs::remove_dir_all(programs).expect("it is ours");
}

#[test]
fn without_an_uplink_the_neighbours_are_reached() {
    undisturbed(|| {
        let site = Site::new();
        site.host.says("ip route delete default");
        let before = site.look();
        let containers = [site.container(&["--bare"]), site.container(&["--bare"])];
        assert_eq!(site.host.says(&script("host_net.sh")), "uplink: none\n");
        for (container, address) in containers.iter().zip(["10.207.0.2", "10.207.0.3"]) {
            let host_net = format!("{} {}", script("host_net.sh"), container.pid);
            let said = site.host.says(&host_net);
            assert!(said.contains(&format!(" {address}/24 ")), "{said}");
            container.says(&format!("sh {} {address}/24", script("inner_net.sh")));
        }
        containers[0].says("ping -c1 -W5 10.207.0.3");
        // A cable ends with its container.
        let cable = format!("fd{}", containers[1].pid);
        assert!(site.look().contains(&cable));
        drop(containers);
        until("the cable's end", || (!site.look().contains(&cable)).then_some(()));
        site.host.says(&format!("{} down", script("host_net.sh")));
        assert_eq!(site.look(), before);
    });
}

#[test]
fn what_the_scripts_cannot_do_is_told_with_a_hint() {
    undisturbed(|| {
        let site = Site::new();
        let container = site.container(&["--bare"]);
        let (host_net, inner_net) = (script("host_net.sh"), script("inner_net.sh"));
        let before = site.look();
        let as_nobody = format!("setpriv --reuid=65534 bash -s down < {host_net}");
        let cases = [
            (&site.host, as_nobody, "only root"),
            (&site.host, format!("{host_net} up"), "up is no PID"),
            (&site.host, format!("{host_net} 999999999"), "no process 999999999"),
            (
                &site.host,
                format!("{host_net} {}", site.host.pid),
                "the host's own network",
            ),
            (
                &site.host,
                format!("SUBNET=198.51.100 {host_net} {}", container.pid),
                "198.51.100.0/24 is in use",
            ),
            (&container, format!("busybox sh {inner_net}"), "there is no eth0 in here"),
        ];
        for (place, script, what) in cases {
            let output = place.run(&script);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{script}: {said}");
            assert!(
                said.starts_with("error: ") && said.contains(what),
                "{script}: {said}"
            );
            assert!(said.contains("\nhint: "), "{script}: {said}");
        }
        assert_eq!(site.look(), before);
    });
}

/// The IPv4 side of a container: what it has, without what is counted or drawn by lot.
fn state(container: &Stack) -> (Value, Value) {
    let mut links = container.json("ip -json -4 address");
    for link in links.as_array_mut().expect("a list of links") {
        let link = link.as_object_mut().expect("a link is an object");
        let kept = ["ifname", "link_type", "mtu", "qdisc", "addr_info"];
        link.retain(|name, _| kept.contains(&name.as_str()));
    }
    (links, container.json("ip -json -4 route show table all"))
}

#[test]
fn the_scripts_and_netlink_end_in_the_same_state() {
    undisturbed(|| {
        let site = Site::new();
        let by_scripts = site.container(&["--bare"]);
        site.host.says(&format!("{} {}", script("host_net.sh"), by_scripts.pid));
        by_scripts.says(&format!("sh {}", script("inner_net.sh")));
        let by_netlink = Site::new();
        let by_netlink = by_netlink.container(&["--subnet", "10.207.0.0/24"]);
        let (expected, seen) = (state(&by_scripts), state(&by_netlink));
        assert_eq!(expected, seen);
        let routes = seen.1.to_string();
        assert!(routes.contains("10.207.0.1"), "{routes}");
    });
}

#[test]
fn two_lessons_do_not_share_a_subnet() {
    undisturbed(|| {
        let site = Site::new();
        let first = site.container(&[]);
        let net = program("net");
        let second = site.host.run(&format!("{} -- true", net.display()));
        let said = String::from_utf8_lossy(&second.stderr).into_owned();
        assert_eq!(second.status.code(), Some(125), "{said}");
        let told =
            format!("error: fd-{} has addresses of 10.207.1.0/24 already", first.pid);
        assert!(said.starts_with(&told) && said.contains("\nhint: "), "{said}");
        site.host.says(&format!("{} --subnet 10.99.1.0/24 -- true", net.display()));
    });
}
