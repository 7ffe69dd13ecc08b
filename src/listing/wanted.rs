//! Which of the containers does somebody want to see?

use std::collections::BTreeSet;
use std::path::PathBuf;

use stage::{Error, Result};

use super::{Listed, image_of, labels};
use crate::container::Known;
use crate::filters::Filters;
use crate::inspect;
use crate::limits::units;
use crate::network::known;
use crate::spec::{IMAGE_ID, Spec};
use crate::store::{Image, Name, Store};
use crate::times;

use super::List;

/// What one can filter by.
const KEYS: [&str; 11] = [
    "ancestor", "before", "exited", "id", "label", "name", "network", "publish", "since",
    "status", "volume",
];

const STATES: [&str; 7] =
    ["created", "restarting", "running", "removing", "paused", "exited", "dead"];

/// Those that are wanted.
pub struct Wanted {
    filters: Filters,
    all: bool,
    last: Option<usize>,
    /// Images that `ancestor` means, as far as there are such.
    ancestors: Vec<(String, Option<Image>)>,
    /// Made after this moment, and before that: nanoseconds since 1970.
    since: Option<i128>,
    before: Option<i128>,
}

impl Wanted {
    /// Refuse what makes no sense.
    pub fn read(store: &Store, list: &List) -> Result<Wanted> {
        let filters = Filters::read(&list.filters, &KEYS)?;
        for state in filters.values("status") {
            if !STATES.contains(&state.as_str()) {
                let all = STATES.join(", ");
                return Err(Error::input(format!("status={state} is none of {all}")));
            }
        }
        for code in filters.values("exited") {
            code.parse::<u8>().map_err(|_| {
                Error::input(format!("exited={code} is no number from 0 to 255"))
            })?;
        }
        let ancestors = filters.values("ancestor").iter();
        let ancestors = ancestors.map(|name| (name.clone(), store.image(name).ok()));
        let moment = |key: &str| made(store, filters.values(key));
        Ok(Wanted {
            all: list.all || !filters.values("status").is_empty(),
            last: list.last,
            ancestors: ancestors.collect(),
            since: moment("since")?,
            before: moment("before")?,
            filters,
        })
    }

    /// Those of `all` that are wanted, which are in order.
    pub fn choose(&self, all: Vec<Listed>) -> Vec<Listed> {
        let is_there =
            |it: &Listed| self.all || self.last.is_some() || it.status.is_running();
        let wanted = all.into_iter().filter(|it| is_there(it) && self.fits(it));
        wanted.take(self.last.unwrap_or(usize::MAX)).collect()
    }

    /// Whether what cannot be read may be one of them.
    pub fn has_unreadable(&self) -> bool {
        KEYS.iter().all(|key| self.filters.values(key).is_empty())
    }

    fn fits(&self, listed: &Listed) -> bool {
        let Listed { known: Known { id, spec, state, .. }, status } = listed;
        let fit = |key: &str, fits: &dyn Fn(&str) -> bool| self.filters.fit(key, fits);
        let name = state.name.as_deref().unwrap_or_default();
        let created = times::nanoseconds(&state.created);
        let exited = |code: &str| {
            !status.is_running()
                && state.exit_status.is_some_and(|it| code == it.to_string())
        };
        fit("id", &|which| id.starts_with(which))
            && fit("name", &|which| is_like(name, which))
            && fit("status", &|which| status.name() == which)
            && fit("exited", &exited)
            && fit("network", &|which| known::name(spec) == which)
            && fit("volume", &|which| has_volume(spec, which))
            && fit("publish", &|which| publishes(spec, which))
            && self.filters.fit_labels(|key| {
                labels(spec).find(|(it, _)| *it == key).map(|(_, value)| value)
            })
            && (self.ancestors.is_empty()
                || self
                    .ancestors
                    .iter()
                    .any(|(name, image)| stands_on(spec, name, image)))
            && self.since.is_none_or(|since| created.is_some_and(|it| it > since))
            && self.before.is_none_or(|before| created.is_some_and(|it| it < before))
    }
}

/// When the one that is named was made.
fn made(store: &Store, names: &[String]) -> Result<Option<i128>> {
    let Some(name) = names.last() else { return Ok(None) };
    let known = crate::container::known(store, name, &store.lock_containers()?)?;
    Ok(times::nanoseconds(&known.state.created))
}

/// A part of the name, or with `^` and `$` its beginning and its end; Docker's names begin with
/// a slash.
fn is_like(name: &str, which: &str) -> bool {
    let (begins, part) = match which.strip_prefix('^') {
        Some(rest) => (true, rest.trim_start_matches('/')),
        None => (which.starts_with('/'), which.trim_start_matches('/')),
    };
    match (begins, part.strip_suffix('$')) {
        (true, Some(part)) => name == part,
        (true, None) => name.starts_with(part),
        (false, Some(part)) => name.ends_with(part),
        (false, None) => name.contains(part),
    }
}

fn has_volume(spec: &Spec, which: &str) -> bool {
    inspect::mounts(spec).any(|mount| {
        ["Name", "Source", "Destination"].iter().any(|field| mount[field] == which)
    })
}

/// `80`, `80/udp`, `8000-8080`: as the container has them, or the host.
fn publishes(spec: &Spec, which: &str) -> bool {
    let (ports, protocol) = which.split_once('/').unwrap_or((which, "tcp"));
    let ports: BTreeSet<u32> = units::list(ports).unwrap_or_default();
    crate::network::published(spec).iter().any(|it| {
        it.protocol.to_string() == protocol
            && [it.container, it.host.port()].iter().any(|&it| ports.contains(&it.into()))
    })
}

/// Whether its lowest layers are those of the image, or it was made of what was called so.
fn stands_on(spec: &Spec, name: &str, image: &Option<Image>) -> bool {
    let called = image_of(spec);
    let is_called = called == name || Name::parse(&called).ok() == Name::parse(name).ok();
    let Some(image) = image else { return is_called };
    let is_it = spec.annotations.get(IMAGE_ID) == Some(&image.id.to_string());
    let lower = spec.stacks().ok().and_then(|stacks| stacks.into_iter().next());
    let lower: Vec<PathBuf> = lower.map_or_else(Vec::new, |(_, layers)| layers.lower);
    let is_below =
        || lower.iter().rev().zip(&image.layers).all(|(one, other)| one == other);
    is_it || (lower.len() >= image.layers.len() && !image.layers.is_empty() && is_below())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_like_others() {
        for which in ["we", "web", "^web-1$", "^/web", "/web-1", "1$", "-"] {
            assert!(is_like("web-1", which), "{which}");
        }
        for which in ["x", "^eb", "^web$", "/1", "web$"] {
            assert!(!is_like("web-1", which), "{which}");
        }
    }
}
