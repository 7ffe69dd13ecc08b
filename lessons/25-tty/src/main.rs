//! Lesson 25, the demonstration.

fn main() {}
