//! Does every lesson keep the promises that all lessons make?
//!
//! Each test plays every lesson, and compares the machine before and after each of them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::machine::{Machine, command, undisturbed};
use crate::support::processes::{self, await_one, ours};
use crate::support::skip::is_untried;
use crate::support::wait::{slowness, until};
use crate::support::{copy_program, lessons, program, turn};

/// Lessons that need no privilege: their row in the tests of privilege is their own.
const UNPRIVILEGED: [&str; 2] = ["user", "seccomp"];

/// Lessons that contain nobody, and take no COMMAND: tests/book/storage.rs plays them.
pub const UNCONTAINED: [&str; 1] = ["cow"];

/// How a program ended, and what it said.
pub struct Ending {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

/// The lesson `name`, ended by force if it hangs.
pub fn lesson(name: &str) -> Command {
    let mut command = Command::new("timeout");
    let seconds = 60 * slowness();
    command.args(["--foreground", "--kill-after=5", &seconds.to_string()]);
    command.arg(program(name));
    processes::mark(&mut command);
    command
}

/// The same for a test that is not about the claim: measured for a short time, if at all.
pub fn brief(name: &str) -> Command {
    let mut command = lesson(name);
    command.args(in_brief(name));
    command
}

/// The options by which a lesson measures for a short time, or little.
pub fn in_brief(name: &str) -> &'static [&'static str] {
    match name {
        "cgroup-cpu" | "io" => &["--seconds", "1"],
        "cow" => &["--files", "100", "--size", "8"],
        _ => &[],
    }
}

/// Run it to its end, with nothing on standard input unless `command` says otherwise.
pub fn run(command: &mut Command) -> Ending {
    let output = command.output().expect("the lesson starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("lessons speak UTF-8");
    let (out, err) = (text(output.stdout), text(output.stderr));
    Ending { status: output.status, out, err }
}

impl Ending {
    pub fn assert_status(&self, expected: i32) -> &Ending {
        let (out, err) = (&self.out, &self.err);
        assert_eq!(self.status.code(), Some(expected), "\n{out}\n{err}");
        self
    }

    pub fn assert_proved(&self) -> &Ending {
        let last = self.out.lines().last().unwrap_or_default();
        assert!(last.starts_with('✓'), "no verdict at the end of:\n{}", self.out);
        self
    }

    /// One line says what went wrong; no panic, no second line.
    fn assert_one_error(&self) -> &str {
        let errors: Vec<&str> =
            self.err.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{}", self.err);
        let others = self.err.lines().filter(|line| !line.starts_with("error: "));
        for line in others {
            assert!(line.starts_with("hint: "), "{}", self.err);
        }
        errors[0]
    }
}

/// The names of the lessons' programs: `uts` for the folder `01-uts`.
fn names() -> Vec<String> {
    let name = |folder: &String| folder.split_once('-').map(|(_, name)| name.to_string());
    lessons().iter().filter_map(name).collect()
}

/// The lessons with a contained process, whose usage says that they take a COMMAND.
pub fn contained() -> &'static [String] {
    static CONTAINED: OnceLock<Vec<String>> = OnceLock::new();
    CONTAINED.get_or_init(|| {
        let _turn = turn();
        let takes_command = |name: &String| {
            let help = run(lesson(name).arg("--help")).out;
            let usage = help.lines().find(|line| line.starts_with("Usage:"));
            usage.is_some_and(|usage| usage.contains("COMMAND"))
        };
        names().into_iter().filter(takes_command).collect()
    })
}

/// The further acts of lessons, name and flag: their help begins with "Instead:".
pub fn acts() -> Vec<(String, String)> {
    let _turn = turn();
    let of = |name: String| {
        let flags = acts_of(&name).into_iter();
        flags.map(move |flag| (name.clone(), flag))
    };
    let acts: Vec<_> = names().into_iter().flat_map(of).collect();
    assert!(!acts.is_empty(), "the lessons mount and overlay have some");
    acts
}

/// The flags of the further acts of the lesson `name`.
pub fn acts_of(name: &str) -> Vec<String> {
    let help = run(lesson(name).arg("--help")).out;
    let instead = help.lines().filter(|line| line.contains("Instead:"));
    let flag = |line: &str| {
        line.split(' ').find(|word| word.starts_with("--")).map(String::from)
    };
    instead.filter_map(flag).collect()
}

/// Play `scene` with each lesson that has a contained process.
fn each(scene: impl Fn(&str)) {
    for name in contained() {
        eprintln!("{name}"); // shown by Cargo when the test fails
        undisturbed(|| scene(name));
    }
}

#[test]
fn the_claim_is_proved() {
    each(|name| {
        let ending = run(lesson(name).args(["--", "true"]));
        ending.assert_status(0).assert_proved();
        assert!(ending.out.starts_with(&format!("{name} · ")), "{}", ending.out);
    });
}

