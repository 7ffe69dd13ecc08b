//! Do volumes outlive their containers, whoever is killed, and are they shared?

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Child;

use image::manifest::Settings;
use serde_json::Value;

use super::store::{as_whom, refused};
use crate::support::engine::{Ending, Folder, Store};
use crate::support::layout::{archive, base, layer};
use crate::support::machine::undisturbed;
use crate::support::rootfs::busybox;
use crate::support::student::Student;

impl Store {
    /// The names of all volumes.
    fn volumes(&self, flags: &[&str]) -> Vec<String> {
        let listed = self.ends(&[&["volume", "ls", "-q"], flags].concat());
        listed.lines().map(String::from).collect()
    }

    /// What is in the volume `name`.
    fn volume(&self, name: &str) -> PathBuf {
        self.path().join("volumes").join(name).join("_data")
    }

    /// What a shell in a container of `image` prints, run with `flags`.
    fn says(&self, flags: &[&str], image: &str, script: &str) -> String {
        let run = self.run(&[flags, &[image, "sh", "-c", script]].concat()).end();
        run.assert_status(0).assert_quiet().out.clone()
    }
}

#[test]
fn volumes_are_made_listed_shown_and_removed() {
    undisturbed(|| {
        let store = Store::new();
        assert_eq!(store.ends(&["volume", "ls"]), "DRIVER   VOLUME NAME\n");
        let create = ["volume", "create", "--label", "of=tests", "--label", "bare"];
        assert_eq!(store.ends(&[&create[..], &["one"]].concat()), "one\n");
        assert_eq!(store.ends(&["volume", "create", "one"]), "one\n");
        let nameless = store.ends(&["volume", "create"]);
        let nameless = nameless.trim_end();
        let is_hex = nameless.chars().all(|letter| letter.is_ascii_hexdigit());
        assert!(nameless.len() == 64 && is_hex, "{nameless}");
        let listed = store.ends(&["volume", "ls", "-f", "name=ne"]);
        assert_eq!(listed, "DRIVER   VOLUME NAME\nlocal    one\n");
        assert_eq!(store.volumes(&["--filter", "label=of=tests"]), ["one"]);
        assert_eq!(store.volumes(&["--filter", "label=bare"]), ["one"]);
        let format =
            ["volume", "ls", "-f", "name=one", "--format", "{{.Name}} {{.Labels}}"];
        assert_eq!(store.ends(&format), "one bare=,of=tests\n");
        assert_eq!(store.volumes(&["--filter", "label=of=others"]), [""; 0]);
        assert_eq!(store.volumes(&["--filter", "dangling=false"]), [""; 0]);
        assert_eq!(store.volumes(&["--filter", "dangling=true"]).len(), 2);

        let known: Value =
            serde_json::from_str(&store.ends(&["volume", "inspect", "one"]))
                .expect("it is JSON");
        let known = &known[0];
        assert_eq!((&known["Name"], &known["Driver"]), (&"one".into(), &"local".into()));
        assert_eq!(known["Labels"]["of"], "tests");
        let mountpoint =
            store.ends(&["volume", "inspect", "-f", "{{.Mountpoint}}", "one"]);
        assert_eq!(Path::new(mountpoint.trim_end()), store.volume("one"));
        assert!(store.volume("one").is_dir());

        assert_eq!(store.ends(&["volume", "rm", "one"]), "one\n");
        refused(&store, &["volume", "rm", "one"], "no volume is called \"one\"");
        refused(&store, &["volume", "inspect", "-f", "{{.Name}}", "one"], "no volume");
        assert_eq!(store.ends(&["volume", "rm", "-f", "one"]), "one\n");
        for wrong in ["", "x", "../up", "a/b", ".ab", "-ab", "a b", &"n".repeat(129)] {
            refused(&store, &["volume", "create", "--", wrong], "cannot be a name");
            refused(&store, &["volume", "rm", "-f", "--", wrong], "cannot be a name");
        }
        refused(
            &store,
            &["volume", "ls", "-f", "size=1"],
            "dangling, driver, label, name",
        );
        store.ends(&["volume", "rm", nameless]);
        assert_eq!(store.volumes(&[]), [""; 0]);
    });
}

