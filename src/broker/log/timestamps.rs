//! Looking offsets up by timestamp: the one place where the broker looks at records.

use std::io;

use super::PartitionLog;
use crate::protocol::record::varint::{read_varint, read_varlong};
use crate::protocol::record::{BatchHeader, HEADER_LEN, TimestampType};

/// A record found by its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimestampHit {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) leader_epoch: i32,
}

impl PartitionLog {
    /// The first record whose timestamp is `timestamp` or later.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn find_timestamp(&self, timestamp: i64) -> io::Result<Option<TimestampHit>> {
        for entry in self.entries.iter().filter(|e| e.max_timestamp >= timestamp) {
            if let Some(hit) = self.in_batch(entry.base_offset, |found, best| {
                found >= timestamp && best.is_none()
            })? {
                return Ok(Some(hit));
            }
        }
        Ok(None)
    }

    /// The first of the records with the largest timestamp of all.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn find_max_timestamp(&self) -> io::Result<Option<TimestampHit>> {
        let Some(max) = self.entries.iter().map(|e| e.max_timestamp).max() else {
            return Ok(None);
        };
        self.find_timestamp(max)
    }

    /// The record of the batch at `base_offset` that `better` (its timestamp, the best so far) chose last.
    fn in_batch(
        &self,
        base_offset: i64,
        better: impl Fn(i64, Option<i64>) -> bool,
    ) -> io::Result<Option<TimestampHit>> {
        let mut parts = Vec::new();
        self.read(base_offset, 0, true, &mut parts)?;
        let bytes = parts.concat();
        let Ok(Some(header)) = BatchHeader::parse(&bytes) else {
            return Ok(None);
        };
        let hit = |delta: i32, timestamp| TimestampHit {
            offset: header.base_offset + i64::from(delta),
            timestamp,
            leader_epoch: header.partition_leader_epoch,
        };
        if header.attributes.timestamp_type() == TimestampType::LogAppendTime {
            return Ok(better(header.max_timestamp, None).then(|| hit(0, header.max_timestamp)));
        }
        let body = bytes.get(HEADER_LEN..).unwrap_or_default();
        let mut best: Option<TimestampHit> = None;
        let mut at = 0;
        for _ in 0..header.record_count {
            let Some((timestamp_delta, offset_delta)) = next_record(body, &mut at) else {
                break;
            };
            let timestamp = header.base_timestamp.saturating_add(timestamp_delta);
            if better(timestamp, best.map(|b| b.timestamp)) {
                best = Some(hit(offset_delta, timestamp));
            }
        }
        Ok(best)
    }
}

/// Timestamp and offset deltas of the record at `*at`, which is moved behind it.
fn next_record(body: &[u8], at: &mut usize) -> Option<(i64, i32)> {
    let len = usize::try_from(read_varint(body, at)?).ok()?;
    let end = at.checked_add(len)?;
    // Attributes.
    let mut field = *at + 1;
    let timestamp_delta = read_varlong(body, &mut field)?;
    let offset_delta = read_varint(body, &mut field)?;
    *at = end;
    Some((timestamp_delta, offset_delta))
}
