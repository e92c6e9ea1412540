//! The records of a batch, for the few questions whose answer lies in them: their timestamps.

use std::borrow::Cow;

use crate::memory::PoolBuf;
use crate::protocol::compress::{Codec, decompress};
use crate::protocol::record::varint::{read_varint, read_varlong};
use crate::protocol::record::{BatchHeader, HEADER_LEN, TimestampType};

/// More than any batch that the broker takes expands to, unless it is meant to do harm.
const MAX_EXPANDED: usize = 256 * 1024 * 1024;

/// Offset delta and timestamp of each record of a whole batch, up to the first that makes no sense.
pub(super) fn timestamps(batch: &[u8]) -> Vec<(i32, i64)> {
    let Ok(Some(header)) = BatchHeader::parse(batch) else {
        return Vec::new();
    };
    if header.attributes.timestamp_type() == TimestampType::LogAppendTime {
        return (0..header.record_count)
            .map(|delta| (delta, header.max_timestamp))
            .collect();
    }
    let Some(body) = expand(&header, batch.get(HEADER_LEN..).unwrap_or_default()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut at = 0;
    for _ in 0..header.record_count {
        let Some((timestamp_delta, offset_delta)) = next_record(&body, &mut at) else {
            break;
        };
        found.push((
            offset_delta,
            header.base_timestamp.wrapping_add(timestamp_delta),
        ));
    }
    found
}

fn expand<'a>(header: &BatchHeader, body: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    match header.attributes.codec().ok()? {
        Codec::None => Some(Cow::Borrowed(body)),
        codec => {
            let mut expanded = PoolBuf::with_capacity(body.len() * 4);
            decompress(codec, body, &mut expanded, MAX_EXPANDED).ok()?;
            Some(Cow::Owned(expanded.share().to_vec()))
        }
    }
}

/// Timestamp and offset deltas of the record at `*at`, which is moved behind it.
fn next_record(body: &[u8], at: &mut usize) -> Option<(i64, i32)> {
    let len = usize::try_from(read_varint(body, at)?).ok()?;
    let end = at.checked_add(len)?;
    let mut field = *at + ATTRIBUTES;
    let timestamp_delta = read_varlong(body, &mut field)?;
    let offset_delta = read_varint(body, &mut field)?;
    *at = end;
    Some((timestamp_delta, offset_delta))
}

/// Bytes of a record's attributes, which mean nothing yet.
const ATTRIBUTES: usize = 1;
