//! Does a program say what it does, and do what it says?
//!
//! A narrated line is a write(2), and so it stands in strace's record, behind the call
//! that it tells. [`judge`] lays each line beside its call: every line must be true, and
//! what makes a container must not be passed over in silence.

use std::collections::BTreeSet;

use nix::fcntl::OFlag;

use super::strace::{Call, Thread, list, unescape, unquote};

/// How a narrated line begins.
pub const LABEL: &str = "  → kernel   ";

/// What the records say about the narration.
pub struct Judgement {
    /// The lines that are true.
    pub matches: Vec<Match>,
    /// The lines that are not, and the silences.
    pub complaints: Vec<String>,
}

/// A narrated line and the call that it tells.
#[derive(Debug, Clone, Copy)]
pub struct Match {
    /// The thread's place among the records; the others are places in its calls.
    pub thread: usize,
    pub line: usize,
    pub call: usize,
}

/// Compare what the threads said with what they did, until each becomes COMMAND.
pub fn judge(threads: &[Thread]) -> Judgement {
    let mut judgement = Judgement { matches: Vec::new(), complaints: Vec::new() };
    for (place, thread) in threads.iter().enumerate() {
        judgement.add(place, thread);
    }
    judgement
}

impl Judgement {
    fn add(&mut self, place: usize, thread: &Thread) {
        let calls = before_command(&thread.calls);
        let start = started_again(calls);
        let mut untold: BTreeSet<usize> = (start..calls.len()).collect();
        // A line tells a call that follows the one that the line before it told.
        let mut next = start;
        for (line, write) in calls.iter().enumerate() {
            let Some(text) = narration(write) else { continue };
            match told(&text, calls, next, line) {
                Ok(call) => {
                    self.matches.push(Match { thread: place, line, call });
                    untold.remove(&call);
                    next = call + 1;
                }
                Err(why) => self.complain(thread, format!("{:?} {why}", text.trim())),
            }
        }
        for call in
            untold.into_iter().map(|call| &calls[call]).filter(|it| must_be_said(it))
        {
            self.complain(thread, format!("{call} is not said"));
        }
    }

    fn complain(&mut self, thread: &Thread, what: String) {
        self.complaints.push(format!("thread {}: {what}", thread.tid));
    }
}

/// The calls of our own program. A record that starts with an execve(2) is strace's first
/// process, which becomes our program; every other successful one is COMMAND.
fn before_command(calls: &[Call]) -> &[Call] {
    let becomes = |call: &Call| call.name == "execve" && call.result == "0";
    match calls.iter().skip(1).position(becomes) {
        Some(position) => &calls[..=position + 1],
        None => calls,
    }
}

/// Where the engine has started itself once more, from a place where nobody can write. How it
/// gets there is not narrated: that makes no container.
fn started_again(calls: &[Call]) -> usize {
    let restarts = |call: &Call| call.name == "execveat" && call.result == "0";
    calls.iter().position(restarts).unwrap_or(0)
}

/// What is narrated by this call, if it is a write that narrates: lessons do it on
/// standard output, the engine on standard error, or on a copy of that.
fn narration(call: &Call) -> Option<String> {
    if call.name != "write" {
        return None;
    }
    let text = String::from_utf8_lossy(&unquote(call.args.get(1)?)?).into_owned();
    let whole = call.result == text.len().to_string();
    // Half a line is none: it has lost the line break that ends it.
    let text = if whole { text } else { text.trim_end().to_string() };
    text.contains(LABEL.trim_end()).then_some(text)
}

/// The place of the call that the line tells, or what is wrong with the line.
fn told(text: &str, calls: &[Call], next: usize, line: usize) -> Result<usize, String> {
    let said = text.strip_prefix(LABEL).and_then(|rest| rest.strip_suffix('\n'));
    let said = said.filter(|said| !said.contains('\n')).ok_or("is not one whole line")?;
    let said = Call::parse(said).ok_or("does not read as in strace")?;
    if said.result.is_empty() {
        return announced(&said, calls, next.max(line + 1));
    }
    let candidates = next.min(line)..line;
    candidates.clone().find(|&it| is_same(&said, &calls[it])).ok_or_else(|| {
        let near = calls[candidates].iter().filter(|call| call.name == said.name);
        let near: Vec<String> = near.map(Call::to_string).collect();
        format!("did not just happen; what did: {near:?}")
    })
}

/// A successful execve(2) can only be told before it happens: it must be the next one.
fn announced(said: &Call, calls: &[Call], from: usize) -> Result<usize, String> {
    if said.name != "execve" {
        return Err("has no result".to_string());
    }
    let next = (from..calls.len()).find(|&call| calls[call].name == "execve");
    let next = next.ok_or("does not happen")?;
    match same_args(said, &calls[next]) {
        true => Ok(next),
        false => Err(format!("is not what happens next: {}", calls[next])),
    }
}

