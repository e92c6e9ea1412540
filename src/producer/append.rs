//! Appending to partitions' open batches, within `buffer.memory`.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::buffer::Need;
use super::partition::{OpenBatch, Partition, PartitionQueue};
use super::send::{Wait, closed};
use super::shared::Shared;
use super::source::{Many, Rows, Source};
use super::topic::Topic;
use crate::error::{Error, ErrorCode, Result};
use crate::protocol::record::{BatchBuilder, Records};

/// What one append to a partition did.
enum Appended {
    /// This many rows are in.
    Rows(usize),
    /// No row: a new batch needs this much and there is no room.
    NoRoom(Need),
}

/// Bounds of a slice of a scattered call: it is let in at once, so they are what `buffer.memory` may be passed by.
const SLICE_ROWS: usize = 16 * 1024;
const SLICE_BYTES: usize = 1 << 20;

/// Where a slice's rows go; kept by each thread from one call to the next.
#[derive(Default)]
struct Scratch {
    /// The partition of each row.
    chosen: Vec<u32>,
    /// Rows grouped by partition.
    rows: Vec<u32>,
    /// Where each partition's rows end.
    ends: Vec<u32>,
}

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

impl Shared {
    /// Waits for room, or says why there is none.
    #[cold]
    pub(super) fn wait_for_room(&self, need: Need, wait: Wait) -> Result<usize> {
        let (partition, records) = (need.partition.clone(), need.records > 0);
        let full = |code, waited: &str| {
            if records {
                return Error::new(
                    code,
                    format!(
                        "no room in the producer's buffer{waited}: it holds {} records, and buffer.records={}; wait longer, \
                         raise buffer.records, or check the broker's speed{}",
                        self.memory.records(),
                        self.memory.record_limit(),
                        self.trouble_text()
                    ),
                );
            }
            let own = partition.as_ref().map_or_else(String::new, |own| {
                let held = own.backlog.bytes();
                format!(", {held} of them by this partition's records")
            });
            Error::new(
                code,
                format!(
                    "no room in the producer's buffer{waited}: {} of buffer.memory={} bytes are taken by records and \
                     completions{own}; wait longer, drain completions, raise buffer.memory, or check the broker's speed{}",
                    self.memory.used(),
                    self.memory.limit(),
                    self.trouble_text()
                ),
            )
        };
        // Nothing is on its way whose end could bring room: what lingers goes now.
        if self.memory.is_idle() {
            self.begin_flush();
        }
        let Some(deadline) = self.deadline(wait) else {
            let late = self.memory.note_refused(&need);
            return late.ok_or_else(|| full(ErrorCode::AGAIN, ""));
        };
        match self.memory.wait(need, deadline) {
            Some(records) => Ok(records),
            None => {
                self.check_open()?;
                Err(full(ErrorCode::BUFFER_FULL, " came free in time"))
            }
        }
    }

    /// Takes room for up to `n` records, waiting for that of the first; for how many there was.
    #[inline]
    pub(super) fn admit(&self, n: usize, wait: Wait) -> Result<usize> {
        match self.memory.admit(n) {
            0 => self.wait_for_room(Need::records(n), wait),
            admitted => Ok(admitted),
        }
    }

    /// Gives room for records back that did not come.
    #[inline]
    pub(super) fn dismiss(&self, n: usize) {
        if self.memory.dismiss(n) {
            self.completions.poke();
        }
    }

    pub(super) fn deadline(&self, wait: Wait) -> Option<Instant> {
        match wait {
            Wait::MaxBlock => self.clock.now().checked_add(self.config.max_block),
            Wait::UpTo(Duration::ZERO) => None,
            Wait::UpTo(limit) => self.clock.now().checked_add(limit),
        }
    }

    pub(super) fn open_batch(
        &self,
        linger: Duration,
        builder: BatchBuilder,
        charged: usize,
        id: u64,
    ) -> OpenBatch {
        let created = self.clock.now();
        OpenBatch {
            id,
            builder,
            tokens: self.spare_tokens.take(),
            created,
            due: created + linger,
            charged,
        }
    }

