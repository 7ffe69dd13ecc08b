//! Does a layer hide what it shall hide, add what it shall add, and reach nothing else?

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use image::pack::pack;
use image::unpack::{Unpacked, unpack};
use tar::EntryType;
use user::Numbers;

use crate::import::{Tar, xattrs};
use crate::support::turn;

/// A folder with unpacked layers, and beside them a folder that no layer may touch.
struct Stack {
    top: PathBuf,
    trees: Vec<PathBuf>,
}

impl Stack {
    fn new(name: &str) -> Stack {
        let top = std::env::temp_dir()
            .join(format!("fakedocker-layers-{name}-{}", std::process::id()));
        fs::remove_dir_all(&top).ok();
        fs::create_dir_all(top.join("outside")).unwrap();
        fs::write(top.join("outside/file"), "untouched").unwrap();
        Stack { top, trees: Vec::new() }
    }

    /// Unpack a layer on those that are there; it is the next one's `below` when it succeeded.
    fn add(&mut self, tar: Tar) -> stage::Result<Unpacked> {
        self.add_bytes(&tar.end())
    }

    fn add_bytes(&mut self, bytes: &[u8]) -> stage::Result<Unpacked> {
        let tree = self.top.join(format!("layer-{}", self.trees.len()));
        fs::remove_dir_all(&tree).ok();
        fs::create_dir(&tree).unwrap();
        let numbers = Numbers::here()?;
        let unpacked = unpack(bytes, &tree, &self.trees, &numbers)?;
        self.trees.push(tree);
        Ok(unpacked)
    }

    /// Refused for this reason, and nothing has happened outside.
    fn refuses(&mut self, tar: Tar, why: &str) {
        let line = self.add(tar).expect_err(why).to_string();
        assert!(line.contains(why), "{line:?} should say {why:?}");
        assert!(line.len() < 500 && !line.contains(char::is_control), "{line:?}");
        self.outside_is_untouched();
    }

    fn outside_is_untouched(&self) {
        let outside = self.top.join("outside");
        let names: Vec<_> = fs::read_dir(&outside)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["file"]);
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"untouched");
        assert!(xattrs(&outside).is_empty());
    }

    /// `path` in the topmost layer.
    fn at(&self, path: &str) -> PathBuf {
        self.trees.last().unwrap().join(path)
    }

    fn is_whiteout(&self, path: &str) -> bool {
        overlay::is_whiteout(&self.at(path))
    }

    fn is_opaque(&self, path: &str) -> bool {
        overlay::is_opaque(&self.at(path))
    }

    /// The paths in the sum of all layers, as overlayfs makes it.
    fn sum(&self) -> Vec<String> {
        let lower: Vec<_> =
            self.trees.iter().rev().map(|tree| tree.display().to_string()).collect();
        let script = r#"cd "$1" && mkdir -p merged empty && mount -t overlay overlay \
            -o "lowerdir=$2" merged && cd merged && find . -mindepth 1 | sort"#;
        let found = Command::new("unshare")
            .args(["-m", "sh", "-c", script, "sh"])
            .args([self.top.as_path(), Path::new(&format!("{}:empty", lower.join(":")))])
            .output()
            .unwrap();
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        String::from_utf8(found.stdout)
            .unwrap()
            .lines()
            .map(|line| line[2..].into())
            .collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.top).ok();
    }
}

/// Files and folders to be hidden.
fn base() -> Tar {
    Tar::new()
        .folder("./")
        .folder("d/")
        .file("d/a", b"a")
        .file("d/b", b"b")
        .folder("d/e/")
        .file("d/e/c", b"c")
        .file("f", b"f")
        .folder("g/")
        .file("g/x", b"x")
}

#[test]
fn whiteouts_hide_what_is_below() {
    let _turn = turn();
    let mut stack = Stack::new("hide");
    stack.add(base()).unwrap();
    let layer =
        Tar::new().file("d/.wh.a", b"").file(".wh.f", b"").file("d/e/.wh..wh..opq", b"");
    let unpacked = stack.add(layer.file("d/e/new", b"")).unwrap();
    assert!(unpacked.left_out.is_empty(), "{:?}", unpacked.left_out);
    assert!(stack.is_whiteout("d/a") && stack.is_whiteout("f") && stack.is_opaque("d/e"));
    assert_eq!(stack.sum(), ["d", "d/b", "d/e", "d/e/new", "g", "g/x"]);
    // And a third one, on both: what is hidden stays so, what it adds is there again.
    stack.add(Tar::new().file("f", b"").file("g/.wh.x", b"").file("g/y", b"")).unwrap();
    assert_eq!(stack.sum(), ["d", "d/b", "d/e", "d/e/new", "f", "g", "g/y"]);
}

