//! The ground of Ottla's crates: the error type, the pool of buffers, how threads start, writes to a socket.
//!
//! A crate of Ottla's own, without stability: programs use the crate `ottla`, which hands on what is for them.

pub mod error;
pub mod memory;
pub mod thread;
pub mod write;
