//! Is `lab` a good companion?
//!
//! Each command as a student uses it: without root, or by sudo. What the checks themselves say
//! is in checks.rs.

use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::course::Course;
use crate::support::engine::{Ending, Folder};
use crate::support::machine::{Machine, command, undisturbed};
use crate::support::processes::{await_one, mark};
use crate::support::skip::skip;
use crate::support::wait::slowness;
use crate::support::{program, top};

const OWN: &str = "lessons/99-own/examples/own-exercise.rs";
const RIGHT: &str = "sh: ANSWER=42 exec sh\n";

#[test]
fn the_list_says_where_the_student_stands() {
    undisturbed(|| {
        let course = Course::with(&["01-uts", "03-pid"]);
        let new = course.lab(&[]);
        new.assert_status(0).assert_quiet();
        assert!(new.out.contains("\n0 of 3 lessons done\n"), "{}", new.out);
        assert!(new.out.contains("   1  uts         can two hostnames"), "{}", new.out);
        assert!(new.out.contains("next: lesson 1, uts\n"), "{}", new.out);
        assert!(
            new.out.contains("check   sudo target/debug/lab check uts"),
            "{}",
            new.out
        );

        // Somebody else's program, and one's own that fails, are no progress.
        course.sudo(&["check", "own", "--", "env", "ANSWER=42", "sh"]).assert_status(0);
        course.sudo(&["check", "uts"]).assert_status(1);
        let tried = course.lab(&[]).out;
        assert!(tried.contains("0 of 3 lessons done"), "{tried}");
        assert!(tried.contains("✗  1  uts "), "{tried}");
        assert!(tried.contains("(1 of 6 claims hold)"), "{tried}");
        assert!(tried.contains("help    target/debug/lab hint uts"), "{tried}");

        course.save(RIGHT);
        course.sudo(&["check", "own"]).assert_status(0);
        let done = course.lab(&[]).out;
        assert!(done.contains("✓ 99  own"), "{done}");
        assert!(done.contains("1 of 3 lessons done"), "{done}");
        for path in [".lab", ".lab/own.json", ".lab/uts.json"] {
            assert!(course.is_students(path), "{path}");
        }

        course.save("sh: exec sh\n");
        let changed = course.lab(&[]).out;
        assert!(changed.contains("(passed, and changed since)"), "{changed}");
        course.save(RIGHT);
        assert!(course.lab(&[]).out.contains("1 of 3 lessons done"));
        // What has passed, and does not any more.
        course.sudo_after("rm bin/cargo", &["check", "own"]);
        assert!(course.lab(&[]).out.contains("1 of 3 lessons done"));
    });
}

#[test]
fn hints_come_in_three_grades() {
    undisturbed(|| {
        let course = Course::with(&[]);
        let early = course.lab(&["hint", "own"]);
        assert!(early.assert_status(125).assert_one_error().contains("not checked yet"));
        let check = course.sudo(&["check", "own"]);
        assert_eq!(check.assert_status(1).out.lines().rev().nth(2), Some(GRADES[0]));
        assert!(
            check.out.contains("\nmore: target/debug/lab hint own\n"),
            "{}",
            check.out
        );

        let hint = |args: &[&str]| {
            let ending = course.lab(&[&["hint", "own"], args].concat());
            ending.assert_status(0).assert_quiet();
            assert!(ending.out.starts_with("own · the answer is 42\n"), "{}", ending.out);
            ending.out.lines().nth(2).unwrap_or_default().to_string()
        };
        assert_eq!(hint(&[]), "hint 2 of 3: a variable is inherited by a child");
        assert_eq!(hint(&[]), "hint 3 of 3: ANSWER=42 exec sh");
        assert_eq!(hint(&[]), "hint 3 of 3: ANSWER=42 exec sh");
        assert!(hint(&["--grade", "1"]).ends_with("nothing, it must be 42"));
        // Who fails at the same place again has not forgotten.
        course.sudo(&["check", "own"]).assert_status(1);
        assert_eq!(hint(&[]), "hint 3 of 3: ANSWER=42 exec sh");
        course.lab(&["hint", "own", "--grade", "4"]).assert_status(2);
        course.lab(&["hint", "nowhere"]).assert_status(125).assert_one_error();

        course.sudo(&["check", "own", "--", "env", "ANSWER=42", "sh"]).assert_status(0);
        let right = course.lab(&["hint", "own"]);
        assert!(right.assert_status(0).out.contains("all claims held"), "{}", right.out);
    });
}

const GRADES: [&str; 1] = ["hint: the answer is nothing, it must be 42"];

