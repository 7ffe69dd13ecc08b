//! Does a tarball become an image exactly, or not at all, and touch nothing else?

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use fakedocker::store::{Image, Name, Store};
use fakedocker::{images, import};
use tar::{Builder, EntryType, Header};

use crate::support::turn;
use crate::support::wait::until;

const FORMS: [&str; 4] = ["", "gzip", "xz", "zstd"];

/// A folder with a store that holds one image, `old`, and beside it a file that no
/// tarball may touch.
struct Yard {
    top: PathBuf,
    store: Store,
}

impl Yard {
    fn new(name: &str) -> Yard {
        let top = std::env::temp_dir()
            .join(format!("fakedocker-{name}-{}", std::process::id()));
        fs::remove_dir_all(&top).ok();
        fs::create_dir_all(top.join("outside")).unwrap();
        fs::write(top.join("outside/file"), "untouched").unwrap();
        let yard = Yard { store: Store::open(&top.join("store")).unwrap(), top };
        let old = Tar::new().file("file", b"old");
        import(&yard.store, &yard.file(&old.end()), "old").unwrap();
        yard
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.top.join("tarball");
        fs::write(&path, bytes).unwrap();
        path
    }

    fn import(&self, bytes: &[u8]) -> Result<Image, stage::Error> {
        import(&self.store, &self.file(bytes), "new")
    }

    fn imported(&self, tar: Tar) -> Image {
        self.import(&tar.end()).unwrap()
    }

    /// The tarball is refused in one line that holds `why`, and nothing has happened.
    fn refuses(&self, bytes: &[u8], why: &str) {
        let before = self.all();
        let error = self.import(bytes).expect_err(why);
        let line = error.to_string();
        assert!(line.contains(why), "{line:?} should say {why:?}");
        assert!(line.len() < 500 && !line.contains(char::is_control), "{line:?}");
        assert_eq!(error.exit_status(), 125);
        assert_eq!(self.all(), before, "{why}");
    }

    /// Everything in the yard but the tarball: path, inode, kind and mode, size, time.
    fn all(&self) -> Vec<String> {
        let found = Command::new("find")
            .arg(&self.top)
            .args([
                "(",
                "-name",
                "tarball",
                "-o",
                "-path",
                &self.top.display().to_string(),
            ])
            // Folders that an import writes to have another time afterwards.
            .args(
                "-o -name store -o -name incoming -o -name drafts -o -name layers -o -name sha256"
                    .split(' '),
            )
            .args([")", "-o", "-printf", "%p %i %M %s %T@ %l %u\\n"])
            .output()
            .unwrap();
        let text = String::from_utf8(found.stdout).unwrap();
        let mut lines: Vec<String> = text.lines().map(String::from).collect();
        lines.sort();
        lines
    }

    /// How many layers there are, finished or not.
    fn layers(&self) -> usize {
        let folders = ["layers", "drafts"].map(|name| self.top.join("store").join(name));
        let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
        entries.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count()
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.top).ok();
    }
}

/// Make the tarball `source` the image `name`.
fn import(store: &Store, source: &Path, name: &str) -> Result<Image, stage::Error> {
    let name = Some(Name::parse(name)?);
    import::import(store, source, &import::Request { name, ..Default::default() })
}

/// The files of an imported image: it has one layer.
fn rootfs(image: &Image) -> &Path {
    &image.layers[0]
}

/// An archive, written without any of the checks that a decent writer makes.
pub(crate) struct Tar(Builder<Vec<u8>>);

impl Tar {
    pub(crate) fn new() -> Tar {
        Tar(Builder::new(Vec::new()))
    }

    pub(crate) fn entry(
        mut self,
        kind: EntryType,
        name: &str,
        link: &str,
        data: &[u8],
    ) -> Tar {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(if kind == EntryType::Directory { 0o755 } else { 0o644 });
        numbers(&mut header);
        header.set_size(data.len() as u64);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        self.add(header, data);
        self
    }

    pub(crate) fn add(&mut self, mut header: Header, data: &[u8]) {
        header.set_cksum();
        self.0.append(&header, data).unwrap();
    }

    pub(crate) fn file(self, name: &str, data: &[u8]) -> Tar {
        self.entry(EntryType::Regular, name, "", data)
    }

