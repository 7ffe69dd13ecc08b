//! How does a transcript become a picture?
//!
//! As SVG: a dark card, a `<text>` for each line of the terminal, a `<tspan>` for each part of
//! another colour. The stage says which part has which ([`stage::pieces`]), so that the picture
//! looks as the terminal does. It brings no font: `textLength` makes each line as wide as its
//! columns, whatever monospaced font is there. Read the SVG specification, chapter 11 (Text).

use stage::Ink;

use super::console::Command;

/// A terminal's width: a longer line goes on in the next one.
const COLUMNS: usize = 96;

/// In pixels: a column, a line, the margin around, and where letters stand in their line.
const COLUMN: f64 = 8.4;
const LINE: usize = 20;
const MARGIN: usize = 16;
const BASE: usize = 14;

/// The inks on the card's ground; each can be read on it (contrast 4.5 and more).
const STYLE: &str = "\
text{font:14px ui-monospace,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;fill:#d5d9e0;\
white-space:pre}
.bold{font-weight:bold;fill:#fff}.dim{fill:#949cab}.cyan{fill:#5fd0d8}
.green{fill:#7ed491}.red{fill:#ff8f8f}.yellow{fill:#e9c46a}";

/// A part of a line, and the classes of its ink.
type Piece = (&'static str, String);

/// The picture of `command` and its output on a terminal.
pub fn draw(lesson: &str, command: &Command) -> String {
    let lines: Vec<Vec<Piece>> = lines_of(command).into_iter().flat_map(wrap).collect();
    let width = (COLUMNS as f64 * COLUMN).ceil() as usize + 2 * MARGIN;
    let height = lines.len() * LINE + 2 * MARGIN;
    let texts: Vec<String> =
        lines.iter().enumerate().filter_map(|(at, line)| text(at, line)).collect();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"title desc\">\n\
         <title id=\"title\">{title}</title>\n\
         <desc id=\"desc\">A terminal: {command}, and what it prints. The page has it as \
         text.</desc>\n\
         <style>{STYLE}</style>\n\
         <rect x=\".5\" y=\".5\" width=\"{}\" height=\"{}\" rx=\"8\" fill=\"#14171c\" \
         stroke=\"#4a5160\"/>\n{texts}\n</svg>\n",
        width - 1,
        height - 1,
        title = escape(lesson),
        command = escape(&command.text.replace('\n', " ")),
        texts = texts.join("\n"),
    )
}

/// What is typed behind its prompts, then what is printed.
fn lines_of(command: &Command) -> Vec<Vec<Piece>> {
    let prompts = std::iter::once("$ ").chain(std::iter::repeat("> "));
    let typed = prompts.zip(command.text.lines()).map(|(prompt, text)| {
        vec![("dim", prompt.to_string()), ("bold", text.to_string())]
    });
    let printed = command.output.iter().map(|line| {
        let pieces = stage::pieces(line).into_iter();
        pieces.map(|(ink, text)| (class(ink), text.to_string())).collect()
    });
    typed.chain(printed).collect()
}

fn class(ink: Ink) -> &'static str {
    match ink {
        Ink::Plain => "",
        Ink::Bold => "bold",
        Ink::Dim => "dim",
        Ink::Cyan => "cyan",
        Ink::Green => "green",
        Ink::Red => "red",
        Ink::BoldGreen => "bold green",
        Ink::BoldRed => "bold red",
        Ink::BoldYellow => "bold yellow",
    }
}

/// The lines of the terminal that one line takes.
fn wrap(line: Vec<Piece>) -> Vec<Vec<Piece>> {
    let (mut lines, mut column) = (vec![Vec::<Piece>::new()], 0);
    for (class, text) in line {
        for c in text.chars() {
            if column == COLUMNS {
                lines.push(Vec::new());
                column = 0;
            }
            column += 1;
            let last = lines.last_mut().expect("there is one from the start");
            match last.last_mut() {
                Some((of, piece)) if *of == class => piece.push(c),
                _ => last.push((class, c.to_string())),
            }
        }
    }
    lines
}

/// The element for line number `at`; an empty line has none.
fn text(at: usize, line: &[Piece]) -> Option<String> {
    let columns: usize = line.iter().map(|(_, text)| text.chars().count()).sum();
    let pieces: String = line.iter().map(piece).collect();
    let (y, length) = (MARGIN + at * LINE + BASE, columns as f64 * COLUMN);
    let place = format!("x=\"{MARGIN}\" y=\"{y}\" textLength=\"{length:.1}\"");
    (columns > 0).then(|| format!("<text {place}>{pieces}</text>"))
}

fn piece((class, text): &Piece) -> String {
    match *class {
        "" => escape(text),
        class => format!("<tspan class=\"{class}\">{}</tspan>", escape(text)),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

mod tests {
    use super::*;

    fn drawn(output: &str) -> String {
        let output = output.lines().map(String::from).collect();
        let text = "echo 'a<b' &&\ntrue".to_string();
        draw("lesson", &Command { line: 1, text, as_user: false, output })
    }

    #[test]
    fn a_picture_has_the_stages_colours_and_no_markup_of_the_output() {
        let picture = drawn("✓ <all> & more\n\nlast");
        for part in [
            "<tspan class=\"dim\">$ </tspan><tspan class=\"bold\">echo 'a&lt;b' &amp;&amp;",
            "<tspan class=\"dim\">&gt; </tspan><tspan class=\"bold\">true</tspan>",
            "<tspan class=\"bold green\">✓</tspan> &lt;all&gt; &amp; more</text>",
            // The empty line takes its place.
            "<text x=\"16\" y=\"110\" textLength=\"33.6\">last</text>",
        ] {
            assert!(picture.contains(part), "{part} is not in\n{picture}");
        }
    }

    #[test]
    fn a_long_line_goes_on_in_the_next() {
        let long = format!("  → kernel   {} = 0", "x".repeat(2 * COLUMNS));
        let lines = |output: &str| drawn(output).matches("<text ").count();
        assert_eq!(lines(&long) - lines("short"), 2);
        assert_eq!(lines(&"é".repeat(COLUMNS)), lines("short"));
    }
}
