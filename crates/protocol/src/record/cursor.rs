//! Indexing: from the bytes of a batch's records to columns of positions, resumable inside a batch.

use std::ops::Range;

use ottla_base::error::{Error, ErrorCode, Result};

use super::columns::ColumnSet;
use super::header::{BatchHeader, TimestampType};
use super::parse::{MIN_RECORD_LEN, bad_record, record_at};

/// A place inside a batch whose records are being indexed.
#[derive(Clone, Debug)]
pub struct RecordCursor {
    /// What is left of the batch in its buffer.
    region: Range<usize>,
    records_left: usize,
    base_offset: i64,
    last_offset_delta: u32,
    /// A record's timestamp is `base_timestamp` plus its delta, which the mask drops where the broker set the time.
    base_timestamp: i64,
    delta_mask: i64,
}

impl RecordCursor {
    /// A cursor before the first record of a batch. `region` is where its records lie in `buf`, uncompressed; what
    /// [`RecordCursor::index`] gives are positions in `buf`, so several batches of one buffer can share columns.
    ///
    /// # Errors
    /// `CORRUPT_BATCH` if the region cannot hold as many records as the header says, or is not within `buf`;
    /// `UNSUPPORTED` if positions in `buf` do not fit 32 bits.
    pub fn open(buf: &[u8], region: Range<usize>, header: &BatchHeader) -> Result<Self> {
        let records = usize::try_from(header.record_count).unwrap_or(0);
        let enough = buf
            .get(region.clone())
            .is_some_and(|bytes| records <= bytes.len() / MIN_RECORD_LEN);
        if !enough || (records == 0 && !region.is_empty()) {
            return Err(Error::new(
                ErrorCode::CORRUPT_BATCH,
                format!(
                    "reading the record batch at offset {}: {} bytes cannot hold its {} records",
                    header.base_offset,
                    region.len(),
                    header.record_count
                ),
            ));
        }
        if u32::try_from(buf.len()).is_err() {
            return Err(Error::new(
                ErrorCode::UNSUPPORTED,
                format!(
                    "reading records: a buffer of {} bytes is above the 4 GiB that positions can tell",
                    buf.len()
                ),
            ));
        }
        let (base_timestamp, delta_mask) = match header.attributes.timestamp_type() {
            TimestampType::CreateTime => (header.base_timestamp, -1),
            TimestampType::LogAppendTime => (header.max_timestamp, 0),
        };
        Ok(RecordCursor {
            region,
            records_left: records,
            base_offset: header.base_offset,
            last_offset_delta: header.last_offset_delta as u32,
            base_timestamp,
            delta_mask,
        })
    }

    /// True when every record was indexed or skipped.
    pub fn is_done(&self) -> bool {
        self.records_left == 0
    }

    /// Records not yet looked at.
    pub fn records_left(&self) -> usize {
        self.records_left
    }

    /// Bytes not yet looked at.
    pub fn bytes_left(&self) -> usize {
        self.region.len()
    }

    /// Indexes records into `out`, after the rows it has, until `max_rows` were added, or the next would bring the
    /// encoded bytes of those added above `max_bytes` (a first row of `out` is always taken), or the batch is done.
    /// Records with offsets below `min_offset` are checked and left out. Gives the number of rows added.
    ///
    /// `buf` must be the buffer that the cursor was opened on.
    ///
    /// # Errors
    /// `CORRUPT_BATCH` if lengths or the number of records do not come out exactly; nothing is added then, and the
    /// cursor stays where it was.
    pub fn index(
        &mut self,
        buf: &[u8],
        out: &mut ColumnSet,
        max_rows: usize,
        max_bytes: usize,
        min_offset: i64,
    ) -> Result<usize> {
        let had = out.rows();
        // Bounded by the bytes of the batch: `open` held the count against them.
        let most = self.records_left.min(max_rows);
        if most == 0 {
            return Ok(0);
        }
        out.reserve(most)?;
        let (end, mut at, mut left) = (self.region.end, self.region.start, self.records_left);
        let mut bytes = 0;
        let mut row = had;
        {
            let offsets = &mut out.offsets.spare_capacity_mut()[..most];
            let timestamps = &mut out.timestamps.spare_capacity_mut()[..most];
            let key_start = &mut out.key_start.spare_capacity_mut()[..most];
            let key_len = &mut out.key_len.spare_capacity_mut()[..most];
            let value_start = &mut out.value_start.spare_capacity_mut()[..most];
            let value_len = &mut out.value_len.spare_capacity_mut()[..most];
            let header_start = &mut out.header_start.spare_capacity_mut()[..most];
            let header_count = &mut out.header_count.spare_capacity_mut()[..most];
            let mut n = 0;
            while n < most && left > 0 {
                prefetch(buf, at + AHEAD);
                let Some(record) = record_at(buf, at, end) else {
                    return Err(bad_record(at));
                };
                if record.offset_delta as u32 > self.last_offset_delta {
                    return Err(bad_record(at));
                }
                let offset = self
                    .base_offset
                    .wrapping_add(i64::from(record.offset_delta));
                if offset >= min_offset {
                    bytes += record.end - at;
                    if bytes > max_bytes && had + n > 0 {
                        break;
                    }
                    offsets[n].write(offset);
                    timestamps[n].write(
                        self.base_timestamp
                            .wrapping_add(record.timestamp_delta & self.delta_mask),
                    );
                    key_start[n].write(record.key_start as u32);
                    key_len[n].write(record.key_len);
                    value_start[n].write(record.value_start as u32);
                    value_len[n].write(record.value_len);
                    header_start[n].write(record.header_start as u32);
                    header_count[n].write(record.header_count);
                    n += 1;
                }
                at = record.end;
                left -= 1;
            }
            row += n;
        }
        if left == 0 && at != end {
            return Err(left_over(end - at));
        }
        self.region.start = at;
        self.records_left = left;
        // SAFETY: the rows up to `had` were there, those from there to `row` were written to every column above.
        unsafe { out.set_rows(row) };
        Ok(row - had)
    }
}

/// How far ahead of the record being read bytes are asked for: a record's length has to arrive before the next record can
/// be found, so a wait for the second-level cache each time is what indexing would otherwise consist of.
const AHEAD: usize = 1024;

#[inline(always)]
fn prefetch(buf: &[u8], at: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch is a hint; it may point anywhere.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(buf.as_ptr().wrapping_add(at).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (buf, at);
}

#[cold]
fn left_over(bytes: usize) -> Error {
    Error::new(
        ErrorCode::CORRUPT_BATCH,
        format!("reading a record batch: {bytes} bytes are left over after its last record"),
    )
}
