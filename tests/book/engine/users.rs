//! As whom does a command run, by whose names?
//!
//! By those of its own root file system, however strange the files are that it has them
//! from; and whoever it is has no more rights than that user.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;

use super::flags::unpack;
use super::killing::endless;
use crate::support::engine::{Ending, Folder, Store};
use crate::support::machine::{Machine, undisturbed};
use crate::support::processes;
use crate::support::rootfs::debian;
use crate::support::wait::until;

const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
    image:x:3333:44::/home/image:/bin/sh\nbare:x:5:6::relative:/bin/sh\n";
const GROUP: &str = "root:x:0:\nprimary:x:44:\none:x:51:image,bare\ntwo:x:50:image\n";

/// A busybox system with users of its own; `scene` gets its path.
fn with_users(scene: impl FnOnce(&Store, &str)) {
    let (store, folder) = (Store::new(), Folder::new("users"));
    unpack(folder.path());
    folder.write("etc/passwd", PASSWD);
    folder.write("etc/group", GROUP);
    scene(&store, &folder.path().display().to_string());
}

/// Says the user, the group, the groups besides, and the home.
const WHO: &str = "groups=$(grep Groups /proc/self/status | cut -f 2-)
    echo $(id -u) $(id -g) [${groups% }] $HOME";

fn who(store: &Store, rootfs: &str, flags: &[&str]) -> Ending {
    store.run(&[flags, &["--rootfs", rootfs, "sh", "-c", WHO]].concat()).end()
}

#[test]
fn users_are_those_of_the_image() {
    undisturbed(|| {
        with_users(|store, rootfs| {
            let expected = [
                ("image", "3333 44 [50 51] /home/image"),
                ("3333", "3333 44 [50 51] /home/image"),
                ("bare", "5 6 [51] /"),
                ("image:one", "3333 51 [] /home/image"),
                ("image:7777", "3333 7777 [] /home/image"),
                ("7777", "7777 0 [] /"),
                ("7777:two", "7777 50 [] /"),
                ("0", "0 0 [] /root"),
                ("root:primary", "0 44 [] /root"),
            ];
            for (user, expected) in expected {
                let ending = who(store, rootfs, &["-u", user]);
                // The kernel ends its list of groups with a space.
                let said = ending.assert_status(0).assert_quiet().out.clone();
                assert_eq!(said, format!("{expected}\n"), "{user}");
            }
            let none = who(store, rootfs, &[]);
            assert_eq!(none.assert_status(0).out, "0 0 [] /root\n");
            let own = who(store, rootfs, &["--user", "image", "-e", "HOME=/mine"]);
            assert!(own.assert_status(0).out.ends_with(" /mine\n"), "{own:?}");
        });
    });
}

#[test]
fn a_user_of_debian_has_the_rights_of_one() {
    undisturbed(|| {
        let store = Store::with("debian", &debian());
        let script = "id; grep -E 'CapEff|CapPrm' /proc/self/status; touch /tmp/new;
            stat -c %U:%G /tmp/new; touch /etc/new; cat /etc/shadow; kill -9 1";
        let ending =
            store.run(&["-u", "www-data", "debian", "sh", "-c", script, "x"]).end();
        let id = "uid=33(www-data) gid=33(www-data) groups=33(www-data)\n";
        let none = "0000000000000000\n";
        let expected = format!("{id}CapPrm:\t{none}CapEff:\t{none}www-data:www-data\n");
        assert_eq!(ending.out, expected);
        assert_eq!(ending.err.matches("Permission denied").count(), 2, "{ending:?}");
    });
}