/// The calls that make a container.
pub fn must_be_said(call: &Call) -> bool {
    const ALWAYS: [&str; 15] = [
        "unshare",
        "setns",
        "mount",
        "umount",
        "umount2",
        "pivot_root",
        "sethostname",
        "setdomainname",
        "move_mount",
        "open_tree",
        "fsopen",
        "fsconfig",
        "fsmount",
        "fspick",
        "mount_setattr",
    ];
    ALWAYS.contains(&call.name.as_str())
        || is_fork(call) && !namespaces(call).is_empty()
        || is_to_group(call)
}

/// A write to a file of a control group that the kernel has taken: a limit, or a process that
/// is moved. Not a controller that is withdrawn: that is tidying up, after COMMAND's end.
fn is_to_group(call: &Call) -> bool {
    let to = call.args.first().and_then(|to| to.split_once('<'));
    let withdraws = call.args.get(1).is_some_and(|text| text.starts_with("\"-"));
    let withdraws =
        withdraws && to.is_some_and(|(_, path)| path.contains("subtree_control"));
    call.name == "write"
        && !call.result.starts_with('-')
        && !withdraws
        && to.is_some_and(|(_, path)| {
            // That one is version 2's kill(2), which is not said either when all is over.
            path.starts_with("/sys/fs/cgroup/") && !path.contains("/cgroup.kill")
        })
}

/// However the library starts a process, the lessons say `fork()`.
fn is_fork(call: &Call) -> bool {
    matches!(call.name.as_str(), "fork" | "vfork" | "clone" | "clone3")
}

/// The flags that ask for a namespace, wherever they stand in the arguments.
fn namespaces(call: &Call) -> BTreeSet<&str> {
    let words = call.args.iter().flat_map(|arg| {
        arg.split(|char: char| !char.is_ascii_alphanumeric() && char != '_')
    });
    words.filter(|word| word.starts_with("CLONE_NEW")).collect()
}

fn is_same(said: &Call, seen: &Call) -> bool {
    let same_result = agrees(&said.result, &seen.result);
    if is_fork(said) && is_fork(seen) {
        return same_result && namespaces(said) == namespaces(seen);
    }
    said.name == seen.name && same_result && same_args(said, seen)
}

fn same_args(said: &Call, seen: &Call) -> bool {
    said.args.len() == seen.args.len()
        && said.args.iter().zip(&seen.args).all(|(said, seen)| agrees(said, seen))
}

/// What an argument or a result says, as far as it can be compared.
#[derive(PartialEq, Eq)]
enum Value {
    Text(Vec<u8>),
    /// A list of texts, as execve's.
    Texts(Vec<Vec<u8>>),
    /// Numbers, names and flags, in any order.
    Words(BTreeSet<Word>),
    /// A number and the path that it stands for.
    Descriptor(Word, Vec<u8>),
    /// A structure or a buffer: not compared.
    Memory,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    Number(i64),
    Name(String),
}

/// Does what was said agree with what strace saw?
fn agrees(said: &str, seen: &str) -> bool {
    // Several names may have one number, and strace tells all of them.
    let is_name = |it: &str| it.bytes().all(|it| it.is_ascii_uppercase() || it == b'_');
    if seen.contains(" or ") && seen.split(" or ").all(is_name) {
        return seen.split(" or ").any(|name| said == name);
    }
    // strace shows an address for what it does not read, such as a bind mount's type.
    let address = seen.starts_with("0x");
    match (Value::of(said), Value::of(seen)) {
        (Value::Memory, Value::Words(_) | Value::Descriptor(..)) => address,
        (Value::Memory, _) => true,
        (Value::Text(_) | Value::Texts(_), Value::Words(_)) => address,
        (Value::Words(said), Value::Descriptor(seen, _)) => {
            said == BTreeSet::from([seen])
        }
        // Flags of a call that strace does not know: it shows their sum.
        (Value::Words(said), Value::Words(seen)) if address && said != seen => {
            sum(&said).is_some_and(|sum| seen == BTreeSet::from([Word::Number(sum)]))
        }
        (said, seen) => said == seen,
    }
}

/// The sum of flags of open(2), by their names; None if one is none.
fn sum(flags: &BTreeSet<Word>) -> Option<i64> {
    let number = |flag: &Word| match flag {
        Word::Name(name) => OFlag::from_name(name).map(|flag| i64::from(flag.bits())),
        Word::Number(_) => None,
    };
    flags.iter().map(number).sum()
}

