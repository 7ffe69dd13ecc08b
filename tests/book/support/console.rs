//! What does a page show, and does a run agree with it?
//!
//! A page shows commands and their output in `console` blocks. Inodes, PIDs and times are
//! others in each run, so that such numbers are not compared one by one: where the page's
//! are equal the run's must be equal, and where they differ the run's must differ.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// What is wrong, and in which line of the page (from 1).
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    pub line: usize,
    pub what: String,
}

impl Fault {
    pub fn new(line: usize, what: impl Into<String>) -> Fault {
        Fault { line, what: what.into() }
    }
}

/// A block between two fences: the words behind the opening one, and the lines.
pub struct Fence {
    /// The line of the opening fence, from 1.
    pub line: usize,
    pub info: String,
    pub lines: Vec<String>,
}

const FENCE: &str = "```";

/// The name of a test follows.
const TERMINAL: &str = "console terminal=";

/// All blocks of a page. Fences start at the margin, so that none is overlooked.
pub fn fences(page: &str) -> Result<Vec<Fence>, Fault> {
    let mut fences = Vec::new();
    let mut open: Option<Fence> = None;
    for (line, text) in (1..).zip(page.lines()) {
        match (&mut open, text.strip_prefix(FENCE)) {
            (None, Some(info)) => {
                open = Some(Fence { line, info: info.trim().into(), lines: Vec::new() });
            }
            (Some(_), Some("")) => fences.extend(open.take()),
            (Some(fence), _) => fence.lines.push(text.into()),
            (None, None) if is_other_fence(text) => {
                return Err(Fault::new(line, "a fence is ``` at the margin"));
            }
            (None, None) => {}
        }
    }
    match open {
        Some(fence) => Err(Fault::new(fence.line, "this block is not closed")),
        None => Ok(fences),
    }
}

fn is_other_fence(line: &str) -> bool {
    [FENCE, "~~~"].iter().any(|fence| line.trim_start().starts_with(fence))
}

/// A command that the page shows, with the output that it shows for it.
#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    /// The line of its `$ `, from 1.
    pub line: usize,
    pub text: String,
    /// Run without privileges: the block is a `console user`.
    pub as_user: bool,
    pub output: Vec<String>,
}

impl Command {
    /// The page's lines, from 0, that hold the output.
    fn place(&self) -> Range<usize> {
        let start = self.line - 1 + self.text.split('\n').count();
        start..start + self.output.len()
    }
}

/// All commands of a page that are to be run. A block that would not be run is a fault.
pub fn commands(page: &str) -> Result<Vec<Command>, Fault> {
    let is_plain = |info: &str| info == "console" || info == "console user";
    commands_in(page, is_plain)
}

/// All commands of a page that `test` types on a terminal.
pub fn commands_of_test(page: &str, test: &str) -> Result<Vec<Command>, Fault> {
    commands_in(page, |info| info.strip_prefix(TERMINAL) == Some(test))
}

/// The commands of the blocks that are `meant`.
fn commands_in(page: &str, meant: impl Fn(&str) -> bool) -> Result<Vec<Command>, Fault> {
    let mut commands = Vec::new();
    for fence in fences(page)? {
        match fence.info.as_str() {
            info if meant(info) => commands.extend(commands_of(&fence)?),
            "console" | "console user" => {}
            info if info.starts_with(TERMINAL) => {}
            info if info.starts_with("console") => {
                let known = "`console`, `console user` or `console terminal=TEST`";
                return Err(Fault::new(fence.line, format!("`{info}` is not {known}")));
            }
            _ => {}
        }
    }
    Ok(commands)
}

/// The transcripts that a test of another kind covers: the line, and the test's name.
pub fn elsewhere(page: &str) -> Result<Vec<(usize, String)>, Fault> {
    let covered = |fence: Fence| {
        let test = fence.info.strip_prefix(TERMINAL)?;
        Some((fence.line, test.to_string()))
    };
    Ok(fences(page)?.into_iter().filter_map(covered).collect())
}

fn commands_of(fence: &Fence) -> Result<Vec<Command>, Fault> {
    let mut commands: Vec<Command> = Vec::new();
    for (line, shown) in (fence.line + 1..).zip(&fence.lines) {
        if let Some(text) = shown.strip_prefix("$ ") {
            let (text, as_user) = (text.to_string(), fence.info == "console user");
            commands.push(Command { line, text, as_user, output: Vec::new() });
            continue;
        }
        let Some(command) = commands.last_mut() else {
            return Err(Fault::new(line, format!("not run, it lacks `$ `: {shown}")));
        };
        let continued = if shown == ">" { Some("") } else { shown.strip_prefix("> ") };
        match continued.filter(|_| command.output.is_empty()) {
            Some(more) => command.text.push_str(&format!("\n{more}")),
            None => command.output.push(shown.clone()),
        }
    }
    for command in &mut commands {
        trim_end(&mut command.output);
    }
    match commands.is_empty() {
        true => Err(Fault::new(fence.line, "this block has no command")),
        false => Ok(commands),
    }
}

