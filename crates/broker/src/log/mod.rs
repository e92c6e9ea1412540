//! The log of one partition: batches as they were received, an index over them, the history of leader epochs.

mod batch;
mod compaction;
#[cfg(test)]
mod compaction_tests;
mod files;
mod records;
mod recovery;
mod rope;
mod timestamps;

use std::collections::VecDeque;
use std::io;

use bytes::Bytes;
use ottla_protocol::record::{BatchHeader, HEADER_LEN};

pub use batch::ProducedBatch;
#[cfg(test)]
pub(crate) use batch::tests as test_batches;
pub(crate) use batch::{Refused, add_sequence};
pub(crate) use compaction::Cleaning;
pub(crate) use files::{LogFiles, Recovered, at_path};
use rope::Rope;
pub(crate) use timestamps::TimestampHit;

/// Where one batch lies and what it spans.
#[derive(Clone, Copy, Debug)]
struct Entry {
    base_offset: i64,
    last_offset: i64,
    max_timestamp: i64,
    pos: u64,
    len: u32,
}

/// Where the bytes are.
enum Store {
    Memory(Rope),
    Files(LogFiles),
}

/// When a log goes on in a new segment; the segments before can be compacted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentLimits {
    /// `segment.bytes`.
    pub(crate) bytes: u64,
    /// `segment.ms`, by the broker's clock.
    pub(crate) ms: i64,
}

/// The segment that grows. In memory it is a thought only.
#[derive(Clone, Copy, Debug)]
struct Active {
    base_offset: i64,
    len: u64,
    /// When its first batch came.
    since_ms: Option<i64>,
}

impl Active {
    fn new(base_offset: i64) -> Self {
        Active {
            base_offset,
            len: 0,
            since_ms: None,
        }
    }
}

/// The log of one partition. Offsets run from `start_offset` to just before `end_offset`; every entry's bytes can be
/// read. Positions count bytes since the log began and never go back, whatever is dropped in front.
pub struct PartitionLog {
    entries: VecDeque<Entry>,
    store: Store,
    start_offset: i64,
    end_offset: i64,
    active: Active,
    limits: SegmentLimits,
    /// Before it compaction has been.
    clean_until: i64,
    /// When compaction can remove tombstones that it has seen.
    next_horizon: Option<i64>,
    /// (epoch, first offset written or writable in it), both rising.
    epochs: Vec<(i32, i64)>,
}

impl PartitionLog {
    /// An empty log in memory.
    pub(crate) fn in_memory(limits: SegmentLimits) -> Self {
        Self::new(Store::Memory(Rope::default()), 0, limits)
    }

    fn new(store: Store, start_offset: i64, limits: SegmentLimits) -> Self {
        Self {
            entries: VecDeque::new(),
            store,
            start_offset,
            end_offset: start_offset,
            active: Active::new(start_offset),
            limits,
            clean_until: start_offset,
            next_horizon: None,
            epochs: Vec::new(),
        }
    }

    /// A log over files with what was found in them. It begins at `start_offset`, or where the files do.
    pub(crate) fn in_files(
        files: LogFiles,
        recovered: &[Recovered],
        start_offset: i64,
        limits: SegmentLimits,
    ) -> Self {
        let first = files.first_offset();
        let (last, len) = files.last();
        let mut log = Self::new(Store::Files(files), first, limits);
        for batch in recovered {
            log.index(&batch.header, batch.pos);
        }
        log.end_offset = log.end_offset.max(last);
        log.active = Active {
            len,
            ..Active::new(last)
        };
        log.delete_before(start_offset);
        log
    }

    /// Has other limits for segments from now on.
    pub(crate) fn set_limits(&mut self, limits: SegmentLimits) {
        self.limits = limits;
    }

    /// First offset that can be read.
    pub fn start_offset(&self) -> i64 {
        self.start_offset
    }

    /// Offset of the next record to be written; the high watermark too, since every replica is this log.
    pub fn end_offset(&self) -> i64 {
        self.end_offset
    }

    /// Bytes of the batches that can be read.
    pub fn size(&self) -> u64 {
        self.entries
            .front()
            .map_or(0, |first| self.end_pos() - first.pos)
    }

    fn end_pos(&self) -> u64 {
        self.entries
            .back()
            .map_or(0, |last| last.pos + u64::from(last.len))
    }

    /// Records that from here on batches carry `epoch`.
    pub(crate) fn begin_epoch(&mut self, epoch: i32) {
        if self.epochs.last().is_none_or(|&(last, _)| last < epoch) {
            self.epochs.push((epoch, self.end_offset));
        }
    }

