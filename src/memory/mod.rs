//! Buffers: one bounded, size-classed pool for the whole process.

mod pool;

pub use pool::{Budget, PoolBuf, SharedBuf, pool_stats};
#[cfg(unix)]
pub(crate) use pool::{PoolLocks, hold_pool};
