//! Producing.

mod buffer;
mod completion;
pub mod partitioner;

pub use completion::{Completion, Outcome};
