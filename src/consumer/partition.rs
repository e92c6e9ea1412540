//! An assigned partition as every thread sees it, and the assignment as a whole.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::group::Starts;
use crate::reading::poll::Start;
use crate::topic::TopicPartition;

/// Where reading stands. The generation tells whose word counts: every seek begins a new one, and what was fetched
/// or delivered for an older one is of no meaning.
#[derive(Debug)]
struct Place {
    generation: u32,
    /// What [`Partition::position`] shows: before the batch delivered last, until the next is asked for.
    position: Option<i64>,
    /// After what was delivered last.
    next: Option<i64>,
    /// After the last record that was delivered. What lies between this and `next` (markers of transactions, aborted
    /// records) is for nobody.
    records_end: Option<i64>,
    /// Leader epoch of the last record before `next`, and of that before `position`.
    epochs: (i32, i32),
}

/// One assigned partition.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) topic: Arc<str>,
    pub(super) index: i32,
    place: Mutex<Place>,
    /// Changes only under the lock of the queue of chunks, so that no chunk is left on the wrong side.
    paused: AtomicBool,
    /// To be given up: nothing more of it is delivered. Changes only under the same lock.
    revoked: AtomicBool,
    /// The offset that was committed last in the background; -1 if none was.
    committed: AtomicI64,
    /// Bytes of this partition that are fetched and not delivered.
    unread: AtomicUsize,
    high_watermark: AtomicI64,
    last_stable: AtomicI64,
}

impl Partition {
    pub(super) fn new(topic: Arc<str>, index: i32) -> Self {
        Partition {
            topic,
            index,
            place: Mutex::new(Place {
                generation: 0,
                position: None,
                next: None,
                records_end: None,
                epochs: (-1, -1),
            }),
            paused: AtomicBool::new(false),
            revoked: AtomicBool::new(false),
            committed: AtomicI64::new(-1),
            unread: AtomicUsize::new(0),
            high_watermark: AtomicI64::new(-1),
            last_stable: AtomicI64::new(-1),
        }
    }

    pub(super) fn key(&self) -> TopicPartition {
        (self.topic.clone(), self.index)
    }

    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn generation(&self) -> u32 {
        self.place().generation
    }

    /// Begins a new generation at `start`, and gives its number.
    pub(super) fn restart(&self, start: Start) -> u32 {
        let mut place = self.place();
        place.generation = place.generation.wrapping_add(1);
        let known = match start {
            Start::Offset(offset) => Some(offset),
            _ => None,
        };
        place.position = known;
        place.next = known;
        place.records_end = None;
        place.epochs = (-1, -1);
        place.generation
    }

    /// Ends a generation without moving the position; `None` if it had ended already.
    pub(super) fn end_generation(&self, generation: u32) -> Option<u32> {
        let mut place = self.place();
        if place.generation != generation {
            return None;
        }
        place.generation = generation.wrapping_add(1);
        Some(place.generation)
    }

    /// The offset to start at was found.
    pub(super) fn located(&self, generation: u32, offset: i64) {
        let mut place = self.place();
        if place.generation == generation {
            place.position = Some(offset);
            place.next = Some(offset);
        }
    }

    /// Everything before `next` was delivered or passed over; of the last record, if there is one, the offset after it and
    /// its epoch.
    pub(super) fn delivered(&self, generation: u32, next: i64, last: Option<(i64, i32)>) {
        let mut place = self.place();
        if place.generation == generation {
            place.next = Some(next);
            if let Some((end, epoch)) = last {
                place.records_end = Some(end);
                place.epochs.0 = epoch;
            }
        }
    }

    /// Where to go on after the record before `offset`: behind what follows it and is for nobody, as far as that is known
    /// (KIP-1094).
    pub(super) fn past_markers(&self, offset: i64) -> i64 {
        let place = self.place();
        match place.next.filter(|_| place.records_end == Some(offset)) {
            Some(next) => next.max(offset),
            None => offset,
        }
    }

    /// The next batch is asked for: what was delivered counts as read.
    pub(super) fn advance(&self) {
        let mut place = self.place();
        place.position = place.next;
        place.epochs.1 = place.epochs.0;
    }

