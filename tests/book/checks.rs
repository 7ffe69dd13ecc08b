//! Can every check fail?
//!
//! `lab check` takes the solution, and refuses the exercise as handed out, a plain shell,
//! and the solution with any of the needed calls left out, each time with the right hint.
//! The calls and the claims that notice are the `[[sabotage]]` entries of each check.toml.
//! With `--nocapture` the table of all cases is shown.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use cgroup::Hierarchy;
use toml::Value;

use crate::limits::lessons::is_about_a_limit;
use crate::support::processes::{mark, ours};
use crate::support::wait::slowness;
use crate::support::{lessons, program, top, turn};

/// The claim that lab puts in front of each lesson's own.
const ANSWERS: &str = "a shell answers on standard input";

/// A lesson's check.toml, as far as the tests need it.
pub struct Lesson {
    name: String,
    checks: Vec<Value>,
    sabotages: Vec<Value>,
}

impl Lesson {
    fn all() -> Vec<Lesson> {
        let all = lessons();
        let all = all.iter().map(|folder| Lesson::read(folder));
        all.chain([Lesson::last()]).collect()
    }

    /// To write `contain()` is the last exercise, and no lesson.
    fn last() -> Lesson {
        Lesson::of("contain", "examples/check.toml")
    }

    /// Those about limits are checked in tests/book/limits/checks.rs, in VMs, too.
    pub fn those(about_limits: bool) -> Vec<Lesson> {
        let is_one = |folder: &&String| is_about_a_limit(folder) == about_limits;
        let all = lessons();
        let those = all.iter().filter(is_one).map(|folder| Lesson::read(folder));
        those.chain((!about_limits).then(Lesson::last)).collect()
    }

    fn read(folder: &str) -> Lesson {
        let (_, name) = folder.split_once('-').expect("NN-NAME");
        Lesson::of(name, &format!("lessons/{folder}/check.toml"))
    }

    fn of(name: &str, file: &str) -> Lesson {
        let file = top().join(file);
        let text = std::fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let table: toml::Table = text.parse().expect("check.toml is TOML");
        let list = |key| table.get(key).and_then(Value::as_array).cloned();
        Lesson {
            name: name.to_string(),
            checks: list("check").unwrap_or_default(),
            sabotages: list("sabotage").unwrap_or_default(),
        }
    }

    fn example(&self, kind: &str) -> String {
        let path = program(&format!("examples/{}-{kind}", self.name));
        path.to_str().expect("a plain path").to_string()
    }

    /// What the check of `claim` advises, in pieces: observations stand in between.
    fn advice(&self, claim: &str) -> Vec<&str> {
        let check = self.checks.iter().find(|check| text(check, "claim") == claim);
        let check = check.unwrap_or_else(|| panic!("{}: no claim {claim:?}", self.name));
        text(check, "hint")
            .split("{seen}")
            .flat_map(|piece| piece.split("{host}"))
            .collect()
    }

    /// The solution with the call of `sabotage` left out: an injected result is returned
    /// in its place.
    fn sabotaged(&self, sabotage: &Value) -> Vec<String> {
        let call = text(sabotage, "call");
        let when = sabotage.get("when").and_then(Value::as_str);
        let when = when.map(|when| format!(":when={when}")).unwrap_or_default();
        let result = sabotage.get("result").and_then(Value::as_str).unwrap_or("0");
        let follows = sabotage.get("follow").and_then(Value::as_bool).unwrap_or(true);
        let strace = ["strace", "-qq", "-o", "/dev/null", "-e"].map(String::from);
        let what = [format!("trace={call}"), "-e".to_string()];
        let how = format!("inject={call}:retval={result}{when}");
        let follow = follows.then(|| "-f".to_string());
        let program: Vec<_> =
            follow.into_iter().chain([self.example("solution")]).collect();
        [&strace[..], &what, &[how], &program].concat()
    }
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// Whether the `sabotage` is for this machine's version of the controller that it names.
fn fits(sabotage: &Value) -> bool {
    let Some(on) = sabotage.get("on").and_then(Value::as_str) else { return true };
    let (controller, version) = on.split_once(' ').expect("CONTROLLER VERSION");
    let hierarchy = Hierarchy::of(controller).expect("the lesson needs it");
    hierarchy.version.to_string() == version
}

/// What `lab check` said.
struct Verdict {
    status: i32,
    said: String,
    complained: String,
}

impl Verdict {
    fn first_refuted(&self) -> Option<&str> {
        self.said.lines().find_map(|line| line.strip_prefix("✗ "))
    }