    pub(crate) fn folder(self, name: &str) -> Tar {
        self.entry(EntryType::Directory, name, "", b"")
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Tar {
        self.entry(EntryType::Symlink, name, target, b"")
    }

    pub(crate) fn link(self, name: &str, target: &str) -> Tar {
        self.entry(EntryType::Link, name, target, b"")
    }

    pub(crate) fn pax(mut self, records: &[(&str, &[u8])]) -> Tar {
        self.0.append_pax_extensions(records.iter().copied()).unwrap();
        self
    }

    pub(crate) fn end(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

fn numbers(header: &mut Header) {
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(1_000_000_000);
}

fn compressed(bytes: &[u8], program: &str) -> Vec<u8> {
    if program.is_empty() {
        return bytes.to_vec();
    }
    let mut child = Command::new(program)
        .arg("-c")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap().stdout;
    writer.join().unwrap().unwrap();
    output
}

/// The extended attributes in a tree, as GNU tar finds them.
pub(crate) fn xattrs(folder: &Path) -> Vec<String> {
    let packed = Command::new("tar")
        .args(["--format=posix", "--xattrs", "--xattrs-include=*", "--sort=name", "-cC"])
        .args([folder, Path::new(".")])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&packed.stdout).into_owned();
    text.lines().filter(|line| line.contains("SCHILY.xattr")).map(String::from).collect()
}

/// Bytes that do not compress: so that a cut anywhere is a cut through contents.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(next).collect()
}

#[test]
fn every_form_becomes_the_same_image() {
    let _turn = turn();
    let yard = Yard::new("forms");
    let noise = noise(700_000);
    let tar =
        Tar::new().folder("./").file("./etc/noise", &noise).symlink("l", "/etc").end();
    for form in FORMS {
        let image = yard.import(&compressed(&tar, form)).unwrap();
        assert!(fs::read(rootfs(&image).join("etc/noise")).unwrap() == noise, "{form}");
        assert_eq!(fs::read_link(rootfs(&image).join("l")).unwrap(), Path::new("/etc"));
        assert_eq!(image.size(), 700_000);
    }
}

#[test]
fn what_tar_packs_comes_out_the_same() {
    let _turn = turn();
    let yard = Yard::new("same");
    let (from, tarball) = (yard.top.join("from"), yard.top.join("tarball"));
    let script = r#"
        set -e; mkdir -p "$1/d/e"; cd "$1"
        printf data > d/file; ln d/file d/e/link; ln -s ../nowhere d/soft; mkfifo fifo
        truncate -s 3M sparse; printf end >> sparse; printf mid | dd of=sparse bs=1 \
            seek=1000000 conv=notrunc status=none
        cp /bin/true suid; chown -h 12:34 suid d/soft; chmod 6755 suid; chmod 555 d/e
        mknod null c 1 3; : > "$(printf 'n%.0s' $(seq 200))"
        touch -h -d '1960-01-02 03:04:05.25' d/soft fifo; touch -d 2001-01-01 d/e d
    "#;
    let run = |script: &str, arguments: &[&OsStr]| {
        let status =
            Command::new("sh").args(["-c", script, "sh"]).args(arguments).status();
        assert!(status.unwrap().success(), "{script}");
    };
    run(script, &[from.as_os_str()]);
    for (name, value) in [("d/file", &b"b c"[..]), ("d", b"\0")] {
        let open = File::open(from.join(name)).unwrap();
        image::files::set_xattr(&open, OsStr::new("user.what"), value).unwrap();
    }
    let list =
        r#"cd "$1" && find . -printf '%P %y %m %U %G %T@ %l %s %n\n' | grep -v ' d '"#;
    let listed = |folder: &Path, list: &str| {
        let command = Command::new("sh").args(["-c", list, "sh"]).arg(folder).output();
        let mut lines: Vec<_> =
            command.unwrap().stdout.split(|&byte| byte == b'\n').map(Vec::from).collect();
        lines.sort();
        lines
            .iter()
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect::<Vec<_>>()
    };
    for form in
        ["gnu", "posix --sparse-version=0.0", "posix --sparse-version=0.1", "posix"]
    {
        let xattrs_too = if form == "gnu" { "" } else { "--xattrs" };
        let pack = format!("tar --format={form} {xattrs_too} -S -C \"$1\" -cf \"$2\" .");
        run(&pack, &[from.as_os_str(), tarball.as_os_str()]);
        let image = import(&yard.store, &tarball, "new").unwrap();
        // GNU's own format keeps whole seconds only.
        let list = if form == "gnu" { list.replace("%T@", "%TY") } else { list.into() };
        assert_eq!(listed(rootfs(&image), &list), listed(&from, &list), "{form}");
        for folder in ["d", "d/e"] {
            let (ours, theirs) = (rootfs(&image).join(folder), from.join(folder));
            let (ours, theirs) = (ours.metadata().unwrap(), theirs.metadata().unwrap());
            assert_eq!((ours.mode(), ours.mtime()), (theirs.mode(), theirs.mtime()));
        }
        let sparse = rootfs(&image).join("sparse");
        assert_eq!(fs::read(&sparse).unwrap(), fs::read(from.join("sparse")).unwrap());
        assert!(
            sparse.metadata().unwrap().blocks() * 512 < 1_000_000,
            "{form}: no holes"
        );
        // GNU's own format has no room for them.
        let expected = if form == "gnu" { Vec::new() } else { xattrs(&from) };
        assert_eq!(xattrs(rootfs(&image)), expected, "{form}");
        let null = rootfs(&image).join("null").symlink_metadata().unwrap();
        assert!(null.file_type().is_char_device());
    }
}

#[test]
fn attributes_arrive_but_for_those_that_speak_to_overlay() {
    let _turn = turn();
    let yard = Yard::new("xattrs");
    let capability = b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let image = yard.imported(
        Tar::new()
            .pax(&[
                ("SCHILY.xattr.security.capability", capability),
                ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
            ])
            .file("ping", b"x"),
    );
    let found = xattrs(rootfs(&image));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("security.capability"), "{found:?}");
}

