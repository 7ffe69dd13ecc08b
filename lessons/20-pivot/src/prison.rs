//! What root do the prisoners get?
//!
//! An overlay over this machine's own, where the kernel allows it. In a user namespace
//! (lesson 5) it does not: all mounts were copied from the host in one piece, and nobody
//! without rights there may take one off, or look below it (locked mounts, in
//! mount_namespaces(7)). An overlay over "/" would show what the other mounts cover. So the
//! folders that programs need get an overlay each, in a tmpfs; where one has mounts below
//! it, the same is true of that, and it is shown as it is.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::errno::Errno;
use overlay::Layers;
use stage::{Error, Result, Stage, proc};

/// Where the prison is built, on a tmpfs of our own.
pub const ROOT: &str = "/tmp/root";

/// What programs need of the host. The second kind are no files to be changed.
const FOLDERS: [&str; 8] = ["usr", "etc", "bin", "sbin", "lib", "lib32", "lib64", "nix"];
const BOUND: [&str; 2] = ["dev", "proc"];

/// A root for a prisoner, and a /proc in it, in a mount namespace of its own.
pub fn build(stage: &Stage) -> Result<()> {
    mount::isolate(stage)?;
    mount::tmpfs(stage, Path::new("/tmp"))?;
    make_folder(ROOT)?;
    match stack(stage, "") {
        Err(error)
            if error.errno() == Some(Errno::EINVAL) && proc::is_in_user_namespace() =>
        {
            stage.note("locked mounts: an overlay over / would show what they cover");
            build_of_parts(stage)
        }
        Err(error) => Err(error),
        Ok(()) => mount::proc(stage, &Path::new(ROOT).join("proc")),
    }
}

fn build_of_parts(stage: &Stage) -> Result<()> {
    mount::tmpfs(stage, Path::new(ROOT))?;
    for name in FOLDERS {
        let (original, copy) = (format!("/{name}"), format!("{ROOT}/{name}"));
        if let Ok(target) = fs::read_link(&original) {
            symlink(target, &copy).map_err(|error| Error::io(&copy, &error))?;
        } else if Path::new(&original).is_dir() {
            make_folder(&copy)?;
            match stack(stage, name) {
                Err(error) if error.errno() == Some(Errno::EINVAL) => {
                    stage.note(&format!(
                        "locked mounts below /{name}: it is shown as it is"
                    ));
                    mount::bind(stage, Path::new(&original), Path::new(&copy))?;
                }
                stacked => stacked?,
            }
        }
    }
    // A /proc of its own would need a PID namespace of its own.
    for name in BOUND {
        let (original, copy) = (format!("/{name}"), format!("{ROOT}/{name}"));
        make_folder(&copy)?;
        mount::bind(stage, Path::new(&original), Path::new(&copy))?;
    }
    make_folder(&format!("{ROOT}/tmp"))
}

/// Stack an upper layer of its own on the host's folder `name`, at the same place in the
/// prison; "" is the root.
fn stack(stage: &Stage, name: &str) -> Result<()> {
    let own = |kind: &str| match name {
        "" => format!("/tmp/{kind}"),
        _ => format!("/tmp/{kind}-{name}"),
    };
    let (upper, work) = (own("upper"), own("work"));
    make_folder(&upper)?;
    make_folder(&work)?;
    let lower = vec![Path::new("/").join(name)];
    let layers = Layers { lower, upper: upper.into(), work: work.into() };
    let merged = if name.is_empty() { ROOT.into() } else { format!("{ROOT}/{name}") };
    overlay::stack(stage, &layers, Path::new(&merged))
}

fn make_folder(path: &str) -> Result<()> {
    fs::create_dir(path).map_err(|error| Error::io(path, &error))
}
