//! Who are we, to a registry?
//!
//! `docker login` and `podman login` write it down: in `auths` of ~/.docker/config.json (in
//! another folder if DOCKER_CONFIG names one), or of the file that REGISTRY_AUTH_FILE names, as
//! podman has it. There is a name and a password for each registry, in base64.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use serde::Deserialize;
use stage::{Error, Result, proc};

use crate::sys;

/// A name and a password.
#[derive(Clone)]
pub(super) struct Login {
    /// `NAME:PASSWORD`, in base64.
    pair: String,
    /// The file that says so.
    pub(super) source: String,
}

impl std::fmt::Debug for Login {
    /// A password is nobody's business, not even in a message about what went wrong.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("source", &self.source).finish_non_exhaustive()
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
}

impl Login {
    /// Ours at `registry`, if there is one.
    pub(super) fn at(registry: &str) -> Result<Option<Login>> {
        let Some(path) = place() else { return Ok(None) };
        let text = match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| Error::io(path.display(), &error))?,
        };
        let source = path.display().to_string();
        let file: File = serde_json::from_slice(&text)
            .map_err(|error| Error::input(format!("{source} is damaged: {error}")))?;
        Ok(pair_for(registry, file).map(|pair| Login { pair, source }))
    }

    /// As a header says it: RFC 7617.
    pub(super) fn basic(&self) -> String {
        format!("Basic {}", self.pair)
    }
}

/// Older entries are URLs, and Docker Hub has an old name of its own.
fn pair_for(registry: &str, file: File) -> Option<String> {
    let is_it = |key: &str| {
        let key = key.trim_start_matches("https://").trim_start_matches("http://");
        let host = key.split('/').next().unwrap_or(key);
        host == registry || (registry == "docker.io" && host == "index.docker.io")
    };
    let mut entries = file.auths.into_iter().filter(|(key, _)| is_it(key));
    entries.find_map(|(_, entry)| entry.auth.filter(|pair| !pair.is_empty()))
}

fn place() -> Option<PathBuf> {
    let named =
        |name| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    named("REGISTRY_AUTH_FILE").or_else(|| {
        let home = || named("HOME").or_else(|| sys::home_of(proc::uid_outside()));
        let folder = named("DOCKER_CONFIG").or_else(|| Some(home()?.join(".docker")));
        Some(folder?.join("config.json"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_for_its_registry_only() {
        let text = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "aHVi"},
            "localhost:5000": {"auth": "bG9jYWw="}, "http://old.org/v2": {"auth": "b2xk"},
            "kept.elsewhere": {}}, "credsStore": "x"}"#;
        let pair = |registry| pair_for(registry, serde_json::from_str(text).unwrap());
        assert_eq!(pair("docker.io").as_deref(), Some("aHVi"));
        assert_eq!(pair("localhost:5000").as_deref(), Some("bG9jYWw="));
        assert_eq!(pair("old.org").as_deref(), Some("b2xk"));
        for other in ["localhost", "kept.elsewhere", "docker.io.evil.org", "index"] {
            assert_eq!(pair(other), None, "{other}");
        }
    }
}
