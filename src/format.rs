//! How does somebody want to see it?
//!
//! `--format` takes a template as Go has them (text/template), with Docker's functions besides.
//! For lists there are `json`, and `table` before a template, whose columns are parted by tabs.

use std::sync::Arc;

use gotmpl::{MissingKey, Template, TemplateError, Value as Datum};
use serde_json::{Map, Value, json};
use stage::{Error, Result};

/// How many blanks there are between columns.
const GAP: usize = 3;

/// What a list is shown as.
pub struct Format {
    typed: String,
    template: Template,
    /// The columns stand below each other, and below their names.
    is_table: bool,
}

impl Format {
    /// What was typed, else `usual`.
    pub fn read(typed: Option<&str>, usual: &str) -> Result<Format> {
        let typed = match typed.map(str::trim) {
            None | Some("" | "table") => usual,
            Some("json") => "{{json .}}",
            Some(typed) => typed,
        };
        let (text, is_table) = match typed.strip_prefix("table ") {
            Some(columns) => (columns.trim(), true),
            None => (typed, false),
        };
        // A shell hands them on as they are typed.
        let text = text.replace("\\t", "\t").replace("\\n", "\n");
        Ok(Format { typed: typed.into(), template: parse(typed, &text)?, is_table })
    }

    /// The lines for `rows`. In a table there is one more, with the `titles` of the fields.
    pub fn lines(&self, titles: &[(&str, &str)], rows: &[Value]) -> Result<Vec<String>> {
        if !self.is_table {
            return rows.iter().map(|row| self.line(row)).collect();
        }
        let titles: Map<String, Value> = titles
            .iter()
            .map(|(field, title)| (field.to_string(), json!(title)))
            .collect();
        let mut lines = vec![self.line(&Value::Object(titles))?];
        for row in rows {
            lines.push(self.line(row)?);
        }
        Ok(aligned(&lines))
    }

    /// Whether somebody asks for a label by its key.
    pub fn asks_for_labels(&self) -> bool {
        self.typed.contains(".Label ")
    }

    /// Whether a field such as `.Size` is asked for.
    pub fn mentions(&self, field: &str) -> bool {
        self.typed.contains(field)
    }

    /// What is to be said of one thing.
    pub fn line(&self, known: &Value) -> Result<String> {
        play(&self.template, &self.typed, known)
    }
}

/// `text`, with what is known in the place of each `{{.Name.Name}}`.
pub fn fill(text: &str, known: &Value) -> Result<String> {
    let whole = match text.trim() {
        "json" => "{{json .}}",
        _ => text,
    };
    play(&parse(text, whole)?, text, known)
}

/// `.Label "key"` is a method of Docker's rows. Ours have none, but there is a function.
fn with_functions(text: &str) -> String {
    let mut parts = text.split("{{");
    let plain = parts.next().unwrap_or_default().to_string();
    parts.fold(plain, |whole, part| {
        let (action, rest) = part.split_at(part.find("}}").unwrap_or(part.len()));
        let action =
            action.replace("$.Label ", "label $ ").replace(".Label ", "label . ");
        format!("{whole}{{{{{action}{rest}")
    })
}

fn parse(typed: &str, text: &str) -> Result<Template> {
    let text = &with_functions(text);
    let template = Template::new("").missing_key(MissingKey::Error);
    let template = template.funcs(functions().into_iter().collect());
    let parsed = check_ends(text).and_then(|()| template.parse(text));
    parsed.map_err(|error| wrong(typed, &error))
}

/// Each block has an end, and each end a block: the library would take what there is.
fn check_ends(text: &str) -> std::result::Result<(), TemplateError> {
    let mut open = 0_usize;
    for action in text.split("{{").skip(1) {
        let action = action.trim_start_matches('-').trim_start();
        match action.split(|letter: char| !letter.is_alphabetic()).next() {
            Some("if" | "range" | "with" | "block" | "define") => open += 1,
            Some("end") if open == 0 => {
                return Err(TemplateError::Exec("there is one {{end}} too many".into()));
            }
            Some("end") => open -= 1,
            _ => {}
        }
    }
    match open {
        0 => Ok(()),
        _ => Err(TemplateError::Exec("an {{end}} is missing".into())),
    }
}

