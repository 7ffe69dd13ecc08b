//! Is the machine safe from a container that has it as its image?
//!
//! The image `host` is the machine's own root, as it is: whatever the container does to it
//! must stay in the container's layer.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Command;

use crate::support::engine::{Folder, Store};
use crate::support::machine::undisturbed;

fn output_of(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output();
    String::from_utf8(output.expect("sh is there").stdout).expect("text")
}

#[test]
fn what_is_removed_inside_stays_outside() {
    undisturbed(|| {
        let (store, tree) = (Store::new(), Folder::new("tree"));
        fs::create_dir_all(tree.path().join("a/b/c")).expect("it is ours");
        let files = [tree.write("a/one", "1"), tree.write("a/b/c/two", "2")];
        let documents = || output_of("find /usr/share/doc | sort");
        let before = documents();
        let tree = tree.path().display();
        let script =
            format!("rm -rf {tree} /usr/share/doc /etc 2>&-; ls /etc; ls {tree}");
        let ending = store.run(&["host", "sh", "-c", &script]).end();
        // All is gone inside, but for what is mounted.
        assert_eq!(ending.out, "hostname\nhosts\nresolv.conf\n", "{ending:?}");
        assert_eq!(ending.err.matches("No such file").count(), 1, "{ending:?}");
        for (file, text) in files.iter().zip(["1", "2"]) {
            assert_eq!(fs::read_to_string(file).ok().as_deref(), Some(text));
        }
        assert_eq!(documents(), before);
        assert!(fs::exists("/etc/passwd").expect("/etc can be read"));
    });
}

#[test]
fn what_is_written_inside_stays_inside() {
    undisturbed(|| {
        let store = Store::new();
        let passwd = || fs::read("/etc/passwd").expect("every machine has one");
        let before = passwd();
        let script = "echo intruder >> /etc/passwd && chmod 777 /etc/passwd &&
            echo new > /etc/fakedocker-new && tail -n 1 /etc/passwd && cat /etc/fakedocker-new";
        assert_eq!(store.on_host(script), "intruder\nnew\n");
        assert_eq!(passwd(), before);
        assert!(!fs::exists("/etc/fakedocker-new").expect("/etc can be read"));
        assert_eq!(
            store.on_host("cat /etc/fakedocker-new 2>&1 || true").lines().count(),
            1
        );
        store.assert_no_container();
    });
}

#[test]
fn the_containers_own_kernel_objects() {
    undisturbed(|| {
        let store = Store::new();
        let script = "echo $$; echo /proc/[0-9]*; for kind in pid uts ipc mnt
            do readlink /proc/self/ns/$kind; done";
        let inside = store.on_host(script);
        let lines: Vec<&str> = inside.lines().collect();
        assert_eq!(lines[..2], ["1", "/proc/1"]);
        let namespaces = ["pid", "uts", "ipc", "mnt"];
        for (kind, inside) in namespaces.iter().zip(&lines[2..]) {
            let ours =
                fs::read_link(format!("/proc/self/ns/{kind}")).expect("it is there");
            let ours = ours.display().to_string();
            assert!(inside.starts_with(kind) && *inside != ours, "{inside} and {ours}");
        }
        assert_eq!(lines.len(), 2 + namespaces.len());
        let ps = store.on_host("exec ps aux");
        let pids: Vec<_> =
            ps.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
        assert_eq!(pids, ["PID", "1"], "{ps}");
    });
}

#[test]
fn queues_of_the_host_are_not_there() {
    undisturbed(|| {
        let store = Store::new();
        let made = output_of("ipcmk -Q");
        let queue = made.trim().rsplit(' ').next().expect("its ID").to_string();
        let list = "tail -n +2 /proc/sysvipc/msg; ls -A /dev/mqueue /dev/shm";
        let outside = output_of("tail -n +2 /proc/sysvipc/msg");
        let inside = store.on_host(list);
        let removed = Command::new("ipcrm").args(["-q", &queue]).status();
        assert!(removed.expect("ipcrm is there").success());
        assert!(outside.contains(&format!(" {queue} ")), "{outside}");
        assert_eq!(inside, "/dev/mqueue:\n\n/dev/shm:\n");
    });
}

#[test]
fn a_new_hostname_inside_stays_inside() {
    undisturbed(|| {
        let store = Store::new();
        let outside = output_of("hostname");
        // Usually it may not even do that.
        let script = "hostname elsewhere; hostname";
        let run = store.run(&["--cap-add", "SYS_ADMIN", "host", "sh", "-c", script]);
        assert_eq!(run.end().assert_status(0).out, "elsewhere\n");
        assert_eq!(output_of("hostname"), outside);
    });
}

/// While the container is there, its mounts are in no list but its own.
#[test]
fn mounts_inside_are_not_seen_outside() {
    undisturbed(|| {
        let store = Store::new();
        let mounts = || fs::read_to_string("/proc/self/mountinfo").expect("it is there");
        let before = mounts();
        let script =
            "mount -t tmpfs new-one /mnt; cat /proc/self/mountinfo; echo; read x";
        let run = ["-i", "--cap-add", "SYS_ADMIN", "host", "sh", "-c", script];
        let mut child = store.run(&run).start();
        let inside = BufReader::new(child.stdout.take().expect("it is piped"));
        let lines = inside.lines().map(|line| line.expect("text"));
        let inside: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
        assert!(inside.iter().any(|line| line.contains("new-one")), "{inside:?}");
        assert_eq!(mounts(), before);
        drop(child.stdin.take());
        child.wait().expect("it ends");
    });
}

/// Where "/" is shared, as on most machines, a mount that is not kept back would appear.
#[test]
fn mounts_inside_are_not_seen_where_the_root_is_shared() {
    undisturbed(|| {
        let store = Store::new();
        let script = "cat /proc/self/mountinfo > $0/before; \"$@\" || exit
            cmp $0/before /proc/self/mountinfo";
        let shared =
            ["unshare", "--mount", "--propagation", "shared", "sh", "-c", script];
        let scratch = Folder::new("scratch");
        let folder = scratch.path().display().to_string();
        let script = "mount -t tmpfs new /mnt && echo done";
        let run = store.run(&["--cap-add", "SYS_ADMIN", "host", "sh", "-c", script]);
        let ending = run.inside(&[&shared[..], &[&folder]].concat()).end();
        assert_eq!(ending.assert_status(0).assert_quiet().out, "done\n");
    });
}

#[test]
fn only_the_three_standard_descriptors_are_open() {
    undisturbed(|| {
        let store = Store::new();
        let script = "exec 7< /etc; exec 33< /etc/passwd; exec \"$@\"";
        let run = || store.run(&["host", "sh", "-c", "ls /proc/1/fd; true"]);
        let ending = run().inside(&["bash", "-c", script, "bash"]).end();
        assert_eq!(ending.assert_status(0).assert_quiet().out, "0\n1\n2\n");
    });
}
