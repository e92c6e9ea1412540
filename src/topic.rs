//! Names of partitions.

use std::sync::Arc;

/// Names a partition; orders as the user would list it.
pub(crate) type TopicPartition = (Arc<str>, i32);