fn play(template: &Template, typed: &str, known: &Value) -> Result<String> {
    let known = gotmpl::to_value(known).map_err(|error| wrong(typed, &error))?;
    template.execute_to_string(&known).map_err(|error| wrong(typed, &error))
}

fn wrong(typed: &str, error: &TemplateError) -> Error {
    let what = match error {
        TemplateError::MissingKey { key } => format!("nothing is called {key}"),
        TemplateError::Exec(what) => what.clone(),
        error => error.to_string(),
    };
    Error::input(format!("--format {typed:?}: {what}"))
        .hint("names stand in it as {{.State.Pid}}; {{json .}} shows all that there are")
}

type Played = std::result::Result<Datum, TemplateError>;
type Function = Arc<dyn Fn(&[Datum]) -> Played + Send + Sync>;

/// Docker's functions, besides those that every template has.
fn functions() -> [(String, Function); 11] {
    let named = |name: &str, function: fn(&[Datum]) -> Played| {
        let function: Function = Arc::new(function);
        (name.to_string(), function)
    };
    [
        named("json", |args| Ok(text(to_json(first(args)?).to_string()))),
        named("label", |args| label(first(args)?, word(args, 1)?).map(text)),
        named("lower", |args| Ok(text(word(args, 0)?.to_lowercase()))),
        named("upper", |args| Ok(text(word(args, 0)?.to_uppercase()))),
        named("title", |args| Ok(text(titled(word(args, 0)?)))),
        named("join", |args| Ok(text(joined(first(args)?, word(args, 1)?)?))),
        named("split", |args| {
            let parts =
                word(args, 0)?.split(word(args, 1)?).map(|part| text(part.into()));
            Ok(Datum::List(parts.collect()))
        }),
        named("pad", |args| {
            let blanks = |at| Ok::<_, TemplateError>(" ".repeat(number(args, at)?));
            Ok(text(match word(args, 0)? {
                "" => String::new(),
                word => format!("{}{word}{}", blanks(1)?, blanks(2)?),
            }))
        }),
        named("truncate", |args| {
            Ok(text(word(args, 0)?.chars().take(number(args, 1)?).collect()))
        }),
        named("println", |args| {
            let words: Vec<String> = args.iter().map(Datum::to_string).collect();
            Ok(text(words.join(" ") + "\n"))
        }),
        // What is not there is nothing, as in a map of texts: so are labels.
        named("index", |args| {
            let steps = args.get(1..).unwrap_or_default();
            let found =
                steps.iter().try_fold(first(args)?.clone(), |it, step| it.index(step))?;
            Ok(if matches!(found, Datum::Nil) { text(String::new()) } else { found })
        }),
    ]
}

fn text(text: String) -> Datum {
    text.into()
}

fn first(args: &[Datum]) -> std::result::Result<&Datum, TemplateError> {
    args.first().ok_or_else(|| TemplateError::Exec("a function needs a value".into()))
}

fn word(args: &[Datum], at: usize) -> std::result::Result<&str, TemplateError> {
    let word = args.get(at).and_then(Datum::as_str);
    word.ok_or_else(|| TemplateError::Exec(format!("argument {} is no text", at + 1)))
}

/// No line is longer than a page.
fn number(args: &[Datum], at: usize) -> std::result::Result<usize, TemplateError> {
    let number =
        args.get(at).and_then(Datum::as_int).and_then(|it| usize::try_from(it).ok());
    let number = number.filter(|number| *number < 1 << 12);
    number.ok_or_else(|| {
        TemplateError::Exec(format!("argument {} is no number from 0 to 4095", at + 1))
    })
}

