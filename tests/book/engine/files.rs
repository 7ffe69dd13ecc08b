//! Are a container's files told, kept and copied as they are?
//!
//! `diff`, `commit` and `cp`, of containers that run and that have ended, also of hostile ones.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Child, Command};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::killing::endless;
use crate::support::engine::{Ending, Folder, Store};
use crate::support::machine::undisturbed;
use crate::support::rootfs::busybox;
use crate::support::student::Student;

/// A container called `name` that has played `script` and has ended.
fn ended(store: &Store, name: &str, flags: &[&str], script: &str) {
    let args = [&["run", "--network=none", "--name", name], flags].concat();
    let args = [&args[..], &["busybox", "sh", "-c", script]].concat();
    store.engine(&args).end().assert_status(0).assert_quiet();
}

fn stop(child: Child) {
    let pid = i32::try_from(child.id()).expect("a PID is an i32");
    kill(Pid::from_raw(pid), Signal::SIGTERM).expect("it is there");
    Ending::from(child.wait_with_output().expect("it ends")).assert_status(137);
}

/// Let a shell in the running container `which` play `script`.
fn exec(store: &Store, which: &str, script: &str) -> String {
    let exec = store.engine(&["exec", which, "sh", "-c", script]).end();
    exec.assert_status(0).out.clone()
}

const CHANGES: &str = "mkdir -p /a/b; echo 1 > /a/b/new; rm /etc/passwd; chmod 700 /home
    echo x >> /etc/group; rm -r /var; mkdir /var; touch /var/z; rm /bin/vi; ln -s x /bin/vi";
const DIFF: &str = "A /a\nA /a/b\nA /a/b/new\nC /bin\nC /bin/vi\nC /etc\nC /etc/group\n\
    D /etc/passwd\nC /home\nC /var\nD /var/tmp\nA /var/z\n";

#[test]
fn a_container_tells_what_it_has_changed() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        let diff = |which: &str| {
            let diff = store.engine(&["diff", which]).end();
            diff.assert_status(0).assert_quiet().out.clone()
        };
        ended(&store, "nothing", &[], "cat /etc/passwd");
        assert_eq!(diff("nothing"), "");
        ended(&store, "much", &[], CHANGES);
        assert_eq!(diff("much"), DIFF);
        ended(&store, "mapped", &["--userns=100000:65536"], CHANGES);
        assert_eq!(diff("mapped"), DIFF);
        let child =
            endless(&store, &["--rm", "--name", "box", "--network=none"], "busybox");
        assert_eq!(diff("box"), "");
        exec(&store, "box", CHANGES);
        assert_eq!(diff("box"), DIFF);
        stop(child);
        store.engine(&["diff", "nosuch"]).end().assert_status(1).assert_one_error();
    });
}

#[test]
fn a_container_becomes_an_image() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        let commit = |args: &[&str]| {
            let commit = store.engine(&[&["commit"], args].concat()).end();
            commit.assert_status(0).assert_quiet().out.trim().to_string()
        };
        let look = "cat /a/b/new; ls /etc /var; stat -c %a,%u /home /a; readlink /bin/vi";
        let expected = "1\n/etc:\ngroup\nhostname\nhosts\nresolv.conf\n\n/var:\nz\n\
            700,0\n755,0\nx\n";
        for (name, flags) in [("ended", &[][..]), ("mapped", &["--userns=100000:65536"])]
        {
            ended(&store, name, flags, CHANGES);
            let id = commit(&[
                "-a",
                "me",
                "-m",
                "why",
                "-c",
                "ENV x=y",
                "-c",
                "CMD [\"sh\", \"-c\", \"echo $x\"]",
                name,
                name,
            ]);
            let run = store.run(&["--network=none", name, "sh", "-c", look]).end();
            assert_eq!(run.assert_status(0).out, expected, "{run:?}");
            let usual = store.run(&["--network=none", &id[7..19]]).end();
            assert_eq!(usual.assert_status(0).out, "y\n");
        }
        let history = store.engine(&["history", "ended"]).end().out;
        assert!(
            history.lines().nth(1).is_some_and(|line| line.ends_with("why")),
            "{history}"
        );
        // One that runs is stopped meanwhile, and goes on.
        let child =
            endless(&store, &["--rm", "--name", "box", "--network=none"], "busybox");
        exec(&store, "box", "echo text > /running");
        commit(&["box", "running"]);
        commit(&["--pause=false", "box"]);
        assert_eq!(exec(&store, "box", "cat /running"), "text\n");
        stop(child);
        let run = store.run(&["--network=none", "running", "cat", "/running"]).end();
        assert_eq!(run.assert_status(0).out, "text\n");
        for wrong in [&["-c", "RUN x", "ended"][..], &["ended", "host"], &["nosuch"]] {
            let wrong = store.engine(&[&["commit"], wrong].concat()).end();
            wrong.assert_status(1).assert_one_error();
        }
    });
}

