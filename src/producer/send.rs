//! The callers' side: checks a call, finds its partitions, encodes its records straight into their open batches.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::Producer;
use super::completion::{Outcome, Tokens};
use super::partition::{OpenBatch, Partition, PartitionQueue};
use super::partitioner::{Choice, choose};
use super::shared::{End, Shared, lock};
use super::topic::{Pending, PendingBatch, Topic};
use crate::error::{Error, ErrorCode, Result};
use crate::protocol::record::{BatchBuilder, HEADER_LEN, Records};

/// How long a call may wait for room in `buffer.memory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wait {
    /// As long as `max.block.ms` says.
    #[default]
    MaxBlock,
    /// Up to this long; zero answers AGAIN instead of waiting.
    UpTo(Duration),
}

/// One record.
#[derive(Debug, Clone, Copy, Default)]
pub struct Record<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// The partition, or `None` to let the partitioner choose.
    pub partition: Option<i32>,
    /// The key, or null.
    pub key: Option<&'a [u8]>,
    /// The value, or null (a tombstone in compacted topics).
    pub value: Option<&'a [u8]>,
    /// Headers in order; names may repeat.
    pub headers: &'a [(&'a [u8], Option<&'a [u8]>)],
    /// Milliseconds since 1970, or `None` for now.
    pub timestamp: Option<i64>,
    /// Comes back in the record's completion; 0 asks for none.
    pub token: u64,
}

thread_local! {
    /// The topic this thread used last, and its producer's number: most callers stay with one.
    static LAST_TOPIC: RefCell<Option<(u64, Arc<Topic>)>> = const { RefCell::new(None) };
}

/// Milliseconds since 1970.
fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as i64)
}

/// What one append to a partition did.
enum Appended {
    /// This many rows are in.
    Rows(usize),
    /// No row: a new batch needs this many bytes and there is no room.
    NoRoom(usize),
}

/// Rows of a call on their way to one partition.
#[derive(Clone, Copy)]
enum Rows<'a> {
    Range(usize, usize),
    List(&'a [u32]),
}

impl Rows<'_> {
    fn len(&self) -> usize {
        match self {
            Rows::Range(from, to) => to - from,
            Rows::List(list) => list.len(),
        }
    }

    fn skip(self, n: usize) -> Self {
        match self {
            Rows::Range(from, to) => Rows::Range(from + n, to),
            Rows::List(list) => Rows::List(&list[n..]),
        }
    }

    fn note(&self, tokens: &mut Tokens, token: u64, n: usize) {
        match self {
            Rows::Range(from, _) => tokens.add(token, *from as u32, n as u32),
            Rows::List(list) => tokens.add_scattered(token, &list[..n]),
        }
    }
}

/// Something to append: one record, or rows of columns.
trait Source: Copy {
    fn len(&self) -> usize;
    fn skip(self, n: usize) -> Self;
    /// Appends what fits; how many rows it took.
    fn append(&self, builder: &mut BatchBuilder) -> Result<usize>;
    fn note(&self, tokens: &mut Tokens, token: u64, n: usize);
    /// The most the next row takes.
    fn next_size(&self) -> usize;
}

#[derive(Clone, Copy)]
struct One<'a> {
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: &'a [(&'a [u8], Option<&'a [u8]>)],
    timestamp: i64,
    /// Its index in the call.
    first: u32,
}

impl Source for One<'_> {
    #[inline(always)]
    fn len(&self) -> usize {
        1
    }
    fn skip(self, _: usize) -> Self {
        self
    }
    #[inline(always)]
    fn append(&self, builder: &mut BatchBuilder) -> Result<usize> {
        builder
            .append(self.key, self.value, self.headers, self.timestamp)
            .map(usize::from)
    }
    #[inline(always)]
    fn note(&self, tokens: &mut Tokens, token: u64, _: usize) {
        tokens.add(token, self.first, 1);
    }
    fn next_size(&self) -> usize {
        record_bound(self.key, self.value, self.headers)
    }
}

