//! What does a hostile container try, and what comes of it?
//!
//! Each attack is made for real. Those on targets of mounts in an image are in volumes.rs, on
//! layers in tests/book/layers.rs and import.rs, on names in statuses.rs, two at once in
//! flags.rs, on limits in limits.rs, and on the machine's switches and sockets in outside.rs.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::flags::unpack;
use super::killing::endless;
use crate::support::engine::{Ending, Engine, Folder, Store};
use crate::support::machine::undisturbed;
use crate::support::rootfs::busybox;
use crate::support::wait::until;
use crate::support::{copy_program, program};

/// What perl needs to make a call by its number.
fn number(name: &str) -> u32 {
    let (amd64, arm64) = match name {
        "reboot" => (169, 142),
        "kexec_load" => (246, 104),
        "delete_module" => (176, 106),
        "keyctl" => (250, 219),
        "mount" => (165, 40),
        other => panic!("no number for {other}"),
    };
    if cfg!(target_arch = "aarch64") { arm64 } else { amd64 }
}

fn end(mut child: std::process::Child) {
    child.kill().expect("it is there");
    child.wait().expect("it ends");
}

/// What a container on the host's files says to `script`.
fn tried(flags: &[&str], script: &str) -> Ending {
    let store = Store::new();
    store.run(&[flags, &["host", "sh", "-c", script]].concat()).end()
}

/// CVE-2019-5736: whoever gets hold of the engine's file can write to it when it has ended.
#[test]
fn the_engines_own_program_cannot_be_written_to() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::new("engine"));
        let copy = folder.path().join("fakedocker");
        copy_program(&program("fakedocker"), &copy);
        let before = fs::read(&copy).expect("it is ours");
        let mut engine = Command::new(&copy);
        engine.arg("--root").arg(store.path());
        engine.args(["run", "--rm", "-i", "host", "cat"]);
        let mut running = Engine::of(engine).start();
        let exe = format!("/proc/{}/exe", running.id());
        // Not before it has started itself again: at first it stands where it was put.
        let protected = || fs::read_link(&exe).is_ok_and(|it| it != copy).then_some(());
        until("an engine that cannot be written to", protected);
        let refusal = OpenOptions::new().write(true).open(&exe).expect_err("refused");
        let kinds = [ErrorKind::ReadOnlyFilesystem, ErrorKind::ExecutableFileBusy];
        assert!(kinds.contains(&refusal.kind()), "{refusal}");
        let held = File::open(&exe).expect("it can be read");
        drop(running.stdin.take());
        running.wait().expect("it ends");
        let again = format!("/proc/self/fd/{}", held.as_raw_fd());
        let refusal = OpenOptions::new().write(true).open(again).expect_err("refused");
        assert_eq!(refusal.kind(), ErrorKind::ReadOnlyFilesystem);
        assert!(fs::read(&copy).expect("it is ours") == before, "the engine was changed");
    });
}

/// The same by an image whose command is `#!/proc/self/exe`: that is us.
#[test]
fn a_command_that_is_the_engine_itself_changes_nothing() {
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::new("hostile"));
        unpack(folder.path());
        let command = folder.path().join("evil");
        fs::write(&command, "#!/proc/self/exe\n").expect("it is ours");
        fs::set_permissions(&command, PermissionsExt::from_mode(0o755)).expect("ours");
        let before = fs::read(program("fakedocker")).expect("it is there");
        let rootfs = folder.path().display().to_string();
        let ending = store.run(&["--rootfs", &rootfs, "/evil"]).end();
        assert_ne!(ending.status, Some(0), "{ending:?}");
        assert!(fs::read(program("fakedocker")).expect("it is there") == before);
    });
}