#[test]
fn a_whiteout_does_not_hide_what_its_own_layer_has() {
    let _turn = turn();
    let after = ["d", "d/new", "f", "g", "g/x"];
    let layers = [
        Tar::new()
            .file(".wh.d", b"")
            .folder("d/")
            .file("d/new", b"")
            .file(".wh.f", b"")
            .file("f", b"2"),
        Tar::new()
            .folder("d/")
            .file("d/new", b"")
            .file(".wh.d", b"")
            .file("f", b"2")
            .file(".wh.f", b""),
        // The folder is only implied.
        Tar::new()
            .file("d/new", b"")
            .file(".wh.d", b"")
            .file("f", b"2")
            .file(".wh.f", b""),
        Tar::new().file("d/new", b"").file("d/.wh..wh..opq", b"").file("f", b"2"),
        Tar::new()
            .file("d/.wh..wh..opq", b"")
            .file("f", b"2")
            .folder("d")
            .file("d/new", b""),
    ];
    for (at, layer) in layers.into_iter().enumerate() {
        let mut stack = Stack::new("own");
        stack.add(base()).unwrap();
        stack.add(layer).unwrap();
        assert!(stack.is_opaque("d"), "{at}");
        assert_eq!(fs::read(stack.at("f")).unwrap(), b"2");
        assert_eq!(stack.sum(), after, "{at}");
    }
}

#[test]
fn whiteouts_in_whiteouts_and_of_everything() {
    let _turn = turn();
    let mut stack = Stack::new("all");
    stack.add(base()).unwrap();
    stack
        .add(Tar::new().file("d/.wh.a", b"").file(".wh.d", b"").file("d/e/.wh.c", b""))
        .unwrap();
    assert_eq!(stack.sum(), ["f", "g", "g/x"]);
    // Nor is anything made, or shown, where there is nothing to hide.
    stack
        .add(Tar::new().file("n/x", b"").file("n/.wh.y", b"").file("m/n/.wh.y", b""))
        .unwrap();
    assert_eq!(stack.sum(), ["f", "g", "g/x", "n", "n/x"]);
    let mut stack = Stack::new("all");
    stack.add(base()).unwrap();
    stack
        .add(Tar::new().file("g/y", b"").file(".wh..wh..opq", b"").file("z", b""))
        .unwrap();
    assert_eq!(stack.sum(), ["g", "g/y", "z"]);
}

#[test]
fn whiteouts_that_climb_are_refused() {
    let _turn = turn();
    let mut stack = Stack::new("climb");
    let outside = stack.top.join("outside").display().to_string();
    stack.add(base().symlink("s", &outside)).unwrap();
    let tar = Tar::new;
    for name in [".wh.", ".wh..", ".wh...", "d/.wh.", "d/.wh..", "d/.wh..."] {
        stack.refuses(tar().file(name, b""), "must not climb");
        stack.refuses(tar().folder(name), "must not climb");
    }
    for (layer, why) in [
        (tar().file("../.wh.x", b""), "a name with `..`"),
        (tar().file("/.wh.x", b""), "a name from `/`"),
        (tar().file("../.wh..wh..opq", b""), "a name with `..`"),
        (tar().file(".wh.d/x", b""), "a folder that is a whiteout"),
        (tar().symlink("l", &outside).file("l/.wh.file", b""), "through a symbolic link"),
        (tar().file("l/.wh.file", b"").symlink("l", &outside), "through a symbolic link"),
        (
            tar().symlink("l", &outside).file("l/.wh..wh..opq", b""),
            "through a symbolic link",
        ),
        (
            tar().file("l/.wh..wh..opq", b"").symlink("l", &outside),
            "through a symbolic link",
        ),
        (
            tar().symlink("l", "..").file("l/outside/.wh.file", b""),
            "through a symbolic link",
        ),
        (tar().file("f", b"").file("f/.wh.x", b""), "through a file"),
        (tar().link("h", ".wh.a").file(".wh.a", b""), "that is not there"),
    ] {
        stack.refuses(layer, why);
    }
    // A link of a layer below is no way, either: the folder is made, beside it.
    stack.add(tar().file("s/.wh.file", b"").file("s/new", b"")).unwrap();
    stack.outside_is_untouched();
    assert!(
        stack.at("s").symlink_metadata().unwrap().is_dir()
            && !stack.is_whiteout("s/file")
    );
}

