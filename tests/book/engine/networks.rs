//! What does each `--network` give, and whose are the files in /etc?

use std::os::unix::fs::symlink;

use super::flags::unpack;
use crate::support::engine::{Ending, Folder, Store};
use crate::support::machine::undisturbed;
use crate::support::site::Site;
use crate::support::town::Town;

const LINKS: &str = "ip -oneline link | cut -d ' ' -f 2 | cut -d @ -f 1";

#[test]
fn none_is_a_loopback_and_nothing_else() {
    undisturbed(|| {
        let town = Town::new();
        let before = town.site.look();
        let script = format!("{LINKS}; ping -c1 -W5 127.0.0.1 > /dev/null && echo there");
        let mut guest = town.start(&["--network", "none"], &script);
        assert_eq!([guest.line(), guest.line()], ["lo:", "there"]);
        assert_eq!(town.site.look(), before);
    });
}

#[test]
fn host_is_the_hosts() {
    undisturbed(|| {
        let town = Town::new();
        let before = town.site.look();
        let same = "readlink /proc/self/ns/net";
        let inside = town.says(&["--network", "host"], same);
        assert_eq!(inside, town.site.host.says(same));
        assert_eq!(town.site.look(), before);
        let mut guest = town.start(
            &["--network", "host", "--name", "box"],
            "echo up; exec tail -f /dev/null",
        );
        guest.line();
        assert_eq!(town.exec("box", same), inside);
    });
}

#[test]
fn container_is_another_containers() {
    undisturbed(|| {
        let town = Town::new();
        let web = town.serve("web", &["--add-host", "far:192.0.2.1"]);
        let script = "readlink /proc/self/ns/net; cat /etc/hosts; hostname -i
            wget -q -O - http://127.0.0.1/name";
        let shared = ["--network", "container:web", "--hostname", "web"];
        let joined = town.run(&shared, script).assert_status(0).out.clone();
        assert_eq!(joined, town.exec("web", script));
        assert!(joined.contains("192.0.2.1\tfar\n"), "{joined}");
        // Who joins who has joined is in the first one's network.
        let mut second = town.start(
            &["--network", "container:web", "--name", "second"],
            "echo up; exec tail -f /dev/null",
        );
        second.line();
        let third = ["--network", "container:second", "--hostname", "web"];
        assert_eq!(town.run(&third, script).assert_status(0).out, joined);
        assert!(town.exec("second", "cat /etc/hosts").contains("\tfar\n"));
        drop((second, web));
        let gone = town.run(&["--network", "container:web"], "true");
        gone.assert_status(1).assert_one_error();
    });
}

#[test]
fn exec_joins_the_network() {
    undisturbed(|| {
        let town = Town::new();
        let _web = town.serve("web", &[]);
        let all = "for kind in uts ipc pid mnt net; do readlink /proc/$1/ns/$kind; done";
        let joined = town.exec("web", &all.replace("$1", "self"));
        assert_eq!(joined, town.exec("web", &all.replace("$1", "1")));
        // A second terminal sees the same from outside.
        let outside = format!(
            "for kind in uts ipc pid mnt net; do
            readlink /proc/{}/ns/$kind; done",
            town.pid_of("web")
        );
        assert_eq!(joined, town.site.host.says(&outside));
        assert_eq!(town.exec("web", "wget -q -O - http://127.0.0.1/name"), "web\n");
    });
}

#[test]
fn a_container_has_names_of_its_own() {
    undisturbed(|| {
        let town = Town::new();
        let flags = ["--hostname", "box", "--name", "one", "--add-host", "db=10.1.2.3"];
        let more = ["--add-host", "gateway:host-gateway"];
        let hosts =
            town.says(&[&flags[..], &more].concat(), "cat /etc/hosts /etc/hostname");
        let expected = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback
10.208.0.2\tbox one\n10.1.2.3\tdb\n10.208.0.1\tgateway\nbox\n";
        assert_eq!(hosts, expected);
        let script =
            "ping -c1 -W5 box > /dev/null && echo box > /etc/hosts; cat /etc/hosts";
        assert_eq!(town.says(&["--hostname", "box"], script), "box\n");
    });
}

