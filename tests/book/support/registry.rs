//! Where do the tests' images come from?
//!
//! From registries on loopback: Debian's docker-registry, filled by skopeo; one of the tests' own
//! that does what it is told, which no decent registry would; and a wire between an engine and a
//! registry that breaks at a known byte. All of them end with the test.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use image::manifest::{CONFIG, INDEX, REF_NAME};
use image::manifest::{Config, Descriptor, Index, LAYER, MANIFEST, Manifest, Platform};
use image::{Digest, Layout};

use super::engine::Folder;
use super::processes::mark;
use super::wait::{DEADLINE, slowness, until};

/// Run it to its end; what it printed.
pub fn must(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().expect("it is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let err = text(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {err}");
    text(&output.stdout).trim_end().into()
}

/// Debian's docker-registry, with its images in a folder that goes with it.
pub struct Real {
    folder: Folder,
    pub port: u16,
    child: Child,
}

impl Real {
    pub fn start() -> Real {
        Real::configured(Folder::new("registry"), free_port(), "")
    }

    /// One that speaks TLS, with a certificate of its own making, for `localhost`; its file.
    pub fn with_tls() -> (Real, String) {
        let (folder, names) = (Folder::new("registry"), "subjectAltName=DNS:localhost");
        let (key, certificate) = (folder.at("key"), folder.at("certificate"));
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
        let about = ["-nodes", "-subj", "/CN=localhost", "-addext", names];
        let leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
        let files = ["-keyout", &key, "-out", &certificate];
        let args = [&["req", "-x509"][..], &curve, &about, &leaf, &files].concat();
        must("openssl", &args);
        let tls = format!(", tls: {{certificate: {certificate}, key: {key}}}");
        (Real::configured(folder, free_port(), &tls), certificate)
    }

    fn configured(folder: Folder, port: u16, tls: &str) -> Real {
        let (data, log) =
            (folder.at("data"), "level: error, accesslog: {disabled: true}");
        let text = format!(
            "version: 0.1\nlog: {{{log}}}\nstorage: {{filesystem: {{rootdirectory: {data}}}}}\n\
             http: {{addr: \"127.0.0.1:{port}\"{tls}}}\n"
        );
        folder.write("config.yml", &text);
        let child = serve(&folder, port);
        Real { folder, port, child }
    }

    /// The name of an image in it.
    pub fn name(&self, path: &str) -> String {
        format!("127.0.0.1:{}/{path}", self.port)
    }

    /// Let skopeo copy `from` here, as `path`. It compresses what is plain, unless it is told to
    /// preserve digests.
    pub fn fill(&self, from: &str, path: &str, options: &[&str]) {
        let place = format!("docker://{}", self.name(path));
        let copy = ["copy", "--quiet", "--dest-tls-verify=false"];
        must("skopeo", &[&copy[..], options, &[from, &place]].concat());
    }

    /// The digest of `path`, as skopeo sees it.
    pub fn digest(&self, path: &str) -> String {
        let place = format!("docker://{}", self.name(path));
        let inspect = ["inspect", "--tls-verify=false", "--raw", &place];
        let text = Command::new("skopeo").args(inspect).output().expect("it runs");
        assert!(text.status.success(), "{text:?}");
        Digest::of(&text.stdout).to_string()
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it is ours");
    }

    pub fn start_again(&mut self) {
        self.child = serve(&self.folder, self.port);
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has one").port()
}

fn serve(folder: &Folder, port: u16) -> Child {
    let mut serve = Command::new("docker-registry");
    serve.args(["serve", &folder.at("config.yml")]);
    serve.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = mark(&mut serve).spawn().expect("docker-registry is installed");
    until("docker-registry", || TcpStream::connect(("127.0.0.1", port)).ok());
    child
}

/// Images that are written by hand.
pub struct Made {
    pub folder: Folder,
    pub layout: Layout,
}

impl Made {
    pub fn new() -> Made {
        let folder = Folder::new("layout");
        let layout = Layout::open(folder.path()).expect("the folder is ours");
        Made { folder, layout }
    }

    /// As skopeo calls it.
    pub fn place(&self, name: &str) -> String {
        format!("oci:{}:{name}", self.folder.path().display())
    }