#[test]
fn a_solution_is_shown_to_who_has_tried() {
    undisturbed(|| {
        let course = Course::with(&["01-uts"]);
        let early = course.lab(&["solution", "uts"]);
        assert!(
            early.assert_status(1).out.starts_with("try it first: "),
            "{}",
            early.out
        );
        assert_eq!(early.out.lines().count(), 2);
        let anyway = course.lab(&["solution", "uts", "--anyway"]);
        let path = "lessons/01-uts/examples/uts-solution.rs";
        let expected = format!("{path}\n\n{}", course.read(path));
        assert_eq!(anyway.assert_status(0).out, expected);
        course.sudo(&["check", "uts"]).assert_status(1);
        assert_eq!(course.lab(&["solution", "uts"]).assert_status(0).out, expected);
    });
}

#[test]
fn reset_puts_the_exercise_back_and_loses_nothing() {
    undisturbed(|| {
        let course = Course::with(&[]);
        let handed_out = course.read(OWN);
        let again = course.lab(&["reset", "own"]);
        assert!(again.assert_status(0).out.contains("as it was handed out"));

        course.save(RIGHT);
        course.sudo(&["check", "own"]).assert_status(0);
        // By sudo, too, and when what was written is committed.
        course.git(&["commit", "--quiet", "-am", "mine"]);
        let reset = course.sudo(&["reset", "own"]);
        let kept = ".lab/own-exercise-1.rs";
        assert_eq!(
            reset.assert_status(0).out,
            format!("kept      {kept}\nput back  {OWN}\n")
        );
        assert_eq!((course.read(kept), course.read(OWN)), (RIGHT.into(), handed_out));
        assert!(course.is_students(kept) && course.is_students(OWN));
        assert!(course.lab(&[]).out.contains("0 of 1 lessons done"));

        course.save("sh: another\n");
        course.lab(&["reset", "own"]).assert_status(0);
        assert_eq!(course.read(".lab/own-exercise-2.rs"), "sh: another\n");
        assert_eq!(course.read(kept), RIGHT);
        std::fs::remove_file(course.at(OWN)).expect("it is there");
        course.lab(&["reset", "own"]).assert_status(0);
        assert!(course.read(OWN).contains("todo!"));
        // Not from git: nothing is touched.
        std::fs::remove_dir_all(course.at(".git")).expect("it is there");
        course.save(RIGHT);
        course.lab(&["reset", "own"]).assert_status(125);
        assert_eq!(course.read(OWN), RIGHT);
    });
}

#[test]
fn all_lessons_are_checked_with_a_line_each() {
    undisturbed(|| {
        let course = Course::with(&["01-uts", "13-pids"]);
        let all = course.sudo(&["check", "--all"]);
        let lines: Vec<_> = all.assert_status(1).out.lines().collect();
        assert_eq!(lines.len(), 5, "{}", all.out);
        assert!(
            lines[0].starts_with("✗  1  uts         1 of 6 claims hold; "),
            "{}",
            all.out
        );
        assert!(
            lines[2].ends_with("the first that does not: the answer is 42"),
            "{}",
            all.out
        );
        assert_eq!(lines[4], "0 of 3 lessons pass, 3 do not");

        course.save("broken");
        let broken = course.sudo(&["check", "--all"]).out;
        let line = "✗ 99  own         error: own-exercise does not compile";
        assert!(broken.contains(line), "{broken}");

        // The solutions are nobody's progress; what cannot be tried is not green.
        let covered = "mount -t tmpfs tmpfs /sys/fs/cgroup";
        let solutions = course.sudo_after(covered, &["check", "--all", "--solution"]);
        let lines: Vec<_> = solutions.assert_status(0).out.lines().collect();
        assert_eq!(lines[0], "✓  1  uts         all 6 claims hold");
        assert!(
            lines[1].starts_with("○ 13  pids        not tried: "),
            "{}",
            solutions.out
        );
        assert_eq!(lines[4], "2 of 3 lessons pass, 1 was not tried");
        assert!(course.lab(&[]).out.contains("0 of 3 lessons done"));
        let one = course.sudo_after(covered, &["check", "pids"]);
        one.assert_status(77).assert_one_error();

        let refused = course.lab(&["check", "--all"]);
        assert!(refused.assert_status(125).assert_one_error().contains("as root"));
        course.sudo(&["check"]).assert_status(2);
        course.sudo(&["check", "--all", "uts"]).assert_status(2);
    });
}