/// The same from inside, while somebody joins: what has been opened for reading, when it is nobody's
/// program any more, is opened once more for writing.
#[test]
fn whoever_joins_brings_nothing_that_can_be_written_to() {
    let spy = r#"use Fcntl; $| = 1; print "spying\n"; my @held; for (;;) {
        for my $exe (glob "/proc/[0-9]*/exe") {
            my $to = readlink $exe or next; next if $to =~ m{^/(usr/)?bin/};
            open(my $file, "<", $exe) or next; push @held, [$file, $to]; print "held\n"; }
        for my $it (@held) { my ($file, $to) = @$it;
            print "written: $to\n" if sysopen(my $new, "/proc/$$/fd/" . fileno $file, O_WRONLY); }
        @held = @held[-50 .. -1] if @held > 50; }"#;
    undisturbed(|| {
        let (store, folder) = (Store::new(), Folder::new("engine"));
        // A file that runs cannot be written to: who joins has one that does not run else.
        let copy = folder.path().join("fakedocker");
        copy_program(&program("fakedocker"), &copy);
        let before = fs::read(&copy).expect("it is ours");
        let flags = ["run", "--rm", "--name", "box", "host", "perl", "-e", spy];
        let mut spying = store.engine(&flags).start();
        let mut out = BufReader::new(spying.stdout.take().expect("it is piped")).lines();
        let mut says = || out.next().expect("it goes on").expect("it is text");
        assert_eq!(says(), "spying");
        let evil = "printf '#!/proc/self/exe\n' > /evil && chmod 755 /evil";
        let exec = |args: &[&str]| {
            let mut engine = Command::new(&copy);
            engine.arg("--root").arg(store.path()).args(["exec", "box"]).args(args);
            Engine::of(engine).end()
        };
        let ready = || (exec(&["sh", "-c", evil]).status == Some(0)).then_some(());
        until("a container that can be joined", ready);
        for _ in 0..30 {
            // It is the engine itself, with a command line that it does not know.
            assert_ne!(exec(&["/evil"]).status, Some(0));
        }
        end(spying);
        let told: Vec<String> = out.map(|line| line.expect("it is text")).collect();
        assert!(!told.is_empty(), "the engine has not been seen");
        assert!(told.iter().all(|line| line == "held"), "{told:?}");
        assert!(fs::read(&copy).expect("it is ours") == before, "the engine was changed");
        store.engine(&["stats", "--no-stream"]).end().assert_status(0);
    });
}

/// CVE-2024-21626
#[test]
fn a_working_directory_outside_is_refused() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        no_folder_leads_outside(|path, script| {
            store.run(&["-w", path, "busybox", "sh", "-c", script])
        });
    });
}

/// What `begin`, which is to begin in a folder that the engine has open, is refused with; or it
/// begins in one of the container's own.
fn no_folder_leads_outside(begin: impl Fn(&str, &str) -> Engine) {
    let folder = Folder::new("secret");
    let secret = folder.write("secret", "the host's");
    let script = format!("pwd -P; cat ../../../../../..{secret}");
    let mut refused = 0;
    for number in 3..24 {
        let path = format!("/proc/self/fd/{number}");
        let leaky = ["sh", "-c", "exec 9</ && exec \"$@\"", "sh"];
        let ending = begin(&path, &script).inside(&leaky).end();
        if ending.status == Some(125) {
            let error = ending.assert_one_error();
            assert!(error.contains("the working directory"), "{error}");
            refused += 1;
            continue;
        }
        // The engine may have a folder of the container's own open.
        assert_eq!(ending.out, "/\n", "{path}: {ending:?}");
    }
    assert_ne!(refused, 0, "the engine has the host's folders open");
}

/// The same by the other door.
#[test]
fn who_joins_begins_in_no_folder_outside() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        let box_ = endless(&store, &["--rm", "--name", "box"], "busybox");
        let is_up = || store.engine(&["exec", "box", "true"]).end().status == Some(0);
        until("a container that can be joined", || is_up().then_some(()));
        no_folder_leads_outside(|path, script| {
            store.engine(&["exec", "-w", path, "box", "sh", "-c", script])
        });
        end(box_);
        store.engine(&["stats", "--no-stream"]).end().assert_status(0);
    });
}

