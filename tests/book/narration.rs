//! Do the programs say what they do?
//!
//! Every demonstration runs under strace, and what it narrates is compared with what the
//! kernel was asked. The rules are in support/narration.rs; here we also show that they
//! can be broken: whatever we change in a true record, there must be a complaint.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::lessons::{UNCONTAINED, acts, in_brief};
use crate::support::narration::{LABEL, Match, judge, must_be_said};
use crate::support::strace::{Call, Thread, Trace, trace, unquote};
use crate::support::{lessons, program, turn};

/// Every demonstration by its command line, and what it did on this machine, as root.
static DEMONSTRATIONS: LazyLock<Vec<(String, Trace)>> = LazyLock::new(|| {
    let acts = acts();
    let _turn = turn();
    let folders = lessons();
    let names = folders.iter().filter_map(|folder| folder.split_once('-'));
    let plain = names.map(|(_, name)| (name.to_string(), demonstrate(name)));
    let acts = acts.iter().map(|(name, act)| {
        (format!("{name} {act}"), trace(&[], &program(name), &[act.as_str()]))
    });
    plain.chain(acts).collect()
});

/// Run a demonstration, in short where it takes no COMMAND.
fn demonstrate(name: &str) -> Trace {
    match UNCONTAINED.contains(&name) {
        true => trace(&[], &program(name), in_brief(name)),
        false => run(&[], &program(name)),
    }
}

/// Run a demonstration with a COMMAND that does nothing.
fn run(options: &[&str], program: &Path) -> Trace {
    let command = ["/bin/true", "/usr/bin/true"];
    let command = command.into_iter().find(|path| Path::new(path).exists());
    trace(options, program, &["--", command.expect("true(1) is there")])
}

#[test]
fn narration_is_what_strace_sees() {
    for (name, trace) in DEMONSTRATIONS.iter() {
        let judgement = judge(&trace.threads);
        assert_eq!(judgement.complaints, [""; 0], "{name} and strace do not agree");
        assert_eq!(judgement.matches.len(), narrated(trace), "lines of {name}");
        assert_ne!(judgement.matches.len(), 0, "{name} narrates nothing");
        assert_eq!(trace.output.status.code(), Some(0), "{name}: {:?}", trace.output);
    }
}

#[test]
fn narration_of_a_refusal_is_what_strace_sees() {
    let _turn = turn();
    let copy = Copy::of(&program("uts"));
    let trace = run(&["-u", "nobody"], &copy.0);
    let judgement = judge(&trace.threads);
    assert_eq!(judgement.complaints, [""; 0], "uts and strace do not agree");
    assert_eq!(judgement.matches.len(), narrated(&trace));
    let refused =
        format!("{LABEL}unshare(CLONE_NEWUTS) = -1 EPERM (Operation not permitted)\n");
    assert!(text(&trace).contains(&refused), "{}", text(&trace));
    assert_eq!(trace.output.status.code(), Some(125), "{:?}", trace.output);
}

#[test]
fn narration_that_lies_is_found() {
    for (name, trace) in DEMONSTRATIONS.iter() {
        for found in judge(&trace.threads).matches {
            for (how, thread) in lies(&trace.threads[found.thread], found) {
                let complaints = judge(&[thread]).complaints;
                assert_ne!(complaints, [""; 0], "{name}: nobody finds {how}");
            }
        }
    }
}

fn text(trace: &Trace) -> String {
    String::from_utf8_lossy(&trace.output.stdout).into_owned()
}

/// How many lines of the output are narrated.
fn narrated(trace: &Trace) -> usize {
    text(trace).lines().filter(|line| line.starts_with(LABEL)).count()
}

/// A program where everybody may execute it: the build may lie in somebody's home.
struct Copy(PathBuf);

impl Copy {
    fn of(program: &Path) -> Copy {
        let name = format!("fakedocker-narration-{}", std::process::id());
        let copy = Copy(std::env::temp_dir().join(name));
        fs::copy(program, &copy.0).expect("the temporary folder can be written");
        let all = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&copy.0, all).expect("the copy is ours");
        copy
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // Another test's failure tells more than a file that is left in /tmp.
        fs::remove_file(&self.0).ok();
    }
}

/// Records in which the line that was true is a lie, each with what was changed.
fn lies(thread: &Thread, found: Match) -> Vec<(String, Thread)> {
    let true_line = line(&thread.calls[found.line]);
    let mut lies = Vec::new();
    let mut lie = |how: String, change: &dyn Fn(&mut Vec<Call>)| {
        let mut thread = thread.clone();
        change(&mut thread.calls);
        lies.push((how, thread));
    };
    for false_line in false_lines(&true_line) {
        let write = write(&false_line);
        lie(format!("{true_line} as {false_line}"), &|calls| {
            calls[found.line] = write.clone()
        });
    }
    if must_be_said(&thread.calls[found.call]) {
        lie(format!("{true_line} unsaid"), &|calls| drop(calls.remove(found.line)));
    }
    if found.line < found.call {
        let how = format!("{true_line} announced in vain");
        lie(how, &|calls| calls.truncate(found.call));
    } else {
        lie(format!("{true_line} said too early"), &|calls| {
            let write = calls.remove(found.line);
            calls.insert(found.call, write);
        });
    }
    lies
}

/// The call that a write(2) tells.
fn line(write: &Call) -> Call {
    let text = unquote(&write.args[1]).expect("a text was written");
    let text = String::from_utf8(text).expect("it is UTF-8");
    let call = text.strip_prefix(LABEL).and_then(|it| Call::parse(it.trim_end()));
    call.expect("it is a narrated line")
}

/// The write(2) that tells a call.
fn write(line: &Call) -> Call {
    let text = format!("{LABEL}{line}\n");
    let length = text.len().to_string();
    let args = vec!["1".to_string(), format!("{text:?}"), length.clone()];
    Call { name: "write".to_string(), args, result: length }
}

/// The same line with another name, another result or another argument.
fn false_lines(line: &Call) -> Vec<Call> {
    let name = Call { name: format!("not_{}", line.name), ..line.clone() };
    let results = match line.result.as_str() {
        "" => vec!["0".to_string()],
        refusal if refusal.starts_with("-1 ") => vec!["0".to_string()],
        granted => {
            let mut results = altered(granted);
            results.push("-1 EPERM (Operation not permitted)".to_string());
            results
        }
    };
    let results = results.into_iter().map(|result| Call { result, ..line.clone() });
    let args = line.args.iter().enumerate().flat_map(|(place, arg)| {
        altered(arg).into_iter().map(move |arg| {
            let mut line = line.clone();
            line.args[place] = arg;
            line
        })
    });
    [name].into_iter().chain(results).chain(args).collect()
}

/// Other values instead of `value`; none for what is not compared, such as `envp`.
fn altered(value: &str) -> Vec<String> {
    let is_texts = value.starts_with("[\"");
    match value.chars().next() {
        Some('"') => vec![value.replacen('"', "\"not ", 1), "NULL".to_string()],
        Some('[') if is_texts => vec![value.replacen('"', "\"not ", 1), "[]".to_string()],
        Some('0'..='9' | 'A'..='Z' | '-') => {
            let mut others = vec![format!("{value}|NOT_SET")];
            others.push(match value.starts_with(|char: char| char.is_ascii_digit()) {
                true => format!("1{value}"),
                false => format!("NOT_{value}"),
            });
            others.extend(value.rsplit_once('|').map(|(fewer, _)| fewer.to_string()));
            others
                .extend(value.split_once('<').map(|(fd, _)| format!("{fd}</not/there>")));
            others
        }
        _ => Vec::new(),
    }
}