#[test]
fn who_is_not_there_is_refused_in_one_line() {
    undisturbed(|| {
        with_users(|store, rootfs| {
            store.on_host("true");
            let before = store.contents();
            let long = "n".repeat(4000);
            let names =
                ["daemon", "", ":", ":one", "image:", "-1", "4294967295", "a\u{1b}[2J"];
            for user in names.iter().chain([&long.as_str(), &"image:nogroup"]) {
                let ending = who(store, rootfs, &["-u", user]);
                let line = ending.assert_status(125).assert_one_error();
                assert!(line.len() < 200 && !line.contains(char::is_control), "{line:?}");
                assert_eq!(store.contents(), before, "{user}");
            }
            let line = who(store, rootfs, &["-u", "daemon"]).err;
            assert!(
                line.contains("\"daemon\" is not in the image's /etc/passwd"),
                "{line}"
            );
            let line = who(store, rootfs, &["-u", "image:nogroup"]).err;
            assert!(
                line.contains("\"nogroup\" is not in the image's /etc/group"),
                "{line}"
            );
        });
    });
}

/// `make` puts something else in the place of the image's /etc/passwd.
fn with_passwd(make: impl FnOnce(&Path), scene: impl FnOnce(&Store, &str)) {
    with_users(|store, rootfs| {
        let passwd = Path::new(rootfs).join("etc/passwd");
        fs::remove_file(&passwd).expect("it is ours");
        make(&passwd);
        scene(store, rootfs);
    });
}

#[test]
fn a_link_to_a_file_of_the_host_is_followed_inside() {
    undisturbed(|| {
        let victim = Folder::new("victim");
        let target = victim.write("passwd", "hosts:x:7:7::/host:/bin/sh\n");
        let link = |passwd: &Path| symlink(&target, passwd).expect("it is ours");
        with_passwd(link, |store, rootfs| {
            let ending = who(store, rootfs, &["-u", "hosts"]);
            ending.assert_status(125).assert_one_error();
            // What is at that place in the image counts.
            let twin = Path::new(rootfs).join(target.trim_start_matches('/'));
            fs::create_dir_all(twin.parent().expect("it is in a folder")).expect("ours");
            fs::write(&twin, "hosts:x:8:8::/image:/bin/sh\n").expect("ours");
            let ending = who(store, rootfs, &["-u", "hosts"]);
            assert_eq!(ending.assert_status(0).out, "8 8 [] /image\n");
        });
        let climbing = format!("../../../../../..{target}");
        let link = |passwd: &Path| symlink(&climbing, passwd).expect("it is ours");
        with_passwd(link, |store, rootfs| {
            who(store, rootfs, &["-u", "hosts"]).assert_status(125).assert_one_error();
        });
    });
}

/// A pipe would be waited for, a device could do things, and a huge file fill the memory.
#[test]
fn what_is_no_list_of_users_is_not_read() {
    undisturbed(|| {
        let run = |program: &str, args: &[&str], passwd: &Path| {
            let done = Command::new(program).args(args).arg(passwd).status();
            assert!(done.expect("it is there").success());
        };
        let node = |kind: [&'static str; 3]| {
            move |passwd: &Path| {
                let mut mknod = Command::new("mknod");
                assert!(mknod.arg(passwd).args(kind).status().expect("there").success());
            }
        };
        type Make<'m> = Box<dyn FnOnce(&Path) + 'm>;
        let makers: [Make; 5] = [
            Box::new(|passwd| run("mkfifo", &[], passwd)),
            Box::new(|passwd| run("mkdir", &[], passwd)),
            Box::new(|passwd| run("truncate", &["--size=8G"], passwd)),
            Box::new(|passwd| symlink("passwd", passwd).expect("it is ours")),
            Box::new(node(["c", "1", "5"])),
        ];
        for make in makers {
            with_passwd(make, |store, rootfs| {
                let ending = who(store, rootfs, &["-u", "image"]);
                let line = ending.assert_status(125).assert_one_error();
                assert!(line.contains("/etc/passwd"), "{line}");
                store.assert_no_container();
            });
        }
        let noise = |passwd: &Path| {
            let mut bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
            bytes.extend(b"\nimage:x:9:9::/noise:/bin/sh");
            fs::write(passwd, bytes).expect("it is ours");
        };
        with_passwd(noise, |store, rootfs| {
            let ending = who(store, rootfs, &["-u", "image"]);
            assert_eq!(ending.assert_status(0).out, "9 9 [50 51] /noise\n");
        });
        with_passwd(
            |_| (),
            |store, rootfs| {
                assert_eq!(who(store, rootfs, &[]).assert_status(0).out, "0 0 [] /\n");
            },
        );
    });
}