    /// Appends `batch` at the log's end and answers its base offset. `share` keeps the received bytes instead of
    /// copying them.
    ///
    /// # Errors
    /// The file system's; nothing is appended then.
    pub(crate) fn append(
        &mut self,
        batch: &mut ProducedBatch,
        leader_epoch: i32,
        append_time: Option<i64>,
        share: bool,
        now_ms: i64,
    ) -> io::Result<i64> {
        let base_offset = self.end_offset;
        batch.place(base_offset, leader_epoch, append_time);
        let roll = self.is_full(batch.len(), now_ms);
        let pos = match &mut self.store {
            Store::Memory(rope) => {
                let pos = rope.end();
                rope.push_copy(&batch.head());
                if share {
                    rope.push_shared(batch.bytes.slice(HEADER_LEN.min(batch.len())..));
                } else {
                    rope.push_copy(batch.body());
                }
                pos
            }
            Store::Files(files) => files.append(base_offset, &batch.head(), batch.body(), roll)?,
        };
        if roll {
            self.active = Active::new(base_offset);
        }
        self.active.len += batch.len() as u64;
        self.active.since_ms.get_or_insert(now_ms);
        self.index(&batch.header, pos);
        Ok(base_offset)
    }

    /// Whether a batch of `len` bytes begins a new segment.
    fn is_full(&self, len: usize, now_ms: i64) -> bool {
        let old = |since| now_ms.saturating_sub(since) > self.limits.ms;
        self.active.len > 0
            && (self.active.len + len as u64 > self.limits.bytes
                || self.active.since_ms.is_some_and(old))
    }

    fn index(&mut self, header: &BatchHeader, pos: u64) {
        self.begin_epoch(header.partition_leader_epoch);
        self.entries.push_back(Entry {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp,
            pos,
            len: header.total_len() as u32,
        });
        self.end_offset = header.last_offset() + 1;
    }

    /// Index of the entry that holds `offset` or the next one behind it.
    fn locate(&self, offset: i64) -> usize {
        self.entries.partition_point(|e| e.last_offset < offset)
    }

    /// Where the batches before `offset`, the first of a batch, end.
    fn pos_before(&self, offset: i64) -> u64 {
        self.entries
            .get(self.locate(offset))
            .map_or(self.end_pos(), |e| e.pos)
    }

    /// Bytes a fetch from `offset` could get of what lies before `before`, without a limit.
    pub(crate) fn bytes_between(&self, offset: i64, before: i64) -> u64 {
        self.entries
            .get(self.locate(offset))
            .map_or(0, |e| self.pos_before(before).saturating_sub(e.pos))
    }

    /// The first offset of the batch `bytes` bytes behind the one that holds `offset`, or the log's end.
    pub(crate) fn offset_behind(&self, offset: i64, bytes: u64) -> i64 {
        let Some(first) = self.entries.get(self.locate(offset)) else {
            return self.end_offset;
        };
        let to = first.pos.saturating_add(bytes);
        let next = self.entries.partition_point(|e| e.pos < to);
        self.entries
            .get(next)
            .map_or(self.end_offset, |e| e.base_offset)
    }

    /// Reads from the batch that holds `offset` what lies before `before` (the first offset of a batch), at most
    /// `max_bytes`, cutting the last batch wherever that ends (as Kafka does). If the first batch does not fit, it
    /// comes whole with `at_least_one`, and nothing without.
    ///
    /// # Errors
    /// The file system's.
    pub fn read(
        &self,
        offset: i64,
        before: i64,
        max_bytes: u64,
        at_least_one: bool,
        out: &mut Vec<Bytes>,
    ) -> io::Result<u64> {
        let Some(first) = self
            .entries
            .get(self.locate(offset))
            .filter(|e| e.base_offset < before)
        else {
            return Ok(0);
        };
        let first_len = u64::from(first.len);
        if first_len > max_bytes && !at_least_one {
            return Ok(0);
        }
        let to = self
            .pos_before(before)
            .min(first.pos + max_bytes.max(first_len));
        match &self.store {
            Store::Memory(rope) => rope.slice(first.pos, to, out),
            Store::Files(files) => files.read(first.pos, to, out)?,
        }
        Ok(to - first.pos)
    }

    /// The epoch in which `offset` was written, if the history goes back so far.
    pub(crate) fn epoch_at(&self, offset: i64) -> Option<i32> {
        self.epochs
            .iter()
            .rev()
            .find(|&&(_, start)| start <= offset)
            .map(|&(epoch, _)| epoch)
    }

