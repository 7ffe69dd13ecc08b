//! Do limits of processes, switches, labels and files of variables do what they say?

use std::fs;

use serde_json::Value;

use super::killing::endless;
use super::store::as_whom;
use crate::support::engine::{Ending, Folder, Store};
use crate::support::machine::undisturbed;
use crate::support::processes::MARK;
use crate::support::rootfs::busybox;
use crate::support::student::Student;

/// What a shell in a container of busybox prints, run with `flags`.
fn says(store: &Store, flags: &[&str], script: &str) -> String {
    let run = store.run(&[flags, &["busybox", "sh", "-c", script]].concat()).end();
    run.assert_status(0).assert_quiet().out.clone()
}

fn refused(store: &Store, flags: &[&str], why: &str) {
    let run = store.run(&[flags, &["busybox", "true"]].concat()).end();
    let line = run.assert_status(125).assert_one_error();
    assert!(line.contains(why), "{line:?} should say {why:?}");
    store.assert_no_container();
}

/// Whether we may raise hard limits: CAP_SYS_RESOURCE is number 24.
fn may_raise() -> bool {
    let status = fs::read_to_string("/proc/self/status").expect("it is there");
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = u64::from_str_radix(line.expect("it is told").trim(), 16);
    set.expect("it is a number") & (1 << 24) != 0
}

#[test]
fn each_process_is_held_to_its_limits() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        for whom in as_whom("settings::each_process_is_held_to_its_limits") {
            let limits = ["--ulimit", "nofile=100:200", "--ulimit", "core=0"];
            let flags = [whom, &limits].concat();
            let script = "ulimit -n; ulimit -Hn; ulimit -c; sh -c 'ulimit -n'
                ulimit -n 201 2> /dev/null || echo no more; ulimit -n 200 && ulimit -n";
            let held = "100\n200\n0\n100\n";
            let raised = if may_raise() && whom.is_empty() { "201" } else { "no more" };
            let said = says(&store, &flags, script);
            assert!(said.starts_with(held) && said.ends_with("\n200\n"), "{said}");
            // Who has CAP_SYS_RESOURCE on the machine may in there, too.
            assert!(raised == "201" || said.contains("no more"), "{said}");
            let other = [&flags[..], &["-u", "33:33"]].concat();
            assert!(says(&store, &other, script).starts_with(held));
            let last = [whom, &["--ulimit", "core=9", "--ulimit", "core=0"]].concat();
            assert_eq!(says(&store, &last, "ulimit -c"), "0\n");
        }
        // Whoever joins is held to them, too.
        let flags = ["--name", "box", "--rm", "--ulimit", "nofile=100"];
        let mut child = endless(&store, &flags, "busybox");
        let joined = store.engine(&["exec", "box", "sh", "-c", "ulimit -n"]).end();
        child.kill().expect("it is there");
        child.wait().expect("it ends");
        assert_eq!(joined.assert_status(0).out, "100\n");
        // The next command takes the rest away.
        says(&store, &[], "true");
        store.assert_no_container();
    });
}

#[test]
fn more_than_the_machine_gives_takes_a_capability() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        let hard = says(&store, &[], "ulimit -Hn");
        let more = hard.trim().parse::<u64>().expect("it is a number") + 1;
        let (flag, stack) = (format!("nofile={more}"), "stack=-1");
        for whom in as_whom("settings::more_than_the_machine_gives_takes_a_capability") {
            let flags = [whom, &["--ulimit", &flag]].concat();
            match may_raise() {
                true => {
                    assert_eq!(says(&store, &flags, "ulimit -n"), format!("{more}\n"))
                }
                false => refused(&store, &flags, "EPERM (Operation not permitted)"),
            }
            let flags = [whom, &["--ulimit", stack]].concat();
            assert_eq!(says(&store, &flags, "ulimit -s"), "unlimited\n");
        }
        for wrong in
            ["", "nofile", "nofile=", "nofile=x", "nofile=2:1", "files=1", "nofile=-2"]
        {
            refused(&store, &["--ulimit", wrong], &format!("--ulimit {wrong:?}: "));
        }
    });
}