#[test]
fn watch_checks_again_whenever_the_exercise_is_saved() {
    undisturbed(|| {
        let course = Course::with(&[]);
        let mut talk = course.start(&["watch", "own"]);
        let first = talk.until("Ctrl-C ends it");
        assert!(first.contains(&"✗ own: 2 of 3 claims hold".into()), "{first:?}");
        course.save(RIGHT);
        let right = talk.until("Ctrl-C ends it");
        assert!(right.contains(&"✓ own: all 3 claims hold".into()), "{right:?}");
        course.save_by_rename("sh: exec sh\n");
        let wrong = talk.until("Ctrl-C ends it");
        assert!(wrong.contains(&"✗ own: 2 of 3 claims hold".into()), "{wrong:?}");
        assert!(!wrong.concat().contains('\u{1b}'), "{wrong:?}");
        // Ctrl-C in the middle of a check that would take long.
        course.save_by_rename("sh: setsid tail -f /dev/null & exec tail -f /dev/null\n");
        await_one("the program", |it| it.name == "tail");
        let group = Pid::from_raw(-talk.child.id().cast_signed());
        kill(group, Signal::SIGINT).expect("it is there");
        let status = talk.child.wait().expect("it ends");
        assert_eq!(status.code(), Some(0));
        course.lab(&["watch", "own"]).assert_status(125).assert_one_error();
    });
}

#[test]
fn a_check_that_is_ended_ends_the_program() {
    undisturbed(|| {
        let course = Course::with(&[]);
        course.save("sh: setsid tail -f /dev/null & exec tail -f /dev/null\n");
        for args in [&["check", "own"][..], &["check", "--all"]] {
            let mut talk = course.start(args);
            await_one("the program", |it| it.name == "tail");
            let group = Pid::from_raw(-talk.child.id().cast_signed());
            kill(group, Signal::SIGINT).expect("it is there");
            assert_eq!(talk.child.wait().expect("it ends").code(), Some(130));
        }
    });
}

#[test]
fn the_doctor_says_which_lessons_run() {
    undisturbed(|| {
        let course = Course::with(&["01-uts", "12-memory"]);
        for ending in
            [course.sudo(&["doctor", "--json"]), course.lab(&["doctor", "--json"])]
        {
            let report = json(&ending);
            let lessons = report["lessons"].as_array().expect("a list");
            assert_eq!(lessons.len(), 3, "{report}");
            let runs = lessons.iter().all(|lesson| lesson["runs"] == true);
            ending.assert_status(i32::from(!runs)).assert_quiet();
            let kernel = finding(&report, "machine", "kernel");
            assert_eq!(kernel["works"], true, "{kernel}");
            for kind in ["uts", "ipc", "pid", "mnt", "user", "net", "time", "cgroup"] {
                assert_eq!(finding(&report, "namespaces", kind)["works"], true, "{kind}");
            }
            let cargo = finding(&report, "tools", "cargo");
            assert!(
                cargo["seen"].as_str().is_some_and(|it| it.contains("1.2.3")),
                "{cargo}"
            );
        }
        let covered = "mount -t tmpfs tmpfs /sys/fs/cgroup";
        let without = course.sudo_after(covered, &["doctor", "--json"]);
        let report = json(without.assert_status(1));
        assert_eq!(finding(&report, "cgroups", "memory")["works"], false);
        let runs: Vec<_> = report["lessons"].as_array().expect("a list").iter().collect();
        assert_eq!((&runs[0]["runs"], &runs[1]["runs"]), (&true.into(), &false.into()));
        let text = course.sudo_after(covered, &["doctor"]).assert_status(1).out.clone();
        assert!(text.contains("\n  ✗ 12  memory      memory (cgroups): "), "{text}");
        assert!(text.contains("\n  2 of 3 lessons run here\n"), "{text}");
    });
}

#[test]
fn the_doctor_names_what_is_to_be_installed() {
    undisturbed(|| {
        let course = Course::with(&[]);
        // No tools but a shell; and a system of a certain kind.
        let systems = [
            ("ID=ubuntu\\nID_LIKE=debian", "sudo apt install git"),
            ("ID=fedora", "sudo dnf install git"),
            ("ID=arch", "sudo pacman -S git"),
            ("ID=other", "install the packages that have: git"),
        ];
        for (system, command) in systems {
            let script = format!(
                "printf '{system}\\n' >release && mount --bind release \
                 $(readlink -f /etc/os-release) && for dir in /usr/sbin /sbin \
                 /usr/local/sbin; do mount -t tmpfs tmpfs $dir; done && PATH=/nowhere"
            );
            let told = json(&course.sudo_after(&script, &["doctor", "--json"]));
            let install = told["install"].as_str().unwrap_or_default();
            assert!(install.starts_with(command), "{install}");
            assert_eq!(finding(&told, "tools", "tmux")["works"], false);
        }
    });
}