#[test]
fn a_volume_outlives_its_containers_and_is_theirs_together() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        for flags in
            as_whom("named::a_volume_outlives_its_containers_and_is_theirs_together")
        {
            let with = |volume: &'static str| [flags, &["-v", volume]].concat();
            let write = "echo kept > /v/new; chown 7:8 /v/new; stat -c %u:%g /v";
            assert_eq!(store.says(&with("kept:/v"), "busybox", write), "0:0\n");
            // By the numbers that they have inside, whoever they are outside.
            let read =
                "cat /d/new; stat -c %u:%g /d/new; touch /d/x 2> /dev/null || echo fixed";
            assert_eq!(
                store.says(&with("kept:/d:ro"), "busybox", read),
                "kept\n7:8\nfixed\n"
            );
            assert_eq!(
                store.says(&["-v", "kept:/d:ro"], "host", read),
                "kept\n7:8\nfixed\n"
            );
            assert_eq!(store.volumes(&[]), ["kept"]);
            store.ends(&["volume", "rm", "kept"]);
        }
    });
}

/// A container that has written, and goes on until its input ends.
fn writer(store: &Store, flags: &[&str], script: &str) -> Child {
    let script = format!("{script}; echo ready; cat");
    let args = [&["-i"][..], flags, &["busybox", "sh", "-c", &script]].concat();
    let mut child = store.engine(&[&["run"][..], &args].concat()).start();
    let mut line = String::new();
    let out = child.stdout.as_mut().expect("it is piped");
    BufReader::new(out).read_line(&mut line).expect("text");
    assert_eq!(line, "ready\n");
    child
}

fn ended(child: Child) {
    Ending::from(child.wait_with_output().expect("it ends")).assert_status(0);
}

#[test]
fn a_volume_that_a_container_has_stays() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        let child = writer(&store, &["--name", "box", "-v", "used:/v"], "echo x > /v/x");
        let in_use = "volume \"used\" is in use by container ";
        refused(&store, &["volume", "rm", "used"], in_use);
        refused(&store, &["volume", "rm", "-f", "used"], in_use);
        let mounts = "{{json .Mounts}}";
        let shown = store.ends(&["inspect", "-f", mounts, "box"]);
        assert!(
            shown.contains("\"Name\":\"used\"") && shown.contains("\"volume\""),
            "{shown}"
        );
        ended(child);
        // It has ended, and can be looked into, committed, and started again.
        refused(&store, &["volume", "rm", "used"], in_use);
        let pruned = store.ends(&["volume", "prune", "-a", "-f"]);
        assert_eq!(pruned, "Total reclaimed space: 0B\n");
        assert_eq!(store.volumes(&["-f", "dangling=false"]), ["used"]);
        store.ends(&["rm", "-v", "box"]);
        assert_eq!(store.volumes(&["-f", "dangling=true"]), ["used"]);
        assert_eq!(fs::read_to_string(store.volume("used").join("x")).unwrap(), "x\n");
        let asked = store.engine(&["volume", "prune", "-a"]).end_with("no\n");
        assert!(asked.assert_status(0).out.contains("[y/N]"), "{asked:?}");
        let pruned = store.ends(&["volume", "prune", "-f"]);
        assert_eq!(pruned, "Total reclaimed space: 0B\n", "it has a name");
        let pruned = store.ends(&["volume", "prune", "-a", "-f"]);
        assert_eq!(pruned, "Deleted Volumes:\nused\n\nTotal reclaimed space: 2B\n");
    });
}

