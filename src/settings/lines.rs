//! What do files of variables and labels say?
//!
//! A line for each, as they stand: Docker's rules, without quotes and without an end of lines
//! that go on.

use std::fs;
use std::path::{Path, PathBuf};

use stage::{Error, Result};

/// The lines of all `files` that say something.
pub fn read(files: &[PathBuf]) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for file in files {
        let bytes = fs::read(file).map_err(|error| Error::io(file.display(), &error))?;
        all.extend(lines(&bytes).map_err(|(line, why)| wrong(file, line, &why))?);
    }
    Ok(all)
}

fn wrong(file: &Path, line: usize, why: &str) -> Error {
    Error::input(format!("{}, line {line}: {why}", file.display()))
        .hint("a line is NAME=VALUE, NAME, or a remark behind a #")
}

/// The lines of `bytes` that say something, or the number of one that is wrong, and why.
fn lines(bytes: &[u8]) -> Result<Vec<String>, (usize, String)> {
    // Some editors begin a file with a mark of its encoding.
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut said = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line =
            str::from_utf8(line).map_err(|_| (number, "it is not UTF-8".into()))?;
        let line = line.strip_suffix('\r').unwrap_or(line).trim_start();
        let name = line.split('=').next().unwrap_or_default();
        match name {
            _ if line.is_empty() || line.starts_with('#') => {}
            "" => return Err((number, format!("{line:?} has no name"))),
            _ if name.contains(char::is_whitespace) => {
                return Err((number, format!("the name {name:?} has a space in it")));
            }
            _ if line.contains('\0') => {
                return Err((number, "it has a zero byte".into()));
            }
            _ => said.push(line.to_string()),
        }
    }
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_as_docker_reads_them() {
        let text = "\u{feff}A=1\n# B=2\n\n  C = \"x\" # y\n";
        assert_eq!(lines(text.as_bytes()).map_err(|(line, _)| line), Err(4));
        let text = "\u{feff}A=1\r\n  # B=2\n\n  C=\"x\" # y \nD\nE==";
        let said = ["A=1", "C=\"x\" # y ", "D", "E=="].map(String::from).to_vec();
        assert_eq!(lines(text.as_bytes()), Ok(said));
        for (wrong, line) in [("=x", 1), ("A=1\nb c=1", 2), ("a ", 1), ("\nA=\0", 2)] {
            assert_eq!(lines(wrong.as_bytes()).map_err(|(line, _)| line), Err(line));
        }
        assert_eq!(lines(b"A=\xff").map_err(|(line, _)| line), Err(1));
    }
}
