//! Log compaction: of the records with one key only the last stays, and of those without a value (tombstones) none once
//! `delete.retention.ms` is over. Offsets stay as they are, so that batches have gaps; what is written is what Kafka's
//! cleaner writes.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use bytes::Bytes;
use ottla_protocol::compress::Codec;
use ottla_protocol::record::varint::{put_varint, put_varlong};
use ottla_protocol::record::{Attributes, BatchHeader, HEADER_LEN, TimestampType};

use super::batch::rebuilt;
use super::records::{Record, expand, records};
use super::rope::Rope;
use super::{Active, Entry, PartitionLog, Store};

/// The attribute bit that says that the base timestamp is a delete horizon.
const ATTR_DELETE_HORIZON: i16 = 0x40;
/// The attribute bits that a batch without records keeps: who stamped it, and whether it is of a transaction or a marker.
const ATTR_KIND: i16 = 0x38;
/// The base timestamp of a batch without records.
const NO_TIMESTAMP: i64 = -1;
/// Longest varint of 64 bits.
const MAX_VARINT: usize = 10;

/// What a compaction goes by.
pub(crate) struct Cleaning<'a> {
    pub(crate) now_ms: i64,
    /// `delete.retention.ms`.
    pub(crate) delete_retention_ms: i64,
    /// Only batches before this offset are looked at.
    pub(crate) before: i64,
    /// Batches whose records are all at least this old are looked at (`min.compaction.lag.ms`).
    pub(crate) older_than_ms: i64,
    /// Whether a batch was written in a transaction that was aborted.
    pub(crate) is_aborted: &'a dyn Fn(&BatchHeader) -> bool,
    /// Whether a batch is the last of its producer, which stays, if without records, so that duplicates are known
    /// after a restart.
    pub(crate) is_last_of_producer: &'a dyn Fn(&BatchHeader) -> bool,
}

/// What is left of a batch.
enum Left {
    /// The batch as it was.
    All(Bytes),
    /// Another one, with fewer records or a delete horizon.
    Some(Bytes),
    Nothing,
}

/// For each key the offset of its last record.
type Latest = BTreeMap<Vec<u8>, i64>;

impl PartitionLog {
    /// Which part of the bytes that could be compacted was not yet (Kafka's cleanable ratio), and the time of the
    /// first batch of that part.
    pub(crate) fn dirty(&self, before: i64) -> (f64, Option<i64>) {
        let bound = before.min(self.active.base_offset);
        let bytes = |from: i64| -> u64 {
            self.cleanable(bound)
                .filter(|e| e.base_offset >= from)
                .map(|e| u64::from(e.len))
                .sum()
        };
        let (all, dirty) = (bytes(0), bytes(self.clean_until));
        let first = self
            .cleanable(bound)
            .find(|e| e.base_offset >= self.clean_until)
            .map(|e| e.max_timestamp);
        (dirty as f64 / all.max(1) as f64, first)
    }

    /// When a compaction can remove tombstones that one before has seen.
    pub(crate) fn next_horizon(&self) -> Option<i64> {
        self.next_horizon
    }