#[test]
fn no_name_leads_out() {
    let _turn = turn();
    let yard = Yard::new("names");
    let outside = yard.top.join("outside").display().to_string();
    let file = format!("{outside}/file");
    let up = "../../../../outside/file";
    let tar = Tar::new;
    let hostile = [
        (tar().file("../x", b"x"), "`../x`: a name with `..`"),
        (tar().file("a/../../x", b"x"), "a name with `..`"),
        (tar().file("..", b"x"), "a name with `..`"),
        (tar().folder("../../x"), "a name with `..`"),
        (tar().file(&file, b"x"), "a name from `/`"),
        (tar().folder("/"), "a name from `/`"),
        (tar().symlink("../l", "x"), "a name with `..`"),
        (tar().link("l", &file), "that is outside"),
        (tar().link("l", up), "that is outside"),
        (tar().link("l", "gone"), "that is not there"),
        (tar().symlink("s", &outside).file("s/file", b"x"), "through a symbolic link"),
        (tar().symlink("s", &outside).folder("s/dir"), "through a symbolic link"),
        (tar().symlink("s", &outside).file("s/a/b", b"x"), "through a symbolic link"),
        (tar().symlink("s", &outside).link("l", "s/file"), "through a symbolic link"),
        (tar().symlink("s", &outside).symlink("s/l", "x"), "through a symbolic link"),
        (
            tar()
                .folder("d")
                .symlink("d/s", "..")
                .symlink("t", "d/s/../..")
                .file("t/x", b""),
            "through a symbolic link",
        ),
        (tar().file("f", b"x").file("f/x", b"x"), "through a file"),
        (tar().file("d/x", b"x").file("d", b"x"), "a folder with files"),
        (tar().file("./", b"").file("", b"x"), "an entry without a name"),
        (tar().symlink(".", &outside), "only a folder"),
        (tar().entry(EntryType::new(b'?'), "x", "", b""), "unknown type `?`"),
        (tar().pax(&[("path", b"../x")]).file("x", b""), "a name with `..`"),
        (tar().pax(&[("path", b"a\0b")]).file("x", b""), "`a\\0b`"),
        (tar().pax(&[("linkpath", up.as_bytes())]).link("x", "y"), "that is outside"),
        (tar().pax(&[("GNU.sparse.name", b"/x")]).file("x", b""), "a name from `/`"),
        (tar().pax(&[("path", b"\x1b[2J/..")]).file("x", b""), "`\\u{1b}[2J/..`"),
        (tar().pax(&[("path", &[b'n'; 5000])]).file("x", b""), "the name is too long"),
        (
            tar().pax(&[("path", &b"d/".repeat(2500))]).folder("x"),
            "more than 256 folders",
        ),
    ];
    for (tar, why) in hostile {
        yard.refuses(&tar.end(), why);
    }
}

