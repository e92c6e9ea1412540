//! The open batch of one partition: records are encoded into it straight from the caller's memory.

use std::ops::Range;

use ottla_base::error::{Error, ErrorCode, Result};
use ottla_base::memory::PoolBuf;

use super::header::{HEADER_LEN, LOG_OVERHEAD};
use super::sealed::SealedBatch;
use super::source::{
    Bytes, Column, EncodedHeaders, HeaderBlob, HeaderRun, Headers, NoHeaders, Nulls, Records,
    Timestamps, nullable_len, write_nullable,
};
use super::varint::{MAX_VARINT_LEN, size_len, varlong_len, write_size, write_varlong};
use crate::compress::Codec;

/// Most bytes the records of one batch can take: its length field counts the rest of the header too.
pub const MAX_RECORDS_LEN: usize = i32::MAX as usize - (HEADER_LEN - LOG_OVERHEAD);

/// The open batch of one partition. It holds encoded records only; the header is built when the batch is sent.
#[derive(Debug)]
pub struct BatchBuilder {
    buf: PoolBuf,
    /// Most bytes of records, unless the first record alone is larger.
    limit: usize,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// An empty batch that takes records until it has `batch_size` bytes, header included, and starts with room for
    /// `capacity` bytes of records.
    pub fn new(batch_size: usize, capacity: usize) -> Self {
        Self::of(batch_size, PoolBuf::with_capacity(capacity))
    }

    /// The same, for a first record that may be large.
    ///
    /// # Errors
    /// OUT_OF_MEMORY.
    pub fn try_new(batch_size: usize, capacity: usize) -> Result<Self> {
        Ok(Self::of(batch_size, PoolBuf::try_with_capacity(capacity)?))
    }

    fn of(batch_size: usize, buf: PoolBuf) -> Self {
        BatchBuilder {
            buf,
            limit: batch_size.saturating_sub(HEADER_LEN).min(MAX_RECORDS_LEN),
            count: 0,
            base_timestamp: 0,
            max_timestamp: 0,
        }
    }

    /// Number of records.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// True before the first record.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the batch so far, header included, before compression.
    pub fn size(&self) -> usize {
        HEADER_LEN + self.buf.len()
    }

    /// Bytes that still go in before the batch's memory has to grow.
    #[doc(hidden)]
    pub fn spare(&self) -> usize {
        self.buf.capacity() - self.buf.len()
    }

    /// Bytes of memory the batch occupies.
    pub fn capacity(&self) -> usize {
        self.buf.capacity()
    }

