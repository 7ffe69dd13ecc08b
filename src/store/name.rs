//! What may an image be called?
//!
//! As Docker has it: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`. The path is of lower-case letters and
//! digits, with single separators between them; without a host it is a path at Docker Hub:
//! `debian` is `docker.io/library/debian:latest`. The grammar is that of the distribution
//! project's `reference` package.

use std::fmt::{self, Display};

use image::{Digest, shown};
use stage::{Error, Result};

/// The image that is always there: the machine's own root.
pub const HOST: &str = "host";

/// The registry of names that say none.
const HUB: &str = "docker.io";
/// Where its own images are, whose names are one word.
const HUBS_OWN: &str = "library/";

const LATEST: &str = "latest";
const LONGEST_REPOSITORY: usize = 255;
const LONGEST_TAG: usize = 128;

/// The name of an image, with its tag, or its digest if that was said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// In short, as people write it: `debian:latest`. Two names of one image are one here.
    full: String,
    /// How many letters of it are the repository.
    length: usize,
}

impl Name {
    /// Read a name that somebody gave us. Neither tag nor digest means `:latest`.
    pub fn parse(text: &str) -> Result<Name> {
        let wrong = |what: &str, rule: &str| {
            Error::input(format!("image name \"{}\": {what}", shown(text))).hint(rule)
        };
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (text, None),
        };
        let (repository, tag) = split_tag(named);
        let (host, path) = split_host(repository);
        if repository.len() > LONGEST_REPOSITORY {
            let what = format!("{} letters are too many", text.len());
            return Err(wrong(&what, "at most 255, and 128 for the tag"));
        }
        if !host.is_none_or(is_host) || !path.split('/').all(is_component) {
            return Err(wrong(
                "this is no name",
                "a-z 0-9, single . _ - or / between them, and a tag: my/debian_12:slim; \
                 before it perhaps a registry: localhost:5000/debian",
            ));
        }
        if !tag.is_none_or(is_tag) {
            return Err(wrong(
                "this is no tag",
                "after the colon: up to 128 of A-Za-z0-9_.- with no . or - first",
            ));
        }
        if digest.is_some_and(|digest| Digest::parse(digest).is_err()) {
            return Err(wrong(
                "this is no digest",
                "after the @: sha256: and 64 hexadecimal digits",
            ));
        }
        Ok(Name::of(host, path, tag, digest))
    }

    /// A digest says which image; a tag beside it says no more.
    fn of(
        host: Option<&str>,
        path: &str,
        tag: Option<&str>,
        digest: Option<&str>,
    ) -> Name {
        let full = match host {
            None | Some(HUB | "index.docker.io") => in_short(path),
            Some(host) => format!("{host}/{path}"),
        };
        let length = full.len();
        let full = match digest {
            Some(digest) => format!("{full}@{digest}"),
            None => format!("{full}:{}", tag.unwrap_or(LATEST)),
        };
        Name { full, length }
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
        self.repository() == HOST
    }

    /// With its tag, or its digest: `debian:latest`.
    pub fn full(&self) -> &str {
        &self.full
    }

    /// Without: `debian`, `localhost:5000/debian`.
    pub fn repository(&self) -> &str {
        &self.full[..self.length]
    }

    /// Its tag; none if it has a digest.
    pub fn tag(&self) -> Option<&str> {
        self.full[self.length..].strip_prefix(':')
    }

    /// Its digest, if that was said.
    pub fn digest(&self) -> Option<Digest> {
        Digest::parse(self.full[self.length..].strip_prefix('@')?).ok()
    }

    /// What a registry is asked for: the tag, or the digest.
    pub fn reference(&self) -> &str {
        &self.full[self.length + 1..]
    }

    /// The registry that it is from: `docker.io`, or a host and perhaps a port.
    pub fn registry(&self) -> &str {
        split_host(self.repository()).0.unwrap_or(HUB)
    }

    /// What that registry calls the repository: `library/debian`.
    pub fn path(&self) -> String {
        match split_host(self.repository()) {
            (None, path) if !path.contains('/') => format!("{HUBS_OWN}{path}"),
            (_, path) => path.into(),
        }
    }

    /// With all that may be left out: `docker.io/library/debian:latest`.
    pub fn canonical(&self) -> String {
        format!("{}/{}{}", self.registry(), self.path(), &self.full[self.length..])
    }
}

impl Display for Name {
    /// As one would type it: `debian`, `debian:slim`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tag() {
            Some(LATEST) => f.write_str(self.repository()),
            _ => f.write_str(&self.full),
        }
    }
}

/// Docker Hub's `path` as people write it. Its first word must not look like another registry.
fn in_short(path: &str) -> String {
    let own = path.strip_prefix(HUBS_OWN).filter(|rest| !rest.contains('/'));
    match split_host(path).0 {
        Some(_) => format!("{HUB}/{path}"),
        None => own.unwrap_or(path).into(),
    }
}

/// A colon before the last `/` belongs to a port.
fn split_tag(named: &str) -> (&str, Option<&str>) {
    match named.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (named, None),
    }
}

