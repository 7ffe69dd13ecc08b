//! Does one see what there is, and what happens, as Docker shows it?

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::Child;

use serde_json::Value;

use super::rootless::import;
use crate::support::engine::{Ending, Folder, Store};
use crate::support::machine::undisturbed;
use crate::support::processes::MARK;
use crate::support::rootfs::busybox;
use crate::support::student::Student;
use crate::support::wait::until;

/// A store with a busybox, whose containers go with it.
struct House(Store);

impl House {
    fn new() -> House {
        House(Store::with("box", &busybox()))
    }

    fn end(&self, args: &[&str]) -> Ending {
        self.0.engine(args).end()
    }

    /// What it says, if all is well.
    fn says(&self, args: &[&str]) -> String {
        self.end(args).assert_status(0).assert_quiet().out.clone()
    }

    fn lines(&self, args: &[&str]) -> Vec<String> {
        self.says(args).lines().map(String::from).collect()
    }

    /// A container called `name` that runs until it is ended; its ID.
    fn runs(&self, name: &str, flags: &[&str]) -> String {
        let command = ["box", "sh", "-c", "tail -f /dev/null & exec tail -f /dev/null"];
        let named = ["run", "-d", "-e", MARK, "--name", name];
        let id = self.says(&[&named[..], flags, &command].concat());
        id.trim_end().to_string()
    }

    /// One that has ended with this status.
    fn ended(&self, name: &str, status: &str, flags: &[&str]) {
        let run = ["run", "--network", "none", "--name", name];
        let command = ["box", "sh", "-c", "echo hello > /file; exit $0", status];
        let expected = status.parse().expect("a number");
        self.end(&[&run[..], flags, &command].concat()).assert_status(expected);
    }

    /// The names that `ps` lists, with spaces between them.
    fn names(&self, args: &[&str]) -> String {
        let ps = [&["ps", "--format", "{{.Names}}"][..], args].concat();
        self.lines(&ps).join(" ")
    }

    /// What the template makes of the container.
    fn known(&self, name: &str, template: &str) -> String {
        self.says(&["inspect", "--format", template, name]).trim_end().to_string()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        let all = self.end(&["ps", "-aq", "--no-trunc"]).out;
        let all: Vec<&str> = all.lines().collect();
        if !all.is_empty() {
            self.end(&[&["rm", "-f"][..], &all].concat());
        }
    }
}

const ALONE: [&str; 2] = ["--network", "none"];

/// The cells of a line of a table, whose columns are three blanks apart or more.
fn cells(line: &str) -> Vec<&str> {
    line.split("   ").map(str::trim).filter(|cell| !cell.is_empty()).collect()
}

/// A line of a child that goes on, for which this holds.
fn await_line(child: &mut impl BufRead, holds: impl Fn(&str) -> bool) -> String {
    loop {
        let mut line = String::new();
        let count = child.read_line(&mut line).expect("it writes text");
        assert!(count > 0, "it has ended, and nothing like this came");
        if holds(line.trim_end()) {
            return line.trim_end().to_string();
        }
    }
}

fn stop(mut child: Child) {
    child.kill().expect("it is our child");
    child.wait().expect("it ends");
}

