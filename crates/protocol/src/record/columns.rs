//! What a reader gets of a batch: positions in its buffer, as columns.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ottla_base::error::{Error, ErrorCode, Result};

/// Positions of records in their buffer, a column for each property; all have the same number of rows.
#[derive(Debug, Default)]
pub struct ColumnSet {
    /// Offsets in the partition.
    pub offsets: Vec<i64>,
    /// Timestamps, milliseconds since the epoch.
    pub timestamps: Vec<i64>,
    /// Where keys start.
    pub key_start: Vec<u32>,
    /// Lengths of keys; -1 is null.
    pub key_len: Vec<i32>,
    /// Where values start.
    pub value_start: Vec<u32>,
    /// Lengths of values; -1 is null.
    pub value_len: Vec<i32>,
    /// Where the first header starts.
    pub header_start: Vec<u32>,
    /// Number of headers.
    pub header_count: Vec<i32>,
}

impl ColumnSet {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.offsets.len()
    }

    /// Forgets all rows and keeps the memory.
    pub fn clear(&mut self) {
        self.truncate(0);
    }

    /// Forgets the rows after the first `rows`.
    pub fn truncate(&mut self, rows: usize) {
        self.offsets.truncate(rows);
        self.timestamps.truncate(rows);
        self.key_start.truncate(rows);
        self.key_len.truncate(rows);
        self.value_start.truncate(rows);
        self.value_len.truncate(rows);
        self.header_start.truncate(rows);
        self.header_count.truncate(rows);
    }

    /// Of the rows from `first` on, keeps those whose offset `keep` wants.
    pub fn retain_from(&mut self, first: usize, mut keep: impl FnMut(i64) -> bool) {
        let mut to = first;
        for row in first..self.rows() {
            if !keep(self.offsets[row]) {
                continue;
            }
            if to != row {
                self.offsets[to] = self.offsets[row];
                self.timestamps[to] = self.timestamps[row];
                self.key_start[to] = self.key_start[row];
                self.key_len[to] = self.key_len[row];
                self.value_start[to] = self.value_start[row];
                self.value_len[to] = self.value_len[row];
                self.header_start[to] = self.header_start[row];
                self.header_count[to] = self.header_count[row];
            }
            to += 1;
        }
        self.truncate(to.max(first));
    }

    /// Makes room for `rows` more.
    ///
    /// # Errors
    /// OUT_OF_MEMORY.
    pub(super) fn reserve(&mut self, rows: usize) -> Result<()> {
        let reserved = self
            .offsets
            .try_reserve(rows)
            .and_then(|()| self.timestamps.try_reserve(rows))
            .and_then(|()| self.key_start.try_reserve(rows))
            .and_then(|()| self.key_len.try_reserve(rows))
            .and_then(|()| self.value_start.try_reserve(rows))
            .and_then(|()| self.value_len.try_reserve(rows))
            .and_then(|()| self.header_start.try_reserve(rows))
            .and_then(|()| self.header_count.try_reserve(rows));
        reserved.map_err(|_| {
            Error::new(
                ErrorCode::OUT_OF_MEMORY,
                format!("the system has no memory for the columns of {rows} records"),
            )
        })
    }

    /// # Safety
    /// The first `rows` of every column must be within its capacity and written.
    pub(super) unsafe fn set_rows(&mut self, rows: usize) {
        // SAFETY: the same condition.
        unsafe {
            self.offsets.set_len(rows);
            self.timestamps.set_len(rows);
            self.key_start.set_len(rows);
            self.key_len.set_len(rows);
            self.value_start.set_len(rows);
            self.value_len.set_len(rows);
            self.header_start.set_len(rows);
            self.header_count.set_len(rows);
        }
    }

    /// The key of a row in its buffer; `None` is null, or no such row, or not its buffer.
    pub fn key<'a>(&self, buf: &'a [u8], row: usize) -> Option<&'a [u8]> {
        part(buf, self.key_start.get(row), self.key_len.get(row))
    }

    /// The value of a row in its buffer; `None` is null, or no such row, or not its buffer.
    pub fn value<'a>(&self, buf: &'a [u8], row: usize) -> Option<&'a [u8]> {
        part(buf, self.value_start.get(row), self.value_len.get(row))
    }

    /// The headers of a row in its buffer, in their order.
    pub fn headers<'a>(&self, buf: &'a [u8], row: usize) -> HeaderIter<'a> {
        match (self.header_start.get(row), self.header_count.get(row)) {
            (Some(&start), Some(&count)) => HeaderIter::new(buf, start, count),
            _ => HeaderIter::new(&[], 0, 0),
        }
    }

    /// Bytes of memory the columns occupy.
    pub fn memory(&self) -> usize {
        8 * (self.offsets.capacity() + self.timestamps.capacity())
            + 4 * (self.key_start.capacity()
                + self.key_len.capacity()
                + self.value_start.capacity()
                + self.value_len.capacity()
                + self.header_start.capacity()
                + self.header_count.capacity())
    }
}

