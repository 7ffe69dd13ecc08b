//! Do containers reach each other, the host and the world, and nobody in another's name?

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

use net::{Subnet, firewall};

use crate::support::machine::undisturbed;
use crate::support::site::{HOST, Programs, Stack, WORLD};
use crate::support::town::{Guest, Town, in_network_of};
use crate::support::wait::{DEADLINE, slowness, until};

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 208, 0, 1);
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 208, 0, 2);

/// What a web server answers to a client in the network of process `pid`; None if nobody
/// answers.
fn fetch(pid: &str, to: Ipv4Addr, port: u16) -> Option<String> {
    fetch_within(DEADLINE * slowness(), pid, to, port)
}

/// The same where nobody is expected to answer: then it is not waited for long.
fn nobody_answers(pid: &str, to: Ipv4Addr, port: u16) -> bool {
    fetch_within(Duration::from_secs(1), pid, to, port).is_none()
}

fn fetch_within(
    patience: Duration,
    pid: &str,
    to: Ipv4Addr,
    port: u16,
) -> Option<String> {
    in_network_of(pid, move || {
        let to = SocketAddr::from((to, port));
        let mut stream = TcpStream::connect_timeout(&to, patience).ok()?;
        stream.set_read_timeout(Some(DEADLINE * slowness())).ok()?;
        stream.write_all(b"GET /name HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer.split("\r\n\r\n").nth(1)?.trim().to_string())
    })
}

/// Ask by UDP, from the network of process `pid`.
fn ask(pid: &str, to: Ipv4Addr, port: u16) -> Option<String> {
    in_network_of(pid, move || {
        let mouth = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a port is free");
        mouth.set_read_timeout(Some(DEADLINE * slowness())).expect("it is a time");
        mouth.connect((to, port)).ok()?;
        mouth.send(b"who is there?").ok()?;
        let mut answer = [0; 64];
        let length = mouth.recv(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer[..length]).into_owned())
    })
}

/// In the network of process `pid`, answer `count` questions by UDP.
fn answer(pid: &str, count: usize) {
    let ear = in_network_of(pid, || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 53)));
    let ear = ear.expect("all ports of a container are free");
    ear.set_read_timeout(Some(DEADLINE * slowness())).expect("it is a time");
    std::thread::spawn(move || {
        for _ in 0..count {
            let (length, from) = ear.recv_from(&mut [0; 64]).expect("somebody asks");
            ear.send_to(format!("{length} bytes").as_bytes(), from).expect("a way back");
        }
    });
}

#[test]
fn three_containers_reach_each_other_the_host_and_the_world() {
    undisturbed(|| {
        let town = Town::new();
        let before = town.site.look();
        let ports = ["-p", "8080:80", "-p", "127.0.0.1:5353:53/udp", "-p", "5354:53/udp"];
        let _web = town.serve("web", &ports);
        let _db = town.serve("db", &[]);
        let third = town.start(
            &["--name", "third"],
            "wget -q -O - http://web/name http://db/name; exec tail -f /dev/null",
        );
        let mut third = third;
        assert_eq!([third.line(), third.line()], ["web", "db"]);
        // Whoever came earlier knows who came later.
        assert_eq!(
            town.exec("web", "ping -c1 -W5 third >/dev/null && echo yes"),
            "yes\n"
        );
        town.exec("third", &format!("ping -c1 -W5 {GATEWAY}"));
        town.site.host.says(&format!("ping -c1 -W5 {FIRST}"));
        town.exec("third", &format!("ping -c1 -W5 {WORLD}"));
        let asked = town.site.serve("greetings from the world");
        let fetched = town.exec("db", &format!("wget -q -O - http://{WORLD}/hello"));
        assert_eq!(fetched, "greetings from the world");
        assert_eq!(asked.recv_timeout(DEADLINE * slowness()), Ok(IpAddr::V4(HOST)));

        // Published: for the host's own programs, for the world, and for other containers.
        let (host, world) = (&town.site.host.pid, &town.site.world.pid);
        let web = Some("web".to_string());
        for (from, to) in [
            (host, Ipv4Addr::LOCALHOST),
            (host, HOST),
            (world, HOST),
            (&town.pid_of("db"), GATEWAY),
        ] {
            assert_eq!(fetch(from, to, 8080), web, "{to}");
        }
        answer(&town.pid_of("web"), 3);
        let heard = Some("13 bytes".to_string());
        assert_eq!(ask(host, Ipv4Addr::LOCALHOST, 5353), heard);
        assert_eq!(ask(host, Ipv4Addr::LOCALHOST, 5354), heard);
        assert_eq!(ask(world, HOST, 5354), heard);
        drop((_web, _db, third));
        assert_eq!(town.site.look(), before);
    });
}

