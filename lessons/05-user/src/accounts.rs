//! Who is `www-data` in here?
//!
//! The kernel knows numbers only. Names are in two files, /etc/passwd and /etc/group, and
//! each root file system has its own: an image's `www-data` need not be the host's. Programs
//! ask the C library (getpwnam(3)), which reads the files of the machine that it is on, so
//! that we read them ourselves. They are somebody else's files: what makes no sense in them
//! is passed over.
//!
//! Read passwd(5) and group(5).

use std::path::Path;

use stage::{Error, Result};

/// Where the files are, in each root file system.
pub const FILES: [&str; 2] = ["/etc/passwd", "/etc/group"];

/// More than this many bytes are no list of users.
pub const MOST_BYTES: u64 = 8 << 20;

/// What setgroups(2) takes at most (NGROUPS_MAX).
const MOST_GROUPS: usize = 1 << 16;

/// Whom a process can be: numbers, and the home that a login shell would start in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user.
    pub uid: u32,
    /// The group that new files get.
    pub gid: u32,
    /// The groups besides.
    pub groups: Vec<u32>,
    /// "/" for who has none.
    pub home: String,
}

/// The users and groups of a root file system.
#[derive(Debug, Clone)]
pub struct Accounts {
    /// Whose they are, for failures: "the image".
    pub of: &'static str,
    /// The contents of /etc/passwd, empty if there is none.
    pub passwd: Vec<u8>,
    /// The contents of /etc/group, empty if there is none.
    pub group: Vec<u8>,
}

impl Accounts {
    /// Whom `USER` or `USER:GROUP` means, as Docker reads it. Both may be numbers, which
    /// need no entry. Without GROUP it is the user's own, and those that list the user; a
    /// number without an entry is in group 0.
    pub fn find(&self, asked: &str) -> Result<Identity> {
        let (user, group) = match asked.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (asked, None),
        };
        if user.is_empty() || group == Some("") {
            return Err(Error::input(format!("{asked:?} is no user: give USER[:GROUP]")));
        }
        let (mut found, name) = self.find_user(user)?;
        match group {
            Some(group) => found.gid = self.find_group(group)?,
            None => found.groups = self.groups_of(name)?,
        }
        Ok(found)
    }

    /// The user, and the name under which the groups list it.
    fn find_user(&self, asked: &str) -> Result<(Identity, &[u8])> {
        let number = number(asked.as_bytes());
        let is_meant = |name: &[u8], uid: u32| match number {
            Some(number) => uid == number,
            None => name == asked.as_bytes(),
        };
        for [name, _, uid, gid, _, home, _] in entries::<7>(&self.passwd) {
            let numbers = (self::number(uid), self::number(gid));
            let (Some(uid), Some(gid)) = numbers else { continue };
            if is_meant(name, uid) {
                let found = Identity { uid, gid, groups: Vec::new(), home: folder(home) };
                return Ok((found, name));
            }
        }
        let uid = number.ok_or_else(|| self.unknown("user", asked, FILES[0]))?;
        Ok((Identity { uid, gid: 0, groups: Vec::new(), home: "/".into() }, b""))
    }

    fn find_group(&self, asked: &str) -> Result<u32> {
        let named =
            entries::<4>(&self.group).find(|[name, ..]| *name == asked.as_bytes());
        let gid = number(asked.as_bytes());
        let gid = gid.or_else(|| named.and_then(|[_, _, gid, _]| number(gid)));
        gid.ok_or_else(|| self.unknown("group", asked, FILES[1]))
    }

    /// The groups that list the user `name` as a member, each once.
    fn groups_of(&self, name: &[u8]) -> Result<Vec<u32>> {
        let lists =
            |members: &[u8]| members.split(|&byte| byte == b',').any(|it| it == name);
        let mine = entries::<4>(&self.group)
            .filter(|[.., members]| !name.is_empty() && lists(members))
            .filter_map(|[_, _, gid, _]| number(gid));
        let mut groups: Vec<u32> = mine.collect();
        groups.sort_unstable();
        groups.dedup();
        match groups.len() <= MOST_GROUPS {
            true => Ok(groups),
            false => Err(Error::input(format!(
                "{} puts the user into {} groups: the kernel takes {MOST_GROUPS}",
                FILES[1],
                groups.len()
            ))),
        }
    }

    fn unknown(&self, what: &str, asked: &str, file: &str) -> Error {
        let shown: String = asked.chars().take(40).collect();
        Error::input(format!("{what} {shown:?} is not in {}'s {file}", self.of))
            .hint("a number needs no entry there")
    }
}

/// The lines that have exactly `N` fields, a colon apart, and a name.
fn entries<const N: usize>(text: &[u8]) -> impl Iterator<Item = [&[u8]; N]> {
    let lines = text.split(|&byte| byte == b'\n');
    let fields = lines.filter_map(|line| {
        // One more than wanted, so that a line with too many is none, either.
        let fields: Vec<&[u8]> = line.splitn(N + 1, |&byte| byte == b':').collect();
        <[&[u8]; N]>::try_from(fields).ok()
    });
    fields.filter(|fields| !fields[0].is_empty())
}

