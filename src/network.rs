//! Which network does a container get, and who may take it away?

use std::collections::BTreeMap;
use std::str::FromStr;

use stage::Error;

use crate::spec::Namespace;

/// What `--network` can be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Network {
    /// The host's: its links, addresses and ports.
    #[default]
    Host,
    /// One of its own, with nothing in it but a loopback.
    None,
}

/// The annotation that keeps a container's network in its description.
const NETWORK: &str = "fakedocker.network";

impl Network {
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
        };
        BTreeMap::from([(NETWORK.to_string(), name.to_string())])
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Network, Error> {
        match text {
            "host" => Ok(Network::Host),
            "none" => Ok(Network::None),
            _ => {
                Err(Error::input(format!("{text:?} is no network: there are none, host")))
            }
        }
    }
}
