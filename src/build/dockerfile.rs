//! What is in a Dockerfile?
//!
//! A line for each instruction: its name, options, and the rest, which each kind reads in its own
//! way. What variables are worth is known only when its turn comes (`words.rs`), so that here
//! words stay as they are. Libraries that read Dockerfiles leave quotes and variables to their
//! users, too: what they do besides is little. Read the Dockerfile reference.

use stage::{Error, Result};

use super::words::split;

/// All of it.
#[derive(Debug)]
pub struct Dockerfile {
    /// What takes the next letter's meaning away.
    pub escape: char,
    /// In the order of the file.
    pub instructions: Vec<Instruction>,
}

/// An instruction, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instruction {
    /// The line it begins in, from 1.
    pub line: usize,
    /// As it is written, in one line.
    pub text: String,
    /// What is to be done.
    pub action: Action,
}

/// What an instruction wants. Words are as they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A stage begins on an image, or on another stage.
    From(Start),
    /// Variables of the build, with values that they have if nobody gives others.
    Arg(Vec<(String, Option<String>)>),
    /// A command is run.
    Run(Command),
    /// Files are copied.
    Copy(Copy),
    /// Another working directory.
    Workdir(String),
    /// The configuration changes, and nothing else.
    Set(Setting),
}

/// FROM
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// An image or a stage.
    pub image: String,
    /// What the stage is called.
    pub name: Option<String>,
}

/// What is to be run: a line for a shell, or a program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// For a shell.
    Shell(String),
    /// For the kernel.
    Exec(Vec<String>),
}

/// COPY and ADD
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copy {
    /// Tarballs are unpacked.
    pub unpack: bool,
    /// A stage or an image; else the context.
    pub from: Option<String>,
    /// `USER[:GROUP]`
    pub owner: Option<String>,
    /// An octal number.
    pub mode: Option<String>,
    /// At least one.
    pub sources: Vec<String>,
    /// Where to.
    pub target: String,
}

/// What changes in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// Names and values.
    Env(Vec<(String, String)>),
    /// Names and values.
    Label(Vec<(String, String)>),
    /// USER
    User(String),
    /// CMD
    Cmd(Command),
    /// ENTRYPOINT
    Entrypoint(Command),
    /// Ports.
    Expose(Vec<String>),
    /// Folders.
    Volume(Vec<String>),
    /// STOPSIGNAL
    StopSignal(String),
    /// What runs the lines of RUN, CMD and ENTRYPOINT.
    Shell(Vec<String>),
    /// Whoever has written it.
    Maintainer(String),
    /// How a container is asked whether it is well: options, and none for `NONE`.
    Healthcheck(Vec<(String, String)>, Option<Command>),
}

impl Dockerfile {
    /// Read the file that people know as `name`.
    pub fn parse(name: &str, text: &str) -> Result<Dockerfile> {
        let escape = escape(text).map_err(|error| at(name, 1, error))?;
        let mut instructions = Vec::new();
        for (line, text) in logical_lines(text, escape) {
            let action = action(&text, escape).map_err(|error| at(name, line, error))?;
            instructions.push(Instruction { line, text, action });
        }
        Ok(Dockerfile { escape, instructions })
    }
}

/// Read a single instruction, such as those of `commit -c`.
pub fn instruction(text: &str) -> Result<Instruction> {
    let (line, text) = (1, text.trim().to_string());
    Ok(Instruction { line, action: action(&text, '\\')?, text })
}

/// The failure, with its place before it.
pub fn at(name: &str, line: usize, error: Error) -> Error {
    error.within(format!("{name}:{line}")).status(1)
}

/// What the directive `# escape=` says, which can only be before everything else.
fn escape(text: &str) -> Result<char> {
    for line in text.lines() {
        let Some((name, value)) =
            line.trim().strip_prefix('#').and_then(|line| line.split_once('='))
        else {
            break;
        };
        match (name.trim().to_ascii_lowercase().as_str(), value.trim()) {
            ("escape", "\\") => return Ok('\\'),
            ("escape", "`") => return Ok('`'),
            ("escape", other) => {
                return Err(Error::input(format!(
                    "escape={other}: it is \\ or ` and nothing else"
                )));
            }
            ("syntax" | "check", _) => {}
            _ => break,
        }
    }
    Ok('\\')
}

