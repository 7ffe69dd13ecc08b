//! Which moment in the life of a command is meant?
//!
//! `run --rm:kill:engine:openat:17`: in `run --rm`, the engine is killed when it is about to call
//! openat(2) for the 17th time. With `fail`, that call fails. Other processes than the engine
//! are called `child1`, `child2` … in the order of their birth.

use std::fmt::{self, Display};
use std::str::FromStr;

/// A system call that a process was about to make.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Moment {
    /// 0 is the engine, the others in the order of their birth.
    pub role: usize,
    pub call: String,
    /// The first one is 1.
    pub count: u32,
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    Kill,
    Fail,
}

/// What is done, and when.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Point {
    pub command: String,
    pub fault: Fault,
    pub moment: Moment,
}

impl Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Moment { role, call, count } = &self.moment;
        let fault = match self.fault {
            Fault::Kill => "kill",
            Fault::Fail => "fail",
        };
        let role = match role {
            0 => "engine".to_string(),
            child => format!("child{child}"),
        };
        write!(f, "{}:{fault}:{role}:{call}:{count}", self.command)
    }
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Point, String> {
        let wrong = || format!("{text:?} is not like `run --rm:kill:engine:openat:17`");
        let words: Vec<&str> = text.split(':').collect();
        let &[command, fault, role, call, count] = words.as_slice() else {
            return Err(wrong());
        };
        let fault = match fault {
            "kill" => Fault::Kill,
            "fail" => Fault::Fail,
            _ => return Err(wrong()),
        };
        let role = match role {
            "engine" => 0,
            child => {
                let number = child.strip_prefix("child").and_then(|it| it.parse().ok());
                number.ok_or_else(wrong)?
            }
        };
        let count = count.parse().map_err(|_| wrong())?;
        let (command, call) = (command.to_string(), call.to_string());
        Ok(Point { command, fault, moment: Moment { role, call, count } })
    }
}

#[test]
fn points_are_said_as_they_are_understood() {
    for text in ["run --rm:kill:engine:openat:17", "rm:fail:child2:write:1"] {
        assert_eq!(text.parse::<Point>().map(|point| point.to_string()), Ok(text.into()));
    }
    for text in ["rm", "rm:kill:engine:openat", "rm:maim:engine:openat:1"] {
        assert!(text.parse::<Point>().is_err(), "{text}");
    }
}
