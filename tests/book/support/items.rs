//! Where does an item of a Rust file begin and end?
//!
//! The files are formatted by rustfmt, so that an item's last line has the indentation of
//! its first: no parser is needed.

use std::ops::Range;

/// The lines, from 0, of each item in `source` that `heading` names, such as `fn isolate`
/// or `impl Drop for Child<'_>`; without what stands above it.
pub fn find(source: &str, heading: &str) -> Vec<Range<usize>> {
    let lines: Vec<&str> = source.lines().collect();
    let begins = |&at: &usize| is_heading(lines[at], heading);
    (0..lines.len()).filter(begins).map(|at| at..end(&lines, at)).collect()
}

/// Each function in `source`: its name, and its lines from 0.
pub fn functions(source: &str) -> Vec<(String, Range<usize>)> {
    let lines: Vec<&str> = source.lines().collect();
    let function = |at: usize| {
        let rest = bare(lines[at]).strip_prefix("fn ")?;
        let name = rest.split(|c| !is_name(c)).next()?.to_string();
        Some((name, at..end(&lines, at)))
    };
    (0..lines.len()).filter_map(function).collect()
}

/// The first of the lines above `start` that document or attribute the item there.
pub fn with_attributes(source: &str, start: usize) -> usize {
    let lines: Vec<&str> = source.lines().collect();
    let mut first = start;
    while first > 0 {
        let above = lines[first - 1].trim_start();
        let begin = match above.starts_with("///") || above.starts_with("#[") {
            true => first - 1,
            false if above == ")]" => {
                let attribute = |&at: &usize| lines[at].trim_start().starts_with("#[");
                let Some(begin) = (0..first).rev().find(attribute) else { break };
                begin
            }
            false => break,
        };
        first = begin;
    }
    first
}

/// The line without comment, if it is one, and without the visibility.
fn bare(line: &str) -> &str {
    let mut rest = line.trim_start();
    let words = ["pub ", "pub(crate) ", "pub(super) ", "const fn", "unsafe ", "async "];
    while let Some(word) = words.iter().find(|word| rest.starts_with(**word)) {
        rest = rest[word.trim_end_matches("fn").len()..].trim_start();
    }
    rest
}

fn is_heading(line: &str, heading: &str) -> bool {
    let rest = bare(line).strip_prefix(heading);
    match heading.starts_with("impl ") {
        true => rest.is_some_and(|rest| [" {", " {}"].contains(&rest)),
        false => rest.is_some_and(|rest| !rest.starts_with(is_name)),
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The line behind the item that begins at `start`.
fn end(lines: &[&str], start: usize) -> usize {
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let first = lines[start];
    if first.ends_with([';', '}']) {
        return start + 1;
    }
    let is_const = bare(first).starts_with("const ");
    let closes = |line: &str| match is_const {
        true => line.ends_with(';'),
        false => {
            let text = line.trim_start();
            indentation(line) == indentation(first)
                && (text == "}" || text.ends_with(';') || text.ends_with("{}"))
        }
    };
    let rest = lines[start + 1..].iter().position(|line| closes(line));
    rest.map_or(lines.len(), |rest| start + rest + 2)
}

mod tests {
    use super::*;

    const SOURCE: &str = "\
/// The kernel's limit.
pub const MAX: usize = 64;

const NAMES: &[&str] = &[
    \"a\",
];

pub struct Cue {
    go: u8,
}

impl Cue {
    /// Speak.
    #[allow(
        unsafe_code,
    )]
    pub fn say(
        &self,
        text: &str,
    ) -> bool {
        let open = '{';
        text.contains(open)
    }

    fn said(&self) {}
}

impl Drop for Cue {
    fn drop(&mut self) {
    }
}
";

    #[test]
    fn items_are_found_whole() {
        let only = |heading| match &find(SOURCE, heading)[..] {
            [place] => place.clone(),
            found => panic!("{heading}: {found:?}"),
        };
        assert_eq!(only("const MAX"), 1..2);
        assert_eq!(only("const NAMES"), 3..6);
        assert_eq!(only("struct Cue"), 7..10);
        assert_eq!(only("impl Cue"), 11..26);
        assert_eq!(only("impl Drop for Cue"), 27..31);
        assert_eq!(only("fn say"), 16..23);
        assert_eq!(find(SOURCE, "fn sa"), []);
    }

    #[test]
    fn functions_have_their_lines() {
        let functions = functions(SOURCE);
        let found: Vec<(&str, usize)> =
            functions.iter().map(|(name, lines)| (name.as_str(), lines.len())).collect();
        assert_eq!(found, [("say", 7), ("said", 1), ("drop", 2)]);
    }

    #[test]
    fn documentation_and_attributes_belong_to_the_item() {
        assert_eq!(with_attributes(SOURCE, 16), 12);
        assert_eq!(with_attributes(SOURCE, 1), 0);
        assert_eq!(with_attributes(SOURCE, 7), 7);
    }
}
