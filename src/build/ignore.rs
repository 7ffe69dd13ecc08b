//! Which files of the context stay outside?
//!
//! Those that .dockerignore names: a pattern a line, `!` before those that are wanted after all;
//! the last one that matches decides. `*` and `?` stand for letters of one name, `**` for any
//! number of folders. A pattern for a folder is one for all that is in it. Read ".dockerignore
//! file" in Docker's documentation, and Go's path/filepath, Match.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

/// The patterns of a .dockerignore.
#[derive(Debug, Default)]
pub struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    /// A name each.
    steps: Vec<Vec<u8>>,
    /// It is wanted after all.
    wanted: bool,
}

impl Ignore {
    /// Read a .dockerignore.
    pub fn parse(text: &str) -> Ignore {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let pattern = |line: &str| {
            let (line, wanted) = match line.strip_prefix('!') {
                Some(line) => (line.trim_start(), true),
                None => (line, false),
            };
            Pattern { steps: steps(Path::new(line)), wanted }
        };
        Ignore { patterns: lines.map(pattern).collect() }
    }

    /// Whether `path`, from the context's top, stays outside.
    pub fn leaves_out(&self, path: &Path) -> bool {
        let steps = steps(path);
        // The pattern may be for a folder that it is in.
        let matches = |pattern: &&Pattern| {
            (1..=steps.len()).any(|count| all_match(&pattern.steps, &steps[..count]))
        };
        self.patterns.iter().rfind(matches).is_some_and(|pattern| !pattern.wanted)
    }

    /// Whether there can be something wanted in a folder that stays outside.
    pub fn has_exceptions(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.wanted)
    }
}

/// Whether `path` is what `pattern` stands for, as Go's filepath.Match has it.
pub fn is_match(pattern: &Path, path: &Path) -> bool {
    let (pattern, path) = (steps(pattern), steps(path));
    pattern.len() == path.len()
        && pattern.iter().zip(&path).all(|(step, name)| matches(step, name))
}

/// Whether `text` has letters that stand for others.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

fn steps(path: &Path) -> Vec<Vec<u8>> {
    let mut steps: Vec<Vec<u8>> = Vec::new();
    for step in path.components() {
        match step {
            Component::Normal(name) => steps.push(OsStr::as_bytes(name).to_vec()),
            Component::ParentDir => drop(steps.pop()),
            _ => {}
        }
    }
    steps
}

fn all_match(pattern: &[Vec<u8>], path: &[Vec<u8>]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((step, rest)) if step == b"**" => {
            (0..=path.len()).any(|skipped| all_match(rest, &path[skipped..]))
        }
        Some((step, rest)) => path.split_first().is_some_and(|(name, further)| {
            matches(step, name) && all_match(rest, further)
        }),
    }
}

/// One name against one step of a pattern.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let Some((&first, rest)) = pattern.split_first() else { return name.is_empty() };
    match (first, name.split_first()) {
        (b'*', _) => (0..=name.len()).any(|skipped| matches(rest, &name[skipped..])),
        (b'?', Some((_, name))) => matches(rest, name),
        (b'[', Some((&letter, name))) => match class(rest) {
            Some((class, rest)) => has(class, letter) && matches(rest, name),
            None => letter == b'[' && matches(rest, name),
        },
        (b'\\', Some((letter, name))) => rest
            .split_first()
            .is_some_and(|(escaped, rest)| escaped == letter && matches(rest, name)),
        (_, Some((letter, name))) => first == *letter && matches(rest, name),
        (_, None) => false,
    }
}

/// What is between brackets, and what follows.
fn class(pattern: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = pattern.iter().skip(1).position(|&letter| letter == b']')? + 1;
    Some((&pattern[..end], &pattern[end + 1..]))
}

fn has(class: &[u8], letter: u8) -> bool {
    let (class, negated) = match class {
        [b'^' | b'!', class @ ..] => (class, true),
        class => (class, false),
    };
    let mut rest = class;
    let mut found = false;
    while let Some((&first, further)) = rest.split_first() {
        (found, rest) = match further {
            [b'-', last, further @ ..] => {
                (found || (first..=*last).contains(&letter), further)
            }
            _ => (found || first == letter, further),
        };
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_dockers() {
        let ignore = Ignore::parse(
            "# no pattern\n*.md\n!README.md\n/temp?\n**/cache\nsrc/**/*.o\na/b/\n",
        );
        for out in [
            "x.md",
            "temp1",
            "temp1/x",
            "cache",
            "a/cache/x",
            "src/x.o",
            "src/a/b/x.o",
            "a/b",
            "a/b/c",
        ] {
            assert!(ignore.leaves_out(Path::new(out)), "{out}");
        }
        for inside in ["README.md", "a/x.md", "temp", "temp12", "x.o", "a", "a/c"] {
            assert!(!ignore.leaves_out(Path::new(inside)), "{inside}");
        }
        assert!(ignore.has_exceptions());
    }

    #[test]
    fn letters_stand_for_letters_of_one_name() {
        let is =
            |pattern: &str, path: &str| is_match(Path::new(pattern), Path::new(path));
        for (pattern, path) in [
            ("*.c", "x.c"),
            ("./a/*", "a/b"),
            ("[a-c]x", "bx"),
            ("[^a]x", "bx"),
            ("\\*", "*"),
            ("a*b*c", "axxbyc"),
            ("[", "["),
        ] {
            assert!(is(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in
            [("*.c", "a/x.c"), ("*", ""), ("[a-c]", "d"), ("a?", "a"), ("\\*", "x")]
        {
            assert!(!is(pattern, path), "{pattern} {path}");
        }
    }
}