    /// An image for `machine` with one layer: the tar archive `plain`, `packed` as `ending` says.
    pub fn image(
        &self,
        machine: Platform,
        plain: &[u8],
        ending: &str,
        packed: &[u8],
    ) -> Descriptor {
        let layer = self.put(&format!("{LAYER}{ending}"), packed);
        let settings = serde_json::json!({"Cmd": ["/bin/sh"]});
        let rootfs =
            serde_json::json!({"type": "layers", "diff_ids": [Digest::of(plain)]});
        let config = serde_json::json!({"architecture": machine.architecture,
            "os": machine.os, "config": settings, "rootfs": rootfs});
        let config: Config = serde_json::from_value(config).expect("it is right");
        let config = self.layout.put_json(CONFIG, &config).expect("it is ours");
        let manifest = Manifest::new(config, vec![layer]);
        let manifest = self.layout.put_json(MANIFEST, &manifest).expect("it is ours");
        Descriptor { platform: Some(machine), ..manifest }
    }

    fn put(&self, media_type: &str, content: &[u8]) -> Descriptor {
        self.layout.put(media_type, content).expect("the folder is ours")
    }

    /// One index for all of `images`.
    pub fn index(&self, images: Vec<Descriptor>) -> Descriptor {
        let index = Index { manifests: images, ..Index::default() };
        self.layout.put_json(INDEX, &index).expect("the folder is ours")
    }

    /// Let `image` be called `name`.
    pub fn call(&self, mut image: Descriptor, name: &str) {
        image.annotations.insert(REF_NAME.into(), name.into());
        let mut index = self.layout.index().expect("it is ours");
        index.manifests.push(image);
        self.layout.set_index(&index).expect("it is ours");
    }
}

/// A machine by Docker's name: `linux/arm/v7`.
pub fn machine(text: &str) -> Platform {
    fakedocker::pull::platform(text).expect("it is one")
}

/// Bytes that no compression makes less.
pub fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let urandom = fs::File::open("/dev/urandom");
    urandom
        .and_then(|mut file| file.read_exact(&mut bytes))
        .expect("it gives any number");
    bytes
}

/// A tar archive with one file.
pub fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_data(&mut header, name, content).expect("into memory");
    tar.into_inner().expect("into memory")
}

/// What a registry was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET /v2/`
    pub line: String,
    /// Names in lower case.
    pub headers: HashMap<String, String>,
}

impl Asked {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub fn is(&self, beginning: &str) -> bool {
        self.line.starts_with(beginning)
    }
}

/// What a registry of the tests' own answers.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Close the connection when so many bytes are sent.
    pub cut: Option<usize>,
    /// Say nothing, and keep the connection.
    pub silent: bool,
}

impl Answer {
    pub fn new(status: u16, body: &[u8]) -> Answer {
        Answer { status, body: body.into(), ..Answer::default() }
    }

    pub fn header(mut self, name: &str, value: &str) -> Answer {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// A server that answers as a function says.
pub struct Fake {
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    pub fn start(answer: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it has one").port();
        let (asked, stopped) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let (answer, log, stop) = (Arc::new(answer), Arc::clone(&asked), stopped.clone());
        let thread = thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                // Who asks may go before the answer is whole.
                thread::spawn(move || talk(connection, &*answer, &log).ok());
            }
        });
        Fake { port, asked, stopped, thread: Some(thread) }
    }

    /// One that serves the image `manifest` of `made` as any repository and any tag, but for
    /// what `instead` answers.
    pub fn serving(
        made: &Made,
        manifest: &Descriptor,
        instead: impl Fn(&Asked) -> Option<Answer> + Send + Sync + 'static,
    ) -> Fake {
        let (blobs, manifest) = (made.layout.blobs(), manifest.clone());
        Fake::start(move |asked| {
            instead(asked).unwrap_or_else(|| honest(&blobs, &manifest, asked))
        })
    }

    pub fn name(&self, path: &str) -> String {
        format!("127.0.0.1:{}/{path}", self.port)
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("nobody panics with it").clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        TcpStream::connect(("127.0.0.1", self.port)).ok();
        self.thread.take().map(JoinHandle::join);
    }
}

