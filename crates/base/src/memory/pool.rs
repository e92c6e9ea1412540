//! The buffer pool. Fresh memory costs a page fault per 4 KiB, more than all else on the hot path together,
//! so buffers go back to a free list of their size class from whichever thread drops them.
//!
//! The pool keeps at most as many free bytes as all living [`Budget`]s together allow minus what is in use,
//! so that pooled and used memory together stay within what the clients of the process were given.

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorCode, Result};

/// Smallest class: 256 bytes, as thousands of partitions may each have a batch of one record open. Classes are powers of two
/// and their 1.5-fold up to 64 MiB; larger buffers are never kept.
const MIN_SHIFT: u32 = 8;
const MAX_SHIFT: u32 = 26;
const CLASSES: usize = 2 * (MAX_SHIFT - MIN_SHIFT) as usize + 1;

struct Pool {
    free: [Mutex<Vec<Box<[u8]>>>; CLASSES],
    /// Bytes lying in `free`.
    idle: AtomicUsize,
    /// Bytes in living buffers.
    used: AtomicUsize,
    /// Sum of the living budgets.
    limit: AtomicUsize,
}

static POOL: Pool = Pool::new();

/// The class whose buffers hold at least `n` bytes, and their size.
fn class_for(n: usize) -> Option<(usize, usize)> {
    let n = n.max(1 << MIN_SHIFT);
    if n > 1 << MAX_SHIFT {
        return None;
    }
    let shift = (usize::BITS - 1) - n.leading_zeros();
    let base = 1usize << shift;
    let index = 2 * (shift - MIN_SHIFT) as usize;
    Some(if n == base {
        (index, base)
    } else if n <= base + base / 2 {
        (index + 1, base + base / 2)
    } else {
        (index + 2, base * 2)
    })
}

fn lock(list: &Mutex<Vec<Box<[u8]>>>) -> MutexGuard<'_, Vec<Box<[u8]>>> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Fresh memory, which the system need not have touched yet.
fn zeroed(n: usize) -> Option<Box<[u8]>> {
    let layout = Layout::array::<u8>(n).ok().filter(|l| l.size() > 0)?;
    // SAFETY: the layout's size is not zero.
    let start = unsafe { alloc_zeroed(layout) };
    if start.is_null() {
        return None;
    }
    let bytes = std::ptr::slice_from_raw_parts_mut(start, n);
    // SAFETY: `n` initialised bytes of the global allocator, in the layout of `[u8]`, that nobody else has.
    Some(unsafe { Box::from_raw(bytes) })
}

impl Pool {
    const fn new() -> Self {
        Pool {
            free: [const { Mutex::new(Vec::new()) }; CLASSES],
            idle: AtomicUsize::new(0),
            used: AtomicUsize::new(0),
            limit: AtomicUsize::new(0),
        }
    }

    fn take(&self, n: usize) -> Box<[u8]> {
        self.try_take(n).unwrap_or_else(|| {
            handle_alloc_error(Layout::array::<u8>(n).unwrap_or(Layout::new::<usize>()))
        })
    }

    /// `None` if the system has no memory left.
    fn try_take(&self, n: usize) -> Option<Box<[u8]>> {
        let data = match class_for(n) {
            Some((class, size)) => match lock(&self.free[class]).pop() {
                Some(data) => {
                    self.idle.fetch_sub(size, Ordering::Relaxed);
                    data
                }
                None => zeroed(size)?,
            },
            None => zeroed(n)?,
        };
        self.used.fetch_add(data.len(), Ordering::Relaxed);
        Some(data)
    }

    /// Keeps a buffer for its next use. Where that takes the pool past its limit, idle buffers of other sizes are freed
    /// first: at full speed one size goes in and out all the time, while those that grew into it lie about.
    fn give(&self, data: Box<[u8]>) {
        let size = data.len();
        self.used.fetch_sub(size, Ordering::Relaxed);
        let Some((class, class_size)) = class_for(size) else {
            return;
        };
        // An empty buffer, or one of a size of its own.
        if class_size != size || size > self.limit.load(Ordering::Relaxed) {
            return;
        }
        self.idle.fetch_add(size, Ordering::Relaxed);
        lock(&self.free[class]).push(data);
        if self.excess() {
            let others = (0..CLASSES).rev().filter(|&other| other != class);
            self.free_idle(others.chain([class]));
        }
    }

