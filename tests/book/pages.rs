//! Do the programs print what the pages show?
//!
//! Each page is a session of bash: its commands run from the top to the bottom, at the top
//! of the repository, on a machine that is called `laptop`. `UPDATE_PAGES=1` writes what
//! was seen into the pages, where they do not agree with it.

use std::collections::HashSet;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Program, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use crate::support;
use crate::support::console::{self, Command, Fault, Numbers};
use crate::support::wait::slowness;

/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(300);

#[test]
fn the_pages_show_what_the_programs_print() {
    let _turn = support::turn();
    let update = std::env::var_os("UPDATE_PAGES").is_some();
    let faults: Vec<String> =
        support::pages().iter().flat_map(|page| faults_of(page, update)).collect();
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn transcripts_that_are_tested_elsewhere_have_their_test() {
    let tests = support::sources("tests/book");
    let mut missing = Vec::new();
    for page in support::pages() {
        let text = support::read(&page);
        for (line, test) in console::elsewhere(&text).unwrap_or_default() {
            println!("{page}:{line}: a terminal's transcript, tested by {test}");
            let function = format!("fn {test}(");
            if !tests.iter().any(|file| support::read(file).contains(&function)) {
                missing.push(format!("{page}:{line}: there is no test {test}"));
            }
        }
    }
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

fn faults_of(page: &str, update: bool) -> Vec<String> {
    println!("{page}");
    let text = support::read(page);
    let faults = match play(&text) {
        Ok(differences) if update => rewrite(page, &text, differences).err(),
        Ok(differences) => {
            let named = differences.iter().map(|one| name(page, &one.fault));
            return named.collect();
        }
        Err(fault) => Some(fault),
    };
    faults.iter().map(|fault| name(page, fault)).collect()
}

fn name(page: &str, fault: &Fault) -> String {
    format!("{page}:{}: {}", fault.line, fault.what)
}

fn rewrite(page: &str, text: &str, differences: Vec<Difference>) -> Result<(), Fault> {
    let outputs = differences.into_iter().map(|one| (one.line, one.output));
    let new = console::rewrite(text, console::commands, &outputs.collect())?;
    if new != text {
        fs::write(support::top().join(page), new).expect("a page can be written");
    }
    Ok(())
}

/// A command whose output is not the page's.
struct Difference {
    /// The line of the command.
    line: usize,
    /// What the page would have to show.
    output: Vec<String>,
    fault: Fault,
}

fn play(text: &str) -> Result<Vec<Difference>, Fault> {
    let commands = console::commands(text)?;
    let mut numbers = Numbers::of_commands(&commands);
    let mut differences = Vec::new();
    let mut session = Session::start();
    for command in &commands {
        let failed = |what| Fault::new(command.line, what);
        let seen = session.run(command, LIMIT).map_err(failed)?;
        if let Err(fault) = numbers.compare(command, &seen) {
            let output = numbers.adopt(&seen);
            differences.push(Difference { line: command.line, output, fault });
        }
        numbers.forget_dead_namespaces(&living_namespaces());
    }
    Ok(differences)
}

/// The inodes of all namespaces that a process is in.
fn living_namespaces() -> HashSet<String> {
    let entries = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
    let links = entries("/proc".into())
        .flat_map(|process| entries(process.path().join("ns")))
        // A process may have ended meanwhile.
        .filter_map(|link| fs::read_link(link.path()).ok());
    let inode = |link: PathBuf| {
        let link = link.to_string_lossy().into_owned();
        Some(link.strip_suffix(']')?.split_once(":[")?.1.to_string())
    };
    links.filter_map(inode).collect()
}

/// A bash that runs the commands of one page.
struct Session {
    bash: Child,
    output: Receiver<Vec<u8>>,
    /// Where the programs really are that the page calls `target/debug/`.
    programs: String,
}

const AT_PAGE: &str = "target/debug/";

/// What ends an output: no program prints it.
const END: char = '\x1e';

/// Students use sudo; the tests are root already. Descriptors that who started the tests
/// has left open would change the numbers of those that the programs open.
const PREPARE: &str = r#"
exec 2>&1
for open in /proc/$$/fd/*; do
    open=${open##*/}
    if [ "$open" -gt 2 ] && [ "$open" -lt 255 ]; then exec {open}>&-; fi
done
hostname laptop
domainname "(none)"
sudo() { "$@"; }
as_user() { setpriv --reuid=1000 --regid=1000 --clear-groups bash -c "$1"; }
"#;

impl Session {
    fn start() -> Session {
        let folder = support::program("");
        let mut bash = Program::new("unshare");
        bash.args(["--uts", "--ipc", "bash", "--noprofile", "--norc"])
            .current_dir(support::top());
        bash.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        Self::set_environment(&mut bash, &folder);
        let mut bash = bash.spawn().expect("unshare starts");
        let mut from_bash = bash.stdout.take().expect("its output is piped");
        let (sender, output) = mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = from_bash.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    break; // the session is over
                }
            }
        });
        // As on the page, where it can be: a user may not be able to look up the whole path.
        let near = folder.strip_prefix(support::top()).unwrap_or(&folder);
        let programs = format!("{}/", near.display());
        let mut session = Session { bash, output, programs };
        session.send(PREPARE);
        session
    }

    fn set_environment(bash: &mut Program, folder: &Path) {
        let cargo = Path::new(env!("CARGO")).parent().expect("cargo is in a folder");
        let system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        bash.env_clear();
        // What cargo needs to find what it has built and fetched.
        let found = ["HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTFLAGS"];
        let profile = "CARGO_PROFILE_"; // else it would build another
        bash.envs(std::env::vars_os().filter(|(name, _)| {
            name.to_str()
                .is_some_and(|name| found.contains(&name) || name.starts_with(profile))
        }));
        bash.env("PATH", format!("{}:{system}", cargo.display()));
        let target = folder.parent().expect("programs are in a folder of target/");
        bash.env("CARGO_TARGET_DIR", target);
        bash.env("LAB_FOLDER", concat!(env!("CARGO_TARGET_TMPDIR"), "/lab"));
        bash.envs([("LC_ALL", "C.UTF-8"), ("TERM", "dumb"), ("SHELL", "/bin/sh")]);
    }

    /// The lines that a command prints; its status is one more, if it is not 0.
    fn run(&mut self, command: &Command, limit: Duration) -> Result<Vec<String>, String> {
        let text = command.text.replace(AT_PAGE, &self.programs);
        let as_user = if command.as_user { "as_user" } else { "eval" };
        let quoted = text.replace('\'', r"'\''");
        let mark = "printf '\\036%s\\036' $?";
        self.send(&format!("{as_user} '{quoted}' </dev/null\n{mark}\n"));
        let (output, status) =
            self.answer(limit).map_err(|why| format!("`{}` {why}", command.text))?;
        let output = output.replace(&self.programs, AT_PAGE);
        let mut lines: Vec<String> = output.lines().map(as_on_a_terminal).collect();
        console::trim_end(&mut lines);
        if status != "0" {
            lines.push(format!("(exit status {status})"));
        }
        Ok(lines)
    }

    fn send(&mut self, script: &str) {
        let input = self.bash.stdin.as_mut().expect("its input is piped");
        // If bash has ended, the missing answer tells it.
        input.write_all(script.as_bytes()).ok();
    }

    fn answer(&mut self, limit: Duration) -> Result<(String, String), String> {
        let (deadline, mut seen) = (Instant::now() + limit * slowness(), Vec::new());
        loop {
            let text = String::from_utf8_lossy(&seen);
            let parts: Vec<&str> = text.split(END).collect();
            if let [output, status, _] = parts[..] {
                return Ok((output.to_string(), status.to_string()));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => seen.extend(bytes),
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    return Err(format!("ended the shell: {text}"));
                }
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    self.kill();
                    return Err(format!("was killed after {limit:?}: {text}"));
                }
            }
        }
    }

    /// End bash and all that it has started.
    fn kill(&mut self) {
        let group = format!("-{}", self.bash.id());
        Program::new("kill").args(["-KILL", "--", &group]).status().expect("kill runs");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.kill();
        self.bash.wait().expect("bash was killed");
    }
}

