//! How large is a window?
//!
//! The kernel keeps two numbers for each terminal, and tells who is in its foreground
//! (SIGWINCH) when they change. It draws nothing: who does, such as a terminal program or
//! whoever holds the master, has to set them. Read TIOCGWINSZ in ioctl_tty(2).

use std::fmt::{self, Display};
use std::os::fd::AsFd;

use stage::{Error, Result, Stage, descriptor};

use crate::{Pty, calls};

/// The size of a window, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the type says it")]
pub struct Size {
    pub rows: u16,
    pub columns: u16,
}

/// The size of the terminal that `fd` is; ENOTTY if it is none.
pub fn size_of(fd: impl AsFd) -> Result<Size> {
    let size =
        calls::size(&fd).map_err(|errno| Error::call("ioctl(TIOCGWINSZ)", errno))?;
    Ok(Size { rows: size.ws_row, columns: size.ws_col })
}

impl Pty {
    /// Give its window this `size`.
    pub fn resize(&self, stage: &Stage, size: Size) -> Result<()> {
        let Size { rows, columns } = size;
        let master = descriptor(&self.master);
        let call =
            format!("ioctl({master}, TIOCSWINSZ, {{ws_row={rows}, ws_col={columns}}})");
        stage.ask(call, || calls::set_size(&self.master, &size.into())).map(drop)
    }
}

/// The same by the master alone, without a word: it happens while somebody draws a window
/// larger.
pub fn resize(master: impl AsFd, size: Size) -> Result<()> {
    let done = calls::set_size(&master, &size.into()).map(drop);
    done.map_err(|errno| Error::call("ioctl(TIOCSWINSZ)", errno))
}

impl From<Size> for libc::winsize {
    fn from(size: Size) -> libc::winsize {
        // How large a character is, in pixels, nobody knows.
        let (ws_xpixel, ws_ypixel) = (0, 0);
        libc::winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel, ws_ypixel }
    }
}

/// As `stty size` has it: rows, then columns.
impl Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rows, self.columns)
    }
}