    /// True if there is more than the clients of the process were given.
    fn excess(&self) -> bool {
        let total = self.idle.load(Ordering::Relaxed) + self.used.load(Ordering::Relaxed);
        total > self.limit.load(Ordering::Relaxed)
    }

    /// Frees idle buffers of these classes, in this order, until idle and used bytes fit the limit.
    fn free_idle(&self, classes: impl Iterator<Item = usize>) {
        for class in classes {
            while self.excess() {
                let Some(data) = lock(&self.free[class]).pop() else {
                    break;
                };
                self.idle.fetch_sub(data.len(), Ordering::Relaxed);
            }
        }
    }

    fn trim(&self) {
        self.free_idle((0..CLASSES).rev());
    }
}

/// All locks of the pool, while a process forks.
#[cfg(unix)]
pub struct PoolLocks(
    #[expect(dead_code, reason = "held, not looked at")] Vec<MutexGuard<'static, Vec<Box<[u8]>>>>,
);

/// Waits until no thread is inside the pool, and keeps all out.
#[cfg(unix)]
pub fn hold_pool() -> PoolLocks {
    PoolLocks(POOL.free.iter().map(lock).collect())
}

/// Bytes the pool holds: (in living buffers, idle in free lists).
pub fn pool_stats() -> (usize, usize) {
    (
        POOL.used.load(Ordering::Relaxed),
        POOL.idle.load(Ordering::Relaxed),
    )
}

/// A client's share of the pool: while it lives, the pool may keep that many more bytes.
#[derive(Debug)]
pub struct Budget(usize);

impl Budget {
    /// Raises the pool's limit by `bytes` until dropped.
    pub fn new(bytes: usize) -> Self {
        POOL.limit.fetch_add(bytes, Ordering::Relaxed);
        Budget(bytes)
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        POOL.limit.fetch_sub(self.0, Ordering::Relaxed);
        POOL.trim();
    }
}

/// A growable byte buffer from the pool, given back on drop.
///
/// All of its capacity is initialised memory (zeroed once, when fresh), so that sockets and codecs may write
/// into [`PoolBuf::spare_mut`] as a plain slice.
pub struct PoolBuf {
    data: Box<[u8]>,
    len: usize,
}

impl PoolBuf {
    /// An empty buffer with room for at least `n` bytes.
    pub fn with_capacity(n: usize) -> Self {
        PoolBuf {
            data: POOL.take(n),
            len: 0,
        }
    }

    /// The same for what may be large.
    ///
    /// # Errors
    /// OUT_OF_MEMORY.
    pub fn try_with_capacity(n: usize) -> Result<Self> {
        match POOL.try_take(n) {
            Some(data) => Ok(PoolBuf { data, len: 0 }),
            None => Err(Error::new(
                ErrorCode::OUT_OF_MEMORY,
                format!("the system has no memory for a buffer of {n} bytes"),
            )),
        }
    }

    /// As [`PoolBuf::reserve`], for what may be large.
    ///
    /// # Errors
    /// OUT_OF_MEMORY; the buffer is as it was.
    pub fn try_reserve(&mut self, n: usize) -> Result<()> {
        if self.data.len() - self.len < n {
            let want = self.len.saturating_add(n).max(self.data.len() * 2);
            let mut bigger = PoolBuf::try_with_capacity(want)?;
            bigger.extend_from_slice(self);
            *self = bigger;
        }
        Ok(())
    }

    /// Bytes of room, used or not; this is what the buffer costs.
    pub fn capacity(&self) -> usize {
        self.data.len()
    }

    /// Bytes written so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True before anything was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The room after the written bytes.
    #[inline]
    pub fn spare_mut(&mut self) -> &mut [u8] {
        &mut self.data[self.len..]
    }

    /// The buffer's first byte; writable for [`PoolBuf::capacity`] bytes until the buffer is moved or grows.
    #[inline]
    #[doc(hidden)]
    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.data.as_mut_ptr()
    }

    /// Counts `n` bytes of the spare room as written.
    ///
    /// # Panics
    /// If there is not that much room.
    #[inline]
    pub fn advance(&mut self, n: usize) {
        assert!(
            n <= self.data.len() - self.len,
            "advance past the buffer's end"
        );
        self.len += n;
    }

    /// Forgets what was written after the first `n` bytes.
    pub fn truncate(&mut self, n: usize) {
        self.len = self.len.min(n);
    }

    /// Moves what was written to the smallest buffer that holds it, if that is a smaller one than this and there is
    /// memory for it.
    pub fn fit(&mut self) {
        if class_for(self.len).is_none_or(|(_, size)| size >= self.data.len()) {
            return;
        }
        if let Ok(mut smaller) = PoolBuf::try_with_capacity(self.len) {
            smaller.extend_from_slice(self);
            *self = smaller;
        }
    }

    /// Makes room for at least `n` more bytes, at least doubling when it has to move.
    pub fn reserve(&mut self, n: usize) {
        if self.data.len() - self.len < n {
            let want = (self.len + n).max(self.data.len() * 2);
            let mut bigger = POOL.take(want);
            bigger[..self.len].copy_from_slice(&self.data[..self.len]);
            POOL.give(std::mem::replace(&mut self.data, bigger));
        }
    }

    /// Appends bytes, growing when needed.
    #[inline]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.data[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    /// Shares the buffer read-only; it returns to the pool when the last holder drops it.
    pub fn share(self) -> SharedBuf {
        Arc::new(self)
    }
}

