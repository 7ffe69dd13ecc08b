//! How does somebody who is not root reach the world from a container?
//!
//! By pasta or slirp4netns, on a host and in a world of the tests' own (`site.rs`).

use std::fs::File;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::thread;

use nix::sched::{CloneFlags, setns};

use crate::support::engine::Ending;
use crate::support::machine::undisturbed;
use crate::support::processes::MARK;
use crate::support::site::{HOST, Programs, Site, WORLD};
use crate::support::student::Student;
use crate::support::wait::{DEADLINE, slowness};

/// `fakedocker run --rm ARGS` by `student` on the host of `site`.
fn run(site: &Site, student: &Student, args: &[&str]) -> Ending {
    let fakedocker = student.program("fakedocker");
    let words = [&[&*fakedocker, "run", "--rm", "-e", MARK][..], args].concat();
    student.play_in(site.host.enter(), &words).end()
}

#[test]
fn each_program_leads_to_the_world() {
    undisturbed(|| {
        let student = Student::with_numbers();
        for flags in [&["--network", "pasta"][..], &["--network", "slirp4netns"], &[]] {
            let site = Site::new();
            let asked = site.serve("greetings from the world");
            let fetch =
                format!("busybox wget -q -O - http://{WORLD}/hello; echo; ip -br a");
            let words = [flags, &["host", "sh", "-c", &fetch]].concat();
            let fetched = run(&site, &student, &words);
            let out = &fetched.assert_status(0).out;
            assert!(out.starts_with("greetings from the world\n"), "{fetched:?}");
            assert!(out.contains("eth0") && !out.contains("up0"), "{fetched:?}");
            assert_eq!(asked.recv_timeout(DEADLINE * slowness()), Ok(IpAddr::V4(HOST)));
        }
    });
}

/// Somebody who listens on the host's own loopback.
fn listen(site: &Site, port: u16) -> TcpListener {
    let namespace = File::open(format!("/proc/{}/ns/net", site.host.pid));
    let namespace = namespace.expect("the host is there");
    let listening = thread::spawn(move || {
        // A thread of its own: only it moves.
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("we are root");
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free")
    });
    let listener = listening.join().expect("it listens");
    listener.set_nonblocking(true).expect("it is a socket");
    listener
}

#[test]
fn the_hosts_loopback_is_not_reached() {
    undisturbed(|| {
        let (site, student) = (Site::new(), Student::new());
        let listener = listen(&site, 8080);
        for (tool, gateway) in [("pasta", "198.51.100.1"), ("slirp4netns", "10.0.2.2")] {
            let script = format!(
                "for host in 127.0.0.1 {gateway} {HOST}
                do timeout 2 busybox nc $host 8080 < /dev/null; done; true"
            );
            let words = ["--network", tool, "host", "sh", "-c", &script];
            run(&site, &student, &words).assert_status(0);
            let met = listener.accept().map_err(|error| error.kind());
            assert_eq!(met.err(), Some(ErrorKind::WouldBlock), "{tool}");
        }
    });
}

#[test]
fn without_a_program_nothing_is_reached_and_a_warning_says_what_helps() {
    undisturbed(|| {
        let (site, student) = (Site::new(), Student::new());
        // The engine itself needs nothing.
        let path = Programs::only("true");
        let (path, fakedocker) =
            (format!("PATH={}", path.path().display()), student.program("fakedocker"));
        let words = ["/usr/bin/env", &path, &*fakedocker, "run", "--rm", "host"];
        let look = ["/bin/sh", "-c", "ls /sys/class/net"];
        let words = [&words[..], &look].concat();
        let looked = student.play_in(site.host.enter(), &words).end();
        assert_eq!(looked.assert_status(0).out, "lo\n", "{looked:?}");
        let lines = looked.err.lines();
        let said: Vec<&str> =
            lines.filter(|line| line.contains("reach nothing")).collect();
        let install = "there is no pasta: install the package passt";
        assert!(said.len() == 1 && said[0].contains(install), "{looked:?}");
        // Who has asked for it by name is refused.
        let words =
            ["/usr/bin/env", &path, &*fakedocker, "run", "--network", "slirp4netns"];
        let words = [&words[..], &["host", "true"]].concat();
        let refused = student.play_in(site.host.enter(), &words).end();
        let error = refused.assert_status(125).assert_one_error();
        assert_eq!(error, "error: there is no slirp4netns: install its package");
    });
}

#[test]
fn what_takes_root_is_refused_in_a_line() {
    undisturbed(|| {
        let (site, student) = (Site::new(), Student::new());
        let bridge = run(&site, &student, &["--network", "bridge", "host", "true"]);
        let error = bridge.assert_status(125).assert_one_error();
        assert!(error.contains("takes root") && bridge.err.contains("pasta"), "{error}");
        for network in ["pasta", "slirp4netns"] {
            let words = ["-p", "8080:80", "--network", network, "host", "true"];
            let refused = run(&site, &student, &words);
            let error = refused.assert_status(125).assert_one_error();
            assert!(error.contains("-p needs --network bridge"), "{error}");
        }
    });
}

/// A program that cannot do its work is told in its own words, and nothing stays.
#[test]
fn a_program_that_fails_is_told() {
    undisturbed(|| {
        let (site, student) = (Site::new(), Student::new());
        site.host.says("ip route del default");
        let refused = run(&site, &student, &["--network", "pasta", "host", "true"]);
        let error = refused.assert_status(125).assert_one_error();
        assert_eq!(error, "error: pasta needs a default route, and the host has none");
        // slirp4netns does without, and so it is what one gets.
        let words = ["host", "sh", "-c", "ip -4 -br address show eth0"];
        let given = run(&site, &student, &words);
        assert!(given.assert_status(0).out.contains("10.0.2.100/24"), "{given:?}");
    });
}

#[test]
fn a_second_container_shares_the_network_of_the_first() {
    undisturbed(|| {
        let (site, student) = (Site::new(), Student::new());
        let fakedocker = student.program("fakedocker");
        let first = [&*fakedocker, "run", "--rm", "-i", "-e", MARK, "--name", "first"];
        let script = "echo ready; cat";
        let first = [&first[..], &["host", "sh", "-c", script]].concat();
        let mut first = student.play_in(site.host.enter(), &first).start();
        let mut ready = String::new();
        let out = first.stdout.as_mut().expect("it is piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut ready)
            .expect("text");
        let words =
            ["--network", "container:first", "host", "ip", "-4", "-br", "address"];
        let second = run(&site, &student, &words);
        assert!(second.assert_status(0).out.contains(&HOST.to_string()), "{second:?}");
        drop(first.stdin.take());
        Ending::from(first.wait_with_output().expect("it ends")).assert_status(0);
    });
}
