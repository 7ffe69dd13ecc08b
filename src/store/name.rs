//! What may an image be called?
//!
//! As Docker has it: path components of lower-case letters and digits, with single
//! separators between them, and a tag: `debian`, `my/debian_12:slim`. The grammar is that
//! of the distribution project's `reference` package.

use std::fmt::{self, Display};

use image::shown;
use stage::{Error, Result};

/// The image that is always there: the machine's own root.
pub const HOST: &str = "host";

const LATEST: &str = ":latest";
const LONGEST_REPOSITORY: usize = 255;
const LONGEST_TAG: usize = 128;

/// The name of an image, tag included.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// Read a name that somebody gave us. No tag means `:latest`.
    pub fn parse(text: &str) -> Result<Name> {
        let (repository, tag) = text.split_once(':').unwrap_or((text, &LATEST[1..]));
        let wrong = |what: &str, rule: &str| {
            Error::input(format!("image name \"{}\": {what}", shown(text))).hint(rule)
        };
        if repository.len() > LONGEST_REPOSITORY {
            let length = text.len();
            return Err(wrong(
                &format!("{length} letters are too many"),
                "at most 255, and 128 for the tag",
            ));
        }
        if !repository.split('/').all(is_component) {
            return Err(wrong(
                "this is no name",
                "a-z 0-9, single . _ - or / between them, and a tag: my/debian_12:slim",
            ));
        }
        if !is_tag(tag) {
            return Err(wrong(
                "this is no tag",
                "after the colon: up to 128 of A-Za-z0-9_.- with no . or - first",
            ));
        }
        Ok(Name(format!("{repository}:{tag}")))
    }

    /// Read a name that an image is to get: that of the machine itself is no image's.
    pub fn of_image(text: &str) -> Result<Name> {
        match Name::parse(text)? {
            name if name.is_host() => {
                Err(Error::input("`host` is the machine itself: take another name"))
            }
            name => Ok(name),
        }
    }

    /// Is it the machine's own root, which is in no store?
    pub fn is_host(&self) -> bool {
        self.0.split(':').next() == Some(HOST)
    }

    /// Without its tag: `debian`.
    pub fn repository(&self) -> String {
        self.0.rsplit_once(':').map_or(&*self.0, |(repository, _)| repository).into()
    }

    /// The tag alone: `latest`.
    pub fn tag(&self) -> &str {
        self.0.rsplit_once(':').map_or("", |(_, tag)| tag)
    }

    /// As one would type it, and always with the tag: `debian:latest`.
    pub fn tagged(&self) -> String {
        format!("{}:{}", self.repository(), self.tag())
    }

    /// With its tag: `debian:latest`.
    pub fn full(&self) -> &str {
        &self.0
    }
}

impl Display for Name {
    /// As one would type it: `debian`, `debian:slim`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.strip_suffix(LATEST).unwrap_or(&self.0))
    }
}

fn is_component(text: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    let separator = |run: &str| {
        ["", ".", "_", "__"].contains(&run) || run.bytes().all(|letter| letter == b'-')
    };
    text.starts_with(plain) && text.ends_with(plain) && text.split(plain).all(separator)
}

fn is_tag(text: &str) -> bool {
    let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    text.starts_with(word)
        && text.len() <= LONGEST_TAG
        && text.chars().all(|letter| word(letter) || letter == '.' || letter == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_docker_has_them() {
        for name in ["debian", "a/b", "my.org/a__b/c---d:1.2-x_Y", "0", "a:_"] {
            assert!(Name::parse(name).is_ok(), "{name}");
        }
        assert_eq!(Name::parse("debian").unwrap(), Name::parse("debian:latest").unwrap());
        assert_eq!(Name::parse("debian:latest").unwrap().to_string(), "debian");
    }

    #[test]
    fn what_is_no_name_is_refused_in_one_line() {
        let long = "a".repeat(4000);
        let tag = format!("a:{}", "t".repeat(129));
        let wrong = [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "../x",
            ".",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "A",
            "a b",
            "a\nb",
            "\u{1b}[2J",
            "é",
            "a:",
            "a:.x",
            "a:-x",
            "a:b:c",
            "a:b/c",
            "a@b",
            &long,
            &tag,
        ];
        for name in wrong {
            let error = Name::parse(name).expect_err(name);
            let line = error.to_string();
            assert!(line.len() < 400 && !line.contains(char::is_control), "{line:?}");
            assert!(error.advice().is_some());
        }
    }

    #[test]
    fn the_host_is_reserved_with_every_tag() {
        for (name, host) in [("host", true), ("host:x", true), ("host/x", false)] {
            assert_eq!(Name::parse(name).unwrap().is_host(), host, "{name}");
        }
    }
}
