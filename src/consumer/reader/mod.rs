//! The polling thread's part: checks, decompresses and indexes what was fetched.
//!
//! Nothing here holds a lock that the I/O thread needs while it works on bytes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::client::event::{Event, EventKind};
use crate::client::inbox::Item;
use crate::consumer::chunk::{Chunk, Data, Open, Source};
use crate::consumer::partition::Partition;
use crate::consumer::shared::{Command, Shared};
use crate::error::{Error, Result};
use crate::memory::PoolBuf;
use crate::protocol::compress::{Codec, decompress};
use crate::protocol::record::{
    BatchHeader, ColumnSet, ControlType, HEADER_LEN, RecordCursor, TimestampType, legacy,
    verify_crc,
};
use crate::reading::batch::{Batch, Segment};
use crate::reading::buffer::Buffer;
use crate::reading::poll::Polled;

/// Encoded bytes of records that one poll delivers at most (one larger record passes): enough that calls cost
/// nothing beside them, and few enough that a batch is still in the processor's cache when it is read.
const MAX_POLL_BYTES: usize = 4 << 20;
/// A buffer that batches are decompressed into, one behind the other, is closed once it holds this much.
const SCRATCH_FULL: usize = 1 << 20;

/// What the polls of one consumer keep from one to the next.
#[derive(Default)]
pub(super) struct Reader {
    /// Chunks taken from the queue and not finished.
    work: VecDeque<Chunk>,
    /// Stale chunks, to be dropped outside the queue's lock.
    stale: Vec<Chunk>,
    /// Partitions of the batch delivered last.
    delivered: Vec<Arc<Partition>>,
    /// Keys of control records.
    control: ColumnSet,
    /// The revocation that was told last: the next poll acknowledges it.
    revocation: Option<u64>,
}

/// Why filling a batch from a chunk ended.
enum Filled {
    /// Everything in it was delivered or passed over.
    Done,
    /// The batch is as large as it may get.
    Full,
    /// The rest of it cannot be read.
    Broken(Event),
}

/// Where the records of the segment under way lie.
enum Place {
    Buffer(Buffer),
    /// In [`Filling::scratch`].
    Scratch,
}

/// The segment under way: rows from `first` on.
struct Under {
    place: Place,
    first: usize,
    timestamp_type: TimestampType,
    leader_epoch: i32,
}

/// A batch being filled.
struct Filling<'a> {
    shared: &'a Shared,
    batch: Batch,
    max_records: usize,
    bytes_left: usize,
    /// Batches decompressed one behind the other.
    scratch: Option<PoolBuf>,
    under: Option<Under>,
}

impl Reader {
    pub(super) fn poll(
        &mut self,
        shared: &Shared,
        max_records: usize,
        timeout: Duration,
    ) -> Result<Polled> {
        self.advance();
        if let Some(number) = self.revocation.take() {
            // After the line above, so that what was read of the partitions is committed with them.
            shared.command(Command::Acknowledge(number));
        }
        let start = shared.clock.now();
        loop {
            shared.inbox.check()?;
            let mut event = None;
            let passed = shared.clock.now().saturating_duration_since(start);
            let left = timeout.saturating_sub(passed);
            let drained = shared.inbox.items.take_with(left, |items| {
                self.take(shared, items, max_records, &mut event)
            });
            for chunk in self.stale.drain(..) {
                shared.discard(chunk);
            }
            if !shared.inbox.goes_on(drained)? {
                return Ok(Polled::Nothing);
            }
            if let Some(event) = event {
                if event.kind == EventKind::PartitionsRevoked {
                    self.revocation = Some(event.token);
                }
                return Ok(Polled::Event(event));
            }
            match self.fill(shared, max_records) {
                // What was passed over needs nobody to have read it.
                batch if batch.is_empty() => self.advance(),
                batch => {
                    let records = batch.len() as u64;
                    shared.delivered.fetch_add(records, Ordering::Relaxed);
                    return Ok(Polled::Batch(batch));
                }
            }
        }
    }

