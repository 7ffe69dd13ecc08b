//! How does a test take the course?
//!
//! In a copy of the parts that `lab` reads, which belongs to a student who calls sudo. A cargo
//! of the tests' own "builds" exercises: what begins with `sh: ` becomes that script, and an
//! exercise in which nothing is left to write becomes the real solution.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::engine::{Ending, Folder};
use super::wait::{DEADLINE, slowness};
use super::{copy_program, processes, program, top};

/// The student's number.
const NUMBER: u32 = 1234;

/// A lesson of an instructor's own, which no Rust of ours knows.
const OWN_CHECK: &str = r#"
question = "what is the answer?"

[[check]]
claim = "the answer is 42"
inside = "echo $ANSWER"
is = "42"
hint = "the answer is {seen}, it must be 42"
explain = "a variable is inherited by a child"
code = "ANSWER=42 exec sh"
"#;

const OWN_EXERCISE: &str = concat!("sh: exec sh # to", "do!()\n");

const CARGO: &str = r#"#!/bin/sh -e
while [ $# -gt 0 ]; do
    case $1 in
    --example) name=$2 ;;
    --target-dir) target=$2 ;;
    --manifest-path) source=$(dirname "$2")/examples ;;
    --version) echo "cargo 1.2.3" && exit ;;
    esac
    shift
done
mkdir -p "$target/debug/examples"
program=$target/debug/examples/$name
rm -f "$program"
case $(cat "$source/$name.rs") in
sh:*) { echo '#!/bin/sh'; sed -n 's/^sh: //p' "$source/$name.rs"; } >"$program" ;;
*broken*) echo "error: it is broken" >&2 && exit 101 ;;
*todo!*) cp "$REAL/${name%-*}-exercise" "$program" ;;
*) cp "$REAL/${name%-*}-solution" "$program" ;;
esac
chmod 755 "$program"
"#;

/// A course that goes with the test.
pub struct Course {
    folder: Folder,
}

impl Course {
    /// With these lessons, such as `01-uts`, and the instructor's own as lesson 99, `own`.
    pub fn with(lessons: &[&str]) -> Course {
        let folder = Folder::new("course");
        open(folder.path().to_str().expect("a plain path"));
        for lesson in lessons {
            let at = format!("lessons/{lesson}");
            fs::create_dir_all(folder.at(&at)).expect("the folder is ours");
            for part in ["check.toml", "examples"] {
                let from = top().join(&at).join(part);
                let mut cp = Command::new("cp");
                ends(cp.arg("-r").arg(from).arg(folder.at(&format!("{at}/{part}"))));
            }
        }
        for at in ["lessons/99-own/examples", "target/debug", "bin"] {
            fs::create_dir_all(folder.at(at)).expect("the folder is ours");
        }
        folder.write("lessons/99-own/check.toml", OWN_CHECK);
        folder.write("lessons/99-own/examples/own-exercise.rs", OWN_EXERCISE);
        let solution = "sh: ANSWER=42 exec sh\n";
        folder.write("lessons/99-own/examples/own-solution.rs", solution);
        open(&folder.write("bin/cargo", CARGO));
        copy_program(&program("lab"), folder.at("target/debug/lab"));
        let course = Course { folder };
        ends(Command::new("chown").arg("-R").arg(owner()).arg(course.folder.path()));
        course.git(&["init", "--quiet"]);
        course.git(&["add", "lessons"]);
        course.git(&["commit", "--quiet", "-m", "handed out"]);
        course
    }

    /// A path in it.
    pub fn at(&self, name: &str) -> String {
        self.folder.at(name)
    }

