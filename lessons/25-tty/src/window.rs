//! How large is a window?
//!
//! The kernel keeps two numbers for each terminal, and tells who is in its foreground
//! (SIGWINCH) when they change. It draws nothing: who does, such as a terminal program or
//! whoever holds the master, has to set them. Read TIOCGWINSZ in ioctl_tty(2).

use std::fmt::{self, Display};
use std::os::fd::AsFd;

use stage::{Error, Result};

use crate::calls;

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

/// Give the pseudoterminal that `size`, by its master.
pub fn resize(master: impl AsFd, size: Size) -> Result<()> {
    let size = libc::winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0, // unknown
        ws_ypixel: 0,
    };
    let done = calls::set_size(&master, &size).map(drop);
    done.map_err(|errno| Error::call("ioctl(TIOCSWINSZ)", errno))
}

/// As `stty size` has it: rows, then columns.
impl Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rows, self.columns)
    }
}