#[test]
fn the_world_is_reached_past_dockers_rules() {
    undisturbed(|| {
        let town = Town::new();
        town.site.install_docker();
        let before = town.site.look();
        let web = town.serve("web", &["-p", "8080:80"]);
        town.exec("web", &format!("ping -c1 -W5 {WORLD}"));
        let answer = fetch(&town.site.world.pid, HOST, 8080);
        assert_eq!(answer.as_deref(), Some("web"));
        drop(web);
        assert_eq!(town.site.look(), before);
    });
}

/// Nobody gets in but by a published port, whatever way they know.
#[test]
fn what_is_not_published_is_not_reached_from_outside() {
    undisturbed(|| {
        let town = Town::new();
        let _web = town.serve("web", &["-p", "127.0.0.1:8080:80"]);
        let (host, world) = (&town.site.host.pid, &town.site.world.pid);
        assert_eq!(fetch(host, Ipv4Addr::LOCALHOST, 8080).as_deref(), Some("web"));
        assert!(nobody_answers(world, HOST, 8080));
        town.site.world.says(&format!("ip route add 10.208.0.0/16 via {HOST}"));
        assert!(nobody_answers(world, FIRST, 80));
    });
}

/// A published port of 127.0.0.1 needs `route_localnet`, with which a neighbour could reach
/// what the host keeps to itself.
#[test]
fn the_hosts_loopback_stays_its_own() {
    undisturbed(|| {
        let town = Town::new();
        let _guest = town.serve("guest", &["-p", "127.0.0.1:8080:80"]);
        let host = &town.site.host.pid;
        let service = in_network_of(host, || UdpSocket::bind((Ipv4Addr::LOCALHOST, 999)));
        let service = service.expect("the port is free");
        // The container's own root could do all that, if it could write to /proc/sys.
        let knock = |patience| {
            let script = format!(
                "echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet
                 ip address flush dev lo; ip route replace 127.0.0.1 via {GATEWAY}
                 echo knock > /dev/udp/127.0.0.1/999"
            );
            let pid = town.pid_of("guest");
            let words = ["--net", "--target", &pid, "bash", "-c", &script];
            let knocked = Command::new("nsenter").args(words).status();
            assert!(knocked.expect("nsenter is there").success());
            service.set_read_timeout(Some(patience)).expect("it is a time");
            service.recv(&mut [0; 8]).map_err(|error| error.kind())
        };
        let shortly = Duration::from_millis(500);
        assert_eq!(knock(shortly), Err(ErrorKind::WouldBlock));
        // That is the guard's work.
        town.site.host.says("nft delete table bridge fakedocker1");
        assert_eq!(knock(DEADLINE * slowness()), Ok(6));
    });
}

/// Take the address of `web`, and perhaps its hardware address, and tell everybody so.
fn steal(town: &Town, hardware: bool) {
    let take = "ip link set eth0 down; ip link set eth0 address 02:42:0a:d0:00:02
        ip link set eth0 up";
    let take = if hardware { take } else { "true" };
    let script = format!(
        "{take}; ip address add {FIRST}/16 dev eth0 2>/dev/null
         arping -q -U -c 2 -I eth0 {FIRST}; arping -q -A -c 2 -I eth0 {FIRST}; true"
    );
    town.exec("thief", &script);
}

/// Who answers in the name of `web`: to the host, and to a container that was there before.
fn who_is_web(town: &Town) -> BTreeSet<Option<String>> {
    let client = town.pid_of("client");
    let fetch = |_| [fetch(&town.site.host.pid, FIRST, 80), fetch(&client, FIRST, 80)];
    (0..3).flat_map(fetch).collect()
}

/// To change its own addresses takes a right that Docker does not give.
const CHANGES: [&str; 2] = ["--cap-add", "NET_ADMIN"];

