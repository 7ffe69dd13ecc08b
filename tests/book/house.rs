//! Is the house in order?
//!
//! The rules that hold for each file, whatever it does: what lies where, who imports whom,
//! how long a function is. Each rule takes text and returns what breaks it, so that a test
//! can show that it finds something.

use crate::support;
use crate::support::items;

/// What breaks a rule, for a person to read.
type Broken = Vec<String>;

const TOP: &[&str] = &[
    "ARCHITECTURE.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "README.zh-CN.md",
    "clippy.toml",
    "benches",
    "examples",
    "fuzz",
    "get-started.md",
    "instructor.md",
    "lessons",
    "rustfmt.toml",
    "scripts",
    "src",
    "tests",
    "tutorial.md",
    "tutorial.zh-CN.md",
];

/// The libraries that a lesson may use because its subject is a format, not a system call.
const FORMATS: &[(&str, &[&str])] = &[
    ("06-net", &["netlink-packet-core", "netlink-packet-route", "netlink-sys"]),
    ("16-devices", &["rbpf"]),
    ("21-image", &["flate2", "serde", "serde_json", "sha2", "tar"]),
    ("23-seccomp", &["seccompiler", "serde", "serde_json", "syscalls"]),
];

/// The most columns of a line, and lines of code of a function (aim at 90 and 30).
const COLUMNS: usize = 100;
const LINES: usize = 40;

/// The longest file of plumbing: what no lesson teaches is to stay little.
const PLUMBING: usize = 200;

/// Apply `rule` to each of `files`: the file's name stands before what it finds.
fn hold(files: Vec<String>, rule: impl Fn(&str) -> Broken) {
    let named = |file: String| {
        let broken = rule(&support::read(&file));
        broken.into_iter().map(move |what| format!("{file}: {what}"))
    };
    all_right(files.into_iter().flat_map(named).collect());
}

fn all_right(broken: Broken) {
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

fn sources(of: impl Fn(&str) -> bool) -> Vec<String> {
    support::sources("").into_iter().filter(|file| of(file)).collect()
}

fn is_exercise(file: &str) -> bool {
    let is_ours = file.starts_with("lessons/") || file.starts_with("examples/");
    is_ours && file.ends_with("-exercise.rs")
}

fn is_lesson_library(file: &str) -> bool {
    let in_lesson = file.starts_with("lessons/") && !file.starts_with("lessons/00-");
    in_lesson && file.contains("/src/") && !file.ends_with("/src/main.rs")
}

/// The lines of code, with their numbers from 1: those that are no comment.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.lines());
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The identifiers of a line, each with what follows it.
fn words(line: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let starts = line
        .char_indices()
        .filter(move |&(at, c)| is_name(c) && !line[..at].ends_with(is_name));
    starts.map(move |(at, _)| {
        let rest = &line[at..];
        rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len()))
    })
}

/// The lines of code with a word that `forbidden` finds; it gets what follows, too.
fn without(text: &str, forbidden: impl Fn(&str, &str) -> bool) -> Broken {
    let breaks = |line: &str| words(line).any(|(word, next)| forbidden(word, next));
    let broken = code(text).filter(|(_, line)| breaks(line));
    broken.map(|(at, line)| format!("line {at}: {}", line.trim())).collect()
}

fn strangers_at_top(files: &[String]) -> Broken {
    let top = files.iter().map(|file| file.split('/').next().unwrap_or(file));
    let mut strangers: Broken = top
        .filter(|name| !name.starts_with('.') && !TOP.contains(name))
        .map(String::from)
        .collect();
    strangers.dedup();
    strangers
}

#[test]
fn the_top_level_holds_nothing_without_a_reason() {
    all_right(strangers_at_top(&support::files()));
    let files = ["Cargo.toml", ".gitignore", "src/lib.rs", "notes.txt"].map(String::from);
    assert_eq!(strangers_at_top(&files), ["notes.txt"]);
}

