//! Does a Dockerfile become the image that it describes?
//!
//! Built on a busybox, run, built once more, and built wrongly.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::engine::{Ending, Folder, Store};
use crate::support::machine::undisturbed;
use crate::support::processes::{self, await_one};
use crate::support::rootfs::busybox;
use crate::support::student::Student;

/// A folder with a Dockerfile and some files.
fn context(dockerfile: &str) -> Folder {
    let folder = Folder::new("context");
    folder.write("Dockerfile", dockerfile);
    fs::create_dir(folder.at("files")).expect("it is ours");
    folder.write("files/one", "first\n");
    folder.write("files/two.md", "second\n");
    folder
}

fn build(store: &Store, context: &Folder, flags: &[&str]) -> Ending {
    let path = context.path().display().to_string();
    store.engine(&[&["build"], flags, &[&path]].concat()).end()
}

/// What a shell in `image` prints.
fn seen(store: &Store, image: &str, script: &str) -> String {
    let run = store.run(&["--network", "none", image, "sh", "-c", script]).end();
    run.assert_status(0).assert_quiet().out.clone()
}

const WHOLE: &str = "\
# A comment
ARG BASE=nosuch
FROM ${BASE} AS first
ARG who=nobody
ENV greeting=\"hello $who\" other=${who:+there}
WORKDIR /work
WORKDIR below
RUN echo \"$greeting\" > said \\
    # not this line
    && pwd && id -u && rm /etc/group && mkdir /made
COPY files/ copied
COPY --chown=65534:7 --chmod=640 files/o*e /work/
ADD archive.tar /unpacked/
USER nobody
RUN [\"sh\", \"-c\", \"id -u > /tmp/me\"]
FROM first
EXPOSE 80 53/udp
CMD [\"sh\", \"-c\", \"cat said\"]
LABEL a=b
";

#[test]
fn a_dockerfile_becomes_an_image() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        let context = context(WHOLE);
        let mut tar = Command::new("tar");
        let tar = tar.arg("-C").arg(context.path()).arg("-cf");
        let made = tar.arg(context.at("archive.tar")).arg("files").status();
        assert!(made.expect("there is a tar").success());
        let flags = ["--network=none", "--build-arg=BASE=busybox", "--build-arg=who=you"];
        let named = [&flags[..], &["-t", "made", "-t", "made:1"]].concat();
        let first = build(&store, &context, &named);
        let out = &first.assert_status(0).assert_quiet().out;
        assert!(out.starts_with("Step 1/15 : FROM ${BASE} AS first\n ---> "), "{out}");
        assert!(out.contains("\n/work/below\n0\n ---> "), "{out}");
        assert!(
            out.ends_with(
                "Successfully tagged made:latest\nSuccessfully tagged made:1\n"
            ),
            "{out}"
        );
        let script = "pwd; cat said; echo $greeting $other; ls copied; id -u; cat /tmp/me
            stat -c '%a %u %g' /work/one; cat /unpacked/files/one; ls -d /made
            test -e /etc/group || echo gone; test -e /etc/hosts && echo mounted";
        let expected = "/work/below\nhello you\nhello you there\none\ntwo.md\n65534\n65534\n\
            640 65534 7\nfirst\n/made\ngone\nmounted\n";
        assert_eq!(seen(&store, "made", script), expected);
        let usual = store.run(&["made:1"]).end();
        assert_eq!(usual.assert_status(0).out, "hello you\n");
        // What the engine made to mount on is in no layer.
        for image in fs::read_dir(store.path().join("layers")).expect("there are some") {
            let layer = image.expect("it can be read").path();
            assert!(!layer.join("etc/hosts").exists(), "{layer:?}");
        }
        // Once more: nothing is done, and it is the same image.
        let again = build(&store, &context, &named);
        let out = &again.assert_status(0).out;
        assert_eq!(out.matches(" ---> Using cache\n").count(), 13, "{out}");
        assert_eq!(out.lines().rev().nth(2), first.out.lines().rev().nth(2));
        // Another file: what stands on it is done again, and not what is before.
        context.write("files/one", "other\n");
        let changed = build(&store, &context, &flags).assert_status(0).out.clone();
        assert_eq!(changed.matches("Using cache").count(), 5, "{changed}");
        let anew = build(&store, &context, &[&flags[..], &["--no-cache"]].concat());
        assert_eq!(anew.assert_status(0).out.matches("Using cache").count(), 0);
        store.assert_no_container();
    });
}

