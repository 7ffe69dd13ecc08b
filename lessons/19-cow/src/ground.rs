//! Where is it played?
//!
//! On a disk of our own (lesson 14), with the file system that the driver needs and the
//! image on it, mounted in a folder that only we can see.

use std::fs;
use std::path::{Path, PathBuf};

use block_io::disk::Disk;
use block_io::filesystem::{self, Access};
use cow::mapper::{self, Name, Target};
use cow::subvolume;
use nix::mount::{MntFlags, umount2};
use nix::sys::statfs::statfs;
use overlay::Layers;
use stage::{Error, Result, Stage};

use crate::driver::Driver;
use crate::image::Image;

/// Where the disk is mounted, and the image on it.
const DISK: &str = "disk";
pub const IMAGE: &str = "disk/image";

/// The names of two mapped devices.
pub struct Names {
    image: Name,
    container: Name,
}

impl Names {
    pub fn reserve() -> Result<Names> {
        let (image, container) = (Name::reserve("image")?, Name::reserve("container")?);
        Ok(Names { image, container })
    }
}

/// The disk and what is on it.
pub struct Ground<'n> {
    pub driver: Driver,
    pub disk: Disk,
    /// How many bytes could be on it.
    pub size: u64,
    /// For mapped devices: a disk for what becomes different, and names.
    mapped: Option<(Disk, &'n Names)>,
}

impl Ground<'_> {
    /// Make it, with the image on it; or why that cannot be.
    pub fn prepare<'n>(
        stage: &Stage,
        driver: Driver,
        image: &Image,
        names: Option<&'n Names>,
    ) -> Result<Result<Ground<'n>, String>> {
        let size = size_for(image);
        if driver == Driver::Mapper
            && let Some(why) = mapper::lacks(stage)?
        {
            return Ok(Err(why));
        }
        let disk = Disk::make(stage, size)?;
        let mapped =
            names.map(|names| Ok((Disk::make(stage, size)?, names))).transpose()?;
        let ground = Ground { driver, disk, size, mapped };
        mount::isolate(stage)?;
        mount::tmpfs(stage, Path::new("/tmp"))?;
        std::env::set_current_dir("/tmp").map_err(|error| Error::io("/tmp", &error))?;
        Ok(match ground.mount(stage)? {
            Some(why) => Err(why),
            None => ground.put_image(stage, image).map(|()| Ok(ground))?,
        })
    }

    /// The file system is made and mounted; or why it cannot be.
    fn mount(&self, stage: &Stage) -> Result<Option<String>> {
        let kind = self.driver.file_system();
        if !filesystem::make(&self.disk, kind.program, kind.options)? {
            let (program, package) = (kind.program, kind.package);
            return Ok(Some(format!("there is no {program} (package {package})")));
        }
        make_folder(DISK)?;
        self.mount_from(stage, &self.disk.path, DISK, Access::Full)
    }

    /// Mount what is on the disk at `path`, unless the kernel does not know such.
    fn mount_from(
        &self,
        stage: &Stage,
        path: &Path,
        at: &str,
        access: Access,
    ) -> Result<Option<String>> {
        let kind = self.driver.file_system().kind;
        let mounted = filesystem::mount(stage, path, at, kind, access)?;
        Ok(mounted.err().map(|_| format!("this kernel has no {kind}")))
    }

    fn put_image(&self, stage: &Stage, image: &Image) -> Result<()> {
        match self.driver {
            Driver::Btrfs => subvolume::make(stage, Path::new(DISK), "image")?,
            _ => make_folder(IMAGE)?,
        }
        image.fill(Path::new(IMAGE))?;
        let Some((_, names)) = &self.mapped else { return Ok(()) };
        // A disk is mounted, or a part of mapped ones: not both.
        let call = format!("umount2({DISK:?}, 0)");
        stage.ask(call, || umount2(DISK, MntFlags::empty()))?;
        let origin = Target::Origin(&self.disk.path);
        self.mount_mapped(stage, &names.image, origin, (DISK, Access::ReadOnly))
    }

    fn mount_mapped(
        &self,
        stage: &Stage,
        name: &Name,
        target: Target,
        (at, access): (&str, Access),
    ) -> Result<()> {
        let path = name.map(stage, target, self.size)?;
        if let Some(why) = self.mount_from(stage, &path, at, access)? {
            return Err(Error::input(why));
        }
        name.let_go(stage)
    }

    /// Where the container's files are to be.
    pub fn container(&self) -> &'static str {
        if self.mapped.is_some() { "snapshot/image" } else { "disk/container" }
    }

    /// Start the container.
    pub fn start(&self, stage: &Stage) -> Result<()> {
        let (image, container) = (Path::new(IMAGE), Path::new(self.container()));
        match self.driver {
            Driver::Copy => cow::copy(stage, image, container),
            Driver::Links => cow::link(stage, image, container),
            Driver::Reflink => cow::reflink(stage, image, container),
            Driver::Btrfs => {
                subvolume::snapshot(stage, image, Path::new(DISK), "container")
            }
            Driver::Mapper => self.start_mapped(stage),
            Driver::Overlay => start_stacked(stage, image, container),
        }
    }

    fn start_mapped(&self, stage: &Stage) -> Result<()> {
        let Some((store, names)) = &self.mapped else { return Ok(()) };
        let target = Target::Snapshot { origin: &self.disk.path, store: &store.path };
        make_folder("snapshot")?;
        self.mount_mapped(stage, &names.container, target, ("snapshot", Access::Full))
    }

    /// How many bytes are in use.
    pub fn used(&self) -> Result<u64> {
        if let Some((store, _)) = &self.mapped {
            return store.takes();
        }
        let about = statfs(DISK).map_err(|errno| Error::call("statfs", errno))?;
        let block = u64::try_from(about.block_size()).unwrap_or_default();
        Ok((about.blocks() - about.blocks_free()) * block)
    }
}

/// Room for the image, a copy and changes, and what XFS wants at least.
pub fn size_for(image: &Image) -> u64 {
    (512 << 20) + 3 * image.bytes()
}

fn start_stacked(stage: &Stage, image: &Path, container: &Path) -> Result<()> {
    let own = |part: &str| PathBuf::from(format!("{DISK}/{part}"));
    let layers =
        Layers { lower: vec![image.into()], upper: own("upper"), work: own("work") };
    [&layers.upper, &layers.work, container].into_iter().try_for_each(make_folder)?;
    overlay::stack(stage, &layers, container)
}

fn make_folder(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    fs::create_dir(path).map_err(|error| Error::io(path.display(), &error))
}
