//! How does a part of a container become a tar archive?

use stage::{Error, Result};

use super::Wanted;

/// Write what is `wanted` to standard output.
pub fn write(_wanted: &Wanted) -> Result<()> {
    Err(Error::input("not yet"))
}
