//! Which network does a container get, and who may take it away?
//!
//! A place at the bridge (lesson 6) unless something else is asked for. The bridge belongs
//! to the machine, not to a store: who has which place is noted where the bridge is made.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::str::FromStr;

use net::bridge::{self, Bridge, Place};
use net::usermode::{Tool, Usermode};
use net::{Held, Published};
use serde::{Deserialize, Serialize};
use stage::{Error, Pid, Result, Stage};

use crate::container::{self, Plan, State};
use crate::rootless;
use crate::spec::{Mount, Namespace, Spec};
use crate::store::Store;

pub mod known;
pub mod names;
mod ports;
pub mod usermode;

/// What `--network` can be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Network {
    /// A place at the bridge.
    Bridge,
    /// The host's: its links, addresses and ports.
    Host,
    /// One of its own, with nothing in it but a loopback.
    None,
    /// That of another container.
    Container(String),
    /// One of its own, that a program of ours connects: for who is not root.
    Usermode(Tool),
}

/// What the command line says of networks, as it was typed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Request {
    /// `--network`
    pub network: Option<Network>,
    /// `-p`
    pub publish: Vec<String>,
    /// `--add-host`
    pub add_host: Vec<String>,
    /// `--dns`
    pub dns: Vec<IpAddr>,
}

/// The same, understood and checked.
#[derive(Debug, Clone)]
pub struct Setup {
    network: Network,
    published: Vec<Published>,
    hosts: Vec<names::Host>,
    dns: Vec<IpAddr>,
    /// The container whose network is shared.
    other: Option<Other>,
}

#[derive(Debug, Clone)]
struct Other {
    /// Its network namespace.
    namespace: PathBuf,
    /// Where its files for /etc are.
    folder: PathBuf,
}

/// The annotation that keeps a container's network in its description.
pub const NETWORK: &str = "fakedocker.network";

/// The ports of a container that are to be the host's, whether it runs or not.
pub fn published(state: &State) -> Vec<Published> {
    let asked = &state.life.network.publish;
    asked.iter().filter_map(|text| ports::read(text).ok()).collect()
}

impl Setup {
    /// Refuse what cannot work, before anything is touched.
    pub fn read(store: &Store, request: &Request) -> Result<Setup> {
        let network = request.network.clone().unwrap_or_else(Network::usual);
        let published = request.publish.iter().map(|text| ports::read(text));
        let published = published.collect::<Result<Vec<_>>>()?;
        let hosts = request.add_host.iter().map(|text| names::read_host(text));
        let hosts = hosts.collect::<Result<Vec<_>>>()?;
        let other = match &network {
            Network::Container(name) => Some(find_other(store, name)?),
            _ => None,
        };
        let setup = Setup { network, published, hosts, dns: request.dns.clone(), other };
        setup.check()?;
        Ok(setup)
    }

    /// What `request` has come to: the network is chosen.
    pub fn decided(&self, request: &Request) -> Request {
        Request { network: Some(self.network.clone()), ..request.clone() }
    }

    fn check(&self) -> Result<()> {
        let alone = |what: &str| Error::input(format!("{what} needs --network bridge"));
        match self.network {
            Network::Bridge if rootless::is_rootless() => Err(usermode::no_bridge()),
            Network::Bridge => Ok(()),
            Network::Usermode(_)
                if rootless::is_rootless() && !self.published.is_empty() =>
            {
                Err(alone("-p").hint("that takes root: run it with sudo"))
            }
            Network::Usermode(tool) => usermode::check(tool),
            _ if !self.published.is_empty() => Err(alone("-p")),
            Network::Container(_) if !self.hosts.is_empty() || !self.dns.is_empty() => {
                Err(Error::input(
                    "--add-host and --dns are those of the container that is joined",
                ))
            }
            _ => Ok(()),
        }
    }

    /// The namespace that it takes, if it is not the host's.
    pub fn namespace(&self) -> Option<Namespace> {
        let path = self.other.as_ref().map(|other| other.namespace.clone());
        let kind = "network".to_string();
        (self.network != Network::Host).then_some(Namespace { kind, path })
    }

    /// What the description keeps of it.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(NETWORK.to_string(), self.network.to_string())])
    }

    /// `spec` as it is today: another container whose network is shared may have been started anew.
    pub fn update(&self, spec: &Spec, plan: &Plan) -> Spec {
        let mut spec = spec.clone();
        if self.other.is_some() {
            let is_network = |it: &&mut Namespace| it.kind == "network";
            let its = spec.linux.namespaces.iter_mut().find(is_network);
            its.into_iter().zip(self.namespace()).for_each(|(old, new)| *old = new);
            let files = self.mounts(plan);
            for mount in &mut spec.mounts {
                let file = files.iter().find(|it| it.destination == mount.destination);
                file.into_iter().for_each(|file| mount.clone_from(file));
            }
        }
        spec
    }

    /// The files of its own that the container finds in /etc.
    pub fn mounts(&self, plan: &Plan) -> Vec<Mount> {
        let folder = self.other.as_ref().map_or(plan.folder(), |other| &other.folder);
        let file = |name: &str| Mount {
            destination: format!("/etc/{name}").into(),
            kind: "bind".into(),
            source: folder.join(name),
            options: Vec::new(),
        };
        names::FILES.map(file).into()
    }

    /// What is in these files, until it has a place: by their names.
    pub fn files(&self, hostname: &str) -> Vec<(&'static str, String)> {
        if self.other.is_some() {
            return Vec::new();
        }
        let dns = match self.network {
            Network::Usermode(tool) if self.dns.is_empty() => {
                vec![tool.nameserver().into()]
            }
            _ => self.dns.clone(),
        };
        let texts = [
            self.hosts(hostname, None, None),
            format!("{hostname}\n"),
            names::resolvers(self.network == Network::Bridge, &dns),
        ];
        names::FILES.into_iter().zip(texts).collect()
    }

    fn hosts(&self, hostname: &str, name: Option<&str>, place: Option<&Place>) -> String {
        let mut all = vec![hostname];
        all.extend(name.filter(|name| *name != hostname));
        let place = place.map(|place| (place.address, place.gateway));
        names::hosts(&all, place, &self.hosts)
    }
}