/// What `cp` is to do: from where, to where, and what is there then.
type Rule = (&'static str, &'static str, Result<&'static str, &'static str>);

/// Docker's rules. Each begins with f (a file), d (a folder with `in`) and e (an empty one).
const RULES: [Rule; 14] = [
    ("f", "new", Ok("new")),
    ("f", "e", Ok("e/f")),
    ("f", "e/", Ok("e/f")),
    ("f", "d/in", Ok("d/in")),
    ("f", "new/", Err("there is no folder")),
    ("f", "no/new", Err("there is no folder")),
    ("f/", "e", Err("is no folder")),
    ("d", "new", Ok("new/in")),
    ("d", "e", Ok("e/d/in")),
    ("d/", "e", Ok("e/d/in")),
    ("d/.", "e", Ok("e/in")),
    ("d/.", "new", Ok("new/in")),
    ("d", "f", Err("is no folder")),
    ("nosuch", "e", Err("there is no")),
];

/// Make what each rule begins with, in the folder `$1` a folder for each.
const BEGIN: &str = "mkdir $1; cd $1; for n in $(seq 0 13); do mkdir -p $n/d $n/e
    echo text > $n/f; echo text > $n/d/in; done";

#[test]
fn files_are_copied_by_dockers_rules() {
    undisturbed(|| {
        let (store, folder) = (Store::with("busybox", &busybox()), Folder::new("here"));
        ended(&store, "ended", &[], "mkdir /w");
        let child =
            endless(&store, &["--rm", "--name", "box", "--network=none"], "busybox");
        let here = folder.at("w");
        for (command, place) in [("sh", here.as_str()), ("exec", "/w"), ("exec", "/in")] {
            let script = BEGIN.replace("$1", place);
            match command {
                "exec" => drop(exec(&store, "box", &script)),
                _ => {
                    let mut shell = Command::new(command);
                    let done = shell.args(["-c", &script]).status();
                    assert!(done.expect("there is a shell").success());
                }
            }
        }
        for (number, (from, to, expected)) in RULES.iter().enumerate() {
            let there = |path: &str| format!("box:/w/{number}/{path}");
            let ours = |path: &str| format!("{here}/{number}/{path}");
            // Into another folder of the container's first: ours are changed after that.
            let into = format!("box:/in/{number}/{to}");
            for (from, to) in [(ours(from), into), (there(from), ours(to))] {
                let cp = store.engine(&["cp", &from, &to]).end();
                match expected {
                    Ok(_) => drop(cp.assert_status(0).assert_quiet()),
                    Err(error) => {
                        let told = cp.assert_status(1).assert_one_error();
                        assert!(told.contains(error), "cp {from} {to}: {told}");
                    }
                }
            }
            if let Ok(path) = expected {
                let copied = fs::read_to_string(ours(path)).ok();
                assert_eq!(copied.as_deref(), Some("text\n"), "cp {from} {to}");
            }
        }
        let copied = RULES.iter().enumerate().filter_map(|(number, rule)| {
            rule.2.ok().map(|path| format!(" /in/{number}/{path}"))
        });
        let copied: Vec<String> = copied.collect();
        let read = exec(&store, "box", &format!("cat{}", copied.concat()));
        assert_eq!(read, "text\n".repeat(copied.len()));
        stop(child);
        // One that has ended takes and gives as well.
        let cp = |from: &str, to: &str| {
            store.engine(&["cp", from, to]).end().assert_status(0).assert_quiet();
        };
        cp(&folder.at("w/0/d"), "ended:/w");
        cp("ended:/w/d/in", &folder.at("out"));
        let out = fs::read_to_string(folder.at("out"));
        assert_eq!(out.ok().as_deref(), Some("text\n"));
        let diff = store.engine(&["diff", "ended"]).end().out;
        assert_eq!(diff, "A /w\nA /w/d\nA /w/d/in\n");
        for (from, to) in
            [("ended:/w", "box:/w"), ("a", "b"), ("-", "-"), ("nosuch:/x", ".")]
        {
            let refused = store.engine(&["cp", from, to]).end();
            refused.assert_status(1).assert_one_error();
        }
    });
}

