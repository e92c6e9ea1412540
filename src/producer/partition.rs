//! One partition's records on their way out: the open batch, then the sealed ones in order.
//!
//! Lock order: a topic's pending lock, a partition's lock, the shared lists; docs/design/concurrency.md has it whole.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::buffer::Backlog;
use super::completion::Tokens;
use super::settings::TopicSettings;
use crate::error::Error;
use crate::protocol::record::{BatchBuilder, SealedBatch};

/// Distance of two batches' ordinals: halving it for every split leaves room for 2^20 parts.
pub(crate) const ORDINAL_STEP: u64 = 1 << 20;

/// The batch that is being filled.
pub(crate) struct OpenBatch {
    pub(crate) id: u64,
    pub(crate) builder: BatchBuilder,
    pub(crate) tokens: Tokens,
    pub(crate) created: Instant,
    /// When it leaves though it isn't full.
    pub(crate) due: Instant,
    /// Bytes counted in `buffer.memory` for it.
    pub(crate) charged: usize,
}

/// A batch whose records no longer change.
pub(crate) struct Batch {
    pub(crate) id: u64,
    pub(crate) sealed: SealedBatch,
    pub(crate) tokens: Tokens,
    pub(crate) created: Instant,
    pub(crate) charged: usize,
    /// Position in the partition's order of sending.
    pub(crate) ordinal: u64,
    /// Ordinals from its own on that belong to it, for the parts it may be split into.
    pub(crate) span: u64,
    /// Sequence of the first record, once it has one.
    pub(crate) sequence: Option<i32>,
    pub(crate) attempts: u32,
    /// An attempt was sent whose answer never came.
    pub(crate) unanswered: bool,
    pub(crate) last_error: Option<Error>,
    /// The request it was sent in last.
    pub(crate) request: u64,
    /// Of the [`Chain`](super::chain::Chain) it is in.
    pub(super) next: Option<Box<Batch>>,
}

/// A place in the queue of sealed batches. It is taken when the batch stops being open, so that order holds while
/// the thread that filled it computes its checksum, or compresses it, without the lock.
pub(crate) enum Place {
    Sealing(u64),
    Ready(Box<Batch>),
}

/// What a partition's lock guards.
#[derive(Default)]
pub(crate) struct PartitionQueue {
    /// Boxed, as most of many partitions have none most of the time.
    pub(crate) open: Option<Box<OpenBatch>>,
    pub(crate) sealed: VecDeque<Place>,
    /// Bytes the last batch took: the next one starts with as much room.
    pub(crate) last_size: usize,
    /// Bytes that keyless records brought since the topic last switched to this partition (KIP-794).
    pub(crate) sticky_bytes: usize,
    /// No batch is opened any more: what would be in it would never end.
    pub(crate) closed: bool,
}

/// What a topic's partitions have in common.
pub(crate) struct Home {
    pub(crate) topic: Arc<str>,
    pub(crate) settings: Arc<TopicSettings>,
}

/// The callers' side of a partition. There may be tens of thousands of them, most of them idle: what only a busy one needs
/// hangs on it by a pointer.
pub(crate) struct Partition {
    home: Arc<Home>,
    pub(crate) index: i32,
    queue: Mutex<PartitionQueue>,
    /// What the producer holds for it and its broker has not taken yet.
    pub(crate) backlog: Backlog,
    /// Its number among all partitions of the producer.
    pub(crate) slot: usize,
    /// It is in the list of partitions that the I/O thread shall look at.
    pub(crate) listed: AtomicBool,
    /// Its broker takes nothing, or it has none: records without a key go elsewhere.
    pub(crate) unavailable: AtomicBool,
}

impl Partition {
    pub(crate) fn new(home: Arc<Home>, index: i32, slot: usize) -> Self {
        Partition {
            home,
            index,
            queue: Mutex::new(PartitionQueue::default()),
            backlog: Backlog::default(),
            slot,
            listed: AtomicBool::new(false),
            unavailable: AtomicBool::new(false),
        }
    }

    pub(crate) fn topic(&self) -> &Arc<str> {
        &self.home.topic
    }

    pub(crate) fn settings(&self) -> &TopicSettings {
        &self.home.settings
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, PartitionQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_available(&self) -> bool {
        !self.unavailable.load(Ordering::Relaxed)
    }

    /// True if the caller is the one to put the partition into the list.
    pub(crate) fn claim_listing(&self) -> bool {
        !self.listed.swap(true, Ordering::AcqRel)
    }
}

impl PartitionQueue {
    /// Ends the open batch for the I/O thread, which seals it without the lock and sends it before all that come.
    pub(crate) fn take_open(&mut self) -> Option<OpenBatch> {
        let open = *self.open.take()?;
        self.last_size = open.builder.size();
        self.sticky_bytes += self.last_size;
        Some(open)
    }

    /// Ends the open batch: its place is taken, its records come back to be sealed without the lock.
    pub(crate) fn close_open(&mut self) -> Option<OpenBatch> {
        let open = self.take_open()?;
        self.sealed.push_back(Place::Sealing(open.id));
        Some(open)
    }

    /// True if the open batch may leave now though it isn't full: its time has come, or a flush up to `flush_to` asks.
    pub(crate) fn open_is_due(&self, now: Instant, flush_to: u64) -> bool {
        self.open
            .as_ref()
            .is_some_and(|open| open.due <= now || open.id <= flush_to)
    }

    /// Puts a sealed batch into its place; `None` takes the place away (sealing failed).
    pub(crate) fn fill_place(&mut self, id: u64, batch: Option<Box<Batch>>) {
        if let Some(at) = self
            .sealed
            .iter()
            // From behind: the places of batches being sealed are the last ones.
            .rposition(|p| matches!(p, Place::Sealing(i) if *i == id))
        {
            match batch {
                Some(batch) => self.sealed[at] = Place::Ready(batch),
                None => {
                    self.sealed.remove(at);
                }
            }
        }
    }

    /// The first sealed batch, if it is ready.
    pub(crate) fn pop_ready(&mut self) -> Option<Box<Batch>> {
        match self.sealed.front()? {
            Place::Ready(_) => match self.sealed.pop_front() {
                Some(Place::Ready(batch)) => Some(batch),
                _ => None,
            },
            Place::Sealing(_) => None,
        }
    }
}