#[test]
fn what_nobody_has_given_a_name_goes_with_its_container() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        let flags = ["-v", "/one", "--mount", "target=/two", "-v", "named:/three"];
        let script =
            "echo x > /one/x; echo x > /two/x; mount | grep -c -E ' /(one|two|three) '";
        assert_eq!(store.says(&flags, "busybox", script), "3\n");
        assert_eq!(store.volumes(&[]), ["named"]);
        let keep = |name: &str| {
            let run =
                [&["run", "--name", name][..], &flags, &["busybox", "true"]].concat();
            store.engine(&run).end().assert_status(0);
        };
        keep("box");
        assert_eq!(store.volumes(&[]).len(), 3);
        store.ends(&["rm", "-v", "box"]);
        assert_eq!(store.volumes(&[]), ["named"]);
        keep("box");
        // Another container has got hold of one.
        let nameless = store.volumes(&["-f", "label=com.docker.volume.anonymous"]);
        let volume = format!("{}:/mine", nameless[0]);
        let other = ["run", "--name", "other", "-v", &volume, "busybox", "true"];
        store.engine(&other).end().assert_status(0);
        store.ends(&["rm", "-v", "box"]);
        assert_eq!(store.volumes(&["-f", "dangling=false"]), nameless[..1]);
        store.ends(&["rm", "-v", "other"]);
        assert_eq!(store.volumes(&[]).len(), 2, "to that one it was a name");
        keep("box");
        store.ends(&["rm", "box"]);
        let pruned = store.ends(&["volume", "prune", "-f"]);
        assert_eq!(pruned.lines().count(), 6, "{pruned}");
        assert_eq!(store.volumes(&[]), ["named"]);
        // A container that cannot start is none.
        let wrong = store.run(&["-v", "/one", "busybox", "no-such-program"]).end();
        wrong.assert_status(127);
        assert_eq!(store.volumes(&[]), ["named"]);
    });
}

#[test]
fn what_one_container_has_others_can_have_too() {
    undisturbed(|| {
        let (store, folder) = (Store::with("busybox", &busybox()), Folder::new("lent"));
        folder.write("file", "the host's\n");
        let bind = format!("{}:/b:ro", folder.path().display());
        let mounts = ["-v", "kept:/v", "-v", "/n", "-v", &bind, "--tmpfs", "/t"];
        let create = [&["create", "--name", "lender"][..], &mounts, &["busybox", "true"]];
        store.ends(&create.concat());
        for flags in as_whom("named::what_one_container_has_others_can_have_too") {
            let from = |text: &'static str| [flags, &["--volumes-from", text]].concat();
            let script = "echo v > /v/x; echo n > /n/x; cat /b/file
                touch /b/new 2> /dev/null || echo fixed; test -e /t || echo no memory";
            let said = store.says(&from("lender"), "busybox", script);
            assert_eq!(said, "the host's\nfixed\nno memory\n");
            let script = "cat /v/x /n/x; touch /v/new 2> /dev/null || echo fixed";
            assert_eq!(
                store.says(&from("lender:ro"), "busybox", script),
                "v\nn\nfixed\n"
            );
            let own = [&from("lender")[..], &["--tmpfs", "/v"]].concat();
            assert_eq!(store.says(&own, "busybox", "ls /v; cat /n/x"), "n\n");
        }
        // What was only to be read is not more by this, and is theirs as well.
        let borrower = ["create", "--name", "borrower", "--volumes-from", "lender:rw"];
        store.ends(&[&borrower[..], &["busybox", "true"]].concat());
        let places = "{{range .Mounts}}{{.Destination}} {{.RW}},{{end}}";
        let shown = store.ends(&["inspect", "-f", places, "borrower"]);
        assert_eq!(shown, store.ends(&["inspect", "-f", places, "lender"]));
        assert!(shown.contains("/b false,"), "{shown}");
        store.ends(&["rm", "-v", "lender"]);
        assert_eq!(store.volumes(&["-f", "dangling=false"]).len(), 2);
        store.ends(&["rm", "borrower"]);
        for (wrong, why) in
            [("nobody", "no container is called"), ("x:z", "neither ro nor rw")]
        {
            let run = store.run(&["--volumes-from", wrong, "busybox", "true"]).end();
            let line = run.assert_status(125).assert_one_error();
            assert!(line.contains("--volumes-from") && line.contains(why), "{line}");
        }
    });
}