/// In its check.toml, so that nobody has to touch Rust for it.
#[test]
fn a_lesson_says_itself_what_it_needs() {
    undisturbed(|| {
        let course = Course::with(&[]);
        let check = "lessons/99-own/check.toml";
        let (path, text) = (course.at(check), course.read(check));
        let needs = |need: &str| {
            let needs = format!("needs = [{need:?}]\n{text}");
            std::fs::write(&path, needs).expect("it is the test's own");
        };
        needs("cgroups memory");
        let covered = "mount -t tmpfs tmpfs /sys/fs/cgroup";
        let refused = course.sudo_after(covered, &["check", "own"]);
        let error = refused.assert_status(77).assert_one_error();
        assert!(error.contains("this machine lacks memory (cgroups)"), "{error}");
        needs("luck");
        let refused = course.sudo(&["check", "own"]);
        let error = refused.assert_status(125).assert_one_error();
        assert!(error.contains("\"luck\" cannot be needed"), "{error}");
    });
}

fn json(ending: &Ending) -> Value {
    serde_json::from_str(&ending.out)
        .unwrap_or_else(|error| panic!("{error}: {ending:#?}"))
}

fn finding<'r>(report: &'r Value, topic: &str, name: &str) -> &'r Value {
    let all = report["findings"].as_array().expect("a list");
    let found = all.iter().find(|it| it["topic"] == topic && it["name"] == name);
    found.unwrap_or_else(|| panic!("nothing about {topic} {name} in {report:#}"))
}

#[test]
fn a_dry_run_says_what_would_go_and_changes_nothing() {
    undisturbed(|| {
        let mut cmd = command("ipc");
        let mut killed = cmd
            .args(["--quiet", "--", "tail", "-f", "/dev/null"])
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("it starts");
        await_one("the container's command", |it| it.name == "tail");
        killed.kill().expect("it runs");
        killed.wait().expect("it ends");
        let lab = |args: &[&str]| {
            let mut lab = Command::new(program("lab"));
            let ran = mark(lab.arg("clean").args(args)).output();
            Ending::from(ran.expect("lab starts")).assert_status(0).out.clone()
        };
        let before = Machine::look();
        let would = lab(&["--dry-run"]);
        assert!(would.starts_with("this would be taken back:\nlesson 2: "), "{would}");
        // The killed lesson's last process may only now be gone.
        let kinds = Machine::kinds().into_iter().filter(|kind| *kind != "processes");
        before.assert_same(&kinds.collect::<Vec<_>>());
        assert_eq!(format!("this would be taken back:\n{}", lab(&[])), would);
        assert!(lab(&["--dry-run"]).starts_with("nothing to clean"));
    });
}

#[test]
fn who_is_not_root_is_told_that_root_may_have_left_something() {
    undisturbed(|| {
        let told = Course::with(&[]).lab(&["clean"]);
        let (told, advice) =
            (&told.assert_status(0).out, "sudo target/debug/lab clean\n");
        assert!(told.starts_with("nothing of yours to clean; "), "{told}");
        assert!(told.ends_with(advice), "{told}");
    });
}

#[test]
fn a_lesson_is_called_by_its_name_its_number_or_its_folder() {
    undisturbed(|| {
        let course = Course::with(&["01-uts"]);
        for name in ["uts", "1", "01", "01-uts"] {
            let solution = course.lab(&["solution", name, "--anyway"]);
            assert!(solution.assert_status(0).out.contains("Lesson 1"), "{name}");
        }
        for name in ["0", ""] {
            let refused = course.lab(&["solution", name, "--anyway"]);
            refused.assert_status(125).assert_one_error();
        }
    });
}

/// The C program of a student's, compiled; None where there is no compiler.
fn compiled(folder: &Folder, source: &str, text: Option<&str>) -> Option<String> {
    let (source, at) = match text {
        Some(text) => (folder.write(source, text).into(), folder.at("program")),
        None => (top().join("tests/book/support").join(source), folder.at("program")),
    };
    let gcc = Command::new("gcc").arg("-o").arg(&at).arg(source).output();
    match gcc {
        Ok(output) => Ending::from(output).assert_status(0),
        Err(error) => {
            skip("companion", format!("gcc: {error}"));
            return None;
        }
    };
    Some(at)
}