fn part<'a>(buf: &'a [u8], start: Option<&u32>, len: Option<&i32>) -> Option<&'a [u8]> {
    let (start, len) = (*start? as usize, usize::try_from(*len?).ok()?);
    buf.get(start..start + len)
}

/// The headers of one record: key and value, which may be null, in their order.
#[derive(Clone, Debug)]
pub struct HeaderIter<'a> {
    buf: &'a [u8],
    at: usize,
    left: i32,
}

impl<'a> HeaderIter<'a> {
    /// The `count` headers that start at `start`, as [`ColumnSet`] tells. Other places give headers without meaning, or
    /// end early.
    pub fn new(buf: &'a [u8], start: u32, count: i32) -> Self {
        HeaderIter {
            buf,
            at: start as usize,
            left: count,
        }
    }

    fn string(&mut self) -> Option<Option<&'a [u8]>> {
        let len = super::varint::read_varint(self.buf, &mut self.at)?;
        let Ok(len) = usize::try_from(len) else {
            return Some(None);
        };
        let bytes = self.buf.get(self.at..self.at + len)?;
        self.at += len;
        Some(Some(bytes))
    }
}

impl<'a> Iterator for HeaderIter<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            return None;
        }
        self.left -= 1;
        Some((self.string()??, self.string()?))
    }
}

/// Free column sets keep at most this much memory together.
const IDLE_LIMIT: usize = 16 << 20;

/// Free sets, and their bytes.
struct Free {
    sets: Vec<ColumnSet>,
    bytes: usize,
}

static FREE: Mutex<Free> = Mutex::new(Free {
    sets: Vec::new(),
    bytes: 0,
});

fn free() -> MutexGuard<'static, Free> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lock of the free sets, while a process forks.
#[cfg(unix)]
pub struct ColumnsLock(
    #[expect(dead_code, reason = "held, not looked at")] MutexGuard<'static, Free>,
);

/// Waits until no thread is at the free sets, and keeps all out.
#[cfg(unix)]
pub fn hold_columns() -> ColumnsLock {
    ColumnsLock(free())
}

/// A [`ColumnSet`] from a bounded list of free ones, given back when dropped, from whichever thread.
#[derive(Debug, Default)]
pub struct Columns(ColumnSet);

impl Columns {
    /// Empty columns, with memory that was used before if there is some.
    pub fn take() -> Self {
        let mut free = free();
        let set = free.sets.pop().unwrap_or_default();
        free.bytes -= set.memory();
        Columns(set)
    }
}

impl Drop for Columns {
    fn drop(&mut self) {
        let mut set = std::mem::take(&mut self.0);
        set.clear();
        let bytes = set.memory();
        let mut free = free();
        if bytes != 0 && free.bytes + bytes <= IDLE_LIMIT {
            free.bytes += bytes;
            free.sets.push(set);
        }
    }
}

impl Deref for Columns {
    type Target = ColumnSet;
    fn deref(&self) -> &ColumnSet {
        &self.0
    }
}

impl DerefMut for Columns {
    fn deref_mut(&mut self) -> &mut ColumnSet {
        &mut self.0
    }
}