const SWITCHES: [(&str, &str); 3] = [
    ("kernel.msgmax", "1234"),
    ("fs.mqueue.msg_max", "7"),
    ("net.ipv4.ip_unprivileged_port_start", "80"),
];

#[test]
fn switches_are_the_containers_own() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        let path = |name: &str| format!("/proc/sys/{}", name.replace('.', "/"));
        let hosts =
            || SWITCHES.map(|(name, _)| fs::read_to_string(path(name)).expect("it is"));
        let before = hosts();
        let pairs = SWITCHES.map(|(name, value)| format!("{name}={value}"));
        let flags: Vec<&str> = pairs.iter().flat_map(|pair| ["--sysctl", pair]).collect();
        let script = SWITCHES.map(|(name, _)| format!("cat {}; ", path(name))).concat();
        let fixed = "echo 1 > /proc/sys/kernel/msgmax || echo fixed";
        let said = store.run(
            &[&flags[..], &["busybox", "sh", "-c", &format!("{script}{fixed}")]].concat(),
        );
        assert_eq!(said.end().assert_status(0).out, "1234\n7\n80\nfixed\n");
        assert_eq!(hosts(), before);
        // The cable is there by then.
        let own = "net.ipv4.conf.eth0.arp_ignore";
        let script = format!("cat {}", path(own));
        assert_eq!(says(&store, &["--sysctl", &format!("{own}=1")], &script), "1\n");
        for wrong in [
            "kernel.pid_max=99",
            "kernel.hostname=x",
            "vm.swappiness=1",
            "net=1",
            "net..x=1",
            "kernel/msgmax=1",
            "net.ipv4/../../kernel.pid_max=1",
            "=1",
            "x",
        ] {
            refused(&store, &["--sysctl", wrong], "--sysctl");
        }
        refused(&store, &["--sysctl", "net.nothing.there=1"], "ENOENT");
        refused(&store, &["--sysctl", "kernel.msgmax=word"], "EINVAL");
        let hosts_own = ["--network", "host", "--sysctl", "net.ipv4.ip_forward=1"];
        refused(&store, &hosts_own, "it is the host's");
    });
}

/// Somebody else's file in its place is not written to.
#[test]
fn a_switch_behind_a_mount_is_none() {
    undisturbed(|| {
        let (store, folder) = (Store::with("busybox", &busybox()), Folder::new("switch"));
        let file = folder.write("msgmax", "mine");
        let volume = format!("{}:/proc/sys/kernel", folder.path().display());
        let flags = ["-v", &volume, "--sysctl", "kernel.msgmax=1"];
        refused(&store, &flags, "is not the kernel's");
        assert_eq!(fs::read_to_string(file).expect("it is ours"), "mine");
    });
}

#[test]
fn shared_memory_has_the_size_asked_for() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        let script = "df -k /dev/shm | tail -n 1 | awk '{print $2}'";
        assert_eq!(says(&store, &[], script), "65536\n");
        assert_eq!(says(&store, &["--shm-size", "1m"], script), "1024\n");
        assert_eq!(says(&store, &["--shm-size=8192"], script), "8\n");
        for wrong in ["", "0", "1x", "-1m", "1t,mode=0"] {
            refused(&store, &[&format!("--shm-size={wrong}")], "--shm-size");
        }
    });
}

