//! How does a Dockerfile become an image?

use image::manifest::Config;
use stage::Result;

mod dockerfile;
mod ignore;
mod words;

/// x
pub fn change(_c: &mut Config, _i: &[String]) -> Result<()> {
    Ok(())
}