#[test]
fn containers_are_listed_the_newest_first() {
    undisturbed(|| {
        let house = House::new();
        house.ended("first", "3", &["--label", "kind=small"]);
        let web = house.runs("web", &[&ALONE[..], &["--label", "kind=big"]].concat());
        house.says(&["create", "--name", "made", "box", "true"]);
        house.says(&["pause", "web"]);

        let listed = house.lines(&["ps", "-a"]);
        let titles =
            ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"];
        assert_eq!(cells(&listed[0]), titles);
        let rows: Vec<Vec<&str>> = listed[1..].iter().map(|line| cells(line)).collect();
        let names: Vec<&str> = rows.iter().map(|row| row[row.len() - 1]).collect();
        assert_eq!(names, ["made", "web", "first"], "{listed:#?}");
        assert_eq!(rows[0][1..3], ["box", "\"true\""]);
        assert_eq!(rows[1][..3], [&web[..12], "box", "\"sh -c tail -f /dev/…\""]);
        assert_eq!(rows[0][4], "Created");
        assert!(rows[1][4].starts_with("Up ") && rows[1][4].ends_with(" (Paused)"));
        assert!(rows[2][4].starts_with("Exited (3) ") && rows[2][4].ends_with(" ago"));
        assert!(rows[2][3].ends_with(" ago"), "{rows:?}");

        assert_eq!(house.names(&[]), "web");
        assert_eq!(house.lines(&["ps", "-q"]), [&web[..12]]);
        assert_eq!(house.lines(&["container", "ls", "-q", "--no-trunc"]), [&web[..]]);
        assert_eq!(house.names(&["-l"]), "made");
        assert_eq!(house.names(&["-n", "2"]), "made web");
        for (filter, names) in [
            ("name=e", "made web"),
            ("name=^/first$", "first"),
            ("status=exited", "first"),
            ("status=paused", "web"),
            ("exited=3", "first"),
            ("label=kind", "web first"),
            ("label=kind=big", "web"),
            ("network=none", "web first"),
            ("ancestor=box", "made web first"),
            ("ancestor=other", ""),
            ("before=web", "first"),
            ("since=first", "made web"),
            (&format!("id={}", &web[..5]), "web"),
        ] {
            assert_eq!(house.names(&["-a", "--filter", filter]), names, "{filter}");
        }
        for wrong in ["colour=red", "status=tired", "exited=x", "before=nobody"] {
            house.end(&["ps", "--filter", wrong]).assert_status(1).assert_one_error();
        }
        let line = &house.lines(&["ps", "-a", "--format", "json"])[2];
        let first: Value = serde_json::from_str(line).expect("it is JSON");
        assert_eq!(
            (&first["Names"], &first["State"]),
            (&"first".into(), &"exited".into())
        );
        assert_eq!(first["Labels"], "kind=small");
        let labels = ["ps", "-a", "--format", "table {{.Label \"kind\"}}\t{{.Labels}}"];
        let expected = ["kind    LABELS", "", "big     kind=big", "small   kind=small"];
        assert_eq!(house.lines(&labels), expected);
        let sizes = ["ps", "-a", "--format", "{{.Names}} {{.Size}}"];
        assert!(house.lines(&sizes)[2].starts_with("first 6B (virtual "));
        house.says(&["unpause", "web"]);
    });
}

#[test]
fn one_that_cannot_be_read_hides_no_other() {
    undisturbed(|| {
        let house = House::new();
        house.ended("good", "0", &[]);
        house.ended("bad", "0", &[]);
        let id = house.known("bad", "{{.Id}}");
        let state = house.0.path().join("containers").join(&id).join("state.json");
        let whole = fs::read(&state).expect("it is there");
        fs::write(&state, "{").expect("it is ours");
        let listed = house.end(&["ps", "-a"]);
        assert!(listed.assert_status(0).err.contains(&id[..12]), "{listed:?}");
        assert!(listed.out.contains("good") && listed.out.contains(&id[..12]));
        fs::write(&state, whole).expect("it is ours");
    });
}

#[test]
fn who_has_no_name_gets_one() {
    undisturbed(|| {
        let house = House::new();
        house.says(&["create", "box", "true"]);
        let name = house.names(&["-a"]);
        let words: Vec<&str> = name.split('_').collect();
        let is_word = |word: &&str| word.chars().all(|it| it.is_ascii_lowercase());
        assert!(words.len() == 2 && words.iter().all(is_word), "{name}");
        assert_eq!(house.says(&["rm", &name]), format!("{name}\n"));
    });
}

#[test]
fn events_are_heard_as_they_happen() {
    undisturbed(|| {
        let house = House::new();
        // What was, and what will be.
        let mut child = house.0.engine(&["events", "--since", "1h"]).start();
        let mut heard = BufReader::new(child.stdout.take().expect("it is piped"));
        let id = house.runs("web", &ALONE);
        let line = await_line(&mut heard, |line| line.contains(" container start "));
        let (moment, rest) = line.split_once(' ').expect("it begins with the time");
        assert!(moment.len() >= "2026-11-22T17:14:09.123456789Z".len(), "{moment}");
        assert_eq!(rest, format!("container start {id} (image=box, name=web)"));
        house.says(&["pause", "web"]);
        await_line(&mut heard, |line| line.contains(" container pause "));
        house.says(&["unpause", "web"]);
        house.says(&["rm", "-f", "web"]);
        let died = await_line(&mut heard, |line| line.contains(" container die "));
        assert!(died.contains("exitCode=137"), "{died}");
        await_line(&mut heard, |line| line.contains(" container destroy "));
        stop(child);

        let past = |more: &[&str]| {
            house.lines(
                &[&["events", "--since", "1h", "--until", "0s"][..], more].concat(),
            )
        };
        let all = past(&["--filter", "container=web", "--format", "{{.Action}}"]);
        let order = ["create", "start", "pause", "unpause", "die", "destroy"];
        let known = all.iter().filter(|it| order.contains(&it.as_str()));
        assert_eq!(known.collect::<Vec<_>>(), order);
        assert_eq!(
            past(&["--filter", "event=pause", "--filter", "container=other"]),
            [""; 0]
        );
        let json = past(&["--filter", "event=start", "--format", "json"]);
        let start: Value = serde_json::from_str(&json[0]).expect("it is JSON");
        assert_eq!(start["Actor"]["Attributes"]["name"], "web");
        house.end(&["events", "--since", "soon"]).assert_status(1).assert_one_error();
    });
}

