//! Does a system's own package manager work, over the network?
//!
//! What the course's original ran: a whole system from a tarball, which lists packages and installs
//! one. The packages are served by another container, a busybox, found by its name.

use std::fs;
use std::process::Command;

use crate::support::engine::{Folder, Store};
use crate::support::machine::undisturbed;
use crate::support::rootfs::{busybox, debian};
use crate::support::wait::until;

/// What the package says of itself.
const CONTROL: &str = "Package: greeter\nVersion: 1.2\nArchitecture: all\n\
    Maintainer: nobody <nobody@example.org>\nDescription: greets\n";

/// A repository with one package, as apt wants it: the packages, and a list of them.
fn repository(folder: &Folder) {
    let (root, package) =
        (folder.path().join("package"), folder.path().join("repo/greeter.deb"));
    for path in ["package/DEBIAN", "package/usr/bin", "repo"] {
        fs::create_dir_all(folder.path().join(path)).expect("the folder is ours");
    }
    folder.write("package/DEBIAN/control", CONTROL);
    let program = folder
        .write("package/usr/bin/greeter", "#!/bin/sh\necho greetings from $(hostname)\n");
    run(Command::new("chmod").args(["755", &program]));
    let pack = ["--root-owner-group", "-Zgzip", "--build"];
    run(Command::new("dpkg-deb").args(pack).args([&root, &package]));
    let sum = run(Command::new("sha256sum").arg(&package));
    let sum = sum.split(' ').next().expect("a sum").to_string();
    let size = fs::metadata(&package).expect("it was made").len();
    let entry =
        format!("{CONTROL}Filename: ./greeter.deb\nSize: {size}\nSHA256: {sum}\n");
    folder.write("repo/Packages", &entry);
}

fn run(command: &mut Command) -> String {
    let ended = command.output().expect("it is installed");
    assert!(
        ended.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&ended.stderr)
    );
    String::from_utf8_lossy(&ended.stdout).into_owned()
}

#[test]
fn apt_lists_and_installs_packages() {
    undisturbed(|| {
        let (store, folder) = (Store::with("debian", &debian()), Folder::new("packages"));
        let import = ["import", &busybox().display().to_string(), "busybox"];
        store.engine(&import).end().assert_status(0);
        repository(&folder);
        let volume = format!("{}:/repo:ro", folder.path().join("repo").display());
        let serve = ["httpd", "-f", "-p", "80", "-h", "/repo"];
        let flags = ["--name", "shop", "-v", &volume, "busybox"];
        let mut shop = store.run(&[&flags[..], &serve].concat()).start();
        let asks = ["exec", "shop", "wget", "-q", "-O", "-", "http://127.0.0.1/Packages"];
        until("the shop to open", || {
            (store.engine(&asks).end().status == Some(0)).then_some(())
        });

        let script = "set -e; rm -rf /etc/apt/sources.list*
            echo 'deb [trusted=yes] http://shop/ ./' > /etc/apt/sources.list
            apt-get -qq update; apt-cache policy greeter | grep Candidate
            apt-get -qq install greeter > /dev/null 2>&1; greeter; dpkg -s greeter | grep Status";
        let apt =
            store.run(&["--hostname", "customer", "debian", "sh", "-c", script]).end();
        assert_eq!(
            apt.assert_status(0).out,
            "  Candidate: 1.2\ngreetings from customer\nStatus: install ok installed\n"
        );
        shop.kill().expect("it is ours");
        shop.wait().expect("it is ours");
        // It was killed: the next command takes away what it has left.
        store.engine(&["images"]).end().assert_status(0);
    });
}
