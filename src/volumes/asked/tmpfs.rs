//! What does one say of a file system in memory?
//!
//! Nobody can start a program in it, take on its owner's rights, or use a device, unless that is
//! asked for: Docker's rule. Sizes and modes as in tmpfs(5).

use stage::{Error, Result};

use super::{Source, Wish, check_target};

/// What there is, unless its opposite is asked for.
const USUAL: [(&str, &str); 2] = [("noexec", "exec"), ("nosuid", "suid")];

/// `PATH[:OPTION,...]`
pub fn read(text: &str) -> Result<Wish> {
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    let wrong = |why: String| Error::input(format!("--tmpfs {text:?}: {why}"));
    let target = check_target("the place", path.into());
    let target = target.map_err(|error| wrong(error.to_string()))?;
    let options = options.split(',').filter(|option| !option.is_empty());
    wish(target, options).map_err(wrong)
}

/// The same, of what has been read.
pub fn wish<'o>(
    target: std::path::PathBuf,
    asked: impl Iterator<Item = &'o str>,
) -> Result<Wish, String> {
    // No file system in a container has devices, but for /dev.
    let mut options: Vec<String> =
        ["noexec", "nosuid", "nodev"].map(String::from).to_vec();
    for option in asked {
        let opposite =
            USUAL.iter().find(|(usual, other)| [usual, other].contains(&&option));
        let is_usual = |it: &String| opposite.is_some_and(|(usual, _)| it == usual);
        match (option, opposite) {
            ("rw" | "nodev" | "defaults", _) => {}
            (_, Some((usual, other))) => {
                options.retain(|it| !is_usual(it));
                options.extend((option != *other).then(|| usual.to_string()));
            }
            _ => {
                check(option)?;
                options.push(option.into());
            }
        }
    }
    Ok(Wish { options, ..Wish::of(Source::Memory, target) })
}

fn check(option: &str) -> Result<(), String> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let is_number = |text: &str| text.parse::<u32>().is_ok() && !text.starts_with('+');
    let is_size = |text: &str| {
        let end =
            text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let units = ["", "k", "m", "g", "K", "M", "G", "%"];
        text[..end].parse::<u64>().is_ok() && units.contains(&&text[end..])
    };
    let is_mode = |text: &str| u32::from_str_radix(text, 8).is_ok_and(|it| it <= 0o7777);
    let is_right = match name {
        "ro" => option == "ro",
        "size" | "nr_inodes" | "nr_blocks" => is_size(value),
        "mode" => is_mode(value),
        "uid" | "gid" => is_number(value),
        "dev" => return Err("dev: a container's devices are those in /dev".into()),
        _ => false,
    };
    match is_right {
        true => Ok(()),
        false => Err(format!(
            "{option:?} is none of ro, rw, exec, suid, size=BYTES[k|m|g|%], mode=OCTAL, \
             uid=NUMBER, gid=NUMBER, nr_inodes=NUMBER"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let options = |text: &str| read(text).ok().map(|wish| wish.options.join(","));
        assert_eq!(options("/t").as_deref(), Some("noexec,nosuid,nodev"));
        assert_eq!(options("/t:").as_deref(), Some("noexec,nosuid,nodev"));
        let asked = "/t:exec,rw,size=64m,mode=1750,uid=7";
        assert_eq!(
            options(asked).as_deref(),
            Some("nosuid,nodev,size=64m,mode=1750,uid=7")
        );
        assert_eq!(options("/t:exec,suid,noexec").as_deref(), Some("nodev,noexec"));
        for wrong in [
            "",
            "t",
            "/",
            "/t:dev",
            "/t:size",
            "/t:size=",
            "/t:size=1x",
            "/t:size=-1",
            "/t:mode=9",
            "/t:mode=77777",
            "/t:uid=a",
            "/t:uid=-1",
            "/t:foo",
            "/t:ro=1",
            "/t:source=x",
        ] {
            assert_eq!(options(wrong), None, "{wrong:?}");
        }
    }
}