#[test]
fn nothing_is_open_inside_but_input_output_and_error() {
    undisturbed(|| {
        let store = Store::new();
        let leaky = ["sh", "-c", "exec 8</ 9</etc && exec \"$@\"", "sh"];
        // 3 is of ls itself.
        let list = ["ls", "/proc/self/fd"];
        let run = store.run(&[&["host"], &list[..]].concat()).inside(&leaky).end();
        assert_eq!(run.assert_status(0).out, "0\n1\n2\n3\n");
        let box_ = endless(&store, &["--rm", "--name", "box"], "host");
        let guest = store.engine(&[&["exec", "box"], &list[..]].concat()).inside(&leaky);
        let is_up = || store.engine(&["exec", "box", "true"]).end().status == Some(0);
        until("a container that can be joined", || is_up().then_some(()));
        assert_eq!(guest.end().assert_status(0).out, "0\n1\n2\n3\n");
        end(box_);
        store.engine(&["stats", "--no-stream"]).end().assert_status(0); // tidies up
    });
}

/// CVE-2016-9962: whoever joins has the host's folders open for a moment, and is seen inside.
#[test]
fn who_joins_cannot_be_looked_into() {
    undisturbed(|| {
        let store = Store::new();
        // Every descriptor of every process that is not perl's own, again and again.
        let spy = r#"$| = 1; print "spying\n"; for (;;) { for my $fd (glob "/proc/[0-9]*/fd/*") {
            next if $fd =~ m{^/proc/$$/}; my $to = readlink $fd or next;
            print "$fd $to\n" if $to =~ m{^/} && $to !~ m{^/dev/}; } }"#;
        let flags = ["run", "--rm", "--name", "box", "host", "perl", "-e", spy];
        let mut spying = store.engine(&flags).start();
        let mut out = spying.stdout.take().expect("it is piped");
        let mut first = [0; 7];
        out.read_exact(&mut first).expect("it says that it spies");
        let join = || store.engine(&["exec", "box", "true"]).end().status == Some(0);
        until("a container that can be joined", || join().then_some(()));
        for _ in 0..30 {
            assert!(join());
        }
        end(spying);
        let mut seen = String::new();
        out.read_to_string(&mut seen).expect("it is text");
        // `true` itself opens its libraries, and nothing else.
        let foreign = |line: &&str| {
            !line.is_empty()
                && !["/lib", "/usr/", "/etc/ld"].iter().any(|it| line.contains(it))
        };
        let foreign: Vec<&str> = seen.lines().filter(foreign).collect();
        assert_eq!(foreign, [""; 0]);
        store.engine(&["stats", "--no-stream"]).end().assert_status(0);
    });
}

/// CVE-2021-30465: a target in a volume is a folder, and then it is not.
#[test]
fn a_target_that_is_swapped_while_we_mount_leads_nowhere() {
    undisturbed(|| {
        let (store, shared) = (Store::new(), Folder::new("shared"));
        let (mine, victim) = (Folder::new("mine"), Folder::of_host("victim"));
        mine.write("mark", "mounted");
        let (here, other) = (shared.path().join("target"), shared.path().join("other"));
        fs::create_dir(&here).expect("it is ours");
        symlink(victim.path(), &other).expect("it is ours");
        let goes_on = AtomicBool::new(true);
        thread::scope(|scope| {
            scope.spawn(|| {
                let third = shared.path().join("third");
                while goes_on.load(Ordering::Relaxed) {
                    for (from, to) in [(&here, &third), (&other, &here), (&third, &other)]
                    {
                        // The engine may have made a folder in between.
                        fs::rename(from, to).ok();
                    }
                }
            });
            let volume = format!("{}:/v", shared.path().display());
            let below = format!("{}:/v/target/new", mine.path().display());
            for _ in 0..40 {
                let run = store.run(&["-v", &volume, "-v", &below, "host", "true"]).end();
                // Either it came right, or somebody says why not.
                assert!(matches!(run.status, Some(0 | 125)), "{run:?}");
                let left = fs::read_dir(victim.path()).expect("it is there").count();
                assert_eq!(left, 0, "something was made outside");
            }
            goes_on.store(false, Ordering::Relaxed);
        });
    });
}