    /// Appends to the open batch, opening one if need be. `paid` bytes have been charged for a new one already.
    /// `moving`: the records were in the buffer all along and are still counted there, so they need no room; in a full
    /// buffer no batch would grow beyond its first record otherwise.
    #[inline]
    #[allow(clippy::too_many_arguments)]
    fn append_once<S: Source>(
        &self,
        partition: &Arc<Partition>,
        queue: &mut PartitionQueue,
        source: S,
        token: u64,
        paid: &mut usize,
        opened: &mut Option<Instant>,
        heir_of: Option<u64>,
        moving: bool,
    ) -> Result<Appended> {
        let open = match &mut queue.open {
            // Where there is no room to grow the batch is full, and the next one has to wait for room: else each of many
            // partitions could grow its batch past the limit.
            Some(open)
                if open.builder.spare() < source.next_size()
                    && !moving
                    && !self.may_grow(&open.builder) =>
            {
                return Ok(Appended::Rows(0));
            }
            Some(open) => open,
            None => {
                if queue.closed {
                    return Err(closed());
                }
                let capacity = self.first_capacity(queue.last_size, source.next_size());
                if *paid < capacity {
                    let need = Need {
                        bytes: capacity - *paid,
                        records: 0,
                        partition: Some(partition.clone()),
                    };
                    if !self.memory.try_charge(&need) {
                        return Ok(Appended::NoRoom(need));
                    }
                }
                *paid = (*paid).max(capacity);
                let builder = BatchBuilder::try_new(self.config.batch_size, capacity)?;
                let id = match heir_of {
                    Some(id) => {
                        self.begin_batch_as(id);
                        id
                    }
                    None => self.begin_batch()?,
                };
                let paid = std::mem::take(paid);
                let open = self.open_batch(partition.settings().linger, builder, paid, id);
                let open = queue.open.insert(Box::new(open));
                *opened = Some(open.due);
                open
            }
        };
        let before = open.builder.capacity();
        let n = source.append(&mut open.builder)?;
        let grown = open.builder.capacity();
        if grown != before || open.charged < grown {
            let more = grown.saturating_sub(open.charged);
            self.memory.force_charge(more);
            open.charged += more;
        }
        if n > 0 {
            source.note(&mut open.tokens, token, n);
        }
        Ok(Appended::Rows(n))
    }

    /// Whether a batch that has records may take up more of `buffer.memory`: it doubles.
    #[cold]
    pub(super) fn may_grow(&self, builder: &BatchBuilder) -> bool {
        self.memory.used() + builder.capacity() <= self.memory.limit()
    }

    /// Room for a new batch: as much as the last one took, at least for its first record.
    pub(super) fn first_capacity(&self, last: usize, first_record: usize) -> usize {
        last.max(256)
            .min(self.config.batch_size)
            .max(first_record.min(self.config.max_request_size))
    }