#[test]
fn what_happens_to_images_and_volumes_is_told() {
    undisturbed(|| {
        let (house, folder) = (House::new(), Folder::new("events"));
        let archive = folder.at("archive");
        house.says(&["tag", "box", "other"]);
        house.says(&["save", "-o", &archive, "other"]);
        house.says(&["rmi", "other"]);
        house.says(&["load", "-q", "-i", &archive]);
        house.ended("one", "3", &["-v", "data:/data:ro"]);
        house.says(&["commit", "-m", "why", "one", "new"]);
        house.says(&["rm", "one"]);
        house.says(&["volume", "rm", "data"]);
        house.says(&["rmi", "new"]);
        let past = ["events", "--since", "1h", "--until", "0s", "--format"];
        let named = "{{.Type}} {{.Action}} {{index .Actor.Attributes \"name\"}}";
        let told = house.lines(&[&past[..], &[named]].concat());
        let told: Vec<&str> = told
            .iter()
            .map(|line| line.split(" sha256:").next().unwrap_or(line))
            .collect();
        let expected = [
            "image import box:latest",
            "image tag other:latest",
            "image save other:latest",
            "image untag other:latest",
            "image load other:latest",
            "volume create ",
            "container create one",
            "volume mount ",
            "container start one",
            "container die one",
            "volume unmount ",
            "container commit one",
            "container destroy one",
            "volume destroy ",
            "image untag new:latest",
            "image delete",
        ];
        assert_eq!(told, expected);
        let all = "{{.ID}} {{.Actor.Attributes}}";
        let mount = ["--filter", "event=mount", "--filter", "volume=data"];
        let mount = house.lines(&[&past[..], &[all], &mount].concat());
        let about = "destination:/data driver:local propagation: read/write:false]";
        assert!(mount[0].starts_with("data map[container:"), "{mount:?}");
        assert!(mount[0].ends_with(about), "{mount:?}");
        let commit =
            house.lines(&[&past[..], &[all], &["--filter", "event=commit"]].concat());
        assert!(commit[0].contains("map[comment:why image:box imageID:sha256:"));
        assert!(commit[0].contains(" imageRef:new:latest "), "{commit:?}");
    });
}

#[test]
fn a_record_that_is_full_begins_anew() {
    undisturbed(|| {
        let house = House::new();
        let record = house.0.path().join("events");
        let mut child = house.0.engine(&["events", "--since", "1h"]).start();
        let mut heard = BufReader::new(child.stdout.take().expect("it is piped"));
        house.says(&["tag", "box", "before"]);
        await_line(&mut heard, |line| line.contains("name=before:latest"));
        // What nobody can read is passed over.
        let mut text = fs::read(&record).expect("it is there");
        text.resize(1 << 20, b'x');
        fs::write(&record, text).expect("it is ours");
        house.says(&["tag", "box", "full"]);
        house.says(&["tag", "box", "after"]);
        await_line(&mut heard, |line| line.contains("name=full:latest"));
        await_line(&mut heard, |line| line.contains("name=after:latest"));
        stop(child);
        assert!(house.0.path().join("events.1").is_file());
        let long = fs::metadata(&record).expect("it is there").len();
        assert!(long < 1 << 12, "{long}");
        let past = house.lines(&["events", "--since", "1h", "--until", "0s"]);
        // With what it began by, the import of its image.
        assert_eq!(past.len(), 4, "{past:#?}");
    });
}