/// CVE-2025-31133: what is masked is not shown as what somebody has put at /dev/null.
#[test]
fn a_null_device_that_leads_elsewhere_masks_nothing_by_it() {
    undisturbed(|| {
        let (store, dev) = (Store::new(), Folder::new("dev"));
        let secret = Folder::of_host("secret");
        secret.write("file", "the host's");
        symlink(secret.path().join("file"), dev.path().join("null")).expect("it is ours");
        symlink("/proc/sys", dev.path().join("pts")).expect("it is ours");
        let volume = format!("{}:/dev", dev.path().display());
        let script = "cat /proc/keys /proc/timer_list
            (echo x >/proc/sys/kernel/printk) || echo refused";
        let run = store.run(&["-v", &volume, "host", "sh", "-c", script]).end();
        assert_eq!(run.assert_status(0).out, "refused\n", "{run:?}");
        // CVE-2025-52565: a terminal is shown from /dev/pts, which leads elsewhere.
        let run = store.run(&["-t", "-v", &volume, "host", "sh", "-c", script]).end();
        run.assert_status(125).assert_one_error();
        let kept = fs::read_to_string(secret.path().join("file")).expect("it is ours");
        assert_eq!(kept, "the host's");
    });
}

/// CVE-2022-0492: a release_agent is started by the kernel, as the host's root.
#[test]
fn no_cgroup_file_system_can_be_mounted() {
    let mount = number("mount");
    let direct = format!(
        r#"perl -e 'for ("cgroup", "cgroup2") {{ my ($kind, $options) = ($_, "pids"); print "$kind: ",
            syscall({mount}, $kind, my $at = "/mnt", $kind, 0, $kind eq "cgroup" ? $options : 0) < 0
            ? "$!\n" : "mounted\n" }}'"#
    );
    let refused = "cgroup: Operation not permitted\ncgroup2: Operation not permitted\n";
    // Whoever is root of a user namespace of his own may mount them, if no filter forbids the
    // namespace; but he sees no release_agent, or may not write to it.
    let own = "unshare --user --map-root-user --mount --cgroup sh -c '
        for options in pids memory rdma; do
            mount -t cgroup -o $options cgroup /mnt || continue
            for agent in $(find /mnt -name release_agent); do
                echo /evil > $agent && echo \"$agent was written to\"
            done
            umount /mnt
        done
        echo tried' 2> /dev/null || echo refused";
    let unconfined = &["--security-opt", "seccomp=unconfined"][..];
    undisturbed(|| {
        for (flags, script, said) in [
            (&[][..], &*direct, refused),
            // Without a filter, the kernel itself has to refuse it.
            (unconfined, &direct, refused),
            (&[], own, "refused\n"),
            (unconfined, own, "tried\n"),
        ] {
            let ending = tried(flags, script);
            assert_eq!(ending.out, said, "{flags:?} {script}: {ending:#?}");
        }
    });
}

/// CVE-2022-29162, and what setuid programs are for.
#[test]
fn a_setuid_program_gives_nothing_that_was_taken() {
    // Whoever finds it finds it whole.
    let copy = "cp /bin/cat /new; chmod 4755 /new; mv /new /cat; exec tail -f /dev/null";
    let look = ["exec", "-u", "1000", "box", "/cat", "/proc/self/status"];
    let docker = "00000000a80425fb";
    for (flags, user, permitted) in [
        (&[][..], "1000", "0000000000000000"),
        (&["--security-opt", "no-new-privileges=false"], "0", docker),
    ] {
        undisturbed(|| {
            let store = Store::new();
            let name = ["run", "--rm", "--name", "box"];
            let run = [&name[..], flags, &["host", "sh", "-c", copy]].concat();
            let running = store.engine(&run).start();
            let there = || store.engine(&look).end();
            let seen = until("the program", || {
                let seen = there();
                (seen.status == Some(0)).then_some(seen.out)
            });
            let line = |name: &str| {
                let value = seen.lines().find_map(|line| line.strip_prefix(name));
                value.unwrap_or_default().split_whitespace().next().map(String::from)
            };
            let effective = seen.lines().find(|line| line.starts_with("Uid:"));
            let effective = effective.and_then(|line| line.split_whitespace().nth(2));
            assert_eq!(effective, Some(user), "{seen}");
            assert_eq!(line("CapInh:").as_deref(), Some("0000000000000000"));
            assert_eq!(line("CapBnd:").as_deref(), Some(docker));
            assert_eq!(line("CapPrm:").as_deref(), Some(permitted));
            end(running);
            store.engine(&["stats", "--no-stream"]).end().assert_status(0);
        });
    }
}

