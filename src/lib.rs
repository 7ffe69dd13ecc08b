//! engine

pub mod sys;