/// Empty lines at the end are layout.
pub fn trim_end(output: &mut Vec<String>) {
    while output.last().is_some_and(|line| line.trim().is_empty()) {
        output.pop();
    }
}

/// The page with new outputs: those of the commands named by their line, among those that
/// `commands` finds.
pub fn rewrite(
    page: &str,
    commands: impl Fn(&str) -> Result<Vec<Command>, Fault>,
    outputs: &HashMap<usize, Vec<String>>,
) -> Result<String, Fault> {
    let mut lines: Vec<&str> = page.lines().collect();
    let old = commands(page)?;
    for command in old.iter().rev() {
        if let Some(output) = outputs.get(&command.line) {
            let output = output.iter().map(|line| line.trim_end());
            lines.splice(command.place(), output);
        }
    }
    let page = lines.join("\n") + "\n";
    let new = commands(&page)?;
    let kept = |(old, new): (&Command, &Command)| old.text == new.text;
    match old.len() == new.len() && old.iter().zip(&new).all(kept) {
        true => Ok(page),
        false => Err(Fault::new(1, "an output reads like a command (`$ ` or `> `)")),
    }
}

/// A part of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'l> {
    Text(&'l str),
    /// A whole number, decimal or 0x-hex, or a long id in hex.
    Number(&'l str),
    /// A number with a point: it was measured. Two measurements may well be equal, so that
    /// equality says nothing.
    Measured(&'l str),
}

impl<'l> Token<'l> {
    fn text(self) -> &'l str {
        let (Token::Text(text) | Token::Number(text) | Token::Measured(text)) = self;
        text
    }
}

fn tokens(line: &str) -> Vec<Token<'_>> {
    let (mut tokens, mut rest) = (Vec::new(), line);
    while !rest.is_empty() {
        let token = first_token(rest);
        rest = &rest[token.text().len()..];
        tokens.push(token);
    }
    tokens
}

fn first_token(rest: &str) -> Token<'_> {
    let word = prefix(rest, |c| c.is_ascii_alphanumeric());
    if is_hex(word) || is_id(word) {
        return Token::Number(word);
    }
    let dotted = prefix(rest, |c| c.is_ascii_digit() || c == '.').trim_end_matches('.');
    match dotted.matches('.').count() {
        _ if !rest.starts_with(|c: char| c.is_ascii_digit()) => {
            let letters = rest.starts_with(|c: char| c.is_ascii_alphanumeric());
            Token::Text(prefix(rest, |c| match letters {
                true => c.is_ascii_alphabetic(),
                false => !c.is_ascii_alphanumeric(),
            }))
        }
        0 => Token::Number(dotted),
        1 => Token::Measured(dotted),
        _ => Token::Text(dotted), // an address or a version
    }
}

fn prefix(text: &str, belongs: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    &text[..end]
}

fn is_hex(word: &str) -> bool {
    let digits = word.strip_prefix("0x").unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_id(word: &str) -> bool {
    let lower_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let digit = |byte: u8| byte.is_ascii_digit();
    word.len() >= 12 && word.bytes().all(lower_hex) && word.bytes().any(digit)
}

/// Statuses, counts and descriptors are short, and the same in each run.
fn is_fixed(number: &str) -> bool {
    number.strip_prefix("0x").unwrap_or(number).len() <= 2
}

fn with_single_spaces(line: &str) -> String {
    let start = if line.starts_with(char::is_whitespace) { " " } else { "" };
    start.to_string() + &line.split_whitespace().collect::<Vec<&str>>().join(" ")
}

/// A PID that is written to a file has one digit more in another run, and so its length is
/// another: `"4711", 4) = 4`. `length` says what to show for it.
fn with_length(line: &str, length: impl Fn(&str) -> String) -> String {
    let counted = || {
        let (before, after) = line.rsplit_once("\", ")?;
        let (start, number) = before.rsplit_once('"')?;
        let (count, result) = after.split_once(") = ")?;
        let is_number =
            !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit());
        let is_length = is_number && count == result && count.parse::<usize>().is_ok();
        is_length.then(|| {
            let length = length(number);
            format!("{start}\"{number}\", {length}) = {length}")
        })
    };
    counted().unwrap_or_else(|| line.to_string())
}

/// Which number of the run stands for which number of the page.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    runs: HashMap<String, String>,
    pages: HashMap<String, String>,
}