impl Value {
    fn of(text: &str) -> Value {
        if let Some(text) = unquote(text) {
            return Value::Text(text);
        }
        if let Some(elements) = text.strip_prefix('[') {
            let elements = list(elements, "]").map(|(elements, _)| elements);
            let texts =
                elements.unwrap_or_default().iter().map(|it| unquote(it)).collect();
            return Option::map_or(texts, Value::Memory, Value::Texts);
        }
        // A structure may hold a descriptor.
        if text.starts_with(['{', '&']) {
            return Value::Memory;
        }
        if let Some((number, path)) =
            text.split_once('<').filter(|it| !it.1.starts_with('<'))
        {
            // The kernel itself says "/x (deleted)"; strace moves it behind the bracket.
            let path = path.replace(">(deleted)", " (deleted)>");
            return Value::Descriptor(
                Word::of(number),
                unescape(path.trim_end_matches('>')),
            );
        }
        let is_name = |char: char| char.is_ascii_lowercase() || char == '_';
        if text.ends_with("...") || text.chars().all(is_name) {
            return Value::Memory;
        }
        Value::Words(text.split('|').map(Word::of).collect())
    }
}

impl Word {
    fn of(text: &str) -> Word {
        let number = match text.strip_prefix('0') {
            None | Some("") => text.parse(),
            Some(rest) => match rest.strip_prefix('x') {
                Some(hexadecimal) => i64::from_str_radix(hexadecimal, 16),
                None => i64::from_str_radix(rest, 8),
            },
        };
        number.map_or_else(|_| Word::Name(text.to_string()), Word::Number)
    }
}

#[cfg(test)]
mod tests {
    use super::super::strace::calls;
    use super::*;

    /// The record of one write(2).
    fn write(text: &str) -> String {
        format!("write(1</dev/null>, {text:?}, {len}) = {len}\n", len = text.len())
    }

    /// The record of one narrated line.
    fn say(line: &str) -> String {
        write(&format!("{LABEL}{line}\n"))
    }

    /// What is wrong with a record in which `line` is said after `call`.
    fn complaints(call: &str, line: &str) -> Vec<String> {
        judged(&format!("{call}\n{}", say(line))).complaints
    }

    fn judged(record: &str) -> Judgement {
        judge(&[Thread { tid: "1".to_string(), calls: calls(record) }])
    }

    /// Calls, and under each a line that tells it in other words.
    const TRUE: &str = r#"
unshare(CLONE_NEWNS|CLONE_NEWPID) = 0
unshare(CLONE_NEWPID|CLONE_NEWNS) = 0

msgget(0xfd0c0001, IPC_CREAT|0600) = 3
msgget(4245422081, 0600|IPC_CREAT) = 3

mkdir("\303\251\t", 0755) = 0
mkdir("é\t", 493) = 0

mount_setattr(3</a>, "", AT_EMPTY_PATH, {userns_fd=4<user:[1]>}, 32) = 0
mount_setattr(3</a>, "", AT_EMPTY_PATH, {userns_fd=4}, 32) = 0

setns(3<net:[1]>, CLONE_NEWNET) = 0
setns(3, CLONE_NEWNET) = 0

openat(AT_FDCWD</a>, "b", O_PATH) = 3</a/b>
openat(AT_FDCWD, "b", O_PATH) = 3</a/b>

close(3</x\303\251>(deleted)) = 0
close(3</xé (deleted)>) = 0

mount("/a", "/b", 0x5566, MS_BIND, NULL) = 0
mount("/a", "/b", "none", MS_BIND, NULL) = 0

capset({version=3, pid=0}, {effective=1<<CAP_KILL}) = 0
capset(header, data) = 0

clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD, child_tidptr=0x7f) = 7
fork() = 7

clone3({flags=CLONE_NEWPID, exit_signal=SIGCHLD}, 88) = 7
clone3({flags=CLONE_NEWPID}, 88) = 7

ioctl(3</a>, BTRFS_IOC_CLONE or FICLONE, 4) = 0
ioctl(3</a>, FICLONE, 4) = 0

ioctl(3</a>, TIOCGPTPEER, 0x80102) = 4
ioctl(3</a>, TIOCGPTPEER, O_RDWR|O_NOCTTY|O_CLOEXEC) = 4

ioctl(3</a>, DM_TABLE_LOAD, [{version=[4, 0, 0], flags=0}, ...] => [{dev=makedev(0xfe, 0)}]) = 0
ioctl(3</a>, DM_TABLE_LOAD, {name="b"}) = 0

umount2("/x", 0) = -1 EINVAL (Invalid argument)
umount2("/x", 0) = -1 EINVAL (Invalid argument)
"#;

    /// Calls, and under each a line that tells another one.
    const FALSE: &str = r#"
