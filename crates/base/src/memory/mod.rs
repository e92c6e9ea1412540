//! Buffers: one bounded, size-classed pool for the whole process.

mod pool;

pub use pool::{Budget, PoolBuf, SharedBuf, pool_stats};
#[doc(hidden)]
#[cfg(unix)]
pub use pool::{PoolLocks, hold_pool};
