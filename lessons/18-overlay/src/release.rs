//! Which kernel lets root of a user namespace mount an overlay?
//!
//! Linux 5.11 was the first. Nothing but the release tells beforehand: an older kernel says
//! no when all else has been made already. Read uname(2).

use nix::sys::utsname::uname;
use stage::{Error, Result};

/// The first release that does.
const FIRST: (u32, u32) = (5, 11);

/// Refuse a kernel that cannot, by its name.
pub fn check() -> Result<()> {
    let names = uname().map_err(|errno| Error::call("uname", errno))?;
    refuse_old(&names.release().to_string_lossy())
}

fn refuse_old(release: &str) -> Result<()> {
    match version(release) {
        Some((major, minor)) if (major, minor) < FIRST => Err(Error::input(format!(
            "Linux {major}.{minor} cannot mount an overlay in a user namespace: \
             it takes 5.11 or newer, or sudo"
        ))),
        // What cannot be read is left to the kernel's own answer.
        _ => Ok(()),
    }
}

/// The two numbers at the beginning of a release such as `6.1.0-18-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_as_numbers() {
        for old in ["5.10.0-28-amd64", "5.9", "4.19.0", "2.6.78", "5.10-rc1"] {
            let error = refuse_old(old).map_err(|error| error.to_string());
            assert!(error.is_err_and(|text| text.starts_with("Linux ")), "{old}");
        }
        for new in ["5.11", "5.11.0-rc1", "5.100.1", "6.1.0-18-amd64", "10.0", "strange"]
        {
            assert_eq!(refuse_old(new), Ok(()), "{new}");
        }
    }
}