chdir("/a") = 0
chdir("/b") = 0

chdir("/a") = 0
fchdir("/a") = 0

chdir("/a") = 0
chdir(path, 0) = 0

chdir("/a") = 0
chdir("/a") = -1 ENOENT (No such file or directory)

chdir("/a") = 0
chdir("/a")

chdir("/a") = 0
we are in /a

open("/a", O_RDONLY|O_CLOEXEC) = 3</a>
open("/a", O_RDONLY) = 3</a>

open("/a", O_RDONLY) = 3</a>
open("/a", O_RDONLY) = 3</b>

fchdir(3</a>) = 0
fchdir(4) = 0

umount2("/x", MNT_DETACH) = 0
umount2("/x", flags) = 0

ioctl(3</a>, BTRFS_IOC_CLONE or FICLONE, 4) = 0
ioctl(3</a>, CLONE, 4) = 0

ioctl(3</a>, TIOCGPTPEER, 0x80102) = 4
ioctl(3</a>, TIOCGPTPEER, O_RDWR|O_NOCTTY) = 4

mount(NULL, "/", NULL, MS_REC, NULL) = 0
mount("none", "/", NULL, MS_REC, NULL) = 0

clone(child_stack=NULL, flags=CLONE_NEWUTS|SIGCHLD) = 7
fork() = 7

clone(child_stack=NULL, flags=SIGCHLD) = 7
fork() = 8
"#;

    fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
        let pairs = text.trim().split("\n\n");
        pairs.map(|pair| pair.split_once('\n').expect("a call and a line"))
    }

    #[test]
    fn the_same_call_in_other_words_is_true() {
        for (call, line) in pairs(TRUE) {
            assert_eq!(complaints(call, line), [""; 0], "{line}");
        }
    }

    #[test]
    fn another_call_is_a_lie() {
        for (call, line) in pairs(FALSE) {
            assert_ne!(complaints(call, line), [""; 0], "{line}");
        }
    }

    #[test]
    fn an_announcement_is_kept_by_the_next_execve() {
        let promise = say(r#"execve("/x", ["x", "-a"], envp)"#);
        let start = "brk(NULL) = 0x10\n";
        let kept = "execve(\"/x\", [\"x\", \"-a\"], 0x55 /* 3 vars */) = 0\n";
        let broken = "execve(\"/x\", [\"x\", \"-b\"], 0x55 /* 3 vars */) = 0\n";
        let failed = kept.replace("= 0", "= -1 EACCES (Permission denied)");
        let count = |parts: &[&str]| judged(&parts.concat()).complaints.len();
        assert_eq!(count(&[start, &promise, kept]), 0);
        assert_eq!(count(&[start, &promise, &failed]), 0);
        assert_eq!(count(&[start, &promise, broken]), 1);
        assert_eq!(count(&[start, &promise]), 1);
        assert_eq!(count(&[start, &promise, &promise, kept]), 1);
        assert_eq!(count(&[start, &failed, &promise]), 1);
    }

    #[test]
    fn what_makes_a_container_is_said_until_command() {
        let silent = r#"execve("/uts", ["uts"], 0x55) = 0
clone(child_stack=NULL, flags=CLONE_NEWPID|SIGCHLD) = 7
unshare(CLONE_NEWUTS) = -1 EPERM (Operation not permitted)
execve("/bin/mount", ["mount"], 0x55) = 0
mount("a", "/b", "c", 0, NULL) = 0
"#;
        assert_eq!(judged(silent).complaints.len(), 2);
    }

    #[test]
    fn a_line_tells_one_call_and_a_call_is_told_once() {
        let call = "unshare(CLONE_NEWUTS) = 0\n";
        let line = say(call.trim());
        let count = |parts: &[&str]| judged(&parts.concat()).complaints.len();
        assert_eq!(count(&[call, &line, call, &line]), 0);
        assert_eq!(count(&[call, &line, &line]), 1);
        assert_eq!(count(&[call, call, &line]), 1);
    }

    #[test]
    fn a_line_is_one_write() {
        let line = format!("{LABEL}fork() = 7\n");
        let count =
            |write: &str| judged(&["fork() = 7\n", write].concat()).complaints.len();
        assert_eq!(count(&write(&line)), 0);
        assert_eq!(count(&write(&line.repeat(2))), 1);
        assert_eq!(count(&write(line.trim_end())), 1);
        assert_eq!(count(&write(&format!("(a note)\n{line}"))), 1);
        let cut_short = write(&line).replace(&format!("= {}", line.len()), "= 9");
        assert_eq!(count(&cut_short), 1);
    }
}
