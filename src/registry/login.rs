//! Who are we, to a registry?
//!
//! `podman login` and `docker login` write it down, in `auths` of a file: a name and a password
//! for each registry, in base64. It is the file that REGISTRY_AUTH_FILE names; else podman's, in
//! $XDG_RUNTIME_DIR or /run; else Docker's, ~/.docker/config.json, or in the folder DOCKER_CONFIG.
//! Who does it with sudo is root here, too. Read containers-auth.json(5).

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use serde::Deserialize;
use stage::{Result, proc};

use crate::disk::read_json;
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
        for path in places() {
            let file = match read_json(&path) {
                // Somebody else's: what is public can be had without.
                Err(error) if error.is_refusal() => {
                    stage::warn(format!("we may not read who we are: {error}"));
                    None
                }
                file => file?,
            };
            if let Some(pair) = file.and_then(|file| pair_for(registry, file)) {
                return Ok(Some(Login { pair, source: path.display().to_string() }));
            }
        }
        Ok(None)
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

/// Where to look, one after the other.
fn places() -> Vec<PathBuf> {
    let named =
        |name| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    if let Some(file) = named("REGISTRY_AUTH_FILE") {
        return vec![file];
    }
    let uid = proc::uid_outside();
    let podmans = named("XDG_RUNTIME_DIR").map(|folder| folder.join("containers"));
    let podmans = podmans.unwrap_or_else(|| format!("/run/containers/{uid}").into());
    let home = || named("HOME").or_else(|| sys::home_of(uid));
    let dockers = named("DOCKER_CONFIG").or_else(|| Some(home()?.join(".docker")));
    let dockers = dockers.map(|folder| folder.join("config.json"));
    [podmans.join("auth.json")].into_iter().chain(dockers).collect()
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
