//! What does a failure look like?
//!
//! One line, Docker's exit status, and a store that is as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;

use crate::support::copy_program;
use crate::support::engine::{Ending, Engine, Folder, Store};
use crate::support::machine::undisturbed;
use crate::support::processes::await_one;

#[test]
fn the_engines_own_failures_are_125() {
    undisturbed(|| {
        let store = Store::new();
        store.on_host("true");
        let before = store.contents();
        let (long, longer) = ("n".repeat(65), "n".repeat(4000));
        let wrong: [&[&str]; 15] = [
            &["--pull", "never", "unknown", "true"],
            &["../x", "true"],
            &["host:12", "true"],
            &["-h", &long, "host", "true"],
            &["-h", "", "host", "true"],
            &["--name", "../x", "host", "true"],
            &["--name", "a/b", "host", "true"],
            &["--name", &longer, "host", "true"],
            &["--name", "a\u{1b}[2Jb", "host", "true"],
            &["-v", "./relative:/data", "host", "true"],
            &["-w", "relative", "host", "true"],
            &["-e", "=value", "host", "true"],
            &["-e", "", "host", "true"],
            &["--rootfs", "/not/there", "true"],
            &[],
        ];
        for args in wrong {
            let ending = store.run(args).end();
            let line = ending.assert_status(125).assert_one_error();
            assert!(line.len() < 400 && !line.contains(char::is_control), "{line:?}");
            assert_eq!(store.contents(), before, "{args:?}");
        }
        store.run(&["--no-such-flag", "host"]).end().assert_status(125);
        store.engine(&["no-such-command"]).end().assert_status(125);
        assert_eq!(store.contents(), before);
    });
}

#[test]
fn a_store_that_cannot_be_is_named() {
    undisturbed(|| {
        let folder = Folder::new("file");
        let file = folder.write("file", "");
        let run = Engine::on(&file, &["run", "host", "true"]);
        assert!(run.end().assert_status(125).assert_one_error().contains(&file));
    });
}

#[test]
fn commands_that_cannot_run_are_126_and_127() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::of_host("commands"));
        store.on_host("true");
        let before = store.contents();
        let text = folder.write("text", "no program\n");
        let script = folder.write("script", "#!/not/there\n");
        let noise = folder.write("noise", "\u{1}\u{2}\u{3}");
        for file in [&script, &noise] {
            let all = fs::Permissions::from_mode(0o755);
            fs::set_permissions(file, all).expect("it is ours");
        }
        let through_file = format!("{text}/x");
        let commands = [
            ("/etc", 126),
            (&text, 126),
            (&noise, 126),
            ("no-such-command", 127),
            ("/no/such/command", 127),
            (&through_file, 127),
            (&script, 127),
            ("", 127),
        ];
        for (command, status) in commands {
            let ending = store.run(&["host", command]).end();
            ending.assert_status(status).assert_one_error();
            assert_eq!(store.contents(), before, "{command}");
        }
    });
}

#[test]
fn the_commands_own_status_is_passed_on() {
    undisturbed(|| {
        let store = Store::new();
        for status in [0, 1, 7, 125, 126, 127, 255] {
            let exit = format!("exit {status}");
            let ending = store.run(&["host", "sh", "-c", &exit]).end();
            assert_eq!(ending.assert_status(status).assert_quiet().out, "");
        }
        // Number 1 does not hear its own signals: its child does.
        let killed = store.run(&["host", "sh", "-c", "sh -c 'kill -9 $$'; exit $?"]);
        killed.end().assert_status(137);
    });
}

#[test]
fn a_command_that_is_killed_from_outside_is_137() {
    undisturbed(|| {
        let store = Store::new();
        let child = store.run(&["host", "tail", "-f", "/dev/null"]).start();
        let tail = await_one("tail", |process| process.name == "tail");
        assert!(tail.is_number_one());
        tail.signal(Signal::SIGKILL);
        let ending = Ending::from(child.wait_with_output().expect("it ends"));
        ending.assert_status(137).assert_quiet();
        store.assert_no_container();
    });
}

/// What does not arrive is told, unless nobody wants it any more.
#[test]
fn output_that_finds_no_room_is_a_failure() {
    undisturbed(|| {
        let store = Store::new();
        let played = |shell: &str| {
            // Number 1 would not be ended by SIGPIPE.
            let script = "seq 30000; exit $?";
            let engine = store.engine(&["run", "--rm", "host", "sh", "-c", script]);
            engine.inside(&["bash", "-c", shell]).end()
        };
        let full = played("exec \"$0\" \"$@\" >/dev/full");
        let line = full.assert_status(125).assert_one_error();
        assert_eq!(line, "error: our output: ENOSPC (No space left on device)");
        let unwanted = played("\"$0\" \"$@\" | true; exit ${PIPESTATUS[0]}");
        unwanted.assert_quiet().assert_status(128 + 13);
    });
}

/// Nothing that a user has not may be needed to be told so.
#[test]
fn who_may_make_no_user_namespace_is_told_in_a_line() {
    undisturbed(|| {
        let store = Store::new();
        let folder = store.path().join("mine").display().to_string();
        let copy = Folder::new("program");
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(store.path(), open.clone()).expect("it is ours");
        fs::set_permissions(copy.path(), open).expect("it is ours");
        let program = copy.at("fakedocker");
        copy_program(&crate::support::program("fakedocker"), &program);
        let mut command = std::process::Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        // It takes another kernel to be refused.
        command.args(["strace", "-fqq", "-o/dev/null", "-einject=unshare:error=EPERM"]);
        command.args([&program, "--root", &folder, "run", "--rm", "host", "true"]);
        let ending = Ending::from(command.output().expect("setpriv is there"));
        let line = ending.assert_status(125).assert_one_error();
        let refused = "error: unshare(CLONE_NEWUSER): EPERM (Operation not permitted)";
        assert!(line == refused && ending.err.contains("\nhint: "), "{ending:?}");
    });
}