/// A store with the image `full`, which has many files in /data, and no image's volume.
fn with_full() -> (Store, Folder) {
    let (store, folder) = (Store::new(), Folder::new("full"));
    let names: Vec<String> = (0..200).map(|number| format!("data/{number}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "full\n")).collect();
    let layers = [base(), layer(&files)];
    store.loads(&archive(&folder, "full", &layers, Settings::default()));
    (store, folder)
}

const COUNT: &str = "ls /data | wc -l; cat /data/* | sort | uniq -c";
const FULL: &str = "200\n    200 full\n";

#[test]
fn a_new_volume_begins_with_what_the_image_has_once() {
    undisturbed(|| {
        let (store, _folder) = with_full();
        assert_eq!(store.says(&["-v", "left:/data:nocopy"], "full", "ls /data"), "");
        let mount = "source=also,target=/data,volume-nocopy";
        assert_eq!(store.says(&["--mount", mount], "full", "ls /data"), "");
        // Where the image has nothing, it has not begun yet.
        assert_eq!(store.says(&["-v", "new:/other"], "full", "chmod 700 /other"), "");
        assert_eq!(store.says(&["-v", "new:/data"], "full", COUNT), FULL);
        assert_eq!(store.says(&["-v", "new:/data"], "full", "rm /data/*"), "");
        assert_eq!(store.says(&["-v", "new:/data"], "full", "ls /data"), "", "only once");
        let script = "echo mine > /other/mine";
        assert_eq!(store.says(&["-v", "own:/other"], "full", script), "");
        assert_eq!(store.says(&["-v", "own:/data"], "full", "ls /data"), "mine\n");
    });
}

/// What somebody was killed at is done again, and not gone on with.
#[test]
fn half_a_beginning_is_none() {
    undisturbed(|| {
        let (store, _folder) = with_full();
        store.ends(&["volume", "create", "half"]);
        fs::write(store.volume("half").join("0"), "fu").expect("it is ours");
        fs::write(store.volume("half").with_file_name("new"), "begun")
            .expect("it is ours");
        fs::write(store.volume("half").with_file_name("_data.tar"), "x")
            .expect("it is ours");
        assert_eq!(store.says(&["-v", "half:/data"], "full", COUNT), FULL);
        let left =
            fs::read_dir(store.volume("half").with_file_name("")).expect("it is there");
        assert_eq!(left.count(), 2);
        // Rubbish goes, and what is not ours stays.
        for name in [".gone/_data", "lost+found"] {
            fs::create_dir_all(store.path().join("volumes").join(name))
                .expect("it is ours");
        }
        assert_eq!(store.volumes(&[]), ["half"]);
        assert!(!store.path().join("volumes/.gone").exists());
        assert!(store.path().join("volumes/lost+found").exists());
    });
}

#[test]
fn of_several_that_begin_at_once_none_sees_half() {
    undisturbed(|| {
        let (store, _folder) = with_full();
        for round in 0..3 {
            let volume = format!("new{round}:/data");
            let start =
                |_| store.run(&["-v", &volume, "full", "sh", "-c", COUNT]).start();
            let all: Vec<Child> = (0..4).map(start).collect();
            for child in all {
                let ending = Ending::from(child.wait_with_output().expect("it ends"));
                assert_eq!(ending.assert_status(0).out, FULL);
            }
        }
    });
}

#[test]
fn who_makes_and_who_removes_take_turns() {
    undisturbed(|| {
        let store = Store::new();
        let words: [&[&str]; 4] = [
            &["volume", "create", "it"],
            &["volume", "rm", "it"],
            &["run", "--rm", "-v", "it:/v", "-v", "/n", "host", "touch", "/v/x"],
            &["volume", "prune", "-a", "-f"],
        ];
        for _ in 0..5 {
            let all = words.map(|words| [0; 2].map(|_| store.engine(words).start()));
            for child in all.into_iter().flatten() {
                let ending = Ending::from(child.wait_with_output().expect("it ends"));
                if ending.status != Some(0) {
                    ending.assert_status(1).assert_one_error();
                }
            }
        }
        let names = fs::read_dir(store.path().join("volumes")).expect("it is there");
        for entry in names.flatten() {
            assert!(entry.path().join("_data").is_dir(), "{entry:?}");
            assert!(entry.path().join("volume.json").is_file(), "{entry:?}");
        }
        store.ends(&["volume", "prune", "-a", "-f"]);
        assert_eq!(store.volumes(&[]), [""; 0]);
    });
}

#[test]
fn a_killed_engine_leaves_what_was_written_and_nothing_nameless() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        let flags =
            ["--rm", "-e", crate::support::processes::MARK, "-v", "kept:/v", "-v", "/n"];
        let mut child = writer(&store, &flags, "echo word > /v/x; echo word > /n/x");
        assert_eq!(store.volumes(&[]).len(), 2);
        child.kill().expect("it is there");
        child.wait().expect("it ends");
        assert_eq!(store.volumes(&[]), ["kept"]);
        store.assert_no_container();
        assert_eq!(store.says(&["-v", "kept:/v"], "host", "cat /v/x"), "word\n");
    });
}

