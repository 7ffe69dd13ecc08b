//! The command line of `fakedocker`.

fn main() {}
