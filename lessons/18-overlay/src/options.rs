//! How are layers described to the kernel?
//!
//! By options, in one text: `lowerdir=A:B,upperdir=C,workdir=D`. Read "Multiple lower layers" in
//! filesystems/overlayfs.rst.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use stage::{Error, Result};

use crate::Layers;

/// mount(2) takes one page, with the zero byte at its end.
const MAX_OPTIONS: usize = 4095;

impl Layers {
    /// The options that describe these layers to mount(2).
    pub(crate) fn options(&self, more: &[&str]) -> Result<String> {
        let lower =
            self.lower.iter().map(|layer| escape(layer)).collect::<Result<Vec<_>>>()?;
        let (upper, work) = (escape(&self.upper)?, escape(&self.work)?);
        let lower = lower.join(":");
        let layers = format!("lowerdir={lower},upperdir={upper},workdir={work}");
        let more = more.iter().copied().filter(|option| !option.is_empty());
        Ok([&*layers].into_iter().chain(more).collect::<Vec<_>>().join(","))
    }

    /// The folder that all lower layers are in, if it is one, and the layers as seen from there.
    pub(crate) fn seen_from_their_folder(&self) -> Option<(&Path, Layers)> {
        let folder = self.lower.first()?.parent()?;
        let names = self.lower.iter().map(|layer| layer.strip_prefix(folder));
        let lower =
            names.map(|name| name.ok().map(PathBuf::from)).collect::<Option<_>>()?;
        Some((folder, Layers { lower, ..self.clone() }))
    }
}

/// Options that turn off what some kernels do by default: with these, an upper layer may hold less
/// than a file or a folder, and say where the rest is, which no archive of a layer can say.
pub(crate) fn plain() -> String {
    let is_on = |name: &&str| {
        let said =
            std::fs::read_to_string(format!("/sys/module/overlay/parameters/{name}"));
        said.is_ok_and(|said| said.trim() == "Y")
    };
    let on = ["redirect_dir", "metacopy"].into_iter().filter(is_on);
    on.map(|name| format!("{name}=off")).collect::<Vec<_>>().join(",")
}

/// Refuse more options than mount(2) takes.
pub(crate) fn check(options: &str) -> Result<()> {
    match options.len() {
        0..=MAX_OPTIONS => Ok(()),
        size => Err(Error::input(format!(
            "these layers need {size} bytes of mount options, the kernel takes {MAX_OPTIONS}"
        ))),
    }
}

/// Options are split at commas and lower layers at colons, unless a backslash is before.
fn escape(layer: &Path) -> Result<String> {
    let text = std::str::from_utf8(layer.as_os_str().as_bytes());
    let text =
        text.map_err(|_| Error::input(format!("{layer:?} is not UTF-8: rename it")))?;
    let special = |letter| matches!(letter, '\\' | ':' | ',');
    let escaped = text
        .chars()
        .flat_map(|letter| special(letter).then_some('\\').into_iter().chain([letter]));
    Ok(escaped.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_in_names_are_escaped() {
        let layers = Layers {
            lower: vec!["/a:b".into(), "/c,d".into()],
            upper: "/u\\p".into(),
            work: "/w".into(),
        };
        let options = layers.options(&[]).map_err(|error| error.to_string());
        let expected = r"lowerdir=/a\:b:/c\,d,upperdir=/u\\p,workdir=/w";
        assert_eq!(options, Ok(expected.to_string()));
    }
}