impl Numbers {
    /// Numbers in a command are the same in each run, also in its output.
    pub fn of_commands(commands: &[Command]) -> Numbers {
        let mut numbers = Numbers::default();
        for token in commands.iter().flat_map(|command| tokens(&command.text)) {
            if let Token::Number(fixed) = token {
                numbers.pair(fixed, fixed);
            }
        }
        numbers
    }

    /// Compare what the page shows for `command` with what was seen. What is learnt about
    /// numbers is kept if they agree.
    pub fn compare(&mut self, command: &Command, seen: &[String]) -> Result<(), Fault> {
        let mut learnt = self.clone();
        let expected = &command.output;
        let count = expected.len().max(seen.len());
        for (at, line) in (0..count).zip(command.place().start + 1..) {
            let (page, run) = (expected.get(at), seen.get(at));
            let same =
                matches!((page, run), (Some(page), Some(run)) if learnt.agree(page, run));
            if !same {
                let name = |line: Option<&String>| match line {
                    Some(line) => format!("|{line}"),
                    None => "(no line)".to_string(),
                };
                let (page, run) = (name(page), name(run));
                let what =
                    format!("`{}`\n  expected {page}\n  saw      {run}", command.text);
                return Err(Fault::new(line, what));
            }
        }
        *self = learnt;
        Ok(())
    }

    /// An output for the page: numbers that the page knows keep the page's names.
    pub fn adopt(&mut self, seen: &[String]) -> Vec<String> {
        let adopted = seen.iter().map(|line| {
            let words = tokens(line).into_iter().map(|token| match token {
                Token::Number(run) if !is_fixed(run) => self.page_of(run),
                other => other.text().to_string(),
            });
            with_length(&words.collect::<String>(), |number| number.len().to_string())
        });
        adopted.collect()
    }

    /// The kernel gives the number of a dead namespace to the next one, so that equality
    /// with it is an accident. Forget those that are not `alive`.
    pub fn forget_dead_namespaces(&mut self, alive: &HashSet<String>) {
        let dead = |run: &str| is_namespace(run) && !alive.contains(run);
        self.runs.retain(|_, run| !dead(run));
        self.pages.retain(|run, _| !dead(run));
    }

    fn agree(&mut self, page: &str, run: &str) -> bool {
        let [page, run] = [page, run].map(|line| {
            with_length(&with_single_spaces(line), |_| "its length".to_string())
        });
        let (page, run) = (tokens(&page), tokens(&run));
        page.len() == run.len()
            && page.into_iter().zip(run).all(|pair| match pair {
                (Token::Number(page), Token::Number(run)) if !is_fixed(page) => {
                    self.pair(page, run)
                }
                (Token::Measured(_), Token::Measured(_)) => true,
                (page, run) => page == run,
            })
    }

    fn pair(&mut self, page: &str, run: &str) -> bool {
        let known_run = self.runs.entry(page.into()).or_insert_with(|| run.into());
        let known_page = self.pages.entry(run.into()).or_insert_with(|| page.into());
        known_run == run && known_page == page
    }

    fn page_of(&mut self, run: &str) -> String {
        let page = self.pages.entry(run.into()).or_insert_with(|| run.into()).clone();
        self.runs.entry(page.clone()).or_insert_with(|| run.into());
        page
    }
}

/// Namespaces get their inodes from 0xf0000000 on (the first ones of each kind, below,
/// never die).
fn is_namespace(number: &str) -> bool {
    number.parse().is_ok_and(|inode: u64| (0xf000_0000..=0xffff_ffff).contains(&inode))
}

mod tests {
    use super::*;

    const PAGE: &str = "\
# A page

```console
$ show --limit 4096
host       ns    uts:[4026531838]
container  ns    uts:[4026532177]
host       ns    uts:[4026531838]
took 0.52 s, limit 4096, 12 files, id 3f9c0a7be1d2
$ cat <<END
> one
> END
one

$ false
(exit status 1)
```
";

    const RUN: &str = "\
host   ns uts:[4026531835]
container ns uts:[4026532999]
host   ns uts:[4026531835]
took 1.07 s, limit 4096, 12 files, id 0123456789ab";

    /// Compare the first command of the page with `run`: the line of the fault, if any.
    fn line_of_fault(run: &str) -> Option<usize> {
        let commands = commands(PAGE).unwrap();
        let seen: Vec<String> = run.lines().map(String::from).collect();
        let compared = Numbers::of_commands(&commands).compare(&commands[0], &seen);
        compared.err().map(|fault| fault.line)
    }