#[test]
fn the_same_input_makes_the_same_image() {
    undisturbed(|| {
        let dockerfile = "FROM busybox\nWORKDIR /new\nRUN date > /dev/null; touch /etc/x; \
            rm -r /var/tmp\nCOPY files /\n";
        let ids: BTreeSet<String> = (0..2)
            .map(|_| {
                let (store, context) = (Store::new(), context(dockerfile));
                let path = context.path().display().to_string();
                let tarball = busybox().display().to_string();
                let import = store.engine(&["import", &tarball, "busybox"]);
                import.env("SOURCE_DATE_EPOCH", "1000000000").end().assert_status(0);
                let mut touch = Command::new("touch");
                touch.args(["-d", "2001-01-01"]).arg(context.at("files/one"));
                assert!(touch.status().expect("there is a touch").success());
                let build = store.engine(&["build", "-q", "--network=none", &path]);
                let built = build.env("SOURCE_DATE_EPOCH", "1000000000").end();
                built.assert_status(0).out.clone()
            })
            .collect();
        assert_eq!(ids.len(), 1, "{ids:?}");
    });
}

#[test]
fn stages_are_built_when_they_are_needed() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        let context = context(
            "FROM busybox AS One\nRUN echo one > /result; ln -s /result /link\n\
             FROM nosuch AS unneeded\nRUN false\n\
             FROM scratch AS last\nCOPY --from=one /link /a\nCOPY --from=0 /bin/busybox /bin/\n\
             COPY --from=busybox /etc/pass* /etc/\n",
        );
        build(&store, &context, &["-t", "last"]).assert_status(0).assert_quiet();
        let run = store.run(&["last", "/bin/busybox", "cat", "/a", "/etc/passwd"]).end();
        assert!(run.assert_status(0).out.starts_with("one\nroot:"), "{run:?}");
        let one = build(&store, &context, &["--target", "ONE", "-t", "one"]);
        assert!(one.assert_status(0).out.contains("Step 2/2"), "{one:?}");
        assert_eq!(seen(&store, "one", "cat /link"), "one\n");
        let wrong = build(&store, &context, &["--target", "two"]);
        wrong.assert_status(1).assert_one_error();
    });
}

#[test]
fn what_is_copied_is_the_contexts() {
    undisturbed(|| {
        let (store, outside) =
            (Store::with("busybox", &busybox()), Folder::new("outside"));
        outside.write("secret", "secret\n");
        let context = context(&format!(
            "FROM busybox\nRUN mkdir -p {0} && ln -s {0} /out && ln -s /etc/nothing /file\n\
             COPY files/* /out/\nCOPY . /all\nCOPY files/one /file\n",
            outside.path().display()
        ));
        context.write(".dockerignore", "*\n!files\nfiles/*.md\n!kept\n");
        context.write("left-out", "");
        fs::create_dir(context.at("kept")).expect("it is ours");
        symlink(outside.at("secret"), context.at("kept/link")).expect("it is ours");
        build(&store, &context, &["-t", "made", "--network=none"]).assert_status(0);
        // The link in the image leads to a folder of the image's.
        assert_eq!(fs::read_dir(outside.path()).expect("it is ours").count(), 1);
        let script = format!("ls {}; find /all | sort; cat /etc/nothing", outside.at(""));
        let expected =
            "one\n/all\n/all/files\n/all/files/one\n/all/kept\n/all/kept/link\nfirst\n";
        assert_eq!(seen(&store, "made", &script), expected);
        // A link of the context's leads nowhere else, either.
        context.write("Dockerfile", "FROM busybox\nCOPY kept/link /stolen\n");
        let stolen = build(&store, &context, &[]);
        let error = &stolen.assert_status(1).err;
        assert!(error.contains("Dockerfile:2: there is no \"kept/link\""), "{error}");
    });
}

#[test]
fn what_is_wrong_is_told_in_a_line_with_its_place() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        for (steps, expected) in [
            ("RUN exit 7", "Dockerfile:2: RUN exit 7: exit status 7"),
            ("RUN [\"nosuch\"]", "Dockerfile:2: RUN [\"nosuch\"]: \"nosuch\": no such"),
            ("\n\nRUNN x", "Dockerfile:4: RUNN is no instruction"),
            ("ADD https://x/y /", "Dockerfile:2: ADD https://x/y: nothing is fetched"),
            ("COPY <<EOF /x", "Dockerfile:2: COPY <<: here-documents are not read"),
            ("COPY nosuch /", "Dockerfile:2: there is no \"nosuch\" to be copied"),
            ("COPY files/one files/two.md /x", "Dockerfile:2: several files go into"),
            ("COPY --chmod=u+x files /", "Dockerfile:2: --chmod=u+x: give an octal"),
            ("COPY --chown=nosuch files /", "Dockerfile:2: user \"nosuch\" is not in"),
            ("COPY files/one /bin/sh/x", "Dockerfile:2: /bin/sh is no folder"),
            ("ONBUILD RUN x", "Dockerfile:2: ONBUILD: instructions for later"),
            ("ENV a=${b", "Dockerfile:2: ${b…: this is not understood"),
            ("FROM scratch\nRUN x", "Dockerfile:3: RUN x: the image is empty"),
            ("FROM nosuch", "Dockerfile:2: no image called \"nosuch\""),
        ] {
            let context = context(&format!("FROM busybox\n{steps}\n"));
            let built = build(&store, &context, &["--network=none"]);
            let error = built.assert_status(1).err.lines().next().unwrap_or_default();
            assert!(error.starts_with(&format!("error: {expected}")), "{steps}: {error}");
            assert!(built.err.lines().count() <= 2, "{built:?}");
            store.assert_no_container();
        }
        let quiet = context("FROM busybox\nRUN echo said; echo more >&2; exit 3\n");
        let quiet = build(&store, &quiet, &["-q", "--network=none"]);
        let expected = "said\nmore\nerror: Dockerfile:2: RUN echo said; echo more >&2; \
            exit 3: exit status 3\n";
        assert_eq!((quiet.status, quiet.err.as_str()), (Some(1), expected));
    });
}