/// A number that can be a user or a group: the largest one means "leave it" to the kernel.
fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number != u32::MAX).then_some(number)
}

/// A home as it can be put into an environment: text, and a path from the root on.
fn folder(home: &[u8]) -> String {
    let home = std::str::from_utf8(home).ok();
    let home =
        home.filter(|it| Path::new(it).is_absolute() && !it.contains(char::is_control));
    home.unwrap_or("/").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
        www-data:x:33:33::/var/www:/usr/sbin/nologin\n\
        other:x:1000:100::/home/other:/bin/sh\n1000:x:7:7::/seven:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nadm:x:4:other,x\nwww-data:x:33:\nusers:x:100:\n\
        www:x:50:other,www-data\nagain:x:50:other\nnear:x:51:otherwise\n";

    fn accounts(passwd: impl Into<Vec<u8>>, group: impl Into<Vec<u8>>) -> Accounts {
        Accounts { of: "the image", passwd: passwd.into(), group: group.into() }
    }

    fn found(asked: &str) -> (u32, u32, Vec<u32>, String) {
        let found = accounts(PASSWD, GROUP).find(asked).unwrap();
        (found.uid, found.gid, found.groups, found.home)
    }

    #[test]
    fn names_and_numbers_are_found() {
        let www = |groups: &[u32]| (33, 33, groups.to_vec(), "/var/www".to_string());
        assert_eq!(found("www-data"), www(&[50]));
        assert_eq!(found("33"), www(&[50]));
        assert_eq!(found("other"), (1000, 100, vec![4, 50], "/home/other".into()));
        // A number is a number, also where somebody is called so.
        assert_eq!(found("1000"), (1000, 100, vec![4, 50], "/home/other".into()));
        assert_eq!(found("4242"), (4242, 0, vec![], "/".into()));
        assert_eq!(found("0"), (0, 0, vec![], "/root".into()));
    }

    #[test]
    fn a_group_that_is_asked_for_is_the_only_one() {
        assert_eq!(found("other:adm"), (1000, 4, vec![], "/home/other".into()));
        assert_eq!(found("other:4242"), (1000, 4242, vec![], "/home/other".into()));
        assert_eq!(found("4242:users"), (4242, 100, vec![], "/".into()));
        assert_eq!(found("33:0"), (33, 0, vec![], "/var/www".into()));
    }

    #[test]
    fn who_is_not_there_is_named() {
        let of = accounts(PASSWD, GROUP);
        let complaint = |asked: &str| of.find(asked).unwrap_err().to_string();
        assert_eq!(
            complaint("nginx"),
            "user \"nginx\" is not in the image's /etc/passwd"
        );
        let group = "group \"nginx\" is not in the image's /etc/group";
        assert_eq!(complaint("33:nginx"), group);
        for wrong in
            ["", ":", ":33", "33:", "-1", "+1", "4294967295", "99999999999", "a:b:c"]
        {
            let line = complaint(wrong);
            assert!(line.contains('"') && line.len() < 200, "{line}");
        }
        assert!(!complaint("a\u{1b}[2J\n").contains(char::is_control));
        assert!(complaint(&"x".repeat(9000)).len() < 200);
    }

    #[test]
    fn lines_that_make_no_sense_are_passed_over() {
        let strange = "\n:::::::\nme\nme:x\nme:x:1:1:/h:/s\nme:x:-1:1::/h:/s\nme:x:1::::\n\
            me:x:4294967295:0::/h:/s\nme:x:4294967296:0::/h:/s\nme:x: 1:1::/h:/s\n\
            me:x:0x1:1::/h:/s\nme:x:1:1::/h:/s:more\n";
        let mut passwd = strange.as_bytes().to_vec();
        passwd.extend(b"\xff\x00\xfe:x:5:5::/:/\n");
        assert!(accounts(passwd.clone(), GROUP).find("me").is_err());
        passwd.extend(b"me:x:8:9::/\xff\xff:/s");
        let me =
            accounts(passwd, "g:x:3:me\ng:x:4\ng:x:y:me\ng:x:99999999999:me").find("me");
        let expected = Identity { uid: 8, gid: 9, groups: vec![3], home: "/".into() };
        assert_eq!(me.unwrap(), expected);
        for home in ["", "relative", "/a\u{1}b", "/a\rb"] {
            let me = accounts(format!("me:x:8:9::{home}:/s\n"), "").find("me").unwrap();
            assert_eq!(me.home, "/", "{home:?}");
        }
    }

    #[test]
    fn more_groups_than_the_kernel_takes_are_refused() {
        let groups = |count: u32| {
            let lines = (1..=count).map(|gid| format!("g{gid}:x:{gid}:www-data\n"));
            accounts(PASSWD, lines.collect::<String>()).find("www-data")
        };
        assert_eq!(groups(1 << 16).unwrap().groups.len(), 1 << 16);
        assert!(groups((1 << 16) + 1).unwrap_err().to_string().len() < 200);
    }
}
