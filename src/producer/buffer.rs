//! `buffer.memory`: counts every byte the producer holds, and lets callers wait for room in order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The count of bytes held in open, sealed and in-flight batches and in completions not yet drained.
///
/// The last quarter is only for partitions that hold less than an equal share: a slow broker's records may not take
/// the room that those for the others need.
pub(crate) struct BufferMemory {
    limit: usize,
    used: AtomicUsize,
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
    /// The partition's, unless it's for several.
    pub(crate) backlog: Option<Arc<Backlog>>,
}

impl Need {
    /// Room for no partition in particular.
    pub(crate) fn any(bytes: usize) -> Self {
        Need {
            bytes,
            backlog: None,
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
    pub(crate) fn new(limit: usize) -> Self {
        BufferMemory {
            limit,
            used: AtomicUsize::new(0),
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

    /// Counts bytes of a partition that have ended; they are released apart from this, and afterwards.
    pub(crate) fn sub_backlog(&self, backlog: &Backlog, bytes: usize) {
        if bytes > 0 && backlog.0.fetch_sub(bytes, Ordering::AcqRel) == bytes {
            self.busy.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Whether so much more would leave a partition within what it may hold, whatever others wait for.
    fn within_share(&self, need: &Need) -> bool {
        let held = need.backlog.as_ref().map_or(0, |b| b.bytes());
        held == 0
            || self.used() + need.bytes <= self.limit - self.limit / 4
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

    fn take(&self, n: usize) -> bool {
        // A single need larger than the whole buffer passes alone, or it could never be served.
        self.used
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |used| {
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
                .any(|(_, w)| self.within_share(w))
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
        self.used.fetch_sub(n, Ordering::AcqRel);
        if self.waiting.load(Ordering::Acquire) > 0 {
            drop(self.lock());
            self.moved.notify_all();
        }
        self.refused.load(Ordering::Relaxed) && self.refused.swap(false, Ordering::AcqRel)
    }

    /// Notes that a caller who may not wait was refused.
    pub(crate) fn note_refused(&self) {
        self.refused.store(true, Ordering::Release);
    }

    /// Waits in line for room until `deadline`; false if it did not come.
    pub(crate) fn wait(&self, need: Need, deadline: Instant) -> bool {
        let mut line = self.lock();
        let ticket = line.next_ticket;
        line.next_ticket += 1;
        line.waiters.push_back((ticket, need.clone()));
        // Counted under the lock that release() takes after its subtraction, so no wake-up is missed.
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let got = loop {
            if self.closed.load(Ordering::Acquire) {
                break false;
            }
            // Those in front who hold their share already are passed by.
            let first = line
                .waiters
                .iter()
                .find(|(_, waiter)| self.within_share(waiter));
            if first.is_some_and(|(t, _)| *t == ticket) && self.take(need.bytes) {
                break true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break false;
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
    use super::*;
    use std::time::Duration;

    #[test]
    fn waiters_are_served_in_order() {
        let memory = Arc::new(BufferMemory::new(100));
        assert!(memory.try_charge(&Need::any(100)));
        let served = Arc::new(Mutex::new(Vec::new()));
        let mut threads = Vec::new();
        for i in 0..5 {
            let (m, s) = (memory.clone(), served.clone());
            threads.push(std::thread::spawn(move || {
                assert!(m.wait(Need::any(60), Instant::now() + Duration::from_secs(20)));
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
        let memory = Arc::new(BufferMemory::new(10));
        assert!(memory.try_charge(&Need::any(10)));
        assert!(!memory.wait(Need::any(5), Instant::now() + Duration::from_millis(1)));
        let other = memory.clone();
        let t = std::thread::spawn(move || {
            other.wait(Need::any(5), Instant::now() + Duration::from_secs(20))
        });
        let _ = memory.release(10);
        assert!(t.join().unwrap());
    }

    #[test]
    fn an_oversize_need_passes_alone() {
        let memory = BufferMemory::new(10);
        assert!(memory.try_charge(&Need::any(50)));
        assert!(!memory.try_charge(&Need::any(1)));
        memory.note_refused();
        assert!(memory.release(50));
        assert!(memory.try_charge(&Need::any(1)));
    }

    #[test]
    fn a_slow_partition_leaves_room_to_the_others() {
        let memory = BufferMemory::new(100);
        let (slow, fast) = (Arc::new(Backlog::default()), Arc::new(Backlog::default()));
        let of = |backlog: &Arc<Backlog>, bytes| Need {
            bytes,
            backlog: Some(backlog.clone()),
        };
        // Alone it may have everything.
        for _ in 0..10 {
            assert!(memory.try_charge(&of(&slow, 10)));
            memory.add_backlog(&slow, 10);
        }
        assert!(!memory.try_charge(&of(&slow, 1)));
        memory.sub_backlog(&slow, 30);
        let _ = memory.release(30);
        // Beside another it may not have the last quarter ...
        assert!(memory.try_charge(&of(&fast, 5)));
        memory.add_backlog(&fast, 5);
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
        memory.add_backlog(&fast, 20);
        memory.sub_backlog(&slow, 30);
        let _ = memory.release(30);
        assert!(waiter.join().unwrap());
    }
}