#[test]
fn labels_and_variables_come_from_files_too() {
    undisturbed(|| {
        let (store, folder) = (Store::with("busybox", &busybox()), Folder::new("lines"));
        let file = folder.write(
            "env",
            "\u{feff}A=file # all\n\n  # a remark\nB=file\nPASSED\nOTHER\n",
        );
        let args = ["run", "--rm", "--env-file", &file, "-e", "B=flag", "busybox", "env"];
        let run = store.engine(&args).env("PASSED", "on").end();
        let lines: Vec<&str> = run.assert_status(0).assert_quiet().out.lines().collect();
        for (line, is_there) in [
            ("A=file # all", true),
            ("B=flag", true),
            ("B=file", false),
            ("PASSED=on", true),
            ("OTHER=", false),
            ("OTHER", false),
        ] {
            assert_eq!(lines.contains(&line), is_there, "{line} {lines:?}");
        }
        let labels = folder.write("labels", "of=file\nbare\nboth=file\n");
        let flags = ["--label-file", &labels, "-l", "both=flag", "--label", "a.b=c=d"];
        let run = [&["run", "--name", "box"][..], &flags, &["busybox", "true"]].concat();
        store.engine(&run).end().assert_status(0);
        let kept =
            store.containers().into_iter().find(|path| path.is_dir()).expect("one");
        let spec = fs::read(kept.join("config.json")).expect("it is there");
        let spec: Value = serde_json::from_slice(&spec).expect("it is JSON");
        for (key, value) in
            [("of", "file"), ("bare", ""), ("both", "flag"), ("a.b", "c=d")]
        {
            assert_eq!(
                spec["annotations"][format!("fakedocker.label.{key}")],
                value,
                "{key}"
            );
        }
        store.ends(&["rm", "box"]);
        for (text, line) in [("A B=1\n", 1), ("A=1\n=x", 2), ("A \n", 1)] {
            let wrong = folder.write("wrong", text);
            for flag in ["--env-file", "--label-file"] {
                refused(&store, &[flag, &wrong], &format!("line {line}: "));
            }
        }
        refused(&store, &["--env-file", &folder.at("missing")], "ENOENT");
        refused(&store, &["--label", "=x"], "has no key");
    });
}

#[test]
fn who_joins_has_variables_from_files_too() {
    undisturbed(|| {
        let (store, folder) = (Store::with("busybox", &busybox()), Folder::new("joins"));
        let file = folder.write("env", "A=file # all\n\nB=file\nPASSED\nOTHER\n");
        let run = ["run", "-d", "--rm", "--name", "box", "-e", MARK, "--network", "none"];
        store.ends(&[&run[..], &["busybox", "tail", "-f", "/dev/null"]].concat());
        let args = ["exec", "--env-file", &file, "-e", "B=flag", "box", "env"];
        let joined = store.engine(&args).env("PASSED", "on").end();
        let lines: Vec<&str> =
            joined.assert_status(0).assert_quiet().out.lines().collect();
        for line in ["A=file # all", "B=flag", "PASSED=on"] {
            assert!(lines.contains(&line), "{line} {lines:?}");
        }
        assert!(!lines.iter().any(|line| line.starts_with("OTHER")), "{lines:?}");
        let wrong = folder.write("wrong", "A B=1\n");
        let joined = store.engine(&["exec", "--env-file", &wrong, "box", "env"]).end();
        assert!(joined.assert_status(125).assert_one_error().contains("line 1: "));
        store.ends(&["rm", "-f", "box"]);
        store.assert_no_container();
    });
}

#[test]
fn settings_take_no_root() {
    undisturbed(|| {
        for student in [Student::new(), Student::with_numbers()] {
            let run = |flags: &[&str], script: &str| -> Ending {
                let words =
                    [&["--network", "none"], flags, &["host", "sh", "-c", script]];
                student.run(&words.concat()).end()
            };
            let flags = ["--ulimit", "nofile=50", "--shm-size", "1m"];
            let said =
                run(&flags, "ulimit -n; df -k /dev/shm | tail -n 1 | grep -c ' 1024 '");
            assert_eq!(said.assert_status(0).out, "50\n1\n");
            let port = "net.ipv4.ip_unprivileged_port_start";
            let script = format!("cat /proc/sys/{}", port.replace('.', "/"));
            let said = run(&["--sysctl", &format!("{port}=80")], &script);
            assert_eq!(said.assert_status(0).out, "80\n");
            let more = run(&["--ulimit", "nofile=-1"], "true");
            let line = more.assert_status(125).err.clone();
            assert!(
                line.contains("EPERM") && line.contains("CAP_SYS_RESOURCE"),
                "{line}"
            );
        }
    });
}