/// The row's label `key`, or nothing; in the line of titles, the last part of the key.
fn label(row: &Datum, key: &str) -> std::result::Result<String, TemplateError> {
    let Datum::Map(row) = row else {
        return Err(TemplateError::Exec(".Label is known of rows only".into()));
    };
    Ok(match row.get("Label") {
        Some(Datum::Map(labels)) => labels.get(key).map(Datum::to_string),
        Some(Datum::String(_)) => {
            key.rsplit('.').next().map(|it| it.replace(['-', '_'], " "))
        }
        _ => return Err(TemplateError::Exec("nothing is called .Label".into())),
    }
    .unwrap_or_default())
}

fn titled(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn joined(list: &Datum, between: &str) -> std::result::Result<String, TemplateError> {
    let Datum::List(list) = list else {
        return Err(TemplateError::Exec("join takes a list".into()));
    };
    Ok(list.iter().map(Datum::to_string).collect::<Vec<_>>().join(between))
}

fn to_json(datum: &Datum) -> Value {
    match datum {
        Datum::Bool(it) => json!(it),
        Datum::Int(it) => json!(it),
        Datum::Uint(it) => json!(it),
        Datum::Float(it) => json!(it),
        Datum::String(it) => json!(&**it),
        Datum::List(list) => list.iter().map(to_json).collect(),
        Datum::Map(map) => {
            map.iter().map(|(key, it)| (key.to_string(), to_json(it))).collect()
        }
        _ => Value::Null,
    }
}

/// The columns of these lines, parted by tabs, below each other: each is as wide as its longest
/// cell, and there are some blanks between them.
pub fn aligned(lines: &[String]) -> Vec<String> {
    let rows: Vec<Vec<&str>> = lines
        .iter()
        .flat_map(|line| line.split('\n'))
        .map(|line| line.split('\t').collect())
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default() + GAP
    };
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<&str>| {
        let cells = row.iter().zip(&widths);
        let cells = cells.map(|(cell, &width)| format!("{cell:<width$}"));
        cells.collect::<String>().trim_end().to_string()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Value {
        json!({
            "Id": "4f", "Args": ["-c", "ls /"], "Image": null,
            "State": {"Pid": 7, "Paused": false, "ExitCode": 0},
            "Config": {"Labels": {"a.b": "c"}, "Env": ["X=1"]},
            "Mounts": [{"Destination": "/a", "RW": true}, {"Destination": "/b", "RW": false}],
            "Ports": {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/tcp": null},
        })
    }

    #[test]
    fn templates_as_people_write_them() {
        for (template, shown) in [
            ("plain", "plain"),
            ("{{.Id}} is {{ .State.Pid }}!", "4f is 7!"),
            ("{{json .Id}}", "\"4f\""),
            ("{{json .State}}", r#"{"ExitCode":0,"Paused":false,"Pid":7}"#),
            ("{{.State.Pid | json}}", "7"),
            ("{{.Config.Labels}} {{.Args}}", "map[a.b:c] [-c ls /]"),
            ("{{index .Config.Labels \"a.b\"}}", "c"),
            ("<{{index .Config.Labels \"none\"}}>", "<>"),
            ("{{range .Mounts}}{{.Destination}} {{end}}", "/a /b "),
            ("{{range $i, $m := .Mounts}}{{$i}}{{$m.RW}} {{end}}", "0true 1false "),
            ("{{range .Mounts}}{{if .RW}}rw{{else}}ro{{end}},{{end}}", "rw,ro,"),
            ("{{with .State}}{{.Pid}}{{end}}{{$.Id}}", "74f"),
            ("{{if eq .State.ExitCode 0}}well{{else}}ill{{end}}", "well"),
            ("{{if and (not .State.Paused) (gt .State.Pid 1)}}runs{{end}}", "runs"),
            ("{{if or .State.Paused (ne .Id \"4f\")}}a{{else}}b{{end}}", "b"),
            ("{{len .Mounts}} {{len .Id}}", "2 2"),
            ("{{join .Args \" \"}}|{{upper .Id}}|{{title \"abc\"}}", "-c ls /|4F|Abc"),
            ("{{(index (index .Ports \"80/tcp\") 0).HostPort}}", "8080"),
            (
                "{{range $p, $to := .Ports}}{{$p}}{{with $to}}>{{(index . 0).HostPort}}{{end}} {{end}}",
                "80/tcp>8080 81/tcp ",
            ),
            ("{{range .Args}}{{println .}}{{end}}", "-c\nls /\n"),
            ("{{printf \"%-4s|%03d\" .Id .State.Pid}}", "4f  |007"),
            ("{{- /* nothing */ -}} {{truncate \"abcdef\" 3}}", "abc"),
            ("{{pad .Id 1 2}}|{{range split \"a,b\" \",\"}}{{.}}{{end}}", " 4f  |ab"),
            ("{{lower \"ÄB\"}}", "äb"),
        ] {
            assert_eq!(fill(template, &known()), Ok(shown.into()), "{template}");
        }
        let all = fill("json", &known()).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&all).unwrap(), known());
    }

    #[test]
    fn what_is_no_template_is_told() {
        for wrong in [
            "{{.Id",
            "{{Id}}",
            "{{.State.Nothing}}",
            "{{range .Mounts}}",
            "{{if .Id}}{{else}}",
            "{{.Id}}{{end}}",
            "{{join .Id}}",
            "{{pad .Id 100000 1}}",
            "{{index .Args 7}}",
        ] {
            let error = fill(wrong, &known()).expect_err(wrong).to_string();
            assert!(error.starts_with("--format "), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn tables_have_titles() {
        let titles = [("ID", "CONTAINER ID"), ("Names", "NAMES")];
        let rows = [json!({"ID": "4f", "Names": "box"}), json!({"ID": "5", "Names": ""})];
        let lines = |typed| {
            let format = Format::read(typed, "table {{.ID}}\t{{.Names}}").unwrap();
            format.lines(&titles, &rows).unwrap()
        };
        let table = ["CONTAINER ID   NAMES", "4f             box", "5"];
        assert_eq!(lines(None), table);
        assert_eq!(lines(Some("table")), table);
        assert_eq!(
            lines(Some("table {{.Names}}\\t{{.ID}}"))[..2],
            ["NAMES   CONTAINER ID", "box     4f"]
        );
        assert_eq!(lines(Some("{{.ID}}:{{.Names}}")), ["4f:box", "5:"]);
        assert_eq!(lines(Some("json"))[0], r#"{"ID":"4f","Names":"box"}"#);
    }

    #[test]
    fn labels_are_asked_for_by_their_keys() {
        let titles = [("ID", "CONTAINER ID"), ("Label", "")];
        let rows = [json!({"ID": "4f", "Label": {"a.in-use": "x, y"}})];
        let lines = |typed| Format::read(Some(typed), "").unwrap().lines(&titles, &rows);
        let table = "table {{.ID}}\\t{{.Label \"a.in-use\"}}";
        assert_eq!(
            lines(table).unwrap(),
            ["CONTAINER ID   in use", "4f             x, y"]
        );
        for (template, shown) in [
            ("{{.Label \"a.in-use\" | upper}}.Label y", "X, Y.Label y"),
            ("{{if eq (.Label \"none\") \"\"}}none{{end}}", "none"),
            ("{{with .ID}}{{.}}{{$.Label \"a.in-use\"}}{{end}}", "4fx, y"),
        ] {
            assert_eq!(lines(template).unwrap(), [shown], "{template}");
        }
        assert!(fill("{{.Label \"x\"}}", &known()).is_err());
    }
}
