//! How does a Dockerfile become an image?

mod dockerfile;
mod ignore;
mod words;
