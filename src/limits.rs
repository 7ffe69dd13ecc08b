//! How is a container held to what it may use?
//!
//! By a group of its own (lesson 9), below the one of all our containers, and a lesson for
//! each thing that a group can be held to. What an engine keeps or changes of it later is
//! here, too.

use cgroup::{Entrance, Group, PARENT};
use cgroup_cpu::Bandwidth;
use mount::target::Root;
use stage::{Child, Error, Pid, Result, Stage};

use crate::rootless;
use crate::spec::Spec;
use crate::spec::resources::{BlockIo, Cpu, Memory, Resources, Throttle};
use request::PERIOD;

pub mod devices;
pub mod request;
pub mod units;

/// What a container's group is made for, as far as this machine has it: its limits, what
/// they are measured by, and to stop it.
const CONTROLLERS: [&str; 8] =
    ["cpu", "cpuacct", "cpuset", "memory", "pids", "blkio", "freezer", "devices"];

/// A container's own group. Where it goes, all that is in it goes.
pub struct Limits {
    /// None without root, and without a limit.
    group: Option<Group>,
    entrance: Option<Entrance>,
    /// Whether the container sees it as the topmost one.
    is_top: bool,
    /// Whether it may write to its files.
    is_open: bool,
}

impl Limits {
    /// Make the group that `spec` names, and write down there what it says.
    pub fn make(stage: &Stage, spec: &Spec) -> Result<Limits> {
        let group = make_group(stage, spec)?;
        let entrance = group.as_ref().map(Group::open).transpose()?;
        let (is_top, is_open) =
            (spec.namespace("cgroup").is_some(), spec.is_privileged());
        Ok(Limits { group, entrance, is_top, is_open })
    }

    /// Enter the group.
    pub fn enter(&self, stage: &Stage) -> Result<()> {
        self.entrance.as_ref().map_or(Ok(()), |entrance| entrance.enter(stage))
    }

    /// Show the group at /sys/fs/cgroup, read-only for most, to who sees it as the topmost one.
    pub fn show(&self, stage: &Stage, root: &Root) -> Result<()> {
        let Some(group) = self.group.as_ref().filter(|_| self.is_top) else {
            return Ok(());
        };
        match cgroup_ns::mount(stage, root, &group.hierarchies(), !self.is_open) {
            // Root of a user namespace may be refused. Then there is nothing to see.
            Err(error) if error.is_refusal() => Ok(()),
            mounted => mounted,
        }
    }

    /// Let `first` notice the signals that we pass on, also while it is paused.
    pub fn let_hear(&self, first: &mut Child) -> Result<()> {
        let freezes = |group: &&Group| group.has(freezer::CONTROLLER);
        if let Some(group) = self.group.as_ref().filter(freezes) {
            first.wake_by(freezer::thaw_later(group)?);
        }
        Ok(())
    }

    /// Take the group away, with all that is in it. Returns how many processes the kernel has
    /// ended in it for want of memory.
    pub fn end(self, stage: &Stage) -> Result<u64> {
        let Some(group) = self.group else { return Ok(0) };
        let kills =
            if group.has(memory::CONTROLLER) { memory::kills(&group)? } else { 0 };
        // What cannot go now is taken away by a later command.
        group.remove(stage).unwrap_or_else(stage::warn);
        Ok(kills)
    }
}

fn make_group(stage: &Stage, spec: &Spec) -> Result<Option<Group>> {
    let resources = &spec.linux.resources;
    let Some(name) = spec.group() else { return Ok(None) };
    let needed = controllers(resources);
    let mut group = Group::make(stage, name, &needed)?;
    for controller in CONTROLLERS {
        if !group.can_have(controller) {
            continue;
        }
        match group.extend(stage, controller) {
            // Who is not root has what was given to it, and may do without the rest.
            Err(_) if rootless::is_rootless() => {}
            extended => extended?,
        }
    }
    hold(stage, &group, resources)?;
    Ok((!group.hierarchies().is_empty()).then_some(group))
}

/// The controllers that a container cannot do without.
fn controllers(resources: &Resources) -> Vec<&'static str> {
    let Resources { devices: _, memory, cpu, pids, block_io } = resources;
    let bandwidth = cpu.shares.is_some() || cpu.quota.is_some() || cpu.period.is_some();
    let needed = [
        ("cpu", bandwidth),
        ("cpuset", cpu.cpus.is_some() || cpu.mems.is_some()),
        (memory::CONTROLLER, *memory != Memory::default()),
        (pids::CONTROLLER, pids.limit.is_some()),
        (block_io::CONTROLLER, *block_io != BlockIo::default()),
    ];
    needed.into_iter().filter_map(|(name, is_needed)| is_needed.then_some(name)).collect()
}

