//! Do shells and man(1) know our programs, and can they be installed?

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::engine::{Ending, Folder, Store};
use crate::support::machine::undisturbed;
use crate::support::rootfs::debian;
use crate::support::skip::{not_tried, skip};
use crate::support::{files, program, read, turn};

const PROGRAMS: [&str; 2] = ["fakedocker", "lab"];

fn ends(command: &mut Command) -> String {
    let ending = Ending::from(command.output().expect("it starts"));
    ending.assert_status(0).out.clone()
}

fn is_installed(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", "command -v \"$0\"", program]).output();
    found.is_ok_and(|found| found.status.success())
}

/// What bash offers for the last of `words`.
fn offers(script: &str, words: &[&str]) -> Vec<String> {
    let asked = "PATH=$1:$PATH; . \"$0\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1))
        complete_with=$(complete -p \"$1\"); complete_with=${complete_with##*-F }
        ${complete_with%% *} \"$1\" \"${COMP_WORDS[COMP_CWORD]}\" \"${COMP_WORDS[COMP_CWORD - 1]}\"
        printf '%s\\n' \"${COMPREPLY[@]}\"";
    let folder = program("fakedocker");
    let folder = Path::new(&folder).parent().expect("a folder");
    let mut bash = Command::new("bash");
    bash.args(["-c", asked, script]).arg(folder).args(words);
    ends(&mut bash).lines().map(String::from).collect()
}

#[test]
fn shells_complete_command_lines() {
    undisturbed(|| {
        let folder = Folder::new("completion");
        for name in PROGRAMS {
            for shell in ["bash", "fish", "zsh"] {
                let script =
                    ends(Command::new(program(name)).args(["completion", shell]));
                let path = folder.write(&format!("{name}.{shell}"), &script);
                match is_installed(shell) {
                    true => drop(ends(Command::new(shell).args(["-n", &path]))),
                    false => not_tried(
                        "packaging::shells_complete_command_lines",
                        format!("there is no {shell}"),
                    ),
                }
            }
        }
        let script = folder.at("fakedocker.bash");
        assert_eq!(offers(&script, &["fakedocker", "vol"]), ["volume"]);
        let flags = offers(&script, &["fakedocker", "run", "--sys"]);
        assert_eq!(flags, ["--sysctl"]);
        let commands = offers(&script, &["fakedocker", "volume", ""]);
        assert!(commands.contains(&"prune".to_string()), "{commands:?}");
        assert_eq!(offers(&folder.at("lab.bash"), &["lab", "che"]), ["check"]);
        let wrong =
            Command::new(program("fakedocker")).args(["completion", "csh"]).output();
        Ending::from(wrong.expect("it starts")).assert_status(125).assert_one_error();
    });
}

#[test]
fn each_command_has_a_page() {
    undisturbed(|| {
        let folder = Folder::new("man");
        for name in PROGRAMS {
            ends(Command::new(program(name)).arg("man").arg(folder.path()));
        }
        for page in
            ["fakedocker", "fakedocker-run", "fakedocker-volume-create", "lab-check"]
        {
            let path = folder.at(&format!("{page}.1"));
            let text = fs::read_to_string(&path).expect("it was written");
            assert!(text.contains(".SH SYNOPSIS"), "{text}");
            if is_installed("man") {
                let shown = ends(Command::new("man").args(["--warnings", "-l", &path]));
                assert!(shown.contains("SYNOPSIS") && shown.contains(page), "{shown}");
            }
        }
    });
}

/// What `cargo install` would put into PATH: the lessons' names are too short for that.
#[test]
fn two_programs_are_installed() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    cargo.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    let known: serde_json::Value = serde_json::from_str(&ends(&mut cargo)).expect("JSON");
    let packages = known["packages"].as_array().expect("a list");
    let ours =
        packages.iter().find(|it| it["name"] == "fakedocker").expect("it is there");
    let targets = ours["targets"].as_array().expect("a list").iter();
    let programs =
        targets.filter(|it| it["kind"][0] == "bin").map(|it| it["name"].clone());
    assert_eq!(programs.collect::<Vec<_>>(), PROGRAMS);
}

#[test]
fn all_lessons_are_in_the_package() {
    let (manifest, files) = (read("Cargo.toml"), files());
    let mains = files.iter().filter_map(|file| file.strip_suffix("/src/main.rs"));
    for lesson in mains.filter_map(|folder| folder.strip_prefix("lessons/")) {
        let name = lesson.split_once('-').map_or(lesson, |(_, name)| name);
        let asset =
            format!("[\"target/release/{name}\", \"usr/lib/fakedocker/lessons/\"");
        assert!(
            manifest.contains(&asset),
            "{lesson} is no asset of [package.metadata.deb]"
        );
    }
}

#[test]
fn the_package_installs_and_its_programs_run() {
    if !is_installed("cargo-deb") {
        let name = "packaging::the_package_installs_and_its_programs_run";
        return skip(name, "there is no cargo-deb (cargo install cargo-deb)");
    }
    let package = concat!(env!("CARGO_TARGET_TMPDIR"), "/it.deb");
    let top = env!("CARGO_MANIFEST_DIR");
    let mut deb = Command::new(Path::new(top).join("scripts/deb"));
    {
        // It starts our programs, which others would see.
        let _turn = turn();
        ends(deb.args(["--debug", package]));
    }
    undisturbed(|| {
        let listed = ends(Command::new("dpkg-deb").args(["-c", package]));
        for path in [
            "usr/bin/fakedocker",
            "usr/bin/lab",
            "usr/lib/fakedocker/lessons/uts",
            "usr/share/man/man1/fakedocker-run.1",
            "usr/share/doc/fakedocker/tutorial.md",
            "usr/share/bash-completion/completions/fakedocker",
            "usr/share/doc/fakedocker/lessons/01-uts.md",
        ] {
            assert!(
                listed.lines().any(|line| line.contains(&format!("./{path}"))),
                "{listed}"
            );
        }
        let store = Store::with("debian", &debian());
        let volume = format!("{package}:/deb/it.deb:ro");
        let script = "dpkg -i /deb/it.deb > /dev/null && fakedocker --version && lab --version
            /usr/lib/fakedocker/lessons/uts --help | grep -c Usage
            bash -n /usr/share/bash-completion/completions/fakedocker && dpkg -V fakedocker";
        let run = store.run(&["-v", &volume, "debian", "bash", "-c", script]).end();
        let version = env!("CARGO_PKG_VERSION");
        let said = format!("fakedocker {version}\nlab {version}\n1\n");
        assert_eq!(run.assert_status(0).out, said, "{}", run.err);
    });
}