/// CVE-2020-15257: abstract names belong to the network namespace.
#[test]
fn abstract_sockets_of_the_host_are_not_there() {
    let name = format!("fakedocker-attack-{}", std::process::id());
    let script = format!(
        "use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); \
         print connect(S, pack_sockaddr_un(\"\\0{name}\")) ? 'in' : $!"
    );
    undisturbed(|| {
        let address = SocketAddr::from_abstract_name(&name).expect("it is short");
        let _listener = UnixListener::bind_addr(&address).expect("the name is ours");
        let store = Store::new();
        for (network, said) in [
            ("none", "Connection refused"),
            ("bridge", "Connection refused"),
            ("host", "in"), // that is what it is for
        ] {
            let run = store.run(&["--network", network, "host", "perl", "-e", &script]);
            let ending = run.end();
            assert_eq!(ending.out, said, "{network}: {ending:#?}");
        }
    });
}

#[test]
fn the_machines_disks_clock_and_kernel_are_out_of_reach() {
    let disks = fs::read_to_string("/proc/partitions").expect("it is there");
    let disk = disks.lines().nth(2).unwrap_or("7 0 0 loop0");
    let [major, minor] = [0, 1].map(|at| disk.split_whitespace().nth(at).unwrap_or("7"));
    let call = |name: &str, arguments: &str| {
        let number = number(name);
        format!("perl -e 'print syscall({number}, {arguments}) < 0 ? \"$!\" : \"done\"'")
    };
    // To let Ctrl-Alt-Del go by itself: harmless where it is granted.
    let reboot = call("reboot", "0xfee1dead, 672274793, 0x89abcdef, 0");
    let kexec = call("kexec_load", "0, 17, 0, 0");
    let module = call("delete_module", "my $name = \"fakedocker-none\", 0");
    let keys = call("keyctl", "0, -3, 0");
    let node = format!("mknod /disk b {major} {minor} && cat /disk 2>&1 >/dev/null");
    // The kernel may have been built without it.
    let sysrq = "if test -e /proc/sysrq-trigger; then echo h >/proc/sysrq-trigger
        else echo Read-only; fi";
    let attacks = [
        (node.as_str(), "ermi"),
        ("date -s 12:00 2>&1 >/dev/null", "not permitted"),
        (&reboot, "not permitted"),
        (&kexec, "not permitted"),
        (&module, "not permitted"),
        (&keys, "not permitted"),
        (sysrq, "Read-only"),
        ("mount -t tmpfs none /mnt 2>&1", "denied"),
        ("unshare --user true 2>&1", "not permitted"),
        ("echo 1 2>&1 >/proc/sys/kernel/printk", "Read-only"),
        ("mkdir /sys/fs/cgroup/new 2>&1", "Read-only"),
        ("echo 1 2>&1 >/sys/kernel/profiling", "Read-only"),
    ];
    undisturbed(|| {
        for (attack, said) in attacks {
            // Of a redirection that fails, the shell itself tells.
            let ending = tried(&[], &format!("exec 2>&1; {attack}"));
            assert!(ending.out.contains(said), "{attack}: {ending:?}");
        }
    });
}