#[test]
fn later_entries_take_the_place_of_earlier_ones() {
    let _turn = turn();
    let yard = Yard::new("twice");
    let outside = yard.top.join("outside");
    let (at, file) = (outside.display().to_string(), outside.join("file"));
    let before = yard.all();
    let image = yard.imported(
        Tar::new()
            .file("f", b"one")
            .file("f", b"two")
            .symlink("through", &file.display().to_string())
            .file("through", b"inside")
            .symlink("folder", &at)
            .folder("folder")
            .file("folder/file", b"inside")
            .symlink("soft", &file.display().to_string())
            .link("hard", "soft")
            .folder("d")
            .file("d", b"file")
            .folder("kept")
            .file("kept/x", b"x")
            .folder("kept"),
    );
    let read = |name: &str| fs::read(rootfs(&image).join(name)).unwrap();
    assert_eq!(read("f"), b"two");
    assert_eq!(read("through"), b"inside");
    assert_eq!(read("folder/file"), b"inside");
    assert_eq!(read("d"), b"file");
    assert_eq!(read("kept/x"), b"x");
    assert!(rootfs(&image).join("hard").is_symlink());
    let elsewhere = |lines: Vec<String>| {
        lines.into_iter().filter(|line| line.starts_with(&at)).collect::<Vec<_>>()
    };
    assert_eq!(elsewhere(yard.all()), elsewhere(before));
    assert_eq!(fs::read(file).unwrap(), b"untouched");
}

#[test]
fn what_is_cut_or_garbled_is_refused() {
    let _turn = turn();
    let yard = Yard::new("cut");
    let tar = Tar::new()
        .folder("etc/")
        .file("etc/noise", &noise(300_000))
        .file("z", b"z")
        .end();
    for form in FORMS {
        let whole = compressed(&tar, form);
        let length = whole.len();
        for cut in
            [1, 5, 6, 100, 511, 512, 513, 1024, length / 2, length - 1024, length - 1]
        {
            // A plain archive may lack the last of its zeros: nothing of it is missing.
            if !(form.is_empty() && cut == length - 1) {
                yard.refuses(&whole[..cut], "tarball: ");
            }
        }
        yard.refuses(&[&whole[..], b"trailing garbage"].concat(), "tarball: ");
        let mut flipped = whole.clone();
        flipped[length / 3] ^= 0x55;
        if form.is_empty() {
            flipped[200] ^= 0x55; // In a header: tar has no sums over contents.
        }
        yard.refuses(&flipped, "tarball: ");
    }
    // Between two members: only the missing end gives it away.
    yard.refuses(&tar[..512], "cut short");
    yard.refuses(b"", "empty");
    yard.refuses(&[0; 10240], "no files");
    yard.refuses(&noise(5000), "no tar archive");
    yard.refuses(b"#!/bin/sh\n", "no tar archive");
    yard.refuses(&compressed(b"#!/bin/sh\n", "gzip"), "no tar archive");
}

#[test]
fn what_is_no_file_or_no_name_is_refused() {
    let _turn = turn();
    let yard = Yard::new("sources");
    let before = yard.all();
    let tarball = yard.file(&Tar::new().file("x", b"").end());
    let line = |source: &Path, name: &str| {
        let error = import(&yard.store, source, name).expect_err(name);
        assert_eq!(error.exit_status(), 125);
        error.to_string()
    };
    assert!(line(&yard.top, "new").contains("is a directory, not a tarball"));
    assert!(line(&yard.top.join("gone"), "new").contains("gone: ENOENT"));
    for name in ["host", "host:x", "../x", "A", "a\nb", &"a".repeat(4000), ""] {
        assert!(line(&tarball, name).starts_with("image name "), "{name}");
    }
    assert_eq!(yard.all(), before);
    let unknown = yard.store.image("unknown").unwrap_err();
    let expected = "no image called \"unknown\": known are old (and `host`, built in)";
    assert_eq!(unknown.to_string(), expected);
    assert_eq!(
        unknown.advice(),
        Some("fakedocker pull unknown, or fakedocker import TARBALL unknown")
    );
    let no_store = Store::open(&tarball).unwrap_err();
    assert!(no_store.to_string().contains("not a directory"), "{no_store}");
}

