//! engine

pub mod import;
pub mod store;
pub mod sys;
