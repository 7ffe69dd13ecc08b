//! Who uses the engine without root?
//!
//! A student of the tests' own: a number and a name that only the student's mount namespace
//! knows, a home, and copies of the programs, because the build may lie in somebody's home.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use super::engine::{Engine, Folder};
use super::{copy_program, processes, program};

/// The student's number.
const NUMBER: u32 = 1234;

/// What root prepares for the student, in a mount namespace that goes with the command: who
/// the student is, whose numbers are set aside, and a /dev/net/tun as most machines have it,
/// open to all. /etc is covered as a whole: no mount below it is to disturb. By a copy where an
/// overlay would be one too many: no more than two may lie upon each other (the lab VM's root is
/// one, the container's is another).
const PREPARE: &str = r#"
    mount -t tmpfs -o mode=755 tmpfs /mnt
    case $(stat -fc %T /) in
    overlayfs) cp -a /etc /mnt/etc ;;
    *) mkdir /mnt/etc && cp /etc/passwd /mnt/etc/passwd ;;
    esac
    echo "student:x:$NUMBER:$NUMBER::$HOME:/bin/sh" >>/mnt/etc/passwd
    for file in subuid subgid; do echo "$SET_ASIDE" >/mnt/etc/$file; done
    case $(stat -fc %T /) in
    overlayfs) mount --bind /mnt/etc /etc ;;
    *) mount -t overlay overlay -o lowerdir=/mnt/etc:/etc /etc ;;
    esac
    mknod -m 666 /mnt/tun c 10 200
    mount --bind /mnt/tun /dev/net/tun
    exec setpriv --reuid=$NUMBER --regid=$NUMBER --clear-groups "$@""#;

/// Somebody without root, with a home; it goes with the test.
pub struct Student {
    folder: Folder,
    set_aside: &'static str,
}

impl Student {
    /// One whom nobody has set numbers aside for.
    pub fn new() -> Student {
        let folder = Folder::new("student");
        let open = |path: &str| {
            let mode = Permissions::from_mode(0o755);
            fs::set_permissions(path, mode).expect("it is ours");
        };
        for name in ["bin", "home"] {
            fs::create_dir(folder.at(name)).expect("the folder is ours");
            open(&folder.at(name));
        }
        for name in ["fakedocker", "user"] {
            let copy = folder.at(&format!("bin/{name}"));
            copy_program(&program(name), &copy);
            open(&copy);
        }
        let home = folder.at("home");
        chown(home, Some(NUMBER), Some(NUMBER)).expect("we are root");
        Student { folder, set_aside: "" }
    }

    /// One with as many numbers as most programs expect.
    pub fn with_numbers() -> Student {
        Student { set_aside: "student:200000:65536", ..Student::new() }
    }

    /// A path in the student's home.
    pub fn at(&self, name: &str) -> String {
        self.folder.at(&format!("home/{name}"))
    }

    /// Where the student's images and containers are.
    pub fn store(&self) -> String {
        self.at(".local/share/fakedocker")
    }

    /// The student's copy of a program.
    pub fn program(&self, name: &str) -> String {
        self.folder.at(&format!("bin/{name}"))
    }

    /// `words`, to be started by the student, wherever `outer` puts it.
    pub fn play_in(&self, mut outer: Command, words: &[&str]) -> Engine {
        outer.args(["unshare", "--mount", "sh", "-ec", PREPARE, "sh"]).args(words);
        outer.current_dir("/").env("HOME", self.at("")).env("SET_ASIDE", self.set_aside);
        outer.env("NUMBER", NUMBER.to_string()).env_remove("XDG_DATA_HOME");
        outer.env_remove("XDG_RUNTIME_DIR");
        Engine::of(outer)
    }

    /// `words`, to be started by the student.
    pub fn play(&self, words: &[&str]) -> Engine {
        self.play_in(Command::new("env"), words)
    }

    /// `fakedocker ARGS`, to be started by the student.
    pub fn engine(&self, args: &[&str]) -> Engine {
        let program = self.program("fakedocker");
        self.play(&[&[program.as_str()][..], args].concat())
    }

    /// `fakedocker run --rm ARGS`. The mark goes into the container.
    pub fn run(&self, args: &[&str]) -> Engine {
        self.engine(&[&["run", "--rm", "-e", processes::MARK][..], args].concat())
    }
}