fn find_other(store: &Store, name: &str) -> Result<Other> {
    let other = container::running(store, name)?;
    let folder = other.folder;
    // One that shares a third one's network has that one's files.
    let file = other.spec.mounts.iter().find(|it| it.destination.ends_with("etc/hosts"));
    let folder = match file.and_then(|file| file.source.parent()) {
        Some(its) => its.to_path_buf(),
        None => folder,
    };
    match other.spec.namespace("network") {
        Some(_) => Ok(Other {
            namespace: format!("/proc/{}/ns/net", other.first.pid).into(),
            folder,
        }),
        None => {
            Err(Error::input(format!("container {name:?} has no network of its own"))
                .hint("--network host gives the same"))
        }
    }
}

/// A container's connection to its network, while it runs.
pub struct Connection<'s> {
    setup: Setup,
    /// Taken first of all: whoever cannot have a port is told before anything starts.
    held: Vec<Held>,
    place: Option<Place>,
    usermode: Option<Usermode<'s>>,
}

impl<'s> Connection<'s> {
    /// Take what others could take: the ports.
    pub fn prepare(setup: Setup) -> Result<Connection<'s>> {
        let held = setup.published.iter().map(Published::hold).collect::<Result<_>>()?;
        Ok(Connection { setup, held, place: None, usermode: None })
    }

    /// Connect the network namespace of process `pid`. Returns what it is to know of
    /// that.
    pub fn connect(&mut self, stage: &'s Stage, pid: Pid) -> Result<String> {
        if let Network::Usermode(tool) = self.setup.network {
            self.usermode = Some(Usermode::connect(stage, tool, pid)?);
            return Ok(String::new());
        }
        let place = Bridge::open()
            .and_then(|bridge| bridge.plug(pid, &self.setup.published))
            .map_err(|error| match error.advice() {
                None => error.hint("do without: --network none, or --network host"),
                Some(_) => error,
            })?;
        if let Some(why) = &place.refused {
            warn_of(why);
            self.held.clear();
        }
        let word = place.to_string();
        self.place = Some(place);
        Ok(word)
    }

    /// Its address, if it has one.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.place.as_ref().map(|place| place.address)
    }

    /// Its own lines of /etc/hosts.
    pub fn hosts(&self, hostname: &str, name: Option<&str>) -> String {
        self.setup.hosts(hostname, name, self.place.as_ref())
    }

    /// Give all back.
    pub fn end(mut self) {
        if let Some(Err(error)) = self.place.take().map(Place::leave) {
            stage::warn(format!("the network is left to the next command: {error}"));
        }
    }
}

fn warn_of(why: &Error) {
    let hint = why.advice().map(|hint| format!(": {hint}")).unwrap_or_default();
    stage::warn(format!(
        "neither the world, nor other containers, nor published ports can be reached: \
         {why}{hint}"
    ));
}

/// Give back what killed engines had at the bridge, and say what it was.
pub fn sweep() -> Result<Vec<String>> {
    // A bridge that we can see would be that of the machine's root.
    if rootless::is_rootless() { Ok(Vec::new()) } else { bridge::sweep() }
}

/// What [`sweep`] would say: nothing is changed.
pub fn left() -> Result<Vec<String>> {
    if rootless::is_rootless() { Ok(Vec::new()) } else { bridge::left() }
}

impl Network {
    /// What a container gets when nobody says what.
    fn usual() -> Network {
        match rootless::is_rootless() {
            true => usermode::choose().map_or(Network::None, Network::Usermode),
            false => Network::Bridge,
        }
    }

    /// Whether somebody connects it while the container starts, if it is the one that is
    /// called `name`.
    pub fn is_connected(name: &str) -> bool {
        name == "bridge" || usermode::named(name).is_some()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Network::Bridge => f.write_str("bridge"),
            Network::Host => f.write_str("host"),
            Network::None => f.write_str("none"),
            Network::Container(name) => write!(f, "container:{name}"),
            Network::Usermode(tool) => f.write_str(tool.name()),
        }
    }
}

impl From<Network> for String {
    fn from(network: Network) -> String {
        network.to_string()
    }
}

impl TryFrom<String> for Network {
    type Error = Error;

    fn try_from(text: String) -> Result<Network> {
        text.parse()
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Network> {
        match (text, text.strip_prefix("container:")) {
            ("bridge", _) => Ok(Network::Bridge),
            ("host", _) => Ok(Network::Host),
            ("none", _) => Ok(Network::None),
            (_, Some(name)) if !name.is_empty() => Ok(Network::Container(name.into())),
            _ => usermode::named(text).map(Network::Usermode).ok_or_else(|| {
                Error::input(format!(
                    "{text:?} is none of bridge, host, none, container:NAME, pasta, slirp4netns"
                ))
            }),
        }
    }
}
