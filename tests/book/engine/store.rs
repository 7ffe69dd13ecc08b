//! Are images listed, named, shared and removed as in Docker, and do they say how to be run?

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use image::manifest::Settings;
use serde_json::Value;

use super::userns::impossible;
use crate::support::engine::{Ending, Engine, Folder, Store};
use crate::support::layout::{archive, base, layer};
use crate::support::machine::undisturbed;
use crate::support::rootfs::busybox;
use crate::support::skip::not_tried;

impl Store {
    pub fn ends(&self, args: &[&str]) -> String {
        self.engine(args).end().assert_status(0).assert_quiet().out.clone()
    }

    pub fn loads(&self, archive: &Path) -> String {
        self.ends(&["load", "-i", &archive.display().to_string()])
    }

    /// The rows of `images`, without the times.
    fn rows(&self) -> Vec<Vec<String>> {
        let listed = self.ends(&["images"]);
        let cells = |line: &str| {
            let cells = line.split("   ").map(str::trim).filter(|cell| !cell.is_empty());
            cells.map(String::from).collect::<Vec<_>>()
        };
        listed.lines().skip(1).map(cells).collect()
    }

    /// How many folders with a layer there are.
    fn layers(&self) -> usize {
        let entries = fs::read_dir(self.path().join("layers")).expect("it is there");
        entries
            .filter(|entry| entry.as_ref().expect("it is there").path().is_dir())
            .count()
    }

    fn blobs(&self) -> usize {
        fs::read_dir(self.path().join("blobs/sha256")).expect("it is there").count()
    }
}

/// Flags with which all shall be the same: as root, and with users of its own where it can be.
pub fn as_whom(test: &str) -> Vec<&'static [&'static str]> {
    let mut flags = vec![&[][..], &["--userns", "100000:65536"]];
    if let Some(why) = impossible() {
        not_tried(&format!("engine::{test}"), format!("--userns: {why}"));
        flags.pop();
    }
    flags
}

pub fn refused(store: &Store, args: &[&str], why: &str) {
    let ending = store.engine(args).end();
    let line = ending.assert_status(1).assert_one_error();
    assert!(line.contains(why), "{line:?} should say {why:?}");
}

#[test]
fn images_have_names_and_lose_them() {
    undisturbed(|| {
        let store = Store::with("box", &busybox());
        assert_eq!(store.ends(&["tag", "box", "my/other:1"]), "");
        let id = store.ends(&["images", "-q"]);
        let id = id.trim_end();
        assert_eq!(id.len(), 12, "one image, although it has two names");
        let rows = store.rows();
        let [first, second] = &rows[..] else { panic!("{rows:?}") };
        assert_eq!((&*first[0], &*first[1], &*first[2]), ("box", "latest", id));
        assert_eq!((&*second[0], &*second[1], &*second[2]), ("my/other", "1", id));
        store.run(&[&id[..4], "true"]).end().assert_status(0).assert_quiet();

        refused(&store, &["rmi", id], "several names");
        refused(&store, &["rmi", "unknown"], "no image called");
        let forced = store.engine(&["rmi", "-f", "unknown"]).end();
        assert_eq!(forced.assert_status(0).err, "warning: no image called unknown\n");
        refused(&store, &["tag", "unknown", "x"], "no image called");
        assert_eq!(store.ends(&["rmi", "box"]), "Untagged: box:latest\n");
        let gone = store.ends(&["rmi", "my/other:1"]);
        assert!(gone.starts_with("Untagged: my/other:1\nDeleted: sha256:"), "{gone}");
        assert_eq!((store.layers(), store.blobs(), store.rows().len()), (0, 0, 0));
    });
}

#[test]
fn who_stands_on_an_image_keeps_it() {
    undisturbed(|| {
        let store = Store::with("box", &busybox());
        let run = store.engine(&["run", "--name", "user", "box", "true"]).end();
        run.assert_status(0);
        refused(&store, &["rmi", "box"], "is in use");
        let untagged = store.ends(&["rmi", "-f", "box"]);
        assert_eq!(untagged, "Untagged: box:latest\n");
        assert_eq!(store.rows()[0][..2], ["<none>", "<none>"]);
        let pruned = store.ends(&["image", "prune", "-f"]);
        assert_eq!(pruned, "Total reclaimed space: 0B\n");
        assert_eq!(store.layers(), 1);
        store.ends(&["rm", "user"]);
        let pruned = store.ends(&["image", "prune", "-f"]);
        assert!(pruned.starts_with("Deleted Images:\ndeleted: sha256:"), "{pruned}");
        assert!(pruned.ends_with("MB\n"), "{pruned}");
        assert_eq!((store.layers(), store.blobs()), (0, 0));
    });
}