#[test]
fn all_that_is_known_is_told_by_dockers_names() {
    undisturbed(|| {
        let house = House::new();
        let volume =
            ["-v", "data:/data", "-v", "/opt:/opt:ro", "--restart", "on-failure:3"];
        let guards = ["--cap-add", "SYS_TIME", "--cap-drop", "MKNOD", "--init"];
        let labels = [&["--label", "a.b=c", "-i"][..], &guards].concat();
        house.runs("web", &[&ALONE[..], &volume, &labels].concat());
        house.ended("old", "3", &[]);
        for (template, said) in [
            ("{{.Name}} {{.State.Status}} {{.State.Running}}", "/web running true"),
            ("{{index .Config.Labels \"a.b\"}}{{index .Config.Labels \"x\"}}", "c"),
            (
                "{{range .Mounts}}{{.Type}} {{.Destination}} {{.RW}};{{end}}",
                "volume /data true;bind /opt false;",
            ),
            ("{{join .HostConfig.Binds \",\"}}", "data:/data,/opt:/opt:ro"),
            ("{{.HostConfig.RestartPolicy.Name}} {{.RestartCount}}", "on-failure 0"),
            (
                "{{.HostConfig.CapAdd}} {{.HostConfig.CapDrop}}",
                "[CAP_SYS_TIME] [CAP_MKNOD]",
            ),
            (
                "{{.HostConfig.SecurityOpt}}{{.HostConfig.Init}}",
                "[no-new-privileges]true",
            ),
            ("{{.HostConfig.NetworkMode}} {{.HostConfig.AutoRemove}}", "none false"),
            ("{{.Config.OpenStdin}} {{.Config.Tty}} {{.Path}}", "true false sh"),
            (
                "{{len .NetworkSettings.Ports}}{{.State.FinishedAt}}",
                "00001-01-01T00:00:00Z",
            ),
        ] {
            assert_eq!(house.known("web", template), said, "{template}");
        }
        assert_eq!(house.known("old", "{{.State.ExitCode}} {{.State.Pid}}"), "3 0");
        let words = "{{json .Config.Entrypoint}} {{json .Config.Cmd}}";
        assert!(house.known("old", words).starts_with("null [\"sh\",\"-c\","));
        let changes = ["-c", "ENTRYPOINT [\"echo\", \"a\"]", "-c", "CMD [\"b\"]"];
        let tarball = busybox().display().to_string();
        house.says(&[&["import"][..], &changes, &[&tarball, "speaks"]].concat());
        house.says(&["create", "--name", "speaks", "speaks"]);
        assert_eq!(house.known("speaks", words), "[\"echo\",\"a\"] [\"b\"]");
        house.says(&["create", "--name", "other", "--entrypoint", "ls", "speaks"]);
        assert_eq!(house.known("other", words), "[\"ls\"] null");
        let times =
            house.known("old", "{{.Created}} {{.State.StartedAt}} {{.State.FinishedAt}}");
        let times: Vec<&str> = times.split(' ').collect();
        assert!(
            times.is_sorted() && times.iter().all(|it| it.ends_with('Z')),
            "{times:?}"
        );
        let sized = house.says(&["inspect", "-s", "-f", "{{.SizeRw}}", "old"]);
        assert_eq!(sized, "6\n");
        let kinds = [("container", "old"), ("image", "box"), ("volume", "data")];
        for (kind, name) in kinds {
            let known = house.says(&["inspect", "--type", kind, name]);
            let list: Value = serde_json::from_str(&known).expect("it is JSON");
            assert_eq!(list.as_array().map(Vec::len), Some(1), "{known}");
            assert_eq!(house.says(&["inspect", name]), known);
        }
        let wrong = house.end(&["inspect", "--type", "image", "old"]);
        assert!(wrong.assert_status(1).err.starts_with("error: "), "{wrong:?}");
        let wrong = house.end(&["inspect", "-f", "{{.Nothing}}", "old"]);
        wrong.assert_status(1).assert_one_error();
    });
}

