//! `buffer.memory`: counts every byte the producer holds, and lets callers wait for room in order.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The count of bytes held in open, sealed and in-flight batches and in completions not yet drained.
pub(crate) struct BufferMemory {
    limit: usize,
    used: AtomicUsize,
    /// Callers in the line. While there are any, nobody takes room past them.
    waiting: AtomicUsize,
    line: Mutex<Line>,
    moved: Condvar,
    /// Someone was refused with timeout 0 and wants to be told of room.
    refused: AtomicBool,
    closed: AtomicBool,
}

#[derive(Default)]
struct Line {
    next_ticket: u64,
    /// The ticket whose turn it is. Tickets given up are noted, so that the turn passes over them.
    turn: u64,
    given_up: Vec<u64>,
}

impl BufferMemory {
    pub(crate) fn new(limit: usize) -> Self {
        BufferMemory {
            limit,
            used: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            line: Mutex::new(Line::default()),
            moved: Condvar::new(),
            refused: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
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

    /// Takes `n` bytes if there is room and nobody waits in line.
    pub(crate) fn try_charge(&self, n: usize) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0 && self.take(n)
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

    /// Waits in line for `n` bytes until `deadline`; false if they did not come.
    pub(crate) fn wait(&self, n: usize, deadline: Instant) -> bool {
        let mut line = self.lock();
        let ticket = line.next_ticket;
        line.next_ticket += 1;
        // Counted under the lock that release() takes after its subtraction, so no wake-up is missed.
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let got = loop {
            while let Some(i) = line.given_up.iter().position(|t| *t == line.turn) {
                line.given_up.swap_remove(i);
                line.turn += 1;
            }
            if self.closed.load(Ordering::Acquire) {
                break false;
            }
            if line.turn == ticket && self.take(n) {
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
        if line.turn == ticket {
            line.turn += 1;
        } else {
            line.given_up.push(ticket);
        }
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
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn waiters_are_served_in_order() {
        let memory = Arc::new(BufferMemory::new(100));
        assert!(memory.try_charge(100));
        let served = Arc::new(Mutex::new(Vec::new()));
        let mut threads = Vec::new();
        for i in 0..5 {
            let (m, s) = (memory.clone(), served.clone());
            threads.push(std::thread::spawn(move || {
                assert!(m.wait(60, Instant::now() + Duration::from_secs(20)));
                s.lock().unwrap().push(i);
                let _ = m.release(60);
            }));
            while memory.waiting.load(Ordering::Acquire) != i + 1 {
                std::thread::yield_now();
            }
        }
        assert!(!memory.try_charge(1), "nobody passes the line");
        let _ = memory.release(100);
        threads.into_iter().for_each(|t| t.join().unwrap());
        assert_eq!(*served.lock().unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn a_waiter_who_gives_up_lets_the_next_pass() {
        let memory = Arc::new(BufferMemory::new(10));
        assert!(memory.try_charge(10));
        assert!(!memory.wait(5, Instant::now() + Duration::from_millis(1)));
        let other = memory.clone();
        let t = std::thread::spawn(move || other.wait(5, Instant::now() + Duration::from_secs(20)));
        let _ = memory.release(10);
        assert!(t.join().unwrap());
    }

    #[test]
    fn an_oversize_need_passes_alone() {
        let memory = BufferMemory::new(10);
        assert!(memory.try_charge(50));
        assert!(!memory.try_charge(1));
        memory.note_refused();
        assert!(memory.release(50));
        assert!(memory.try_charge(1));
    }
}
