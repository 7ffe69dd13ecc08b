//! Where do volumes and mounts end up, also when the image is hostile?
//!
//! A target in an image may be a symbolic link to a folder of the host. It must lead to a
//! place inside, or be refused: nothing is mounted or made outside.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::flags::unpack;
use crate::support::engine::{Ending, Folder, Store};
use crate::support::machine::undisturbed;
use crate::support::rootfs::busybox;

#[test]
fn a_volume_is_read_and_written() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::new("volume"));
        let file = folder.write("file", "from the host");
        let volume = format!("{}:/a/new/place", folder.path().display());
        let script = "cat /a/new/place/file; echo changed > /a/new/place/file";
        let run =
            |volume: &str| store.run(&["-v", volume, "host", "sh", "-c", script]).end();
        assert_eq!(run(&volume).assert_status(0).assert_quiet().out, "from the host");
        assert_eq!(fs::read_to_string(&file).expect("it is ours"), "changed\n");
        let read_only = run(&format!("{volume}:ro"));
        assert!(read_only.err.contains("Read-only file system"), "{read_only:?}");
        run(&format!("{volume}:rw")).assert_status(0).assert_quiet();
    });
}

/// What is mounted in a volume comes along, and is as read-only as the volume.
#[test]
fn a_read_only_volume_is_read_only_all_the_way_down() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::new("volume"));
        let place = folder.path().display().to_string();
        let prepare = "mkdir $0/below && mount -t tmpfs other $0/below && \
                       echo mounted > $0/below/file && \"$@\"";
        let script = "cat /v/below/file; echo x > /v/below/file || echo refused";
        for (mode, said) in [(":ro", "mounted\nrefused\n"), ("", "mounted\n")] {
            let volume = format!("{place}:/v{mode}");
            let run = store.run(&["-v", &volume, "host", "sh", "-c", script]);
            let wrapped =
                run.inside(&["unshare", "--mount", "sh", "-c", prepare, &place]);
            assert_eq!(wrapped.end().assert_status(0).out, said);
            fs::remove_dir(folder.path().join("below")).expect("nothing is mounted here");
        }
    });
}

#[test]
fn a_volume_may_be_a_file() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::new("volume"));
        let file = folder.write("file", "mine\n");
        let before = fs::read("/etc/passwd").expect("it is there");
        for target in ["/etc/passwd", "/a/new/file"] {
            let volume = format!("{file}:{target}:ro");
            let script = format!("cat {target}; echo x > {target} || echo refused");
            let ending = store.run(&["-v", &volume, "host", "sh", "-c", &script]).end();
            assert_eq!(ending.assert_status(0).out, "mine\nrefused\n");
        }
        assert_eq!(fs::read("/etc/passwd").expect("it is there"), before);
    });
}

#[test]
fn volumes_that_cannot_be_are_refused() {
    undisturbed(|| {
        let store = Store::new();
        store.on_host("true");
        let before = store.contents();
        let wrong = [
            "./relative:/data",
            "../relative:/data",
            "a/relative:/data",
            "x:/data",
            ".name:/data",
            "/etc:relative",
            "/not/on/this/machine:/data",
            "relative",
            "/data:ro",
            "",
            ":",
            "/etc:",
            ":/data",
            "/etc:/",
            "/etc://",
            "/etc:/.",
            "/etc:/data/../../x",
            "/etc:/data:rx",
            "/etc:/data:nocopy",
            "name:/data:shared",
            "/etc:/data:ro:ro",
        ];
        for volume in wrong {
            let ending = store.run(&["-v", volume, "host", "true"]).end();
            assert!(
                ending.assert_status(125).assert_one_error().contains("volume"),
                "{volume}"
            );
            assert_eq!(store.contents(), before, "{volume}");
        }
    });
}

/// A busybox system in which `link` leads to `target`; `scene` gets its path.
fn with_link(link: &str, target: &Path, scene: impl FnOnce(&Store, &str)) {
    let (store, folder) = (Store::new(), Folder::new("hostile"));
    unpack(folder.path());
    let link = folder.path().join(link);
    fs::remove_dir_all(&link).ok();
    symlink(target, &link).expect("it is ours");
    scene(&store, &folder.path().display().to_string());
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).expect("it can be read").next().is_none()
}

/// The same folder, in the container: where a link to `folder` leads there.
fn twin(rootfs: &str, folder: &Folder) {
    let path = folder.path().strip_prefix("/").expect("it is absolute");
    fs::create_dir_all(Path::new(rootfs).join(path)).expect("it is ours");
}

const DEEP: [&str; 3] = ["/data", "/data/deep", "/data/deep/er"];

/// The host's folder is there: were the link followed outside, something would be in it.
#[test]
fn a_volume_on_a_link_stays_inside() {
    undisturbed(|| {
        let (victim, volume) = (Folder::new("victim"), Folder::new("volume"));
        volume.write("file", "volume\n");
        with_link("data", victim.path(), |store, rootfs| {
            twin(rootfs, &victim);
            let cat = |from: &str, to: &str, file: &str| {
                let volume = format!("{from}:{to}");
                let ending =
                    store.run(&["-v", &volume, "--rootfs", rootfs, "cat", file]).end();
                assert_eq!(ending.assert_status(0).out, "volume\n");
                assert!(is_empty(victim.path()), "{to}");
            };
            for target in DEEP {
                let resolved =
                    target.replace("/data", &victim.path().display().to_string());
                cat(&volume.at(""), target, &format!("{resolved}/file"));
            }
            cat(&volume.at("file"), "/data/one", "/data/one");
        });
    });
}

