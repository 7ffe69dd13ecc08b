//! What else can be said about a container?
//!
//! Limits of each of its processes, switches of its part of the kernel, and labels, by which people
//! and programs tell containers from each other.

use std::collections::BTreeMap;

use mount::sysctl::{self, Owner};
use pids::rlimits::{self, Limit, UNLIMITED};
use stage::{Error, Result};

use crate::limits::units;
use crate::spec::{LABEL, Rlimit, Spec};

pub mod lines;

/// What the command line says.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// `NAME=SOFT[:HARD]`
    pub ulimits: Vec<String>,
    /// `NAME=VALUE`
    pub sysctls: Vec<String>,
    /// `KEY[=VALUE]`
    pub labels: Vec<String>,
    /// The size of /dev/shm, as `64m`.
    pub shm_size: Option<String>,
}

impl Request {
    /// Limits of its processes, the last of each kind.
    pub fn rlimits(&self) -> Result<Vec<Rlimit>> {
        let limits = self.ulimits.iter().map(|text| read_limit(text));
        let by_kind = limits.map(|it| it.map(|it| (it.kind.clone(), it)));
        Ok(by_kind.collect::<Result<BTreeMap<_, _>>>()?.into_values().collect())
    }

    /// Switches of its part of the kernel.
    pub fn sysctl(&self) -> Result<BTreeMap<String, String>> {
        let pair = |text: &String| match text.split_once('=') {
            Some((name, value)) => Ok((name.trim().to_string(), value.to_string())),
            None => Err(Error::input(format!("--sysctl {text:?}: give NAME=VALUE"))),
        };
        self.sysctls.iter().map(pair).collect()
    }

    /// Labels as annotations; those of the image, and then the user's.
    pub fn annotations(
        &self,
        of_image: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, String>> {
        let mut all = of_image.clone();
        all.extend(labels(&self.labels)?);
        Ok(all.into_iter().map(|(key, value)| (format!("{LABEL}{key}"), value)).collect())
    }

    /// The size of its /dev/shm, in the words of tmpfs(5).
    pub fn shm_size(&self) -> Result<String> {
        match &self.shm_size {
            Some(text) => Ok(units::bytes("--shm-size", text, LEAST_SHM)?.to_string()),
            None => Ok("65536k".into()),
        }
    }
}

/// A page.
const LEAST_SHM: u64 = 4096;

/// Each is `KEY=VALUE`, or `KEY` for one that says all by itself.
pub fn labels(texts: &[String]) -> Result<BTreeMap<String, String>> {
    let label = |text: &String| match text.split_once('=').unwrap_or((text, "")) {
        ("", _) => {
            Err(Error::input(format!("label {text:?} has no key: give KEY[=VALUE]")))
        }
        (key, value) => Ok((key.to_string(), value.to_string())),
    };
    texts.iter().map(label).collect()
}

/// `nofile=1024`, `nofile=1024:4096`; -1 for no limit.
fn read_limit(text: &str) -> Result<Rlimit> {
    let wrong = |why: String| {
        Error::input(format!("--ulimit {text:?}: {why}")).hint(
            "NAME=SOFT[:HARD], numbers or -1 for no limit, such as nofile=1024:4096",
        )
    };
    let (name, amounts) =
        text.split_once('=').ok_or_else(|| wrong("it has no =".into()))?;
    let kind = format!("RLIMIT_{}", name.to_ascii_uppercase());
    if name.chars().any(char::is_uppercase) || rlimits::find(&kind).is_none() {
        let names =
            rlimits::RESOURCES.map(|(name, _)| name["RLIMIT_".len()..].to_lowercase());
        return Err(wrong(format!("{name:?} is none of {}", names.join(" "))));
    }
    let amount = |text: &str| match text {
        "-1" | "unlimited" => Ok(UNLIMITED),
        _ if text.starts_with('+') => Err(wrong(format!("{text:?} is no number"))),
        _ => text.parse::<u64>().map_err(|_| wrong(format!("{text:?} is no number"))),
    };
    let (soft, hard) = amounts.split_once(':').unwrap_or((amounts, amounts));
    let (soft, hard) = (amount(soft)?, amount(hard)?);
    match soft <= hard {
        true => Ok(Rlimit { kind, soft, hard }),
        false => Err(wrong("the soft limit is more than the hard one".into())),
    }
}

/// The limits that a container's processes are to have.
pub fn limits_of(spec: &Spec) -> Vec<Limit> {
    let limit = |it: &Rlimit| {
        let resource = rlimits::find(&it.kind)?;
        Some(Limit { resource, soft: it.soft, hard: it.hard })
    };
    spec.process.rlimits.iter().filter_map(limit).collect()
}

/// Refuse what cannot be, before anything is touched.
pub fn check(spec: &Spec) -> Result<()> {
    if let Some(limit) =
        spec.process.rlimits.iter().find(|it| rlimits::find(&it.kind).is_none())
    {
        return Err(Error::input(format!("no limit is called {:?}", limit.kind)));
    }
    spec.linux.sysctl.keys().try_for_each(|name| {
        let wrong = |why: &str| Error::input(format!("--sysctl {name:?}: {why}"));
        match sysctl::owner(name).filter(|_| sysctl::is_name(name)) {
            None => Err(wrong("it is not a container's own").hint(
                "a container has its own kernel.msg*, kernel.sem, kernel.shm*, fs.mqueue.*, net.*",
            )),
            Some(Owner::Network) if spec.namespace("network").is_none() => {
                Err(wrong("with --network host it is the host's"))
            }
            Some(_) => Ok(()),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn limits_are_read() -> Result<()> {
        let read =
            |text: &str| read_limit(text).ok().map(|it| (it.kind, it.soft, it.hard));
        let files = "RLIMIT_NOFILE".to_string();
        assert_eq!(read("nofile=10"), Some((files.clone(), 10, 10)));
        assert_eq!(read("nofile=10:-1"), Some((files, 10, UNLIMITED)));
        for wrong in [
            "",
            "=",
            "nofile",
            "nofile=",
            "nofile=a",
            "nofile=1:",
            "nofile=2:1",
            "nofile=-1:1",
            "nofile=-2",
            "nofile=+1",
            "NOFILE=1",
            "files=1",
            "nofile=1:2:3",
            "nofile=1e3",
            "nofile=99999999999999999999",
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
        let ulimits = texts(&["nofile=1", "core=0", "nofile=2"]);
        let limits = Request { ulimits, ..Request::default() }.rlimits()?;
        let amounts: Vec<u64> = limits.iter().map(|it| it.soft).collect();
        assert_eq!(amounts, [0, 2]);
        Ok(())
    }

    #[test]
    fn labels_are_those_of_the_image_and_then_the_users() -> Result<()> {
        let request = Request {
            labels: texts(&["a=b=c", "bare", "of=user"]),
            ..Request::default()
        };
        let image = BTreeMap::from(
            [("of", "image"), ("own", "x")]
                .map(|(key, value)| (key.to_string(), value.to_string())),
        );
        let all = request.annotations(&image)?;
        let values =
            ["a", "bare", "of", "own"].map(|key| &*all[&format!("{LABEL}{key}")]);
        assert_eq!((values, all.len()), (["b=c", "", "user", "x"], 4));
        assert!(labels(&texts(&["=x"])).is_err() && labels(&texts(&[""])).is_err());
        Ok(())
    }
}
