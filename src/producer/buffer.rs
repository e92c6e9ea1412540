//! `buffer.memory` and `buffer.records`: counts what the producer holds, and lets callers wait for room in order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::partition::Partition;

/// The count of bytes held in open, sealed and in-flight batches and in completions not yet drained.
///
/// The last quarter is only for partitions that hold less than an equal share: a slow broker's records may not take
/// the room that those for the others need.
///
/// No wake-up is missed: who waits, or was refused, first says so and then looks for room; who gives room back first gives
/// it and then looks for such callers. All four are sequentially consistent, so that one of both sees the other.
pub(crate) struct BufferMemory {
    limit: usize,
    used: AtomicUsize,
    /// `usize::MAX`: records are not counted.
    record_limit: usize,
    records: AtomicUsize,
    /// Partitions with batches that have not ended.
    busy: AtomicUsize,
    /// Callers in the line. While there are any, everyone else stands in it too.
    waiting: AtomicUsize,
    line: Mutex<Line>,
    moved: Condvar,
    /// Someone was refused with timeout 0 and wants to be told of room.
    refused: AtomicBool,
    closed: AtomicBool,
}

/// Callers who wait, in the order they came, each by its ticket.
#[derive(Default)]
struct Line {
    next_ticket: u64,
    waiters: VecDeque<(u64, Need)>,
}

/// What a caller wants room for.
#[derive(Clone)]
pub(crate) struct Need {
    pub(crate) bytes: usize,
    /// Room for so many records, or for some of them. A caller wants either bytes or records.
    pub(crate) records: usize,
    /// Whose records it is for, unless they are several's.
    pub(crate) partition: Option<Arc<Partition>>,
}

impl Need {
    /// Room for no partition in particular.
    pub(crate) fn any(bytes: usize) -> Self {
        Need {
            bytes,
            records: 0,
            partition: None,
        }
    }

    /// Room for records.
    pub(crate) fn records(records: usize) -> Self {
        Need {
            bytes: 0,
            records,
            partition: None,
        }
    }
}

/// Bytes of a partition's batches that are full or due and have not ended.
#[derive(Default)]
pub(crate) struct Backlog(AtomicUsize);

