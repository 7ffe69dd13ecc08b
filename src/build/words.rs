//! What does a word of a Dockerfile mean, with its quotes and variables?
//!
//! As in a shell, but less: `$name`, `${name}`, `${name:-else}`, `${name:+instead}`; in single
//! quotes nothing is replaced. Read "Environment replacement" in the Dockerfile reference.

use std::iter::Peekable;
use std::str::Chars;

use stage::{Error, Result};

/// How words are to be understood at one place of a Dockerfile.
pub struct Meaning<'v> {
    /// What takes the next letter's meaning away: a backslash, as a rule.
    pub escape: char,
    /// What variables are worth.
    pub value: &'v dyn Fn(&str) -> Option<String>,
}

impl Meaning<'_> {
    /// `text` without its quotes, and with what its variables are worth.
    pub fn of(&self, text: &str) -> Result<String> {
        Reading { rest: text.chars().peekable(), meaning: self }.until(None)
    }
}

/// Split `text` at blanks that are not in quotes. Quotes stay.
pub fn split(text: &str, escape: char) -> Result<Vec<String>> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        match (letter, quote) {
            (blank, None) if blank.is_whitespace() => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                continue;
            }
            ('"' | '\'', None) => quote = Some(letter),
            (end, Some(begin)) if end == begin => quote = None,
            _ => {}
        }
        word.push(letter);
        // In single quotes there is no escape.
        if letter == escape && quote != Some('\'') {
            word.extend(rest.next());
        }
    }
    if let Some(quote) = quote {
        return Err(Error::input(format!("a quote {quote} is not closed: {text}")));
    }
    words.extend((!word.is_empty()).then_some(word));
    Ok(words)
}

/// A word that is being read.
struct Reading<'t, 'v> {
    rest: Peekable<Chars<'t>>,
    meaning: &'t Meaning<'v>,
}

impl Reading<'_, '_> {
    /// What it means up to the letter `stop`, or to its end.
    fn until(&mut self, stop: Option<char>) -> Result<String> {
        let mut text = String::new();
        while let Some(letter) = self.rest.next() {
            match letter {
                _ if Some(letter) == stop => return Ok(text),
                '\'' => text.push_str(&self.literally()?),
                '"' => text.push_str(&self.in_quotes()?),
                '$' => text.push_str(&self.variable()?),
                _ if letter == self.meaning.escape => text.extend(self.rest.next()),
                _ => text.push(letter),
            }
        }
        match stop {
            Some(stop) => Err(Error::input(format!("a {stop} is missing"))),
            None => Ok(text),
        }
    }

    fn literally(&mut self) -> Result<String> {
        let mut text = String::new();
        loop {
            match self.rest.next() {
                Some('\'') => return Ok(text),
                Some(letter) => text.push(letter),
                None => return Err(Error::input("a quote ' is not closed")),
            }
        }
    }

    fn in_quotes(&mut self) -> Result<String> {
        let (mut text, escape) = (String::new(), self.meaning.escape);
        while let Some(letter) = self.rest.next() {
            match letter {
                '"' => return Ok(text),
                '$' => text.push_str(&self.variable()?),
                _ if letter == escape => {
                    let special = |next: &char| ['"', '$', escape].contains(next);
                    text.push(self.rest.next_if(special).unwrap_or(escape));
                }
                _ => text.push(letter),
            }
        }
        Err(Error::input("a quote \" is not closed"))
    }

    /// What is behind a `$`.
    fn variable(&mut self) -> Result<String> {
        if self.rest.next_if_eq(&'{').is_some() {
            return self.braces();
        }
        let name = self.name();
        match name.is_empty() {
            true => Ok("$".into()),
            false => Ok(self.value(&name).unwrap_or_default()),
        }
    }

    fn braces(&mut self) -> Result<String> {
        let name = self.name();
        let wrong = || {
            Error::input(format!("${{{name}…: this is not understood"))
                .hint("${NAME}, ${NAME:-ELSE} and ${NAME:+INSTEAD} are")
        };
        if name.is_empty() {
            return Err(wrong());
        }
        let value = self.value(&name);
        // With the colon, an empty value is none.
        let with_colon = match self.rest.next() {
            Some('}') => return Ok(value.unwrap_or_default()),
            Some(':') => self.rest.next().map(|how| (how, true)),
            how => how.map(|how| (how, false)),
        };
        let (how, colon) = with_colon.ok_or_else(wrong)?;
        let word = self.until(Some('}'))?;
        let value = value.filter(|value| !(colon && value.is_empty()));
        match (how, value) {
            ('-', value) => Ok(value.unwrap_or(word)),
            ('+', Some(_)) => Ok(word),
            ('+', None) => Ok(String::new()),
            _ => Err(wrong()),
        }
    }

    fn name(&mut self) -> String {
        let mut name = String::new();
        let is_part = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '_';
        while let Some(letter) = self.rest.next_if(is_part) {
            name.push(letter);
        }
        name
    }

    fn value(&self, name: &str) -> Option<String> {
        (self.meaning.value)(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning(text: &str) -> Result<String> {
        let value = |name: &str| match name {
            "a" => Some("one".into()),
            "empty" => Some(String::new()),
            _ => None,
        };
        Meaning { escape: '\\', value: &value }.of(text)
    }

    #[test]
    fn variables_are_replaced_as_the_reference_says() {
        for (text, expected) in [
            ("$a ${a}s $as.", "one ones ."),
            ("${a:-x} ${empty:-x} ${none:-x} ${none:-$a}", "one x x one"),
            ("${a:+x} ${empty:+x} ${none:+x}|", "x  |"),
            ("${empty-x} ${none-x} ${empty+x}", " x x"),
            ("\\$a '$a' \"$a\" \"\\$a\" \"\\n\"", "$a $a one $a \\n"),
            ("a\"b c\"'d e'\\ f", "ab cd e f"),
            ("100$ $", "100$ $"),
        ] {
            assert_eq!(meaning(text), Ok(expected.to_string()), "{text}");
        }
        for wrong in ["${", "${}", "${a", "${a:?x}", "${a:-x", "'", "\"", "${!a}"] {
            assert!(meaning(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn blanks_in_quotes_do_not_split() {
        let words = split("a=1  b=\"x y\" c='p q' d=e\\ f g", '\\');
        let expected = ["a=1", "b=\"x y\"", "c='p q'", "d=e\\ f", "g"];
        assert_eq!(words, Ok(expected.map(String::from).to_vec()));
        assert!(split("a 'b", '\\').is_err());
    }
}
