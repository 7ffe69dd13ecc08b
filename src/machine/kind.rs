//! What kind of machine is this?
//!
//! Hardware, a virtual machine, WSL 2, or a container, in which not all lessons can run.

use std::fs;
use std::path::Path;

use stage::proc;

use super::{Finding, word};

/// A container's engine, and the file by which it can be told.
const ENGINES: [(&str, &str); 2] =
    [("/.dockerenv", "Docker"), ("/run/.containerenv", "Podman")];

/// What the firmware of virtual machines says, and who that is.
const MAKERS: [(&str, &str); 12] = [
    ("Apple Virtualization", "Apple's"),
    ("VirtualBox", "VirtualBox"),
    ("VMware", "VMware"),
    ("Parallels", "Parallels"),
    ("Amazon EC2", "Amazon EC2"),
    ("Google", "Google Cloud"),
    ("Microsoft Corporation Virtual Machine", "Hyper-V"),
    ("Xen", "Xen"),
    ("QEMU", "QEMU"),
    ("KVM", "KVM"),
    ("Bochs", "Bochs"),
    ("OpenStack", "OpenStack"),
];

/// Where we are: containers may be in virtual machines.
pub fn inside() -> Finding {
    let layers = [container(), wsl().or_else(virtual_machine)];
    let seen: Vec<String> = layers.into_iter().flatten().collect();
    match seen.is_empty() {
        true => Finding::told("machine", "inside", "no hypervisor and no container"),
        false => Finding::told("machine", "inside", seen.join(", in ")),
    }
}

/// What to do where the kernel refuses root.
pub fn advice() -> &'static str {
    match container() {
        Some(_) => {
            "a container is not given all rights: use the machine itself, or \
             scripts/lab-vm.sh"
        }
        None => "",
    }
}

fn container() -> Option<String> {
    let named = ENGINES.iter().find(|(file, _)| Path::new(file).exists());
    let named = named.map(|(_, engine)| (*engine).to_string());
    // systemd's own word for it, as in LXC and nspawn.
    let told = || Some(word("/run/systemd/container")).filter(|word| !word.is_empty());
    let namespace = || {
        // The machine's own PID namespace has the same number everywhere (PROC_PID_INIT_INO).
        let is_own = proc::namespace("pid").is_ok_and(|it| it != "pid:[4026531836]");
        (is_own || proc::is_in_user_namespace()).then(|| "a namespace".to_string())
    };
    let engine = named.or_else(told).or_else(namespace)?;
    Some(format!("a container ({engine})"))
}

fn wsl() -> Option<String> {
    let release = word("/proc/sys/kernel/osrelease").to_lowercase();
    match (release.contains("microsoft"), release.contains("wsl2")) {
        (true, true) => Some("WSL 2".into()),
        (true, false) if release.contains("microsoft-standard") => Some("WSL 2".into()),
        (true, false) => Some("WSL 1, which has no Linux kernel: use WSL 2".into()),
        _ => None,
    }
}

fn virtual_machine() -> Option<String> {
    let firmware = ["sys_vendor", "product_name", "bios_vendor"]
        .map(|name| word(&format!("/sys/class/dmi/id/{name}")))
        .join(" ");
    let maker = MAKERS.iter().find(|(says, _)| firmware.contains(says));
    let maker = maker.map(|(_, who)| (*who).to_string());
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let is_virtual = processor
        .lines()
        .any(|line| line.starts_with("flags") && line.contains(" hypervisor"));
    match (maker, is_virtual) {
        (Some(maker), _) => Some(format!("a virtual machine ({maker})")),
        (None, true) => Some("a virtual machine".into()),
        (None, false) => None,
    }
}