impl Backlog {
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl BufferMemory {
    pub(crate) fn new(limit: usize, record_limit: usize) -> Self {
        BufferMemory {
            limit,
            used: AtomicUsize::new(0),
            record_limit,
            records: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            line: Mutex::new(Line::default()),
            moved: Condvar::new(),
            refused: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// Counts bytes, charged already, that a partition now has on their way.
    pub(crate) fn add_backlog(&self, backlog: &Backlog, bytes: usize) {
        if bytes > 0 && backlog.0.fetch_add(bytes, Ordering::AcqRel) == 0 {
            self.busy.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// True while no batch is full or due that has not ended.
    pub(crate) fn is_idle(&self) -> bool {
        self.busy.load(Ordering::Acquire) == 0
    }

    /// Counts bytes of a partition that have ended; they are released apart from this, and afterwards.
    pub(crate) fn sub_backlog(&self, backlog: &Backlog, bytes: usize) {
        if bytes > 0 && backlog.0.fetch_sub(bytes, Ordering::AcqRel) == bytes {
            self.busy.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Whether so much more would leave a partition within what it may hold, whatever others wait for.
    fn within_share(&self, need: &Need) -> bool {
        // Before the backlog, whose changes come before those of `used`.
        let used = self.used.load(Ordering::SeqCst);
        let held = need.partition.as_ref().map_or(0, |p| p.backlog.bytes());
        held == 0
            || used + need.bytes <= self.limit - self.limit / 4
            || held + need.bytes <= self.limit / self.busy.load(Ordering::Relaxed).max(1)
    }

    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that were taken and have not ended; 0 where they are not counted.
    pub(crate) fn records(&self) -> usize {
        self.records.load(Ordering::Relaxed)
    }

    pub(crate) fn record_limit(&self) -> usize {
        self.record_limit
    }

    /// Whether there is a limit on the number of records.
    #[inline]
    pub(crate) fn counts_records(&self) -> bool {
        self.record_limit != usize::MAX
    }

    /// Takes room for up to `n` records; for how many there was.
    #[inline]
    pub(crate) fn admit(&self, n: usize) -> usize {
        if !self.counts_records() {
            return n;
        }
        if self.waiting.load(Ordering::Relaxed) > 0
            && self.lock().waiters.iter().any(|(_, w)| w.records > 0)
        {
            return 0;
        }
        self.take_records(n)
    }

    fn take_records(&self, n: usize) -> usize {
        let taken = |used: usize| n.min(self.record_limit.saturating_sub(used));
        let before = self
            .records
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
                Some(used + taken(used))
            });
        before.map_or(0, taken)
    }

    /// Gives room for `n` records back; true if someone refused wants to hear of it.
    #[must_use]
    pub(crate) fn dismiss(&self, n: usize) -> bool {
        if n == 0 || !self.counts_records() {
            return false;
        }
        self.records.fetch_sub(n, Ordering::SeqCst);
        self.tell()
    }

    fn take(&self, n: usize) -> bool {
        // A single need larger than the whole buffer passes alone, or it could never be served.
        self.used
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |used| {
                (used + n <= self.limit || used == 0).then_some(used + n)
            })
            .is_ok()
    }

    /// Takes what is needed if there is room, the partition may have it, and nobody who may waits in line.
    pub(crate) fn try_charge(&self, need: &Need) -> bool {
        if self.waiting.load(Ordering::Relaxed) > 0
            && self
                .lock()
                .waiters
                .iter()
                .any(|(_, w)| w.bytes > 0 && self.within_share(w))
        {
            return false;
        }
        self.within_share(need) && self.take(need.bytes)
    }

    /// Counts `n` bytes that are held whether there is room or not.
    pub(crate) fn force_charge(&self, n: usize) {
        self.used.fetch_add(n, Ordering::AcqRel);
    }

    /// Gives `n` bytes back; true if someone refused wants to hear of it.
    #[must_use]
    pub(crate) fn release(&self, n: usize) -> bool {
        if n == 0 {
            return false;
        }
        self.used.fetch_sub(n, Ordering::SeqCst);
        self.tell()
    }

    /// Room has come: those in line look again. True if someone refused wants to hear of it.
    fn tell(&self) -> bool {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            // Whoever counts as waiting holds the lock until it sleeps.
            drop(self.lock());
            self.moved.notify_all();
        }
        self.refused.load(Ordering::SeqCst) && self.refused.swap(false, Ordering::AcqRel)
    }

    /// Notes that a caller who may not wait was refused, to tell it of room; unless that has come meanwhile: as
    /// [`wait`](BufferMemory::wait).
    pub(crate) fn note_refused(&self, need: &Need) -> Option<usize> {
        self.refused.store(true, Ordering::SeqCst);
        if need.records > 0 {
            Some(self.admit(need.records)).filter(|admitted| *admitted > 0)
        } else {
            self.try_charge(need).then_some(0)
        }
    }

    /// Waits in line for room until `deadline`: how many records were let in (bytes come whole), or `None` if it did not
    /// come.
    pub(crate) fn wait(&self, need: Need, deadline: Instant) -> Option<usize> {
        let mut line = self.lock();
        let ticket = line.next_ticket;
        line.next_ticket += 1;
        line.waiters.push_back((ticket, need.clone()));
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let got = loop {
            if self.closed.load(Ordering::Acquire) {
                break None;
            }
            // Those in front who hold their share already are passed by, and those who want the other kind of room:
            // it may be held by one who stands behind them.
            let first = line
                .waiters
                .iter()
                .find(|(_, w)| (w.records > 0) == (need.records > 0) && self.within_share(w));
            if first.is_some_and(|(t, _)| *t == ticket) {
                if need.records > 0 {
                    let taken = self.take_records(need.records);
                    if taken > 0 {
                        break Some(taken);
                    }
                } else if self.take(need.bytes) {
                    break Some(0);
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break None;
            }
            line = self
                .moved
                .wait_timeout(line, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        };
        line.waiters.retain(|(t, _)| *t != ticket);
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        drop(line);
        self.moved.notify_all();
        got
    }

    /// Ends every wait.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        drop(self.lock());
        self.moved.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::super::partition::Home;
    use super::super::settings::TopicSettings;
    use super::*;
    use crate::config::ProducerConfig;
    use std::time::Duration;

    #[test]
    fn waiters_are_served_in_order() {
        let memory = Arc::new(BufferMemory::new(100, usize::MAX));
        assert!(memory.try_charge(&Need::any(100)));
        let served = Arc::new(Mutex::new(Vec::new()));
        let mut threads = Vec::new();
        for i in 0..5 {
            let (m, s) = (memory.clone(), served.clone());
            threads.push(std::thread::spawn(move || {
                let by = Instant::now() + Duration::from_secs(20);
                assert!(m.wait(Need::any(60), by).is_some());
                s.lock().unwrap().push(i);
                let _ = m.release(60);
            }));
            while memory.waiting.load(Ordering::Acquire) != i + 1 {
                std::thread::yield_now();
            }
        }
        assert!(!memory.try_charge(&Need::any(1)), "nobody passes the line");
        let _ = memory.release(100);
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(*served.lock().unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn a_waiter_who_gives_up_lets_the_next_pass() {
        let memory = Arc::new(BufferMemory::new(10, usize::MAX));
        assert!(memory.try_charge(&Need::any(10)));
        let soon = Instant::now() + Duration::from_millis(1);
        assert!(memory.wait(Need::any(5), soon).is_none());
        let other = memory.clone();
        let t = std::thread::spawn(move || {
            other.wait(Need::any(5), Instant::now() + Duration::from_secs(20))
        });
        let _ = memory.release(10);
        assert!(t.join().unwrap().is_some());
    }

    #[test]
    fn an_oversize_need_passes_alone() {
        let memory = BufferMemory::new(10, usize::MAX);
        assert!(memory.try_charge(&Need::any(50)));
        assert!(!memory.try_charge(&Need::any(1)));
        assert_eq!(memory.note_refused(&Need::any(1)), None);
        assert!(memory.release(50));
        assert!(memory.try_charge(&Need::any(1)));
    }

    #[test]
    fn room_that_comes_between_a_refusal_and_its_note_is_taken() {
        let memory = BufferMemory::new(10, 3);
        assert!(memory.try_charge(&Need::any(10)));
        assert_eq!(memory.admit(3), 3);
        let (bytes, records) = (Need::any(5), Need::records(5));
        assert!(!memory.try_charge(&bytes) && memory.admit(1) == 0);
        // Nobody is told of this, as nobody has said yet that it was refused.
        assert!(!memory.release(10) && !memory.dismiss(2));
        assert_eq!(memory.note_refused(&bytes), Some(0));
        assert_eq!(memory.note_refused(&records), Some(2));
        assert_eq!((memory.used(), memory.records()), (5, 3));
    }

    #[test]
    fn a_slow_partition_leaves_room_to_the_others() {
        let memory = BufferMemory::new(100, usize::MAX);
        let config = ProducerConfig::from_pairs([("bootstrap.servers", "localhost")]).unwrap();
        let home = Arc::new(Home {
            topic: Arc::from("topic"),
            settings: Arc::new(TopicSettings::of(&config)),
        });
        let partition = |index| Arc::new(Partition::new(home.clone(), index, index as usize));
        let (slow, fast) = (partition(0), partition(1));
        let of = |partition: &Arc<Partition>, bytes| Need {
            bytes,
            records: 0,
            partition: Some(partition.clone()),
        };
        // Alone it may have everything.
        for _ in 0..10 {
            assert!(memory.try_charge(&of(&slow, 10)));
            memory.add_backlog(&slow.backlog, 10);
        }
        assert!(!memory.try_charge(&of(&slow, 1)));
        memory.sub_backlog(&slow.backlog, 30);
        let _ = memory.release(30);
        // Beside another it may not have the last quarter ...
        assert!(memory.try_charge(&of(&fast, 5)));
        memory.add_backlog(&fast.backlog, 5);
        assert!(!memory.try_charge(&of(&slow, 10)));
        // ... and waiting for it doesn't hold the other up.
        let memory = Arc::new(memory);
        let (m, need) = (memory.clone(), of(&slow, 10));
        let waiter =
            std::thread::spawn(move || m.wait(need, Instant::now() + Duration::from_secs(20)));
        while memory.waiting.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        assert!(memory.try_charge(&of(&fast, 20)));
        memory.add_backlog(&fast.backlog, 20);
        memory.sub_backlog(&slow.backlog, 30);
        let _ = memory.release(30);
        assert!(waiter.join().unwrap().is_some());
    }

    #[test]
    fn records_are_let_in_as_far_as_there_is_room_and_waited_for_in_order() {
        let memory = Arc::new(BufferMemory::new(1000, 10));
        assert_eq!(memory.admit(7), 7);
        assert_eq!(memory.admit(7), 3);
        assert_eq!(memory.admit(1), 0);
        let m = memory.clone();
        let waiter = std::thread::spawn(move || {
            m.wait(Need::records(5), Instant::now() + Duration::from_secs(20))
        });
        while memory.waiting.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        // Bytes are not what it waits for.
        assert!(memory.try_charge(&Need::any(900)));
        assert_eq!(memory.note_refused(&Need::records(1)), None);
        assert!(memory.dismiss(2), "one who was refused is told");
        assert_eq!(waiter.join().unwrap(), Some(2));
        assert_eq!(memory.records(), 10);
        assert!(!memory.dismiss(10));
        assert_eq!(memory.records(), 0);
    }
}