#[test]
fn the_claims_of_further_acts_are_proved() {
    for (name, act) in acts() {
        eprintln!("{name} {act}");
        let ending = undisturbed(|| run(lesson(&name).arg(&act)));
        let test = "lessons::the_claims_of_further_acts_are_proved";
        let status = ending.status.code().unwrap_or_default();
        if !is_untried(test, &format!("{name} {act}"), status, &ending.out) {
            ending.assert_status(0).assert_proved();
        }
    }
}

#[test]
fn the_status_is_the_commands() {
    each(|name| {
        let ending = run(brief(name).args(["--", "sh", "-c", "exit 7"]));
        ending.assert_status(7).assert_proved();
    });
}

#[test]
fn a_shell_reads_from_a_pipe() {
    each(|name| {
        let (reader, mut writer) = io::pipe().expect("there are pipes");
        writer.write_all(b"hostname\necho $$\nexit 5\n").expect("it fits into the pipe");
        drop(writer);
        let ending = run(brief(name).stdin(reader));
        ending.assert_status(5).assert_proved();
        let is_pid = |line: &str| line.parse::<u32>().is_ok();
        assert!(ending.out.lines().any(is_pid), "no `echo $$` in:\n{}", ending.out);
    });
}

#[test]
fn a_shell_with_nothing_to_read_ends() {
    each(|name| {
        run(brief(name).stdin(Stdio::null())).assert_status(0).assert_proved();
    });
}

#[test]
fn quiet_is_evidence_and_verdict() {
    each(|name| {
        let ending = run(brief(name).args(["--quiet", "--", "true"]));
        ending.assert_status(0).assert_proved();
        assert!(!ending.out.contains('→'), "{}", ending.out);
        assert!(ending.out.lines().count() > 1, "no evidence in:\n{}", ending.out);
    });
}

#[test]
fn json_is_an_event_a_line() {
    each(|name| {
        let ending = run(brief(name).args(["--json", "--", "echo", "COMMAND speaks"]));
        ending.assert_status(0);
        assert_eq!(ending.err, "COMMAND speaks\n");
        let parse = |line: &str| -> Value { serde_json::from_str(line).expect(line) };
        let events: Vec<Value> = ending.out.lines().map(parse).collect();
        assert!(events.iter().all(|event| event["event"].is_string()), "{events:?}");
        let verdict = events.last().expect("there are events");
        assert_eq!(verdict["event"], "verdict");
        assert_eq!(verdict["proved"], true);
    });
}

#[test]
fn what_is_no_terminal_gets_no_colour() {
    each(|name| {
        let ending = run(brief(name).args(["--", "true"]));
        assert!(!ending.out.contains('\x1b'), "{:?}", ending.out);
        let ending = run(brief(name).args(["--", "/no/such/program"]));
        assert!(!ending.err.contains('\x1b'), "{:?}", ending.err);
    });
}

#[test]
fn nobody_listens_and_the_lesson_ends_quietly() {
    each(|name| {
        let (reader, writer) = io::pipe().expect("there are pipes");
        drop(reader);
        let ending = run(brief(name).args(["--", "true"]).stdout(writer));
        assert_eq!(ending.err, "");
        assert_ne!(ending.status.code(), Some(0), "it did not say what it proved");
        let script = format!("{} -- true | head -1", program(name).display());
        let ending = run(Command::new("sh").args(["-c", &script]));
        assert_eq!(ending.err, "");
        assert_eq!(ending.out.lines().count(), 1);
    });
}

#[test]
fn a_full_disk_is_told() {
    each(|name| {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let ending = run(brief(name).args(["--quiet", "--", "true"]).stdout(full));
        let error = ending.assert_status(125).assert_one_error();
        assert!(error.contains("ENOSPC"), "{error}");
    });
}

#[test]
fn a_command_that_cannot_run_has_its_status() {
    each(|name| {
        for (path, status) in [("no-such-program", 127), ("/no/such", 127), ("/tmp", 126)]
        {
            let ending = run(brief(name).args(["--", path]));
            let error = ending.assert_status(status).assert_one_error();
            assert!(error.contains(path), "{error}");
        }
    });
}

#[test]
fn without_privilege_one_line_says_what_to_do() {
    each(|name| {
        if UNPRIVILEGED.contains(&name) {
            return;
        }
        let copy = for_everybody(&program(name));
        let ending = run(Command::new(&copy).args(["--", "true"]).uid(65534).gid(65534));
        fs::remove_file(&copy).expect("the copy is ours");
        let error = ending.assert_status(125).assert_one_error();
        assert!(error.contains("): EPERM (") || error.contains("): EACCES ("), "{error}");
        assert!(ending.err.contains("\nhint: "), "{}", ending.err);
    });
}

/// A copy that any user may execute: the build may lie in somebody's home.
fn for_everybody(program: &Path) -> PathBuf {
    let copy = std::env::temp_dir().join(format!("book-{}", std::process::id()));
    copy_program(program, &copy);
    copy
}

