//! What can one say to `fakedocker build`?

use std::path::PathBuf;

use clap::Args;
use fakedocker::build::{self, Options};
use fakedocker::network::Network;
use fakedocker::store::Store;
use stage::Result;

#[derive(Args)]
pub struct Build {
    /// A name for the image
    #[arg(short, long, value_name = "NAME")]
    tag: Vec<String>,
    /// The Dockerfile, - for standard input [default: PATH/Dockerfile]
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A value for an ARG of the Dockerfile, or pass on ours
    #[arg(long, value_name = "NAME[=VALUE]")]
    build_arg: Vec<String>,
    /// The stage to be built [default: the last one]
    #[arg(long, value_name = "STAGE")]
    target: Option<String>,
    /// Do all steps, although they were done before
    #[arg(long)]
    no_cache: bool,
    /// Print nothing but the image's ID
    #[arg(short, long)]
    quiet: bool,
    /// The network of RUN: bridge, host, none or container:NAME
    #[arg(long, value_name = "NETWORK")]
    network: Option<Network>,
    /// The folder with the files that can be copied, or - for a tar archive on standard input
    #[arg(value_name = "PATH")]
    context: PathBuf,
}

impl Build {
    pub fn play(&self, store: &Store) -> Result<u8> {
        let options = Options {
            context: self.context.clone(),
            file: self.file.clone(),
            names: self.tag.clone(),
            args: self.build_arg.clone(),
            target: self.target.clone(),
            no_cache: self.no_cache,
            quiet: self.quiet,
            network: self.network.clone(),
        };
        let id = build::build(store, &options)?;
        if self.quiet {
            stage::tell(id)?;
        }
        Ok(0)
    }
}
