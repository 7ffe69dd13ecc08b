//! What happens to a command at each of its system calls?
//!
//! | file | its question |
//! |---|---|
//! | `point.rs` | which moment in the life of a command is meant? |
//! | `calls.rs` | which system calls can fail, and how do we let them? |
//! | `tracer.rs` | how does a command go wrong at a known system call? |

pub mod calls;
pub mod point;
pub mod tracer;