    /// Kafka's answer to "where did `epoch` end": the largest epoch not above it and the offset behind its last
    /// record, or `None` where it is unknown.
    pub(crate) fn end_of_epoch(&self, epoch: i32) -> Option<(i32, i64)> {
        let next = self.epochs.partition_point(|&(e, _)| e <= epoch);
        match (
            next.checked_sub(1).and_then(|i| self.epochs.get(i)),
            self.epochs.get(next),
        ) {
            _ if epoch < 0 => None,
            (Some(&(found, _)), None) if found == epoch => Some((epoch, self.end_offset)),
            (_, None) => None,
            (None, Some(&(_, start))) => Some((epoch, start)),
            (Some(&(found, _)), Some(&(_, start))) => Some((found, start)),
        }
    }

    /// Drops whole batches from the front while `keep` bytes or more are left, as retention by size does; of a log in
    /// files, whole files. Answers the bytes freed.
    pub(crate) fn retain_bytes(&mut self, keep: u64) -> u64 {
        let size = self.size();
        self.drop_while(|dropped, len| size - dropped - len >= keep)
    }

    /// Drops batches from the front until `bytes` are freed. Answers the bytes freed.
    pub fn drop_bytes(&mut self, bytes: u64) -> u64 {
        self.drop_while(|dropped, _| dropped < bytes)
    }

    /// Drops batches from the front whose records are all older than `time`, of a log in files whole files, as
    /// retention by time does. Answers the bytes freed.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn retain_since(&mut self, time: i64) -> io::Result<u64> {
        let old = |e: &&Entry| e.max_timestamp < time;
        let bytes = self
            .entries
            .iter()
            .take_while(old)
            .map(|e| u64::from(e.len))
            .sum();
        if self.entries.iter().all(|e| old(&e)) {
            // The file that grows can go too.
            self.roll()?;
        }
        Ok(self.drop_bytes(bytes))
    }

    /// Deletes what lies before `offset`, be it in the midst of a batch, which is kept whole then. Answers the bytes
    /// freed.
    pub(crate) fn delete_before(&mut self, offset: i64) -> u64 {
        if offset <= self.start_offset {
            return 0;
        }
        self.start_offset = offset.min(self.end_offset);
        self.forget_front()
    }

    /// Drops batches while `go_on` (bytes dropped so far, length of the next) says so.
    fn drop_while(&mut self, go_on: impl Fn(u64, u64) -> bool) -> u64 {
        let mut dropped = 0;
        let mut count = 0;
        for entry in &self.entries {
            if !go_on(dropped, u64::from(entry.len)) {
                break;
            }
            dropped += u64::from(entry.len);
            count += 1;
        }
        if count == 0 {
            return 0;
        }
        let start = match self.entries.get(count) {
            Some(first_kept) => first_kept.base_offset,
            None => self.end_offset,
        };
        self.start_offset = match &self.store {
            Store::Memory(_) => start.max(self.start_offset),
            Store::Files(files) => files.droppable_before(start).max(self.start_offset),
        };
        self.forget_front()
    }

    /// Forgets what lies before the start. Answers the bytes freed.
    fn forget_front(&mut self) -> u64 {
        let before = self.size();
        while self
            .entries
            .front()
            .is_some_and(|e| e.last_offset < self.start_offset)
        {
            self.entries.pop_front();
        }
        let freed = before - self.size();
        let first_pos = self.entries.front().map(|e| e.pos);
        match &mut self.store {
            Store::Memory(rope) => rope.drop_before(first_pos.unwrap_or(rope.end())),
            Store::Files(files) => files.drop_before(self.start_offset),
        }
        let start = self.start_offset;
        let keep_from = self
            .epochs
            .partition_point(|&(_, s)| s <= start)
            .saturating_sub(1);
        self.epochs.drain(..keep_from);
        freed
    }

    /// Loses the batches from the one on that holds `offset`, as in an unclean election. Of a log in memory.
    #[cfg(feature = "simulation")]
    pub fn truncate(&mut self, offset: i64) {
        let keep = self.locate(offset);
        self.entries.truncate(keep);
        let end = self.entries.back().map(|e| e.last_offset + 1);
        self.end_offset = end.unwrap_or(self.start_offset);
        let (pos, end) = (self.end_pos(), self.end_offset);
        self.clean_until = self.clean_until.min(end);
        self.active.base_offset = self.active.base_offset.min(end);
        self.epochs.retain(|(_, start)| *start <= end);
        if let Store::Memory(rope) = &mut self.store {
            // Without an entry there is no position to cut at: new ones begin where the old ones would have gone on.
            if keep > 0 {
                rope.truncate(pos);
            }
        }
    }

    /// Deletes the files, if there are any.
    pub(crate) fn delete(self) -> io::Result<()> {
        match self.store {
            Store::Memory(_) => Ok(()),
            Store::Files(files) => files.delete(),
        }
    }
}
