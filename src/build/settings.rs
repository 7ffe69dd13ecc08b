//! What do the instructions change that make no files?
//!
//! The configuration, which says how the image is to be run. Field names are those of the image
//! specification (config.md), and of Docker where that has none.

use std::path::Path;

use image::manifest::{Config, Settings};
use serde_json::{Map, Value, json};
use stage::{Error, Result};

use super::dockerfile::{Action, Command, Setting, instruction};
use super::words::{Meaning, split};
use crate::cp::clean;

/// What runs lines of RUN, CMD and ENTRYPOINT, unless SHELL says otherwise.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// Apply instructions, such as those of `commit -c`, that change nothing but the configuration.
pub fn change(config: &mut Config, instructions: &[String]) -> Result<()> {
    for text in instructions {
        let set = instruction(text).and_then(|instruction| match instruction.action {
            Action::Set(setting) => set(config, &setting, '\\', &|_| None, &mut true),
            Action::Workdir(folder) => {
                config.config.working_dir = working_dir(&config.config, &folder)?;
                Ok(())
            }
            _ => Err(Error::input("it changes more than the configuration")),
        });
        set.map_err(|error| error.within(format!("-c {text:?}")))?;
    }
    Ok(())
}

/// Apply one setting. `value` is what variables are worth besides the configuration's own;
/// `has_cmd` says whether the command is not that of the image below.
pub fn set(
    config: &mut Config,
    setting: &Setting,
    escape: char,
    value: &dyn Fn(&str) -> Option<String>,
    has_cmd: &mut bool,
) -> Result<()> {
    let before = config.config.clone();
    let value = |name: &str| variable(&before, name).or_else(|| value(name));
    let meaning = Meaning { escape, value: &value };
    let settings = &mut config.config;
    match setting {
        Setting::Env(pairs) => {
            for (name, value) in pairs {
                set_env(settings, &meaning.of(name)?, &meaning.of(value)?);
            }
        }
        Setting::Label(pairs) => {
            for (name, value) in pairs {
                settings.labels.insert(meaning.of(name)?, meaning.of(value)?);
            }
        }
        Setting::User(user) => settings.user = meaning.of(user)?,
        Setting::Expose(ports) => {
            for port in all_of(ports, &meaning)?.iter().flat_map(|it| expand(it)) {
                settings.exposed_ports.insert(port?, json!({}));
            }
        }
        Setting::Volume(folders) => {
            let folders = all_of(folders, &meaning)?.into_iter();
            settings.volumes.extend(folders.map(|folder| (folder, json!({}))));
        }
        Setting::StopSignal(signal) => settings.stop_signal = meaning.of(signal)?,
        Setting::Cmd(_) | Setting::Entrypoint(_) => {
            set_command(settings, setting, has_cmd)
        }
        other => set_dockers(config, other)?,
    }
    Ok(())
}

fn set_command(settings: &mut Settings, setting: &Setting, has_cmd: &mut bool) {
    match setting {
        Setting::Cmd(command) => {
            (settings.cmd, *has_cmd) = (words(settings, command), true);
        }
        Setting::Entrypoint(command) => {
            settings.entrypoint = words(settings, command);
            // The command of the image below was made for another entrypoint.
            settings.cmd.retain(|_| *has_cmd);
        }
        _ => {}
    }
}

/// What only Docker's configurations have.
fn set_dockers(config: &mut Config, setting: &Setting) -> Result<()> {
    let other = &mut config.config.other;
    match setting {
        Setting::Shell(shell) => drop(other.insert("Shell".into(), json!(shell))),
        Setting::Healthcheck(options, command) => {
            let check = healthcheck(options, command.as_ref())?;
            other.insert("Healthcheck".into(), check);
        }
        Setting::Maintainer(name) => {
            config.platform.other.insert("author".into(), json!(name));
        }
        _ => {}
    }
    Ok(())
}

/// What a variable of the environment is worth.
pub fn variable(settings: &Settings, name: &str) -> Option<String> {
    let pairs = settings.env.iter().filter_map(|entry| entry.split_once('='));
    let found = pairs.rev().find(|(it, _)| *it == name);
    found.map(|(_, value)| value.into())
}

fn set_env(settings: &mut Settings, name: &str, value: &str) {
    let entry = format!("{name}={value}");
    let is_it = |it: &&mut String| it.split('=').next() == Some(name);
    match settings.env.iter_mut().find(is_it) {
        Some(old) => *old = entry,
        None => settings.env.push(entry),
    }
}