#[test]
fn who_takes_anothers_address_does_not_get_its_traffic() {
    undisturbed(|| {
        let town = Town::new();
        let _guests: Vec<Guest> =
            ["web", "thief", "client"].map(|name| town.serve(name, &CHANGES)).into();
        let web = BTreeSet::from([Some("web".to_string())]);
        assert_eq!(who_is_web(&town), web);
        for hardware in [false, true] {
            steal(&town, hardware);
            assert_eq!(who_is_web(&town), web, "hardware address: {hardware}");
        }
        // Nor does the thief send in the name of web: it is not heard at all.
        assert!(nobody_answers(&town.pid_of("thief"), GATEWAY, 80));
        // That is the guard's work: without it, the theft succeeds.
        town.site.host.says("nft delete table bridge fakedocker1");
        let stolen = || {
            steal(&town, true);
            who_is_web(&town).contains(&Some("thief".to_string())).then_some(())
        };
        until("a theft", stolen);
    });
}

#[test]
fn fifty_at_once_have_fifty_addresses() {
    undisturbed(|| {
        let town = Town::new();
        let before = town.site.look();
        let script =
            "ip -4 -oneline address show dev eth0 | tr -s ' ' | cut -d ' ' -f 4; cat";
        let start = |_| town.start(&["-i"], script);
        let mut guests: Vec<Guest> = (0..50).map(start).collect();
        let addresses: BTreeSet<String> = guests.iter_mut().map(Guest::line).collect();
        assert_eq!(addresses.len(), 50, "{addresses:?}");
        assert!(addresses.iter().all(|it| it.starts_with("10.208.0.")), "{addresses:?}");
        for guest in &mut guests {
            drop(guest.engine.stdin.take());
        }
        for mut guest in guests {
            assert_eq!(guest.engine.wait().expect("it ends").code(), Some(0));
        }
        town.store.assert_no_container();
        assert_eq!(town.site.look(), before);
    });
}

#[test]
fn addresses_and_links_of_a_killed_engine_are_free_at_the_next_command() {
    undisturbed(|| {
        let town = Town::new();
        let before = town.site.look();
        let stays = town.serve("stays", &[]);
        let killed = town.serve("killed", &["-p", "8080:80"]);
        killed.kill_engine();
        // Its port and its address are another's at once.
        let address =
            "ip -4 -oneline address show dev eth0 | tr -s ' ' | cut -d ' ' -f 4";
        assert_eq!(town.says(&["-p", "8080:80"], address), "10.208.0.3/16\n");
        assert!(!town.exec("stays", "cat /etc/hosts").contains("killed"));
        drop(stays);
        assert_eq!(town.site.look(), before);
        // The last one, too, and then the bridge goes.
        town.serve("killed", &[]).kill_engine();
        assert_ne!(town.site.look(), before);
        town.engine(&["rm", "nobody"]).end().assert_status(1);
        assert_eq!(town.site.look(), before);
    });
}

/// The scripts and the engine change one and the same switch: who goes last restores it.
#[test]
fn the_scripts_and_the_engine_do_not_disturb_each_other() {
    undisturbed(|| {
        let town = Town::new();
        let before = town.site.look();
        let host_net = crate::network::script("host_net.sh");
        let forwards = || town.site.host.says("cat /proc/sys/net/ipv4/ip_forward");
        for engine_first in [true, false] {
            let guest = engine_first.then(|| town.serve("web", &[]));
            town.site.host.says(&host_net);
            let guest = guest.unwrap_or_else(|| town.serve("web", &[]));
            if engine_first {
                town.site.host.says(&format!("{host_net} down"));
                assert_eq!(forwards(), "1\n");
                drop(guest);
            } else {
                drop(guest);
                assert_eq!(forwards(), "1\n");
                town.site.host.says(&format!("{host_net} down"));
            }
            assert_eq!(town.site.look(), before);
        }
    });
}

#[test]
fn a_subnet_that_is_in_use_is_left_alone() {
    undisturbed(|| {
        let town = Town::new();
        town.site.host.says(&format!("ip route add 10.208.7.0/24 via {WORLD}"));
        let address =
            "ip -4 -oneline address show dev eth0 | tr -s ' ' | cut -d ' ' -f 4";
        assert_eq!(town.says(&[], address), "10.209.0.2/16\n");
    });
}

