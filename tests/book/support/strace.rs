//! What did the kernel see?
//!
//! [`trace`] runs a program under strace, which writes down every system call of every
//! thread: `NAME(ARGS) = RESULT`. Read strace(1), then this file, then narration.rs.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

/// What a program said, and what it did.
pub struct Trace {
    pub output: Output,
    pub threads: Vec<Thread>,
}

/// The record of one thread, in the order of its calls.
#[derive(Debug, Clone)]
pub struct Thread {
    /// The thread's number as strace sees it, whatever its PID namespace.
    pub tid: String,
    pub calls: Vec<Call>,
}

/// One system call, in strace's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    pub name: String,
    pub args: Vec<String>,
    /// What stands behind the `=`; empty if nothing does.
    pub result: String,
}

/// Run `program` under strace, with no standard input; `options` are for strace.
pub fn trace(options: &[&str], program: &Path, args: &[&str]) -> Trace {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("strace-{}-{run}", std::process::id()));
    fs::create_dir_all(&folder).expect("the build's folder can be written");
    let output = Command::new("strace")
        // -ff: a record for each thread. -y: descriptors with paths. -s: whole texts.
        .args(["-ff", "-y", "-s", "65536"])
        // Nobody tells of it, and lesson 14 writes as much as it can in that way.
        .args(["-e", "trace=!pwrite64", "-o"])
        .arg(folder.join("record"))
        .args(options)
        .args([OsStr::new("--"), program.as_os_str()])
        .args(args)
        .output()
        .expect("strace is installed");
    let threads = records(&folder);
    fs::remove_dir_all(&folder).expect("the records are ours");
    Trace { output, threads }
}

fn records(folder: &Path) -> Vec<Thread> {
    let files = fs::read_dir(folder).expect("strace wrote its records there");
    let thread = |path: &Path| Thread {
        tid: path.extension().unwrap_or_default().to_string_lossy().into_owned(),
        calls: calls(&fs::read_to_string(path).expect("a record is text")),
    };
    files.map(|entry| thread(&entry.expect("the folder can be read").path())).collect()
}

/// The calls in one thread's record.
pub fn calls(record: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut begun = String::new();
    for line in record.lines() {
        // An exit, a signal, or a call that nobody came to see: the thread was killed first.
        if ["+++ ", "--- ", "???"].iter().any(|it| line.starts_with(it)) {
            continue;
        }
        if line.starts_with("???(") {
            continue; // who was killed at the call's very beginning
        }
        if let Some(start) = line.strip_suffix(" <unfinished ...>") {
            begun = start.to_string();
            continue;
        }
        let resumed =
            line.strip_prefix("<... ").and_then(|it| it.split_once(" resumed>"));
        let whole = match resumed {
            Some((_, rest)) => std::mem::take(&mut begun) + rest,
            None => line.to_string(),
        };
        let call = Call::parse(&whole);
        calls.push(
            call.unwrap_or_else(|| panic!("strace says what we cannot read: {line}")),
        );
    }
    calls
}

impl Call {
    /// Read `NAME(ARGS) = RESULT` or, of a call that is still to be made, `NAME(ARGS)`.
    pub fn parse(text: &str) -> Option<Call> {
        let (name, rest) = text.split_once('(')?;
        if name.is_empty() || !name.bytes().all(is_word) {
            return None;
        }
        let (args, rest) = list(rest, ")")?;
        let result = match rest.trim() {
            "" => "",
            rest => rest.strip_prefix("= ")?,
        };
        Some(Call { name: name.to_string(), args, result: result.to_string() })
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let equals = if self.result.is_empty() { "" } else { " = " };
        write!(f, "{}({}){equals}{}", self.name, self.args.join(", "), self.result)
    }
}

/// The elements of a list up to `close`, and what follows it. Comments are left out.
pub fn list<'t>(mut text: &'t str, close: &str) -> Option<(Vec<String>, &'t str)> {
    let (mut elements, mut element, mut depth) = (Vec::new(), String::new(), 0);
    while !text.is_empty() {
        let (token, rest) = text.split_at(token_length(text)?);
        text = rest;
        match token {
            _ if depth == 0 && (token == close || token == ",") => {
                let whole = std::mem::take(&mut element).trim().to_string();
                if token == "," || !whole.is_empty() || !elements.is_empty() {
                    elements.push(whole);
                }
                if token == close {
                    return Some((elements, text));
                }
                continue;
            }
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ if token.starts_with("/*") => continue,
            _ => {}
        }
        element.push_str(token);
    }
    None
}

/// The length of what stands first in `text`: a string, a comment, a word or a character.
/// A word takes its path with it, `3</etc>`: commas and brackets in it mean nothing.
fn token_length(text: &str) -> Option<usize> {
    if text.starts_with("/*") {
        return Some(text.find("*/")? + 2);
    }
    if text.starts_with('"') {
        return string_length(text);
    }
    let word = text.bytes().take_while(|&byte| is_word(byte)).count();
    let (first, rest) = text.split_at(word);
    let is_descriptor = first == "AT_FDCWD" || first.parse::<u32>().is_ok();
    match rest.strip_prefix('<') {
        Some(path) if is_descriptor && !path.starts_with('<') => {
            Some(word + 1 + path.find('>')? + 1)
        }
        _ if word > 0 => Some(word),
        _ => text.chars().next().map(char::len_utf8),
    }
}

