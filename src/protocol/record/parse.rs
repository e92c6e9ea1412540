//! One record's bytes: where its parts lie. Every length is checked against what is left.

use std::ops::Range;

use super::varint::{read_varint, read_varlong};
use crate::error::{Error, ErrorCode, Result};

/// Fewest bytes a record takes: length, attributes, two deltas, null key, null value, no headers.
pub(super) const MIN_RECORD_LEN: usize = 7;

/// Where the parts of one record lie in its buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawRecord {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) key_start: usize,
    /// -1 is null.
    pub(super) key_len: i32,
    pub(super) value_start: usize,
    /// -1 is null.
    pub(super) value_len: i32,
    pub(super) header_start: usize,
    pub(super) header_count: i32,
    pub(super) end: usize,
}

impl RawRecord {
    pub(super) fn key<'a>(&self, buf: &'a [u8]) -> Option<&'a [u8]> {
        part(buf, self.key_start, self.key_len)
    }

    pub(super) fn value<'a>(&self, buf: &'a [u8]) -> Option<&'a [u8]> {
        part(buf, self.value_start, self.value_len)
    }
}

fn part(buf: &[u8], start: usize, len: i32) -> Option<&[u8]> {
    buf.get(start..start + usize::try_from(len).ok()?)
}

/// Reads a nullable string's length and moves past the string: its length and start.
#[inline(always)]
fn nullable(record: &[u8], at: &mut usize) -> Option<(i32, usize)> {
    let len = read_varint(record, at)?;
    let start = *at;
    if len >= 0 {
        if len as usize > record.len() - start {
            return None;
        }
        *at = start + len as usize;
    } else if len != -1 {
        return None;
    }
    Some((len, start))
}

/// Checks `count` headers, which must end exactly with the record.
#[inline(never)]
fn headers_fit(record: &[u8], mut at: usize, count: i32) -> Option<()> {
    // Two bytes are the least a header takes, so a large count ends at the first header that is not there.
    for _ in 0..count {
        let (key_len, _) = nullable(record, &mut at)?;
        if key_len < 0 {
            return None;
        }
        nullable(record, &mut at)?;
    }
    (count >= 0 && at == record.len()).then_some(())
}

/// Reads the record at `start`, which must end at or before `end`; `None` if it does not add up.
#[inline(always)]
pub(super) fn record_at(buf: &[u8], start: usize, end: usize) -> Option<RawRecord> {
    let buf = buf.get(..end)?;
    let mut first = start;
    let len = read_varint(buf, &mut first)?;
    let len = usize::try_from(len).ok()?;
    if len > end - first {
        return None;
    }
    let end = first + len;
    let record = buf.get(..end)?;
    // The record's attributes mean nothing in format 2.
    let mut at = first + 1;
    let timestamp_delta = read_varlong(record, &mut at)?;
    let offset_delta = read_varint(record, &mut at)?;
    let (key_len, key_start) = nullable(record, &mut at)?;
    let (value_len, value_start) = nullable(record, &mut at)?;
    let header_count = read_varint(record, &mut at)?;
    if header_count == 0 {
        if at != end {
            return None;
        }
    } else {
        headers_fit(record, at, header_count)?;
    }
    Some(RawRecord {
        timestamp_delta,
        offset_delta,
        key_start,
        key_len,
        value_start,
        value_len,
        header_start: at,
        header_count,
        end,
    })
}

/// Record after record of one batch.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    buf: &'a [u8],
    region: Range<usize>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(buf: &'a [u8], region: Range<usize>) -> Self {
        Walk { buf, region }
    }

    /// Where the next record starts.
    pub(super) fn position(&self) -> usize {
        self.region.start
    }

    pub(super) fn step(&mut self) -> Result<RawRecord> {
        let start = self.region.start;
        let record =
            record_at(self.buf, start, self.region.end).ok_or_else(|| bad_record(start))?;
        self.region.start = record.end;
        Ok(record)
    }
}

#[cold]
pub(super) fn bad_record(at: usize) -> Error {
    Error::new(
        ErrorCode::CORRUPT_BATCH,
        format!("reading a record batch: the record at byte {at} has lengths that do not add up"),
    )
}
