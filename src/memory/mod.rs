//! Buffers: one bounded, size-classed pool for the whole process.

mod pool;

pub use pool::{Budget, PoolBuf, SharedBuf, pool_stats};
