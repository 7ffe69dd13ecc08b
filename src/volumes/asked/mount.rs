//! What does `--mount` say?
//!
//! `type=bind|volume|tmpfs` and what belongs to it, with commas between them; in Docker's names.

use stage::{Error, Result};

use crate::container::check_name;

use super::{Source, Wish, check_source, check_target, is_path, set_mode, tmpfs};

const HINT: &str = "--mount takes type=volume|bind|tmpfs, source=, target=, readonly, \
                    volume-nocopy, tmpfs-size=, tmpfs-mode=";

/// What was said, before it is known what it means together.
#[derive(Default)]
struct Said<'t> {
    kind: Option<&'t str>,
    source: Option<&'t str>,
    target: Option<&'t str>,
    read_only: bool,
    no_copy: bool,
    propagation: Option<&'t str>,
    tmpfs: Vec<String>,
}

/// Read one.
pub fn read(text: &str) -> Result<Wish> {
    let wrong = |why: String| Error::input(format!("--mount {text:?}: {why}")).hint(HINT);
    let mut said = Said::default();
    text.split(',').try_for_each(|part| said.take(part)).map_err(wrong)?;
    said.wish().map_err(wrong)
}

impl<'t> Said<'t> {
    fn take(&mut self, part: &'t str) -> Result<(), String> {
        let (name, value) = match part.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (part, None),
        };
        let text =
            || value.filter(|it| !it.is_empty()).ok_or(format!("{name} needs a value"));
        match name {
            "type" => self.kind = Some(text()?),
            "source" | "src" => self.source = Some(text()?),
            "target" | "dst" | "destination" => self.target = Some(text()?),
            "readonly" | "ro" => self.read_only = yes(name, value)?,
            "volume-nocopy" => self.no_copy = yes(name, value)?,
            "bind-propagation" => self.propagation = Some(text()?),
            "tmpfs-size" => self.tmpfs.push(format!("size={}", text()?)),
            "tmpfs-mode" => self.tmpfs.push(format!("mode={}", text()?)),
            // For Docker's virtual machines on other systems.
            "consistency" => drop(text()?),
            _ => return Err(format!("{name:?} is not known")),
        }
        Ok(())
    }

    fn wish(self) -> Result<Wish, String> {
        let target = self.target.ok_or("it has no target")?;
        let target = check_target("the target", target.into());
        let target = target.map_err(|error| error.to_string())?;
        let kind = self.kind.unwrap_or("volume");
        self.check(kind)?;
        let mut wish = match (kind, self.source) {
            ("volume", None) => Wish::of(Source::Nameless, target),
            ("volume", Some(name)) => {
                check_name(name).map_err(|error| error.to_string())?;
                Wish::of(Source::Volume(name.into()), target)
            }
            ("bind", Some(path)) if is_path(path) => {
                Wish::of(Source::Host(check_source(path)?), target)
            }
            ("bind", Some(path)) => {
                return Err(format!("{path:?}: a path begins with / or ./"));
            }
            ("bind", None) => return Err("a bind mount needs a source".into()),
            _ => tmpfs::wish(target, self.tmpfs.iter().map(String::as_str))?,
        };
        wish.is_empty = self.no_copy;
        let mut modes =
            self.read_only.then_some("ro").into_iter().chain(self.propagation);
        modes.try_for_each(|mode| set_mode(&mut wish, mode))?;
        Ok(wish)
    }

    /// Refuse what does not belong together.
    fn check(&self, kind: &str) -> Result<(), String> {
        if !["volume", "bind", "tmpfs"].contains(&kind) {
            return Err(format!("type {kind:?} is none of volume, bind, tmpfs"));
        }
        let strangers = [
            (self.no_copy, "volume-nocopy", "volume"),
            (self.propagation.is_some(), "bind-propagation", "bind"),
            (!self.tmpfs.is_empty(), "tmpfs-size or tmpfs-mode", "tmpfs"),
        ];
        match strangers.iter().find(|(is_said, _, of)| *is_said && *of != kind) {
            Some((_, name, of)) => Err(format!("{name} is for type={of}")),
            None if kind == "tmpfs" && self.source.is_some() => {
                Err("a tmpfs has no source".into())
            }
            None => Ok(()),
        }
    }
}

/// `readonly`, `readonly=true`
fn yes(name: &str, value: Option<&str>) -> Result<bool, String> {
    match value {
        None | Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        Some(value) => Err(format!("{name}={value}: give true or false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read() {
        let named = |options: &[&str]| Wish {
            options: options.iter().map(ToString::to_string).collect(),
            ..Wish::of(Source::Volume("my".into()), "/d".into())
        };
        assert_eq!(read("type=volume,source=my,target=/d"), Ok(named(&[])));
        assert_eq!(read("src=my,dst=/d,ro"), Ok(named(&["ro"])));
        assert_eq!(read("src=my,dst=/d,readonly=false"), Ok(named(&[])));
        let bind = Wish::of(Source::Host("/".into()), "/d".into());
        assert_eq!(read("type=bind,src=/,dst=/d,bind-propagation=rprivate"), Ok(bind));
        let memory = read("type=tmpfs,dst=/d,tmpfs-size=1m,tmpfs-mode=700,ro");
        let options = memory.map(|wish| wish.options.join(","));
        assert_eq!(options.as_deref(), Ok("noexec,nosuid,nodev,size=1m,mode=700,ro"));
        for wrong in [
            "",
            "type=volume",
            "type=disk,dst=/d",
            "dst=d",
            "dst=/",
            "type=bind,dst=/d",
            "type=bind,src=x,dst=/d",
            "type=bind,src=/not/here,dst=/d",
            "src=/x,dst=/d",
            "type=tmpfs,src=x,dst=/d",
            "dst=/d,tmpfs-size=1m",
            "type=bind,src=/,dst=/d,what=1",
            "type=bind,src=/,dst=/d,volume-nocopy",
            "dst=/d,readonly=maybe",
            "dst=/d,source=",
            "type=bind,src=/,dst=/d,bind-propagation=shared",
            "dst=/d,bind-propagation=private",
        ] {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }
}
