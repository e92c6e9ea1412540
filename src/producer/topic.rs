//! One topic of a producer: its partitions once they are known, until then its pending records.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

use super::partition::{OpenBatch, Partition};
use super::settings::TopicSettings;
use crate::error::{Error, ErrorCode, Result};
use crate::rng::Rng;

/// How long keyless records stay with a partition whose batches don't fill: short enough to spread a few records a second,
/// long enough that records in quick succession share a batch.
const STICKS_FOR: Duration = Duration::from_millis(10);
/// Partitions looked at for the next one to stay with: enough that all of them being slow is rare.
const LOOKS: usize = 4;

/// A topic's partitions. A newer list hangs on the older one, so that readers need no lock.
pub(crate) struct PartitionSet {
    pub(crate) partitions: Vec<Arc<Partition>>,
    next: OnceLock<Box<PartitionSet>>,
}

/// Records whose partition isn't known yet, all with the same wish for one.
pub(crate) struct PendingBatch {
    /// The partition the caller named, or -1.
    pub(crate) partition: i32,
    pub(crate) open: OpenBatch,
    /// The next record did not fit.
    pub(crate) full: bool,
}

/// What a topic's pending lock guards.
#[derive(Default)]
pub(crate) struct Pending {
    pub(crate) batches: VecDeque<PendingBatch>,
    /// Why records for this topic are refused at once: the brokers said so for longer than `max.block.ms`.
    pub(crate) refused: Option<Error>,
    /// Metadata is being renewed for a caller who named a partition beyond those known.
    pub(crate) looking: bool,
    /// When that last came.
    pub(crate) looked: Option<Instant>,
}

pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) settings: Arc<TopicSettings>,
    first: OnceLock<Box<PartitionSet>>,
    pending: Mutex<Pending>,
    /// The partitions have become known, or why not.
    told: Condvar,
    /// A caller who may not wait was sent away because the partitions were not known.
    pub(crate) refused: AtomicBool,
    /// The program was told that the brokers say the topic is missing; the I/O thread's.
    pub(crate) told_missing: AtomicBool,
    /// The partition keyless records stick to.
    sticky: AtomicU32,
    /// With `partitioner.rack.aware`: partitions whose leader is in this client's rack.
    near: RwLock<Vec<u32>>,
    /// When a partition was last left since a batch of it was due.
    left: Mutex<Option<Instant>>,
    /// Next in turn for round robin, and the state of random choice.
    turn: AtomicU32,
}

impl Topic {
    /// `rng` keeps producers that start together from all beginning with the same partition.
    pub(crate) fn new(name: &str, settings: Arc<TopicSettings>, mut rng: Rng) -> Self {
        Topic {
            name: Arc::from(name),
            settings,
            first: OnceLock::new(),
            pending: Mutex::new(Pending::default()),
            told: Condvar::new(),
            refused: AtomicBool::new(false),
            told_missing: AtomicBool::new(false),
            sticky: AtomicU32::new(rng.next() as u32 >> 1),
            near: RwLock::default(),
            left: Mutex::new(None),
            turn: AtomicU32::new(rng.next() as u32),
        }
    }

    /// The partitions, once metadata has come.
    #[inline]
    pub(crate) fn partitions(&self) -> Option<&[Arc<Partition>]> {
        let mut set = self.first.get()?;
        while let Some(newer) = set.next.get() {
            set = newer;
        }
        Some(&set.partitions)
    }

    /// Replaces the partitions by a newer list. Only the I/O thread does this.
    pub(crate) fn set_partitions(&self, partitions: Vec<Arc<Partition>>) {
        let fresh = Box::new(PartitionSet {
            partitions,
            next: OnceLock::new(),
        });
        let Some(mut set) = self.first.get() else {
            let _ = self.first.set(fresh);
            return;
        };
        while let Some(newer) = set.next.get() {
            set = newer;
        }
        let _ = set.next.set(fresh);
    }

    pub(crate) fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those in [`Topic::wait`]. What they look at was changed under the pending lock, or that lock was taken
    /// since.
    pub(crate) fn tell(&self) {
        self.told.notify_all();
    }