    /// Appends one record. `Ok(false)` means that the batch is full and was left as it was; the first record always
    /// fits.
    ///
    /// # Errors
    /// `RECORD_TOO_LARGE` if no batch could hold the record (2 GiB).
    pub fn append(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&[u8], Option<&[u8]>)],
        timestamp: i64,
    ) -> Result<bool> {
        if headers.is_empty() {
            self.push(key, value, NoHeaders, timestamp)
        } else {
            self.push(key, value, headers, timestamp)
        }
    }

    /// Appends one record behind others, if it needs no more memory than the batch has and doesn't fill the batch. False:
    /// the batch was left as it was; [`BatchBuilder::append`] does what there is to do.
    #[inline]
    #[doc(hidden)]
    pub fn append_within(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&[u8], Option<&[u8]>)],
        timestamp: i64,
    ) -> bool {
        if headers.is_empty() {
            self.push_within(key, value, NoHeaders, timestamp)
        } else {
            self.push_within(key, value, headers, timestamp)
        }
    }

    #[inline(always)]
    fn push_within(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Headers,
        timestamp: i64,
    ) -> bool {
        let delta = timestamp.wrapping_sub(self.base_timestamp);
        let body = body_len(delta, self.count, key, value, headers);
        let len = self.buf.len();
        let room = self.buf.capacity().min(self.limit).saturating_sub(len);
        // The prefix is at most five bytes: a record that comes this close takes the other way.
        if self.count == 0 || room <= body + MAX_VARINT_LEN {
            return false;
        }
        // SAFETY: behind `len` there is room for `body` and its prefix. All lengths fit an i32, since the limit does. The caller's
        // memory cannot overlap the pool's buffer, which is borrowed mutably.
        unsafe {
            let first = self.buf.as_mut_ptr().add(len);
            write_record(first, body, delta, self.count, key, value, headers);
        }
        self.buf.advance(size_len(body) + body);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.count += 1;
        true
    }

    /// Appends a record whose headers are already encoded.
    pub(super) fn append_encoded(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: EncodedHeaders<'_>,
        timestamp: i64,
    ) -> Result<bool> {
        self.push(key, value, headers, timestamp)
    }

    /// Appends the rows of `range` in order until one does not fit and says how many were taken; 0 means that the batch
    /// is full.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the range reaches past the columns, `RECORD_TOO_LARGE` if the first row cannot be in any
    /// batch (2 GiB); nothing was appended then.
    pub fn append_range(&mut self, records: &Records<'_>, range: Range<usize>) -> Result<usize> {
        if range.start > range.end || range.end > records.rows() {
            return Err(row_out_of_range(range.end, records));
        }
        self.append_all(records, range)
    }

    /// Appends the rows named by `rows` in that order until one does not fit and says how many were taken; 0 means that
    /// the batch is full.
    ///
    /// # Errors
    /// As [`BatchBuilder::append_range`].
    pub fn append_rows(&mut self, records: &Records<'_>, rows: &[u32]) -> Result<usize> {
        if let Some(&last) = rows.iter().max()
            && last as usize >= records.rows()
        {
            return Err(row_out_of_range(last as usize, records));
        }
        self.append_all(records, rows.iter().map(|&row| row as usize))
    }

    /// Picks the inner loop: the plain cases get one of their own, all others share one.
    fn append_all(
        &mut self,
        records: &Records<'_>,
        rows: impl Iterator<Item = usize>,
    ) -> Result<usize> {
        // SAFETY: both callers checked the rows against `records.rows()`, which every column has.
        unsafe {
            match (
                *records.keys(),
                *records.values(),
                records.headers(),
                records.timestamps(),
            ) {
                (Bytes::Null, Bytes::Blob(values), None, Timestamps::One(timestamp)) => {
                    self.append_columns(Nulls, values, NoHeaderColumn, |_| timestamp, rows)
                }
                (Bytes::Null, Bytes::Pointers(values), None, Timestamps::One(timestamp)) => {
                    self.append_columns(Nulls, values, NoHeaderColumn, |_| timestamp, rows)
                }
                (keys, values, None, timestamps) => self.append_columns(
                    keys,
                    values,
                    NoHeaderColumn,
                    |row| timestamps.at(row),
                    rows,
                ),
                (keys, values, Some(headers), timestamps) => {
                    self.append_columns(keys, values, *headers, |row| timestamps.at(row), rows)
                }
            }
        }
    }

    /// # Safety
    /// Every row must be within every column.
    #[inline(always)]
    unsafe fn append_columns(
        &mut self,
        keys: impl Column,
        values: impl Column,
        headers: impl HeaderColumn,
        timestamp_of: impl Fn(usize) -> i64,
        rows: impl Iterator<Item = usize>,
    ) -> Result<usize> {
        let mut tail = Tail::new(self);
        for row in rows {
            // SAFETY: the row is within the columns.
            let (key, value, headers) =
                unsafe { (keys.get(row), values.get(row), headers.get(row)) };
            if !tail.push(key, value, headers, timestamp_of(row))? {
                break;
            }
        }
        Ok(tail.finish())
    }

    #[inline(always)]
    fn push(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Headers,
        timestamp: i64,
    ) -> Result<bool> {
        let mut tail = Tail::new(self);
        let taken = tail.push(key, value, headers, timestamp)?;
        tail.finish();
        Ok(taken)
    }

    /// Ends the batch: its records are compressed and summed, and never change again.
    ///
    /// Records that `codec` does not make smaller stay uncompressed.
    ///
    /// # Errors
    /// Those of the codec.
    pub fn seal(self, codec: Codec, level: Option<i32>) -> Result<SealedBatch> {
        SealedBatch::new(
            self.buf,
            self.count,
            self.base_timestamp,
            self.max_timestamp,
            codec,
            level,
        )
    }
}

#[cold]
fn row_out_of_range(row: usize, records: &Records<'_>) -> Error {
    Error::argument(format!(
        "appending row {row} of a batch call: its columns have {} rows",
        records.rows()
    ))
}

#[cold]
fn too_large(key: Option<&[u8]>, value: Option<&[u8]>) -> Error {
    Error::new(
        ErrorCode::RECORD_TOO_LARGE,
        format!(
            "encoding a record with a key of {} and a value of {} bytes: a batch holds at most {MAX_RECORDS_LEN} bytes",
            key.map_or(0, <[u8]>::len),
            value.map_or(0, <[u8]>::len)
        ),
    )
}

/// Bytes of everything after a record's length: attributes, two deltas, key, value, headers.
#[inline(always)]
fn body_len(
    delta: i64,
    index: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl Headers,
) -> usize {
    1 + varlong_len(delta)
        + size_len(index as usize)
        + nullable_len(key)
        + nullable_len(value)
        + size_len(headers.count())
        + headers.encoded_len()
}

