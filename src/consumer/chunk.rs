//! Records of one partition from one fetch, as they came: still compressed, not checked but for the headers.

use std::sync::Arc;

use crate::consumer::partition::Partition;
use crate::memory::PoolBuf;
use crate::protocol::record::{BatchHeader, Batches, RecordCursor, TimestampType, legacy};
use crate::reading::buffer::Buffer;
use crate::reading::committed::Aborted;

/// What a walk over the batch headers tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scan {
    /// The offset after the last whole batch; `None` if there is none.
    pub(super) next: Option<i64>,
    /// Leader epoch of the last whole batch.
    pub(super) epoch: i32,
    /// Records, deleted and control ones perhaps among them.
    pub(super) records: usize,
    /// A header makes no sense; everything before it does.
    pub(super) broken: bool,
    /// Where the last whole batch ends.
    pub(super) end: usize,
}

/// Reads the 61 bytes in front of each batch; nothing else is touched, so that the I/O thread stays fast.
pub(super) fn scan(bytes: &[u8]) -> Scan {
    let mut scan = Scan {
        next: None,
        epoch: -1,
        records: 0,
        broken: false,
        end: 0,
    };
    let mut walk = Batches::new(bytes);
    while let Some(batch) = walk.next() {
        match batch {
            Ok(batch) => {
                scan.next = Some(batch.header.last_offset().saturating_add(1));
                scan.epoch = batch.header.partition_leader_epoch;
                scan.records += usize::try_from(batch.header.record_count).unwrap_or(0);
                scan.end = batch.range.end;
            }
            Err(_) if legacy::is_message(walk.rest()) => scan_messages(&mut walk, &mut scan),
            Err(_) => scan.broken = true,
        }
    }
    scan
}

/// Takes the walk over the messages of formats before 2 that come next. A wrapper counts as one record, as what it holds is
/// compressed.
#[cold]
fn scan_messages(walk: &mut Batches<'_>, scan: &mut Scan) {
    loop {
        match legacy::Entry::parse(walk.rest()) {
            Ok(Some(message)) => {
                scan.next = Some(message.offset.saturating_add(1));
                scan.epoch = -1;
                scan.records += 1;
                walk.skip_over(message.len);
                scan.end = Batches::position(walk);
            }
            Ok(None) => return,
            Err(_) => {
                scan.broken = true;
                return;
            }
        }
    }
}

/// Bytes of a chunk, before and after someone may hold them.
#[derive(Debug)]
pub(super) enum Data {
    /// As they came.
    Fresh(PoolBuf),
    /// Being read.
    Shared(Buffer),
}

impl Data {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Data::Fresh(buf) => buf,
            Data::Shared(buffer) => buffer,
        }
    }
}

/// Where the records lie of the batch that is being read.
#[derive(Debug)]
pub(super) enum Source {
    /// In the chunk itself.
    Chunk,
    /// In the buffer that the reader decompresses into at present.
    Scratch,
    /// In a buffer it decompressed into before.
    Expanded(Buffer),
}

/// A batch of which some records are not delivered yet.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) source: Source,
    pub(super) cursor: RecordCursor,
    pub(super) next_offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) timestamp_type: TimestampType,
}

/// What one fetch brought of one partition, or a jump of its position.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) partition: Arc<Partition>,
    pub(super) generation: u32,
    /// `None` in a jump: reading goes on at `min_offset`.
    pub(super) data: Option<Data>,
    /// Where the next batch starts in the data.
    pub(super) at: usize,
    pub(super) open: Option<Open>,
    /// Records before this offset were not asked for, or were delivered.
    pub(super) min_offset: i64,
    pub(super) aborted: Aborted,
    /// Upper bound of the records not delivered.
    pub(super) records_left: usize,
    /// Bytes counted as unread for it.
    pub(super) charged: usize,
}

impl Chunk {
    /// Reading goes on at `to`, in its turn.
    pub(super) fn jump(partition: Arc<Partition>, generation: u32, to: i64) -> Self {
        Chunk {
            partition,
            generation,
            data: None,
            at: 0,
            open: None,
            min_offset: to,
            aborted: Aborted::default(),
            records_left: 0,
            charged: 0,
        }
    }

    /// The next batch is passed over.
    pub(super) fn passed(&mut self, header: &BatchHeader) {
        let count = usize::try_from(header.record_count).unwrap_or(0);
        self.records_left = self.records_left.saturating_sub(count);
        self.at += header.total_len();
    }

    /// Bytes that a poll has still to look at.
    pub(super) fn bytes_left(&self) -> usize {
        let own = match &self.open {
            Some(Open {
                source: Source::Chunk,
                cursor,
                ..
            }) => cursor.bytes_left(),
            _ => 0,
        };
        own + self.data.as_ref().map_or(0, |data| {
            data.bytes().len() - self.at.min(data.bytes().len())
        })
    }

    /// True if it belongs to an earlier life of its partition, or to one that is given up.
    pub(super) fn is_stale(&self) -> bool {
        let revoked = self.partition.revoked() && !planted!("deliver-revoked");
        let earlier =
            self.generation != self.partition.generation() && !planted!("deliver-sought-away");
        revoked || earlier
    }
}