    fn hint(&self) -> &str {
        self.said.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap_or_default()
    }
}

fn lab(args: &[&str]) -> Verdict {
    let lab = env!("CARGO_BIN_EXE_lab");
    let mut lab = Command::new(lab);
    // What the tests try is not the student's progress.
    lab.env("LAB_FOLDER", concat!(env!("CARGO_TARGET_TMPDIR"), "/lab"));
    let ran = mark(lab.args(args).current_dir(top())).output();
    let Output { status, stdout, stderr } = ran.expect("lab runs");
    Verdict {
        status: status.code().expect("lab ends by itself"),
        said: String::from_utf8_lossy(&stdout).into_owned(),
        complained: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

fn check<T: AsRef<str>>(lesson: &str, argv: &[T]) -> Verdict {
    let patience = (10 * slowness()).to_string();
    let mut args = vec!["check", lesson, "--timeout", &patience, "--"];
    args.extend(argv.iter().map(AsRef::as_ref));
    lab(&args)
}

fn contains_in_order(text: &str, pieces: &[&str]) -> bool {
    let rest = pieces
        .iter()
        .try_fold(text, |rest, piece| rest.split_once(piece).map(|(_, rest)| rest));
    rest.is_some()
}

#[test]
fn every_claim_has_hints_in_three_grades() {
    for lesson in Lesson::all() {
        for check in &lesson.checks {
            let grades =
                ["hint", "explain", "code"].map(|grade| text(check, grade).trim());
            let told: std::collections::BTreeSet<_> = grades.into_iter().collect();
            let (name, claim) = (&lesson.name, text(check, "claim"));
            assert!(told.len() == 3 && !told.contains(""), "{name}, {claim}: {grades:?}");
        }
    }
}

#[test]
fn every_solution_passes() {
    assert_solutions_pass(&Lesson::those(false));
}

pub fn assert_solutions_pass(lessons: &[Lesson]) {
    let _turn = turn();
    for lesson in lessons {
        let verdict = check(&lesson.name, &[lesson.example("solution")]);
        assert_eq!(verdict.status, 0, "{}{}", verdict.said, verdict.complained);
        println!("{:<8} {:<24} passes", lesson.name, "solution");
    }
}

#[test]
fn nobody_passes_by_doing_nothing() {
    let _turn = turn();
    for lesson in Lesson::all() {
        for (case, argv) in
            [("exercise", lesson.example("exercise")), ("sh", "sh".into())]
        {
            let verdict = check(&lesson.name, &[argv]);
            assert_eq!(
                verdict.status, 1,
                "{case}: {}{}",
                verdict.said, verdict.complained
            );
            let caught = verdict.first_refuted().expect("a claim is refuted");
            println!("{:<8} {case:<24} caught: {caught}", lesson.name);
        }
    }
}

#[test]
fn every_needed_call_is_missed() {
    assert_calls_are_missed(&Lesson::those(false));
}

pub fn assert_calls_are_missed(lessons: &[Lesson]) {
    let _turn = turn();
    for lesson in lessons {
        assert!(!lesson.sabotages.is_empty(), "{}: no call is left out", lesson.name);
        for sabotage in lesson.sabotages.iter().filter(|it| fits(it)) {
            let (case, claim) = (text(sabotage, "call"), text(sabotage, "caught_by"));
            let case = format!("without {case} {}", text(sabotage, "when"));
            let verdict = check(&lesson.name, &lesson.sabotaged(sabotage));
            assert_eq!(
                verdict.status, 1,
                "{case}: {}{}",
                verdict.said, verdict.complained
            );
            assert_eq!(verdict.first_refuted(), Some(claim), "{case}: {}", verdict.said);
            let advice = match sabotage.get("hint").and_then(Value::as_str) {
                Some(hint) => vec![hint],
                None => lesson.advice(claim),
            };
            assert!(
                contains_in_order(verdict.hint(), &advice),
                "{case}: {}",
                verdict.said
            );
            println!("{:<8} {case:<24} caught: {claim}", lesson.name);
        }
    }
}

#[test]
fn a_program_that_does_not_play_gets_a_verdict_and_is_ended() {
    let _turn = turn();
    let ends = "the program ends when its input ends";
    let lingers = "hostname container; tail -f /dev/null & exec sh";
    // Who ends by itself has as long as it likes; for who does not, we wait as long as this.
    let (long, short) = (60 * slowness(), 3 * slowness());
    let silent = format!("no answer in {short} s");
    let cases = [
        (short, &["tail", "-f", "/dev/null"][..], ANSWERS, &*silent),
        (long, &["yes"], ANSWERS, "writes without end"),
        (long, &["true"], ANSWERS, "ended (exit status: 0)"),
        (long, &["sh", "-c", "echo alas >&2; exit 7"], ANSWERS, "ended (exit status: 7)"),
        (
            short,
            &["sh", "-c", "tail -f /dev/null & exit 3"],
            ANSWERS,
            "ended (exit status: 3)",
        ),
        (short, &["unshare", "-u", "sh", "-c", lingers], ends, "still runs"),
    ];
    for (timeout, argv, claim, why) in cases {
        let before = tails();
        let start = Instant::now();
        let timeout = timeout.to_string();
        let verdict =
            lab(&[&["check", "uts", "--timeout", &timeout, "--"], argv].concat());
        assert_eq!(verdict.status, 1, "{argv:?}: {}{}", verdict.said, verdict.complained);
        let refuted: Vec<_> =
            verdict.said.lines().filter_map(|line| line.strip_prefix("✗ ")).collect();
        assert_eq!(refuted[0], claim, "{argv:?}: {}", verdict.said);
        assert!(verdict.hint().contains(why), "{argv:?}: {}", verdict.said);
        let patience = Duration::from_secs(50) * slowness();
        assert!(start.elapsed() < patience, "{argv:?} took too long");
        assert_eq!(tails(), before, "{argv:?} left processes behind");
    }
}

#[test]
fn without_a_program_the_exercise_is_built_and_checked() {
    let _turn = turn();
    let verdict = lab(&["check", "uts"]);
    assert_eq!(verdict.status, 1, "{}{}", verdict.said, verdict.complained);
    let reason = "\n  | not yet implemented: leave the host's UTS namespace\n";
    assert!(verdict.said.contains(reason), "{}", verdict.said);
}

#[test]
fn the_last_words_of_a_program_are_shown() {
    let _turn = turn();
    let verdict = check("uts", &["sh", "-c", "echo alas >&2; exit 7"]);
    assert!(verdict.said.contains("\n  | alas\n"), "{}", verdict.said);
}

#[test]
fn a_shell_may_chatter_echo_and_leave_its_starter() {
    let _turn = turn();
    let forks_away = "exec 3<&0; (unshare -u sh -c 'hostname container; exec sh' <&3 &)";
    // What a terminal echoes may come late: here, behind the first mark.
    let late_echo = "unshare -u sh -c 'hostname container; exec sh -v 2>&1' |
        sed -u '/printf/ { H; d }; /begin-/ { G; x; s/.*//; x }'";
    let programs = [
        late_echo,
        "exec unshare -u sh -c 'hostname container; echo hello; exec sh'",
        "exec unshare -u sh -c 'hostname container; exec bash -vi'",
        "exec unshare -u sh -c 'hostname container; exec busybox sh'",
        forks_away,
    ];
    for program in programs {
        let verdict = check("uts", &["sh", "-c", program]);
        assert_eq!(
            verdict.status, 0,
            "{program}: {}{}",
            verdict.said, verdict.complained
        );
    }
}

#[test]
fn a_likely_mistake_is_told_from_the_right_way() {
    let _turn = turn();
    let cases = [
        // chroot(2) looks right from inside.
        (
            "pivot",
            "exec unshare -m chroot $LAB/root sh",
            "chroot(2) moves one process only",
        ),
        // Without a child, the shell stays where it was.
        ("pid", "exec unshare -p sh", "start the shell as a child"),
        // proc of the host's own PID namespace.
        (
            "mount",
            "exec unshare -m sh -c 'mount -t proc p /proc; exec sh'",
            "which are the host's",
        ),
        // A user namespace without a map.
        ("user", "exec unshare -U sh", "as everybody is without a map"),
        // The queue first, then the namespace.
        ("ipc", "ipcmk -Q >/dev/null; exec unshare -i sh", "msgget(4711, IPC_CREAT"),
        // One of two clocks.
        (
            "time",
            "exec unshare --fork --time --boottime 31536000 sh",
            "for monotonic and for boottime",
        ),
        // A container of its own instead of the one that is there.
        (
            "enter",
            "exec unshare --uts --ipc --pid --mount-proc --fork sh",
            "enter it with setns",
        ),
        // The namespace, and no group to be in.
        ("cgroup-ns", "exec unshare --cgroup sh", "join the group"),
        // Both layers, but nowhere to write to.
        (
            "overlay",
            "exec unshare -m sh -c 'mount -t overlay -o lowerdir=$LAB/upper:$LAB/lower o \
             $LAB/merged; exec sh'",
            "without upperdir and workdir is read-only",
        ),
        // A copy looks like a clone, and takes room.
        (
            "cow",
            "cp -r --reflink=never $LAB/disk/image $LAB/disk/cloned; exec sh",
            "the bytes were copied",
        ),
    ];
    for (lesson, mistake, advice) in cases {
        let verdict = check(lesson, &["sh", "-c", mistake]);
        assert_eq!(verdict.status, 1, "{lesson}: {}{}", verdict.said, verdict.complained);
        assert!(verdict.hint().contains(advice), "{lesson}: {}", verdict.said);
    }
}

#[test]
fn what_cannot_be_checked_is_an_error_with_a_hint() {
    let _turn = turn();
    let cases = [
        (&["check", "uts", "--", "./no-such-program"][..], "./no-such-program: ENOENT"),
        (&["check", "no-such-lesson"], "there are: uts"),
    ];
    for (args, what) in cases {
        let verdict = lab(args);
        assert_eq!(verdict.status, 125, "{args:?}");
        assert!(verdict.complained.contains(what), "{args:?}: {}", verdict.complained);
        assert!(verdict.complained.contains("\nhint: "), "{args:?}");
    }
}

#[test]
fn a_check_leaves_the_host_alone() {
    let _turn = turn();
    let look = || {
        let read = |path| std::fs::read_to_string(path).expect("proc is there");
        (read("/proc/sys/kernel/hostname"), read("/proc/self/mountinfo"))
    };
    let before = look();
    let harm = "hostname harmed; mount -t tmpfs tmpfs /mnt; exec sh";
    let verdict = check("uts", &["sh", "-c", harm]);
    assert_eq!(verdict.status, 1, "{}", verdict.said);
    assert_eq!(look(), before);
}

/// The processes called `tail` that run now.
fn tails() -> usize {
    ours().iter().filter(|process| process.name == "tail").count()
}