/// Without rules there is no NAT, and nobody to keep containers from each other's addresses:
/// they reach the host only.
#[test]
fn without_rules_one_warning_tells_what_cannot_be_reached() {
    undisturbed(|| {
        let town = Town::new();
        let before = town.site.look();
        // Our tables cannot be made where a set of that name is something else.
        let nft = "nft 'add table bridge fakedocker1; \
            add set bridge fakedocker1 guests { type ipv4_addr; }'";
        town.site.host.says(nft);
        let script = format!("ping -c1 -W5 {GATEWAY} > /dev/null && echo there");
        let ending = town.run(&["-p", "8080:80"], &script);
        assert_eq!(ending.assert_status(0).out, "there\n");
        let warning = "warning: neither the world, nor other containers, nor published \
            ports can be reached: nf_tables(New";
        assert!(
            ending.err.starts_with(warning) && ending.err.lines().count() == 1,
            "{ending:?}"
        );
        assert_eq!(town.site.look(), before);
    });
}

/// No program has to be there, and none is started: each would cost more than all the rest.
#[test]
fn nobody_else_is_needed() {
    undisturbed(|| {
        let town = Town::new();
        let programs = Programs::only("nsenter");
        let ping = format!("ping -c1 -W5 {WORLD} > /dev/null && echo there");
        let words = ["run", "--rm", "busybox", "sh", "-c", &ping];
        let ending = town.engine(&words).env("PATH", programs.path()).end();
        assert_eq!(ending.assert_status(0).assert_quiet().out, "there\n");
    });
}

/// What we tell the kernel is what nft would make of the text.
#[test]
fn the_rules_are_those_of_the_text() {
    undisturbed(|| {
        let town = Town::new();
        let _web = town.serve("web", &["-p", "8080:80", "-p", "127.0.0.1:53:5353/udp"]);
        let list = "nft --stateless list ruleset";
        let said = town.site.host.says(list);
        let subnet: Subnet = "10.208.0.0/16".parse().expect("it is one");
        let text = firewall::tables("fakedocker1", "fd-", &subnet);
        let guests = "add element bridge fakedocker1 guests \
            { \"fd-0.2\" . 02:42:0a:d0:00:02 . 10.208.0.2 }";
        let published = "add element ip fakedocker1 published \
            { tcp . 0.0.0.0/0 . 8080 : 10.208.0.2 . 80, udp . 127.0.0.1 . 53 : 10.208.0.2 . 5353 }";
        let elsewhere = Stack::new();
        let text = format!("{text}\n{guests}\n{published}\n");
        let read = format!("nft -f - << 'END' && {list}\n{text}END");
        assert_eq!(said, elsewhere.says(&read));
    });
}

#[test]
fn a_port_that_somebody_has_is_told_before_anything_starts() {
    undisturbed(|| {
        let town = Town::new();
        let host = &town.site.host.pid;
        let taken = in_network_of(host, || UdpSocket::bind((Ipv4Addr::LOCALHOST, 999)));
        let ending = town.run(&["-p", "127.0.0.1:999:80/udp"], "true");
        let error = ending.assert_status(125).assert_one_error();
        let told = "error: bind(127.0.0.1:999/udp): EADDRINUSE (Address already in use)";
        assert_eq!(error, told);
        drop(taken);
        town.says(&["-p", "127.0.0.1:999:80/udp"], "true");
        let nowhere = town.run(&["-p", "192.0.2.77:999:80"], "true");
        nowhere.assert_status(125).assert_one_error();
        town.store.assert_no_container();
    });
}

/// A hosts file is its container's to spoil, and to hold.
#[test]
fn a_spoilt_hosts_file_keeps_nobody_from_coming_or_going() {
    undisturbed(|| {
        let town = Town::new();
        let large = town.serve("large", &[]);
        town.exec("large", "truncate -s 8796093022208 /etc/hosts");
        let gone = town.serve("gone", &[]);
        let other = town.says(&[], "cat /etc/hosts");
        assert!(other.contains("\tgone") && other.contains("\tlarge"), "{other}");
        drop((gone, large));
        town.store.assert_no_container();
    });
}