/// A bash without a terminal names the line of its script; students see no such number.
fn as_on_a_terminal(line: &str) -> String {
    let told = line.strip_prefix("bash: line ").and_then(|rest| rest.split_once(": "));
    match told {
        Some((_, message)) => format!("bash: {message}"),
        None => line.to_string(),
    }
}

/// The output of one command of a page, run in `session`.
fn output(
    session: &mut Session,
    text: &str,
    as_user: bool,
) -> Result<Vec<String>, String> {
    let text = text.to_string();
    let command = Command { line: 1, text, as_user, output: Vec::new() };
    session.run(&command, Duration::from_secs(60))
}

#[test]
fn a_session_is_a_students() {
    let mut session = Session::start();
    let mut run = |text: &str| output(&mut session, text, false).unwrap().join("\n");
    assert_eq!(run("hostname; echo it\\'s; echo no end >&2"), "laptop\nit's\nno end");
    assert_eq!(run("cd /proc; name=value"), "");
    assert_eq!(run("sudo pwd; echo $name $TERM$NO_COLOR"), "/proc\nvalue dumb");
    assert_eq!(run("cat; printf 'no newline'"), "no newline");
    assert_eq!(run("cat <<END\nfrom here\nEND"), "from here");
    assert_eq!(run("(exit 3)"), "(exit status 3)");
    assert_eq!(run("nowhere"), "bash: nowhere: command not found\n(exit status 127)");
    assert_eq!(run("id -u"), "0");
    assert_eq!(output(&mut session, "id -u", true).unwrap(), ["1000"]);
}

#[test]
fn a_session_that_hangs_or_ends_is_told() {
    let told = output(&mut Session::start(), "exit 4", false).unwrap_err();
    assert!(told.starts_with("`exit 4` ended the shell"), "{told}");
    let text = "echo before; tail -f /dev/null".to_string();
    let command = Command { line: 1, text, as_user: false, output: Vec::new() };
    // Its shell is there before patience counts, which is long enough for a word on a busy machine.
    let mut session = Session::start();
    output(&mut session, "true", false).unwrap();
    let told = session.run(&command, Duration::from_secs(2)).unwrap_err();
    assert!(told.contains("was killed after 2s: before"), "{told}");
}

#[test]
fn a_page_that_lies_is_told() {
    let page = "```console\n$ readlink /proc/self/ns/uts\nuts:[4026531838]\n```\n\
        ```console\n$ readlink /proc/self/ns/uts\nuts:[4026531838]\n```\n";
    assert!(play(page).unwrap().is_empty());
    let lie = page.replacen("4026531838", "4026531839", 1);
    assert_eq!(play(&lie).unwrap().len(), 1);
}