#[test]
fn nothing_in_an_archive_is_a_whiteout_but_by_its_name() {
    let _turn = turn();
    let mut stack = Stack::new("names");
    stack.add(base()).unwrap();
    let mut zero = tar::Header::new_gnu();
    zero.set_entry_type(EntryType::Char);
    zero.set_path("f").unwrap();
    zero.set_mode(0o600);
    zero.set_uid(0);
    zero.set_gid(0);
    zero.set_mtime(0);
    zero.set_size(0);
    zero.set_device_major(0).unwrap();
    zero.set_device_minor(0).unwrap();
    let mut layer = Tar::new();
    layer.add(zero, b"");
    let layer = layer
        .pax(&[("SCHILY.xattr.trusted.overlay.opaque", b"y")])
        .folder("d/")
        .pax(&[("SCHILY.xattr.user.overlay.opaque", b"y")])
        .folder("g/")
        .file(".wh..wh.plnk/12.34", b"")
        .file(".wh..wh.aufs", b"");
    let left_out = stack.add(layer).unwrap().left_out;
    let found: Vec<_> =
        left_out.iter().map(|(what, (count, _))| (*what, *count)).collect();
    assert_eq!(
        found,
        [("device nodes that would be whiteouts", 1), ("extended attributes", 2)]
    );
    assert_eq!(stack.sum(), ["d", "d/a", "d/b", "d/e", "d/e/c", "f", "g", "g/x"]);
}

#[test]
fn the_lowest_layer_has_nothing_to_hide() {
    let _turn = turn();
    let mut stack = Stack::new("lowest");
    let layer =
        Tar::new().file("d/.wh.a", b"").file("d/b", b"").file("d/.wh..wh..opq", b"");
    let left_out = stack.add(layer).unwrap().left_out;
    assert_eq!(left_out["whiteouts of the lowest layer"].0, 2);
    assert_eq!(stack.sum(), ["d", "d/b"]);
    assert!(!stack.is_opaque("d"));
    // One without anything is a layer, too.
    assert_eq!(stack.add(Tar::new()).unwrap().members, 0);
    assert_eq!(stack.sum(), ["d", "d/b"]);
}

#[test]
fn folders_that_are_left_out_look_as_below() {
    let _turn = turn();
    let mut stack = Stack::new("implied");
    let outside = stack.top.join("outside").display().to_string();
    let folder = |mode: u32, owner: u64| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(EntryType::Directory);
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_gid(owner + 1);
        header.set_mtime(1_000_000_000 + owner);
        header.set_size(0);
        header
    };
    let with = |mut tar: Tar, name: &str, mode, owner| {
        let mut header = folder(mode, owner);
        header.set_path(name).unwrap();
        tar.add(header, b"");
        tar
    };
    let lowest = with(Tar::new(), "./", 0o751, 7);
    let lowest = with(lowest.pax(&[("SCHILY.xattr.user.what", b"x")]), "a/", 0o1770, 10);
    let lowest = with(with(lowest, "a/b/", 0o2711, 20), "gone/", 0o700, 50);
    stack.add(with(lowest, "under/", 0o700, 60).symlink("l", &outside)).unwrap();
    let middle = with(Tar::new(), "a/b/", 0o500, 30).file(".wh.gone", b"");
    stack.add(middle.symlink("under", &outside)).unwrap();
    let upper = ["a/b/c/x", "gone/x", "under/x", "l/x"];
    stack.add(upper.iter().fold(Tar::new(), |tar, name| tar.file(name, b""))).unwrap();
    let seen = |path: &str| {
        let about = stack.at(path).symlink_metadata().unwrap();
        (about.mode() & 0o7777, about.uid(), about.gid(), about.mtime() - 1_000_000_000)
    };
    assert_eq!(seen("."), (0o751, 7, 8, 7));
    assert_eq!(seen("a"), (0o1770, 10, 11, 10));
    assert!(xattrs(&stack.at("a")).iter().any(|line| line.contains("user.what=x")));
    // The topmost that has it; and the one in between has made "a", as the lowest has it.
    assert_eq!(seen("a/b"), (0o500, 30, 31, 30));
    for path in ["a/b/c", "gone", "under", "l"] {
        let (mode, owner, group, _) = seen(path);
        assert_eq!((mode, owner, group), (0o755, 0, 0), "{path}");
        assert!(stack.at(path).symlink_metadata().unwrap().is_dir(), "{path}");
    }
    stack.outside_is_untouched();
}

