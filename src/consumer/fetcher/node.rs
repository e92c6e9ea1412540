//! A broker that records are fetched from, and the requests on their way to it.

use std::time::Instant;

use crate::consumer::fetcher::session::Session;
use crate::reading::reach::Reach;
use crate::topic::TopicPartition;

/// A leader named in a refusal (KIP-951): broker id and leader epoch.
pub(super) type Hint = (TopicPartition, (i32, i32));

/// A fetch on its way.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) sent: Instant,
    /// Its answer has begun to come.
    pub(super) begun: bool,
    /// It has brought records.
    pub(super) fruitful: bool,
    /// What is still set aside for it.
    pub(super) reserved: usize,
    pub(super) hints: Vec<Hint>,
}

impl InFlight {
    pub(super) fn new(now: Instant, reserved: usize) -> Self {
        InFlight {
            sent: now,
            begun: false,
            fruitful: false,
            reserved,
            hints: Vec::new(),
        }
    }
}

/// A broker we fetch from: at most one fetch on its way, and one beside it that doesn't wait.
#[derive(Debug, Default)]
pub(super) struct FetchNode {
    pub(super) session: Session,
    /// The partitions fetched from it.
    pub(super) members: Vec<TopicPartition>,
    /// Those that answers spoke of since the last request.
    pub(super) answered: Vec<TopicPartition>,
    /// What `Fetcher::changes` was when all members were looked at last: while it is the same, only the answered ones can
    /// be fetched differently. None also while one waits for its time.
    pub(super) planned: Option<u64>,
    pub(super) inflight: Option<InFlight>,
    pub(super) aside: Aside,
    /// There may be something to send.
    pub(super) dirty: bool,
    pub(super) retry_at: Option<Instant>,
    /// After repeated refusals: nothing is sent before.
    pub(super) pause_until: Option<Instant>,
    /// Fetches in a row that were refused.
    pub(super) failures: u32,
    pub(super) reach: Reach,
}

/// What is fetched from one broker beside the fetch under way.
#[derive(Debug, Default)]
pub(super) struct Aside {
    /// There may be something to send.
    pub(super) wanted: bool,
    /// What the request on its way is about; the broker keeps nothing of it.
    pub(super) session: Session,
    pub(super) inflight: Option<InFlight>,
}

impl Aside {
    pub(super) fn is_under_way(&self) -> bool {
        self.inflight.is_some()
    }

    /// The request was answered.
    pub(super) fn ended(&mut self, fruitful: bool) {
        self.wanted |= fruitful;
    }
}