/// Hold the group to `resources`: one lesson for each.
pub fn hold(stage: &Stage, group: &Group, resources: &Resources) -> Result<()> {
    let Resources { devices, memory, cpu, pids, block_io } = resources;
    // Lesson 10, cgroup-cpu: how much time on the processors.
    limit_time(stage, group, cpu)?;
    // Lesson 11, cpuset: which processors, and whose memory.
    if let Some(nodes) = &cpu.mems {
        cpuset::bind_memory(stage, group, nodes)?;
    }
    if let Some(cores) = &cpu.cpus {
        cpuset::bind(stage, group, cores)?;
    }
    // Lesson 12, memory.
    limit_memory(stage, group, memory)?;
    // Lesson 13, pids: how many tasks.
    match pids.limit.map(u32::try_from) {
        Some(Ok(count)) => pids::limit(stage, group, count)?,
        Some(Err(_)) => pids::lift(stage, group)?,
        None => {}
    }
    // Lesson 14, io: how fast to and from block devices.
    limit_traffic(stage, group, block_io)?;
    // Lesson 16, devices: which may be opened at all.
    devices::allow(stage, group, devices)
}

fn limit_time(stage: &Stage, group: &Group, cpu: &Cpu) -> Result<()> {
    if let Some(shares) = cpu.shares {
        cgroup_cpu::share(stage, group, shares)?;
    }
    let period = cpu.period.unwrap_or(PERIOD);
    match cpu.quota.map(u64::try_from) {
        Some(Ok(quota)) => cgroup_cpu::limit(stage, group, Bandwidth { quota, period }),
        None if cpu.period.is_none() => Ok(()),
        _ => cgroup_cpu::lift(stage, group, period),
    }
}

fn limit_memory(stage: &Stage, group: &Group, limits: &Memory) -> Result<()> {
    let with_swap = limits.swap.map(|swap| match u64::try_from(swap) {
        Ok(bytes) => memory::Most::Bytes(bytes),
        Err(_) => memory::Most::Unlimited,
    });
    let bytes = limits.limit.map(i64::unsigned_abs);
    if limits.swap.is_some() && !memory::counts_swap(group)? {
        stage::warn("this kernel does not limit swap: memory alone is limited");
        return memory::limit(stage, group, &memory::Limits { bytes, with_swap: None });
    }
    memory::limit(stage, group, &memory::Limits { bytes, with_swap })
}

fn limit_traffic(stage: &Stage, group: &Group, limits: &BlockIo) -> Result<()> {
    use block_io::{Device, Direction, throttle};
    if let Some(weight) = limits.weight
        && !block_io::weigh(stage, group, weight)?
    {
        stage::warn(
            "no scheduler of this machine's disks knows weights: --blkio-weight is void",
        );
    }
    let all = |throttles: &[Throttle], direction: Direction| {
        throttles.iter().try_for_each(|&Throttle { major, minor, rate }| {
            throttle(stage, group, Device { major, minor }, direction, rate)
        })
    };
    all(&limits.throttle_read_bps_device, Direction::Read)?;
    all(&limits.throttle_write_bps_device, Direction::Write)
}

/// The group of the running container that `spec` describes, whose first process is `first`.
/// Without root it may have none.
pub fn group_of(spec: &Spec, first: Pid) -> Result<Option<Group>> {
    spec.group().map_or(Ok(None), |name| Group::of(name, first))
}

/// The way into a container's group, for who is about to join the container.
pub fn way_in(group: &Group, which: &str) -> Result<Entrance> {
    match is_paused(group)? {
        true => Err(Error::input(format!("container {which:?} is paused"))
            .hint(format!("fakedocker unpause {which}"))
            .status(1)),
        false => group.open(),
    }
}

/// Whether time stands still in there, or is about to.
pub fn is_paused(group: &Group) -> Result<bool> {
    Ok(group.has(freezer::CONTROLLER) && freezer::state(group)? != "THAWED")
}

/// Where /proc/PID/cgroup will show a container: one of ours (config-linux.md, "Cgroups path").
pub fn path_of(id: &str) -> String {
    format!("/{PARENT}/{id}")
}