#[test]
fn prune_asks_first() {
    undisturbed(|| {
        let store = Store::with("box", &busybox());
        let ask = |answer| {
            let asked = store.engine(&["image", "prune", "--all"]).end_with(answer);
            asked.assert_status(0).assert_quiet().out.clone()
        };
        assert!(ask("n\n").contains("Are you sure? [y/N]"));
        assert!(ask("").contains("Are you sure? [y/N]"));
        assert_eq!(store.rows().len(), 1);
        assert!(ask("y\n").contains("untagged: box:latest"));
        assert_eq!(store.rows().len(), 0);
    });
}

fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| word.to_string()).collect()
}

fn talkative() -> Settings {
    Settings {
        user: "daemon".into(),
        env: texts(&["GREETING=hello", "PATH=/bin", "NOTHING"]),
        entrypoint: texts(&["/bin/say", "it"]),
        cmd: texts(&["by", "default"]),
        working_dir: "/srv/made".into(),
        stop_signal: "SIGINT".into(),
        exposed_ports: BTreeMap::from([(
            "80/tcp".to_string(),
            Value::Object(Default::default()),
        )]),
        ..Settings::default()
    }
}

const SAY: &str =
    "#!/bin/sh\necho \"$@; $GREETING $NOTHING; $(pwd); $(id -un); $PATH\"\n";

#[test]
fn what_an_image_says_is_honoured() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::new("said"));
        let files = [
            ("bin/say", SAY),
            ("etc/passwd", "root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/:/bin/sh\n"),
        ];
        let layers = [base(), layer(&files)];
        let loaded = store.loads(&archive(&folder, "talker", &layers, talkative()));
        assert_eq!(loaded, "Loaded image: talker:latest\n");
        let says = |args: &[&str]| -> String {
            // What is ours must not get in.
            let run = store.run(args).env("NOTHING", "leaks").end();
            run.assert_status(0).assert_quiet().out.clone()
        };
        assert_eq!(says(&["talker"]), "it by default; hello ; /srv/made; daemon; /bin\n");
        assert_eq!(says(&["talker", "now"]), "it now; hello ; /srv/made; daemon; /bin\n");
        let flags = ["-u", "root", "-w", "/tmp", "-e", "GREETING=hi", "talker"];
        assert_eq!(says(&flags), "it by default; hi ; /tmp; root; /bin\n");
        assert_eq!(says(&["--entrypoint", "echo", "talker", "a", "b"]), "a b\n");
        assert_eq!(says(&["--entrypoint", "", "talker", "pwd"]), "/srv/made\n");

        let run = store.engine(&["run", "--name", "one", "talker"]).end();
        run.assert_status(0);
        let seen = store.ends(&[
            "inspect",
            "--format",
            "{{.Config.Image}} {{.Config.StopSignal}} {{json .Config.ExposedPorts}}",
            "one",
        ]);
        assert_eq!(seen, "talker SIGINT {\"80/tcp\":{}}\n");
        let seen = store.ends(&[
            "image",
            "inspect",
            "-f",
            "{{json .Config.ExposedPorts}}",
            "talker",
        ]);
        assert_eq!(seen, "{\"80/tcp\":{}}\n");
        store.ends(&["rm", "one"]);
    });
}

#[test]
fn a_volume_begins_with_what_the_image_has_and_is_in_no_layer() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::new("volume"));
        let object = || Value::Object(Default::default());
        let volumes = ["/data", "/new/one"].map(|path| (path.to_string(), object()));
        let settings =
            Settings { volumes: BTreeMap::from(volumes), ..Settings::default() };
        let layers = [base(), layer(&[("data/a", "from the image\n")])];
        store.loads(&archive(&folder, "keeper", &layers, settings));
        let script = "chown 7:8 /data/a; echo more >> /data/a; cat /data/a; echo x > /new/one/x; \
                      stat -c %u /data/a; mount | grep -c -E ' on (/data|/new/one) '";
        let test = "store::a_volume_begins_with_what_the_image_has_and_is_in_no_layer";
        for flags in as_whom(test) {
            let run = store.run(&[flags, &["keeper", "sh", "-c", script]].concat()).end();
            run.assert_status(0).assert_quiet();
            assert_eq!(run.out, "from the image\nmore\n7\n2\n");
        }
        let own = folder.write("a", "mine\n");
        let volume =
            format!("{}:/data", Path::new(&own).parent().expect("a folder").display());
        let run = store.run(&["-v", &volume, "keeper", "cat", "/data/a"]).end();
        assert_eq!(run.assert_status(0).assert_quiet().out, "mine\n");
        store.engine(&["run", "--name", "one", "keeper", "sh", "-c", script]).end();
        let kept =
            store.containers().into_iter().find(|path| path.is_dir()).expect("one");
        assert!(!kept.join("layer/upper/data/a").exists());
        assert_eq!(store.ends(&["volume", "ls", "-q"]).lines().count(), 2);
        store.ends(&["rm", "-v", "one"]);
        assert_eq!(store.ends(&["volume", "ls", "-q"]), "");
        store.assert_no_container();
    });
}