fn missing_of_lesson(lesson: &str, files: &[String]) -> Broken {
    let name = lesson.split_once('-').map_or(lesson, |(_, name)| name);
    let parts = [
        "Cargo.toml".to_string(),
        "README.md".to_string(),
        "src/lib.rs".to_string(),
        "src/main.rs".to_string(),
        format!("examples/{name}-exercise.rs"),
        format!("examples/{name}-solution.rs"),
        "check.toml".to_string(),
    ];
    let paths = parts.into_iter().map(|part| format!("lessons/{lesson}/{part}"));
    paths.filter(|path| !files.contains(path)).collect()
}

#[test]
fn a_lesson_holds_all_that_belongs_to_its_chapter() {
    let files = support::files();
    let missing = |lesson: String| missing_of_lesson(&lesson, &files);
    all_right(support::lessons().into_iter().flat_map(missing).collect());
}

#[test]
fn a_missing_part_of_a_lesson_is_named() {
    let files = ["Cargo.toml", "README.md", "src/lib.rs", "src/main.rs", "check.toml"];
    let mut files = files.map(|part| format!("lessons/01-uts/{part}")).to_vec();
    files.push("lessons/01-uts/examples/uts-solution.rs".into());
    let missing = missing_of_lesson("01-uts", &files);
    assert_eq!(missing, ["lessons/01-uts/examples/uts-exercise.rs"]);
}

fn opens_with_its_question(text: &str) -> Broken {
    let opens = text.starts_with("//! ");
    if opens { vec![] } else { vec!["does not open with `//! `".into()] }
}

#[test]
fn a_file_opens_with_its_question() {
    hold(sources(|_| true), opens_with_its_question);
    assert_eq!(opens_with_its_question("use std::fs;\n").len(), 1);
}

fn speaks_itself(text: &str) -> Broken {
    let prints = ["print", "println", "eprint", "eprintln"];
    without(text, |word, next| {
        ["clap", "colored"].contains(&word)
            || (prints.contains(&word) && next.starts_with('!'))
    })
}

#[test]
fn a_mechanism_leaves_speaking_to_the_stage() {
    hold(sources(is_lesson_library), speaks_itself);
    for line in ["use clap::Parser;", "colored::control", "    println!(\"no\");"] {
        assert_eq!(speaks_itself(line).len(), 1, "{line}");
    }
    assert!(speaks_itself("// println!\nlet print = stage.print();").is_empty());
}

/// What a manifest depends on, whatever for.
fn dependencies(manifest: &str) -> Vec<&str> {
    let mut section = "";
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let header = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
        section = header.unwrap_or(section);
        let kind = section.rsplit('.').next().unwrap_or(section);
        let wanted =
            kind.ends_with("dependencies") && section != "workspace.dependencies";
        match line.split_once(['.', '=', ' ']) {
            Some((name, _)) if wanted && header.is_none() => found.push(name),
            _ => {}
        }
    }
    found
}

/// The lesson's folder that the workspace calls `name`.
fn folder_of<'w>(name: &str, workspace: &'w str) -> Option<&'w str> {
    let named = |line: &&str| line.split([' ', '=']).next() == Some(name);
    let line = workspace.lines().find(|line| named(line) && line.contains("lessons/"))?;
    line.split_once("lessons/")?.1.split('"').next()
}

fn not_prerequisites(lesson: &str, manifest: &str, workspace: &str) -> Broken {
    let formats = FORMATS.iter().find(|(of, _)| *of == lesson);
    let formats = formats.map_or(&[][..], |(_, formats)| formats);
    let allowed = |name: &str| {
        ["nix", "libc", "clap"].contains(&name)
            || formats.contains(&name)
            // Folders begin with their numbers.
            || folder_of(name, workspace).is_some_and(|folder| folder < lesson)
    };
    let depends = dependencies(manifest).into_iter();
    depends.filter(|name| !allowed(name)).map(String::from).collect()
}

