//! What of the machine can a container on `host` reach?
//!
//! Its files, to read; nothing that is more than a file. Devices, sockets, pipes, other file
//! systems, the kernel's switches and the store are not for it.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use crate::support::engine::{Folder, Store};
use crate::support::machine::undisturbed;

fn must(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    assert!(status.expect("it is installed").success(), "{program} {arguments:?}");
}

#[test]
fn other_file_systems_appear_empty() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::of_host("mounted"));
        let script =
            "mount -t tmpfs other $0 && echo secret > $0/file && cat $0/file && \"$@\"";
        let place = folder.path().display().to_string();
        let run = store.run(&["host", "ls", "-A", &place]);
        let ending =
            run.inside(&["unshare", "--mount", "sh", "-c", script, &place]).end();
        assert_eq!(ending.assert_status(0).assert_quiet().out, "secret\n");
    });
}

#[test]
fn run_and_tmp_are_the_containers_own() {
    undisturbed(|| {
        let store = Store::new();
        let name = format!("fakedocker-mine-{}", std::process::id());
        let files = ["/tmp", "/run"].map(|folder| format!("{folder}/{name}"));
        files.iter().for_each(|file| fs::write(file, "").expect("it can be written"));
        let script = format!("ls -A /tmp /run; touch /tmp/{name}-new /run/{name}-new");
        let inside = store.on_host(&script);
        files.iter().for_each(|file| fs::remove_file(file).expect("it is ours"));
        assert_eq!(inside, "/run:\n\n/tmp:\n");
        assert!(!fs::exists(format!("/run/{name}-new")).expect("/run can be read"));
    });
}

#[test]
fn the_store_is_covered() {
    undisturbed(|| {
        let store = Store::new();
        let root = store.path().display();
        let script = format!("ls -A {root}; touch {root}/file 2>&1 || true");
        let inside = store.on_host(&script);
        assert!(inside.ends_with("Read-only file system\n"), "{inside}");
        assert_eq!(inside.lines().count(), 1, "the store is seen: {inside}");
        assert!(fs::exists(store.path().join("containers")).expect("it can be read"));
    });
}

#[test]
fn devices_of_the_host_cannot_be_opened() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::of_host("nodes"));
        let (zero, new) = (folder.at("zero"), folder.at("new"));
        must("mknod", &[&zero, "c", "1", "5"]);
        must("head", &["-c1", &zero]);
        let script = format!(
            "head -c1 {zero}; echo x > {zero}; mknod {new} c 1 5; head -c1 {new}; true"
        );
        let ending = store.run(&["host", "sh", "-c", &script]).end();
        assert_eq!(ending.err.matches("Permission denied").count(), 3, "{ending:?}");
        let script = format!("{script}; chmod 600 /dev/null; rm /dev/null");
        let read_only = store.run(&["--read-only", "host", "sh", "-c", &script]).end();
        let denied = read_only.err.matches("Permission denied").count();
        assert_eq!(denied, 2, "the first two: {read_only:?}");
    });
}

#[test]
fn device_nodes_cannot_be_changed_and_work() {
    undisturbed(|| {
        let store = Store::new();
        let mode = || fs::metadata("/dev/null").expect("it is there").permissions();
        let before = mode();
        let script = "chmod 600 /dev/null; chown 1 /dev/zero; rm -f /dev/full";
        let ending = store.run(&["host", "sh", "-c", script]).end();
        assert_eq!(ending.err.matches("Read-only file system").count(), 2, "{ending:?}");
        assert!(ending.err.contains("busy"), "rm of a mount point: {ending:?}");
        assert_eq!(mode(), before);
        let script = "echo x > /dev/null && head -c3 /dev/zero | od -An -tx1 &&
            head -c2 /dev/urandom | wc -c && readlink /dev/stdin /dev/fd";
        let works = store.on_host(script);
        assert_eq!(works, " 00 00 00\n2\n/proc/self/fd/0\n/proc/self/fd\n");
    });
}

#[test]
fn the_kernels_switches_cannot_be_written() {
    undisturbed(|| {
        let store = Store::new();
        // Each file is opened for writing and not written: what opens is printed.
        let script = "for file in /proc/sys/kernel/* /proc/sys/vm/* /proc/sysrq-trigger \
             /proc/irq/default_smp_affinity /sys/kernel/uevent_helper /sys/power/state \
             /sys/kernel/mm/transparent_hugepage/enabled /sys/block/*/queue/scheduler
            do [ ! -f $file ] || { tried=$((tried + 1)); (: >> $file) 2> /dev/null && echo $file; }
            done; [ $tried -gt 20 ]";
        assert_eq!(store.on_host(script), "");
        let masked = "cat /proc/kcore /proc/keys /proc/timer_list 2> /dev/null;
            ls -A /sys/firmware; mkdir /sys/firmware/new 2> /dev/null; true";
        assert_eq!(store.on_host(masked), "");
    });
}

/// The socket's file is there, whoever listens on it is not.
#[test]
fn sockets_of_the_host_are_not_connected() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::of_host("socket"));
        let path = folder.at("socket");
        let _listener = UnixListener::bind(&path).expect("it is our folder");
        UnixStream::connect(&path).expect("somebody listens");
        let script = format!(
            "socket(S, AF_UNIX, SOCK_STREAM, 0) and -S '{path}' or die;
             print connect(S, sockaddr_un('{path}')) ? 'connected' : $!"
        );
        let ending = store.run(&["host", "perl", "-MSocket", "-e", &script]).end();
        assert_eq!(ending.assert_status(0).out, "Connection refused");
    });
}

/// We hold the reading end: outside, one can open it to write without waiting.
#[test]
fn pipes_of_the_host_are_not_connected() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::of_host("fifo"));
        let path = folder.at("fifo");
        must("mkfifo", &[&path]);
        let nonblocking = |options: &mut OpenOptions| {
            options.custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits()).open(&path)
        };
        let reader = nonblocking(OpenOptions::new().read(true));
        nonblocking(OpenOptions::new().write(true)).expect("somebody reads");
        let script = format!(
            "use Fcntl; -p '{path}' or die;
             print sysopen(F, '{path}', O_WRONLY|O_NONBLOCK) ? 'connected' : $!"
        );
        let ending = store.run(&["host", "perl", "-e", &script]).end();
        assert_eq!(ending.assert_status(0).out, "No such device or address");
        drop(reader.expect("a pipe can be opened for reading"));
    });
}