/// A tree with everything that a layer can have.
fn everything(tree: &Path) {
    let script = r#"
        set -e; umask 022; mkdir -p "$1/d/e" "$1/hidden"; cd "$1"
        printf data > d/file; ln d/file d/e/link; ln d/file z-link
        ln -s ../nowhere d/soft; ln d/soft d/soft-too; mkfifo fifo
        truncate -s 3M sparse; printf end >> sparse
        cp /bin/true suid; chown -h 12:34 suid d/soft; chmod 6755 suid; chmod 555 d/e
        chown 3000000:4000000000 d
        mknod null c 1 3; mknod disk b 8 300; mknod d/gone c 0 0; ln d/gone also-gone
        long=$(printf 'n%.0s' $(seq 200)); mkdir -p $long/$long; : > $long/$long/x
        ln -s $long/$long/x soft-long; ln $long/$long/x hard-long
        : > "$(printf 'new\nline \377')"
        touch -h -d '1960-01-02 03:04:05.25' d/soft fifo; touch -h -d '2200-01-01' soft-long
        touch -d '2001-02-03 04:05:06.789' d/file sparse; touch -d '1969-12-31 23:59:59 UTC' d/e
        find . -depth -newermt 2020-01-01 -not -name soft-long -exec touch -h -d @1500000000 {} +
    "#;
    let made = Command::new("bash").args(["-c", script, "bash"]).arg(tree).status();
    assert!(made.unwrap().success());
    let capability = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    for (path, name, value) in [
        ("hidden", "trusted.overlay.opaque", &b"y"[..]),
        ("d/file", "trusted.overlay.origin", b"x"),
        ("d/file", "user.what=50%", b"b c"),
        ("d", "user.what", b"\0\n"),
        ("suid", "security.capability", capability),
    ] {
        let file = File::open(tree.join(path)).unwrap();
        image::files::set_xattr(&file, name.as_ref(), value).unwrap();
    }
    std::os::unix::net::UnixListener::bind(tree.join("socket")).unwrap();
    let time = File::open(tree).unwrap();
    time.set_modified(std::time::UNIX_EPOCH).unwrap();
}

fn packed(tree: &Path) -> stage::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    pack(tree, &mut bytes, |owner, group| (owner, group))?;
    Ok(bytes)
}

/// Everything about each file of a tree, a line each.
fn listed(tree: &Path) -> Vec<String> {
    let list = r#"cd "$1" && find . -printf '%P\t%y %#m %U %G %T@ %l %n\n' ! -type d -size +0c -exec md5sum {} \;"#;
    let list = Command::new("sh").args(["-c", list, "sh"]).arg(tree).output().unwrap();
    let text = String::from_utf8_lossy(&list.stdout).into_owned();
    let mut lines: Vec<String> = text.lines().map(String::from).collect();
    lines.sort();
    lines
}

#[test]
fn what_is_packed_comes_out_the_same() {
    let _turn = turn();
    let mut stack = Stack::new("packed");
    let from = stack.top.join("from");
    everything(&from);
    let bytes = packed(&from).unwrap();
    assert!(bytes == packed(&from).unwrap(), "the same tree, other bytes");
    stack.add(Tar::new().folder("hidden/").file("hidden/x", b"").folder("d")).unwrap();
    let unpacked = stack.add_bytes(&bytes).unwrap();
    assert!(unpacked.left_out.is_empty(), "{:?}", unpacked.left_out);
    fs::remove_file(from.join("socket")).unwrap();
    File::open(&from).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    // Whiteouts have no time of their own, and each is one file.
    let is_other = |line: &String| !line.contains("gone\tc");
    let lines =
        |tree: &Path| listed(tree).into_iter().filter(is_other).collect::<Vec<_>>();
    assert_eq!(lines(&stack.at("")), lines(&from));
    let plain = |lines: Vec<String>| -> Vec<String> {
        lines.into_iter().filter(|line| !line.contains("overlay.origin")).collect()
    };
    assert_eq!(xattrs(&stack.at("")), plain(xattrs(&from)));
    assert!(stack.is_whiteout("d/gone") && stack.is_whiteout("also-gone"));
    assert!(stack.is_opaque("hidden") && !stack.is_opaque("d"));
    let blocks = stack.at("sparse").metadata().unwrap().blocks();
    assert!(blocks * 512 < 1_000_000, "{blocks} blocks: no holes");
    // What came out is packed into the same bytes.
    assert!(bytes == packed(&stack.at("")).unwrap(), "unpacked and packed: other bytes");
}

