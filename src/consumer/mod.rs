//! Consuming: reading partitions of topics.
//!
//! Two threads share the work. The I/O thread ([`fetcher`]) fetches in the background from all leaders at once and queues
//! what comes as it came: a chunk for each partition and fetch, compressed and unchecked. The thread that polls
//! ([`reader`]) checks, decompresses and indexes chunks into a [`Batch`] of views. Between them stands `shared`: the queue
//! ([`inbox`]), the [`memory`] account, the assignment with its positions. A position belongs to a generation of its
//! partition; a seek begins a new one, and what was fetched for an older one is dropped wherever it is met.

mod batch;
mod chunk;
mod client;
mod committed;
mod event;
mod fetcher;
mod group;
mod inbox;
mod memory;
mod offset;
mod partition;
mod reach;
mod reader;
mod shared;
#[cfg(test)]
mod testing;

pub use batch::{Batch, Record, Segment};
pub use client::Consumer;
pub use event::{Event, EventKind, Polled, Start};
pub(crate) use fetcher::{earliest, topic_problem};
pub use group::{GroupMember, GroupToAssign, OwnAssignor};
pub(crate) use group::{Trouble, advice, quoted, trouble};
pub(crate) use inbox::{Inbox, Item};
pub use memory::Buffer;
pub(crate) use memory::FetchMemory;
pub use offset::{GroupMetadata, OffsetAndMetadata};
pub(crate) use reach::Reach;
pub use shared::PartitionInfo;
pub(crate) use shared::{GRACE, LAST_WORDS, Reply, later};
