//! What a poll gives: records of several partitions, as columns of positions in the buffers they arrived in.

use std::ops::Range;
use std::sync::Arc;

use crate::group::offset::OffsetAndMetadata;
use crate::memory::PoolBuf;
use crate::protocol::record::varint::read_varint;
use crate::protocol::record::{ColumnSet, Columns, HeaderIter, TimestampType};
use crate::reading::buffer::Buffer;
use crate::topic::TopicPartition;

/// Records of one partition that share a buffer, in the order of their offsets.
#[derive(Debug)]
pub struct Segment {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) buffer: Buffer,
    pub(crate) rows: Range<usize>,
    pub(crate) timestamp_type: TimestampType,
    pub(crate) leader_epoch: i32,
}

impl Segment {
    /// The topic.
    pub fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.partition
    }

    /// The buffer that the positions of its rows refer to.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// The range of its rows in the batch.
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// Who set the timestamps.
    pub fn timestamp_type(&self) -> TimestampType {
        self.timestamp_type
    }

    /// Leader epoch of the segment's last record, or -1.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }
}

/// The records of one poll. Its memory is released when it is dropped, from any thread, even after the consumer is
/// gone.
#[derive(Debug, Default)]
pub struct Batch {
    pub(crate) segments: Vec<Segment>,
    pub(crate) columns: Columns,
    /// Of records of a share group.
    pub(crate) deliveries: Vec<i16>,
}

/// One record, borrowed from its batch.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    segment: &'a Segment,
    columns: &'a ColumnSet,
    row: usize,
}

impl<'a> Record<'a> {
    /// The topic.
    pub fn topic(&self) -> &'a Arc<str> {
        &self.segment.topic
    }

    /// The partition.
    pub fn partition(&self) -> i32 {
        self.segment.partition
    }

    /// The offset in the partition.
    pub fn offset(&self) -> i64 {
        self.columns.offsets.get(self.row).copied().unwrap_or(-1)
    }

    /// Milliseconds since 1970.
    pub fn timestamp(&self) -> i64 {
        self.columns.timestamps.get(self.row).copied().unwrap_or(-1)
    }

    /// Who set the timestamp.
    pub fn timestamp_type(&self) -> TimestampType {
        self.segment.timestamp_type
    }

    /// The key; `None` is null.
    #[inline]
    pub fn key(&self) -> Option<&'a [u8]> {
        self.columns.key(&self.segment.buffer, self.row)
    }

    /// The value; `None` is null.
    #[inline]
    pub fn value(&self) -> Option<&'a [u8]> {
        self.columns.value(&self.segment.buffer, self.row)
    }

    /// The headers in order: key, and value or null.
    pub fn headers(&self) -> HeaderIter<'a> {
        self.columns.headers(&self.segment.buffer, self.row)
    }
}

impl Batch {
    /// An empty batch on recycled memory.
    pub(crate) fn take() -> Self {
        Batch {
            segments: Vec::new(),
            columns: Columns::take(),
            deliveries: Vec::new(),
        }
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.columns.rows()
    }

    /// True for a batch without records; polls never return one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The segments, whose rows are numbered consecutively.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The columns of all rows. The positions of a row refer to the buffer of its segment.
    pub fn columns(&self) -> &ColumnSet {
        &self.columns
    }

    /// The number of deliveries of each record, including this one, for batches of a share group; otherwise empty.
    pub fn delivery_counts(&self) -> &[i16] {
        &self.deliveries
    }