#[test]
fn bombs_need_neither_memory_nor_disk() {
    let _turn = turn();
    let yard = Yard::new("bomb");
    // 64 MiB of zeros: a file of that length, and next to nothing of it on the disk.
    let mut tar = Tar::new();
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    numbers(&mut header);
    header.set_size(64 << 20);
    header.set_path("zeros").unwrap();
    header.set_cksum();
    tar.0.append(&header, std::io::Read::take(std::io::repeat(0), 64 << 20)).unwrap();
    let image = yard.import(&compressed(&tar.end(), "gzip")).unwrap();
    let zeros = rootfs(&image).join("zeros").metadata().unwrap();
    assert_eq!((zeros.len(), zeros.blocks() < 1000), (64 << 20, true));
    // Two megabytes of name, and lists of holes that make no sense.
    let name = Tar::new().entry(EntryType::GNULongName, "x", "", &vec![b'x'; 2 << 20]);
    yard.refuses(&name.file("x", b"").end(), "over 1 MiB of names");
    let newest = [("GNU.sparse.major", &b"1"[..]), ("GNU.sparse.realsize", b"9")];
    let many = Tar::new().pax(&newest).file("x", b"99999999999\n");
    yard.refuses(&many.end(), "over 1 MiB of names");
    let beyond =
        Tar::new().pax(&newest).file("x", format!("{:512}", "1\n8\n9\n").as_bytes());
    yard.refuses(&beyond.end(), "damaged");
    let huge =
        [("GNU.sparse.map", &b"0,1"[..]), ("GNU.sparse.size", b"9223372036854775807")];
    // A hole of 8 EiB is more than ext4 takes; where it fits, it must stay a hole.
    match yard.import(&Tar::new().pax(&huge).file("x", b"x").end()) {
        Err(error) => assert!(error.to_string().contains("`x`: E"), "{error}"),
        Ok(image) => {
            let blocks = rootfs(&image).join("x").metadata().unwrap().blocks();
            assert!(blocks < 1000, "{blocks} blocks of 512 bytes");
        }
    }
}

#[test]
fn a_full_disk_leaves_the_store_as_it_was() {
    let _turn = turn();
    let mut yard = Yard::new("full");
    let small = yard.top.join("small");
    fs::create_dir(&small).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(&small)
        .status();
    assert!(mounted.unwrap().success(), "mount a tmpfs");
    yard.store = Store::open(&small).unwrap();
    let error = yard.import(&Tar::new().file("x", &noise(3 << 20)).end());
    let left = fs::read_dir(small.join("drafts")).unwrap().count();
    // The thread that decodes may have a file open a moment longer.
    until("the tmpfs to be free", || {
        let ended = Command::new("umount").arg(&small).output().unwrap();
        ended.status.success().then_some(())
    });
    assert!(error.unwrap_err().to_string().contains("`x`: write: ENOSPC"));
    assert_eq!(left, 0);
}

#[test]
fn layers_stay_as_long_as_somebody_wants_them() {
    let _turn = turn();
    let yard = Yard::new("held");
    let first = yard.imported(Tar::new().file("x", b"first"));
    let second = yard.imported(Tar::new().file("x", b"second"));
    let names = || -> Vec<String> {
        let images = yard.store.images().unwrap();
        images
            .iter()
            .map(|it| it.name.as_ref().map_or("-".into(), |it| it.to_string()))
            .collect()
    };
    // The first one has lost its name, and is still there.
    assert_eq!(names(), ["new", "old", "-"]);
    let working = yard.store.work().unwrap();
    images::prune(&yard.store, false).unwrap();
    assert_eq!(names(), ["new", "old"]);
    assert_eq!(fs::read(rootfs(&first).join("x")).unwrap(), b"first");
    drop(working);
    // What could not be collected then is collected by whoever comes next.
    Store::open(&yard.top.join("store")).unwrap();
    assert!(!rootfs(&first).exists());
    assert_eq!(fs::read(rootfs(&second).join("x")).unwrap(), b"second");
}

#[test]
fn what_a_killed_import_left_is_removed_and_a_live_one_is_not() {
    let _turn = turn();
    let yard = Yard::new("killed");
    let drafts = yard.top.join("store/drafts");
    for id in ["dead", "alive"] {
        fs::create_dir_all(drafts.join(id).join("deep/er")).unwrap();
        fs::write(drafts.join(id).join("file"), "half").unwrap();
    }
    let alive = File::open(drafts.join("alive")).unwrap();
    alive.lock().unwrap();
    let store = Store::open(&yard.top.join("store")).unwrap();
    assert!(!drafts.join("dead").exists());
    assert!(drafts.join("alive/file").exists());
    assert_eq!(store.images().unwrap().len(), 1);
    // A child that another test has just forked may have it open for a moment.
    alive.unlock().unwrap();
    Store::open(&yard.top.join("store")).unwrap();
    assert_eq!(yard.layers(), 1);
}

#[test]
fn two_at_once_both_succeed() {
    let _turn = turn();
    let yard = Yard::new("both");
    let tarball = yard.file(&Tar::new().file("x", &noise(100_000)).end());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let store = Store::open(&yard.top.join("store")).unwrap();
                    let image = import(&store, &tarball, "new").unwrap();
                    assert!(rootfs(&image).join("x").exists());
                    assert!(rootfs(&store.image("new").unwrap()).join("x").exists());
                }
            });
        }
    });
    Store::open(&yard.top.join("store")).unwrap();
    images::prune(&yard.store, false).unwrap();
    assert_eq!(yard.layers(), 2);
}
