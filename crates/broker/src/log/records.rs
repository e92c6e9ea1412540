//! The records of a batch, for the few questions whose answer lies in them: their timestamps, their keys.

use std::borrow::Cow;

use ottla_base::memory::PoolBuf;
use ottla_protocol::compress::{Codec, decompress};
use ottla_protocol::record::varint::{read_varint, read_varlong};
use ottla_protocol::record::{BatchHeader, HEADER_LEN, TimestampType};

/// More than any batch that the broker takes expands to, unless it is meant to do harm.
const MAX_EXPANDED: usize = 256 * 1024 * 1024;

/// Offset delta and timestamp of each record of a whole batch, up to the first that makes no sense.
pub(super) fn timestamps(batch: &[u8]) -> Vec<(i32, i64)> {
    let Ok(Some(header)) = BatchHeader::parse(batch) else {
        return Vec::new();
    };
    let stamped = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
    if stamped && header.record_count == header.last_offset_delta + 1 {
        return (0..header.record_count)
            .map(|delta| (delta, header.max_timestamp))
            .collect();
    }
    let Some(body) = expand(&header, batch.get(HEADER_LEN..).unwrap_or_default()) else {
        return Vec::new();
    };
    let record = |r: Record<'_>| {
        let timestamp = if stamped {
            header.max_timestamp
        } else {
            header.base_timestamp.wrapping_add(r.timestamp_delta)
        };
        (r.offset_delta, timestamp)
    };
    records(&body, header.record_count).map(record).collect()
}

/// One record of an expanded batch.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) timestamp_delta: i64,
    pub(super) offset_delta: i32,
    pub(super) key: Option<&'a [u8]>,
    /// Whether it has a value; without one it is a tombstone.
    pub(super) has_value: bool,
    /// All of it, with its length in front.
    pub(super) bytes: &'a [u8],
    /// Its attributes.
    pub(super) attributes: u8,
    /// What follows the offset delta.
    pub(super) rest: &'a [u8],
}

/// The first `count` records of an expanded batch, up to the first that makes no sense.
pub(super) fn records(body: &[u8], count: i32) -> impl Iterator<Item = Record<'_>> {
    let mut at = 0;
    (0..count).map_while(move |_| next_record(body, &mut at))
}

/// The records of a batch without compression.
pub(super) fn expand<'a>(header: &BatchHeader, body: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    match header.attributes.codec().ok()? {
        Codec::None => Some(Cow::Borrowed(body)),
        codec => {
            let mut expanded = PoolBuf::with_capacity(body.len() * 4);
            decompress(codec, body, &mut expanded, MAX_EXPANDED).ok()?;
            Some(Cow::Owned(expanded.share().to_vec()))
        }
    }
}

/// The record at `*at`, which is moved behind it.
fn next_record<'a>(body: &'a [u8], at: &mut usize) -> Option<Record<'a>> {
    let from = *at;
    let len = usize::try_from(read_varint(body, at)?).ok()?;
    let end = at.checked_add(len)?;
    let record = body.get(..end)?;
    let mut field = *at + ATTRIBUTES;
    let attributes = *record.get(*at)?;
    let timestamp_delta = read_varlong(record, &mut field)?;
    let offset_delta = read_varint(record, &mut field)?;
    let rest = record.get(field..)?;
    let key = match usize::try_from(read_varint(record, &mut field)?) {
        Ok(len) => {
            let key = record.get(field..field.checked_add(len)?)?;
            field += len;
            Some(key)
        }
        Err(_) => None,
    };
    let has_value = read_varint(record, &mut field)? >= 0;
    *at = end;
    Some(Record {
        timestamp_delta,
        offset_delta,
        key,
        has_value,
        bytes: record.get(from..)?,
        attributes,
        rest,
    })
}

/// Bytes of a record's attributes, which mean nothing yet.
const ATTRIBUTES: usize = 1;
