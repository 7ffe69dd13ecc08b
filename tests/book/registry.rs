//! Do images come and go whole, whatever the registry and the network do?
//!
//! Against Debian's docker-registry, and skopeo's view of it; and against a registry of the tests'
//! own that lies, breaks off and says nothing. Each failure is one line, and the store is as
//! before, but for what a later pull goes on with.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use image::manifest::{Descriptor, LAYER, MANIFEST, Manifest, Platform};
use image::{Digest, Layout};

use crate::support::engine::{Ending, Engine, Folder, Store};
use crate::support::machine::undisturbed;
use crate::support::registry::{Answer, Asked, Fake, Made, Real, Wire};
use crate::support::registry::{archive, machine, must, random};
use crate::support::rootfs::{busybox, busybox_as};
use crate::support::student::Student;
use crate::support::wait::until;

const PRESERVE: &str = "--preserve-digests";

/// A pull that fails: one line that has `why` in it, status 1, and the store as before.
fn refused(store: &Store, args: &[&str], why: &str) {
    let before = store.contents();
    let mut ending = store.engine(&[&["pull"], args].concat()).end();
    // One layer may have been fine, and told before the failure.
    let told = ending.out.lines().all(|line| line.ends_with(": Pull complete"));
    assert!(told, "{ending:#?}");
    ending.out.clear();
    let line = ending.assert_status(1).assert_one_error();
    assert!(line.contains(why), "{line}: should say {why}");
    assert!(line.len() < 400, "{line}");
    assert_eq!(store.contents(), before, "{why}");
}

/// A store that is in use: its locks are there.
fn store() -> Store {
    Store::with("old", &busybox())
}

fn lines(ending: &Ending) -> Vec<&str> {
    ending.assert_status(0).assert_quiet().out.lines().collect()
}

/// The image of busybox, its layer packed as `ending` says.
fn image(made: &Made, machine: Platform, ending: &str) -> Descriptor {
    let plain = fs::read(busybox()).expect("it was made");
    let packed = match ending {
        "" => plain.clone(),
        "+gzip" => fs::read(busybox_as("gz")).expect("it was made"),
        _ => fs::read(busybox_as("zst")).expect("it was made"),
    };
    made.image(machine, &plain, ending, &packed)
}

/// A small image of one file of random bytes.
fn small(made: &Made, length: usize) -> Descriptor {
    let plain = archive("file", &random(length));
    made.image(Platform::here(), &plain, "", &plain)
}

fn layer_of(made: &Made, image: &Descriptor) -> Descriptor {
    let text = made.layout.read(image).expect("it is there");
    Manifest::parse(&text).expect("it is one").layers.remove(0)
}

#[test]
fn images_of_each_kind_are_pulled_and_run() {
    undisturbed(|| {
        let (real, made, store) = (Real::start(), Made::new(), store());
        for (path, ending, options) in [
            ("plain/image:1", "", &[PRESERVE][..]),
            ("gzip", "+gzip", &[PRESERVE]),
            ("zstd", "+zstd", &[PRESERVE]),
            ("docker/v2s2", "+gzip", &["--format", "v2s2"]),
        ] {
            made.call(image(&made, Platform::here(), ending), path);
            real.fill(&made.place(path), path, options);
            let name = real.name(path);
            let pull = store.engine(&["pull", &name]).end();
            let tagged = if path.ends_with(":1") { "" } else { ":latest" };
            let digest = real.digest(path);
            let said = lines(&pull);
            assert!(
                said[0].ends_with(": Pull complete")
                    || said[0].ends_with(": Already exists")
            );
            let expected = [
                format!("Digest: {digest}"),
                format!("Status: Downloaded newer image for {name}{tagged}"),
                format!("{name}{tagged}"),
            ];
            assert_eq!(said[1..], expected, "{path}");
            let run = store.run(&[&name, "id", "-u"]).end();
            assert_eq!(run.assert_status(0).assert_quiet().out, "0\n");
            let again = store.engine(&["pull", &name]).end();
            let expected = format!("Status: Image is up to date for {name}{tagged}");
            assert_eq!(lines(&again)[1], expected);
            if options != [PRESERVE] {
                // In a layout, skopeo knows no formats of Docker's.
                continue;
            }
            // Others can read it where it is now, digests and all.
            let place = format!("oci:{}:{name}{tagged}", store.path().display());
            let copy = Folder::new("copy");
            let copied = format!("oci:{}:copy", copy.path().display());
            must("skopeo", &["copy", "--quiet", PRESERVE, &place, &copied]);
            let index = Layout::open(copy.path()).and_then(|copy| copy.index());
            assert_eq!(index.expect("it is one").manifests[0].digest.to_string(), digest);
        }
    });
}

