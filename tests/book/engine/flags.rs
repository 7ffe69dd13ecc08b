//! Does each flag of `fakedocker run` do what it says?

use std::io::Write;
use std::path::Path;
use std::process::Child;

use crate::support::engine::{Ending, Folder, Store};
use crate::support::machine::undisturbed;
use crate::support::narration::{LABEL, judge};
use crate::support::program;
use crate::support::rootfs::busybox;
use crate::support::strace::trace;
use crate::support::wait::until;

fn with_busybox() -> Store {
    Store::with("busybox", &busybox())
}

#[test]
fn rm_leaves_nothing_and_a_kept_container_keeps_its_name() {
    undisturbed(|| {
        let store = with_busybox();
        store.run(&["--name", "short", "busybox", "true"]).end().assert_status(0);
        store.assert_no_container();
        let keep = || store.engine(&["run", "--name", "box", "busybox", "touch", "/new"]);
        keep().end().assert_status(0).assert_quiet();
        let kept = store.containers();
        assert!(
            kept.iter().any(|path| path.join("layer/upper/new").exists()),
            "{kept:?}"
        );
        assert!(kept.contains(&store.path().join("names/box")), "{kept:?}");
        let again = keep().end();
        assert!(again.assert_status(125).assert_one_error().contains("taken"));
        assert_eq!(store.containers(), kept);
        let removed = store.engine(&["rm", "box"]).end();
        assert_eq!(removed.assert_status(0).out, "box\n");
        store.assert_no_container();
        store.run(&["--name", "box", "busybox", "true"]).end().assert_status(0);
        store.engine(&["rm", "box"]).end().assert_status(1).assert_one_error();
    });
}

#[test]
fn a_container_on_host_goes_at_its_end() {
    undisturbed(|| {
        let store = Store::new();
        store.engine(&["run", "--name", "box", "host", "true"]).end().assert_status(0);
        store.assert_no_container();
    });
}

#[test]
fn of_two_that_want_one_name_one_gets_it() {
    undisturbed(|| {
        let store = with_busybox();
        let start = |_| store.run(&["-i", "--name", "box", "busybox", "cat"]).start();
        for _ in 0..5 {
            let mut both: Vec<Child> = (0..2).map(start).collect();
            let loser = until("one to be refused", || {
                both.iter_mut()
                    .position(|one| one.try_wait().is_ok_and(|it| it.is_some()))
            });
            let loser =
                Ending::from(both.remove(loser).wait_with_output().expect("it ended"));
            loser.assert_status(125).assert_one_error();
            let mut winner = both.remove(0);
            let mut input = winner.stdin.take().expect("it is piped");
            input.write_all(b"still here").expect("it reads");
            drop(input);
            let winner = Ending::from(winner.wait_with_output().expect("it ends"));
            assert_eq!(winner.assert_status(0).assert_quiet().out, "still here");
            store.assert_no_container();
        }
    });
}

#[test]
fn hostname_is_what_was_asked_for_or_the_id() {
    undisturbed(|| {
        let store = Store::new();
        let longest = "n".repeat(64);
        for (flag, name) in
            [("--hostname", "box"), ("-h", "box.example"), ("-h", &longest)]
        {
            let run =
                store.run(&[flag, name, "host", "sh", "-c", "hostname; echo $HOSTNAME"]);
            assert_eq!(run.end().assert_status(0).out, format!("{name}\n{name}\n"));
        }
        let id = store.on_host("hostname");
        let is_hex = id.trim().chars().all(|letter| letter.is_ascii_hexdigit());
        assert!(id.trim().len() == 12 && is_hex, "{id}");
    });
}

#[test]
fn environment_is_docker_s_and_what_was_asked_for() {
    undisturbed(|| {
        let store = Store::new();
        let env = |args: &[&str]| {
            let args =
                [&["run", "--rm", "-h", "box"][..], args, &["host", "env"]].concat();
            let run = store.engine(&args).env("PASSED", "on").env("HIDDEN", "secret");
            let ending = run.end();
            let mut lines: Vec<String> =
                ending.assert_status(0).out.lines().map(String::from).collect();
            lines.sort();
            lines
        };
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        assert_eq!(env(&[]), ["HOME=/root", "HOSTNAME=box", path]);
        let asked = [
            "-e",
            "A=b=c",
            "-e",
            "PASSED",
            "-e",
            "UNSET_HERE",
            "-e",
            "HOME=/x",
            "-e",
            "E=",
        ];
        assert_eq!(
            env(&asked),
            ["A=b=c", "E=", "HOME=/x", "HOSTNAME=box", "PASSED=on", path]
        );
    });
}

