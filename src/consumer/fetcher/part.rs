//! An assigned partition, and how far it has come.

use std::sync::Arc;
use std::time::Instant;

use crate::consumer::partition::Partition;
use crate::error::ErrorCode;
use crate::protocol::wire::TopicId;
use crate::reading::poll::Start;
use crate::stats::ErrorCounts;

/// How far a partition has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The offset to start at is being looked up.
    Locate,
    /// Fetched from this offset on.
    Fetch { next: i64 },
    /// Not fetched until it is started anew.
    Stopped,
}

/// An assigned partition.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) partition: Arc<Partition>,
    pub(super) generation: u32,
    /// The start that was asked for last.
    pub(super) start: Start,
    pub(super) step: Step,
    pub(super) topic_id: TopicId,
    pub(super) leader_epoch: i32,
    /// Leader epoch of the last batch fetched, by which a broker notices that its log was truncated; -1 if unknown.
    pub(super) last_epoch: i32,
    /// Of a leader that knows nothing of `last_epoch`, its epoch, and how often it said so: after the second time it is
    /// not asked with it. The next leader is, as a log is cut where leaders change.
    pub(super) unknown_to: Option<(i32, u8)>,
    /// A replica to fetch from instead of the leader (KIP-392), and until when.
    pub(super) replica: Option<(i32, Instant)>,
    pub(super) not_before: Option<Instant>,
    pub(super) failures: u32,
    /// The trouble that was told last.
    pub(super) told: Option<ErrorCode>,
    pub(super) stats: PartStats,
}

/// Counts of one partition.
#[derive(Debug, Default)]
pub(super) struct PartStats {
    pub(super) fetches: u64,
    pub(super) bytes: u64,
    pub(super) errors: ErrorCounts,
}
