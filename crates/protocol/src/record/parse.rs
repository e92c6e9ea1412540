//! One record's bytes: where its parts lie. Every length is checked against what is left.

use std::ops::Range;

use ottla_base::error::{Error, ErrorCode, Result};

use super::varint::{read_varlong, unzigzag64, varint_at};

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

/// The nullable string whose length lies at `at`, and which must end at or before `end`: its length, its start, and the
/// place after it.
#[inline(always)]
fn nullable(buf: &[u8], at: usize, end: usize) -> Option<(i32, usize, usize)> {
    let (len, start) = varint_at(buf, at)?;
    if len >= 0 {
        (len as usize <= end.checked_sub(start)?).then_some((len, start, start + len as usize))
    } else {
        (len == -1).then_some((len, start, start))
    }
}

/// Checks `count` headers, which must end exactly at `end`.
#[inline(always)]
fn headers_fit(buf: &[u8], mut at: usize, end: usize, count: i32) -> Option<()> {
    // Each header moves on by two bytes at least, so that an absurd count soon reaches the end.
    for _ in 0..count {
        let (key_len, _, next) = nullable(buf, at, end)?;
        if key_len < 0 {
            return None;
        }
        (_, _, at) = nullable(buf, next, end)?;
        if at > end {
            return None;
        }
    }
    (count >= 0 && at == end).then_some(())
}

/// Seven bits a byte, joined: the lowest two bytes of `word`.
#[inline(always)]
const fn two(word: u64) -> u64 {
    word & 0x7f | word >> 1 & 0x3f80
}

/// Seven bits a byte, joined: the lowest three bytes of `word`.
#[inline(always)]
const fn three(word: u64) -> u64 {
    two(word) | word >> 2 & 0x1f_c000
}

/// Nearly every record, from few loads and checks: shorter than 8 KiB, within four seconds and a million offsets of the
/// first record, a key below 64 bytes or none, a value below 8 KiB. `None` says no more than that [`any_record`] must
/// have a look.
///
/// Each branch goes the same way for most records of a batch, so that the places after it are known ahead.
#[inline(always)]
fn plain_record(buf: &[u8], start: usize, end: usize) -> Option<RawRecord> {
    let word = u64::from_le_bytes(*buf.get(start..)?.first_chunk()?);
    // The length, and then, skipped, the attributes, which mean nothing in format 2.
    let (len, word, first) = if word & 0x80 == 0 {
        (word & 0x7f, word >> 16, start + 1)
    } else if word & 0x8000 == 0 {
        (two(word), word >> 24, start + 2)
    } else {
        return None;
    };
    let (timestamp, word, at) = if word & 0x80 == 0 {
        (word & 0x7f, word >> 8, first + 2)
    } else if word & 0x8000 == 0 {
        (two(word), word >> 16, first + 3)
    } else {
        return None;
    };
    let (offset, at) = if word & 0x80 == 0 {
        (word & 0x7f, at + 1)
    } else if word & 0x8000 == 0 {
        (two(word), at + 2)
    } else if word & 0x80_0000 == 0 {
        (three(word), at + 3)
    } else {
        return None;
    };
    let key = *buf.get(at)?;
    let key_start = at + 1;
    let (key_len, at) = if key == 1 {
        (-1, key_start)
    } else if key & 0x81 == 0 {
        (i32::from(key >> 1), key_start + usize::from(key >> 1))
    } else {
        return None;
    };
    let word = u64::from(u32::from_le_bytes(*buf.get(at..)?.first_chunk()?));
    let (value, value_start) = if word & 0x80 == 0 {
        (word & 0x7f, at + 1)
    } else if word & 0x8000 == 0 {
        (two(word), at + 2)
    } else {
        return None;
    };
    // Odd numbers are negative ones.
    if (len | offset | value) & 1 != 0 {
        return None;
    }
    let record_end = first + (len >> 1) as usize;
    let value_end = value_start + (value >> 1) as usize;
    if record_end > end {
        return None;
    }
    let (header_count, header_start) = if value_end + 1 == record_end && *buf.get(value_end)? == 0 {
        (0, record_end)
    } else {
        let (count, at) = varint_at(buf, value_end)?;
        headers_fit(buf, at, record_end, count)?;
        (count, at)
    };
    Some(RawRecord {
        timestamp_delta: unzigzag64(timestamp),
        offset_delta: (offset >> 1) as i32,
        key_start,
        key_len,
        value_start,
        value_len: (value >> 1) as i32,
        header_start,
        header_count,
        end: record_end,
    })
}

/// Reads the record at `start`, which must end at or before `end`; `None` if it does not add up.
///
/// Numbers are read wherever they lie in `buf`, which is one check less each: the place only moves forward and must at
/// last be the record's end, so that none can have lain behind it.
#[cold]
#[inline(never)]
fn any_record(buf: &[u8], start: usize, end: usize) -> Option<RawRecord> {
    let (len, first) = varint_at(buf, start)?;
    let len = usize::try_from(len).ok()?;
    if len > end.checked_sub(first)? {
        return None;
    }
    let end = first + len;
    let mut at = first + 1;
    let timestamp_delta = read_varlong(buf, &mut at)?;
    let (offset_delta, at) = varint_at(buf, at)?;
    let (key_len, key_start, at) = nullable(buf, at, end)?;
    let (value_len, value_start, at) = nullable(buf, at, end)?;
    let (header_count, header_start) = varint_at(buf, at)?;
    headers_fit(buf, header_start, end, header_count)?;
    Some(RawRecord {
        timestamp_delta,
        offset_delta,
        key_start,
        key_len,
        value_start,
        value_len,
        header_start,
        header_count,
        end,
    })
}

/// Reads the record at `start`, which must end at or before `end`; `None` if it does not add up.
#[inline(always)]
pub(super) fn record_at(buf: &[u8], start: usize, end: usize) -> Option<RawRecord> {
    match plain_record(buf, start, end) {
        Some(record) => Some(record),
        None => any_record(buf, start, end),
    }
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
