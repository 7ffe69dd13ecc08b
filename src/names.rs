//! What is a container called that nobody has named?
//!
//! As in Docker: a word for how somebody can be, and somebody without whom there would be no
//! computers, or not these.

use stage::Result;

use crate::disk::random_id;

const MOODS: [&str; 64] = [
    "airy", "amber", "ample", "bold", "breezy", "brief", "brisk", "calm", "candid",
    "careful", "cheery", "civil", "clear", "cosy", "crisp", "curious", "deft", "early",
    "even", "fair", "fleet", "fond", "frank", "fresh", "glad", "golden", "handy",
    "hardy", "humble", "jaunty", "keen", "kind", "lively", "lucid", "mellow", "merry",
    "mild", "modest", "neat", "nimble", "patient", "placid", "plain", "polite", "prompt",
    "proud", "quick", "rapid", "ready", "robust", "silent", "sleek", "smart", "snug",
    "sober", "spry", "steady", "sunny", "swift", "tidy", "vivid", "warm", "wise",
    "witty",
];

const PEOPLE: [&str; 64] = [
    "aho",
    "allman",
    "amdahl",
    "atanasoff",
    "babbage",
    "bachman",
    "backus",
    "baran",
    "bartik",
    "boole",
    "bourne",
    "brooks",
    "cerf",
    "church",
    "codd",
    "conway",
    "cray",
    "dahl",
    "dijkstra",
    "eckert",
    "engelbart",
    "estrin",
    "feinler",
    "floyd",
    "gauss",
    "goldstine",
    "gosper",
    "hamming",
    "hoare",
    "holberton",
    "hopper",
    "huffman",
    "iverson",
    "kahan",
    "kahn",
    "kay",
    "kernighan",
    "kilby",
    "kleene",
    "knuth",
    "lamport",
    "liskov",
    "lovelace",
    "mauchly",
    "mccarthy",
    "metcalfe",
    "minsky",
    "naur",
    "noyce",
    "nygaard",
    "perlis",
    "perlman",
    "postel",
    "ritchie",
    "shannon",
    "stearns",
    "sutherland",
    "tarjan",
    "thompson",
    "torvalds",
    "turing",
    "wilkes",
    "wirth",
    "zuse",
];

/// How often the words alone are tried.
const TRIES: u32 = 6;

/// A name that `is_taken` says nothing has. Where many are taken, it ends with a number.
pub fn generate(is_taken: impl Fn(&str) -> bool) -> Result<String> {
    let mut tries = 0;
    loop {
        let name = name_for(random()?, tries);
        if !is_taken(&name) {
            return Ok(name);
        }
        tries += 1;
    }
}

/// A digit for each round of tries: sooner or later there are more names than containers.
fn name_for(number: usize, tries: u32) -> String {
    let (mood, rest) = (number % MOODS.len(), number / MOODS.len());
    let (person, rest) = (rest % PEOPLE.len(), rest / PEOPLE.len());
    let words = format!("{}_{}", MOODS[mood], PEOPLE[person]);
    match (tries / TRIES).min(9) {
        0 => words,
        digits => format!("{words}{}", rest % 10_usize.pow(digits)),
    }
}

fn random() -> Result<usize> {
    // Eight bytes at most are sixteen digits, which fit.
    Ok(usize::from_str_radix(&random_id(size_of::<usize>())?, 16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_word_is_there_once() {
        for words in [MOODS, PEOPLE] {
            assert_eq!(BTreeSet::from(words).len(), words.len());
        }
        let number = 3 + 64 * 5 + 64 * 64 * 1234;
        assert_eq!(name_for(number, 0), "bold_bachman");
        assert_eq!(name_for(number, TRIES), "bold_bachman4");
        assert_eq!(name_for(number, 2 * TRIES), "bold_bachman34");
    }

    #[test]
    fn what_is_taken_is_tried_again() {
        let tries = Cell::new(0);
        let name = generate(|_| tries.replace(tries.get() + 1) < TRIES).unwrap();
        assert_eq!(tries.get(), TRIES + 1);
        assert!(name.ends_with(|letter: char| letter.is_ascii_digit()), "{name}");
    }
}
