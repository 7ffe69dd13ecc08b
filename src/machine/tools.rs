//! Which programs of others does the course use, and how are they installed?

use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde::Serialize;

use super::Finding;

/// A program, what it is for, and the package that has it: Debian's, Fedora's, Arch's.
type Tool = (&'static str, &'static str, [&'static str; 3]);

const TOOLS: [Tool; 15] = [
    ("git", "lab reset", ["git", "git", "git"]),
    ("hostname", "lessons 1 and 5", ["hostname", "hostname", "inetutils"]),
    ("ipcmk", "lesson 2", ["util-linux", "util-linux", "util-linux"]),
    ("ps", "lessons 3 and 4", ["procps", "procps-ng", "procps-ng"]),
    ("newuidmap", "lesson 5, many users", ["uidmap", "shadow-utils", "shadow"]),
    ("ip", "lesson 6", ["iproute2", "iproute", "iproute2"]),
    ("nft", "lesson 6, the way out", ["nftables", "nftables", "nftables"]),
    ("busybox", "lesson 6, images", ["busybox-static", "busybox", "busybox"]),
    ("ping", "lesson 6", ["iputils-ping", "iputils", "iputils"]),
    ("losetup", "lessons 14 and 19", ["mount", "util-linux", "util-linux"]),
    ("mkfs.ext4", "lesson 19", ["e2fsprogs", "e2fsprogs", "e2fsprogs"]),
    ("mkfs.xfs", "lesson 19, reflinks", ["xfsprogs", "xfsprogs", "xfsprogs"]),
    ("mkfs.btrfs", "lesson 19, btrfs", ["btrfs-progs", "btrfs-progs", "btrfs-progs"]),
    ("strace", "what to try", ["strace", "strace", "strace"]),
    ("tmux", "scripts/demo.sh", ["tmux", "tmux", "tmux"]),
];

/// Who installs packages here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Manager {
    /// Debian, Ubuntu, Mint
    Apt,
    /// Fedora, RHEL, CentOS
    Dnf,
    /// Arch, Manjaro
    Pacman,
}

impl Manager {
    /// That of this machine, by os-release(5).
    pub fn here() -> Option<Manager> {
        let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
        Manager::of(&text)
    }

    fn of(os_release: &str) -> Option<Manager> {
        let lines = os_release.lines();
        let names = lines.filter_map(|line| {
            line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE="))
        });
        let mut words = names.flat_map(|names| names.trim_matches('"').split(' '));
        words.find_map(|word| match word {
            "debian" | "ubuntu" => Some(Manager::Apt),
            "fedora" | "rhel" | "centos" => Some(Manager::Dnf),
            "arch" => Some(Manager::Pacman),
            _ => None,
        })
    }

    /// What to type to install `packages`.
    pub fn command(self, packages: &[String]) -> String {
        let command = match self {
            Manager::Apt => "sudo apt install",
            Manager::Dnf => "sudo dnf install",
            Manager::Pacman => "sudo pacman -S",
        };
        format!("{command} {}", packages.join(" "))
    }
}

/// The tools, and the packages of those that are missing.
pub fn look() -> (Vec<Finding>, Vec<String>) {
    let at = Manager::here().map_or(0, |manager| manager as usize);
    let mut packages: Vec<String> = Vec::new();
    let findings = TOOLS.map(|(name, purpose, package)| {
        let is_there = is_installed(name);
        if !is_there && !packages.iter().any(|known| known == package[at]) {
            packages.push(package[at].to_string());
        }
        let seen = if is_there { "there" } else { "missing" };
        Finding::new("tools", name, is_there, format!("{seen}, for {purpose}"))
    });
    (findings.into(), packages)
}

/// Tools of root's may have no place in a user's path.
fn is_installed(name: &str) -> bool {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    let is_program = |file: &std::path::Path| {
        let about = fs::metadata(file);
        about.is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    };
    env::split_paths(&path).any(|folder| is_program(&folder.join(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_is_known_by_its_relatives() {
        let mint = "NAME=\"Linux Mint\"\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n";
        assert_eq!(Manager::of(mint), Some(Manager::Apt));
        assert_eq!(Manager::of("ID=fedora\n"), Some(Manager::Dnf));
        let rocky = "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n";
        assert_eq!(Manager::of(rocky), Some(Manager::Dnf));
        assert_eq!(Manager::of("ID=manjaro\nID_LIKE=arch\n"), Some(Manager::Pacman));
        assert_eq!(Manager::of("ID=alpine\n"), None);
        let packages = ["xfsprogs", "tmux"].map(String::from);
        assert_eq!(Manager::Apt.command(&packages), "sudo apt install xfsprogs tmux");
    }
}
