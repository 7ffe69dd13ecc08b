//! Which network does a container get, and who may take it away?

use std::collections::BTreeMap;
use std::str::FromStr;

use net::usermode::{Tool, Usermode};
use stage::{Error, Result, Stage};

use crate::rootless;
use crate::spec::{Namespace, Spec};

pub mod usermode;

/// What `--network` can be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Network {
    /// The host's: its links, addresses and ports.
    #[default]
    Host,
    /// One of its own, with nothing in it but a loopback.
    None,
    /// One of its own, that a program of ours connects: for who is not root.
    Usermode(Tool),
}

/// The annotation that keeps a container's network in its description.
const NETWORK: &str = "fakedocker.network";

impl Network {
    /// What a container gets when nobody says what.
    pub fn usual() -> Network {
        match rootless::is_rootless() {
            true => usermode::choose().map_or(Network::None, Network::Usermode),
            false => Network::Host,
        }
    }

    /// Refuse what cannot be had here, before anything is touched.
    pub fn check(&self) -> Result<()> {
        match self {
            Network::Usermode(tool) => usermode::check(*tool),
            _ => Ok(()),
        }
    }

    /// The namespace that it takes, if it is not the host's.
    pub fn namespace(&self) -> Option<Namespace> {
        let own = Namespace { kind: "network".into(), path: None };
        (*self != Network::Host).then_some(own)
    }

    /// What the description keeps of it.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let name = match self {
            Network::Host => "host",
            Network::None => "none",
            Network::Usermode(tool) => tool.name(),
        };
        BTreeMap::from([(NETWORK.to_string(), name.to_string())])
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Network> {
        match text {
            "host" => Ok(Network::Host),
            "none" => Ok(Network::None),
            _ => usermode::named(text).map(Network::Usermode).ok_or_else(|| {
                Error::input(format!(
                    "{text:?} is no network: there are none, host, pasta, slirp4netns"
                ))
            }),
        }
    }
}

/// Get ready what connects the container to the world, if that takes a process.
pub fn prepare<'s>(stage: &'s Stage, spec: &Spec) -> Result<Option<Usermode<'s>>> {
    let tool = spec.annotations.get(NETWORK).and_then(|name| usermode::named(name));
    tool.map(|tool| Usermode::prepare(stage, tool)).transpose()
}