#[test]
fn a_volume_on_a_link_to_nothing_is_refused() {
    undisturbed(|| {
        let (victim, volume) = (Folder::new("victim"), Folder::new("volume"));
        let file = volume.write("file", "volume\n");
        with_link("data", victim.path(), |store, rootfs| {
            for (source, target) in DEEP
                .map(|it| (volume.at(""), it))
                .into_iter()
                .chain([(file.clone(), "/data/one")])
            {
                let volume = format!("{source}:{target}");
                let ending =
                    store.run(&["-v", &volume, "--rootfs", rootfs, "true"]).end();
                ending.assert_status(125).assert_one_error();
                assert!(ending.err.contains("a symbolic link on the way"), "{ending:?}");
                assert!(is_empty(victim.path()), "{target}");
                store.assert_no_container();
            }
            // A file can be made where the link leads: inside.
            let volume = format!("{file}:/data");
            let args = ["-v", &volume, "--rootfs", rootfs, "cat", "/data"];
            assert_eq!(store.run(&args).end().assert_status(0).out, "volume\n");
            assert!(is_empty(victim.path()));
        });
    });
}

#[test]
fn a_link_to_a_file_of_the_host_is_not_followed_outside() {
    undisturbed(|| {
        let folder = Folder::new("victim");
        let (victim, missing) =
            (folder.write("file", "the host's\n"), folder.at("missing"));
        for target in [&victim, &missing] {
            let mine = folder.write("mine", "mine\n");
            with_link("data", Path::new(target), |store, rootfs| {
                let volume = format!("{mine}:/data");
                let script = "cat /data; echo changed > /data";
                let args = ["-v", &volume, "--rootfs", rootfs, "sh", "-c", script];
                let ending = store.run(&args).end();
                let refused = ending.status == Some(125);
                assert!(refused || ending.out == "mine\n", "{ending:?}");
            });
        }
        let text = fs::read_to_string(&victim).expect("it is ours");
        assert_eq!(text, "the host's\n");
        assert!(!Path::new(&missing).exists());
    });
}

/// runc and crun of Debian 12 mount on the host for this one.
#[test]
fn proc_dev_and_sys_may_be_links() {
    undisturbed(|| {
        for name in ["proc", "dev", "sys"] {
            let victim = Folder::new("victim");
            with_link(name, victim.path(), |store, rootfs| {
                let script = "echo $$; ls /proc/1/fd; ls /dev/null";
                let ending = store.run(&["--rootfs", rootfs, "sh", "-c", script]).end();
                assert_kept_inside(&ending);
            });
            assert!(is_empty(victim.path()), "/{name}");
        }
    });
}

/// Either it was refused in one line, or it works.
fn assert_kept_inside(ending: &Ending) {
    match ending.status {
        Some(125) => drop(ending.assert_one_error()),
        _ => assert_eq!(ending.assert_status(0).out, "1\n0\n1\n2\n/dev/null\n"),
    }
}

#[test]
fn links_that_climb_end_at_the_root() {
    undisturbed(|| {
        let (victim, volume) = (Folder::new("victim"), Folder::new("volume"));
        volume.write("file", "volume\n");
        let climbing = Path::new("../../../../../../../..")
            .join(victim.path().strip_prefix("/").expect("it is absolute"));
        with_link("etc/data", &climbing, |store, rootfs| {
            twin(rootfs, &victim);
            let volume = format!("{}:/etc/data", volume.path().display());
            let args = ["-v", &volume, "--rootfs", rootfs, "cat", "/etc/data/file"];
            assert_eq!(store.run(&args).end().assert_status(0).out, "volume\n");
        });
        assert!(is_empty(victim.path()));
    });
}

/// Who covers /etc finds the names there all the same.
#[test]
fn what_covers_etc_does_not_cover_the_names() {
    undisturbed(|| {
        let (store, folder) = (Store::with("box", &busybox()), Folder::new("etc"));
        folder.write("mine", "mine\n");
        let volume = format!("{}:/etc", folder.path().display());
        let flags = ["-v", &volume, "--hostname", "named", "box"];
        let script = "cat /etc/mine /etc/hostname; grep -c named /etc/hosts";
        let ending = store.run(&[&flags[..], &["sh", "-c", script]].concat()).end();
        assert_eq!(ending.assert_status(0).assert_quiet().out, "mine\nnamed\n1\n");
        // What is asked for in their place is there.
        let mine = format!("{}:/etc/hosts", folder.at("mine"));
        let flags = ["-v", &volume, "-v", &mine, "box", "cat", "/etc/hosts"];
        assert_eq!(store.run(&flags).end().assert_status(0).out, "mine\n");
        // Where nothing can be made, a line says what is missing.
        fs::remove_file(folder.path().join("hosts")).expect("it was made as a target");
        let volume = format!("{volume}:ro");
        let refused = store.run(&["-v", &volume, "box", "true"]).end();
        let error = refused.assert_status(125).assert_one_error();
        assert!(
            error.contains("/etc/hosts") && refused.err.contains("read-only"),
            "{error}"
        );
        store.assert_no_container();
    });
}