    /// The text of a file in it.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).expect("it is there")
    }

    /// Save the exercise of the instructor's lesson, as an editor that writes to the file.
    pub fn save(&self, text: &str) {
        fs::write(self.at("lessons/99-own/examples/own-exercise.rs"), text)
            .expect("it can be written");
    }

    /// The same, as an editor that renames another file over it.
    pub fn save_by_rename(&self, text: &str) {
        let aside = self.folder.write("lessons/99-own/examples/.own.swp", text);
        fs::rename(aside, self.at("lessons/99-own/examples/own-exercise.rs"))
            .expect("it can be renamed");
    }

    /// Who owns a file in it.
    pub fn is_students(&self, name: &str) -> bool {
        use std::os::unix::fs::MetadataExt;
        let about = fs::metadata(self.at(name)).expect("it is there");
        (about.uid(), about.gid()) == (NUMBER, NUMBER)
    }

    /// `sudo lab ARGS`, as the student calls it.
    pub fn sudo(&self, args: &[&str]) -> Ending {
        Ending::from(self.sudo_command(args).output().expect("lab starts"))
    }

    /// `lab ARGS`, by the student without sudo.
    pub fn lab(&self, args: &[&str]) -> Ending {
        let mut command = self.command(args);
        command.uid(NUMBER).gid(NUMBER);
        Ending::from(command.output().expect("lab starts"))
    }

    /// `sudo lab ARGS` where `script` has changed what the command sees of the machine.
    pub fn sudo_after(&self, script: &str, args: &[&str]) -> Ending {
        let script = format!("{script} && exec target/debug/lab \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", &script, "lab"]).args(args);
        Ending::from(self.at_home(&mut command, true).output().expect("lab starts"))
    }

    /// `sudo lab ARGS`, started, and heard line by line.
    pub fn start(&self, args: &[&str]) -> Talk {
        let mut command = self.sudo_command(args);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("lab starts");
        let lines = listen(child.stdout.take().expect("it is piped"));
        Talk { child, lines }
    }

    /// git, by the student.
    pub fn git(&self, args: &[&str]) {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=student", "-c", "user.email=s@example.org"]);
        git.args(["-c", "init.defaultBranch=main"]).args(args).uid(NUMBER).gid(NUMBER);
        ends(self.at_home(&mut git, false));
    }

    fn sudo_command(&self, args: &[&str]) -> Command {
        let mut command = self.command(args);
        self.at_home(&mut command, true);
        command
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.at("target/debug/lab"));
        command.args(args);
        self.at_home(&mut command, false);
        command
    }

    fn at_home<'c>(&self, command: &'c mut Command, by_sudo: bool) -> &'c mut Command {
        let path = std::env::var("PATH").unwrap_or_default();
        command.current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("PATH", format!("{}:{path}", self.at("bin")));
        command.env("HOME", self.folder.path());
        command.env("REAL", program("lab").with_file_name("examples"));
        command.env_remove("LAB_FOLDER");
        for name in ["SUDO_UID", "SUDO_GID"] {
            match by_sudo {
                true => command.env(name, NUMBER.to_string()),
                false => command.env_remove(name),
            };
        }
        processes::mark(command)
    }
}

/// A program that is heard while it runs.
pub struct Talk {
    pub child: Child,
    lines: Receiver<String>,
}

impl Talk {
    /// What it says until a line that contains `word`.
    pub fn until(&self, word: &str) -> Vec<String> {
        let mut heard = Vec::new();
        loop {
            let line = self.lines.recv_timeout(DEADLINE * slowness());
            let line = line.unwrap_or_else(|_| panic!("no {word:?} after {heard:#?}"));
            let is_last = line.contains(word);
            heard.push(line);
            if is_last {
                return heard;
            }
        }
    }
}

/// A test that fails does not leave it there.
impl Drop for Talk {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn listen(out: ChildStdout) -> Receiver<String> {
    let (tell, lines) = channel();
    thread::spawn(move || {
        let lines = BufReader::new(out).lines().map_while(Result::ok);
        lines.map(|line| tell.send(line)).find(Result::is_err)
    });
    lines
}

fn owner() -> String {
    format!("{NUMBER}:{NUMBER}")
}

fn open(path: &str) {
    let mode = Permissions::from_mode(0o755);
    fs::set_permissions(path, mode).expect("it is ours");
}

fn ends(command: &mut Command) {
    Ending::from(command.output().expect("it starts")).assert_status(0);
}