#[test]
fn gnu_tar_reads_what_is_packed() {
    let _turn = turn();
    let stack = Stack::new("gnu");
    let (from, to) = (stack.top.join("from"), stack.top.join("to"));
    everything(&from);
    fs::create_dir(&to).unwrap();
    let mut tar = Command::new("tar")
        .args([
            "--xattrs",
            "--xattrs-include=*",
            "--numeric-owner",
            "--warning=no-timestamp",
            "-xpC",
        ])
        .arg(&to)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let out = tar.stdin.take().unwrap();
    pack(&from, out, |owner, group| (owner, group)).unwrap();
    assert!(tar.wait().unwrap().success());
    let differs = |line: &String| !line.contains("gone\t") && !line.contains(".wh.");
    let lines =
        |tree: &Path| listed(tree).into_iter().filter(differs).collect::<Vec<_>>();
    fs::remove_file(from.join("socket")).unwrap();
    File::open(&from).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    for name in ["d/.wh.gone", ".wh.also-gone", "hidden/.wh..wh..opq"] {
        assert_eq!(fs::read(to.join(name)).unwrap(), b"", "{name}");
    }
    assert_eq!(lines(&to), lines(&from));
}

#[test]
fn owners_are_those_that_the_container_sees() {
    let _turn = turn();
    let stack = Stack::new("owners");
    let (from, numbers) = (stack.top.join("from"), Numbers::here().unwrap());
    fs::create_dir(&from).unwrap();
    fs::write(from.join("file"), "").unwrap();
    std::os::unix::fs::chown(from.join("file"), Some(100_012), Some(100_034)).unwrap();
    let mut bytes = Vec::new();
    let inside = |number: u32| number.saturating_sub(100_000);
    pack(&from, &mut bytes, |owner, group| (inside(owner), inside(group))).unwrap();
    let to = stack.top.join("to");
    fs::create_dir(&to).unwrap();
    unpack(&bytes[..], &to, &[], &numbers).unwrap();
    let file = to.join("file").metadata().unwrap();
    assert_eq!((file.uid(), file.gid()), (12, 34));
}

#[test]
fn nothing_outside_is_packed() {
    let _turn = turn();
    let stack = Stack::new("inside");
    let from = stack.top.join("from");
    fs::create_dir(&from).unwrap();
    symlink(stack.top.join("outside"), from.join("folder")).unwrap();
    symlink(stack.top.join("outside/file"), from.join("file")).unwrap();
    let bytes = packed(&from).unwrap();
    assert!(!bytes.windows(9).any(|window| window == b"untouched"));
    // Somebody swaps folders for links all the time while we pack.
    let (swapped, other) = (from.join("swapped"), from.join("other"));
    fs::create_dir(&other).unwrap();
    symlink(stack.top.join("outside"), &swapped).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let flags = nix::fcntl::RenameFlags::RENAME_EXCHANGE;
                let here = nix::fcntl::AT_FDCWD;
                nix::fcntl::renameat2(here, &swapped, here, &other, flags).unwrap();
            }
        });
        for _ in 0..500 {
            let bytes = packed(&from);
            let found = bytes.map(|bytes| bytes.windows(9).any(|at| at == b"untouched"));
            assert!(!found.unwrap_or(false));
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn what_cannot_be_told_in_a_layer_is_refused() {
    let _turn = turn();
    let stack = Stack::new("untold");
    let from = stack.top.join("from");
    fs::create_dir(&from).unwrap();
    let why = |from: &Path| packed(from).unwrap_err().to_string();
    fs::write(from.join(".wh.x"), "").unwrap();
    assert!(why(&from).contains("`.wh.x`: in a layer, this name would be a whiteout"));
    fs::remove_file(from.join(".wh.x")).unwrap();
    for attribute in ["redirect", "metacopy"] {
        let file = File::create(from.join("file")).unwrap();
        let name = format!("trusted.overlay.{attribute}");
        image::files::set_xattr(&file, name.as_ref(), b"x").unwrap();
        assert!(why(&from).contains("only partly in this layer"), "{attribute}");
        fs::remove_file(from.join("file")).unwrap();
    }
    let deep = (0..300).fold(from.clone(), |path, _| path.join("d"));
    fs::create_dir_all(deep).unwrap();
    assert!(why(&from).contains("too many folders"));
}