/// Others come and go, and what the container has written itself stays.
#[test]
fn the_names_of_others_come_and_go() {
    undisturbed(|| {
        let town = Town::new();
        let one = town.serve("one", &[]);
        town.exec("one", "echo 192.0.2.9 own >> /etc/hosts");
        let others = || {
            let hosts = town.exec("one", "tail -n +4 /etc/hosts");
            let first = |line: &str| line.split_whitespace().nth(1).map(String::from);
            hosts.lines().filter_map(first).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(others(), "own");
        let (two, three) = (town.serve("two", &[]), town.serve("three", &[]));
        assert_eq!(others(), "own two three");
        drop(two);
        assert_eq!(others(), "own three");
        three.kill_engine();
        town.engine(&["rm", "nobody"]).end().assert_status(1);
        assert_eq!(others(), "own");
        drop(one);
    });
}

/// Run on a host whose /etc/resolv.conf says this.
fn resolvers(text: &str, flags: &[&str]) -> String {
    let town = Town::new();
    let write = format!(
        "mkdir -p /run/systemd/resolve && printf 'nameserver 192.0.2.53\n' \
         > /run/systemd/resolve/resolv.conf && printf '{text}' > /run/given && \
         mount --bind /run/given \"$(readlink -f /etc/resolv.conf)\""
    );
    town.site.host.says(&write);
    town.says(flags, "cat /etc/resolv.conf")
}

#[test]
fn name_servers_are_those_that_can_be_reached() {
    undisturbed(|| {
        let plain = "search here\nnameserver 192.0.2.1\noptions ndots:2\n";
        let sorted = "search here\noptions ndots:2\nnameserver 192.0.2.1\n";
        assert_eq!(resolvers(&plain.replace('\n', "\\n"), &[]), sorted);
        // A service on the host's own loopback: systemd knows the servers behind it.
        assert_eq!(resolvers("nameserver 127.0.0.53\\n", &[]), "nameserver 192.0.2.53\n");
        let host = resolvers("nameserver 127.0.0.53\\n", &["--network", "host"]);
        assert_eq!(host, "nameserver 127.0.0.53\n");
        let asked = ["--dns", "192.0.2.8", "--dns", "192.0.2.9"];
        let expected = "nameserver 192.0.2.8\nnameserver 192.0.2.9\n";
        assert_eq!(resolvers("nameserver 192.0.2.1\\n", &asked), expected);
    });
}

/// As root of the network, whoever it is: ports and ICMP are its own.
#[test]
fn users_other_than_root_have_low_ports_and_ping() {
    undisturbed(|| {
        let town = Town { site: Site::new(), store: Store::new() };
        let script = "ping -c1 -W5 10.208.0.1 > /dev/null && echo heard
            busybox nc -l -p 80 -w 1 < /dev/null";
        let user = ["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups"];
        let run = [&["run", "--rm", "host"][..], &user, &["sh", "-c", script]].concat();
        let ending = town.engine(&run).end();
        assert_eq!((&*ending.out, &*ending.err), ("heard\n", "nc: timed out\n"));
    });
}

/// As in many an image: /etc/resolv.conf leads to a file of a service that does not run.
#[test]
fn a_link_that_leads_nowhere_is_followed_inside() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::new("links"));
        let root = folder.path();
        unpack(root);
        for (name, leads_to) in [
            ("resolv.conf", "../run/systemd/resolve/stub-resolv.conf"),
            ("hosts", "/a/b"),
            ("hostname", "../../../../../var/tmp/fakedocker-outside"),
        ] {
            symlink(leads_to, root.join("etc").join(name)).expect("the folder is ours");
        }
        let root = root.display().to_string();
        let script = "cat /etc/hostname; head -n 1 /etc/hosts; test -f /etc/resolv.conf
            ls -d /var/tmp/fakedocker-outside";
        let flags = ["--hostname", "box", "--rootfs", &root, "sh", "-c", script];
        let out = store.run(&flags).end().assert_status(0).out.clone();
        assert_eq!(out, "box\n127.0.0.1\tlocalhost\n/var/tmp/fakedocker-outside\n");
        assert!(!std::path::Path::new("/var/tmp/fakedocker-outside").exists());
    });
}

#[test]
fn what_is_wrong_is_told_in_one_line() {
    undisturbed(|| {
        let store = Store::new();
        for wrong in [
            &["--network", "nowhere"][..],
            &["--network", "container:"],
            &["-p", "80"],
            &["-p", "80:80/sctp"],
            &["-p", "0:80"],
            &["-p", "[::1]:80:80"],
            &["--network", "none", "-p", "80:80"],
            &["--add-host", "db"],
            &["--add-host", "d b:10.0.0.1"],
            &["--dns", "one.one"],
        ] {
            let ending: Ending = store.run(&[wrong, &["host", "true"]].concat()).end();
            ending.assert_status(125).assert_one_error();
        }
        store.assert_no_container();
    });
}

/// The machine's own network is asked for by nobody: another one, without a world.
#[test]
fn a_machine_without_a_network_has_containers_with_one() {
    undisturbed(|| {
        let town = Town { site: Site::new(), store: Store::new() };
        town.site.host.says("ip link delete up0");
        let run = ["run", "--rm", "host", "ping", "-c1", "-W5", "10.208.0.1"];
        town.engine(&run).end().assert_status(0).assert_quiet();
    });
}