#[test]
fn an_image_is_got_before_it_is_run_if_it_has_to_be() {
    undisturbed(|| {
        let (made, store) = (Made::new(), store());
        let image = image(&made, Platform::here(), "+gzip");
        let fake = Fake::serving(&made, &image, |_| None);
        let name = fake.name("a");
        let run = |flags: &[&str]| {
            let command = ["--network", "none", &name, "echo", "well"];
            store.run(&[flags, &command].concat()).end()
        };
        let never = run(&["--pull", "never"]);
        let line = never.assert_status(125).assert_one_error();
        assert!(line.contains("no image called") && fake.asked().is_empty(), "{line}");

        let missing = run(&[]);
        let said: Vec<&str> = missing.assert_status(0).err.lines().collect();
        assert_eq!(missing.out, "well\n");
        assert_eq!(said[0], format!("Unable to find image '{name}:latest' locally"));
        assert!(said[1].ends_with(": Pull complete"), "{said:?}");
        let downloaded = format!("Status: Downloaded newer image for {name}:latest");
        assert_eq!(said[2..], [format!("Digest: {}", image.digest), downloaded]);

        let asked = fake.asked().len();
        run(&["--pull=missing"]).assert_status(0).assert_quiet();
        assert_eq!(fake.asked().len(), asked);
        let always = run(&["--pull", "always"]);
        let same = format!("Status: Image is up to date for {name}:latest");
        assert_eq!(always.assert_status(0).err.lines().last(), Some(&*same));
        assert_eq!(always.out, "well\n");
        assert!(fake.asked().len() > asked);

        store.engine(&["rmi", &name]).end().assert_status(0);
        let create = store.engine(&["create", "--name", "box", &name, "true"]).end();
        assert_eq!(create.assert_status(0).out.trim_end().len(), 64);
        assert!(create.err.starts_with(said[0]), "{create:?}");
        store.engine(&["rm", "box"]).end().assert_status(0);
        let pulls =
            ["events", "--since", "1h", "--until", "0s", "--filter", "event=pull"];
        let pulls = store.engine(&[&pulls[..], &["--format", "{{.ID}}"]].concat()).end();
        assert_eq!(lines(&pulls), [&*format!("{name}:latest"); 3]);
    });
}

#[test]
fn what_cannot_be_got_is_told_in_one_line_more() {
    undisturbed(|| {
        let store = store();
        let before = store.contents();
        let run = store.run(&["127.0.0.1:1/a:b", "true"]).end();
        let said: Vec<&str> = run.assert_status(125).err.lines().collect();
        assert_eq!(said[0], "Unable to find image '127.0.0.1:1/a:b' locally");
        assert!(said[1].starts_with("error: 127.0.0.1:1: ECONNREFUSED"), "{said:?}");
        assert!(said[2].starts_with("hint: fakedocker import TARBALL "), "{said:?}");
        assert_eq!(said.len(), 3);
        let always = store.run(&["--pull", "always", "old", "true"]);
        let proxy = Fake::start(|_| Answer::new(502, b""));
        let address = format!("http://127.0.0.1:{}", proxy.port);
        // Docker Hub is where names without a registry are.
        let always = always.env("HTTPS_PROXY", address).end();
        always.assert_status(125).assert_one_error();
        assert!(proxy.asked()[0].is("CONNECT registry-1.docker.io:443 "));
        let often = store.run(&["--pull", "often", "old", "true"]).end();
        assert!(often.assert_status(125).assert_one_error().contains("missing, always"));
        assert_eq!(store.contents(), before);
    });
}

#[test]
fn a_digest_says_which_image_and_quiet_says_only_its_name() {
    undisturbed(|| {
        let (real, made, store) = (Real::start(), Made::new(), store());
        let (one, other) = (small(&made, 10), small(&made, 20));
        made.call(one.clone(), "one");
        made.call(other, "other");
        real.fill(&made.place("one"), "it:tag", &[PRESERVE]);
        real.fill(&made.place("other"), "it:tag", &[PRESERVE]);
        let name = real.name(&format!("it@{}", one.digest));
        let pull = store.engine(&["pull", "-q", &name]).end();
        assert_eq!(lines(&pull), [&name]);
        let listed = store.engine(&["images", "--digests", &real.name("it")]).end();
        let row = lines(&listed)[1].split_whitespace().collect::<Vec<_>>().join(" ");
        let expected = format!("{} <none> {}", real.name("it"), one.digest);
        assert!(row.starts_with(&expected), "{row}");
        let student = Student::new();
        let pull = student.engine(&["pull", "-q", &real.name("it:tag")]).end();
        assert_eq!(lines(&pull), [real.name("it:tag")]);
    });
}

