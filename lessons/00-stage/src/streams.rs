//! Where does a program speak whose standard output becomes another's?
//!
//! Where it did before: a copy of each stream is kept, which execve(2) closes. Lesson 25
//! gives a process a terminal, and goes on to tell what it does.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::{Error, Result, Stage};

/// Copies of standard input, output and error.
pub(crate) struct Streams([OwnedFd; 3]);

impl Stage {
    /// From here on, speak and listen where we do now, whatever becomes of our standard
    /// input, output and error.
    pub fn keep_streams(&self) -> Result<()> {
        let copy = |fd: BorrowedFd| {
            let copied = fd.try_clone_to_owned();
            copied.map_err(|error| Error::io("fcntl(F_DUPFD_CLOEXEC)", &error))
        };
        let (input, output, error) = (io::stdin(), io::stdout(), io::stderr());
        let copies =
            Streams([copy(input.as_fd())?, copy(output.as_fd())?, copy(error.as_fd())?]);
        // Kept already: those are the first ones.
        self.streams.set(copies).ok();
        Ok(())
    }

    /// Play `scene` with standard input, or with what was that.
    pub(crate) fn on_input<T>(&self, scene: impl FnOnce(BorrowedFd) -> T) -> T {
        self.on(0, io::stdin(), scene)
    }

    /// The same with standard output.
    pub(crate) fn on_output<T>(&self, scene: impl FnOnce(BorrowedFd) -> T) -> T {
        self.on(1, io::stdout(), scene)
    }

    /// The same with standard error.
    pub(crate) fn on_error<T>(&self, scene: impl FnOnce(BorrowedFd) -> T) -> T {
        self.on(2, io::stderr(), scene)
    }

    fn on<T>(
        &self,
        number: usize,
        now: impl AsFd,
        scene: impl FnOnce(BorrowedFd) -> T,
    ) -> T {
        match self.streams.get() {
            Some(Streams(kept)) => scene(kept[number].as_fd()),
            None => scene(now.as_fd()),
        }
    }
}