#[derive(Clone, Copy)]
struct Many<'a> {
    records: &'a Records<'a>,
    rows: Rows<'a>,
}

impl Source for Many<'_> {
    fn len(&self) -> usize {
        self.rows.len()
    }
    fn skip(self, n: usize) -> Self {
        Many {
            rows: self.rows.skip(n),
            ..self
        }
    }
    fn append(&self, builder: &mut BatchBuilder) -> Result<usize> {
        match self.rows {
            Rows::Range(from, to) => builder.append_range(
                self.records,
                Range {
                    start: from,
                    end: to,
                },
            ),
            Rows::List(list) => builder.append_rows(self.records, list),
        }
    }
    fn note(&self, tokens: &mut Tokens, token: u64, n: usize) {
        self.rows.note(tokens, token, n);
    }
    fn next_size(&self) -> usize {
        let row = match self.rows {
            Rows::Range(from, _) => from,
            Rows::List(list) => list.first().map_or(0, |r| *r as usize),
        };
        self.records.size_bound(row)
    }
}

/// The most bytes a record takes in a batch.
fn record_bound(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: &[(&[u8], Option<&[u8]>)],
) -> usize {
    let headers: usize = headers
        .iter()
        .map(|(k, v)| 10 + k.len() + v.map_or(0, <[u8]>::len))
        .sum();
    36 + key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + headers
}

impl Producer {
    /// Sends one record. Its bytes are copied before this returns.
    ///
    /// # Errors
    /// RECORD_TOO_LARGE, AGAIN or BUFFER_FULL (no room in `buffer.memory` in time), CLOSED, CONNECT (no broker was
    /// ever reached), UNKNOWN_TOPIC_OR_PARTITION (the topic is known not to exist, or the partition is not one of it).
    pub fn send(&self, record: &Record<'_>, wait: Wait) -> Result<()> {
        let shared = &*self.shared;
        shared.check_open()?;
        let one = One {
            key: record.key,
            value: record.value,
            headers: record.headers,
            timestamp: record.timestamp.unwrap_or_else(now_ms),
            first: 0,
        };
        let size = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len);
        if size + 1024 > shared.config.max_request_size || !record.headers.is_empty() {
            shared.check_size(
                record.topic,
                None,
                record_bound(record.key, record.value, record.headers),
            )?;
        }
        LAST_TOPIC.with_borrow_mut(|last| {
            let topic = match last {
                Some((number, topic))
                    if *number == shared.number && *topic.name == *record.topic =>
                {
                    topic
                }
                _ => &mut last.insert((shared.number, shared.topic(record.topic)?)).1,
            };
            let partitions = match topic.partitions() {
                Some(partitions) => partitions,
                None => {
                    match shared.append_pending(topic, record.partition, one, record.token, wait) {
                        PendingEnd::Taken(_, result) => return result,
                        PendingEnd::Known(partitions, _) => partitions,
                    }
                }
            };
            let (index, sticky) = match record.partition {
                Some(p) => (valid_partition(topic, p, partitions.len())?, false),
                None => shared.choose(topic, partitions.len(), record.key),
            };
            shared
                .append_to(topic, partitions, index, sticky, one, record.token, wait)
                .1
        })
    }

    /// Sends many records of one topic, given as columns.
    ///
    /// All is checked first, then rows are taken in order: the first `accepted` of them, which is always told, also
    /// beside an error. With `partition` `None` the partitioner chooses for every record.
    ///
    /// # Errors
    /// As [`Producer::send`]; where `accepted` is short, the rest was not taken.
    pub fn send_batch(
        &self,
        topic: &str,
        partition: Option<i32>,
        records: &Records<'_>,
        token: u64,
        wait: Wait,
    ) -> (usize, Result<()>) {
        match self.try_send_batch(topic, partition, records, token, wait) {
            Ok(done) => done,
            Err(e) => (0, Err(e)),
        }
    }

    fn try_send_batch(
        &self,
        topic: &str,
        partition: Option<i32>,
        records: &Records<'_>,
        token: u64,
        wait: Wait,
    ) -> Result<(usize, Result<()>)> {
        let shared = &*self.shared;
        shared.check_open()?;
        if u32::try_from(records.rows()).is_err() {
            return Err(Error::argument("a batch call takes at most 2^32-1 records"));
        }
        shared.check_sizes(topic, records)?;
        let topic = shared.topic(topic)?;
        let mut all = Many {
            records,
            rows: Rows::Range(0, records.rows()),
        };
        let mut before = 0;
        let partitions = match topic.partitions() {
            Some(partitions) => partitions,
            None => match shared.append_pending(&topic, partition, all, token, wait) {
                PendingEnd::Taken(n, result) => return Ok((n, result)),
                PendingEnd::Known(partitions, n) => {
                    before = n;
                    all = all.skip(n);
                    partitions
                }
            },
        };
        let (n, result) = if let Some(p) = partition {
            match valid_partition(&topic, p, partitions.len()) {
                Ok(index) => shared.append_to(&topic, partitions, index, false, all, token, wait),
                Err(e) => (0, Err(e)),
            }
        } else {
            // Keyless records of a sticky partitioner go out in one run, partition after partition.
            let keyless = records.keys().rows().is_none() || shared.config.partitioner_ignore_keys;
            match shared.choose(&topic, partitions.len(), None) {
                (index, true) if keyless => {
                    shared.append_to(&topic, partitions, index, true, all, token, wait)
                }
                _ => shared.append_scattered(&topic, partitions, records, before, token, wait),
            }
        };
        Ok((before + n, result))
    }
}

