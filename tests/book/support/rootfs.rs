//! Which root file systems do the tests stand on?
//!
//! Real ones: a busybox that is a whole system in one program, Debian's smallest installation, and
//! services on it. They are made once and kept under target/rootfs/.

use std::fs::{self, Permissions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

use super::engine::Store;
use super::top;

/// A tarball of a busybox system: /bin with all its commands, and the usual folders.
pub fn busybox() -> PathBuf {
    kept("busybox.tar", |tarball| {
        let root = tarball.with_extension("root");
        let applets =
            Command::new("busybox").arg("--list").output().expect("busybox runs");
        furnish(&root, &String::from_utf8_lossy(&applets.stdout));
        pack(&root, tarball);
    })
}

/// A tarball of a system with under 20 files: busybox, and a few of its commands.
pub fn tiny() -> PathBuf {
    kept("tiny.tar", |tarball| {
        let root = tarball.with_extension("root");
        furnish(&root, "sh\ntrue\necho\ncat\ntouch\ntail");
        pack(&root, tarball);
    })
}

/// The same, compressed: `gz`, `xz` or `zst`.
pub fn busybox_as(ending: &str) -> PathBuf {
    let plain = busybox();
    let tool = match ending {
        "gz" => "gzip",
        "xz" => "xz",
        "zst" => "zstd",
        other => panic!("no tool for .{other}"),
    };
    kept(&format!("busybox.tar.{ending}"), |tarball| {
        let file = fs::File::create(tarball).expect("the target folder is ours");
        must(Command::new(tool).args(["-q", "-c"]).arg(&plain).stdout(file));
    })
}

/// A tarball of Debian bookworm with nothing but what apt needs, and ps. Made with the
/// network, the first time.
pub fn debian() -> PathBuf {
    kept("debian-ps.tar", |tarball| {
        eprintln!("making a Debian root file system, once: this takes a minute");
        // Its mounts are not to be seen by a test that plays meanwhile.
        let mut bootstrap = Command::new("unshare");
        bootstrap.args(["--mount", "mmdebstrap", "--quiet", "--variant=minbase"]);
        bootstrap.args(["--include=procps", "--format=tar", "bookworm"]);
        must(bootstrap.arg(tarball));
    })
}

/// An archive with the images `system`, `db` and `web`, of services/Dockerfile. The engine builds
/// them, the first time, on [`debian`], in a store that goes, and with the network.
pub fn services() -> PathBuf {
    let (debian, context) = (debian(), top().join("tests/book/support/services"));
    let dockerfile = fs::read(context.join("Dockerfile")).expect("it is the project's");
    // What another one has described is not taken for it.
    let mut hasher = DefaultHasher::new();
    dockerfile.hash(&mut hasher);
    kept(&format!("services-{:016x}.tar", hasher.finish()), |archive| {
        eprintln!("building images of services, once: this takes a minute or two");
        let store = Store::with("debian", &debian);
        let context = context.display().to_string();
        for stage in ["system", "db", "web"] {
            let build = ["build", "-q", "--target", stage, "-t", stage, &context];
            store.engine(&build).end().assert_status(0);
        }
        let archive = archive.display().to_string();
        let save = ["save", "-o", &archive, "system", "db", "web"];
        store.engine(&save).end().assert_status(0);
    })
}

/// The file `name` under target/rootfs/; `make` makes it, under another name, so that a
/// half-made one is never taken for it.
fn kept(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    static MAKING: Mutex<()> = Mutex::new(());
    let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp");
    let folder = target.join("rootfs");
    let path = folder.join(name);
    if !path.exists() {
        fs::create_dir_all(&folder).expect("the target folder is ours");
        let half_made = folder.join(format!("{}-{name}", std::process::id()));
        make(&half_made);
        fs::rename(&half_made, &path).expect("they are in one folder");
    }
    path
}

fn pack(root: &Path, tarball: &Path) {
    let mut tar = Command::new("tar");
    tar.args(["--numeric-owner", "--owner=0", "--group=0", "-C"]).arg(root);
    must(tar.arg("-cf").arg(tarball).arg("."));
    fs::remove_dir_all(root).expect("it is ours");
}

/// Put a busybox system with these `applets`, a line for each, into the folder `root`.
fn furnish(root: &Path, applets: &str) {
    for folder in ["bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "var/tmp"] {
        fs::create_dir_all(root.join(folder)).expect("the target folder is ours");
    }
    for (folder, mode) in [("root", 0o700), ("tmp", 0o1777), ("var/tmp", 0o1777)] {
        let mode = Permissions::from_mode(mode);
        fs::set_permissions(root.join(folder), mode).expect("it is ours");
    }
    fs::copy("/usr/bin/busybox", root.join("bin/busybox"))
        .or_else(|_| fs::copy("/bin/busybox", root.join("bin/busybox")))
        .expect("busybox-static is installed");
    for applet in applets.lines() {
        if applet != "busybox" {
            symlink("busybox", root.join("bin").join(applet)).expect("names differ");
        }
    }
    let users =
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
    fs::write(root.join("etc/passwd"), users).expect("it is ours");
    let groups = "root:x:0:\nnogroup:x:65534:\n";
    fs::write(root.join("etc/group"), groups).expect("it is ours");
}

fn must(command: &mut Command) {
    let status = command.status();
    let done = status.as_ref().is_ok_and(ExitStatus::success);
    assert!(done, "{command:?}: {status:?}");
}

#[test]
fn root_file_systems_are_whole() {
    let has = |tarball: &Path, path: &str| {
        let mut tar = Command::new("tar");
        must(tar.arg("-tf").arg(tarball).arg(path).stdout(Stdio::null()));
    };
    has(&busybox(), "./bin/sh");
    for ending in ["gz", "xz", "zst"] {
        has(&busybox_as(ending), "./etc/passwd");
    }
    has(&debian(), "./usr/bin/apt");
}