/// As a registry should: a manifest, or a blob, perhaps without its beginning.
fn honest(blobs: &Path, manifest: &Descriptor, asked: &Asked) -> Answer {
    let path = asked.line.split(' ').nth(1).unwrap_or_default();
    if path == "/v2/" {
        return Answer::new(200, b"{}");
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    let digest = Digest::parse(last).unwrap_or_else(|_| manifest.digest.clone());
    let Ok(blob) = fs::read(blobs.join(digest.hex())) else {
        return Answer::new(404, b"");
    };
    if path.contains("/manifests/") {
        return Answer::new(200, &blob).header("Content-Type", MANIFEST);
    }
    let range = asked.header("range").strip_prefix("bytes=");
    let from: Option<usize> = range.and_then(|it| it.trim_end_matches('-').parse().ok());
    match from {
        Some(from) => Answer::new(206, &blob[from..]).header(
            "Content-Range",
            &format!("bytes {from}-{}/{}", blob.len() - 1, blob.len()),
        ),
        None => Answer::new(200, &blob),
    }
}

fn talk(
    connection: TcpStream,
    answer: &(impl Fn(&Asked) -> Answer + ?Sized),
    log: &Mutex<Vec<Asked>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    // A TLS handshake begins with 22: that is not spoken here.
    let is_tls = reader.fill_buf()?.first() == Some(&22);
    let asked = if is_tls { None } else { read(&mut reader)? };
    let Some(asked) = asked else { return Ok(()) };
    log.lock().expect("nobody panics with it").push(asked.clone());
    let Answer { status, headers, body, cut, silent } = answer(&asked);
    if silent {
        // Until the other one has had enough.
        return copy(&mut reader, &mut std::io::sink()).map(drop);
    }
    let mut head = format!("HTTP/1.1 {status} Said\r\nConnection: close\r\n");
    let said = |(name, value): &(String, String)| format!("{name}: {value}\r\n");
    head.extend(headers.iter().map(said));
    if !headers.iter().any(|(name, _)| name == "Content-Length") {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    let mut writer = &connection;
    writer.write_all(format!("{head}\r\n").as_bytes())?;
    if !asked.is("HEAD") {
        writer.write_all(&body[..cut.unwrap_or(body.len())])?;
    }
    connection.shutdown(Shutdown::Write)
}

fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Asked>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_string()),
        }
    }
    let mut lines = lines.into_iter();
    let Some(line) = lines.next() else { return Ok(None) };
    let header = |line: String| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_lowercase(), value.trim().to_string()))
    };
    Ok(Some(Asked { line, headers: lines.filter_map(header).collect() }))
}

/// Carries all that is said to a registry, and what it says only up to a byte; then it waits to
/// be told to break.
pub struct Wire {
    pub port: u16,
    reached: Receiver<()>,
    broken: Sender<()>,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Wire {
    /// To `port`, for the first `length` bytes of what comes from there. Once broken, whoever
    /// connects gets all.
    pub fn to(port: u16, length: u64) -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let here = listener.local_addr().expect("it has one").port();
        let (tell, reached) = channel();
        let (broken, wait) = channel::<()>();
        let said: Arc<Mutex<Vec<u8>>> = Arc::default();
        let log = Arc::clone(&said);
        thread::spawn(move || {
            let (mut left, whole) = (Some(length), u64::MAX);
            // Nobody but us connects, and one after the other.
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                let ends = (
                    near.try_clone().expect("a number"),
                    far.try_clone().expect("a number"),
                );
                let log = Arc::clone(&log);
                thread::spawn(move || listen(ends.0, ends.1, &log));
                let mut some = (&far).take(left.unwrap_or(whole));
                let count = copy(&mut some, &mut &near).unwrap_or(0);
                left = left.map(|left| left - count);
                if left == Some(0) {
                    left = None;
                    tell.send(()).ok();
                    wait.recv().ok();
                }
                near.shutdown(Shutdown::Both).ok();
                far.shutdown(Shutdown::Both).ok();
            }
        });
        Wire { port: here, reached, broken, said }
    }

    /// Wait until the last byte has gone through.
    pub fn is_used_up(&self) {
        self.reached.recv_timeout(DEADLINE * slowness()).expect("so much is sent");
    }

    pub fn break_off(&self) {
        self.broken.send(()).expect("it waits for that");
    }

    /// What was said to the registry since the last time.
    pub fn said(&self) -> String {
        let mut said = self.said.lock().expect("nobody panics with it");
        String::from_utf8_lossy(&std::mem::take(&mut *said)).into_owned()
    }
}

fn listen(mut near: TcpStream, mut far: TcpStream, log: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = near.read(&mut buffer) {
        log.lock().expect("nobody panics with it").extend(&buffer[..length]);
        if far.write_all(&buffer[..length]).is_err() {
            return;
        }
    }
    far.shutdown(Shutdown::Write).ok();
}
