//! How does a container become an image?
//!
//! What it has written becomes a layer on those of the image that it was made from. Meanwhile it
//! is stopped in time (lesson 15), so that the layer is what was there at one moment.

use image::Digest;
use image::manifest::Step;
use stage::{Error, Evidence, Result, Stage};

use crate::build;
use crate::container::{self, Known};
use crate::control;
use crate::diff;
use crate::layer::{self, Contents, Draft};
use crate::limits;
use crate::spec::IMAGE_ID;
use crate::store::{Name, Store};

/// How to do it.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The container's name or ID.
    pub container: String,
    /// What the image is to be called; without, it is dangling.
    pub name: Option<String>,
    /// Who has made it.
    pub author: Option<String>,
    /// A remark for its history.
    pub message: Option<String>,
    /// Instructions of a Dockerfile that change nothing but the configuration.
    pub changes: Vec<String>,
    /// Stop the container meanwhile.
    pub pause: bool,
}

/// Make the container an image; its ID.
pub fn commit(store: &Store, options: &Options) -> Result<Digest> {
    let which = &options.container;
    let name = options.name.as_deref().map(Name::of_image).transpose()?;
    let work = store.making()?;
    let known = container::known(store, which, &store.lock_containers()?)?;
    let _held = known.hold(store)?;
    let parent = known.spec.annotations.get(IMAGE_ID).ok_or_else(|| {
        Error::input(format!("container {which:?} was made from no image of the store"))
    })?;
    let parent = store.image(parent)?;
    let mut draft = Draft::of(store, &parent.manifest)?;
    build::change(&mut draft.config, &options.changes)?;
    {
        // Signals that ask us to stop end the child that packs: the container is to go on in
        // any case.
        let stage = Stage::of_engine(false)?;
        let _paused =
            options.pause.then(|| Paused::stop(store, &known, which)).transpose()?;
        add_changes(store, &stage, &known, &mut draft)?;
    }
    draft.note(Step {
        created_by: known.spec.process.args.join(" "),
        comment: options.message.clone().unwrap_or_default(),
        ..Step::default()
    });
    if let Some(author) = &options.author {
        draft.config.platform.other.insert("author".into(), author.as_str().into());
    }
    let manifest = draft.keep(store)?;
    let id = store.add(&work, &manifest, name.as_slice())?.id;
    let comment = options.message.as_deref().unwrap_or_default();
    let called = name.as_ref().map_or("", Name::full);
    let about =
        [("comment", comment), ("imageID", &*id.to_string()), ("imageRef", called)];
    known.tell(store, "commit", &about);
    Ok(id)
}

/// What the container has written, as a layer.
fn add_changes(
    store: &Store,
    stage: &Stage,
    known: &Known,
    draft: &mut Draft,
) -> Result<()> {
    let spec = &known.spec;
    let changes = diff::changes(store, spec)?;
    let contents = Contents {
        owner: &|user, group| spec.owner_inside(user, group),
        left_out: &|path| changes.is_ours(path),
    };
    let (_, layers) = spec.stacks()?.swap_remove(0);
    let mut packer = stage.fork(|cue| {
        let layer = layer::keep(store, &layers.upper, &contents)?;
        let mut seen = Evidence::default();
        seen.record(LAYER, serde_json::to_string(&layer).map_err(Error::input)?);
        cue.show(seen)?;
        Ok(0)
    })?;
    let seen = packer.evidence()?;
    packer.wait()?;
    let (layer, diff_id) = serde_json::from_str(&seen[LAYER]).map_err(Error::input)?;
    draft.add(layer, diff_id);
    Ok(())
}

/// What the child that packs calls the layer.
const LAYER: &str = "layer";

/// A container that is stopped in time, as long as this lives.
struct Paused<'p> {
    store: &'p Store,
    which: &'p str,
    is_ours: bool,
}

impl<'p> Paused<'p> {
    fn stop(store: &'p Store, known: &Known, which: &'p str) -> Result<Paused<'p>> {
        let group = match known.first() {
            Some(first) => limits::group_of(&known.spec, first)?,
            None => return Ok(Paused { store, which, is_ours: false }),
        };
        let is_ours = match group {
            Some(group) => !limits::is_paused(&group)?,
            None => {
                stage::warn(format!(
                    "container {which:?} goes on meanwhile: it has no group of its own"
                ));
                false
            }
        };
        if is_ours {
            control::pause(store, which)?;
        }
        Ok(Paused { store, which, is_ours })
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        if self.is_ours
            && let Err(error) = control::unpause(self.store, self.which)
        {
            stage::warn(format!("container {:?} stays paused: {error}", self.which));
        }
    }
}
