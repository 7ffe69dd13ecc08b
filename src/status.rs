//! How is a container at this moment?
//!
//! What its folder says, who holds that, whether its first process is still there, and whether
//! its group is frozen: in Docker's words.

use stage::Result;

use crate::container::{Known, Restart, State};
use crate::limits::{group_of, is_paused};
use crate::times;

/// How a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It was never started.
    Created,
    /// Its first process is there.
    Running,
    /// It is there, and stands still.
    Paused,
    /// It has ended, and will be started again.
    Restarting,
    /// It has ended.
    Exited,
}

impl Status {
    /// That of this container, now.
    pub fn of(container: &Known) -> Result<Status> {
        let State { first, exit_status, started, life, .. } = &container.state;
        let Some(pid) = container.first() else {
            // Between two lives somebody keeps it, and it has no process.
            let waits = container.is_held
                && life.restart != Restart::No
                && first.is_none()
                && exit_status.is_some();
            return Ok(match exit_status {
                _ if waits => Status::Restarting,
                None if started.is_empty() => Status::Created,
                _ => Status::Exited,
            });
        };
        let group = group_of(&container.spec, pid)?;
        let paused = group.as_ref().map(is_paused).transpose()?.unwrap_or(false);
        Ok(if paused { Status::Paused } else { Status::Running })
    }

    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Restarting => "restarting",
            Status::Exited => "exited",
        }
    }

    /// Whether nobody has to start it: in Docker's words, it runs between two lives, too.
    pub fn is_running(self) -> bool {
        matches!(self, Status::Running | Status::Paused | Status::Restarting)
    }

    /// The same, since when, and how it ended: `Up 3 minutes (Paused)`.
    pub fn words(self, state: &State) -> String {
        let since = |moment: &str| times::since(moment).unwrap_or_default();
        let ended = |word: &str| {
            let code = state.exit_status.unwrap_or_default();
            match times::since(&state.finished) {
                Some(since) => format!("{word} ({code}) {since} ago"),
                None => format!("{word} ({code})"),
            }
        };
        let up = format!("Up {}", since(&state.started)).trim_end().to_string();
        match self {
            Status::Created => "Created".into(),
            Status::Running => up,
            Status::Paused => format!("{up} (Paused)"),
            Status::Restarting => ended("Restarting"),
            Status::Exited => ended("Exited"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_dockers() {
        let before = "1970-01-01T00:00:00Z".to_string();
        let years = times::since(&before).unwrap();
        let state = State {
            started: before.clone(),
            finished: before,
            exit_status: Some(3),
            ..State::default()
        };
        for (status, words) in [
            (Status::Created, "Created".to_string()),
            (Status::Running, format!("Up {years}")),
            (Status::Paused, format!("Up {years} (Paused)")),
            (Status::Restarting, format!("Restarting (3) {years} ago")),
            (Status::Exited, format!("Exited (3) {years} ago")),
        ] {
            assert_eq!(status.words(&state), words);
        }
        assert_eq!(Status::Running.words(&State::default()), "Up");
        assert_eq!(Status::Exited.words(&State::default()), "Exited (0)");
    }
}