#[test]
fn of_many_machines_the_image_is_for_this_one() {
    undisturbed(|| {
        let (real, made, store) = (Real::start(), Made::new(), store());
        let others = ["linux/arm/v6", "linux/arm/v7", "plan9/mips"];
        let mut all: Vec<Descriptor> =
            others.iter().map(|name| Descriptor { ..small_for(&made, name) }).collect();
        all.push(image(&made, Platform::here(), "+gzip"));
        made.call(made.index(all.clone()), "all");
        real.fill(&made.place("all"), "all", &["--all", PRESERVE]);
        let name = real.name("all");
        let digests = |args: &[&str]| {
            let pull = store.engine(&[&["pull"], args, &[&name]].concat()).end();
            let index = format!("Digest: {}", real.digest("all"));
            assert!(lines(&pull).contains(&index.as_str()), "{pull:#?}");
            let list = store.engine(&["images", "--digests", &name]).end();
            let row: Vec<&str> = lines(&list)[1].split_whitespace().collect();
            row[2].to_string()
        };
        assert_eq!(digests(&[]), all[3].digest.to_string());
        store.run(&[&name, "true"]).end().assert_status(0).assert_quiet();
        assert_eq!(digests(&["--platform", "linux/arm/v7"]), all[1].digest.to_string());
        assert_eq!(digests(&["--platform", "plan9/mips"]), all[2].digest.to_string());
        let known =
            "no image for linux/s390x, there is linux/arm/v6, linux/arm/v7, plan9/mips";
        refused(&store, &["--platform", "linux/s390x", &name], known);
        refused(&store, &["--platform", "linux", &name], "\"linux\" is no platform");
    });
}

fn small_for(made: &Made, name: &str) -> Descriptor {
    let plain = archive("machine", name.as_bytes());
    made.image(machine(name), &plain, "", &plain)
}

#[test]
fn what_is_pushed_is_what_skopeo_finds() {
    undisturbed(|| {
        let (real, store) = (Real::start(), Store::new());
        let name = real.name("my/busybox:1");
        let tarball = busybox().display().to_string();
        store.engine(&["import", &tarball, &name]).end().assert_status(0);
        let push = store.engine(&["push", &name]).end();
        let said = lines(&push);
        let place =
            format!("The push refers to repository [{}]", real.name("my/busybox"));
        assert_eq!(said[0], place);
        assert!(said[1].ends_with(": Pushed"), "{said:?}");
        let digest = real.digest("my/busybox:1");
        assert!(said[2].starts_with(&format!("1: digest: {digest} size: ")), "{said:?}");
        let told = ["events", "--since", "1h", "--until", "0s", "--filter", "event=push"];
        let told = store.engine(&told).end();
        let event = format!(" image push {name} (name={})", real.name("my/busybox"));
        assert!(lines(&told)[0].ends_with(&event), "{told:?}");
        let again = store.engine(&["push", &name]).end();
        assert!(lines(&again)[1].ends_with(": Layer already exists"), "{again:#?}");
        // Skopeo reads all of it, and compares each digest.
        let copy = Folder::new("copy");
        let (from, to) =
            (format!("docker://{name}"), format!("dir:{}", copy.path().display()));
        must("skopeo", &["copy", "--quiet", "--src-tls-verify=false", &from, &to]);
        // An image of umoci's, which was never here, goes through us unchanged.
        let (layout, bundle) =
            (format!("{}:umoci", copy.at("layout")), copy.at("bundle"));
        must("umoci", &["init", "--layout", &copy.at("layout")]);
        must("umoci", &["new", "--image", &layout]);
        must("umoci", &["unpack", "--image", &layout, &bundle]);
        let file = format!("{bundle}/rootfs/busybox");
        fs::copy("/usr/bin/busybox", file).expect("the folder is ours");
        must("umoci", &["repack", "--image", &layout, &bundle]);
        must("umoci", &["config", "--image", &layout, "--config.cmd", "/busybox"]);
        real.fill(&format!("oci:{layout}"), "umoci", &[]);
        let (theirs, ours) = (real.name("umoci"), real.name("ours:copy"));
        store.engine(&["pull", &theirs]).end().assert_status(0);
        store.engine(&["tag", &theirs, &ours]).end().assert_status(0);
        store.engine(&["push", &ours]).end().assert_status(0);
        assert_eq!(real.digest("ours:copy"), real.digest("umoci"));
        let run = store.run(&[&ours, "/busybox", "echo", "it runs"]).end();
        assert_eq!(run.assert_status(0).assert_quiet().out, "it runs\n");
        let nobody = store.engine(&["push", &real.name("nobody")]).end();
        nobody.assert_status(1).assert_one_error();
        let closed = store.engine(&["tag", &ours, "127.0.0.1:1/x"]).end();
        closed.assert_status(0);
        let closed = store.engine(&["push", "127.0.0.1:1/x"]).end();
        let line = closed.assert_status(1).assert_one_error();
        assert!(
            line.ends_with("127.0.0.1:1: ECONNREFUSED (Connection refused)"),
            "{line}"
        );
    });
}