    /// Returns the record at `row`, or `None` past the end.
    pub fn record(&self, row: usize) -> Option<Record<'_>> {
        let at = self.segments.partition_point(|s| s.rows.end <= row);
        self.segments.get(at).map(|segment| Record {
            segment,
            columns: &self.columns,
            row,
        })
    }

    /// Iterates over the records, in order.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        let columns: &ColumnSet = &self.columns;
        self.segments.iter().flat_map(move |segment| {
            segment.rows.clone().map(move |row| Record {
                segment,
                columns,
                row,
            })
        })
    }

    /// For each partition, in the order of their first records, the offset after its last record.
    pub(crate) fn end_offsets(&self) -> Vec<(TopicPartition, OffsetAndMetadata)> {
        let mut ends: Vec<(TopicPartition, OffsetAndMetadata)> = Vec::new();
        for segment in &self.segments {
            let last = segment.rows.end.checked_sub(1);
            let Some(last) = last.and_then(|row| self.columns.offsets.get(row)) else {
                continue;
            };
            let end = OffsetAndMetadata {
                offset: last.saturating_add(1),
                leader_epoch: segment.leader_epoch,
                metadata: String::new(),
            };
            let known = ends.iter_mut().rev().find(|((topic, partition), _)| {
                *partition == segment.partition && *topic == segment.topic
            });
            match known {
                Some((_, known)) => *known = end,
                None => ends.push(((segment.topic.clone(), segment.partition), end)),
            }
        }
        ends
    }

    /// The bytes of buffers that this batch keeps in use. Batches may share a buffer.
    pub fn held_bytes(&self) -> usize {
        let mut sum = 0;
        let mut last: Option<&Buffer> = None;
        for segment in &self.segments {
            if last.is_none_or(|b| !b.is_same(&segment.buffer)) {
                sum += segment.buffer.capacity();
            }
            last = Some(&segment.buffer);
        }
        sum
    }

    /// Returns a copy with its own buffer, so that keeping a few records does not keep a large buffer.
    #[must_use]
    pub fn compact(&self) -> Batch {
        let Some(like) = self.segments.first().map(|s| s.buffer.clone()) else {
            return Batch::default();
        };
        let mut columns = Columns::take();
        let mut out = PoolBuf::with_capacity(self.payload_bytes());
        for segment in &self.segments {
            for row in segment.rows.clone() {
                copy_row(&segment.buffer, &self.columns, row, &mut out, &mut columns);
            }
        }
        let buffer = like.sibling(out);
        let segments = self
            .segments
            .iter()
            .map(|s| Segment {
                topic: s.topic.clone(),
                partition: s.partition,
                buffer: buffer.clone(),
                rows: s.rows.clone(),
                timestamp_type: s.timestamp_type,
                leader_epoch: s.leader_epoch,
            })
            .collect();
        Batch {
            segments,
            columns,
            deliveries: self.deliveries.clone(),
        }
    }

    fn payload_bytes(&self) -> usize {
        let strings = self.columns.key_len.iter().chain(&self.columns.value_len);
        let strings: usize = strings.map(|n| usize::try_from(*n).unwrap_or(0)).sum();
        let headers: usize = self
            .segments
            .iter()
            .flat_map(|s| {
                s.rows
                    .clone()
                    .map(move |row| headers_region(&s.buffer, &self.columns, row).len())
            })
            .sum();
        strings + headers
    }
}

/// Where a row's headers lie.
fn headers_region(buf: &[u8], columns: &ColumnSet, row: usize) -> Range<usize> {
    let start = columns.header_start.get(row).map_or(0, |n| *n as usize);
    let mut at = start;
    for _ in 0..2 * columns.header_count.get(row).copied().unwrap_or(0).max(0) {
        let Some(len) = read_varint(buf, &mut at) else {
            break;
        };
        at += usize::try_from(len).unwrap_or(0);
    }
    start..at.min(buf.len())
}

fn copy_row(buf: &[u8], from: &ColumnSet, row: usize, out: &mut PoolBuf, to: &mut ColumnSet) {
    let mut copy = |bytes: Option<&[u8]>| {
        let start = out.len() as u32;
        out.extend_from_slice(bytes.unwrap_or_default());
        (start, bytes.map_or(-1, |b| b.len() as i32))
    };
    let (key_start, key_len) = copy(from.key(buf, row));
    let (value_start, value_len) = copy(from.value(buf, row));
    let (header_start, _) = copy(buf.get(headers_region(buf, from, row)));
    to.offsets.push(from.offsets[row]);
    to.timestamps.push(from.timestamps[row]);
    to.key_start.push(key_start);
    to.key_len.push(key_len);
    to.value_start.push(value_start);
    to.value_len.push(value_len);
    to.header_start.push(header_start);
    to.header_count.push(from.header_count[row]);
}
