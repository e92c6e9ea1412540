//! The cap on fetched data that is not yet delivered (`fetch.memory.bytes`).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::memory::{Budget, PoolBuf};

/// A fetch may always ask for this much when the reader has nothing to read.
pub(crate) const FLOOR: usize = 64 * 1024;

/// Counts what is fetched, what fetches on their way may bring, and what the user holds.
///
/// The I/O thread reserves and adds, the polling thread releases. Where the I/O thread can't go on until something
/// was read, it arms a mark; the release that falls below it wakes the I/O thread, and no other does.
#[derive(Debug)]
pub(crate) struct FetchMemory {
    cap: usize,
    unread: AtomicUsize,
    /// The part of `unread` that belongs to paused partitions.
    stashed: AtomicUsize,
    reserved: AtomicUsize,
    /// What can be read must fall below this for the I/O thread to be woken; 0 while it isn't waiting.
    wake_below: AtomicUsize,
    held: Arc<AtomicUsize>,
    _budget: Budget,
}

impl FetchMemory {
    pub(crate) fn new(cap: usize) -> Self {
        FetchMemory {
            cap,
            unread: AtomicUsize::new(0),
            stashed: AtomicUsize::new(0),
            reserved: AtomicUsize::new(0),
            wake_below: AtomicUsize::new(0),
            held: Arc::default(),
            _budget: Budget::new(cap),
        }
    }

    pub(crate) fn cap(&self) -> usize {
        self.cap
    }

    /// Bytes fetched and not delivered.
    pub(crate) fn unread(&self) -> usize {
        self.unread.load(Ordering::SeqCst)
    }

    /// Bytes that a poll could deliver.
    fn deliverable(&self) -> usize {
        self.unread()
            .saturating_sub(self.stashed.load(Ordering::SeqCst))
    }

    /// Bytes of buffers the user holds.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Sets room aside for a fetch that would bring up to `wanted` bytes: all of it, or what is free if that is
    /// worth a request. `None`: only once something was read.
    pub(crate) fn reserve(&self, wanted: usize) -> Option<usize> {
        let used = self.unread() + self.reserved.load(Ordering::Relaxed);
        let free = self.cap.saturating_sub(used);
        let worthwhile = (self.cap / 8).max(FLOOR);
        let grant = if free >= wanted.min(worthwhile) {
            wanted.min(free)
        } else if self.deliverable() == 0 {
            // Paused partitions or fetches on their way hold all of it: without this nothing could ever move.
            wanted.min(FLOOR)
        } else {
            return None;
        };
        self.reserved.fetch_add(grant, Ordering::Relaxed);
        Some(grant)
    }

    /// Gives back what was reserved.
    pub(crate) fn unreserve(&self, n: usize) {
        self.reserved.fetch_sub(n, Ordering::Relaxed);
    }

    /// Counts what has arrived.
    pub(crate) fn add(&self, n: usize) {
        self.unread.fetch_add(n, Ordering::SeqCst);
    }

    /// Counts what was delivered or dropped; true if the I/O thread is to be woken.
    #[must_use]
    pub(crate) fn release(&self, n: usize) -> bool {
        self.unread.fetch_sub(n, Ordering::SeqCst);
        self.below_mark()
    }

    fn below_mark(&self) -> bool {
        let mark = self.wake_below.load(Ordering::SeqCst);
        mark != 0 && self.deliverable() < mark && self.wake_below.swap(0, Ordering::SeqCst) != 0
    }

    /// Moves bytes to or from what paused partitions keep; true if the I/O thread is to be woken.
    #[must_use]
    pub(crate) fn stash(&self, n: usize) -> bool {
        self.stashed.fetch_add(n, Ordering::SeqCst);
        self.below_mark()
    }

    pub(crate) fn unstash(&self, n: usize) {
        self.stashed.fetch_sub(n, Ordering::SeqCst);
    }

    /// Wants to be woken when half of what can be read now was read. False if there is nothing to wait for.
    pub(crate) fn arm(&self) -> bool {
        let half = self.deliverable() / 2 + 1;
        self.wake_below.fetch_max(half, Ordering::SeqCst);
        // A release between the two lines above saw no mark.
        !self.below_mark()
    }

    /// True while waiting for a release.
    pub(crate) fn armed(&self) -> bool {
        self.wake_below.load(Ordering::SeqCst) != 0
    }

    /// Makes a buffer one that the user may hold.
    pub(crate) fn hold(&self, buf: PoolBuf) -> Buffer {
        self.held.fetch_add(buf.capacity(), Ordering::Relaxed);
        Buffer(Arc::new(Held {
            buf,
            gauge: self.held.clone(),
        }))
    }
}

#[derive(Debug)]
struct Held {
    buf: PoolBuf,
    gauge: Arc<AtomicUsize>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gauge.fetch_sub(self.buf.capacity(), Ordering::Relaxed);
    }
}

/// Read-only bytes that records lie in. Cheap to clone; the memory is given back when the last clone is dropped, from
/// whichever thread, also after the consumer has gone.
#[derive(Clone, Debug)]
pub struct Buffer(Arc<Held>);

impl Buffer {
    /// True if both are the same bytes in memory.
    pub fn is_same(&self, other: &Buffer) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Bytes of memory the buffer takes.
    pub fn capacity(&self) -> usize {
        self.0.buf.capacity()
    }

    /// An empty buffer like this one, counted by the same consumer once it is shared.
    pub(crate) fn sibling(&self, buf: PoolBuf) -> Buffer {
        self.0.gauge.fetch_add(buf.capacity(), Ordering::Relaxed);
        Buffer(Arc::new(Held {
            buf,
            gauge: self.0.gauge.clone(),
        }))
    }
}

impl std::ops::Deref for Buffer {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        &self.0.buf
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAP: usize = 1 << 20;

    #[test]
    fn reservations_shrink_to_what_is_free() {
        let m = FetchMemory::new(CAP);
        assert_eq!(m.reserve(CAP / 2), Some(CAP / 2));
        assert_eq!(m.reserve(CAP), Some(CAP / 2));
        m.add(CAP / 2);
        m.unreserve(CAP / 2);
        assert_eq!(
            m.reserve(CAP),
            None,
            "all is taken, and something can be read"
        );
        assert!(!m.release(CAP / 2 - 1), "nobody waits");
        assert_eq!(m.reserve(CAP), Some(CAP / 2 - 1));
    }

    #[test]
    fn paused_data_does_not_stop_the_rest() {
        let m = FetchMemory::new(CAP);
        m.add(2 * CAP);
        assert_eq!(m.reserve(1 << 30), None);
        assert!(!m.stash(2 * CAP));
        assert_eq!(m.reserve(1 << 30), Some(FLOOR));
    }

    #[test]
    fn one_wake_at_half() {
        let m = FetchMemory::new(CAP);
        m.add(1000);
        assert!(m.arm());
        assert!(!m.release(499));
        assert!(m.release(1), "half is read");
        assert!(!m.release(100), "woken once");
        assert!(!m.armed());
    }

    #[test]
    fn what_the_user_holds_is_counted_until_the_last_clone_goes() {
        let m = FetchMemory::new(CAP);
        let a = m.hold(PoolBuf::with_capacity(5000));
        let b = a.clone();
        assert_eq!(m.held(), a.capacity());
        drop(m);
        drop(a);
        drop(b);
    }
}