/// Lines that `escape` at their ends joins, without comments; with the number of the first.
fn logical_lines(text: &str, escape: char) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut begun: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let trimmed = line.trim();
        // Also within an instruction.
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let (first, mut whole) = begun.take().unwrap_or_else(|| (number, String::new()));
        match line.trim_end().strip_suffix(escape) {
            Some(part) => {
                whole.push_str(part);
                begun = Some((first, whole));
            }
            None => {
                whole.push_str(line);
                lines.push((first, whole.trim().to_string()));
            }
        }
    }
    lines.extend(begun.map(|(first, whole)| (first, whole.trim().to_string())));
    lines
}

fn action(text: &str, escape: char) -> Result<Action> {
    let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let (options, rest) = options(rest.trim());
    let name = name.to_ascii_uppercase();
    let known: &[&str] = match name.as_str() {
        "FROM" => &["platform"],
        "COPY" => &["from", "chown", "chmod"],
        "ADD" => &["chown", "chmod"],
        "HEALTHCHECK" => {
            &["interval", "timeout", "start-period", "start-interval", "retries"]
        }
        _ => &[],
    };
    if let Some((other, _)) = options.iter().find(|(it, _)| !known.contains(&&**it)) {
        let known: Vec<String> = known.iter().map(|it| format!("--{it}")).collect();
        return Err(match known.is_empty() {
            true => Error::input(format!("{name} --{other}: {name} takes no options")),
            false => Error::input(format!(
                "{name} --{other}: {name} takes {}",
                known.join(", ")
            )),
        });
    }
    if rest.is_empty() && name.chars().all(|letter| letter.is_ascii_alphabetic()) {
        return Err(Error::input(format!("{name} wants something after it")));
    }
    read(&name, &options, rest, escape)
}

type Options = [(String, String)];

fn read(name: &str, options: &Options, rest: &str, escape: char) -> Result<Action> {
    let pairs = || pairs(name, rest, escape);
    let list = || strings(rest).unwrap_or_else(|| words(rest));
    let takes_documents = ["RUN", "COPY", "ADD"].contains(&name);
    if takes_documents && rest.split_whitespace().any(is_here_document) {
        return Err(Error::input(format!("{name} <<: here-documents are not read"))
            .hint("join lines with \\ at their ends, or copy a file"));
    }
    let setting = match name {
        "FROM" => return start(options, rest).map(Action::From),
        "ARG" => return arguments(rest, escape).map(Action::Arg),
        "RUN" => return Ok(Action::Run(command(rest))),
        "COPY" | "ADD" => return copy(name, options, list()).map(Action::Copy),
        "WORKDIR" => return Ok(Action::Workdir(rest.into())),
        "ENV" => Setting::Env(pairs()?),
        "LABEL" => Setting::Label(pairs()?),
        "USER" => Setting::User(rest.into()),
        "CMD" => Setting::Cmd(command(rest)),
        "ENTRYPOINT" => Setting::Entrypoint(command(rest)),
        "EXPOSE" => Setting::Expose(words(rest)),
        "VOLUME" => Setting::Volume(list()),
        "STOPSIGNAL" => Setting::StopSignal(rest.into()),
        "MAINTAINER" => Setting::Maintainer(rest.into()),
        "SHELL" => Setting::Shell(strings(rest).ok_or_else(|| {
            Error::input("SHELL takes a list: SHELL [\"/bin/sh\", \"-c\"]")
        })?),
        "HEALTHCHECK" => healthcheck(options, rest)?,
        "ONBUILD" => {
            return Err(Error::input("ONBUILD: instructions for later are not kept")
                .hint("write it where the image is used"));
        }
        _ => return Err(unknown(name)),
    };
    Ok(Action::Set(setting))
}