#[test]
fn a_lesson_depends_on_its_prerequisites_only() {
    let workspace = support::read("Cargo.toml");
    let broken = support::lessons().into_iter().flat_map(|lesson| {
        let manifest = support::read(&format!("lessons/{lesson}/Cargo.toml"));
        let broken = not_prerequisites(&lesson, &manifest, &workspace);
        broken.into_iter().map(move |name| format!("lessons/{lesson} depends on {name}"))
    });
    all_right(broken.collect());
}

#[test]
fn a_wrong_dependency_is_named() {
    let workspace = "stage = { path = \"lessons/00-stage\" }\n\
        uts = { path = \"lessons/01-uts\" }\npid = { path = \"lessons/03-pid\" }\n";
    let manifest = "[package]\nname = \"ipc\"\n[dependencies]\nstage.workspace = true\n\
        uts.workspace = true\npid.workspace = true\nserde = \"1\"\n[dev-dependencies]\n\
        colored = { workspace = true }\n[lints]\nworkspace = true\n";
    let broken = not_prerequisites("02-ipc", manifest, workspace);
    assert_eq!(broken, ["pid", "serde", "colored"]);
}

#[test]
fn only_the_stage_knows_colour() {
    let manifests = support::files().into_iter().filter(|file| {
        file.ends_with("Cargo.toml") && !file.starts_with("lessons/00-stage/")
    });
    hold(manifests.collect(), |text| {
        let found = dependencies(text).into_iter().filter(|name| *name == "colored");
        found.map(String::from).collect()
    });
}

fn calls_the_kernel(text: &str) -> Broken {
    without(text, |word, next| {
        ["nix", "libc", "rustix"].contains(&word) && next.starts_with("::")
    })
}

/// Processes in sys.rs, files in sys/files.rs.
fn is_plumbing(file: &str) -> bool {
    file == "src/sys.rs" || file.starts_with("src/sys/")
}

#[test]
fn the_engine_has_one_place_for_plumbing() {
    let others = |file: &str| file.starts_with("src/") && !is_plumbing(file);
    hold(sources(others), calls_the_kernel);
    assert_eq!(calls_the_kernel("use nix::poll::poll;\n// libc::poll").len(), 1);
    assert_eq!(calls_the_kernel("unsafe { libc::setsid() };").len(), 1);
}

fn too_long(text: &str) -> Broken {
    let count = text.lines().count();
    if count < PLUMBING { vec![] } else { vec![format!("{count} lines")] }
}

#[test]
fn the_plumbing_is_little() {
    hold(sources(is_plumbing), too_long);
    assert_eq!(too_long(&"\n".repeat(PLUMBING)), ["200 lines"]);
}

/// Where the `use` lines begin: crates, or modules of the file itself.
fn foreign_imports(text: &str) -> Broken {
    let ours = ["fakedocker", "stage"];
    let known =
        ["std", "clap", "clap_complete", "clap_mangen", "serde", "toml", "serde_json"];
    let near = ["crate", "self", "super"];
    let is_module = |name: &str| text.lines().any(|line| line == format!("mod {name};"));
    let is_foreign = |line: &str| {
        let import = line.trim_start().trim_start_matches("pub ").strip_prefix("use ");
        let name = import.and_then(|path| words(path).next()).map(|(name, _)| name);
        name.is_some_and(|name| {
            ![&known[..], &ours, &near].concat().contains(&name) && !is_module(name)
        })
    };
    let foreign = code(text).filter(|(_, line)| is_foreign(line));
    foreign.map(|(at, line)| format!("line {at}: {}", line.trim())).collect()
}

