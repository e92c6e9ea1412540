//! From what was fetched to a batch: checks, decompresses, indexes, and leaves out records that are not this member's.

use std::ops::Range;

use crate::client::event::{Event, EventKind};
use crate::error::{Error, Result};
use crate::memory::PoolBuf;
use crate::protocol::compress::{Codec, decompress};
use crate::protocol::record::{
    BatchHeader, Batches, HEADER_LEN, RecordCursor, TimestampType, legacy, verify_crc,
};
use crate::protocol::share::Acquired;
use crate::reading::batch::{Batch, Segment};
use crate::reading::buffer::Buffer;

use crate::share::ledger::{AcknowledgeType, GAP, Ledger};
use crate::share::shared::{Chunk, Shared};

/// Walks ranges and offsets side by side, both rising.
struct Within<'a> {
    ranges: &'a [Acquired],
    at: usize,
}

impl Within<'_> {
    /// How often the record at `offset` was delivered; `None` if it is not this member's.
    fn deliveries(&mut self, offset: i64) -> Option<i16> {
        while let Some(range) = self.ranges.get(self.at) {
            if offset <= range.last {
                return (range.first <= offset).then_some(range.deliveries);
            }
            self.at += 1;
        }
        None
    }
}

/// Adds a chunk's records to an empty batch. Gives what went wrong: what can't be read is to be given back.
///
/// Holds no lock: it checks, decompresses and indexes. [`enter`] says afterwards what the program has.
pub(super) fn read(shared: &Shared, chunk: &Chunk, batch: &mut Batch) -> Option<Event> {
    let error = add_all(shared, chunk, batch).err()?;
    let (topic, partition) = &chunk.key;
    let at = batch.columns.offsets.last().map_or_else(
        || chunk.acquired.first().map_or(-1, |r| r.first),
        |last| last.saturating_add(1),
    );
    let message = format!(
        "reading {topic}-{partition} at offset {at}: {}; the records from there on are given back and delivered again, until \
         their deliveries are used up",
        error.message()
    );
    Some(Event::of_partition(
        EventKind::PartitionFailing,
        topic,
        *partition,
        (at, -1),
        Error::new(error.code(), message),
    ))
}