fn unknown(name: &str) -> Error {
    let shown: String = name.chars().take(40).flat_map(char::escape_debug).collect();
    Error::input(format!("{shown} is no instruction")).hint(
        "there are FROM, RUN, COPY, ADD, ENV, WORKDIR, USER, CMD, ENTRYPOINT, EXPOSE, \
         LABEL, ARG, VOLUME, STOPSIGNAL, SHELL, HEALTHCHECK, MAINTAINER",
    )
}

/// The `--name=value` at the beginning, and what is left.
fn options(mut rest: &str) -> (Vec<(String, String)>, &str) {
    let mut options = Vec::new();
    while let Some(option) = rest.strip_prefix("--") {
        let (option, left) =
            option.split_once(char::is_whitespace).unwrap_or((option, ""));
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        options.push((name.into(), value.into()));
        rest = left.trim_start();
    }
    (options, rest)
}

/// `<<EOF`, also with a descriptor before it; `<<<` is something else.
fn is_here_document(word: &str) -> bool {
    let word = word.trim_start_matches(|letter: char| letter.is_ascii_digit());
    word.strip_prefix("<<").is_some_and(|name| !name.is_empty() && !name.starts_with('<'))
}

fn option(options: &Options, name: &str) -> Option<String> {
    options.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(String::from).collect()
}

/// A JSON list of texts, if that is one.
fn strings(text: &str) -> Option<Vec<String>> {
    let list: Option<Vec<String>> =
        text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten();
    list.filter(|list| !list.is_empty())
}

fn command(text: &str) -> Command {
    strings(text).map_or_else(|| Command::Shell(text.into()), Command::Exec)
}

fn start(options: &Options, rest: &str) -> Result<Start> {
    if let Some(platform) = option(options, "platform") {
        return Err(Error::input(format!(
            "FROM --platform={platform}: images are built for this machine only"
        )));
    }
    match words(rest).as_slice() {
        [image] => Ok(Start { image: image.clone(), name: None }),
        [image, says, name] if says.eq_ignore_ascii_case("as") => {
            let name = Some(name.to_ascii_lowercase());
            Ok(Start { image: image.clone(), name })
        }
        _ => Err(Error::input("FROM takes IMAGE or IMAGE AS NAME")),
    }
}

fn copy(name: &str, options: &Options, mut words: Vec<String>) -> Result<Copy> {
    let target = words.pop().filter(|_| !words.is_empty());
    let target = target
        .ok_or_else(|| Error::input(format!("{name} takes SOURCE… and a TARGET")))?;
    if let Some(url) = words.iter().find(|word| word.contains("://")) {
        return Err(Error::input(format!("{name} {url}: nothing is fetched"))
            .hint("fetch it into the folder first, or let RUN do it"));
    }
    let option = |name| option(options, name);
    Ok(Copy {
        unpack: name == "ADD",
        from: option("from"),
        owner: option("chown"),
        mode: option("chmod"),
        sources: words,
        target,
    })
}

/// `name=value …`, or a single `name value with blanks`.
fn pairs(of: &str, rest: &str, escape: char) -> Result<Vec<(String, String)>> {
    let pair = |word: &str| {
        let pair = word.split_once('=').filter(|(name, _)| !name.is_empty());
        let pair = pair.map(|(name, value)| (name.to_string(), value.to_string()));
        pair.ok_or_else(|| Error::input(format!("{of} {word}: give NAME=VALUE")))
    };
    let all = split(rest, escape)?;
    if all.first().is_some_and(|first| first.contains('=')) {
        return all.iter().map(|word| pair(word)).collect();
    }
    match rest.split_once(char::is_whitespace) {
        Some((name, value)) => Ok(vec![(name.into(), value.trim().into())]),
        None => pair(rest).map(|pair| vec![pair]),
    }
}