    #[test]
    fn commands_and_outputs_are_found() {
        let commands = commands(PAGE).unwrap();
        let texts: Vec<&str> = commands.iter().map(|one| one.text.as_str()).collect();
        assert_eq!(texts, ["show --limit 4096", "cat <<END\none\nEND", "false"]);
        assert_eq!(commands[1].output, ["one"]);
        assert_eq!(commands[1].place(), 11..12);
    }

    #[test]
    fn another_run_agrees() {
        assert_eq!(line_of_fault(RUN), None);
    }

    #[test]
    fn every_alteration_is_found() {
        let alterations = [
            (RUN.replace("container", "contained"), 6),
            (RUN.replace("4026532999", "4026531835"), 6), // different inodes made equal
            (RUN.replacen("4026531835", "4026531834", 1), 7), // equal inodes made different
            (RUN.replace("12 files", "13 files"), 8),
            (RUN.replace("limit 4096", "limit 8192"), 8), // the command says 4096
            (RUN.replace("0123456789ab", "4096"), 8),
            (RUN.replace("1.07", "1"), 8),
            (RUN.lines().take(3).collect::<Vec<_>>().join("\n"), 8),
            (RUN.to_string() + "\nand more", 9),
            (RUN.replacen('\n', "\n\n", 1), 6),
        ];
        for (run, line) in alterations {
            assert_eq!(line_of_fault(&run), Some(line), "{run}");
        }
    }

    #[test]
    fn a_fault_names_what_was_expected_and_seen() {
        let commands = commands(PAGE).unwrap();
        let compared = Numbers::default().compare(&commands[2], &[]);
        let what = "`false`\n  expected |(exit status 1)\n  saw      (no line)";
        assert_eq!(compared, Err(Fault::new(15, what)));
    }

    #[test]
    fn what_is_not_run_is_a_fault() {
        let not_run = [
            ("```console\n# uts\n```\n", 2),
            ("```console\nuts\n$ uts\n```\n", 2),
            ("```console\n> uts\n```\n", 2),
            ("```console\n```\n", 1),
            ("```console skip=slow\n$ uts\n```\n", 1),
            ("text\n  ```console\n$ uts\n  ```\n", 2),
            ("~~~console\n$ uts\n~~~\n", 1),
            ("```console\n$ uts\n", 1),
        ];
        for (page, line) in not_run {
            assert_eq!(commands(page).unwrap_err().line, line, "{page}");
        }
    }

    #[test]
    fn a_transcript_tested_elsewhere_is_named() {
        let page = "```console terminal=uts_prompt\n$ uts\n```\n";
        assert_eq!(elsewhere(page), Ok(vec![(1, "uts_prompt".to_string())]));
        assert_eq!(commands(page), Ok(vec![]));
    }

    #[test]
    fn only_the_named_output_is_rewritten() {
        let lines = |text: &str| text.lines().map(String::from).collect();
        let page =
            rewrite(PAGE, commands, &HashMap::from([(9, lines("one\ntwo "))])).unwrap();
        assert_eq!(page, PAGE.replace("END\none\n\n", "END\none\ntwo\n\n"));
        assert!(rewrite(PAGE, commands, &HashMap::from([(9, lines("$ two"))])).is_err());
    }

    #[test]
    fn a_rewritten_output_keeps_the_numbers_of_the_page() {
        let mut numbers = Numbers::default();
        assert!(numbers.agree("pid 4711", "pid 9000"));
        let adopted = numbers.adopt(&["pid 9000, child 9001, 7".to_string()]);
        assert_eq!(adopted, ["pid 4711, child 9001, 7"]);
        assert!(numbers.agree("child 9001", "child 9001"));
    }

    #[test]
    fn a_number_may_have_another_length() {
        let written = |pid: &str, count: usize| {
            format!("write(6</c>, \"{pid}\", {count}) = {count}")
        };
        let mut numbers = Numbers::default();
        assert!(numbers.agree(&written("987", 3), &written("12345", 5)));
        assert!(!numbers.agree("write(6</c>, \"+pids\", 5) = 5", &written("12345", 5)));
        assert_eq!(numbers.adopt(&[written("12345", 5)]), [written("987", 3)]);
    }

    #[test]
    fn a_dead_namespace_is_forgotten_and_a_living_one_is_not() {
        let mut numbers = Numbers::default();
        assert!(numbers.agree("uts:[4026532177]", "uts:[4026532300]"));
        numbers.forget_dead_namespaces(&HashSet::from(["4026532300".to_string()]));
        assert!(!numbers.clone().agree("uts:[4026532177]", "uts:[4026532301]"));
        numbers.forget_dead_namespaces(&HashSet::new());
        assert!(numbers.agree("uts:[4026532177]", "uts:[4026532301]"));
    }
}
