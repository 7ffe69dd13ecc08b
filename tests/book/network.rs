//! Do the network scripts keep their word?
//!
//! The machine's own network is not touched: a namespace of the test's plays the host, a
//! second one the world that the host has its default route to.

use std::net::IpAddr;

use serde_json::Value;

use crate::support::machine::undisturbed;
use crate::support::site::{HOST, Programs, Site, Stack, WORLD};
use crate::support::wait::{DEADLINE, slowness, until};
use crate::support::{program, top};

pub fn script(name: &str) -> String {
    top().join("scripts").join(name).display().to_string()
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
    assert_eq!(asked.recv_timeout(DEADLINE * slowness()), Ok(IpAddr::V4(HOST)));

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
    let needed = "bash cat grep id ip iptables iptables-save mkdir rm rmdir sed";
    let programs = Programs::only(needed);
    let host_net =
        format!("PATH={} {}", programs.path().display(), script("host_net.sh"));
    undisturbed(|| experiment(true, &host_net));
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
        // As many machines have one.
        let on_a_machine = format!(
            "ip link add eth0 type veth peer eth1 && ip address add 198.51.100.7/24 dev eth0
            sh {inner_net}; status=$?; ip link del eth0; exit $status"
        );
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
            (&container, on_a_machine, "has the address 198.51.100.7/24 already"),
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
