//! How does one make a container, and run it?
//!
//! Describe it, give it a folder, and keep it (`keep.rs`): ourselves, while somebody waits for its
//! end; or by a process of its own (`monitor.rs`).

use stage::{Result, Stage};

use crate::container::{Container, Life, Plan, State};
use crate::describe::{self, Base, Request};
use crate::host;
use crate::keep::Kept;
use crate::network::Setup;
use crate::spec::Spec;
use crate::store::{Image, Store, Work};
use crate::streams::{Input, Wanted};

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
    /// What else is to become of it.
    pub life: Life,
}

/// Make a container, run it in the foreground, and return its exit status.
pub fn run(store: &Store, options: &Options) -> Result<u8> {
    let work = store.work()?;
    let image = describe::find_image(store, &options.request)?;
    run_on(store, options, image.as_ref(), work, |_, _| Ok(()))
}

/// The same on this `image`, which stays as long as `work` does: until the container is there, and
/// says that it stands on it. `at_end` is told what has ended, and how.
pub fn run_on(
    store: &Store,
    options: &Options,
    image: Option<&Image>,
    work: Work,
    at_end: impl FnOnce(&Spec, u8) -> Result<()>,
) -> Result<u8> {
    let stage = Stage::of_engine(options.explain)?;
    let kept = make(store, options, image, work)?;
    let input = if options.interactive { Input::of_ours() } else { Input::Nothing };
    let mut relay = kept.relay()?;
    relay.lend_ours(input == Input::Typed);
    let kept_by_us = kept.live(&stage, &mut relay, Wanted::Pipes(input), || Ok(()));
    let ending = kept_by_us.and_then(|ending| {
        at_end(&kept.spec, ending.status)?;
        Ok(ending)
    });
    let spec = kept.spec.clone();
    let lost = relay.lost.take();
    let status = kept.end(&stage, relay, ending)?.tell(&spec);
    lost.map_or(Ok(status), Err)
}

/// Make the container that `options` describe.
pub fn make<'s>(
    store: &'s Store,
    options: &Options,
    image: Option<&Image>,
    work: Work,
) -> Result<Kept<'s>> {
    let request = &options.request;
    // All is checked before anything is touched.
    let plan = Plan::new(store)?;
    let network = Setup::read(store, &request.network)?;
    let from = Base { image, view: host::view(request)? };
    let spec = describe::spec(store, request, &from, &plan, &network)?;
    spec.check()?;
    let skeleton = plan.skeleton();
    let throw_away = options.remove || request.is_host();
    let life = Life {
        open_stdin: options.interactive,
        network: network.decided(&request.network),
        ..options.life.clone()
    };
    let name = request.name.clone();
    let state = State { name, throw_away, life: life.clone(), ..State::default() };
    let container = Container::create(store, plan, &spec, state)?;
    drop(work);
    from.view.map_or(Ok(()), |view| view.build(&skeleton))?;
    Ok(Kept { store, container, spec, life, throw_away })
}