/// Adds what can be read, up to the first error.
fn add_all(shared: &Shared, chunk: &Chunk, batch: &mut Batch) -> Result<()> {
    let mut bytes = PoolBuf::try_with_capacity(chunk.records.len())?;
    bytes.extend_from_slice(&chunk.records);
    let buffer = shared.memory.hold(bytes);
    let mut within = Within {
        ranges: &chunk.acquired,
        at: 0,
    };
    let mut walk = Batches::new(&buffer);
    while let Some(one) = walk.next() {
        match one {
            Ok(one) => add(
                shared,
                chunk,
                &buffer,
                &one.header,
                one.range.start,
                &mut within,
                batch,
            )?,
            Err(_) if legacy::is_message(walk.rest()) => {
                add_messages(shared, chunk, &mut walk, &mut within, batch)?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Adds the records of one record batch, which starts at `start` of the buffer.
fn add(
    shared: &Shared,
    chunk: &Chunk,
    buffer: &Buffer,
    header: &BatchHeader,
    start: usize,
    within: &mut Within<'_>,
    batch: &mut Batch,
) -> Result<()> {
    let whole = start..start + header.total_len();
    let bytes = buffer.get(whole.clone()).unwrap_or_default();
    if shared.config.check_crcs {
        verify_crc(bytes)?;
    }
    if header.attributes.is_control() {
        return Ok(());
    }
    let records = whole.start + HEADER_LEN..whole.end;
    let codec = header.attributes.codec()?;
    let expanded;
    let (place, region) = if codec == Codec::None {
        (buffer, records)
    } else {
        let compressed = buffer.get(records).unwrap_or_default();
        let mut out = PoolBuf::try_with_capacity(compressed.len().saturating_mul(2))?;
        decompress(
            codec,
            compressed,
            &mut out,
            shared.config.decompression_max_bytes,
        )?;
        expanded = shared.memory.hold(out);
        (&expanded, 0..expanded.len())
    };
    add_records(
        chunk,
        place,
        region,
        header,
        header.attributes.timestamp_type(),
        within,
        batch,
    )
}

/// Adds the messages of formats 0 and 1 that come next in the walk; at one that is cut off the walk ends.
#[cold]
fn add_messages(
    shared: &Shared,
    chunk: &Chunk,
    walk: &mut Batches<'_>,
    within: &mut Within<'_>,
    batch: &mut Batch,
) -> Result<()> {
    let limits = legacy::Limits {
        check_crcs: shared.config.check_crcs,
        run_bytes: usize::MAX,
        decompressed_bytes: shared.config.decompression_max_bytes,
    };
    loop {
        let mut out = PoolBuf::with_capacity(0);
        let Some(messages) = legacy::convert(walk.rest(), limits, &mut out)? else {
            return Ok(());
        };
        walk.skip_over(messages.len);
        let place = shared.memory.hold(out);
        add_records(
            chunk,
            &place,
            0..place.len(),
            &messages.header,
            messages.timestamp_type,
            within,
            batch,
        )?;
    }
}

/// Adds those of a batch's records that are this member's. They lie uncompressed in `region` of `place`.
fn add_records(
    chunk: &Chunk,
    place: &Buffer,
    region: Range<usize>,
    header: &BatchHeader,
    timestamp_type: TimestampType,
    within: &mut Within<'_>,
    batch: &mut Batch,
) -> Result<()> {
    let first = batch.len();
    let mut cursor = RecordCursor::open(place, region, header)?;
    cursor.index(place, &mut batch.columns, usize::MAX, usize::MAX, i64::MIN)?;
    let deliveries = &mut batch.deliveries;
    batch.columns.retain_from(first, |offset| {
        let found = within.deliveries(offset);
        deliveries.extend(found);
        found.is_some()
    });
    let rows = first..batch.len();
    if rows.is_empty() {
        return Ok(());
    }
    match batch.segments.last_mut() {
        Some(last)
            if last.buffer.is_same(place)
                && last.timestamp_type == timestamp_type
                && last.rows.end == rows.start =>
        {
            last.rows.end = rows.end;
            last.leader_epoch = header.partition_leader_epoch;
        }
        _ => batch.segments.push(Segment {
            topic: chunk.key.0.clone(),
            partition: chunk.key.1,
            buffer: place.clone(),
            rows,
            timestamp_type,
            leader_epoch: header.partition_leader_epoch,
        }),
    }
    Ok(())
}

/// Enters what was acquired: the records read are the program's; offsets between them hold none (transaction markers, or
/// what compaction removed); after a failure the rest is given back.
pub(super) fn enter(chunk: &Chunk, read: &[i64], failed: bool, ledger: &mut Ledger) {
    let release = AcknowledgeType::Release as i8;
    let readable = if failed {
        read.last().map_or(i64::MIN, |last| last.saturating_add(1))
    } else {
        i64::MAX
    };
    let mut read = read.iter().copied().peekable();
    for range in &chunk.acquired {
        let mut at = range.first;
        while at <= range.last {
            match read.next_if(|offset| *offset <= range.last) {
                Some(offset) => {
                    ledger.fill(&chunk.key, chunk.from, (at, offset - 1), GAP);
                    let mut last = offset;
                    while read
                        .next_if(|next| *next == last + 1 && *next <= range.last)
                        .is_some()
                    {
                        last += 1;
                    }
                    ledger.deliver(&chunk.key, chunk.from, offset, last);
                    at = last + 1;
                }
                None => {
                    let end = range.last.min(readable.saturating_sub(1));
                    ledger.fill(&chunk.key, chunk.from, (at, end), GAP);
                    ledger.fill(
                        &chunk.key,
                        chunk.from,
                        (at.max(readable), range.last),
                        release,
                    );
                    break;
                }
            }
        }
    }
}