    fn cleanable(&self, bound: i64) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .take_while(move |e| e.last_offset < bound)
    }

    /// Goes on in a new segment, so that all there is can be compacted.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn roll(&mut self) -> io::Result<()> {
        if self.active.len > 0 {
            if let Store::Files(files) = &mut self.store {
                files.roll(self.end_offset)?;
            }
            self.active = Active::new(self.end_offset);
        }
        Ok(())
    }

    /// Compacts the closed segments. Answers the bytes freed.
    ///
    /// # Errors
    /// The file system's; the log is as it was before, or compacted in part.
    pub(crate) fn compact(&mut self, cleaning: &Cleaning<'_>) -> io::Result<u64> {
        let bound = cleaning.before.min(self.active.base_offset);
        let young = self
            .cleanable(bound)
            .find(|e| e.max_timestamp > cleaning.older_than_ms)
            .map(|e| e.base_offset);
        let bound = young.unwrap_or(bound);
        let count = self.cleanable(bound).count();
        if count == 0 {
            return Ok(0);
        }
        let before = self.size();
        let latest = self.latest(count, cleaning)?;
        self.next_horizon = None;
        match &self.store {
            Store::Memory(_) => self.compact_memory(count, &latest, cleaning)?,
            Store::Files(_) => self.compact_files(bound, &latest, cleaning)?,
        }
        self.clean_until = bound;
        Ok(before.saturating_sub(self.size()))
    }

    fn batch(&self, entry: &Entry) -> io::Result<Bytes> {
        let mut parts = Vec::new();
        let to = entry.pos + u64::from(entry.len);
        match &self.store {
            Store::Memory(rope) => rope.slice(entry.pos, to, &mut parts),
            Store::Files(files) => files.read(entry.pos, to, &mut parts)?,
        }
        match parts.as_slice() {
            [one] => Ok(one.clone()),
            _ => Ok(Bytes::from(parts.concat())),
        }
    }

    /// The last record of each key among the first `count` batches.
    fn latest(&self, count: usize, cleaning: &Cleaning<'_>) -> io::Result<Latest> {
        let mut latest = Latest::new();
        for entry in self.entries.iter().take(count) {
            let bytes = self.batch(entry)?;
            let Ok(Some(header)) = BatchHeader::parse(&bytes) else {
                continue;
            };
            if header.attributes.is_control() || (cleaning.is_aborted)(&header) {
                continue;
            }
            let Some(body) = expand(&header, bytes.get(HEADER_LEN..).unwrap_or_default()) else {
                continue;
            };
            for record in records(&body, header.record_count) {
                if let Some(key) = record.key {
                    let offset = header.base_offset + i64::from(record.offset_delta);
                    latest.insert(key.to_vec(), offset);
                }
            }
        }
        Ok(latest)
    }

    fn compact_memory(
        &mut self,
        count: usize,
        latest: &Latest,
        cleaning: &Cleaning<'_>,
    ) -> io::Result<()> {
        let mut rope = Rope::default();
        let mut entries = VecDeque::with_capacity(self.entries.len());
        for (at, entry) in self.entries.iter().enumerate() {
            let mut entry = *entry;
            let bytes = self.batch(&entry)?;
            let left = if at < count {
                left_of(bytes, latest, cleaning, &mut self.next_horizon)
            } else {
                Left::All(bytes)
            };
            let (Left::All(bytes) | Left::Some(bytes)) = left else {
                continue;
            };
            entry.pos = rope.end();
            update(&mut entry, &bytes);
            rope.push_copy(&bytes);
            entries.push_back(entry);
        }
        self.entries = entries;
        self.store = Store::Memory(rope);
        Ok(())
    }

    /// Rewrites the files that begin before `bound`, small ones together.
    fn compact_files(
        &mut self,
        bound: i64,
        latest: &Latest,
        cleaning: &Cleaning<'_>,
    ) -> io::Result<()> {
        let Store::Files(files) = &self.store else {
            return Ok(());
        };
        for group in files.groups(bound, self.limits.bytes) {
            let Store::Files(files) = &self.store else {
                return Ok(());
            };
            let (from, to) = (group.from, group.to);
            let mut rewrite = files.rewrite(group)?;
            let mut changed = rewrite.joins();
            let mut kept = Vec::new();
            let mut horizon = self.next_horizon;
            let inside = |e: &&Entry| e.base_offset >= from && e.base_offset < to;
            for entry in self.entries.iter().filter(inside) {
                let bytes = self.batch(entry)?;
                let left = if entry.last_offset < bound {
                    left_of(bytes, latest, cleaning, &mut horizon)
                } else {
                    Left::All(bytes)
                };
                changed |= !matches!(left, Left::All(_));
                if let Left::All(bytes) | Left::Some(bytes) = left {
                    let mut entry = *entry;
                    update(&mut entry, &bytes);
                    entry.pos = rewrite.push(&bytes)?;
                    kept.push(entry);
                }
            }
            self.next_horizon = horizon;
            if !changed {
                rewrite.give_up();
                continue;
            }
            let Store::Files(files) = &mut self.store else {
                return Ok(());
            };
            let shrunk = files.replace(rewrite)?;
            let at = self.entries.partition_point(|e| e.base_offset < from);
            let end = self.entries.partition_point(|e| e.base_offset < to);
            for entry in self.entries.range_mut(end..) {
                entry.pos -= shrunk;
            }
            let tail = self.entries.split_off(end);
            self.entries.truncate(at);
            self.entries.extend(kept);
            self.entries.extend(tail);
        }
        Ok(())
    }
}

/// Length and largest timestamp of a batch that may have become another.
fn update(entry: &mut Entry, bytes: &Bytes) {
    entry.len = bytes.len() as u32;
    if let Ok(Some(header)) = BatchHeader::parse(bytes) {
        entry.max_timestamp = header.max_timestamp;
    }
}