#[test]
fn pipes_can_be_opened_once_more_and_files_keep_their_owner() {
    undisturbed(|| {
        with_users(|store, rootfs| {
            let script = "echo out > /dev/stdout; echo err > /dev/stderr; cat /dev/stdin";
            let flags = ["-i", "-u", "image", "--rootfs", rootfs, "sh", "-c", script];
            let ending = store.run(&flags).end_with("in");
            assert_eq!(ending.assert_status(0).out, "out\nin");
            assert_eq!(ending.err, "err\n");
            let folder = Folder::new("output");
            let file = folder.at("file");
            let run = store.run(&["-u", "image", "--rootfs", rootfs, "echo", "said"]);
            let redirect = ["sh", "-c", "\"$@\" > $0", &file];
            run.inside(&redirect).end().assert_status(0);
            assert_eq!(fs::read_to_string(&file).expect("it is ours"), "said\n");
            let about = File::open(&file).and_then(|file| file.metadata());
            assert_eq!(about.expect("it is there").uid(), 0);
        });
    });
}

#[test]
fn who_joins_may_be_somebody_else() {
    undisturbed(|| {
        with_users(|store, rootfs| {
            let run =
                ["run", "--rm", "--name", "box", "-e", processes::MARK, "-u", "image"];
            let tail =
                ["--network", "none", "--rootfs", rootfs, "tail", "-f", "/dev/null"];
            let mut child = store.engine(&[&run[..], &tail].concat()).start();
            let exec = |flags: &[&str], command: &[&str]| {
                store.engine(&[&["exec"], flags, &["box"], command].concat()).end()
            };
            until("a container that can be joined", || {
                (exec(&[], &["true"]).status == Some(0)).then_some(())
            });
            let says = |flags: &[&str], expected: &str| {
                let ending = exec(flags, &["sh", "-c", WHO]);
                let said = ending.assert_status(0).assert_quiet().out.clone();
                assert_eq!(said, expected, "{flags:?}");
            };
            says(&[], "3333 44 [50 51] /home/image\n");
            says(&["-u", "root"], "0 0 [] /root\n");
            says(&["-u", "bare:two"], "5 50 [] /\n");
            says(&["-u", "bare", "-e", "HOME=/x"], "5 6 [51] /x\n");
            let unknown = exec(&["-u", "daemon"], &["true"]);
            let line = unknown.assert_status(126).assert_one_error();
            assert!(line.contains("the container's /etc/passwd"), "{line}");
            // What was changed inside counts.
            let add = "echo late:x:77:78::/late:/bin/sh >> /etc/passwd";
            exec(&["-u", "0"], &["sh", "-c", add]).assert_status(0);
            says(&["-u", "late"], "77 78 [] /late\n");
            let piped = exec(&["-u", "late"], &["sh", "-c", "echo out > /dev/stdout"]);
            assert_eq!(piped.assert_status(0).out, "out\n");
            child.kill().expect("it is there");
            child.wait().expect("it ends");
            // The next command takes away what it has left.
            store.engine(&["stats", "--no-stream"]).end().assert_status(0);
        });
    });
}

/// To become another user clears what ends a process with its parent: it was renewed.
#[test]
fn an_engine_that_is_killed_leaves_no_other_user_either() {
    undisturbed(|| {
        let store = Store::new();
        let before = Machine::look();
        let mut child = endless(&store, &["--network", "none", "-u", "33"], "host");
        child.kill().expect("it is there");
        child.wait().expect("it ends");
        before.assert_same(&["processes", "mounts"]);
        store.on_host("true");
        store.assert_no_container();
    });
}