/// A read-only buffer with several holders.
pub type SharedBuf = Arc<PoolBuf>;

impl Drop for PoolBuf {
    fn drop(&mut self) {
        POOL.give(std::mem::take(&mut self.data));
    }
}

impl Deref for PoolBuf {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        &self.data[..self.len]
    }
}

impl AsRef<[u8]> for PoolBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl std::fmt::Debug for PoolBuf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PoolBuf({} of {} bytes)", self.len, self.data.len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn classes_hold_what_is_asked_and_map_to_themselves() {
        for n in [
            0,
            1,
            255,
            256,
            257,
            1023,
            1024,
            1025,
            1536,
            1537,
            2048,
            100_000,
            1 << 20,
            (1 << 20) + 1,
            1 << 26,
        ] {
            let (class, size) = class_for(n).unwrap();
            assert!(size >= n, "{n} got {size}");
            assert_eq!(class_for(size), Some((class, size)));
        }
        assert_eq!(class_for((1 << 26) + 1), None);
    }

    /// A producer at full speed: all that it was given is in use, and buffers of one size come and go.
    #[test]
    fn the_size_in_use_is_kept_and_others_give_way() {
        let pool = Pool::new();
        pool.limit.store(4 << 20, Ordering::Relaxed);
        for size in [1 << 16, 1 << 17, 1 << 18, 1 << 19] {
            pool.give(pool.take(size));
        }
        let mut used: VecDeque<_> = (0..4).map(|_| pool.take(1 << 20)).collect();
        let first = used[0].as_ptr();
        for _ in 0..3 {
            for _ in 0..4 {
                pool.give(used.pop_front().unwrap());
                used.push_back(pool.take(1 << 20));
            }
            assert_eq!(used[0].as_ptr(), first, "the same memory goes round");
        }
        let total = pool.idle.load(Ordering::Relaxed) + pool.used.load(Ordering::Relaxed);
        assert!(total <= 4 << 20, "{total}");
        drop(used);
    }

    /// Nothing is kept that nobody has a budget for.
    #[test]
    fn what_is_past_the_limit_is_freed() {
        let pool = Pool::new();
        pool.limit.store(1 << 20, Ordering::Relaxed);
        let (a, b) = (pool.take(1 << 20), pool.take(1 << 20));
        pool.give(a);
        assert_eq!(pool.idle.load(Ordering::Relaxed), 0);
        pool.give(b);
        assert_eq!(pool.idle.load(Ordering::Relaxed), 1 << 20);
        pool.give(pool.take(1 << 21));
        assert!(pool.idle.load(Ordering::Relaxed) <= 1 << 20);
    }

    #[test]
    fn grows_and_keeps_contents() {
        let mut buf = PoolBuf::with_capacity(10);
        let bytes: Vec<u8> = (0..5000u32).map(|i| i as u8).collect();
        for chunk in bytes.chunks(7) {
            buf.extend_from_slice(chunk);
        }
        assert_eq!(&buf[..], &bytes[..]);
        buf.truncate(3);
        assert_eq!(&buf[..], &[0, 1, 2]);
    }

    #[test]
    fn a_buffer_fits_what_was_written() {
        let mut buf = PoolBuf::with_capacity(100_000);
        buf.extend_from_slice(&[5; 700]);
        buf.fit();
        assert_eq!((buf.capacity(), &buf[..]), (768, &[5; 700][..]));
        buf.fit();
        assert_eq!(buf.capacity(), 768);
        let mut own_size = PoolBuf::with_capacity((1 << 26) + 1);
        own_size.fit();
        assert_eq!(own_size.capacity(), 256);
    }
}