#[test]
fn a_command_line_imports_the_engine_only() {
    hold(sources(|file| file.starts_with("src/bin/")), foreign_imports);
    let text = "mod list;\nuse list::List;\nuse std::fs;\nuse fakedocker::run;\n";
    assert!(foreign_imports(text).is_empty());
    assert_eq!(foreign_imports("use uts::isolate;\nuse std::fs;\n").len(), 1);
}

fn uses_plumbing(text: &str) -> Broken {
    without(text, |word, _| word == "sys")
}

#[test]
fn what_makes_a_container_is_lessons_only() {
    hold(sources(|file| file == "src/run.rs"), uses_plumbing);
    assert_eq!(uses_plumbing("use crate::{run, sys};").len(), 1);
    assert_eq!(uses_plumbing("crate::sys::setsid()?;").len(), 1);
}

fn too_wide(text: &str) -> Broken {
    let wide = (1..).zip(text.lines()).filter(|(_, line)| line.chars().count() > COLUMNS);
    wide.map(|(at, line)| format!("line {at}: {} columns", line.chars().count()))
        .collect()
}

#[test]
fn lines_of_a_lesson_can_be_projected() {
    hold(sources(|file| file.starts_with("lessons/")), too_wide);
    assert_eq!(too_wide(&format!("fn f() {{\n{}\n}}", "é".repeat(101))).len(), 1);
    assert_eq!(too_wide(&"é".repeat(100)).len(), 0);
}

fn too_much(text: &str) -> Broken {
    let lines: Vec<&str> = text.lines().collect();
    let functions = items::functions(text).into_iter().filter_map(|(name, place)| {
        let body = lines[place].join("\n");
        let count = code(&body).filter(|(_, line)| !line.trim().is_empty()).count();
        (count > LINES).then(|| format!("fn {name} has {count} lines of code"))
    });
    functions.collect()
}

#[test]
fn functions_can_be_projected() {
    let book = |file: &str| file.starts_with("lessons/") || file.starts_with("src/");
    hold(sources(book), too_much);
    let function = |lines: usize| {
        format!("fn long() {{\n\n    // why\n{}}}\n", "    go();\n".repeat(lines))
    };
    assert_eq!(too_much(&function(39)), ["fn long has 41 lines of code"]);
    assert_eq!(too_much(&function(38)).len(), 0);
}

fn unfinished(text: &str) -> Broken {
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let is_marked = |line: &str| {
        words(line).any(|(word, next)| {
            marks.contains(&word) || (word == "todo" && next.starts_with("!("))
        })
    };
    let marked = (1..).zip(text.lines()).filter(|(_, line)| is_marked(line));
    marked
        .map(|(at, line): (usize, &str)| format!("line {at}: {}", line.trim()))
        .collect()
}

#[test]
fn only_exercises_are_unfinished() {
    let finished = |file: &String| {
        // Their companion speaks of what they have left open.
        !(is_exercise(file) || file.starts_with("src/bin/lab/"))
            && [".rs", ".sh", ".toml"].iter().any(|end| file.ends_with(end))
    };
    hold(support::files().into_iter().filter(finished).collect(), unfinished);
    for line in
        [concat!("// TO", "DO: more"), concat!("# FIX", "ME"), concat!("to", "do!()")]
    {
        assert_eq!(unfinished(line).len(), 1, "{line}");
    }
}

fn waits_for_time(text: &str) -> Broken {
    without(text, |word, next| word == "sleep" && next.starts_with('('))
}

#[test]
fn nothing_is_synchronised_by_time() {
    // A terminal and /proc tell of no events: there, and only there, tests look again.
    let polls = |file: &str| file == "tests/book/support/wait.rs";
    hold(sources(|file| !polls(file)), waits_for_time);
    // In two pieces, because this file is looked at, too.
    assert_eq!(waits_for_time(concat!("thread::sl", "eep(SECOND);")).len(), 1);
    assert_eq!(
        waits_for_time(concat!("// unlike sl", "eep(1)\nnanosl", "eep(1)")).len(),
        0
    );
}