#[test]
fn what_runs_in_it_is_shown_by_the_hosts_numbers() {
    undisturbed(|| {
        let house = House::new();
        let id = house.runs("web", &ALONE);
        let first = house.known("web", "{{.State.Pid}}");
        // The shell becomes one of them after it has started the other.
        until("two processes", || {
            let both = house.lines(&["top", "web"]);
            let is_tail =
                |line: &String| line.contains(" tail -f ") && !line.contains('&');
            (both.len() == 3 && both[1..].iter().all(is_tail)).then_some(())
        });
        let shown = house.lines(&["top", "web"]);
        let titles = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"];
        assert_eq!(cells(&shown[0]), titles);
        assert!(shown[1..].iter().any(|line| cells(line)[1] == first), "{shown:?}");
        let own = house.lines(&["container", "top", &id, "-o", "pid,args"]);
        let is_first = |line: &String| cells(line) == [&*first, "tail -f /dev/null"];
        assert!(own[1..].iter().any(is_first), "{own:?}");
        for args in [&["-o", "args"][..], &["--nonsense"]] {
            let wrong = house.end(&[&["top", "web"][..], args].concat());
            wrong.assert_status(1).assert_one_error();
        }
        house.says(&["rm", "-f", "web"]);
        house.end(&["top", "web"]).assert_status(1).assert_one_error();
    });
}

#[test]
fn its_ports_are_told() {
    undisturbed(|| {
        let house = House::new();
        let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
        let port = free.expect("there is one").port();
        let publish = format!("127.0.0.1:{port}:80");
        house.runs("web", &["-p", &publish]);
        let place = format!("127.0.0.1:{port}");
        assert_eq!(house.says(&["port", "web"]), format!("80/tcp -> {place}\n"));
        assert_eq!(house.says(&["port", "web", "80/tcp"]), format!("{place}\n"));
        house.end(&["port", "web", "81"]).assert_status(1).assert_one_error();
        let listed = house.says(&["ps", "--format", "{{.Ports}}"]);
        assert_eq!(listed, format!("{place}->80/tcp\n"));
        assert_eq!(house.names(&["--filter", &format!("publish={port}")]), "web");
        let first = "{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}";
        assert_eq!(house.known("web", first), port.to_string());
        let address = house.known("web", "{{.NetworkSettings.IPAddress}}");
        let networks = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        assert_eq!(house.known("web", networks), address);
        house.says(&["stop", "-t", "0", "web"]);
        assert_eq!(house.says(&["port", "web"]), "");
    });
}

#[test]
fn stats_go_on_when_one_of_the_named_ends() {
    undisturbed(|| {
        let house = House::new();
        for name in ["one", "two"] {
            house.runs(name, &[&ALONE[..], &["--rm"]].concat());
        }
        let stats = ["stats", "--format", "{{.Name}} {{.PIDs}}", "one", "two"];
        let mut child = house.0.engine(&stats).start();
        let mut shown = BufReader::new(child.stdout.take().expect("it is piped"));
        await_line(&mut shown, |line| line.starts_with("two "));
        house.says(&["rm", "-f", "one"]);
        await_line(&mut shown, |line| line == "one --");
        await_line(&mut shown, |line| line.starts_with("two ") && line != "two --");
        house.says(&["rm", "-f", "two"]);
        let ending = Ending::from(child.wait_with_output().expect("it ends"));
        ending.assert_status(0).assert_quiet();
        house.ended("old", "0", &[]);
        let once = ["stats", "--no-stream", "--format", "{{.Name}}"];
        assert_eq!(house.says(&once), "");
        assert_eq!(house.says(&[&once[..], &["-a"]].concat()), "old\n");
    });
}

#[test]
fn what_nobody_uses_can_go() {
    undisturbed(|| {
        let house = House::new();
        house.runs("web", &[&ALONE[..], &["-v", "data:/data"]].concat());
        house.ended("one", "0", &["--label", "goes"]);
        house.ended("two", "0", &["-v", "/nameless"]);
        let df = house.lines(&[
            "system",
            "df",
            "--format",
            "{{.Type}}: {{.TotalCount}} {{.Active}}",
        ]);
        assert_eq!(
            df,
            ["Images: 1 1", "Containers: 3 1", "Local Volumes: 2 2", "Build Cache: 0 0"]
        );
        let verbose = house.says(&["system", "df", "-v"]);
        assert!(verbose.contains("data") && verbose.contains("web"), "{verbose}");

        let asked = house.0.engine(&["container", "prune"]).end_with("");
        assert!(asked.assert_status(0).out.ends_with("\nTotal reclaimed space: 0B\n"));
        assert_eq!(house.names(&["-a"]), "two one web");
        let pruned = house.says(&["container", "prune", "-f", "--filter", "label=goes"]);
        assert!(pruned.starts_with("Deleted Containers:\n"), "{pruned}");
        assert!(pruned.ends_with("\nTotal reclaimed space: 6B\n"), "{pruned}");
        assert_eq!(house.names(&["-a"]), "two web");
        let pruned = house.says(&["system", "prune", "-a", "-f", "--volumes"]);
        assert!(pruned.contains("Deleted Volumes:\n"), "{pruned}");
        assert_eq!(house.names(&["-a"]), "web");
        assert_eq!(house.lines(&["images", "-q"]).len(), 1, "web stands on it");
        assert_eq!(house.lines(&["volume", "ls", "-q"]), ["data"]);
        house.says(&["rm", "-f", "web"]);
        house.says(&["system", "prune", "-a", "-f"]);
        assert_eq!(house.lines(&["images", "-q"]).len(), 0);
    });
}

