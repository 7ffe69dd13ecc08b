//! Do others run what we have made, and we what others have made?
//!
//! Through a real registry: buildah makes an image, we change it, and podman runs what came of it;
//! and the other way round. Everybody sees the same digests.

use std::process::Command;

use crate::support::engine::{Ending, Folder, Store};
use crate::support::machine::undisturbed;
use crate::support::registry::{Real, must};
use crate::support::rootfs::debian;

/// buildah(1) and podman(1) with their storage in a folder of ours, where crun can do without
/// this machine's cgroups: in a mount namespace in which the second version's are not mounted,
/// and which has a shared memory of its own, where podman leaves its locks for ever.
struct Theirs(Folder);

impl Theirs {
    fn new() -> Theirs {
        Theirs(Folder::new("theirs"))
    }

    fn run(&self, program: &str, args: &str) -> Ending {
        let script = format!(
            "umount /sys/fs/cgroup/unified 2> /dev/null
             mount -t tmpfs none /dev/shm && exec {program} --root {0}/root --runroot {0}/run --storage-driver vfs {args}",
            self.0.path().display()
        );
        let ended =
            Command::new("unshare").args(["--mount", "sh", "-c", &script]).output();
        Ending::from(ended.expect("unshare is there"))
    }

    fn must(&self, program: &str, args: &str) -> String {
        self.run(program, args).assert_status(0).out.trim_end().to_string()
    }

    /// What the command prints in the image `name` of a registry.
    fn runs(&self, name: &str, command: &str) -> String {
        let limits = "--ulimit nofile=1024:1024 --ulimit nproc=1000:1000";
        let plain = "--cgroups=disabled --network none --tls-verify=false";
        let engine = "--cgroup-manager cgroupfs --events-backend none";
        self.must(
            "podman",
            &format!("{engine} run --rm {limits} {plain} {name} {command}"),
        )
    }
}

#[test]
fn images_go_from_hand_to_hand() {
    undisturbed(|| {
        let (store, registry, theirs) = (Store::new(), Real::start(), Theirs::new());
        let (first, second) = (registry.name("debian:12"), registry.name("mine:1"));
        let container = theirs.must("buildah", "from scratch");
        let tarball = debian().display().to_string();
        theirs.must("buildah", &format!("add {container} {tarball} /"));
        let config = format!("config --env MADE=theirs --cmd /bin/bash {container}");
        theirs.must("buildah", &config);
        let commit = format!("commit --tls-verify=false {container} docker://{first}");
        theirs.must("buildah", &commit);

        let pulled = store.engine(&["pull", &first]).end();
        let digest = format!("Digest: {}\n", registry.digest("debian:12"));
        assert!(pulled.assert_status(0).out.contains(&digest), "{pulled:#?}");
        let script = "echo changed by $MADE > /etc/motd; rm /etc/issue";
        let run = ["run", "--name", "work", &first, "sh", "-c", script];
        store.engine(&run).end().assert_status(0).assert_quiet();
        store.engine(&["commit", "work", &second]).end().assert_status(0);
        let pushed = store.engine(&["push", &second]).end();
        let digest = registry.digest("mine:1");
        assert!(
            pushed.assert_status(0).out.contains(&format!("digest: {digest}")),
            "{pushed:#?}"
        );
        let look =
            "sh -c 'cat /etc/motd; ls /etc/issue 2>&1 | wc -l; dpkg -V; echo $MADE'";
        let seen = theirs.runs(&second, look);
        // Of all that dpkg knows, this one is gone, and nothing else has changed.
        assert_eq!(seen, "changed by theirs\n1\nmissing   c /etc/issue\ntheirs");

        // And back: what podman has made of ours.
        let file = must(
            "skopeo",
            &["inspect", "--tls-verify=false", &format!("docker://{second}")],
        );
        assert!(file.contains(&digest), "{file}");
        let container =
            theirs.must("buildah", &format!("from --tls-verify=false {second}"));
        theirs.must(
            "buildah",
            &format!("config --entrypoint '[\"/bin/cat\"]' --cmd /etc/motd {container}"),
        );
        let third = registry.name("mine:2");
        theirs.must(
            "buildah",
            &format!("commit --tls-verify=false {container} docker://{third}"),
        );
        store.engine(&["pull", "-q", &third]).end().assert_status(0);
        let seen = store.run(&[&third]).end();
        assert_eq!(seen.assert_status(0).assert_quiet().out, "changed by theirs\n");
        store.engine(&["rm", "work"]).end().assert_status(0);
    });
}