/// The first component is a host if it looks like one.
fn split_host(repository: &str) -> (Option<&str>, &str) {
    match repository.split_once('/') {
        Some((host, path)) if host.contains(['.', ':']) || host == "localhost" => {
            (Some(host), path)
        }
        _ => (None, repository),
    }
}

/// A domain, an IPv4 address or an IPv6 address in brackets; and perhaps a port.
fn is_host(text: &str) -> bool {
    let (domain, port) = match text.rsplit_once(':') {
        Some((domain, port)) if !port.ends_with(']') => (domain, Some(port)),
        _ => (text, None),
    };
    let is_port = |port: &str| {
        !port.starts_with('+') && port.parse::<u16>().is_ok_and(|port| port > 0)
    };
    let is_ipv6 = |inner: &str| inner.parse::<std::net::Ipv6Addr>().is_ok();
    let is_label = |label: &str| {
        let letter = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'-';
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(letter)
    };
    let bracketed = domain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    port.is_none_or(is_port)
        && bracketed.map_or_else(|| domain.split('.').all(is_label), is_ipv6)
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

    #[rustfmt::skip]
    const WRONG: &[&str] = &[
        "", "/", "a/", "/a", "a//b", "../x", ".", "a..b", "a___b", "-a", "a-", "A", "a b",
        "a\nb", "\u{1b}[2J", "é", "a:", "a:.x", "a:-x", "a:b:c", "a:b/c", "a@b",
        "a@sha256:0", "a@b@c", "localhost:/a", "localhost:0/a", "localhost:65536/a",
        "localhost:+5/a", "-a.b/c", "a_b.c/d", ".a/b", "../x", "a.b/../c", "a.b//c",
        "a.b/", "[::1/a", "[::g]/a", "user@host.x/a", "http://a.b/c",
    ];

    #[test]
    fn what_is_no_name_is_refused_in_one_line() {
        let long = "a".repeat(4000);
        let tag = format!("a:{}", "t".repeat(129));
        let wrong = WRONG.iter().copied().chain([long.as_str(), &tag]);
        for name in wrong {
            let error = Name::parse(name).expect_err(name);
            let line = error.to_string();
            assert!(line.len() < 400 && !line.contains(char::is_control), "{line:?}");
            assert!(error.advice().is_some());
        }
    }

    #[test]
    fn docker_hubs_short_names_are_the_same_as_its_long_ones() {
        for (long, full, shown) in [
            ("docker.io/library/debian", "debian:latest", "debian"),
            ("library/debian:12", "debian:12", "debian:12"),
            ("index.docker.io/library/debian:latest", "debian:latest", "debian"),
            ("docker.io/some/body", "some/body:latest", "some/body"),
            ("docker.io/library/a/b", "library/a/b:latest", "library/a/b"),
            ("docker.io/a.b/c", "docker.io/a.b/c:latest", "docker.io/a.b/c"),
        ] {
            let name = Name::parse(long).unwrap();
            assert_eq!((name.full(), name.to_string().as_str()), (full, shown), "{long}");
            assert_eq!(Name::parse(full).unwrap(), name);
            assert_eq!(Name::parse(&name.canonical()).unwrap(), name);
        }
        let debian = Name::parse("debian").unwrap();
        assert_eq!(debian.canonical(), "docker.io/library/debian:latest");
    }

    #[test]
    fn a_name_says_where_the_image_is_from() {
        let sum = "0123456789abcdef".repeat(4);
        for (name, registry, path, reference) in [
            ("debian:12", "docker.io", "library/debian", "12"),
            ("a/b", "docker.io", "a/b", "latest"),
            ("localhost/a", "localhost", "a", "latest"),
            ("localhost:5000/a/b:c", "localhost:5000", "a/b", "c"),
            ("127.0.0.1:5000/a:b", "127.0.0.1:5000", "a", "b"),
            ("[::1]:5000/a", "[::1]:5000", "a", "latest"),
            ("quay.io/a/b/c", "quay.io", "a/b/c", "latest"),
        ] {
            let name = Name::parse(name).unwrap();
            assert_eq!(
                (name.registry(), name.path().as_str(), name.reference()),
                (registry, path, reference)
            );
            let by_digest = format!("{}@sha256:{sum}", name.full());
            let by_digest = Name::parse(&by_digest).unwrap();
            assert_eq!((by_digest.registry(), by_digest.tag()), (registry, None));
            assert_eq!(by_digest.digest().unwrap().hex(), sum);
            assert_eq!(by_digest.reference(), format!("sha256:{sum}"));
        }
    }

    #[test]
    fn the_host_is_reserved_with_every_tag() {
        let names = [("host", true), ("host:x", true), ("host/x", false)];
        let long = [("docker.io/library/host", true), ("localhost/host", false)];
        for (name, host) in names.into_iter().chain(long) {
            assert_eq!(Name::parse(name).unwrap().is_host(), host, "{name}");
        }
    }
}
