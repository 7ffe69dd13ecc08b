//! How does one run a container and wait for it?
//!
//! Describe it, give it a folder, start it, wait for its end, and tidy up.

use std::net::Ipv4Addr;

use stage::{Child, Result, Stage, proc};

use crate::container::{Container, First, Plan};
use crate::describe::{self, Base, Request};
use crate::host;
use crate::network::{Connection, Setup};
use crate::run::contain;
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
    let status = contain(&stage, &spec, connect)
        .and_then(|first| see_to_its_end(store, &container, connection.address(), first));
    connection.end();
    match status.is_ok() && !throw_away {
        true => container.keep(store, status.clone().unwrap_or_default())?,
        false => container.remove(store)?,
    }
    status
}

/// Wait for the end of the container's first process. Meanwhile others may join it.
fn see_to_its_end(
    store: &Store,
    container: &Container,
    address: Option<Ipv4Addr>,
    mut first: Child,
) -> Result<u8> {
    first.await_exec()?;
    // If it has ended already, there is nobody to join.
    if let Ok(namespace) = proc::namespace_of(first.pid(), "pid") {
        let first = First { pid: first.pid().as_raw(), namespace };
        container.runs(store, first, address)?;
    }
    first.wait()
}