fn arguments(rest: &str, escape: char) -> Result<Vec<(String, Option<String>)>> {
    let argument = |word: String| match word.split_once('=') {
        Some(("", _)) => {
            Err(Error::input(format!("ARG {word}: give NAME or NAME=VALUE")))
        }
        Some((name, value)) => Ok((name.to_string(), Some(value.to_string()))),
        None => Ok((word, None)),
    };
    split(rest, escape)?.into_iter().map(argument).collect()
}

fn healthcheck(options: &Options, rest: &str) -> Result<Setting> {
    let (what, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let command = match (what.to_ascii_uppercase().as_str(), rest.trim()) {
        ("NONE", "") => None,
        ("CMD", command_line) if !command_line.is_empty() => Some(command(command_line)),
        _ => return Err(Error::input("HEALTHCHECK takes CMD COMMAND or NONE")),
    };
    Ok(Setting::Healthcheck(options.to_vec(), command))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Vec<Instruction> {
        Dockerfile::parse("Dockerfile", text).unwrap().instructions
    }

    fn failure(text: &str) -> String {
        Dockerfile::parse("Dockerfile", text).unwrap_err().to_string()
    }

    #[test]
    fn lines_are_joined_and_comments_left_out() {
        let text = "# escape=`\n\n  # a comment\nfrom x as Base\nRUN a `\n  # not this\n\n  && b\n";
        let [from, run] = &parse(text)[..] else { panic!("two instructions") };
        let start = Start { image: "x".into(), name: Some("base".into()) };
        assert_eq!((from.line, &from.action), (4, &Action::From(start)));
        assert_eq!((run.line, run.text.as_str()), (5, "RUN a   && b"));
        assert_eq!(run.action, Action::Run(Command::Shell("a   && b".into())));
    }

    #[test]
    fn forms_are_told_apart() {
        let action = |text: &str| instruction(text).unwrap().action;
        let exec = |words: &[&str]| {
            Command::Exec(words.iter().map(|word| word.to_string()).collect())
        };
        assert_eq!(action("RUN [\"a\", \"b c\"]"), Action::Run(exec(&["a", "b c"])));
        let shell = Action::Run(Command::Shell("[ -e x ]".into()));
        assert_eq!(action("RUN [ -e x ]"), shell);
        let pair = |name: &str, value: &str| (name.to_string(), value.to_string());
        let env = |pairs: &[(String, String)]| Action::Set(Setting::Env(pairs.to_vec()));
        assert_eq!(action("ENV a b  c"), env(&[pair("a", "b  c")]));
        let both = [pair("a", "1"), pair("b", "\"x y\"")];
        assert_eq!(action("ENV a=1 b=\"x y\""), env(&both));
        let copy = Copy {
            from: Some("base".into()),
            owner: Some("a:b".into()),
            sources: vec!["x".into(), "y".into()],
            target: "/z/".into(),
            ..Copy::default()
        };
        let text = "COPY --from=base --chown=a:b x y /z/";
        assert_eq!(action(text), Action::Copy(copy));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, expected) in [
            ("FROM x\nRUNN y", "Dockerfile:2: RUNN is no instruction"),
            ("FROM", "Dockerfile:1: FROM wants something after it"),
            ("FROM a b", "Dockerfile:1: FROM takes IMAGE or IMAGE AS NAME"),
            ("RUN cat <<EOF >x", "Dockerfile:1: RUN <<: here-documents are not read"),
            ("ADD http://x/y /", "Dockerfile:1: ADD http://x/y: nothing is fetched"),
            ("COPY x", "Dockerfile:1: COPY takes SOURCE… and a TARGET"),
            ("\n\nENV x", "Dockerfile:3: ENV x: give NAME=VALUE"),
            ("RUN --mount=x y", "Dockerfile:1: RUN --mount: RUN takes no options"),
            ("# escape=x", "Dockerfile:1: escape=x: it is \\ or ` and nothing else"),
        ] {
            assert_eq!(failure(text), expected);
        }
    }
}