#[test]
fn layers_hide_what_is_below_them_and_are_there_once() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::new("layers"));
        let base =
            [base(), layer(&[("data/a", "a"), ("data/b", "b"), ("old/x", "x")])].to_vec();
        let one = layer(&[
            ("data/.wh.a", ""),
            ("data/c", "c"),
            ("old/.wh..wh..opq", ""),
            ("old/y", "y"),
        ]);
        let other = layer(&[("data/b", "changed")]);
        for (name, top) in [("one", one), ("other", other)] {
            let layers = [&base[..], &[top]].concat();
            store.loads(&archive(&folder, name, &layers, Settings::default()));
        }
        let sees = |image: &str| {
            let script =
                "cd /data; for it in *; do echo $it=$(cat $it); done; echo /old/*";
            let run = store.run(&[image, "sh", "-c", script]).end();
            run.assert_status(0).assert_quiet().out.clone()
        };
        assert_eq!(sees("one"), "b=b\nc=c\n/old/y\n");
        assert_eq!(sees("other"), "a=a\nb=changed\n/old/x\n");
        // Four layers for two images of three each: the base's are there once.
        assert_eq!(store.layers(), 4);
        let rows = store.rows();
        let shared = rows.iter().map(|row| row.last().cloned()).collect::<Vec<_>>();
        assert!(rows.len() == 2 && shared[0] == shared[1], "{rows:?}");
        assert!(shared[0].as_ref().is_some_and(|size| size.ends_with("MB")), "{rows:?}");
        store.ends(&["rmi", "one"]);
        assert_eq!(store.layers(), 3);
        assert_eq!(sees("other"), "a=a\nb=changed\n/old/x\n");
    });
}

#[test]
fn an_image_of_120_layers_runs() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::new("many"));
        let names: Vec<String> =
            (1..120).map(|number| format!("data/{number}")).collect();
        let tops = names.iter().map(|name| layer(&[(name, name), ("data/last", name)]));
        let layers: Vec<Vec<u8>> = std::iter::once(base()).chain(tops).collect();
        store.loads(&archive(&folder, "many", &layers, Settings::default()));
        let script =
            "ls /data | wc -l; cat /data/last; rm /data/7; echo; ls /data | wc -l";
        for flags in as_whom("store::an_image_of_120_layers_runs") {
            let run = store.run(&[flags, &["many", "sh", "-c", script]].concat()).end();
            assert_eq!(run.assert_status(0).assert_quiet().out, "120\ndata/119\n119\n");
        }
        let history = store.ends(&["history", "many"]);
        assert_eq!(history.lines().count(), 121);
    });
}

/// What skopeo(1) knows of `image`.
fn skopeo(image: &str) -> Value {
    let ended = Command::new("skopeo").args(["inspect", image]).output();
    let ended = Ending::from(ended.expect("skopeo is there"));
    serde_json::from_str(&ended.assert_status(0).out).expect("it is JSON")
}

#[test]
fn what_we_save_others_read_and_the_other_way_round() {
    undisturbed(|| {
        let (store, folder) = (Store::with("box:1", &busybox()), Folder::new("saved"));
        let (ours, theirs) = (folder.at("ours.tar"), folder.at("theirs.tar"));
        store.ends(&["save", "-o", &ours, "box:1"]);
        let digest =
            store.ends(&["image", "inspect", "-f", "{{json .RepoDigests}}", "box:1"]);
        let seen = skopeo(&format!("oci-archive:{ours}"));
        let expected =
            format!("[\"box@{}\"]\n", seen["Digest"].as_str().expect("a text"));
        assert_eq!(digest, expected);
        let root = format!("oci:{}:box:1", store.path().display());
        assert_eq!(skopeo(&root)["Digest"], seen["Digest"]);

        let id = store.ends(&["images", "-q", "--no-trunc"]);
        let copy = ["copy", "-q", &format!("docker-archive:{ours}")];
        let to = format!("docker-archive:{theirs}:localhost/new:2");
        let copied = Command::new("skopeo").args(copy).arg(to).status();
        assert!(copied.expect("skopeo is there").success());
        assert_eq!(store.ends(&["rmi", "box:1"]).lines().count(), 2);
        assert_eq!(
            store.ends(&["load", "-i", &theirs]),
            "Loaded image: localhost/new:2\n"
        );
        assert_eq!(store.ends(&["images", "-q", "--no-trunc"]), id);
        store.run(&["localhost/new:2", "true"]).end().assert_status(0).assert_quiet();
        let stream = fs::File::open(&ours).expect("it was written");
        let loaded = store.engine(&["load"]).end_from(stream);
        assert_eq!(loaded.assert_status(0).out, "Loaded image: box:1\n");
    });
}