#[test]
fn a_wrong_command_line_is_told_in_a_line() {
    let _turn = turn();
    for name in names().iter().map(String::as_str).chain(["lab"]) {
        let ended = run(lesson(name).arg("--frobnicate"));
        let told = ended.assert_status(2).assert_one_error();
        assert!(told.contains("'--frobnicate'"), "{told}");
        assert_eq!(ended.err.lines().last(), Some(&*format!("hint: see {name} --help")));
        let ended = run(lesson(name).arg("--hel"));
        let similar = "hint: a similar argument exists: '--help'";
        assert_eq!(ended.assert_status(2).err.lines().last(), Some(similar), "{name}");
    }
    let ended = run(lesson("lab").args(["check", "--all", "--timeout", "never"]));
    assert!(ended.assert_status(2).assert_one_error().contains("'never'"));
    assert!(ended.err.ends_with("hint: see lab check --help\n"), "{}", ended.err);
}

#[test]
fn no_open_file_reaches_the_command() {
    let script = "ls /proc/self/fd >&2";
    let without = run(Command::new("sh").args(["-c", script])).err;
    each(|name| {
        let ending = run(brief(name).args(["--", "sh", "-c", script]));
        assert_eq!(ending.err, without, "files other than 0, 1, 2 are open");
    });
}

/// A lesson whose COMMAND stays until somebody ends it.
struct Running {
    lesson: Child,
    said: PathBuf,
}

impl Running {
    /// Start it, and wait until COMMAND is there.
    fn start(name: &str) -> Running {
        let said = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.out"));
        let out = File::create(&said).expect("the target folder is ours");
        let mut command = command(name);
        command
            .args(in_brief(name))
            .args(["--", "sleep", "infinity"])
            .stdin(Stdio::null())
            .stdout(out);
        let lesson = command.spawn().expect("the lesson starts");
        await_one("COMMAND", |process| process.name == "sleep");
        Running { lesson, said }
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.said).expect("it was created by us")
    }

    fn send(&self, signal: Signal) {
        let pid = i32::try_from(self.lesson.id()).expect("a PID is an i32");
        nix::sys::signal::kill(Pid::from_raw(pid), signal).expect("it is our child");
    }

    /// Ask it to end, and wait until it has; PID 1 of a namespace has to be asked twice.
    fn end_by(&mut self, signal: Signal) -> ExitStatus {
        self.send(signal);
        let first = until("an end, or a word about PID 1", || {
            let deaf = self.said().contains("does not hear Ctrl-C");
            self.ended().map(Some).or_else(|| deaf.then_some(None))
        });
        first.unwrap_or_else(|| {
            self.send(signal);
            until("the lesson's end", || self.ended())
        })
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.lesson.try_wait().expect("it is our child")
    }
}

/// A test that fails leaves nothing behind, either.
impl Drop for Running {
    fn drop(&mut self) {
        self.lesson.kill().ok();
        self.lesson.wait().ok();
    }
}

/// Kill it at its height: processes and mounts go at once, nobody has to take them back.
fn kill_at_work(name: &str) {
    let before = Machine::look();
    let mut running = Running::start(name);
    running.send(Signal::SIGKILL);
    let status = running.lesson.wait().expect("it is our child");
    assert_eq!(status.signal(), Some(Signal::SIGKILL as i32));
    before.assert_same(&["processes", "mounts"]);
}

#[test]
fn after_a_kill_the_next_start_clears_away() {
    each(|name| {
        kill_at_work(name);
        run(brief(name).args(["--", "true"])).assert_status(0).assert_proved();
    });
}

#[test]
fn after_a_kill_lab_clean_clears_away() {
    each(|name| {
        kill_at_work(name);
        run(lesson("lab").arg("clean")).assert_status(0);
    });
}

#[test]
fn a_signal_that_the_starter_ignores_stays_ignored() {
    undisturbed(|| {
        let play = |before: &str, after: &str| {
            let mut shell = Command::new("sh");
            let hang_up = format!(r#"exec "$0" -- sh -c 'kill -HUP $PPID; {after}'"#);
            shell.args(["-c", &format!("{before} {hang_up}")]).arg(program("uts"));
            run(processes::mark(&mut shell))
        };
        let ending = play("trap \"\" HUP;", "echo went on");
        ending.assert_status(0).assert_proved();
        assert!(ending.out.contains("went on"), "{}", ending.out);
        play("", "exec sleep infinity").assert_status(128 + Signal::SIGHUP as i32);
    });
}

#[test]
fn a_signal_ends_it_and_nothing_is_left() {
    each(|name| {
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            let before = Machine::look();
            let mut running = Running::start(name);
            let status = running.end_by(signal);
            let expected = [128 + signal as i32, 128 + Signal::SIGKILL as i32];
            let code = status.code().unwrap_or_default();
            assert!(expected.contains(&code), "{signal}: {status}\n{}", running.said());
            before.assert_unchanged();
        }
    });
}

#[test]
fn our_processes_are_told_from_others() {
    undisturbed(|| {
        let mut running = Running::start("uts");
        let names: Vec<String> = ours().into_iter().map(|process| process.name).collect();
        assert!(names.contains(&"uts".to_string()), "{names:?}");
        assert!(names.contains(&"sleep".to_string()), "{names:?}");
        running.send(Signal::SIGTERM);
        running.lesson.wait().expect("it is our child");
    });
}