/// The program and its arguments: for a line, those of the shell.
pub fn words(settings: &Settings, command: &Command) -> Vec<String> {
    match command {
        Command::Exec(words) => words.clone(),
        Command::Shell(line) => {
            let said = settings.other.get("Shell").cloned();
            let said: Option<Vec<String>> =
                said.and_then(|said| serde_json::from_value(said).ok());
            let mut words = said.unwrap_or_else(|| SHELL.map(String::from).to_vec());
            words.push(line.clone());
            words
        }
    }
}

/// The working directory that `folder` means after that of `settings`.
pub fn working_dir(settings: &Settings, folder: &str) -> Result<String> {
    let whole = clean(&Path::new(&settings.working_dir).join(folder));
    let whole = whole.into_os_string().into_string();
    whole.map_err(|path| Error::input(format!("{path:?} is not UTF-8")))
}

/// The words that `texts` mean: a variable may stand for several.
fn all_of(texts: &[String], meaning: &Meaning) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for text in texts {
        all.extend(split(&meaning.of(text)?, meaning.escape)?);
    }
    Ok(all)
}

/// `80`, `80/udp` or `80-82` as ports with protocols.
fn expand(text: &str) -> Vec<Result<String>> {
    let wrong = || {
        Error::input(format!("EXPOSE {text}: give PORT, PORT/udp or FIRST-LAST"))
            .hint("ports are from 1 to 65535")
    };
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first @ 1..), Ok(last))
            if first <= last && ["tcp", "udp", "sctp"].contains(&protocol.as_str()) =>
        {
            (first..=last).map(|port| Ok(format!("{port}/{protocol}"))).collect()
        }
        _ => vec![Err(wrong())],
    }
}

/// As Docker keeps it: times in nanoseconds.
fn healthcheck(options: &[(String, String)], command: Option<&Command>) -> Result<Value> {
    let mut check = Map::new();
    let test = match command {
        None => json!(["NONE"]),
        Some(Command::Shell(line)) => json!(["CMD-SHELL", line]),
        Some(Command::Exec(words)) => {
            json!([vec!["CMD".to_string()], words.clone()].concat())
        }
    };
    check.insert("Test".into(), test);
    for (name, text) in options {
        let wrong = || {
            Error::input(format!(
                "HEALTHCHECK --{name}={text}: give a time such as 1m30s"
            ))
        };
        let (key, value) = match name.as_str() {
            "retries" => ("Retries", text.parse().ok()),
            "interval" => ("Interval", nanoseconds(text)),
            "timeout" => ("Timeout", nanoseconds(text)),
            "start-period" => ("StartPeriod", nanoseconds(text)),
            _ => ("StartInterval", nanoseconds(text)),
        };
        let value: u64 = value.ok_or_else(wrong)?;
        check.insert(key.into(), value.into());
    }
    Ok(check.into())
}

/// A time such as `1m30s`.
fn nanoseconds(text: &str) -> Option<u64> {
    let (mut sum, mut rest) = (0u64, text);
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, unit) = rest.split_at(digits);
        let end = unit.find(|letter: char| letter.is_ascii_digit()).unwrap_or(unit.len());
        let (unit, next) = unit.split_at(end);
        let factor: u64 = match unit {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        let part = number.parse::<u64>().ok()?.checked_mul(factor)?;
        (sum, rest) = (sum.checked_add(part)?, next);
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Draft;

    #[test]
    fn instructions_change_the_configuration() {
        let mut config = Draft::empty().config;
        let lines = [
            "ENV a=1 b=\"$a 2\"",
            "ENV b=${b}3 c=$b",
            "WORKDIR /x",
            "WORKDIR y/../z",
            "EXPOSE 80 53/udp 90-91",
            "LABEL \"a b\"=c",
            "CMD ls -l",
            "ENTRYPOINT [\"env\"]",
            "HEALTHCHECK --interval=1m30s --retries=3 CMD true",
        ];
        change(&mut config, &lines.map(String::from)).unwrap();
        let settings = &config.config;
        // Within an instruction, variables are worth what they were before it.
        assert_eq!(settings.env, ["a=1", "b= 23", "c= 2"]);
        assert_eq!(settings.working_dir, "/x/z");
        let ports: Vec<_> = settings.exposed_ports.keys().collect();
        assert_eq!(ports, ["53/udp", "80/tcp", "90/tcp", "91/tcp"]);
        assert_eq!(settings.labels["a b"], "c");
        assert_eq!(settings.cmd, ["/bin/sh", "-c", "ls -l"]);
        let check = &settings.other["Healthcheck"];
        assert_eq!(check["Test"], json!(["CMD-SHELL", "true"]));
        assert_eq!(check["Interval"], json!(90_000_000_000u64));
        for wrong in ["RUN x", "EXPOSE 0", "EXPOSE 80/x", "FROM x", "NONSENSE"] {
            assert!(change(&mut config, &[wrong.to_string()]).is_err(), "{wrong}");
        }
    }
}