    /// What is before `offset` counts as read. Beyond what was delivered nothing can be; false for such an offset.
    pub(super) fn mark(&self, offset: i64) -> bool {
        let mut place = self.place();
        let delivered = place.next.is_some_and(|next| offset <= next);
        if delivered {
            place.position = Some(offset);
            place.epochs.1 = place.epochs.0;
        }
        delivered
    }

    /// The position and the leader epoch of the record before it, if it is not what was committed last.
    pub(super) fn uncommitted(&self) -> Option<(i64, i32)> {
        let place = self.place();
        let position = if planted!("commit-handed-out") {
            place.next?
        } else {
            place.position?
        };
        (position != self.committed.load(Ordering::Relaxed)).then_some((position, place.epochs.1))
    }

    pub(super) fn set_committed(&self, offset: i64) {
        self.committed.store(offset, Ordering::Relaxed);
    }

    pub(super) fn revoked(&self) -> bool {
        self.revoked.load(Ordering::Relaxed)
    }

    pub(super) fn revoke(&self) {
        self.revoked.store(true, Ordering::Relaxed);
    }

    pub(super) fn position(&self) -> Option<i64> {
        self.place().position
    }

    pub(super) fn paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    pub(super) fn set_paused(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    pub(super) fn unread(&self) -> usize {
        self.unread.load(Ordering::Relaxed)
    }

    pub(super) fn add_unread(&self, n: usize) {
        self.unread.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn take_unread(&self, n: usize) {
        self.unread.fetch_sub(n, Ordering::Relaxed);
    }

    /// What a broker said of the log's end.
    pub(super) fn set_ends(&self, high_watermark: i64, last_stable: i64) {
        self.high_watermark.store(high_watermark, Ordering::Relaxed);
        self.last_stable.store(last_stable, Ordering::Relaxed);
    }

    /// The end of what can be read was looked up.
    pub(super) fn set_end(&self, read_committed: bool, end: i64) {
        if read_committed {
            self.last_stable.store(end, Ordering::Relaxed);
        } else {
            self.high_watermark.store(end, Ordering::Relaxed);
        }
    }

    /// The end of what can be read, as last heard of.
    pub(super) fn end(&self, read_committed: bool) -> Option<i64> {
        let high_watermark = self.high_watermark.load(Ordering::Relaxed);
        let last_stable = self.last_stable.load(Ordering::Relaxed);
        let end = if read_committed && last_stable >= 0 {
            last_stable
        } else {
            high_watermark
        };
        (end >= 0).then_some(end)
    }
}

impl Starts for Partition {
    fn is_at(&self, generation: u32) -> bool {
        self.generation() == generation
    }
}

/// What is assigned.
#[derive(Debug, Default)]
pub(super) struct Assignment {
    topics: BTreeMap<Arc<str>, BTreeMap<i32, Arc<Partition>>>,
    /// Topics of which all partitions are read, those that appear later too.
    pub(super) whole: BTreeMap<Arc<str>, Start>,
    /// A group's membership says what is assigned.
    pub(super) subscribed: bool,
}

impl Assignment {
    pub(super) fn get(&self, topic: &str, index: i32) -> Option<&Arc<Partition>> {
        self.topics.get(topic)?.get(&index)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Partition>> {
        self.topics.values().flat_map(BTreeMap::values)
    }

    /// Adds a partition; `None` if it is there already.
    pub(super) fn add(&mut self, topic: &str, index: i32) -> Option<Arc<Partition>> {
        let name = match self.topics.get_key_value(topic) {
            Some((name, _)) => name.clone(),
            None => Arc::from(topic),
        };
        let of_topic = self.topics.entry(name.clone()).or_default();
        if of_topic.contains_key(&index) {
            return None;
        }
        let partition = Arc::new(Partition::new(name, index));
        of_topic.insert(index, partition.clone());
        Some(partition)
    }

    /// Removes what `keep` does not want, and gives it.
    pub(super) fn retain(&mut self, keep: impl Fn(&Partition) -> bool) -> Vec<Arc<Partition>> {
        let mut gone = Vec::new();
        for of_topic in self.topics.values_mut() {
            of_topic.retain(|_, p| {
                let kept = keep(p);
                if !kept {
                    gone.push(p.clone());
                }
                kept
            });
        }
        self.topics.retain(|_, of_topic| !of_topic.is_empty());
        gone
    }
}