/// Writes a record at `first`. `body` is what [`body_len`] says of it.
///
/// # Safety
/// The record's length prefix and `body` bytes must be writable from `first` on and overlap nothing that is read, and
/// every length must fit an i32.
#[inline(always)]
unsafe fn write_record(
    first: *mut u8,
    body: usize,
    delta: i64,
    index: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl Headers,
) {
    // SAFETY: each write takes what `body_len` counted for it, all of them together what the caller promises.
    unsafe {
        let mut at = write_size(first, body);
        *at = 0;
        at = write_varlong(at.add(1), delta);
        at = write_size(at, index as usize);
        at = write_nullable(at, key);
        at = write_nullable(at, value);
        at = write_size(at, headers.count());
        at = headers.write(at);
        debug_assert_eq!(at as usize - first as usize, size_len(body) + body);
    }
}

impl Timestamps<'_> {
    #[inline(always)]
    fn at(&self, row: usize) -> i64 {
        match self {
            Timestamps::One(timestamp) => *timestamp,
            Timestamps::Each(each) => each[row],
        }
    }
}

/// The headers of many rows.
trait HeaderColumn: Copy {
    type Row<'a>: Headers
    where
        Self: 'a;
    /// # Safety
    /// `row` must be within the column.
    unsafe fn get(&self, row: usize) -> Self::Row<'_>;
}

#[derive(Clone, Copy)]
struct NoHeaderColumn;

impl HeaderColumn for NoHeaderColumn {
    type Row<'a> = NoHeaders;
    #[inline(always)]
    unsafe fn get(&self, _: usize) -> NoHeaders {
        NoHeaders
    }
}

impl<'b> HeaderColumn for HeaderBlob<'b> {
    type Row<'a>
        = HeaderRun<'b>
    where
        Self: 'a;
    #[inline(always)]
    unsafe fn get(&self, row: usize) -> HeaderRun<'b> {
        // SAFETY: the same promise.
        unsafe { HeaderBlob::get(self, row) }
    }
}

/// The end of an open batch while records are written to it, its state in registers; [`Tail::finish`] writes it back.
/// Dropped without that, what was pushed is forgotten.
struct Tail<'a> {
    batch: &'a mut BatchBuilder,
    /// The buffer's first byte.
    start: *mut u8,
    /// Bytes written; at most `capacity`.
    len: usize,
    capacity: usize,
    limit: usize,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl<'a> Tail<'a> {
    #[inline(always)]
    fn new(batch: &'a mut BatchBuilder) -> Self {
        Tail {
            len: batch.buf.len(),
            capacity: batch.buf.capacity(),
            start: batch.buf.as_mut_ptr(),
            limit: batch.limit,
            count: batch.count,
            base_timestamp: batch.base_timestamp,
            max_timestamp: batch.max_timestamp,
            batch,
        }
    }

    /// Appends one record, or says that it does not fit.
    #[inline(always)]
    fn push(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Headers,
        timestamp: i64,
    ) -> Result<bool> {
        let delta = if self.count == 0 {
            0
        } else {
            timestamp.wrapping_sub(self.base_timestamp)
        };
        let body = body_len(delta, self.count, key, value, headers);
        let record = size_len(body) + body;
        if self.len + record > self.limit {
            if self.count != 0 {
                return Ok(false);
            }
            if record > MAX_RECORDS_LEN {
                return Err(too_large(key, value));
            }
        }
        if self.capacity - self.len < record {
            self.grow(record);
        }
        // SAFETY: `record` bytes are writable from `len` on. All lengths fit an i32, since `record` does. The caller's
        // memory cannot overlap the pool's buffer, which is borrowed mutably.
        unsafe {
            let first = self.start.add(self.len);
            write_record(first, body, delta, self.count, key, value, headers);
        }
        if self.count == 0 {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.len += record;
        self.count += 1;
        Ok(true)
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, record: usize) {
        let buf = &mut self.batch.buf;
        buf.advance(self.len - buf.len());
        buf.reserve(record);
        self.start = buf.as_mut_ptr();
        self.capacity = buf.capacity();
    }

    /// Writes the state back and says how many records were pushed.
    #[inline(always)]
    fn finish(self) -> usize {
        let batch = self.batch;
        let taken = self.count - batch.count;
        batch.buf.advance(self.len - batch.buf.len());
        batch.count = self.count;
        batch.base_timestamp = self.base_timestamp;
        batch.max_timestamp = self.max_timestamp;
        taken as usize
    }
}