/// A registry that wants a token for all it has, and gives it to whom `knows` knows.
fn guarded(
    made: &Made,
    image: &Descriptor,
    knows: impl Fn(&Asked) -> bool + Send + Sync + 'static,
) -> Fake {
    Fake::serving(made, image, move |asked| {
        let host = asked.header("host");
        if asked.is("GET /token?") {
            assert!(asked.line.contains("service=it%20self&scope=repository:a/b:pull "));
            return Some(match knows(asked) {
                true => Answer::new(200, br#"{"token": "ticket"}"#),
                false => Answer::new(401, b""),
            });
        }
        let wanted = format!("Bearer realm=\"http://{host}/token\",service=\"it self\"");
        let denied = Answer::new(401, br#"{"errors": [{"code": "UNAUTHORIZED"}]}"#);
        (asked.header("authorization") != "Bearer ticket")
            .then(|| denied.header("WWW-Authenticate", &wanted))
    })
}

/// `somebody:secret`
const LOGIN: &str = "c29tZWJvZHk6c2VjcmV0";

/// A folder with a config.json that knows LOGIN at the registry `fake`.
fn login(fake: &Fake) -> Folder {
    let folder = Folder::new("login");
    let host = format!("127.0.0.1:{}", fake.port);
    folder.write(
        "config.json",
        &format!(r#"{{"auths": {{"{host}": {{"auth": "{LOGIN}"}}}}}}"#),
    );
    folder
}

#[test]
fn a_registry_is_told_who_asks_if_it_wants_to_know() {
    undisturbed(|| {
        let (made, nobody) = (Made::new(), Folder::new("login"));
        let image = small(&made, 1000);
        let pull = |store: &Store, fake: &Fake, login: &Folder| {
            let engine = store.engine(&["pull", "-q", &fake.name("a/b")]);
            engine.env("DOCKER_CONFIG", login.path()).end()
        };
        let fresh = store();
        let everybody =
            guarded(&made, &image, |asked| asked.header("authorization").is_empty());
        lines(&pull(&fresh, &everybody, &nobody));

        let known = guarded(&made, &image, |asked| {
            asked.header("authorization") == format!("Basic {LOGIN}")
        });
        let store = store();
        lines(&pull(&store, &known, &login(&known)));
        // The password is for the token only.
        let told = known
            .asked()
            .into_iter()
            .filter(|it| it.header("authorization").contains(LOGIN));
        assert!(told.into_iter().all(|asked| asked.is("GET /token?")));
        store.engine(&["rmi", &known.name("a/b")]).end().assert_status(0);
        let before = store.contents();
        let refused = pull(&store, &known, &nobody);
        let line = refused.assert_status(1).assert_one_error();
        assert!(line.ends_with("/token gives us no token: it answers 401"), "{line}");
        assert_eq!(store.contents(), before);

        let basic = Fake::serving(&made, &image, |asked| {
            let wrong = asked.header("authorization") != format!("Basic {LOGIN}");
            let denied = Answer::new(401, b"");
            wrong.then(|| denied.header("WWW-Authenticate", "Basic realm=\"x\""))
        });
        lines(&pull(&store, &basic, &login(&basic)));
        let podman = login(&basic).at("config.json");
        let engine = store.engine(&["pull", "-q", &basic.name("a/c")]);
        let without = engine.env("REGISTRY_AUTH_FILE", podman).end();
        without.assert_status(1).assert_one_error();
        let podman = login(&basic);
        let engine = store.engine(&["pull", "-q", &basic.name("a/c")]);
        lines(&engine.env("REGISTRY_AUTH_FILE", podman.at("config.json")).end());
    });
}

#[test]
fn who_we_are_is_told_to_nobody_else() {
    undisturbed(|| {
        let (made, store) = (Made::new(), store());
        let image = small(&made, 1000);
        let elsewhere = Fake::serving(&made, &image, |_| None);
        let port = elsewhere.port;
        let registry = Fake::serving(&made, &image, move |asked| {
            let path = asked.line.split(' ').nth(1).unwrap_or_default();
            if asked.header("authorization").is_empty() {
                let wanted = Answer::new(401, b"");
                return Some(wanted.header("WWW-Authenticate", "Basic realm=\"x\""));
            }
            let place = format!("http://localhost:{port}{path}");
            path.contains("/blobs/")
                .then(|| Answer::new(307, b"").header("Location", &place))
        });
        let engine = store.engine(&["pull", &registry.name("a")]);
        lines(&engine.env("DOCKER_CONFIG", login(&registry).path()).end());
        let asked = elsewhere.asked();
        assert_eq!(asked.len(), 2, "{asked:?}");
        assert!(
            asked.iter().all(|it| it.header("authorization").is_empty()),
            "{asked:?}"
        );

        // Nor by plain HTTP on a way that others can listen to, nor round and round.
        let away = Fake::serving(&made, &image, |asked| {
            let away = Answer::new(302, b"").header("Location", "http://192.0.2.1/x");
            asked.line.contains("/manifests/").then_some(away)
        });
        refused(&store, &[&away.name("b")], "192.0.2.1 is to be asked by plain HTTP");
        let round = Fake::serving(&made, &image, |asked| {
            let path = asked.line.split(' ').nth(1).unwrap_or_default();
            let round = Answer::new(302, b"").header("Location", path);
            asked.line.contains("/manifests/").then_some(round)
        });
        refused(&store, &[&round.name("b")], "it sends us from one place to the next");
    });
}

/// The answer to whoever asks for a blob or a manifest with `digest`.
fn for_blob(
    digest: &Digest,
    answer: Answer,
) -> impl Fn(&Asked) -> Option<Answer> + use<> {
    let end = format!("/{digest} HTTP/1.1");
    move |asked| asked.line.ends_with(&end).then(|| answer.clone())
}

#[test]
fn a_registry_that_is_wrong_is_told_in_one_line() {
    undisturbed(|| {
        let (made, store) = (Made::new(), store());
        let image = small(&made, 5000);
        let layer = layer_of(&made, &image);
        let right = made.layout.read(&layer).expect("it is there");
        let other = random(right.len());
        let longer = [&right[..], b"more"].concat();
        for (answer, why) in [
            (Answer::new(404, b""), "there is no blob sha256:"),
            (Answer::new(403, b""), "no blob sha256:"),
            (Answer::new(200, &other), "is damaged: its digest is"),
            (Answer::new(200, &right[..4000]), "sends less than the 6656 bytes"),
            (Answer::new(200, &longer), "sends more than the 6656 bytes"),
            (Answer::new(302, b"").header("Location", "x://y"), "sends us to \"x://y\""),
            (Answer::new(418, b"{}"), "it answers 418"),
        ] {
            let fake = Fake::serving(&made, &image, for_blob(&layer.digest, answer));
            refused(&store, &[&fake.name("a")], why);
        }
        for (status, body, why) in [
            (
                404,
                &br#"{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "a\nb"}]}"#[..],
                "there is no image \"latest\" (MANIFEST_UNKNOWN a\\nb)",
            ),
            (500, b"", "it answers 500"),
            (200, b"<html>", "the manifest is damaged"),
            (200, br#"{"schemaVersion": 1, "fsLayers": []}"#, "Docker's first kind"),
            (
                200,
                br#"{"schemaVersion": 2, "manifests": [], "layers": []}"#,
                "and an index",
            ),
            (200, &vec![b' '; (4 << 20) + 1], "a text of more than 4194304 bytes"),
        ] {
            let answer = Answer::new(status, body);
            let fake = Fake::serving(&made, &image, move |asked| {
                asked.line.contains("/manifests/").then(|| answer.clone())
            });
            refused(&store, &[&fake.name("a")], why);
        }
        let honest = Fake::serving(&made, &image, |_| None);
        let wrong = format!("a@{}", layer.digest);
        refused(&store, &[&honest.name(&wrong)], "is damaged");
        let none = format!("a@{}", Digest::of(b"nothing"));
        refused(&store, &[&honest.name(&none)], "there is no image \"sha256:");
        let no_registry = Fake::start(|_| Answer::new(404, b""));
        refused(&store, &[&no_registry.name("a")], "is no registry");
        refused(
            &store,
            &["127.0.0.1:1/a"],
            "127.0.0.1:1: ECONNREFUSED (Connection refused)",
        );
        refused(&store, &["host"], "`host` is the machine itself");
    });
}

#[test]
fn what_a_manifest_must_not_say_is_told_in_one_line() {
    undisturbed(|| {
        let (made, store) = (Made::new(), store());
        let image = small(&made, 100);
        let text = made.layout.read(&image).expect("it is there");
        let changed = |change: &dyn Fn(&mut Manifest)| {
            let mut manifest = Manifest::parse(&text).expect("it is one");
            change(&mut manifest);
            made.layout.put_json(MANIFEST, &manifest).expect("it is ours")
        };
        let away = serde_json::json!(["http://x/y"]);
        for (manifest, why) in [
            (
                changed(&|it| it.layers[0].media_type = "x/y\n".into()),
                "no tar archive, but x/y\\n",
            ),
            (
                changed(&|it| it.layers[0].media_type = format!("{LAYER}+xz")),
                "no tar archive",
            ),
            (
                changed(&|it| {
                    drop(it.layers[0].other.insert("urls".into(), away.clone()))
                }),
                "but elsewhere (a foreign layer)",
            ),
            (changed(&|it| it.layers.clear()), "has 0 layers, and the configuration 1"),
            (changed(&|it| it.layers[0].size += 1), "sends less than"),
            (changed(&|it| it.layers[0].size -= 1), "sends more than"),
            (changed(&|it| it.config.media_type = "a/helm".into()), "system, but a/helm"),
            (changed(&|it| it.layers[0] = it.config.clone()), "no tar archive"),
        ] {
            let fake = Fake::serving(&made, &manifest, |_| None);
            refused(&store, &[&fake.name("a")], why);
        }
        // The layer is the one that the manifest names, and not the one that was configured.
        let other = layer_of(&made, &small(&made, 50));
        let swapped = changed(&|it| it.layers[0] = other.clone());
        let fake = Fake::serving(&made, &swapped, |_| None);
        refused(&store, &[&fake.name("a")], "as the configuration says");
    });
}

#[test]
fn a_silent_registry_is_not_waited_for_for_ever() {
    undisturbed(|| {
        let (made, store) = (Made::new(), store());
        let image = small(&made, 100);
        let silent = Fake::serving(&made, &image, |asked| {
            let silent = Answer { silent: true, ..Answer::default() };
            asked.line.contains("/manifests/").then_some(silent)
        });
        let why = format!("127.0.0.1:{} has been silent for 0.2 s", silent.port);
        refused(&store, &["--timeout", "0.2", &silent.name("a")], &why);
        refused(
            &store,
            &["--timeout", "0", "a"],
            "--timeout: this is no number of seconds",
        );
    });
}

/// What is on its way into the store.
fn incoming(store: &Store) -> BTreeSet<PathBuf> {
    let files = fs::read_dir(store.path().join("incoming")).expect("it is there");
    files.map(|file| file.expect("it is there").path()).collect()
}

#[test]
fn a_broken_connection_is_gone_on_with() {
    undisturbed(|| {
        let made = Made::new();
        let image = small(&made, 300_000);
        let layer = layer_of(&made, &image);
        let right = made.layout.read(&layer).expect("it is there");
        for (status, from) in [(206, 200_000), (200, 0), (416, 0)] {
            let (store, end) = (store(), format!("/{} HTTP/1.1", layer.digest));
            let (whole, right) = (right.clone(), right.clone());
            let fake = Fake::serving(&made, &image, move |asked| {
                let is_first = asked.header("range").is_empty();
                match asked.line.ends_with(&end) {
                    false => None,
                    true if is_first && status != 416 => {
                        let cut = Some(200_000);
                        Some(Answer { cut, ..Answer::new(200, &whole) })
                    }
                    true if status == 206 => None,
                    true if is_first => Some(Answer::new(200, &whole)),
                    true if status == 416 => Some(Answer::new(416, b"")),
                    true => Some(Answer::new(200, &whole)),
                }
            });
            if status == 416 {
                let part = store
                    .path()
                    .join("incoming")
                    .join(format!("sha256-{}", layer.digest.hex()));
                fs::write(part, &right[..100]).expect("the store is ours");
            }
            lines(&store.engine(&["pull", &fake.name("a")]).end());
            let blobs = fake.asked().into_iter();
            let ranges: Vec<String> = blobs
                .filter(|asked| asked.line.contains(layer.digest.hex()))
                .map(|asked| asked.header("range").to_string())
                .collect();
            match status {
                416 => assert_eq!(ranges, ["bytes=100-", ""]),
                _ => assert_eq!(ranges, ["", "bytes=200000-"], "{status} {from}"),
            }
            assert!(incoming(&store).is_empty());
        }
        let store = store();
        let part =
            store.path().join("incoming").join(format!("sha256-{}", layer.digest.hex()));
        fs::write(part, &right[..2000]).expect("the store is ours");
        let prune = store.engine(&["image", "prune", "-f"]).end();
        assert_eq!(prune.assert_status(0).out, "Total reclaimed space: 2kB\n");
        assert!(incoming(&store).is_empty());
    });
}

#[test]
fn what_arrived_before_the_registry_was_killed_is_not_asked_for_again() {
    undisturbed(|| {
        let (mut real, made, store) = (Real::start(), Made::new(), store());
        made.call(small(&made, 8 << 20), "big");
        real.fill(&made.place("big"), "big", &["--dest-compress-format=gzip"]);
        let wire = Wire::to(real.port, 2 << 20);
        let name = format!("127.0.0.1:{}/big", wire.port);
        let before = store.contents();
        let pull = store.engine(&["pull", &name]).start();
        wire.is_used_up();
        real.kill();
        wire.break_off();
        let pull = Ending::from(pull.wait_with_output().expect("it ends"));
        pull.assert_status(1).assert_one_error();
        assert!(pull.err.ends_with("the next pull goes on from there\n"), "{pull:#?}");
        let kept = incoming(&store);
        let new: BTreeSet<PathBuf> =
            store.contents().difference(&before).cloned().collect();
        assert_eq!(new, kept);
        let length = |path: &PathBuf| fs::metadata(path).expect("it is there").len();
        let part = kept.iter().map(length).max().expect("some of it has arrived");
        assert!((1 << 20..2 << 20).contains(&part), "{part}");

        // Whoever tidies up meanwhile leaves it.
        store.engine(&["rmi", "old"]).end().assert_status(0);
        real.start_again();
        wire.said();
        lines(&store.engine(&["pull", &name]).end());
        let said = wire.said().to_lowercase();
        assert_eq!(said.matches("/blobs/").count(), 1, "{said}");
        assert!(said.contains(&format!("range: bytes={part}-\r\n")), "{said}");
        assert!(incoming(&store).is_empty());
    });
}

#[test]
fn what_a_killed_pull_has_brought_is_not_asked_for_again() {
    undisturbed(|| {
        let (made, store) = (Made::new(), store());
        let image = small(&made, 8 << 20);
        let fake = Fake::serving(&made, &image, |_| None);
        let wire = Wire::to(fake.port, 2 << 20);
        let name = format!("127.0.0.1:{}/a", wire.port);
        let before = store.contents();
        let mut pull = store.engine(&["pull", &name]).start();
        wire.is_used_up();
        // What has come through the wire is on the disk soon.
        let length = |path: &PathBuf| fs::metadata(path).map_or(0, |about| about.len());
        until("most of it", || {
            incoming(&store).iter().any(|path| length(path) > 1 << 20).then_some(())
        });
        pull.kill().expect("it runs");
        pull.wait().expect("it is ours");
        wire.break_off();
        let new: BTreeSet<PathBuf> =
            store.contents().difference(&before).cloned().collect();
        // And a note that somebody has to look for what it has made.
        let mut kept = incoming(&store);
        kept.insert(store.path().join("rubbish"));
        assert_eq!(new, kept);
        lines(&store.engine(&["pull", &name]).end());
        let asked = fake.asked();
        let again = asked.iter().rfind(|asked| asked.line.contains("/blobs/"));
        assert!(
            again.is_some_and(|it| it.header("range").starts_with("bytes=")),
            "{asked:?}"
        );
        assert!(incoming(&store).is_empty());
    });
}

#[test]
fn two_that_want_the_same_ask_for_it_once() {
    undisturbed(|| {
        let (made, store) = (Made::new(), store());
        let image = small(&made, 2 << 20);
        let fake = Fake::serving(&made, &image, |_| None);
        let both =
            [(); 2].map(|()| store.engine(&["pull", "-q", &fake.name("a")]).start());
        for pull in both {
            lines(&Ending::from(pull.wait_with_output().expect("it ends")));
        }
        let asked = fake.asked();
        let blobs = asked.iter().filter(|asked| asked.line.contains("/blobs/")).count();
        assert_eq!(blobs, 2, "a layer and a configuration: {asked:#?}");
    });
}

#[test]
fn four_that_pull_run_and_remove_the_same_do_not_harm_each_other() {
    undisturbed(|| {
        let (made, store) = (Made::new(), store());
        let fake =
            Fake::serving(&made, &image(&made, Platform::here(), "+gzip"), |_| None);
        let name = fake.name("a");
        store.run(&["old", "true"]).end().assert_status(0);
        let before = store.contents();
        let play = || {
            for _ in 0..2 {
                lines(&store.engine(&["pull", "-q", &name]).end());
                // Another may have been faster in removing it, or be running it.
                let run = store.run(&["--pull", "never", &name, "true"]).end();
                let remove = store.engine(&["rmi", &name]).end();
                for (ending, failed) in [(run, 125), (remove, 1)] {
                    if ending.status != Some(0) {
                        let line = ending.assert_status(failed).assert_one_error();
                        let expected = ["no image called", "is in use: container"];
                        assert!(expected.iter().any(|it| line.contains(it)), "{line}");
                    }
                }
            }
        };
        thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(play))));
        lines(&store.engine(&["pull", "-q", &name]).end());
        store.run(&[&name, "true"]).end().assert_status(0).assert_quiet();
        store.engine(&["rmi", &name]).end().assert_status(0);
        assert_eq!(store.contents(), before);
    });
}

/// Pull the last argument into a store on a file system of two mebibytes; it must be as before.
const ON_SMALL_DISK: &str = r#"
    mount -t tmpfs -o size=2m tmpfs /mnt
    "$1" --root /mnt/store import "$2" old >/dev/null
    find /mnt >"$4/before"
    status=0
    "$1" --root /mnt/store pull "$3" || status=$?
    find /mnt >"$4/after"
    exit $status"#;

#[test]
fn a_full_disk_is_told_in_one_line() {
    undisturbed(|| {
        let (made, folder) = (Made::new(), Folder::new("small"));
        let old = folder.path().join("old.tar");
        fs::write(&old, archive("file", b"old")).expect("the folder is ours");
        let zeros = archive("zeros", &vec![1; 4 << 20]);
        fs::write(folder.path().join("zeros"), &zeros).expect("the folder is ours");
        let gzip = Command::new("gzip").arg("-c").arg(folder.at("zeros")).output();
        let packed = gzip.expect("gzip is installed").stdout;
        // One is too large to arrive, the other to be unpacked.
        for image in [
            small(&made, 4 << 20),
            made.image(Platform::here(), &zeros, "+gzip", &packed),
        ] {
            let fake = Fake::serving(&made, &image, |_| None);
            let mut unshare = Command::new("unshare");
            unshare.args(["--mount", "sh", "-ec", ON_SMALL_DISK, "sh"]);
            unshare.arg(crate::support::program("fakedocker")).arg(&old);
            unshare.args([&fake.name("a"), &folder.path().display().to_string()]);
            let ending = Engine::of(unshare).end();
            assert!(
                ending.err.contains("ENOSPC (No space left on device)"),
                "{ending:#?}"
            );
            assert_eq!(
                (ending.status, ending.err.lines().count()),
                (Some(1), 1),
                "{ending:#?}"
            );
            let found = |name: &str| {
                let text = fs::read_to_string(folder.at(name)).expect("it was written");
                text.lines().map(String::from).collect::<BTreeSet<_>>()
            };
            assert_eq!(found("after"), found("before"));
        }
    });
}

#[test]
fn only_whom_the_machine_trusts_is_trusted() {
    undisturbed(|| {
        let (made, store) = (Made::new(), store());
        let (real, certificate) = Real::with_tls();
        made.call(small(&made, 100), "it");
        real.fill(&made.place("it"), "it", &[]);
        let name = format!("localhost:{}/it", real.port);
        refused(&store, &[&name], "invalid peer certificate");
        let engine = store.engine(&["pull", "-q", &name]);
        lines(&engine.env("SSL_CERT_FILE", certificate).end());
    });
}

#[test]
fn a_proxy_is_asked_for_what_is_far() {
    undisturbed(|| {
        let store = store();
        let proxy = Fake::start(|_| Answer::new(502, b""));
        let address = format!("http://127.0.0.1:{}", proxy.port);
        let engine = store.engine(&["pull", "registry.invalid/a"]);
        let ending = engine.env("HTTPS_PROXY", &address).end();
        ending.assert_status(1).assert_one_error();
        assert!(
            proxy.asked()[0].is("CONNECT registry.invalid:443 "),
            "{:?}",
            proxy.asked()
        );
        let engine = store.engine(&["pull", "127.0.0.1:1/a"]);
        engine.env("HTTPS_PROXY", &address).end().assert_status(1).assert_one_error();
        assert_eq!(proxy.asked().len(), 1, "this machine is not far");
        // Nobody is asked by plain HTTP unless somebody says so.
        let engine = store.engine(&["pull", "--plain-http", "registry.invalid/a"]);
        engine.env("HTTP_PROXY", &address).end().assert_status(1).assert_one_error();
        assert!(
            proxy.asked()[1].line.contains("registry.invalid"),
            "{:?}",
            proxy.asked()
        );
    });
}
