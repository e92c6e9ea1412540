//! Consuming: reading partitions of topics.
//!
//! Two threads share the work. The I/O thread (`fetcher`) fetches in the background from all leaders at once and queues
//! what comes as it came: a chunk for each partition and fetch, compressed and unchecked. The thread that polls
//! (`reader`) checks, decompresses and indexes chunks into a [`Batch`] of views. Between them stands `shared`: the queue
//! (`inbox`), the `memory` account, the assignment with its positions. A position belongs to a generation of its
//! partition; a seek begins a new one, and what was fetched for an older one is dropped wherever it is met.

mod chunk;
mod client;
mod fetcher;
mod partition;
mod reader;
mod shared;

pub use self::client::{Consumer, OffsetAndTimestamp};
pub use self::shared::PartitionInfo;
pub use crate::client::event::{Event, EventKind};
pub use crate::client::to_assign::{GroupMember, GroupToAssign};
pub use crate::group::OwnAssignor;
pub use crate::group::offset::{GroupMetadata, OffsetAndMetadata};
pub use crate::reading::batch::{Batch, Record, Segment};
pub use crate::reading::buffer::Buffer;
pub use crate::reading::poll::{Polled, Start};