/// What is left of a whole batch. The earliest delete horizon that is not over is kept in `next_horizon`.
fn left_of(
    bytes: Bytes,
    latest: &Latest,
    cleaning: &Cleaning<'_>,
    next_horizon: &mut Option<i64>,
) -> Left {
    let Ok(Some(header)) = BatchHeader::parse(&bytes) else {
        return Left::All(bytes);
    };
    let horizon = header
        .attributes
        .has_delete_horizon()
        .then_some(header.base_timestamp);
    let over = horizon.is_some_and(|at| at <= cleaning.now_ms);
    let is_control = header.attributes.is_control();
    let body = bytes.get(HEADER_LEN..).unwrap_or_default();
    let Some(body) = expand(&header, body) else {
        return Left::All(bytes);
    };
    let stays = |record: &Record<'_>| {
        if is_control {
            return !over;
        }
        let offset = header.base_offset + i64::from(record.offset_delta);
        let last = record
            .key
            .is_some_and(|key| latest.get(key).is_none_or(|&at| offset >= at));
        last && (record.has_value || !over)
    };
    let aborted = !is_control && (cleaning.is_aborted)(&header);
    let kept: Vec<Record<'_>> = records(&body, header.record_count)
        .filter(|r| !aborted && stays(r))
        .collect();
    if kept.is_empty() {
        return if (cleaning.is_last_of_producer)(&header) {
            emptied(header, bytes)
        } else {
            Left::Nothing
        };
    }
    // Markers go like tombstones: readers that are behind need them for a while.
    let marks = is_control || kept.iter().any(|r| !r.has_value);
    let sets = (marks && horizon.is_none())
        .then(|| cleaning.now_ms.saturating_add(cleaning.delete_retention_ms));
    if let Some(at) = sets.or(horizon).filter(|_| marks && !over) {
        *next_horizon = Some(next_horizon.map_or(at, |other| other.min(at)));
    }
    if kept.len() as i64 == i64::from(header.record_count) && sets.is_none() {
        return Left::All(bytes);
    }
    match rewritten(header, &kept, sets) {
        Some(bytes) => Left::Some(bytes),
        None => Left::All(bytes),
    }
}

/// A batch without records, which still says what its producer wrote last.
fn emptied(header: BatchHeader, bytes: Bytes) -> Left {
    if header.record_count == 0 {
        return Left::All(bytes);
    }
    let attributes = Attributes(header.attributes.0 & ATTR_KIND);
    let header = BatchHeader {
        record_count: 0,
        attributes,
        base_timestamp: NO_TIMESTAMP,
        ..header
    };
    match rebuilt(header, Codec::None, None, &[]) {
        Some(bytes) => Left::Some(bytes),
        None => Left::All(bytes),
    }
}

/// The batch with the records `kept` only, and with a delete horizon if one is given.
fn rewritten(mut header: BatchHeader, kept: &[Record<'_>], horizon: Option<i64>) -> Option<Bytes> {
    let codec = header.attributes.codec().ok()?;
    let base = header.base_timestamp;
    let stamped = header.attributes.timestamp_type() == TimestampType::LogAppendTime;
    let latest = kept
        .iter()
        .map(|r| base.wrapping_add(r.timestamp_delta))
        .max()?;
    if !stamped {
        header.max_timestamp = latest;
    }
    header.record_count = i32::try_from(kept.len()).ok()?;
    let mut body = Vec::new();
    match horizon {
        None => body = kept.iter().flat_map(|r| r.bytes).copied().collect(),
        // Timestamps are relative to what is the horizon now.
        Some(horizon) => {
            header.attributes.0 |= ATTR_DELETE_HORIZON;
            header.base_timestamp = horizon;
            for record in kept {
                let timestamp = base.wrapping_add(record.timestamp_delta);
                write(&mut body, record, timestamp.wrapping_sub(horizon))?;
            }
        }
    }
    rebuilt(header, codec, None, &body)
}

/// Writes a record with another timestamp delta.
fn write(out: &mut Vec<u8>, record: &Record<'_>, timestamp_delta: i64) -> Option<()> {
    let mut head = vec![record.attributes];
    let mut number = [0; MAX_VARINT];
    let len = put_varlong(&mut number, timestamp_delta)?;
    head.extend_from_slice(number.get(..len)?);
    let len = put_varint(&mut number, record.offset_delta)?;
    head.extend_from_slice(number.get(..len)?);
    let len = put_varint(
        &mut number,
        i32::try_from(head.len() + record.rest.len()).ok()?,
    )?;
    out.extend_from_slice(number.get(..len)?);
    out.extend_from_slice(&head);
    out.extend_from_slice(record.rest);
    Some(())
}
