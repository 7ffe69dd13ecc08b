//! Do imported systems work?
//!
//! A busybox and a Debian, imported as a user would, and used.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Child;

use crate::support::engine::{Ending, Folder, Store};
use crate::support::machine::undisturbed;
use crate::support::rootfs::{busybox, busybox_as, debian};

#[test]
fn busybox_is_imported_in_each_compression() {
    undisturbed(|| {
        let tarballs = ["gz", "xz", "zst"].map(busybox_as);
        for tarball in tarballs.into_iter().chain([busybox()]) {
            let store = Store::with("busybox", &tarball);
            let script = "busybox | head -n 1; ls -d /bin/vi /root; id -u";
            let ending = store.run(&["busybox", "sh", "-c", script]).end();
            let out = &ending.assert_status(0).assert_quiet().out;
            assert!(out.starts_with("BusyBox v"), "{out}");
            assert!(out.ends_with("\n/bin/vi\n/root\n0\n"), "{out}");
            store.assert_no_container();
        }
    });
}

#[test]
fn debian_is_whole() {
    undisturbed(|| {
        let store = Store::with("debian", &debian());
        let run = |script: &str| {
            let ending = store.run(&["debian", "bash", "-c", script]).end();
            ending.assert_status(0);
            ending
        };
        let listed = run("apt list --installed 2> /dev/null").out;
        assert!(listed.lines().any(|line| line.starts_with("dpkg/")), "{listed}");
        assert!(listed.lines().count() > 80, "{listed}");
        assert_eq!(run("dpkg -V").assert_quiet().out, "");
        let apt = run("apt-get --version").out;
        assert!(apt.starts_with("apt 2."), "{apt}");
        let ps = run("ps aux; true").out;
        let columns = ps.lines().map(|line| line.split_whitespace().nth(1));
        let pids: Vec<&str> = columns.flatten().collect();
        assert!(pids.len() == 3 && pids[..2] == ["PID", "1"], "{ps}");
        store.assert_no_container();
    });
}

/// Start a container that writes `word`, and wait until it has.
fn writer(store: &Store, word: &str) -> (Child, BufReader<impl Read + use<>>) {
    let script = format!("echo {word} >> /etc/motd; echo ready; read x; cat /etc/motd");
    let mut child = store.run(&["-i", "busybox", "sh", "-c", &script]).start();
    let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("text");
    assert_eq!(line, "ready\n");
    (child, out)
}

#[test]
fn containers_of_one_image_do_not_see_each_other() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        let both = ["one", "two"].map(|word| (word, writer(&store, word)));
        for (word, (mut child, mut out)) in both {
            let mut input = child.stdin.take().expect("it is piped");
            input.write_all(b"go on\n").expect("it reads");
            let mut written = String::new();
            out.read_to_string(&mut written).expect("text");
            assert_eq!(written, format!("{word}\n"));
            Ending::from(child.wait_with_output().expect("it ends")).assert_status(0);
        }
        let third = store.run(&["busybox", "ls", "/etc"]).end();
        assert_eq!(
            third.assert_status(0).out,
            "group\nhostname\nhosts\npasswd\nresolv.conf\n"
        );
    });
}

#[test]
fn what_is_no_tarball_leaves_the_store_as_it_was() {
    undisturbed(|| {
        let (store, folder) = (Store::with("old", &busybox()), Folder::new("tarballs"));
        let mut wrong = vec![
            folder.write("empty", ""),
            folder.write("text", &"this is no tarball\n".repeat(100)),
            folder.write("short", "x"),
            folder.at("missing"),
            folder.path().display().to_string(),
            "/dev/null".to_string(),
        ];
        for (name, tarball) in [("tar", busybox()), ("gz", busybox_as("gz"))]
            .into_iter()
            .chain(["xz", "zst"].map(|ending| (ending, busybox_as(ending))))
        {
            fs::copy(&tarball, folder.at(name)).expect("there is room");
            let file = File::options().write(true).open(folder.at(name));
            let half = fs::metadata(&tarball).expect("it is there").len() / 2;
            file.and_then(|file| file.set_len(half)).expect("it is ours");
            wrong.push(folder.at(name));
        }
        let before = store.contents();
        for tarball in wrong {
            let ending = store.engine(&["import", &tarball, "new"]).end();
            ending.assert_status(1).assert_one_error();
            assert_eq!(store.contents(), before, "{tarball}");
        }
        let new = store.run(&["--pull", "never", "new", "true"]).end();
        new.assert_status(125).assert_one_error();
        store.run(&["old", "true"]).end().assert_status(0);
    });
}

#[test]
fn an_image_comes_from_a_pipe_too() {
    undisturbed(|| {
        let store = Store::new();
        let tarball = File::open(busybox_as("xz")).expect("it was made");
        let says = ["-c", "ENV WORD=said", "-c", "CMD echo $WORD"];
        let import = [&["import"][..], &says, &["-", "piped:1"]].concat();
        let import = store.engine(&import).end_from(tarball);
        let id = import.assert_status(0).out.trim_end().to_string();
        let listed = store.engine(&["images", "--quiet", "--no-trunc", "piped:1"]).end();
        assert_eq!(listed.assert_status(0).out, format!("{id}\n"));
        let run = store.run(&["piped:1"]).end();
        assert_eq!(run.assert_status(0).assert_quiet().out, "said\n");
        let wrong = ["import", "-c", "COPY . /", "/dev/null", "other"];
        store.engine(&wrong).end().assert_status(1).assert_one_error();
    });
}