fn valid_partition(topic: &Topic, partition: i32, n: usize) -> Result<usize> {
    usize::try_from(partition)
        .ok()
        .filter(|p| *p < n)
        .ok_or_else(|| {
            Error::new(
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                format!(
                    "topic '{}' has no partition {partition}: it has {n}, numbered from 0",
                    topic.name
                ),
            )
        })
}

impl Shared {
    #[inline]
    pub(super) fn check_open(&self) -> Result<()> {
        crate::net::io_thread::check_generation(self.generation)?;
        if self.closing.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorCode::CLOSED, "the producer is closed"));
        }
        if self.is_unreachable.load(Ordering::Relaxed)
            && let Some(e) = &*lock(&self.unreachable)
        {
            return Err(e.clone());
        }
        Ok(())
    }

    /// The topic of this name; at the first time the I/O thread asks for its partitions.
    pub(super) fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        let read = self
            .topics
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(topic) = read.get(name) {
            return Ok(topic.clone());
        }
        drop(read);
        check_topic_name(name)?;
        let mut write = self
            .topics
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(topic) = write.get(name) {
            return Ok(topic.clone());
        }
        let topic = Arc::new(Topic::new(name));
        write.insert(topic.name.clone(), topic.clone());
        drop(write);
        lock(&self.news).topics.push(topic.clone());
        self.waker.wake();
        Ok(topic)
    }

    fn check_size(&self, topic: &str, row: Option<usize>, bound: usize) -> Result<()> {
        let size = bound + HEADER_LEN;
        let limit = self.config.max_request_size;
        if size <= limit {
            return Ok(());
        }
        let which = row.map_or_else(String::new, |row| format!(" (row {row} of the call)"));
        Err(Error::new(
            ErrorCode::RECORD_TOO_LARGE,
            format!(
                "a record for topic '{topic}'{which} takes {size} bytes in a batch of its own, more than \
                 max.request.size={limit}; raise max.request.size (and the topic's max.message.bytes), or send less"
            ),
        ))
    }

    /// No row is taken of a call that holds one too large.
    fn check_sizes(&self, topic: &str, records: &Records<'_>) -> Result<()> {
        for row in 0..records.rows() {
            let bound = records.size_bound(row);
            if bound + HEADER_LEN > self.config.max_request_size {
                self.check_size(topic, Some(row), bound)?;
            }
        }
        Ok(())
    }

    /// The partition's index for a key, and whether it is the sticky one.
    #[inline]
    fn choose(&self, topic: &Topic, n: usize, key: Option<&[u8]>) -> (usize, bool) {
        match choose(
            self.config.partitioner,
            self.config.partitioner_ignore_keys,
            key,
            n as u32,
        ) {
            Choice::Fixed(p) => (p as usize, false),
            Choice::Sticky => (topic.sticky(n), true),
            Choice::Random => (topic.random(n), false),
            Choice::RoundRobin => (topic.next_turn(n), false),
        }
    }

    fn deadline(&self, wait: Wait) -> Option<Instant> {
        match wait {
            Wait::MaxBlock => Instant::now().checked_add(self.config.max_block),
            Wait::UpTo(Duration::ZERO) => None,
            Wait::UpTo(limit) => Instant::now().checked_add(limit),
        }
    }

    /// Waits for room, or says why there is none.
    #[cold]
    fn wait_for_room(&self, bytes: usize, wait: Wait) -> Result<()> {
        let full = |code, waited: &str| {
            Error::new(
                code,
                format!(
                    "no room in the producer's buffer{waited}: {} of buffer.memory={} bytes are taken by records and \
                     completions; wait longer, drain completions, raise buffer.memory, or check the broker's speed",
                    self.memory.used(),
                    self.memory.limit()
                ),
            )
        };
        let Some(deadline) = self.deadline(wait) else {
            self.memory.note_refused();
            return Err(full(ErrorCode::AGAIN, ""));
        };
        if !self.memory.wait(bytes, deadline) {
            self.check_open()?;
            return Err(full(ErrorCode::BUFFER_FULL, " came free in time"));
        }
        Ok(())
    }

    fn open_batch(&self, capacity: usize, charged: usize, heir_of: Option<u64>) -> OpenBatch {
        let created = Instant::now();
        OpenBatch {
            id: heir_of
                .inspect(|id| self.begin_batch_as(*id))
                .unwrap_or_else(|| self.begin_batch()),
            builder: BatchBuilder::new(self.config.batch_size, capacity),
            tokens: Tokens::default(),
            created,
            due: created + self.config.linger,
            charged,
        }
    }

    /// Appends to the open batch, opening one if need be. `paid` bytes have been charged for a new one already.
    #[inline]
    fn append_once<S: Source>(
        &self,
        queue: &mut PartitionQueue,
        source: S,
        token: u64,
        paid: &mut usize,
        opened: &mut Option<Instant>,
        heir_of: Option<u64>,
    ) -> Result<Appended> {
        let open = match &mut queue.open {
            Some(open) => open,
            None => {
                let capacity = self.first_capacity(queue.last_size, source.next_size());
                if *paid < capacity && !self.memory.try_charge(capacity - *paid) {
                    return Ok(Appended::NoRoom(capacity - *paid));
                }
                *paid = (*paid).max(capacity);
                let open =
                    queue
                        .open
                        .insert(self.open_batch(capacity, std::mem::take(paid), heir_of));
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

    /// Room for a new batch: as much as the last one took, at least for its first record.
    fn first_capacity(&self, last: usize, first_record: usize) -> usize {
        last.clamp(512, self.config.batch_size)
            .max(first_record.min(self.config.max_request_size))
    }

    /// Appends everything of `source` to a partition, or, if `sticky`, to one after the other. How many rows were
    /// taken, and what stopped it.
    #[inline]
    #[allow(clippy::too_many_arguments)]
    fn append_to<S: Source>(
        &self,
        topic: &Topic,
        partitions: &[Arc<Partition>],
        mut index: usize,
        sticky: bool,
        mut source: S,
        token: u64,
        wait: Wait,
    ) -> (usize, Result<()>) {
        let mut taken = 0;
        let mut paid = 0;
        loop {
            let partition = &partitions[index];
            let mut opened = None;
            let mut queue = partition.lock();
            let appended =
                match self.append_once(&mut queue, source, token, &mut paid, &mut opened, None) {
                    Ok(appended) => appended,
                    Err(e) => {
                        self.release(paid);
                        return (taken, Err(e));
                    }
                };
            match appended {
                Appended::NoRoom(bytes) => {
                    drop(queue);
                    if let Err(e) = self.wait_for_room(bytes, wait) {
                        self.release(paid);
                        return (taken, Err(e));
                    }
                    paid += bytes;
                }
                Appended::Rows(n) => {
                    taken += n;
                    let done = n == source.len();
                    // A batch that took nothing more is full; so is one that the next record can hardly enter.
                    let full = !done
                        || queue
                            .open
                            .as_ref()
                            .is_some_and(|o| o.builder.size() >= self.config.batch_size);
                    let closed = if full { queue.close_open() } else { None };
                    if sticky && queue.sticky_bytes >= self.config.batch_size {
                        queue.sticky_bytes = 0;
                        topic.move_sticky(index, topic.random(partitions.len()));
                    }
                    drop(queue);
                    if let Some(open) = closed {
                        self.seal_into(partition, open);
                        self.announce(partition, None);
                    } else if let Some(due) = opened {
                        self.announce(partition, Some(due));
                    }
                    if done {
                        self.release(paid);
                        return (taken, Ok(()));
                    }
                    source = source.skip(n);
                    if sticky {
                        index = topic.sticky(partitions.len());
                    }
                }
            }
        }
    }

    /// Seals a closed batch and puts it into its place.
    pub(super) fn seal_into(&self, partition: &Partition, open: OpenBatch) {
        let id = open.id;
        match self.seal(open) {
            Ok(batch) => partition.lock().fill_place(id, Some(batch)),
            Err((error, rest)) => {
                partition.lock().fill_place(id, None);
                let mut count = 0;
                rest.tokens.for_each(|_, _, n, _| count += u64::from(n));
                let end = End {
                    partition: (&partition.topic, partition.index),
                    outcome: Outcome::NotWritten,
                    base_offset: -1,
                    timestamp: -1,
                    error: Some(&error),
                };
                self.complete_tokens(rest.id, &rest.tokens, rest.charged, count, &end);
            }
        }
    }

    /// Rows go where their keys say: partitions are computed first, rows grouped, then each partition is locked once.
    /// The call is taken in slices, each wholly or not at all, so that what was accepted is always a prefix.
    fn append_scattered(
        &self,
        topic: &Topic,
        partitions: &[Arc<Partition>],
        records: &Records<'_>,
        begin: usize,
        token: u64,
        wait: Wait,
    ) -> (usize, Result<()>) {
        /// Bounds of a slice: it is let in at once, so they are what `buffer.memory` may be passed by.
        const SLICE_ROWS: usize = 16 * 1024;
        const SLICE_BYTES: usize = 1 << 20;
        let mut chosen: Vec<u32> = Vec::with_capacity(SLICE_ROWS.min(records.rows() - begin));
        let mut rows: Vec<u32> = Vec::new();
        let mut ends: Vec<u32> = Vec::new();
        let mut from = begin;
        while from < records.rows() {
            if self.memory.used() >= self.memory.limit() {
                if let Err(e) = self.wait_for_room(1, wait) {
                    return (from - begin, Err(e));
                }
                self.release(1);
            }
            chosen.clear();
            ends.clear();
            ends.resize(partitions.len(), 0);
            let mut bytes = 0;
            let mut to = from;
            while to < records.rows() && to - from < SLICE_ROWS && bytes < SLICE_BYTES {
                let p = self
                    .choose(topic, partitions.len(), records.keys().get(to))
                    .0;
                chosen.push(p as u32);
                ends[p] += 1;
                bytes += records.size_bound(to);
                to += 1;
            }
            let mut sum = 0;
            for end in &mut ends {
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
            let mut start = 0;
            for (index, end) in ends.iter().enumerate() {
                let list = &rows[start..*end as usize];
                start = *end as usize;
                if !list.is_empty()
                    && let Err(e) = self.append_forced(
                        &partitions[index],
                        Many {
                            records,
                            rows: Rows::List(list),
                        },
                        token,
                        None,
                    )
                {
                    return (from - begin, Err(e));
                }
            }
            from = to;
        }
        (from - begin, Ok(()))
    }

    /// Appends everything whether there is room or not; the caller bounds how much that is.
    fn append_forced<S: Source>(
        &self,
        partition: &Arc<Partition>,
        mut source: S,
        token: u64,
        heir_of: Option<u64>,
    ) -> Result<()> {
        loop {
            let mut opened = None;
            let mut paid = 0;
            let mut queue = partition.lock();
            if queue.open.is_none() {
                // Where room is short a batch starts small, so that many partitions don't take it unused.
                if self.memory.used() + queue.last_size > self.memory.limit() {
                    queue.last_size = 0;
                }
                paid = self.first_capacity(queue.last_size, source.next_size());
                self.memory.force_charge(paid);
            }
            let n = match self.append_once(
                &mut queue,
                source,
                token,
                &mut paid,
                &mut opened,
                heir_of,
            )? {
                Appended::Rows(n) => n,
                Appended::NoRoom(_) => 0,
            };
            let done = n == source.len();
            let closed = if done { None } else { queue.close_open() };
            drop(queue);
            if let Some(open) = closed {
                self.seal_into(partition, open);
                self.announce(partition, None);
            } else if let Some(due) = opened {
                self.announce(partition, Some(due));
            }
            if done {
                return Ok(());
            }
            source = source.skip(n);
        }
    }

    /// Keeps records whose topic's partitions are not known yet.
    fn append_pending<'t, S: Source>(
        &self,
        topic: &'t Arc<Topic>,
        partition: Option<i32>,
        mut source: S,
        token: u64,
        wait: Wait,
    ) -> PendingEnd<'t> {
        let wish = partition.unwrap_or(-1);
        let mut taken = 0;
        let mut paid = 0;
        let end = loop {
            let mut pending = topic.pending();
            // Looked at under the lock under which the I/O thread empties the pending records.
            if let Some(partitions) = topic.partitions() {
                break PendingEnd::Known(partitions, taken);
            }
            if let Some(e) = &pending.refused {
                break PendingEnd::Taken(taken, Err(e.clone()));
            }
            let fits = pending
                .batches
                .back()
                .is_some_and(|b| b.partition == wish && !b.full);
            if !fits {
                let capacity = self.first_capacity(0, source.next_size());
                if paid < capacity && !self.memory.try_charge(capacity - paid) {
                    drop(pending);
                    match self.wait_for_room(capacity - paid, wait) {
                        Ok(()) => paid = capacity,
                        Err(e) => break PendingEnd::Taken(taken, Err(e)),
                    }
                    continue;
                }
                paid = paid.max(capacity);
                let open = self.open_batch(capacity, std::mem::take(&mut paid), None);
                pending.batches.push_back(PendingBatch {
                    partition: wish,
                    open,
                    full: false,
                });
            }
            let Some(batch) = pending.batches.back_mut() else {
                continue;
            };
            let n = match source.append(&mut batch.open.builder) {
                Ok(n) => n,
                Err(e) => break PendingEnd::Taken(taken, Err(e)),
            };
            let grown = batch
                .open
                .builder
                .capacity()
                .saturating_sub(batch.open.charged);
            self.memory.force_charge(grown);
            batch.open.charged += grown;
            source.note(&mut batch.open.tokens, token, n);
            taken += n;
            batch.full = n < source.len();
            if n == source.len() {
                break PendingEnd::Taken(taken, Ok(()));
            }
            source = source.skip(n);
        };
        self.release(paid);
        end
    }

    /// Sends a topic's pending records on to its partitions, now that they are known. Runs on the I/O thread.
    pub(super) fn resolve_pending(&self, topic: &Topic, partitions: Vec<Arc<Partition>>) {
        let mut pending = topic.pending();
        for batch in pending.batches.drain(..) {
            let OpenBatch {
                id,
                builder,
                tokens,
                charged,
                ..
            } = batch.open;
            let mut owners = Vec::new();
            tokens.for_each(|token, first, count, indices| match indices {
                Some(own) => owners.extend(own.iter().map(|i| (token, *i))),
                None => owners
                    .extend((0..count).map(|i| (token, if token == 0 { 0 } else { first + i }))),
            });
            let mut owners = owners.into_iter();
            let mut failed: Option<Error> = None;
            let mut lost = Tokens::default();
            let mut lost_count = 0;
            let result = builder
                .seal(crate::protocol::compress::Codec::None, None)
                .and_then(|sealed| {
                    sealed.for_each_record(|key, value, headers, timestamp| {
                        let (token, first) = owners.next().unwrap_or((0, 0));
                        let one = One {
                            key,
                            value,
                            headers,
                            timestamp,
                            first,
                        };
                        let index = match batch.partition {
                            -1 => Ok(self.choose(topic, partitions.len(), key).0),
                            p => valid_partition(topic, p, partitions.len()),
                        };
                        match index
                            .and_then(|i| self.append_forced(&partitions[i], one, token, Some(id)))
                        {
                            Ok(()) => {}
                            Err(e) => {
                                failed.get_or_insert(e);
                                lost.add(token, first, 1);
                                lost_count += 1;
                            }
                        }
                    })
                });
            if let Err(e) = result {
                failed.get_or_insert(e);
                for (token, first) in owners {
                    lost.add(token, first, 1);
                    lost_count += 1;
                }
            }
            let end = End {
                partition: (&topic.name, batch.partition),
                outcome: Outcome::NotWritten,
                base_offset: -1,
                timestamp: -1,
                error: failed.as_ref(),
            };
            self.complete_tokens(id, &lost, charged, lost_count, &end);
        }
        topic.set_partitions(partitions);
    }

    /// Fails a topic's pending records for which `give_up` is true.
    pub(super) fn fail_pending(
        &self,
        pending: &mut Pending,
        topic: &Topic,
        error: &Error,
        give_up: impl Fn(Instant) -> bool,
    ) {
        while pending
            .batches
            .front()
            .is_some_and(|b| give_up(b.open.created))
        {
            let Some(batch) = pending.batches.pop_front() else {
                break;
            };
            let end = End {
                partition: (&topic.name, batch.partition),
                outcome: Outcome::NotWritten,
                base_offset: -1,
                timestamp: -1,
                error: Some(error),
            };
            let open = batch.open;
            self.complete_tokens(
                open.id,
                &open.tokens,
                open.charged,
                open.builder.count() as u64,
                &end,
            );
        }
    }
}

/// How an append to a topic's pending records ended.
enum PendingEnd<'t> {
    /// So many rows were taken.
    Taken(usize, Result<()>),
    /// After so many rows the partitions became known.
    Known(&'t [Arc<Partition>], usize),
}

/// Kafka's rule for topic names.
fn check_topic_name(name: &str) -> Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !name.is_empty()
        && name.len() <= 249
        && name != "."
        && name != ".."
        && name.chars().all(legal)
    {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::INVALID_TOPIC_EXCEPTION,
        format!(
            "'{name}' cannot be a topic's name: 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-', not just '.' or '..'"
        ),
    ))
}