    /// Counts what was delivered as read.
    pub(super) fn advance(&mut self) {
        for partition in self.delivered.drain(..) {
            partition.advance();
        }
    }

    /// Takes an event, or chunks until they hold enough records; under the queue's lock.
    fn take(
        &mut self,
        shared: &Shared,
        items: &mut VecDeque<Item<Chunk>>,
        max_records: usize,
        event: &mut Option<Event>,
    ) -> usize {
        let (mut taken, mut records) = (0, 0);
        while records < max_records {
            match items.pop_front() {
                Some(Item::Event(e)) if taken == 0 => {
                    *event = Some(e);
                    return 1;
                }
                Some(Item::Event(e)) => {
                    items.push_front(Item::Event(e));
                    break;
                }
                Some(Item::Chunk(chunk)) if chunk.is_stale() => self.stale.push(chunk),
                Some(Item::Chunk(chunk)) if chunk.partition.paused() => shared.stash(chunk),
                Some(Item::Chunk(chunk)) => {
                    records += chunk.records_left;
                    self.work.push_back(chunk);
                }
                None => break,
            }
            taken += 1;
        }
        taken
    }

    /// Makes a batch of the work; what is left of it goes back to the queue's front.
    fn fill(&mut self, shared: &Shared, max_records: usize) -> Batch {
        let mut filling = Filling {
            shared,
            batch: Batch::take(),
            max_records,
            bytes_left: MAX_POLL_BYTES,
            scratch: None,
            under: None,
        };
        let mut event = None;
        while let Some(mut chunk) = self.work.pop_front() {
            let before = filling.batch.len();
            let filled = filling.fill(&mut chunk, &mut self.control);
            filling.close(&mut chunk);
            let added = filling.batch.len() > before;
            let (segment, offsets) = (
                filling.batch.segments.last(),
                &filling.batch.columns.offsets,
            );
            let last = segment.zip(offsets.last()).filter(|_| added);
            let last = last.map(|(s, offset)| (offset.saturating_add(1), s.leader_epoch));
            chunk
                .partition
                .delivered(chunk.generation, chunk.min_offset, last);
            if added || matches!(filled, Filled::Done) {
                self.delivered.push(chunk.partition.clone());
            }
            match filled {
                Filled::Done => shared.discard(chunk),
                Filled::Full => {
                    shared.release_read(&mut chunk);
                    self.work.push_front(chunk);
                    break;
                }
                Filled::Broken(e) => {
                    let (partition, generation) = (chunk.partition.clone(), chunk.generation);
                    shared.discard(chunk);
                    if let Some(generation) = partition.end_generation(generation) {
                        shared.command(Command::Stop {
                            partition,
                            generation,
                        });
                        event = Some(e);
                    }
                    break;
                }
            }
        }
        let batch = filling.batch;
        if !self.work.is_empty() || event.is_some() {
            shared.give_back(&mut self.work, event);
        }
        batch
    }
}

