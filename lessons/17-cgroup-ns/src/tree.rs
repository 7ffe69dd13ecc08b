//! What of the tree of groups does a container find mounted?
//!
//! What is in its namespace. A mount that is there already goes on showing all, so that the
//! container gets others, made by a process of the namespace: on version 2 one, on version 1
//! a folder for each hierarchy, as the host has them.
//!
//! Read cgroup_namespaces(7) and cgroups(7), "Mounting v1 controllers".

use std::path::{Path, PathBuf};

use cgroup::{Hierarchy, Version};
use mount::attributes::restrict;
use mount::furnish::{Mount, furnish};
use mount::target::Root;
use nix::mount::MsFlags;
use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, fstatfs};
use nix::unistd::symlinkat;
use stage::{Error, Result, Stage};

/// Where programs look for groups.
const TOP: &str = "/sys/fs/cgroup";

/// Mount what of `hierarchies` is in our namespace, inside `root`: the groups that we are in,
/// as the topmost ones, and those below them. One in which we are in the topmost group is seen
/// whole. Who may not mount them in our namespace is refused with EPERM, and may go on with
/// what is mounted by then.
pub fn mount(
    stage: &Stage,
    root: &Root,
    hierarchies: &[Hierarchy],
    read_only: bool,
) -> Result<()> {
    match hierarchies {
        [] => Ok(()),
        [unified] if unified.version == Version::V2 => {
            let part = own_part(unified, TOP.into(), read_only);
            // No file system can be mounted on itself (EBUSY): something comes in between.
            let between = if is_v2(root)? { Some(room()) } else { None };
            furnish(stage, root, &between.into_iter().chain([part]).collect::<Vec<_>>())
        }
        all => mount_all(stage, root, all, read_only),
    }
}

/// Version 1: a folder for each hierarchy, in a tmpfs.
fn mount_all(
    stage: &Stage,
    root: &Root,
    all: &[Hierarchy],
    read_only: bool,
) -> Result<()> {
    let parts = all.iter().map(|it| own_part(it, place(it), read_only));
    furnish(stage, root, &[room()].into_iter().chain(parts).collect::<Vec<_>>())?;
    let top = root.folder(Path::new(TOP))?;
    for (hierarchy, name) in links(all) {
        symlinkat(&*hierarchy, &top, name).map_err(|errno| {
            Error::call(format!("symlinkat({hierarchy:?}, {TOP:?}, {name:?})"), errno)
        })?;
    }
    if read_only {
        let keep = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        restrict(stage, &top, Path::new(TOP), keep | MsFlags::MS_RDONLY)?;
    }
    Ok(())
}

/// Whether the groups of version 2 are in the place already, as in the host's own root.
fn is_v2(root: &Root) -> Result<bool> {
    let Some(top) = root.existing(Path::new(TOP))? else { return Ok(false) };
    let about =
        fstatfs(&top).map_err(|errno| Error::call(format!("fstatfs({TOP:?})"), errno))?;
    Ok(about.filesystem_type() == CGROUP2_SUPER_MAGIC)
}

/// An empty file system, over all that is there.
fn room() -> Mount {
    let (kind, source) = ("tmpfs".to_string(), "tmpfs".into());
    let options = ["nosuid", "nodev", "noexec", "mode=755"].map(String::from).to_vec();
    Mount { destination: TOP.into(), kind, source, options }
}

/// The mount of one hierarchy. It shows the part that is in the namespace of who mounts it.
fn own_part(hierarchy: &Hierarchy, destination: PathBuf, read_only: bool) -> Mount {
    let (kind, which) = match hierarchy.version {
        Version::V1 => ("cgroup", Some(hierarchy.controllers.join(","))),
        Version::V2 => ("cgroup2", None),
    };
    let how = ["nosuid", "nodev", "noexec"].into_iter().chain(read_only.then_some("ro"));
    let options = how.map(String::from).chain(which).collect();
    Mount { destination, kind: kind.into(), source: kind.into(), options }
}

/// Its folder is called as the host calls it: `pids`, `cpu,cpuacct`, `unified`.
fn place(hierarchy: &Hierarchy) -> PathBuf {
    Path::new(TOP).join(hierarchy.at.file_name().unwrap_or_default())
}

/// A controller that shares its hierarchy is found by its own name, too: `cpu` leads to
/// `cpu,cpuacct`.
fn links(all: &[Hierarchy]) -> impl Iterator<Item = (String, &str)> {
    all.iter().filter(|it| it.version == Version::V1).flat_map(|hierarchy| {
        let folder = place(hierarchy).file_name().unwrap_or_default().to_owned();
        let folder = folder.to_string_lossy().into_owned();
        let names = hierarchy.controllers.iter().map(String::as_str);
        let names =
            names.filter(|name| hierarchy.controllers.len() > 1 && *name != folder);
        names.map(|name| (folder.clone(), name)).collect::<Vec<_>>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hierarchy(at: &str, version: Version, controllers: &[&str]) -> Hierarchy {
        let controllers = controllers.iter().map(|name| name.to_string()).collect();
        Hierarchy { version, at: at.into(), root: "/".into(), controllers }
    }

    #[test]
    fn hierarchies_are_mounted_as_the_host_has_them() {
        let both =
            hierarchy("/sys/fs/cgroup/cpu,cpuacct", Version::V1, &["cpu", "cpuacct"]);
        let part = own_part(&both, place(&both), true);
        assert_eq!(part.destination, Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(part.options, ["nosuid", "nodev", "noexec", "ro", "cpu,cpuacct"]);
        let systemd = hierarchy("/sys/fs/cgroup/systemd", Version::V1, &["name=systemd"]);
        let unified = hierarchy("/sys/fs/cgroup/unified", Version::V2, &["hugetlb"]);
        let part = own_part(&unified, place(&unified), false);
        assert_eq!(part.options, ["nosuid", "nodev", "noexec"]);
        let all = [both, systemd, unified];
        let found: Vec<(String, &str)> = links(&all).collect();
        let shared = "cpu,cpuacct".to_string();
        assert_eq!(found, [(shared.clone(), "cpu"), (shared, "cpuacct")]);
    }
}
