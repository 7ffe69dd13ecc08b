//! How do a container's files become a tar archive, and the other way round?

use std::io::{stdin, stdout};
use std::os::unix::ffi::OsStrExt;

use image::{pack, unpack};
use mount::target::{Root, path_of};
use stage::{Error, Result};
use user::Numbers;

use super::{Target, Wanted};
use crate::decode::decode;
use crate::spec::Spec;

/// Write what is `wanted` to standard output; owners are told by the container's numbers.
pub fn write(wanted: &Wanted, spec: &Spec) -> Result<()> {
    // As Docker has it: what is in a folder is called from `./` on.
    let name = if wanted.contents { b"." } else { wanted.name.as_bytes() };
    let owner = |user, group| spec.owner_inside(user, group);
    pack::pack_one(&wanted.source.held, name, stdout().lock(), owner)
}

/// Unpack the archive on standard input at `path` in `root`, which has to be a folder.
pub fn read(root: &Root, path: &str, spec: &Spec, numbers: &Numbers) -> Result<()> {
    if spec.users().is_some() {
        return Err(Error::input(
            "an archive's owners are not those of a user namespace",
        )
        .hint("unpack it here, and copy the folder"));
    }
    let Target::Folder(folder) = Target::find(root, path)? else {
        return Err(Error::input(format!("{path:?} is no folder")));
    };
    let archive = decode(Box::new(stdin()))?;
    unpack::unpack(archive, &path_of(&folder), &[], numbers).map(drop)
}