#[test]
fn volumes_take_no_root() {
    undisturbed(|| {
        for student in [Student::new(), Student::with_numbers()] {
            let run = |words: &[&str]| {
                let flags = ["--network", "none"];
                let ending = student.run(&[&flags[..], words].concat()).end();
                ending.assert_status(0).out.clone()
            };
            let write = "echo mine > /v/x; echo x > /n/x; mount | grep -c ' /[nt] '";
            let flags = ["-v", "kept:/v", "-v", "/n", "--tmpfs", "/t:size=1m"];
            assert_eq!(run(&[&flags[..], &["host", "sh", "-c", write]].concat()), "2\n");
            assert_eq!(run(&["-v", "kept:/v:ro", "host", "cat", "/v/x"]), "mine\n");
            let end =
                |words: &[&str]| student.engine(words).end().assert_status(0).out.clone();
            assert_eq!(end(&["volume", "ls", "-q"]), "kept\n");
            assert_eq!(end(&["volume", "rm", "kept"]), "kept\n");
            assert_eq!(end(&["volume", "ls", "-q"]), "");
        }
    });
}

#[test]
fn mount_says_the_same_in_words() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::new("mount"));
        folder.write("file", "the host's\n");
        let source = folder.path().display().to_string();
        let bind = format!("type=bind,source={source},target=/b,readonly");
        let memory = "type=tmpfs,destination=/t,tmpfs-size=64k,tmpfs-mode=1750";
        let script = "cat /b/file; touch /b/x 2> /dev/null || echo fixed; stat -c %a /t
            head -c 100k /dev/zero > /t/x 2> /dev/null || echo full
            cp /bin/true /t/it 2> /dev/null; mount | grep ' /t ' | grep -c noexec";
        let flags = ["--mount", &bind, "--mount", memory, "--mount", "src=vol,dst=/v"];
        let said = store.says(&flags, "host", script);
        assert_eq!(said, "the host's\nfixed\n1750\nfull\n1\n");
        assert_eq!(store.volumes(&[]), ["vol"]);
        let before = store.contents();
        for wrong in [
            "",
            "type=disk,target=/d",
            "type=bind,target=/d",
            "target=d",
            "type=tmpfs,src=x,dst=/d",
            "type=bind,source=/not/here,target=/d",
            "source=../x,target=/d",
            "dst=/d,what=1",
        ] {
            let ending = store.run(&["--mount", wrong, "host", "true"]).end();
            let line = ending.assert_status(125).assert_one_error();
            assert!(line.contains("--mount"), "{line}");
        }
        let twice = store.run(&["-v", "/d", "--tmpfs", "/d", "host", "true"]).end();
        assert!(twice.assert_status(125).assert_one_error().contains("two mounts on"));
        assert_eq!(store.contents(), before);
    });
}

/// Also where it is said in the other order, and where the image says it.
#[test]
fn what_lies_deeper_is_mounted_later() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::new("deep"));
        let volumes = [("/v/image".to_string(), Value::Object(Default::default()))];
        let settings =
            Settings { volumes: BTreeMap::from(volumes), ..Settings::default() };
        store.loads(&archive(&folder, "deep", &[base()], settings));
        let flags = ["-v", "two:/v/a/b", "--tmpfs", "/v/a", "-v", "one:/v"];
        let script = "mount | grep -o ' /v[^ ]* '";
        assert_eq!(
            store.says(&flags, "deep", script),
            " /v \n /v/a \n /v/image \n /v/a/b \n"
        );
        let rename = ["--tmpfs", "/run:rw,exec,size=1m", "--tmpfs", "/dev/shm:size=2m"];
        let script = "mount | grep -E ' (/run|/dev/shm) ' | grep -o 'size=[0-9]*k'";
        let said = store.says(&rename, "deep", script);
        assert!(said.ends_with("size=1024k\nsize=2048k\n"), "{said}");
        let mut input =
            store.run(&["-i", "-v", "one:/v", "deep", "sh", "-c", "cat > /v/x"]).start();
        input.stdin.take().expect("it is piped").write_all(b"text").expect("it reads");
        ended(input);
        assert_eq!(fs::read_to_string(store.volume("one").join("x")).unwrap(), "text");
    });
}
