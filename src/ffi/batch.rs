//! Batches
//!
//! The records of one poll. They are not copied: a batch is a list of segments, each with records of one partition
//! that share a buffer, and columns with their positions in the buffer.
//!
//! ```c
//! for (size_t s = 0; s < ottla_batch_segment_count(batch); s++) {
//!     ottla_segment seg;
//!     status = ottla_batch_segment(batch, s, &seg, &error);
//!     for (size_t i = 0; i < seg.rows; i++) {
//!         const uint8_t *value = seg.base + seg.value_start[i];
//!         if (seg.value_len[i] >= 0) {                         // -1 is null
//!             use(seg.topic, seg.partition, seg.offsets[i], value, (size_t)seg.value_len[i]);
//!         }
//!     }
//! }
//! ottla_batch_free(batch);
//! ```
//!
//! A batch keeps its buffers until it is freed, from any thread, even after its consumer was freed.
//! `fetch.memory.bytes` does not limit what batches hold: a program that doesn't free them uses memory without bound.
//! `ottla_consumer_held_bytes`, and `held_bytes` in the statistics, report the total for all batches;
//! `ottla_batch_held_bytes` reports it for one batch. To keep a few records for long, copy them out of their large
//! buffers with `ottla_batch_compact`.

use std::ffi::{CString, c_char};
use std::sync::{Arc, OnceLock};

use libc::size_t;

use super::basics::{ottla_bytes, ottla_header, ottla_status};
use super::error::ottla_error;
use super::guard::{self, Call, Guarded, c_string, opaque};
use crate::consumer::{Batch, Segment};
use crate::error::Result;
use crate::protocol::record::TimestampType;

/// `timestamp_type`: the producer set the timestamps.
pub const OTTLA_TIMESTAMP_CREATE: i32 = 0;
/// `timestamp_type`: the broker set the timestamps when it appended the records.
pub const OTTLA_TIMESTAMP_APPEND: i32 = 1;

/// A batch of records. Immutable: all its functions except `_free` may be called from many threads at once; what they
/// write is valid as long as the batch.
pub struct ottla_batch(Guarded<BatchParts>);
opaque!(ottla_batch, BatchParts, "batch");

pub(super) struct BatchParts {
    batch: Batch,
    /// The topics of the segments, made when one is first asked for.
    topics: OnceLock<Topics>,
}

struct Topics {
    names: Vec<CString>,
    /// For each segment, the place of its topic in `names`.
    of_segment: Vec<usize>,
}

impl Topics {
    fn of(batch: &Batch) -> Self {
        let mut names: Vec<(Arc<str>, CString)> = Vec::new();
        let place = |segment: &Segment| {
            let topic = segment.topic();
            let known = names.iter().rposition(|(t, _)| Arc::ptr_eq(t, topic));
            known.unwrap_or_else(|| {
                names.push((topic.clone(), c_string(topic)));
                names.len() - 1
            })
        };
        let of_segment = batch.segments().iter().map(place).collect();
        Topics {
            names: names.into_iter().map(|(_, name)| name).collect(),
            of_segment,
        }
    }

    fn name(&self, segment: usize) -> *const c_char {
        let name = self
            .of_segment
            .get(segment)
            .and_then(|at| self.names.get(*at));
        name.map_or(c"".as_ptr(), |name| name.as_ptr())
    }
}

impl ottla_batch {
    /// For functions of other handles that take a batch.
    pub(super) fn batch(&self) -> &Batch {
        &self.0.value().batch
    }
}

impl BatchParts {
    pub(super) fn new(batch: Batch) -> Self {
        BatchParts {
            batch,
            topics: OnceLock::new(),
        }
    }

    fn topic(&self, segment: usize) -> *const c_char {
        self.topics
            .get_or_init(|| Topics::of(&self.batch))
            .name(segment)
    }

    /// The segment of a row, and its number.
    fn segment_of(&self, call: Call, row: usize) -> Result<(usize, &Segment)> {
        let segments = self.batch.segments();
        let at = segments.partition_point(|s| s.rows().end <= row);
        match segments.get(at) {
            Some(segment) => Ok((at, segment)),
            None => Err(call.wrong(
                "row",
                format_args!("is {row}, but the batch has {} rows", self.batch.len()),
            )),
        }
    }
}

fn timestamp_type(segment: &Segment) -> i32 {
    match segment.timestamp_type() {
        TimestampType::CreateTime => OTTLA_TIMESTAMP_CREATE,
        TimestampType::LogAppendTime => OTTLA_TIMESTAMP_APPEND,
    }
}

/// Records of one partition that share a buffer, as columns of `rows` elements each. The key of record i is the
/// `key_len[i]` bytes at `base + key_start[i]`; a length of -1 is null. The same holds for values.
#[repr(C)]
pub struct ottla_segment {
    /// The topic.
    pub topic: *const c_char,
    /// The start of the buffer.
    pub base: *const u8,
    /// Offsets in the partition: increasing, with possible gaps.
    pub offsets: *const i64,
    /// Milliseconds since 1970.
    pub timestamps: *const i64,
    /// The start of each key.
    pub key_start: *const u32,
    /// The length of each key; -1 is null.
    pub key_len: *const i32,
    /// The start of each value.
    pub value_start: *const u32,
    /// The length of each value; -1 is null.
    pub value_len: *const i32,
    /// The number of headers of each record; read them with `ottla_batch_headers`.
    pub header_count: *const i32,
    /// The number of records.
    pub rows: size_t,
    /// The row in the batch of the segment's first record.
    pub first_row: size_t,
    /// The partition.
    pub partition: i32,
    /// The leader epoch of the segment's last record; -1 if it is unknown.
    pub leader_epoch: i32,
    /// Who set the timestamps: `OTTLA_TIMESTAMP_*`.
    pub timestamp_type: i32,
}

