//! How does one run a container and wait for it?
//!
//! Describe it, give it a folder, start it, wait for its end, and tidy up.

use std::net::Ipv4Addr;

use stage::{Result, Stage, proc};

use crate::container::{Container, First, Plan};
use crate::describe::{self, Base, Request};
use crate::host;
use crate::limits::units::in_words;
use crate::network::{Connection, Setup};
use crate::run::{Contained, contain};
use crate::spec::Spec;
use crate::store::Store;
use crate::sys;

/// What the command line asks for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The image, the command and their settings.
    pub request: Request,
    /// Remove the container when it ends.
    pub remove: bool,
    /// Let the container read our standard input.
    pub interactive: bool,
    /// Print what each lesson does.
    pub explain: bool,
}

/// Make a container, run it in the foreground, and return its exit status.
pub fn run(store: &Store, options: &Options) -> Result<u8> {
    let request = &options.request;
    // The image stays until the container is there, which says that it stands on it.
    let work = store.work()?;
    let image = describe::find_image(store, request)?;
    // All is checked before anything is touched.
    let plan = Plan::new(store)?;
    let network = Setup::read(store, &request.network)?;
    let from = Base { image: image.as_ref(), view: host::view(request)? };
    let spec = describe::spec(store, request, &from, &plan, &network)?;
    spec.check()?;
    let skeleton = plan.skeleton();
    let throw_away = options.remove || request.is_host();
    let name = request.name.as_deref();
    let files = network.files(&spec.hostname);
    let stage = Stage::of_engine(options.explain)?;
    let mut connection = Connection::prepare(network)?;
    let container = Container::create(store, plan, &spec, name, throw_away)?;
    drop(work);
    container.furnish(&files)?;
    from.view.map_or(Ok(()), |view| view.build(&skeleton))?;

    if !options.interactive {
        sys::without_input()?;
    }
    sys::give_pipes_to(spec.user_outside());
    let connect = |pid| {
        let word = connection.connect(&stage, pid)?;
        container.meets_others(store, connection.hosts(&spec.hostname, name))?;
        Ok(word)
    };
    let ending = contain(&stage, &spec, connect).and_then(|it| {
        see_to_its_end(store, &stage, &container, connection.address(), it)
    });
    connection.end();
    match &ending {
        Ok(ending) if !throw_away => {
            container.keep(store, ending.status, ending.oom_kills > 0)?;
        }
        _ => container.remove(store)?,
    }
    ending?.tell(&spec)
}

/// How a container has ended.
#[derive(Debug, Clone)]
struct Ending {
    /// What its first process has left, or 128 + the signal that ended it.
    status: u8,
    /// How many of its processes the kernel has ended for want of memory.
    oom_kills: u64,
}

/// Wait for the end of the container's first process. Meanwhile others may join it.
fn see_to_its_end(
    store: &Store,
    stage: &Stage,
    container: &Container,
    address: Option<Ipv4Addr>,
    mut contained: Contained,
) -> Result<Ending> {
    let first = &mut contained.first;
    contained.limits.let_hear(first)?;
    first.await_exec()?;
    // If it has ended already, there is nobody to join.
    if let Ok(namespace) = proc::namespace_of(first.pid(), "pid") {
        let first = First { pid: first.pid().as_raw(), namespace };
        container.runs(store, first, address)?;
    }
    let status = first.wait()?;
    Ok(Ending { status, oom_kills: contained.limits.end(stage)? })
}

impl Ending {
    /// The status; and a warning, if the kernel had to help.
    fn tell(self, spec: &Spec) -> Result<u8> {
        if self.oom_kills > 0 {
            tell_of_kills(self.oom_kills, spec);
        }
        Ok(self.status)
    }
}

fn tell_of_kills(count: u64, spec: &Spec) {
    let processes = match count {
        1 => "a process".into(),
        _ => format!("{count} processes"),
    };
    let limit = spec.linux.resources.memory.limit.map(i64::unsigned_abs);
    let limit = limit.map_or_else(
        || "the machine has no more".into(),
        |limit| format!("--memory is {}", in_words(limit)),
    );
    stage::warn(format!(
        "out of memory: the kernel killed {processes} of the container; {limit}"
    ));
}