#[test]
fn the_engine_tells_of_itself() {
    undisturbed(|| {
        let house = House::new();
        house.ended("old", "0", &[]);
        let template = "{{.Containers}} {{.ContainersRunning}} {{.Images}} {{.OSType}}";
        assert_eq!(house.says(&["info", "-f", template]), "1 0 1 linux\n");
        let info = house.says(&["system", "info"]);
        assert!(info.starts_with("Containers: 1\n Running: 0\n"), "{info}");
        let version = house.says(&["version", "--format", "{{.Server.Version}}"]);
        assert_eq!(house.says(&["--version"]), format!("fakedocker {version}"));
        assert!(house.says(&["version"]).starts_with(&format!("fakedocker {version}")));
    });
}

#[test]
fn who_is_not_root_sees_the_same() {
    undisturbed(|| {
        let student = Student::new();
        import(&student, &busybox(), "box").assert_status(0);
        let says = |args: &[&str]| {
            student.engine(args).end().assert_status(0).assert_quiet().out.clone()
        };
        let run = ["run", "-d", "-e", MARK, "--network", "none", "--name", "web", "box"];
        let id = says(&[&run[..], &["tail", "-f", "/dev/null"]].concat());
        assert_eq!(says(&["ps", "-q", "--no-trunc"]), id);
        let shown = says(&["top", "web"]);
        assert_eq!(shown.lines().count(), 2, "{shown}");
        assert!(shown.ends_with("tail -f /dev/null\n"), "{shown}");
        let stats = says(&["stats", "--no-stream", "--format", "{{.Name}}"]);
        assert_eq!(stats, "web\n");
        assert!(says(&["system", "df"]).contains("Containers      1       1"));
        assert_eq!(says(&["info", "-f", "{{.Rootless}}"]), "true\n");
        assert_eq!(says(&["rm", "-f", "web"]), "web\n");
        let past = ["events", "--since", "1h", "--until", "0s", "--filter", "event=die"];
        assert_eq!(says(&past).lines().count(), 1);
    });
}

#[test]
fn the_word_container_can_stand_before() {
    undisturbed(|| {
        let house = House::new();
        let run = |command: &str| {
            let run = ["container", "run", "--rm", "--network", "none", "box"];
            house.end(&[&run[..], &[command]].concat())
        };
        run("true").assert_status(0).assert_quiet();
        run("nonsense").assert_status(127).assert_one_error();
        house.says(&["container", "create", "--name", "made", "box", "true"]);
        assert_eq!(house.lines(&["container", "list", "-aq"]).len(), 1);
        assert_eq!(house.says(&["container", "rm", "made"]), "made\n");
        house.end(&["container", "rm", "made"]).assert_status(1).assert_one_error();
    });
}

#[test]
fn images_and_their_history_take_templates() {
    undisturbed(|| {
        let house = House::new();
        let images = ["images", "--format", "{{.Repository}}:{{.Tag}}"];
        assert_eq!(house.says(&images), "box:latest\n");
        let table = house.lines(&["images", "--format", "table {{.ID}}\\t{{.Tag}}"]);
        assert_eq!(cells(&table[0]), ["IMAGE ID", "TAG"]);
        let id = house.says(&["images", "-q"]);
        assert_eq!(house.says(&["history", "-q", "box"]), id);
        let comment = house.says(&["history", "--format", "{{.Comment}}", "box"]);
        assert!(comment.starts_with("Imported from "), "{comment}");
        let wrong = house.end(&["images", "--format", "{{.Colour}}"]);
        wrong.assert_status(1).assert_one_error();
    });
}