#[test]
fn what_cannot_be_loaded_or_saved_leaves_all_as_it_was() {
    undisturbed(|| {
        let (store, folder) = (Store::with("box", &busybox()), Folder::new("wrong"));
        let whole = archive(&folder, "new", &[base()], Settings::default());
        let bytes = fs::read(&whole).expect("it was made");
        fs::write(folder.at("half"), &bytes[..bytes.len() / 2]).expect("there is room");
        let repacked = |name: &str, change: &str| {
            let layout = whole.with_extension("");
            let script = format!(
                "cp -a '{0}' '{1}.d' && cd '{1}.d' && {change} && tar -cf '{1}' .",
                layout.display(),
                folder.at(name)
            );
            let made = Command::new("sh").args(["-c", &script]).status();
            assert!(made.expect("a shell is there").success(), "{script}");
            folder.at(name)
        };
        let wrong = [
            folder.at("missing"),
            folder.at("half"),
            busybox().display().to_string(),
            repacked("digest", "for it in blobs/sha256/*; do echo x >> $it; done"),
            repacked("blob", "rm $(ls -S blobs/sha256/* | head -n 1)"),
            repacked("link", "rm index.json && ln -s /etc/passwd index.json"),
            repacked(
                "out",
                "rm index.json && ln -s ../../../../../../etc/passwd index.json",
            ),
            repacked("index", "echo '{}' > index.json"),
            repacked(
                "list",
                "rm index.json; echo '[{\"Config\": \"../../../etc/passwd\", \"Layers\": []}]' > manifest.json",
            ),
        ];
        let before = store.contents();
        for path in wrong {
            let ending = store.engine(&["load", "-i", &path]).end();
            ending.assert_status(1).assert_one_error();
            assert!(!ending.err.contains("root:x"), "{}", ending.err);
            store.ends(&["image", "prune", "-f"]);
            assert_eq!(store.contents(), before, "{path}");
        }
        let kept = folder.write("kept", "mine");
        refused(&store, &["save", "-o", &kept, "box", "unknown"], "no image called");
        assert_eq!(fs::read(&kept).expect("it is there"), b"mine");
    });
}

#[test]
fn four_at_once_end_consistently() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::new("four"));
        let layers = [base(), layer(&[("data/a", "a")]), layer(&[("data/b", "b\n")])];
        let path = archive(&folder, "both", &layers, Settings::default());
        let path = path.display().to_string();
        let script = format!(
            "for round in 1 2 3 4 5; do $ENGINE load -i {path}; $ENGINE run --rm --pull never both cat /data/b; \
             $ENGINE rmi -f both; done"
        );
        let engine = format!(
            "{} --root {}",
            crate::support::program("fakedocker").display(),
            store.path().display()
        );
        let children: Vec<_> = (0..4)
            .map(|_| {
                let mut shell = Command::new("sh");
                shell.args(["-c", &script]).env("ENGINE", &engine);
                Engine::of(shell).start()
            })
            .collect();
        let mut said = String::new();
        for child in children {
            let ending = Ending::from(child.wait_with_output().expect("it ends"));
            // Others may have taken the image away: then it is said so, and nothing else.
            let is_known = |line: &str| {
                line.contains("no image called")
                    || line.starts_with("hint: fakedocker pull")
            };
            assert!(ending.err.lines().all(is_known), "{ending:#?}");
            said.push_str(&ending.out);
        }
        assert!(said.lines().any(|line| line == "b"), "{said}");
        store.ends(&["image", "prune", "-a", "-f"]);
        assert_eq!((store.layers(), store.blobs(), store.rows().len()), (0, 0, 0));
        store.assert_no_container();
    });
}
