//! What did another program say?

use std::io::{self, Read};
use std::process::{Child, Output};

/// Wait for `child`, and read what it says on those of its outputs that are pipes to us; on
/// standard error no more than a pipe has room for (pipe(7)). As `Child::wait_with_output`, which
/// panics when a pipe cannot be read.
pub fn output_of(mut child: Child) -> io::Result<Output> {
    let (out, err) = (all_of(child.stdout.take()), all_of(child.stderr.take()));
    let status = child.wait()?;
    Ok(Output { status, stdout: out?, stderr: err? })
}

fn all_of(pipe: Option<impl Read>) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    pipe.map_or(Ok(0), |mut pipe| pipe.read_to_end(&mut said))?;
    Ok(said)
}