fn string_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let is_end = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        is_end
    })?;
    Some(1 + end + 1)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The bytes that `"…"` stands for; `None` if `text` is anything but one whole string.
pub fn unquote(text: &str) -> Option<Vec<u8>> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    (string_length(text)? == text.len()).then(|| unescape(inner))
}

/// Undo the escapes of strace (`\n`, `\"`, `\302`) and of Rust (`\u{1b}`).
pub fn unescape(mut text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some((plain, escape)) = text.split_once('\\') {
        bytes.extend(plain.as_bytes());
        let (value, length) = escaped(escape);
        bytes.extend(value);
        text = &escape[length..];
    }
    bytes.extend(text.as_bytes());
    bytes
}

/// The bytes that the escape behind a backslash stands for, and its length.
fn escaped(escape: &str) -> (Vec<u8>, usize) {
    if let Some((code, _)) = escape.strip_prefix("u{").and_then(|it| it.split_once('}')) {
        let char = u32::from_str_radix(code, 16).ok().and_then(char::from_u32);
        let char = char.unwrap_or(char::REPLACEMENT_CHARACTER);
        return (char.to_string().into_bytes(), code.len() + 3);
    }
    let octal = escape.bytes().take(3).take_while(|byte| matches!(byte, b'0'..=b'7'));
    let digits = octal.count();
    if let Ok(byte) = u8::from_str_radix(&escape[..digits], 8) {
        return (vec![byte], digits);
    }
    let Some(first) = escape.chars().next() else { return (Vec::new(), 0) };
    let value = match first {
        'n' => "\n".into(),
        't' => "\t".into(),
        'r' => "\r".into(),
        'v' => "\x0b".into(),
        'f' => "\x0c".into(),
        itself => itself.to_string(),
    };
    (value.into_bytes(), first.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(call: &str) -> Vec<String> {
        Call::parse(call).expect("this is a call").args
    }

    #[test]
    fn arguments_end_at_the_commas_that_are_theirs() {
        assert_eq!(args("getpid() = 1"), [""; 0]);
        assert_eq!(args(r#"chdir("a\"),(b") = 0"#), [r#""a\"),(b""#]);
        assert_eq!(
            args(r#"execve("/x", ["x", "y"], 0x55 /* 36 vars, no more */) = 0"#),
            [r#""/x""#, r#"["x", "y"]"#, "0x55"]
        );
        assert_eq!(
            args("poll([{fd=3<pipe:[1]>, events=POLLIN}], 1, -1) = 1 ([{fd=3}])"),
            ["[{fd=3<pipe:[1]>, events=POLLIN}]", "1", "-1"]
        );
        assert_eq!(
            args(r#"openat(AT_FDCWD</a, (b>, "c", O_RDONLY) = 3</a, (b/c>"#),
            ["AT_FDCWD</a, (b>", r#""c""#, "O_RDONLY"]
        );
        assert_eq!(
            args("capset({effective=1<<CAP_CHOWN|1<<CAP_KILL}, 1<<2, 4<a>(deleted)) = 0"),
            ["{effective=1<<CAP_CHOWN|1<<CAP_KILL}", "1<<2", "4<a>(deleted)"]
        );
    }

    #[test]
    fn results_are_what_stands_behind_the_equals_sign() {
        let result = |text| Call::parse(text).map(|call| call.result);
        assert_eq!(result("getpid()             = 7"), Some("7".to_string()));
        assert_eq!(
            result("chdir(\"a = b\") = -1 ENOENT (No such file or directory)"),
            Some("-1 ENOENT (No such file or directory)".to_string())
        );
        assert_eq!(result("exit_group(0 <unfinished ...>) = ?"), Some("?".to_string()));
        assert_eq!(result("execve(\"/x\", [], envp)"), Some(String::new()));
        assert_eq!(result("chdir(\"a\""), None);
        assert_eq!(result("chdir(\"a\") and more"), None);
        assert_eq!(result("no call"), None);
    }

    #[test]
    fn signals_exits_and_interruptions_are_no_calls() {
        let record = "read(3<pipe:[1]>, <unfinished ...>\n\
             --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED} ---\n\
             <... read resumed>\"a\", 1) = 1\n\
             +++ killed by SIGKILL +++\n";
        let read = Call::parse("read(3<pipe:[1]>, \"a\", 1) = 1").expect("a call");
        assert_eq!(calls(record), [read]);
    }

    #[test]
    fn strings_are_their_bytes() {
        assert_eq!(unquote(r#""\342\206\222""#).as_deref(), Some("→".as_bytes()));
        assert_eq!(unquote(r#""\u{2192}→""#).as_deref(), Some("→→".as_bytes()));
        assert_eq!(
            unquote(r#""\0001\1\t\"\\n""#).as_deref(),
            Some(&b"\x001\x01\t\"\\n"[..])
        );
        assert_eq!(unquote(r#""cut"..."#), None);
        assert_eq!(unquote("NULL"), None);
    }
}
