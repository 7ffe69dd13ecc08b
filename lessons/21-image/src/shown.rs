//! How is a name from a stranger told to somebody who sits at a terminal?

/// A name from outside, fit for a line on a terminal: short, no control characters.
pub fn shown(name: impl AsRef<[u8]>) -> String {
    const LONGEST: usize = 100;
    let name = String::from_utf8_lossy(name.as_ref());
    let escaped = name.chars().take(LONGEST).flat_map(char::escape_debug);
    let mut line: String = escaped.collect();
    if name.chars().nth(LONGEST).is_some() {
        line.push('…');
    }
    line
}