    /// Waits until there is news of the topic; `None` once `deadline` has passed.
    pub(crate) fn wait<'a>(
        &self,
        pending: MutexGuard<'a, Pending>,
        deadline: Instant,
    ) -> Option<MutexGuard<'a, Pending>> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        let waited = self.told.wait_timeout(pending, left);
        Some(waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Index of the partition keyless records go to now.
    #[inline]
    pub(crate) fn sticky(&self, n: usize) -> usize {
        self.sticky.load(Ordering::Relaxed) as usize % n
    }

    /// Leaves the partition `from`, which keyless records have stuck to, for another; whoever comes first decides.
    pub(crate) fn move_sticky(&self, partitions: &[Arc<Partition>], from: usize) {
        let n = partitions.len();
        let now = self.sticky.load(Ordering::Relaxed);
        if now as usize % n != from {
            return;
        }
        let to = self.next_sticky(partitions);
        let _ = self
            .sticky
            .compare_exchange(now, to as u32, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Chooses among the partitions that are near, if there are any that can be chosen, or among all.
    fn next_sticky(&self, partitions: &[Arc<Partition>]) -> usize {
        let near = self.near.read().unwrap_or_else(PoisonError::into_inner);
        if !near.is_empty() {
            let near: Vec<usize> = near
                .iter()
                .map(|p| *p as usize)
                .filter(|p| partitions.get(*p).is_some_and(|p| p.is_available()))
                .collect();
            if !near.is_empty() {
                let looks = if self.settings.adaptive { LOOKS } else { 1 };
                let drawn = (0..looks.min(near.len())).map(|_| near[self.random(near.len())]);
                return drawn
                    .min_by_key(|p| partitions[*p].backlog.bytes())
                    .unwrap_or(0);
            }
        }
        drop(near);
        let n = partitions.len();
        let start = self.random(n);
        if !self.settings.adaptive {
            return start;
        }
        let others = (1..LOOKS.min(n)).map(|_| self.random(n));
        let available = |p: &usize| partitions[*p].is_available();
        std::iter::once(start)
            .chain(others)
            .filter(available)
            .min_by_key(|p| partitions[*p].backlog.bytes())
            // None of them: the first behind them that is.
            .or_else(|| (1..n).map(|i| (start + i) % n).find(available))
            .unwrap_or(start)
    }

    /// Says which partitions have their leader in this client's rack. Keyless records leave one that is elsewhere.
    pub(crate) fn set_near(&self, near: Vec<u32>, partitions: &[Arc<Partition>]) {
        let mut now = self.near.write().unwrap_or_else(PoisonError::into_inner);
        if *now == near {
            return;
        }
        let sticky = self.sticky(partitions.len());
        let leaves = !near.is_empty() && !near.contains(&(sticky as u32));
        *now = near;
        drop(now);
        if leaves {
            self.move_sticky(partitions, sticky);
        }
    }

    /// A partition's batch leaves before it is full, since its time has come: keyless records go on to another partition,
    /// so that few records are spread as well as many. By time, not by batches, or else a slow broker would be given more
    /// than the others, as its batches fill while they wait. Only the I/O thread calls this.
    pub(crate) fn leave_sticky(&self, now: Instant, from: i32) {
        let Some(partitions) = self.partitions().filter(|p| p.len() > 1) else {
            return;
        };
        if self.sticky(partitions.len()) != from as usize {
            return;
        }
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.is_none_or(|at| now >= at + STICKS_FOR) {
            *left = Some(now);
            self.move_sticky(partitions, from as usize);
        }
    }

    pub(crate) fn next_turn(&self, n: usize) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed) as usize % n
    }

    /// A cheap random number for choosing partitions: a counter, scrambled.
    pub(crate) fn random(&self, n: usize) -> usize {
        let mut x = self.turn.fetch_add(0x9e37_79b9, Ordering::Relaxed);
        x ^= x >> 16;
        x = x.wrapping_mul(0x7feb_352d);
        x ^= x >> 15;
        x = x.wrapping_mul(0x846c_a68b);
        x ^= x >> 16;
        ((u64::from(x) * n as u64) >> 32) as usize
    }
}

/// Kafka's rule for topic names.
pub(super) fn check_topic_name(name: &str) -> Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !name.is_empty()
        && name.len() <= 249
        && name != "."
        && name != ".."
        && name.chars().all(legal)
    {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::INVALID_TOPIC_EXCEPTION,
        format!(
            "'{name}' cannot be a topic's name: 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-', not just '.' or '..'"
        ),
    ))
}