impl Filling<'_> {
    fn rows_left(&self) -> usize {
        self.max_records.saturating_sub(self.batch.len())
    }

    fn fill(&mut self, chunk: &mut Chunk, control: &mut ColumnSet) -> Filled {
        let buffer = match chunk.data.take() {
            None => return Filled::Done,
            Some(Data::Fresh(buf)) => self.shared.memory.hold(buf),
            Some(Data::Shared(buffer)) => buffer,
        };
        chunk.data = Some(Data::Shared(buffer.clone()));
        loop {
            if self.rows_left() == 0 || self.bytes_left == 0 {
                if chunk.open.is_none()
                    && let Err(e) = self.pass_markers(chunk, &buffer, control)
                {
                    return Filled::Broken(self.broken(chunk, &e));
                }
                return if chunk.bytes_left() == 0 && chunk.open.is_none() {
                    Filled::Done
                } else {
                    Filled::Full
                };
            }
            if chunk.open.is_some() {
                match self.index(chunk, &buffer) {
                    Ok(true) => continue,
                    Ok(false) => return Filled::Full,
                    Err(e) => return Filled::Broken(self.broken(chunk, &e)),
                }
            }
            match self.open(chunk, &buffer, control) {
                Ok(true) => {}
                Ok(false) => return Filled::Done,
                Err(e) => return Filled::Broken(self.broken(chunk, &e)),
            }
        }
    }

    /// Passes over control batches, so that a commit of the records before them covers them.
    fn pass_markers(
        &self,
        chunk: &mut Chunk,
        buffer: &Buffer,
        control: &mut ColumnSet,
    ) -> Result<()> {
        loop {
            let rest = buffer.get(chunk.at..).unwrap_or_default();
            // What is broken, or of an older format, is for whoever opens it.
            let header = BatchHeader::parse(rest).ok().flatten();
            let Some(header) = header.filter(|h| h.attributes.is_control()) else {
                return Ok(());
            };
            let Some(batch) = rest.get(..header.total_len()) else {
                return Ok(());
            };
            if header.last_offset() >= chunk.min_offset {
                if self.shared.config.check_crcs && !planted!("crc-unchecked") {
                    verify_crc(batch)?;
                }
                self.passes_over(chunk, &header, &batch[HEADER_LEN..], control)?;
                chunk.min_offset = header.last_offset().saturating_add(1);
            }
            chunk.passed(&header);
        }
    }

    /// Opens the next batch that has something to deliver; false if there is none.
    fn open(
        &mut self,
        chunk: &mut Chunk,
        buffer: &Buffer,
        control: &mut ColumnSet,
    ) -> Result<bool> {
        loop {
            let rest = buffer.get(chunk.at..).unwrap_or_default();
            let header = match BatchHeader::parse(rest) {
                Ok(Some(header)) => header,
                Ok(None) => return Ok(false),
                Err(e) => {
                    // Asked only here, so that older formats cost batches nothing.
                    let Some(message) = legacy::Entry::parse(rest)? else {
                        return if legacy::is_message(rest) {
                            Ok(false)
                        } else {
                            Err(e)
                        };
                    };
                    if message.offset >= chunk.min_offset {
                        return self.open_messages(chunk, rest);
                    }
                    chunk.records_left = chunk.records_left.saturating_sub(1);
                    chunk.at += message.len;
                    continue;
                }
            };
            let Some(batch) = rest.get(..header.total_len()) else {
                return Ok(false);
            };
            let next_offset = header.last_offset().saturating_add(1);
            if header.last_offset() >= chunk.min_offset {
                if self.shared.config.check_crcs && !planted!("crc-unchecked") {
                    verify_crc(batch)?;
                }
                if !self.passes_over(chunk, &header, &batch[HEADER_LEN..], control)? {
                    let records = chunk.at + HEADER_LEN..chunk.at + header.total_len();
                    let (source, cursor) = self.expand(chunk, buffer, records, &header)?;
                    chunk.at += header.total_len();
                    chunk.open = Some(Open {
                        source,
                        cursor,
                        next_offset,
                        leader_epoch: header.partition_leader_epoch,
                        timestamp_type: header.attributes.timestamp_type(),
                    });
                    return Ok(true);
                }
                chunk.min_offset = next_offset;
            }
            chunk.passed(&header);
        }
    }

    /// Opens messages of formats 0 and 1 as a batch; false if there is none.
    #[cold]
    fn open_messages(&mut self, chunk: &mut Chunk, rest: &[u8]) -> Result<bool> {
        let limits = legacy::Limits {
            check_crcs: self.shared.config.check_crcs,
            run_bytes: SCRATCH_FULL,
            decompressed_bytes: self.shared.config.decompression_max_bytes,
        };
        let scratch = self.scratch(chunk, 0)?;
        let start = scratch.len();
        let Some(messages) = legacy::convert(rest, limits, scratch)? else {
            return Ok(false);
        };
        let header = messages.header;
        let cursor = RecordCursor::open(scratch, start..scratch.len(), &header)?;
        chunk.at += messages.len;
        // What a wrapper holds is known only now.
        chunk.records_left =
            chunk.records_left.saturating_sub(messages.messages) + cursor.records_left();
        chunk.open = Some(Open {
            source: Source::Scratch,
            cursor,
            next_offset: header.last_offset().saturating_add(1),
            leader_epoch: header.partition_leader_epoch,
            timestamp_type: messages.timestamp_type,
        });
        Ok(true)
    }

    /// Where to decompress to. A new buffer begins with room for `want` bytes.
    fn scratch(&mut self, chunk: &mut Chunk, want: usize) -> Result<&mut PoolBuf> {
        if self
            .scratch
            .as_ref()
            .is_some_and(|s| s.len() >= SCRATCH_FULL)
        {
            self.close(chunk);
        }
        Ok(match &mut self.scratch {
            Some(scratch) => scratch,
            none => none.insert(PoolBuf::try_with_capacity(want)?),
        })
    }

    /// True for batches whose records are not for the user.
    fn passes_over(
        &self,
        chunk: &mut Chunk,
        header: &BatchHeader,
        records: &[u8],
        scratch: &mut ColumnSet,
    ) -> Result<bool> {
        let control = header.attributes.is_control();
        if self.shared.read_committed() {
            let marker = if control {
                marker(header, records, scratch)?
            } else {
                None
            };
            if chunk.aborted.passes_over(header, marker) {
                return Ok(true);
            }
        }
        Ok(control)
    }

    /// Where a batch's records lie uncompressed, and a cursor before the first of them.
    fn expand(
        &mut self,
        chunk: &mut Chunk,
        buffer: &Buffer,
        records: std::ops::Range<usize>,
        header: &BatchHeader,
    ) -> Result<(Source, RecordCursor)> {
        let codec = header.attributes.codec()?;
        if codec == Codec::None {
            return Ok((Source::Chunk, RecordCursor::open(buffer, records, header)?));
        }
        let limit = self.shared.config.decompression_max_bytes;
        let compressed = buffer.get(records).unwrap_or_default();
        let scratch = self.scratch(chunk, compressed.len().saturating_mul(2))?;
        let start = scratch.len();
        decompress(codec, compressed, scratch, limit)?;
        let cursor = RecordCursor::open(scratch, start..scratch.len(), header)?;
        Ok((Source::Scratch, cursor))
    }

    /// Indexes what it may of the open batch; false if the batch being filled is full.
    fn index(&mut self, chunk: &mut Chunk, buffer: &Buffer) -> Result<bool> {
        let rows_left = self.rows_left();
        if let Some(open) = &chunk.open
            && !self.continues_segment(open, buffer)
        {
            self.end_segment(chunk);
        }
        let Some(open) = &mut chunk.open else {
            return Ok(true);
        };
        let bytes: &[u8] = match (&open.source, &self.scratch) {
            (Source::Scratch, Some(scratch)) => scratch,
            (Source::Expanded(expanded), _) => expanded,
            _ => buffer,
        };
        let columns = &mut self.batch.columns;
        let first = columns.rows();
        let (bytes_before, records_before) = (open.cursor.bytes_left(), open.cursor.records_left());
        let added =
            open.cursor
                .index(bytes, columns, rows_left, self.bytes_left, chunk.min_offset)?;
        self.bytes_left = self
            .bytes_left
            .saturating_sub(bytes_before - open.cursor.bytes_left());
        chunk.records_left = chunk
            .records_left
            .saturating_sub(records_before - open.cursor.records_left());
        if added > 0 {
            let under = self.under.get_or_insert_with(|| Under {
                place: match &open.source {
                    Source::Chunk => Place::Buffer(buffer.clone()),
                    Source::Expanded(expanded) => Place::Buffer(expanded.clone()),
                    Source::Scratch => Place::Scratch,
                },
                first,
                timestamp_type: open.timestamp_type,
                leader_epoch: -1,
            });
            under.leader_epoch = open.leader_epoch;
        }
        let done = open.cursor.is_done();
        if done {
            chunk.min_offset = open.next_offset;
            chunk.open = None;
        } else if let Some(last) = columns.offsets.get(first..).and_then(<[i64]>::last) {
            chunk.min_offset = last.saturating_add(1);
        }
        Ok(done)
    }

    /// True if the open batch's records may become rows of the segment under way.
    fn continues_segment(&self, open: &Open, buffer: &Buffer) -> bool {
        let Some(under) = &self.under else {
            return true;
        };
        let same_place = match (&under.place, &open.source) {
            (Place::Buffer(place), Source::Chunk) => place.is_same(buffer),
            (Place::Buffer(place), Source::Expanded(expanded)) => place.is_same(expanded),
            (Place::Scratch, Source::Scratch) => true,
            _ => false,
        };
        same_place && under.timestamp_type == open.timestamp_type
    }

    /// Finishes the segment under way.
    fn end_segment(&mut self, chunk: &mut Chunk) {
        let Some(under) = self.under.take() else {
            return;
        };
        let buffer = match under.place {
            Place::Buffer(buffer) => buffer,
            Place::Scratch => match self.freeze(chunk) {
                Some(buffer) => buffer,
                None => return,
            },
        };
        let partition = &chunk.partition;
        self.batch.segments.push(Segment {
            topic: partition.topic.clone(),
            partition: partition.index,
            buffer,
            rows: under.first..self.batch.columns.rows(),
            timestamp_type: under.timestamp_type,
            leader_epoch: under.leader_epoch,
        });
    }

    /// Makes the scratch buffer one that the user and the open batch may share.
    fn freeze(&mut self, chunk: &mut Chunk) -> Option<Buffer> {
        let buffer = self.shared.memory.hold(self.scratch.take()?);
        if let Some(open) = &mut chunk.open
            && matches!(open.source, Source::Scratch)
        {
            open.source = Source::Expanded(buffer.clone());
        }
        Some(buffer)
    }

    /// Finishes the segment under way, and what was decompressed.
    fn close(&mut self, chunk: &mut Chunk) {
        self.end_segment(chunk);
        match &chunk.open {
            Some(Open {
                source: Source::Scratch,
                ..
            }) => {
                self.freeze(chunk);
            }
            _ => self.scratch = None,
        }
    }

    /// Says what is wrong with the batch that comes next, and how to go on.
    fn broken(&self, chunk: &Chunk, cause: &Error) -> Event {
        let (topic, partition, at) = (
            &chunk.partition.topic,
            chunk.partition.index,
            chunk.min_offset,
        );
        let next = match &chunk.open {
            Some(open) => Some(open.next_offset),
            None => chunk
                .data
                .as_ref()
                .and_then(|data| last_offset(data.bytes().get(chunk.at..).unwrap_or_default()))
                .filter(|last| *last >= at)
                .map(|last| last.saturating_add(1)),
        };
        let skip = match next {
            Some(next) => format!("to skip this batch, seek to offset {next}"),
            None => "to skip it, seek to an offset behind it".to_owned(),
        };
        let message = format!(
            "reading {topic}-{partition} at offset {at}: {}; nothing more of this partition is delivered; {skip}; \
             to fetch it again, seek to offset {at}",
            cause.message()
        );
        let error = Error::new(cause.code(), message);
        Event::of_partition(
            EventKind::PartitionStopped,
            topic,
            partition,
            (at, next.unwrap_or(-1)),
            error,
        )
    }
}

/// The last offset of the batch, or of the message of an older format, that starts here, if its header can be read.
fn last_offset(bytes: &[u8]) -> Option<i64> {
    match BatchHeader::parse(bytes) {
        Ok(header) => Some(header?.last_offset()),
        Err(_) => Some(legacy::Entry::parse(bytes).ok()??.offset),
    }
}

/// What a control batch says.
fn marker(
    header: &BatchHeader,
    records: &[u8],
    scratch: &mut ColumnSet,
) -> Result<Option<ControlType>> {
    scratch.clear();
    let mut cursor = RecordCursor::open(records, 0..records.len(), header)?;
    cursor.index(records, scratch, 1, usize::MAX, i64::MIN)?;
    Ok(scratch.key(records, 0).and_then(ControlType::parse))
}

#[cfg(test)]
mod tests;
