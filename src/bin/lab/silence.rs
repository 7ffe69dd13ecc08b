//! Why does a program not answer?
//!
//! What `lab` says when there is nobody to ask, whatever the lesson is: in three grades, as
//! the hints in a check.toml.

/// Why there is no answer.
#[derive(Debug, Clone)]
pub struct Silence {
    /// What was observed, why that may be, and what to write.
    pub hints: Vec<String>,
    /// The last lines that the program wrote to standard error.
    pub last_words: Vec<String>,
}

/// Why a program without a shell says nothing.
const NO_SHELL: [&str; 2] = [
    "lab types its questions into your program's standard input, and reads the answers from its \
     standard output. So your program prepares what the lesson asks for, and then becomes a \
     shell, or starts one as its child and waits for it. What it wrote itself before it ended, \
     `lab check` shows behind `|`",
    "in Rust, `Err(Command::new(\"/bin/sh\").exec().into())` becomes a shell, and \
     `Command::new(\"/bin/sh\").status()?` starts one and waits for it; in C, \
     `execl(\"/bin/sh\", \"sh\", NULL)` and `waitpid(child, NULL, 0)`",
];

/// What an exercise says in which something is left to write.
const UNWRITTEN: &str = "not yet implemented";

const TO_WRITE: [&str; 2] = [
    "a function of your exercise is still `todo!()`, which ends the program where it stands. \
     `lab check` shows which one, behind `|`: write its body, and save the file",
    "the comment above the function says what it has to do, and the head of the file which \
     manual pages to read; most are one call, and its result is what the function returns",
];

const FLOODS: [&str; 2] = [
    "between a question and its answer there may be some words of your program's own, but not \
     a mebibyte of them: something writes in a loop",
    "look for a loop around a write, and for a shell that starts itself again and again",
];

const LINGERS: [&str; 2] = [
    "when its standard input is closed, the shell ends. Then your program must end, too, and \
     all that it has started: a child in the background, or a loop that waits for something \
     else, keeps it here",
    "wait for the shell with waitpid(2) (`status()` in Rust) and return; what else you have \
     started has to be ended before, with kill(2)",
];

const STRANGER: [&str; 2] = [
    "lab looks at the shell from outside, and finds it among your program's descendants. A \
     shell that a service has started for you descends from the service",
    "fork(2) and execve(2) the shell, or become it: `Command::new(\"/bin/sh\").exec()`",
];

impl Silence {
    /// Nobody answers, for the reason `why`.
    pub fn no_shell(why: String, last_words: Vec<String>) -> Silence {
        let unwritten = last_words.iter().any(|line| line.contains(UNWRITTEN));
        let more = if unwritten { TO_WRITE } else { NO_SHELL };
        Silence { last_words, ..Silence::because(why).and(more) }
    }

    /// It writes and writes.
    pub fn flood() -> Silence {
        Silence::because("the program writes without end, and no answer".into())
            .and(FLOODS)
    }

    /// It still runs so many seconds after its input was closed.
    pub fn lingers(seconds: u64) -> Silence {
        Silence::because(format!(
            "the program still runs {seconds} s after its input was closed: wait for the \
             shell, then exit"
        ))
        .and(LINGERS)
    }

    /// A shell answers, with a PID that is not known.
    pub fn stranger(answer: &str) -> Silence {
        // Something else may have written in between, and much.
        let answer: String = answer.chars().take(40).collect();
        Silence::because(format!(
            "the shell calls itself process {answer:?}, but none such descends from the \
             program: start the shell yourself, not through a service"
        ))
        .and(STRANGER)
    }

    /// A silence of which no more is to be said.
    pub fn because(why: String) -> Silence {
        Silence { hints: vec![why], last_words: Vec::new() }
    }

    fn and(mut self, more: [&str; 2]) -> Silence {
        self.hints.extend(more.map(String::from));
        self
    }

    /// The reason, in a line.
    pub fn why(&self) -> &str {
        self.hints.first().map_or("", |why| why)
    }
}