fn check(lesson: &str, argv: &[&str]) -> Ending {
    let mut lab = Command::new(program("lab"));
    lab.env("LAB_FOLDER", concat!(env!("CARGO_TARGET_TMPDIR"), "/lab"));
    let ran = mark(lab.args(["check", lesson, "--"]).args(argv)).output();
    Ending::from(ran.expect("lab starts"))
}

#[test]
fn a_program_in_c_passes_what_it_does_and_nothing_else() {
    undisturbed(|| {
        let folder = Folder::new("c");
        let Some(container) = compiled(&folder, "container.c", None) else { return };
        let passes = [
            ("uts", &["uts"][..]),
            ("ipc", &["ipc"]),
            ("pid", &["pid"]),
            ("mount", &["mount", "pid"]),
            ("user", &["user"]),
            ("net", &["net"]),
        ];
        for (lesson, flags) in passes {
            let argv = [&[container.as_str()], flags].concat();
            let ending = check(lesson, &argv);
            assert_eq!(ending.status, Some(0), "{lesson}: {}", ending.out);
        }
        let all = ["uts", "ipc", "pid", "mount", "net"];
        for lesson in all {
            let ending = check(lesson, &[&[container.as_str()], &all[..]].concat());
            assert_eq!(ending.status, Some(0), "{lesson}: {}", ending.out);
        }
        let fails = [
            ("uts", "ipc", "unshare(CLONE_NEWUTS)"),
            ("ipc", "uts", "unshare(CLONE_NEWIPC)"),
            ("pid", "net", "unshare(CLONE_NEWPID)"),
            ("mount", "user", "unshare(CLONE_NEWNS)"),
            ("user", "mount", "unshare(CLONE_NEWUSER)"),
            ("net", "pid", "unshare(CLONE_NEWNET)"),
            // The namespace, and something that is missing in it.
            ("mount", "mount", "which are the host's"),
        ];
        for (lesson, flag, hint) in fails {
            let ending = check(lesson, &[&container, flag]);
            assert_eq!(ending.status, Some(1), "{lesson} by {flag}: {}", ending.out);
            let hints = ending.out.lines().find_map(|line| line.strip_prefix("hint: "));
            assert!(hints.is_some_and(|it| it.contains(hint)), "{flag}: {}", ending.out);
        }
    });
}

#[test]
fn a_fork_bomb_under_check_is_ended() {
    undisturbed(|| {
        let folder = Folder::new("bomb");
        let text = "#include <unistd.h>\nint main(void) { for (;;) fork(); }\n";
        let Some(bomb) = compiled(&folder, "bomb.c", Some(text)) else { return };
        // In a group in which it cannot grow: the machine is others', too.
        let check_in = |limit: &str| {
            let mut pids = command("pids");
            let lab = program("lab");
            let lab = lab.to_str().expect("a plain path");
            pids.args(["--limit", limit, "--quiet", "--", lab, "check", "uts"]);
            pids.args(["--timeout", "1", "--", &bomb]);
            pids.env("LAB_FOLDER", concat!(env!("CARGO_TARGET_TMPDIR"), "/lab"));
            Ending::from(pids.output().expect("it starts"))
        };
        let ending = check_in("100");
        assert!(ending.out.contains("\nhint: no answer in 1 s"), "{ending:#?}");
        // No room for all threads that listen: said in a line, before the bomb begins.
        let ending = check_in("4");
        assert!(ending.err.contains("error: clone3: EAGAIN ("), "{ending:#?}");
        assert!(!ending.err.contains("panicked"), "{ending:#?}");
    });
}

#[test]
fn floods_and_daemons_get_a_verdict() {
    undisturbed(|| {
        let patience = (3 * slowness()).to_string();
        let silent = format!("no answer in {patience} s");
        let cases = [
            ("exec yes >&2", &*silent),
            ("setsid sh -c 'setsid tail -f /dev/null &' ; exit 3", "(exit status: 3)"),
        ];
        for (script, why) in cases {
            let mut lab = Command::new(program("lab"));
            lab.env("LAB_FOLDER", concat!(env!("CARGO_TARGET_TMPDIR"), "/lab"));
            lab.args(["check", "uts", "--timeout", &patience, "--", "sh", "-c", script]);
            let ending = Ending::from(mark(&mut lab).output().expect("lab starts"));
            ending.assert_status(1);
            let hint = ending.out.lines().find(|line| line.starts_with("hint: "));
            assert!(hint.is_some_and(|it| it.contains(why)), "{script}: {}", ending.out);
        }
    });
}