    /// Appends everything of `source` to a partition, or, if `sticky`, to one after the other. How many rows were
    /// taken, and what stopped it.
    #[inline]
    #[allow(clippy::too_many_arguments)]
    pub(super) fn append_to<'t, S: Source>(
        &self,
        topic: &'t Topic,
        mut partitions: &'t [Arc<Partition>],
        mut index: usize,
        sticky: bool,
        mut source: S,
        token: u64,
        wait: Wait,
    ) -> (usize, Result<()>) {
        let mut taken = 0;
        let mut paid = 0;
        // Records let in by `buffer.records` and not appended yet.
        let mut admitted = 0;
        let mut moved = false;
        let result = loop {
            let mut partition = &partitions[index];
            if sticky && !moved && !partition.is_available() {
                moved = true;
                topic.move_sticky(partitions, index);
                index = topic.sticky(partitions.len());
                partition = &partitions[index];
            }
            if admitted == 0 {
                admitted = match self.admit(source.len(), wait) {
                    Ok(admitted) => admitted,
                    Err(e) => break Err(e),
                };
            }
            let part = source.limit(admitted);
            let mut opened = None;
            let mut queue = partition.lock();
            let appended = match self.append_once(
                partition,
                &mut queue,
                part,
                token,
                &mut paid,
                &mut opened,
                None,
                false,
            ) {
                Ok(appended) => appended,
                Err(e) => break Err(e),
            };
            match appended {
                Appended::NoRoom(need) => {
                    drop(queue);
                    if sticky && !moved {
                        // The broker of another partition may keep up better.
                        moved = true;
                        topic.move_sticky(partitions, index);
                        index = topic.sticky(partitions.len());
                        continue;
                    }
                    let bytes = need.bytes;
                    if let Err(e) = self.wait_for_room(need, wait) {
                        break Err(e);
                    }
                    paid += bytes;
                    // The topic may have been created anew with fewer meanwhile.
                    if sticky {
                        partitions = topic.partitions().unwrap_or(partitions);
                        index = topic.sticky(partitions.len());
                    }
                }
                Appended::Rows(n) => {
                    taken += n;
                    admitted -= n;
                    let done = n == source.len();
                    // A batch that took nothing more is full; so is one that the next record can hardly enter.
                    let full = n < part.len()
                        || queue
                            .open
                            .as_ref()
                            .is_some_and(|o| o.builder.size() >= self.config.batch_size);
                    let full_one = if full { queue.close_open() } else { None };
                    if sticky && queue.sticky_bytes >= self.config.batch_size {
                        queue.sticky_bytes = 0;
                        topic.move_sticky(partitions, index);
                    }
                    drop(queue);
                    self.hand_over(partition, full_one, opened);
                    if done {
                        break Ok(());
                    }
                    source = source.skip(n);
                    if sticky {
                        index = topic.sticky(partitions.len());
                    }
                }
            }
        };
        self.release(paid);
        self.dismiss(admitted);
        (taken, result)
    }

    /// After an append, without the lock: a full batch is sealed, and the I/O thread told of it or of a new open one.
    #[inline]
    fn hand_over(
        &self,
        partition: &Arc<Partition>,
        full: Option<OpenBatch>,
        opened: Option<Instant>,
    ) {
        if let Some(open) = full {
            self.seal_and_announce(partition, open);
        } else if let Some(due) = opened {
            self.announce(partition, Some(due));
        }
    }

    /// Rows go where their keys say: partitions are computed first, rows grouped, then each partition is locked once.
    /// The call is taken in slices, each wholly or not at all, so that what was accepted is always a prefix.
    pub(super) fn append_scattered(
        &self,
        topic: &Topic,
        partitions: &[Arc<Partition>],
        records: &Records<'_>,
        begin: usize,
        token: u64,
        wait: Wait,
    ) -> (usize, Result<()>) {
        let mut scratch = SCRATCH.take();
        let result =
            self.append_slices(&mut scratch, topic, partitions, records, begin, token, wait);
        SCRATCH.set(scratch);
        result
    }

    #[allow(clippy::too_many_arguments)]
    fn append_slices(
        &self,
        scratch: &mut Scratch,
        topic: &Topic,
        partitions: &[Arc<Partition>],
        records: &Records<'_>,
        begin: usize,
        token: u64,
        wait: Wait,
    ) -> (usize, Result<()>) {
        let Scratch { chosen, rows, ends } = scratch;
        let mut from = begin;
        while from < records.rows() {
            if self.memory.used() >= self.memory.limit() {
                if let Err(e) = self.wait_for_room(Need::any(1), wait) {
                    return (from - begin, Err(e));
                }
                self.release(1);
            }
            let mut admitted = match self.admit(SLICE_ROWS.min(records.rows() - from), wait) {
                Ok(admitted) => admitted,
                Err(e) => return (from - begin, Err(e)),
            };
            chosen.clear();
            ends.clear();
            ends.resize(partitions.len(), 0);
            let mut bytes = 0;
            let mut to = from;
            while to - from < admitted && bytes < SLICE_BYTES {
                let key = records.keys().get(to);
                let p = match self.choose(topic, partitions.len(), key) {
                    Ok((p, _)) => p,
                    Err(e) => {
                        self.dismiss(admitted);
                        return (
                            from - begin,
                            Err(e.context(format_args!("row {to} of the call"))),
                        );
                    }
                };
                chosen.push(p as u32);
                ends[p] += 1;
                bytes += records.size_bound(to);
                to += 1;
            }
            let mut sum = 0;
            for end in ends.iter_mut() {
                let count = *end;
                *end = sum;
                sum += count;
            }
            rows.clear();
            rows.resize(to - from, 0);
            for (i, p) in chosen.iter().enumerate() {
                let at = &mut ends[*p as usize];
                rows[*at as usize] = (from + i) as u32;
                *at += 1;
            }
            // The slice goes in wholly or not at all, so neither a transaction's end nor a close may come between: this id
            // counts as a living batch, and the batches that the slice opens take it over.
            let hold = match self.begin_batch() {
                Ok(hold) => hold,
                Err(e) => {
                    self.dismiss(admitted);
                    return (from - begin, Err(e));
                }
            };
            let mut start = 0;
            let mut result = Ok(());
            for (index, end) in ends.iter().enumerate() {
                let list = &rows[start..*end as usize];
                start = *end as usize;
                if list.is_empty() {
                    continue;
                }
                let source = Many {
                    records,
                    rows: Rows::List(list),
                };
                result = self.append_forced(
                    topic,
                    partitions,
                    index,
                    source,
                    token,
                    Some(hold),
                    &mut admitted,
                    false,
                );
                if result.is_err() {
                    break;
                }
            }
            self.end_batch(hold);
            if self.transactions.is_some() {
                self.waker.wake();
            }
            self.dismiss(admitted);
            if result.is_err() {
                return (from - begin, result);
            }
            from = to;
        }
        (from - begin, Ok(()))
    }

    /// Appends everything whether there is room or not; the caller bounds how much that is. Takes what it appends off
    /// `admitted`. For `moving` see [`Shared::append_once`].
    #[allow(clippy::too_many_arguments)]
    pub(super) fn append_forced<S: Source>(
        &self,
        topic: &Topic,
        partitions: &[Arc<Partition>],
        index: usize,
        mut source: S,
        token: u64,
        heir_of: Option<u64>,
        admitted: &mut usize,
        moving: bool,
    ) -> Result<()> {
        let partition = &partitions[index];
        loop {
            let mut opened = None;
            let mut paid = 0;
            let mut queue = partition.lock();
            if queue.open.is_none() {
                // Where room is short a batch starts small, so that many partitions don't take it unused.
                if !moving && self.memory.used() + queue.last_size > self.memory.limit() {
                    queue.last_size = 0;
                }
                paid = self.first_capacity(queue.last_size, source.next_size());
                self.memory.force_charge(paid);
            }
            let appended = self.append_once(
                partition,
                &mut queue,
                source,
                token,
                &mut paid,
                &mut opened,
                heir_of,
                moving,
            );
            let n = match appended {
                Ok(Appended::Rows(n)) => n,
                Ok(Appended::NoRoom(_)) => 0,
                Err(e) => {
                    self.release(paid);
                    return Err(e);
                }
            };
            *admitted -= n;
            let done = n == source.len();
            let full_one = if done { None } else { queue.close_open() };
            if full_one.is_some() && queue.sticky_bytes >= self.config.batch_size {
                queue.sticky_bytes = 0;
                topic.move_sticky(partitions, index);
            }
            drop(queue);
            self.hand_over(partition, full_one, opened);
            if done {
                return Ok(());
            }
            source = source.skip(n);
        }
    }
}
