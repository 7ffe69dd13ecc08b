//! What of the machine does a lesson need?

use fakedocker::machine::Finding;

/// Topics and names of findings, as in src/machine.rs. A lesson that is not here needs nothing
/// of its own; what is only measured or explained where it is there, is not here either.
const NEEDS: [(&str, &[(&str, &str)]); 26] = [
    ("uts", &[("namespaces", "uts")]),
    ("ipc", &[("namespaces", "ipc"), ("tools", "ipcmk")]),
    ("pid", &[("namespaces", "pid")]),
    ("mount", &[("namespaces", "mnt"), ("namespaces", "pid")]),
    ("user", &[("namespaces", "user")]),
    ("net", &[("namespaces", "net")]),
    ("time", &[("namespaces", "time")]),
    ("enter", &[("namespaces", "uts"), ("namespaces", "ipc"), ("namespaces", "pid")]),
    ("cgroup", &[("cgroups", "pids")]),
    ("cgroup-cpu", &[("cgroups", "cpu")]),
    ("cpuset", &[("cgroups", "cpuset"), ("machine", "cores")]),
    ("memory", &[("cgroups", "memory")]),
    ("pids", &[("cgroups", "pids")]),
    ("io", &[("cgroups", "blkio"), ("files", "loop devices"), ("tools", "losetup")]),
    ("freezer", &[("cgroups", "freezer")]),
    ("devices", &[("cgroups", "devices")]),
    ("cgroup-ns", &[("namespaces", "cgroup"), ("cgroups", "pids")]),
    ("overlay", &[("namespaces", "mnt"), ("files", "overlay")]),
    ("cow", &[("namespaces", "mnt"), ("files", "overlay"), ("files", "loop devices")]),
    ("pivot", &[("namespaces", "mnt")]),
    ("image", &[]),
    ("caps", &[]),
    ("seccomp", &[("guards", "seccomp")]),
    ("init", &[("namespaces", "pid")]),
    ("tty", &[("files", "terminals")]),
    ("contain", &[("cgroups", "pids"), ("files", "overlay"), ("guards", "seccomp")]),
];

/// What the machine lacks for `lesson`, in words: nothing if it runs here.
pub fn lacks(lesson: &str, findings: &[Finding]) -> Vec<String> {
    let own = NEEDS.iter().find(|(name, _)| *name == lesson);
    let own = own.map_or(&[][..], |(_, needs)| needs);
    let all = own.iter().chain(&[("machine", "kernel")]);
    let found = all.filter_map(|(topic, name)| {
        findings.iter().find(|it| it.topic == *topic && it.name == *name)
    });
    let missing = found.filter(|it| it.works == Some(false));
    missing.map(|it| format!("{} ({}): {}", it.name, it.topic, it.seen)).collect()
}