/// One record.
#[repr(C)]
pub struct ottla_record {
    /// The topic.
    pub topic: *const c_char,
    /// The key, or null.
    pub key: ottla_bytes,
    /// The value, or null.
    pub value: ottla_bytes,
    /// The offset in the partition.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// The partition.
    pub partition: i32,
    /// The number of headers.
    pub header_count: i32,
    /// Who set the timestamp: `OTTLA_TIMESTAMP_*`.
    pub timestamp_type: i32,
}

/// Returns the number of records, or 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_batch_rows(batch: *const ottla_batch) -> size_t {
    // SAFETY: the header's conventions.
    unsafe { guard::read(batch, 0, |b: &BatchParts| b.batch.len()) }
}

/// Returns the number of segments, or 0 for NULL. Their rows are numbered consecutively.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_batch_segment_count(batch: *const ottla_batch) -> size_t {
    // SAFETY: the header's conventions.
    unsafe { guard::read(batch, 0, |b: &BatchParts| b.batch.segments().len()) }
}

/// Writes segment `i`, counting from 0.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_batch_segment(
    batch: *const ottla_batch,
    i: size_t,
    segment: *mut ottla_segment,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_batch_segment", batch, error, |call, parts| {
            call.out("segment", segment)?;
            let own = call.element(parts.batch.segments(), i)?;
            let (rows, columns) = (own.rows(), parts.batch.columns());
            guard::write(
                segment,
                ottla_segment {
                    topic: parts.topic(i),
                    base: own.buffer().as_ptr(),
                    offsets: columns.offsets[rows.clone()].as_ptr(),
                    timestamps: columns.timestamps[rows.clone()].as_ptr(),
                    key_start: columns.key_start[rows.clone()].as_ptr(),
                    key_len: columns.key_len[rows.clone()].as_ptr(),
                    value_start: columns.value_start[rows.clone()].as_ptr(),
                    value_len: columns.value_len[rows.clone()].as_ptr(),
                    header_count: columns.header_count[rows.clone()].as_ptr(),
                    rows: rows.len(),
                    first_row: rows.start,
                    partition: own.partition(),
                    leader_epoch: own.leader_epoch(),
                    timestamp_type: timestamp_type(own),
                },
            );
            Ok(())
        })
    }
}

/// Writes the record in row `row` of the batch, counting from 0. To read all of many records, segments are cheaper.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_batch_record(
    batch: *const ottla_batch,
    row: size_t,
    record: *mut ottla_record,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_batch_record", batch, error, |call, parts| {
            call.out("record", record)?;
            let (at, segment) = parts.segment_of(call, row)?;
            let (buffer, columns) = (segment.buffer(), parts.batch.columns());
            guard::write(
                record,
                ottla_record {
                    topic: parts.topic(at),
                    key: ottla_bytes::of(columns.key(buffer, row)),
                    value: ottla_bytes::of(columns.value(buffer, row)),
                    offset: columns.offsets[row],
                    timestamp: columns.timestamps[row],
                    partition: segment.partition(),
                    header_count: columns.header_count[row],
                    timestamp_type: timestamp_type(segment),
                },
            );
            Ok(())
        })
    }
}

/// Writes the headers of the record in row `row` of the batch, in order, up to `capacity` of them, and the number it
/// has to `count`. `headers` may be NULL if `capacity` is 0.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_batch_headers(
    batch: *const ottla_batch,
    row: size_t,
    headers: *mut ottla_header,
    capacity: size_t,
    count: *mut size_t,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions; `i` is below `capacity`.
    unsafe {
        guard::on("ottla_batch_headers", batch, error, |call, parts| {
            call.out("count", count)?;
            if capacity > 0 {
                call.out("headers", headers)?;
            }
            let (_, segment) = parts.segment_of(call, row)?;
            let columns = parts.batch.columns();
            let own = columns.headers(segment.buffer(), row);
            for (i, (name, value)) in own.take(capacity).enumerate() {
                guard::write(
                    headers.add(i),
                    ottla_header {
                        name: ottla_bytes::of(Some(name)),
                        value: ottla_bytes::of(value),
                    },
                );
            }
            guard::write(
                count,
                usize::try_from(columns.header_count[row]).unwrap_or(0),
            );
            Ok(())
        })
    }
}

/// Returns an array with the number of deliveries of each record in the batch, including this one. The array lives as
/// long as the batch. Returns NULL for NULL, and for a batch that does not come from a share group.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_batch_delivery_counts(batch: *const ottla_batch) -> *const i16 {
    let counts = |b: &BatchParts| match b.batch.delivery_counts() {
        [] => std::ptr::null(),
        counts => counts.as_ptr(),
    };
    // SAFETY: the header's conventions.
    unsafe { guard::read(batch, std::ptr::null(), counts) }
}

/// Copies the records into a new batch with one small buffer, and writes it. The caller frees both batches.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_batch_compact(
    batch: *const ottla_batch,
    compacted: *mut *mut ottla_batch,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_batch_compact", batch, error, |call, parts| {
            call.out("compacted", compacted)?;
            let copy = BatchParts::new(parts.batch.compact());
            guard::write(compacted, guard::handle(copy));
            Ok(())
        })
    }
}

/// Returns the number of bytes of buffers that this batch keeps in use, or 0 for NULL. Batches may share a buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_batch_held_bytes(batch: *const ottla_batch) -> size_t {
    // SAFETY: the header's conventions.
    unsafe { guard::read(batch, 0, |b: &BatchParts| b.batch.held_bytes()) }
}

/// Frees a batch and returns its buffers to their pool. From any thread, before or after its consumer is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_batch_free(batch: *mut ottla_batch) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(batch) }
}