#[test]
fn working_directory_is_there_or_is_made() {
    undisturbed(|| {
        let store = with_busybox();
        let pwd = |args: &[&str]| store.run(&[args, &["busybox", "pwd"]].concat()).end();
        let at = |args: &[&str]| pwd(args).assert_status(0).out.trim().to_string();
        assert_eq!(at(&[]), "/");
        assert_eq!(at(&["-w", "/etc"]), "/etc");
        assert_eq!(at(&["-w", "/a/new/one"]), "/a/new/one");
        assert_eq!(at(&["--read-only", "-w", "/a/new/one"]), "/a/new/one");
        for wrong in ["etc", "/etc/../root", "/etc/passwd", "/proc/self/fd/3"] {
            pwd(&["-w", wrong]).assert_status(125).assert_one_error();
            store.assert_no_container();
        }
    });
}

#[test]
fn read_only_root_cannot_be_written() {
    undisturbed(|| {
        let store = with_busybox();
        let script = "for place in /new /etc/passwd /root/new
            do (echo > $place) 2>&1; done; echo x > /dev/shm/new && cat /dev/shm/new";
        let run = store.run(&["--read-only", "busybox", "sh", "-c", script]);
        let ending = run.end();
        let said = &ending.assert_status(0).out;
        assert_eq!(said.matches("Read-only file system").count(), 3, "{said}");
        assert!(said.ends_with("\nx\n"), "{said}");
    });
}

#[test]
fn input_is_for_those_who_ask_for_it() {
    undisturbed(|| {
        let store = with_busybox();
        let script = "echo it was $((40 + 2))\nexit 5\n";
        let piped = store.run(&["-i", "busybox"]).end_with(script);
        assert_eq!(piped.assert_status(5).assert_quiet().out, "it was 42\n");
        let without = store.run(&["busybox"]).end_with(script);
        assert_eq!(without.assert_status(0).assert_quiet().out, "");
        let empty = store.run(&["busybox", "wc", "-c"]).end_with("not for you");
        assert_eq!(empty.assert_status(0).out.trim(), "0");
    });
}

#[test]
fn output_and_errors_come_out_apart() {
    undisturbed(|| {
        let store = Store::new();
        let run = store.run(&["host", "sh", "-c", "echo good; echo bad >&2"]).end();
        assert_eq!((run.out.as_str(), run.err.as_str()), ("good\n", "bad\n"));
    });
}

#[test]
fn a_rootfs_folder_is_not_changed() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::new("rootfs"));
        unpack(folder.path());
        let list = || {
            let find = ["find", ".", "-printf", "%p %m %y %s %T@ %C@\n"];
            let mut command = std::process::Command::new(find[0]);
            command.args(&find[1..]).current_dir(folder.path());
            let list = command.output().expect("find is there").stdout;
            String::from_utf8(list).expect("text")
        };
        let before = list();
        assert!(before.contains("./bin/busybox"), "{before}");
        let rootfs = folder.path().display().to_string();
        let script = "rm -r /bin/vi /home; echo x >> /etc/passwd; mkdir /new; ls -d /new";
        let ending = store.run(&["--rootfs", &rootfs, "sh", "-c", script]).end();
        assert_eq!(ending.assert_status(0).assert_quiet().out, "/new\n");
        assert_eq!(list(), before);
    });
}

/// Put a busybox system into `folder`.
pub fn unpack(folder: &Path) {
    let mut tar = std::process::Command::new("tar");
    tar.arg("-xf").arg(busybox()).arg("-C").arg(folder);
    assert!(tar.status().expect("tar is there").success());
}

/// Every kind of call: volumes, a read-only root, the overlay, devices, masks, limits, switches.
#[test]
fn explain_says_on_standard_error_what_strace_sees() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::new("volume"));
        let root = store.path().display().to_string();
        let volume = format!("{}:/volume:ro", folder.path().display());
        let settings = ["--ulimit", "core=0:0", "--sysctl", "kernel.msgmax=1000"];
        let ways: [&[&str]; 4] = [
            &[&settings[..], &["--tmpfs", "/t:size=1m", "-v", "named:/v"]].concat(),
            &["-u", "33:44"],
            &["--read-only", "-w", "/new", "-v", &volume],
            &["--userns", "100000:65536", "-v", &volume],
        ];
        for flags in ways {
            let run = ["--root", &root, "run", "--rm", "--explain"];
            let args = [&run[..], flags, &["host", "echo", "said"]].concat();
            let trace = trace(&[], &program("fakedocker"), &args);
            let ending = Ending::from(trace.output);
            assert_eq!(ending.assert_status(0).out, "said\n");
            let judgement = judge(&trace.threads);
            assert_eq!(judgement.complaints, [""; 0]);
            let narrated = ending.err.lines().filter(|line| line.starts_with(LABEL));
            assert_eq!(judgement.matches.len(), narrated.count(), "{}", ending.err);
            assert!(judgement.matches.len() > 20, "{}", ending.err);
        }
    });
}

#[test]
fn without_explain_the_engine_says_nothing() {
    undisturbed(|| {
        let store = Store::new();
        let run = store.run(&["host", "true"]).end();
        assert_eq!(run.assert_status(0).assert_quiet().out, "");
    });
}