/// Whoever may mount does it for himself.
#[test]
fn what_a_privileged_container_mounts_the_host_does_not_see() {
    undisturbed(|| {
        let before = fs::read_to_string("/proc/self/mountinfo").expect("it is there");
        let store = Store::new();
        let script = "mount -t tmpfs none /mnt && echo mounted && cat";
        let run = ["-i", "--privileged", "host", "sh", "-c", script];
        let mut running = store.run(&run).start();
        let mut said = [0; 8];
        running
            .stdout
            .as_mut()
            .expect("piped")
            .read_exact(&mut said)
            .expect("it says so");
        assert_eq!(&said, b"mounted\n");
        let meanwhile = fs::read_to_string("/proc/self/mountinfo").expect("it is there");
        assert_eq!(meanwhile, before);
        drop(running.stdin.take());
        assert!(running.wait().expect("it ends").success());
    });
}

#[test]
fn capabilities_and_filters_are_what_was_asked_for() {
    let look =
        "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\n'";
    let sets = |set: &str| format!("CapEff:\t{set}CapBnd:\t{set}");
    undisturbed(|| {
        let folder = Folder::new("profile");
        let profile = folder.write(
            "profile.json",
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO",
                "errnoRet": 30, "args": []}]}"#,
        );
        let option = format!("seccomp={profile}");
        for (flags, said) in [
            (&[][..], sets("00000000a80425fb") + "NoNewPrivs:\t1Seccomp:\t2"),
            (
                &["--cap-drop", "ALL", "--cap-add", "cap_kill"],
                sets("0000000000000020") + "NoNewPrivs:\t1Seccomp:\t2",
            ),
            (
                &["--cap-drop=mknod", "--security-opt", "seccomp=unconfined"],
                sets("00000000a00425fb") + "NoNewPrivs:\t1Seccomp:\t0",
            ),
        ] {
            assert_eq!(tried(flags, look).out, said, "{flags:?}");
        }
        let ours = tried(&["--security-opt", &option], "mkdir /tmp/x");
        assert!(ours.err.contains("Read-only file system"), "{ours:?}");
        let mount = "mount -t tmpfs none /mnt && echo mounted";
        assert_eq!(tried(&["--cap-add", "SYS_ADMIN"], mount).out, "mounted\n");
    });
}

#[test]
fn guards_that_cannot_be_are_refused() {
    undisturbed(|| {
        let store = Store::new();
        store.on_host("true");
        let before = store.contents();
        for (flag, value, said) in [
            ("--cap-add", "ROOT", "is no capability: ALL, or one of CHOWN"),
            ("--cap-drop", "", "is no capability"),
            ("--security-opt", "seccomp=/no/such/file", "/no/such/file: ENOENT"),
            ("--security-opt", "seccomp=/etc/passwd", "is no seccomp profile"),
            ("--security-opt", "label=disable", "is not known"),
        ] {
            let ending = store.run(&[flag, value, "host", "true"]).end();
            let error = ending.assert_status(125).assert_one_error();
            assert!(error.contains(said), "{error}");
            assert_eq!(store.contents(), before);
        }
    });
}

/// exec is held by what holds the container, unless somebody asks for more.
#[test]
fn who_joins_has_the_same_guards() {
    undisturbed(|| {
        let store = Store::new();
        let flags = ["--rm", "--name", "box", "--cap-drop", "ALL"];
        let running = endless(&store, &flags, "host");
        let look = ["grep", "-E", "^(CapEff|Seccomp):", "/proc/self/status"];
        let exec = |flags: &[&str]| {
            let run = [&["exec"], flags, &["box"], &look[..]].concat();
            store.engine(&run).end()
        };
        let seen = until("a container that can be joined", || {
            let seen = exec(&[]);
            (seen.status == Some(0)).then_some(seen.out)
        });
        assert_eq!(seen, "CapEff:\t0000000000000000\nSeccomp:\t2\n");
        let more = exec(&["--privileged"]);
        assert!(more.out.ends_with("Seccomp:\t0\n"), "{more:?}");
        assert!(!more.out.contains("0000000000000000"), "{more:?}");
        end(running);
        store.engine(&["stats", "--no-stream"]).end().assert_status(0);
    });
}