#[test]
fn a_build_reads_standard_input() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        let context = context("FROM busybox\nCOPY files/one /from-archive\n");
        let path = context.path().display().to_string();
        let dockerfile = "FROM busybox\nCOPY files/one /from-folder\n";
        let flags = ["build", "-q", "-t", "a", "-f", "-", &path];
        let built = store.engine(&flags).end_with(dockerfile);
        assert!(built.assert_status(0).assert_quiet().out.starts_with("sha256:"));
        let archive = context.at("archive.tar");
        let mut tar = Command::new("tar");
        tar.args(["-C", &path, "-czf", &archive, "Dockerfile", "files"]);
        assert!(tar.status().expect("there is a tar").success());
        let archive = fs::File::open(archive).expect("it was made");
        let built = store.engine(&["build", "-t", "b", "-"]).end_from(archive);
        built.assert_status(0).assert_quiet();
        assert_eq!(seen(&store, "a", "cat /from-folder"), "first\n");
        assert_eq!(seen(&store, "b", "cat /from-archive"), "first\n");
    });
}

/// Layers and blobs: what could be left over.
fn kept(store: &Store) -> BTreeSet<PathBuf> {
    let below = |name: &str| store.path().join(name);
    let folders = ["layers", "blobs/sha256", "drafts", "incoming", "containers"];
    let entries = folders.iter().flat_map(|name| fs::read_dir(below(name)));
    entries.flatten().flatten().map(|entry| entry.path()).collect()
}

#[test]
fn what_was_built_goes_when_nobody_wants_it() {
    undisturbed(|| {
        let store = Store::with("busybox", &busybox());
        let before = kept(&store);
        let context = context("FROM busybox\nCOPY files /\nRUN touch /x\nENV a=b\n");
        let build =
            |flags: &[&str]| build(&store, &context, flags).assert_status(0).out.clone();
        build(&["-t", "made"]);
        store.engine(&["rmi", "made"]).end().assert_status(0);
        // The cache has it still.
        assert_eq!(build(&["-t", "made"]).matches("Using cache").count(), 3);
        store.engine(&["image", "prune", "-f"]).end().assert_status(0);
        assert_eq!(build(&["-t", "made"]).matches("Using cache").count(), 3);
        store.engine(&["rmi", "made"]).end().assert_status(0);
        store.engine(&["image", "prune", "-f"]).end().assert_status(0);
        assert_eq!(kept(&store), before);
        // A build that is killed leaves nothing that the next command does not take away.
        let mark = processes::MARK;
        let endless = format!("FROM busybox\nARG {mark}\nRUN tail -f /dev/null\n");
        context.write("Dockerfile", &endless);
        let path = context.path().display().to_string();
        let flags = ["build", "--network=none", "--build-arg", mark, &path];
        for signal in [Signal::SIGKILL, Signal::SIGINT] {
            let mut build = store.engine(&flags).start();
            await_one("tail", |process| process.name == "tail");
            let pid = Pid::from_raw(build.id().cast_signed());
            kill(pid, signal).expect("it is there");
            let status = build.wait().expect("it ends");
            // One Ctrl-C is enough, although nobody hears it who is number 1.
            assert_eq!(status.code(), (signal == Signal::SIGINT).then_some(1));
            store.engine(&["images"]).end().assert_status(0);
        }
        store.engine(&["image", "prune", "-f"]).end().assert_status(0);
        assert_eq!(kept(&store), before);
    });
}

#[test]
fn who_is_not_root_builds_as_well() {
    undisturbed(|| {
        for student in [Student::new(), Student::with_numbers()] {
            let tarball = fs::File::open(busybox()).expect("it was made");
            student
                .engine(&["import", "-", "busybox"])
                .end_from(tarball)
                .assert_status(0);
            let context = context(
                "FROM busybox\nRUN id -u > /me; rm /etc/group\nWORKDIR /w\nCOPY files .\n",
            );
            let path = context.path().display().to_string();
            let flags = ["build", "--network=host", "-t", "made", &path];
            student.engine(&flags).end().assert_status(0);
            let script = "cat /me one; ls /etc; pwd";
            let run = ["--network=host", "made", "sh", "-c", script];
            let seen = student.run(&run).end();
            let expected = "0\nfirst\nhostname\nhosts\npasswd\nresolv.conf\n/w\n";
            assert_eq!(seen.assert_status(0).out, expected, "{}", seen.err);
        }
    });
}