#[test]
fn owners_and_links_are_as_they_are_asked_for() {
    undisturbed(|| {
        let (store, here) = (Store::with("busybox", &busybox()), Folder::new("here"));
        let script = "echo text > /f; chown 5:6 /f; chmod 4755 /f; ln -s /f /l; mkdir /d; ln -s d /m";
        for (name, flags) in [("plain", &[][..]), ("mapped", &["--userns=100000:65536"])]
        {
            ended(&store, name, flags, script);
            let cp = |flags: &[&str], from: &str, to: &str| {
                let args = [&["cp"], flags, &[from, to]].concat();
                store.engine(&args).end().assert_status(0).assert_quiet();
            };
            let its = |path: &str| format!("{name}:{path}");
            let about = |path: &str| {
                let about = fs::symlink_metadata(here.at(path)).expect("it was copied");
                (about.uid(), about.gid(), about.mode() & 0o7777)
            };
            cp(&[], &its("/f"), &here.at("f"));
            assert_eq!(about("f"), (0, 0, 0o755));
            cp(&["-a"], &its("/f"), &here.at("f"));
            assert_eq!(about("f"), (5, 6, 0o4755));
            cp(&[], &its("/l"), &here.at("l"));
            assert_eq!(
                fs::read_link(here.at("l")).ok().as_deref(),
                Some(Path::new("/f"))
            );
            fs::remove_file(here.at("l")).expect("it is ours");
            cp(&["-L"], &its("/l"), &here.at("l2"));
            assert_eq!(fs::read_to_string(here.at("l2")).ok().as_deref(), Some("text\n"));
            // Into the container: root's, unless owners are to stay. Links in it are followed.
            chown(here.at("l2"), Some(7), Some(8)).expect("we are root");
            cp(&[], &here.at("l2"), &its("/m/root"));
            cp(&["-a"], &here.at("l2"), &its("/m/"));
            store.engine(&["commit", name, name]).end().assert_status(0);
            let look =
                ["--network=none", name, "stat", "-c", "%u:%g", "/d/root", "/d/l2"];
            let run = store.run(&look).end();
            assert_eq!(run.assert_status(0).out, "0:0\n7:8\n", "{name}");
        }
        // Archives, both ways.
        let out = store.engine(&["cp", "plain:/d", "-"]).end();
        let archive = here.write("d.tar", &out.assert_status(0).out);
        ended(&store, "other", &[], "mkdir /in");
        let archive = fs::File::open(archive).expect("it was written");
        store.engine(&["cp", "-", "other:/in"]).end_from(archive).assert_status(0);
        let diff = store.engine(&["diff", "other"]).end().out;
        assert_eq!(diff, "A /in\nA /in/d\nA /in/d/l2\nA /in/d/root\n");
    });
}

/// CVE-2018-15664: a container swaps a folder for a link to one of the host's while files are
/// copied through it. All that may happen is that the copy fails.
#[test]
fn a_container_that_swaps_links_leads_nobody_out() {
    undisturbed(|| {
        let (store, host) = (Store::with("busybox", &busybox()), Folder::new("host"));
        host.write("secret", "secret\n");
        fs::set_permissions(host.path(), Permissions::from_mode(0o755)).expect("ours");
        let here = Folder::new("here");
        here.write("bait", "bait\n");
        let child =
            endless(&store, &["--rm", "--name", "box", "--network=none"], "busybox");
        let swap = format!(
            "mkdir -p /s/real; echo own > /s/real/secret; ln -s {} /s/link; touch /s/ready
             while [ -e /s/ready ]; do ln -sfn link /s/swap; ln -sfn real /s/swap
             rm /s/swap; mkdir /s/swap; rmdir /s/swap 2>/dev/null || rm -r /s/swap; done",
            host.path().display()
        );
        let swapping = store.engine(&["exec", "box", "sh", "-c", &swap]).start();
        crate::support::wait::until("the attack", || {
            let ready = store.engine(&["exec", "box", "test", "-e", "/s/ready"]).end();
            (ready.status == Some(0)).then_some(())
        });
        let mut copied = 0;
        for number in 0..30 {
            let into = format!("box:/s/swap/bait{number}");
            let into = store.engine(&["cp", &here.at("bait"), &into]).end();
            let out = store.engine(&["cp", "box:/s/swap/secret", &here.at("out")]).end();
            copied +=
                i32::from(into.status == Some(0)) + i32::from(out.status == Some(0));
            let read = fs::read_to_string(here.at("out")).unwrap_or_default();
            assert!(["", "own\n"].contains(&read.as_str()), "{read}");
        }
        exec(&store, "box", "rm -f /s/ready");
        swapping.wait_with_output().expect("it ends");
        stop(child);
        let names = fs::read_dir(host.path()).expect("it is ours").flatten();
        let names: Vec<_> = names.map(|entry| entry.file_name()).collect();
        assert_eq!(names, ["secret"]);
        eprintln!("{copied} of 60 copies came through");
    });
}

/// The same with links that stay, also for a container that has ended, and for what is copied out:
/// a link in there must not be followed here.
#[test]
fn links_lead_nobody_out() {
    undisturbed(|| {
        let (store, host) = (Store::with("busybox", &busybox()), Folder::new("host"));
        host.write("secret", "secret\n");
        let here = Folder::new("here");
        let script = format!(
            "ln -s {0} /out; ln -s {0}/secret /file; mkdir /tree; ln -s {0} /tree/sub",
            host.path().display()
        );
        ended(&store, "box", &[], &script);
        let cp = |from: &str, to: &str| store.engine(&["cp", from, to]).end();
        cp("box:/out/secret", &here.at("x")).assert_status(1).assert_one_error();
        let bait = here.write("bait", "bait\n");
        cp(&bait, "box:/out/bait").assert_status(1).assert_one_error();
        cp(&bait, "box:/file").assert_status(1).assert_one_error();
        // A link of ours where the copy wants a folder stays what it is.
        fs::create_dir_all(here.at("into/tree")).expect("it is ours");
        symlink(host.path(), here.at("into/tree/sub")).expect("it is ours");
        cp("box:/tree", &here.at("into")).assert_status(0);
        let names = fs::read_dir(host.path()).expect("it is ours").count();
        assert_eq!(names, 1);
        assert_eq!(
            fs::read_to_string(host.at("secret")).ok().as_deref(),
            Some("secret\n")
        );
    });
}

#[test]
fn who_is_not_root_has_it_all_as_well() {
    undisturbed(|| {
        for student in [Student::new(), Student::with_numbers()] {
            let tarball = fs::File::open(busybox()).expect("it was made");
            student
                .engine(&["import", "-", "busybox"])
                .end_from(tarball)
                .assert_status(0);
            let run = [
                "run",
                "--network=host",
                "--name",
                "box",
                "busybox",
                "sh",
                "-c",
                CHANGES,
            ];
            student.engine(&run).end().assert_status(0);
            assert_eq!(student.engine(&["diff", "box"]).end().assert_status(0).out, DIFF);
            let out = student.at("out");
            student.engine(&["cp", "box:/a/b/new", &out]).end().assert_status(0);
            let about = fs::metadata(&out).expect("it was copied");
            assert_eq!((about.uid(), about.len()), (1234, 2));
            student.engine(&["cp", &out, "box:/a/again"]).end().assert_status(0);
            student.engine(&["commit", "box", "made"]).end().assert_status(0);
            let look = ["--network=host", "made", "sh", "-c", "cat /a/again; ls /etc"];
            let seen = student.run(&look).end();
            let expected = "1\ngroup\nhostname\nhosts\nresolv.conf\n";
            assert_eq!(seen.assert_status(0).out, expected, "{}", seen.err);
        }
    });
}
