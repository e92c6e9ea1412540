//! The 61 bytes in front of every record batch, and the walk over consecutive batches.

use std::ops::Range;

use ottla_base::error::{Error, ErrorCode, Result};

use super::crc::crc32c;
use crate::compress::Codec;

/// Length of a batch header; the records follow it.
pub const HEADER_LEN: usize = 61;
/// Bytes of a batch that its own length field does not count: base offset and length.
pub const LOG_OVERHEAD: usize = 12;
/// Where the magic byte lies, in every message format there ever was.
pub const MAGIC_AT: usize = 16;
/// Where the CRC lies.
pub const CRC_AT: usize = 17;
/// Where the bytes begin that the CRC covers: the attributes.
pub const CRC_START: usize = 21;
/// Smallest value of the length field: a header without records.
pub(super) const MIN_BATCH_LENGTH: i32 = (HEADER_LEN - LOG_OVERHEAD) as i32;
const MAGIC: i8 = 2;

/// Who set the timestamps of a batch's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer.
    CreateTime,
    /// The broker, when it appended the batch: the batch's maximum holds for every record.
    LogAppendTime,
}

/// The attribute bits of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(pub i16);

impl Attributes {
    const CODEC: i16 = 0x07;
    const LOG_APPEND_TIME: i16 = 0x08;
    const TRANSACTIONAL: i16 = 0x10;
    const CONTROL: i16 = 0x20;
    const DELETE_HORIZON: i16 = 0x40;

    /// The attributes of a batch that a producer sends.
    pub const fn produced(codec: Codec, transactional: bool) -> Self {
        Attributes(
            codec.id() as i16
                | if transactional {
                    Self::TRANSACTIONAL
                } else {
                    0
                },
        )
    }

    /// These attributes with the append-time bit set.
    pub const fn with_log_append_time(self) -> Self {
        Attributes(self.0 | Self::LOG_APPEND_TIME)
    }

    /// These attributes with the control bit set.
    pub const fn with_control(self) -> Self {
        Attributes(self.0 | Self::CONTROL)
    }

    /// The codec of the records.
    ///
    /// # Errors
    /// `UNSUPPORTED` for a codec number that Kafka has not defined.
    pub fn codec(self) -> Result<Codec> {
        let id = (self.0 & Self::CODEC) as u8;
        Codec::from_id(id).ok_or_else(|| {
            Error::new(
                ErrorCode::UNSUPPORTED,
                format!("reading a record batch: compression codec {id} is unknown to this version; use a newer Ottla"),
            )
        })
    }

    /// Who set the timestamps.
    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & Self::LOG_APPEND_TIME != 0 {
            TimestampType::LogAppendTime
        } else {
            TimestampType::CreateTime
        }
    }

    /// True if the batch belongs to a transaction.
    pub const fn is_transactional(self) -> bool {
        self.0 & Self::TRANSACTIONAL != 0
    }

    /// True if the batch holds a control record (a transaction's end marker) and no user data.
    pub const fn is_control(self) -> bool {
        self.0 & Self::CONTROL != 0
    }

    /// True if the base timestamp is a delete horizon set by compaction.
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & Self::DELETE_HORIZON != 0
    }
}

/// A batch header, field by field in the order of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record (before compaction).
    pub base_offset: i64,
    /// Bytes after this field, header included.
    pub batch_length: i32,
    /// Leader epoch of the broker that appended the batch; -1 as produced.
    pub partition_leader_epoch: i32,
    /// Format version: 2.
    pub magic: i8,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Codec, timestamp type and flags.
    pub attributes: Attributes,
    /// Offset of the last record (before compaction) minus the base offset.
    pub last_offset_delta: i32,
    /// Milliseconds since the epoch that the records' timestamps are relative to.
    pub base_timestamp: i64,
    /// Largest timestamp of the records, or the time of the append.
    pub max_timestamp: i64,
    /// The idempotent producer's id, or -1.
    pub producer_id: i64,
    /// The idempotent producer's epoch, or -1.
    pub producer_epoch: i16,
    /// Sequence number of the first record, or -1.
    pub base_sequence: i32,
    /// Number of records.
    pub record_count: i32,
}

fn corrupt(message: String) -> Error {
    Error::new(ErrorCode::CORRUPT_BATCH, message)
}

/// Big-endian field at a constant place of the header.
macro_rules! field {
    ($type:ty, $bytes:ident, $at:expr) => {{
        let mut raw = [0; size_of::<$type>()];
        raw.copy_from_slice(&$bytes[$at..$at + size_of::<$type>()]);
        <$type>::from_be_bytes(raw)
    }};
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`; `None` if it is cut off. Whether the records are all there is not
    /// looked at.
    ///
    /// # Errors
    /// `UNSUPPORTED` for a format other than 2, `CORRUPT_BATCH` for lengths and counts that cannot be.
    pub fn parse(bytes: &[u8]) -> Result<Option<BatchHeader>> {
        if let Some(&magic) = bytes.get(MAGIC_AT)
            && magic != MAGIC as u8
        {
            return Err(wrong_magic(magic as i8));
        }
        let Some(b) = bytes.first_chunk::<HEADER_LEN>() else {
            return Ok(None);
        };
        let header = BatchHeader {
            base_offset: field!(i64, b, 0),
            batch_length: field!(i32, b, 8),
            partition_leader_epoch: field!(i32, b, 12),
            magic: MAGIC,
            crc: field!(u32, b, CRC_AT),
            attributes: Attributes(field!(i16, b, CRC_START)),
            last_offset_delta: field!(i32, b, 23),
            base_timestamp: field!(i64, b, 27),
            max_timestamp: field!(i64, b, 35),
            producer_id: field!(i64, b, 43),
            producer_epoch: field!(i16, b, 51),
            base_sequence: field!(i32, b, 53),
            record_count: field!(i32, b, 57),
        };
        if header.batch_length < MIN_BATCH_LENGTH
            || header.record_count < 0
            || header.last_offset_delta < 0
        {
            return Err(corrupt(format!(
                "reading a record batch: impossible header: length {}, {} records, last offset delta {}",
                header.batch_length, header.record_count, header.last_offset_delta
            )));
        }
        Ok(Some(header))
    }

    /// Writes the header, CRC included, as it stands.
    pub fn write(&self, out: &mut [u8; HEADER_LEN]) {
        out[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        out[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        out[12..16].copy_from_slice(&self.partition_leader_epoch.to_be_bytes());
        out[MAGIC_AT] = self.magic as u8;
        out[CRC_AT..CRC_START].copy_from_slice(&self.crc.to_be_bytes());
        out[21..23].copy_from_slice(&self.attributes.0.to_be_bytes());
        out[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        out[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        out[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        out[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        out[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        out[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        out[57..61].copy_from_slice(&self.record_count.to_be_bytes());
    }

    /// Bytes of the whole batch, header and records.
    pub fn total_len(&self) -> usize {
        LOG_OVERHEAD + self.batch_length.max(MIN_BATCH_LENGTH) as usize
    }

    /// Offset of the batch's last record (before compaction); the next batch begins after it.
    pub fn last_offset(&self) -> i64 {
        self.base_offset
            .saturating_add(i64::from(self.last_offset_delta))
    }
}

#[cold]
fn wrong_magic(magic: i8) -> Error {
    Error::new(
        ErrorCode::UNSUPPORTED,
        match magic {
            0 | 1 => format!(
                "reading a record batch: this is a message of format {magic} (Kafka before 0.11), a batch is of format 2"
            ),
            _ => format!("reading records: batch format {magic} is unknown, Ottla reads format 2"),
        },
    )
}

/// Checks a whole batch (header and records, nothing after them) against the CRC in its header.
///
/// # Errors
/// `CORRUPT_BATCH` if the sums differ or the header is cut off.
pub fn verify_crc(batch: &[u8]) -> Result<()> {
    let (Some(header), Some(covered)) = (batch.first_chunk::<HEADER_LEN>(), batch.get(CRC_START..))
    else {
        return Err(corrupt(format!(
            "checking a record batch: {} bytes are no batch header",
            batch.len()
        )));
    };
    let stored = field!(u32, header, CRC_AT);
    let computed = crc32c(covered);
    if stored == computed {
        return Ok(());
    }
    Err(corrupt(format!(
        "checking the record batch at offset {} ({} bytes): its CRC says {stored:#010x}, its bytes give {computed:#010x}; \
         damaged on the way or on the broker's disk",
        field!(i64, header, 0),
        batch.len()
    )))
}

/// One batch found by [`Batches`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchRef {
    /// Where the batch starts in the buffer.
    pub position: usize,
    /// Its header.
    pub header: BatchHeader,
    /// Its bytes in the buffer, header included.
    pub range: Range<usize>,
}

impl BatchRef {
    /// The bytes of the records, still compressed if the batch is.
    pub fn records(&self) -> Range<usize> {
        self.range.start + HEADER_LEN..self.range.end
    }
}

/// Walks the consecutive batches of a buffer. A batch cut off at the end (brokers send those) ends the walk without
/// an error; after an error nothing more is given.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    bytes: &'a [u8],
    position: usize,
    failed: bool,
}

impl<'a> Batches<'a> {
    /// A walk from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Batches {
            bytes,
            position: 0,
            failed: false,
        }
    }

    /// Where the next batch would start: after the walk has ended, where the cut-off batch starts, or the end.
    pub fn position(&self) -> usize {
        self.position
    }

    /// What follows the batches given so far.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    /// Goes on `len` bytes further, behind something that is no batch.
    pub fn skip_over(&mut self, len: usize) {
        self.position = self.position.saturating_add(len);
        self.failed = false;
    }

    fn step(&mut self) -> Result<Option<BatchRef>> {
        let rest = self.rest();
        let header = BatchHeader::parse(rest)
            .map_err(|e| e.context(format_args!("at byte {}", self.position)))?;
        let Some(header) = header else {
            return Ok(None);
        };
        let len = header.total_len();
        if len > rest.len() {
            return Ok(None);
        }
        let position = self.position;
        self.position += len;
        Ok(Some(BatchRef {
            position,
            header,
            range: position..position + len,
        }))
    }
}

impl Iterator for Batches<'_> {
    type Item = Result<BatchRef>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(records: &[u8]) -> Vec<u8> {
        let mut header = BatchHeader {
            base_offset: 0x0102_0304_0506_0708,
            batch_length: (HEADER_LEN - LOG_OVERHEAD + records.len()) as i32,
            partition_leader_epoch: 9,
            magic: 2,
            crc: 0,
            attributes: Attributes::produced(Codec::Lz4, true),
            last_offset_delta: 4,
            base_timestamp: 1000,
            max_timestamp: 2000,
            producer_id: 77,
            producer_epoch: 3,
            base_sequence: 5,
            record_count: 5,
        };
        let mut batch = vec![0; HEADER_LEN];
        batch.extend_from_slice(records);
        let out = batch.first_chunk_mut().unwrap();
        header.write(out);
        header.crc = crc32c(&batch[CRC_START..]);
        header.write(batch.first_chunk_mut().unwrap());
        batch
    }

    #[test]
    fn round_trip() {
        let batch = sample(b"records");
        let header = BatchHeader::parse(&batch).unwrap().unwrap();
        let mut again = [0; HEADER_LEN];
        header.write(&mut again);
        assert_eq!(again, batch[..HEADER_LEN]);
        assert_eq!(&batch[..8], &[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(header.total_len(), batch.len());
        assert_eq!(header.last_offset(), 0x0102_0304_0506_070c);
        assert_eq!(header.attributes.codec().unwrap(), Codec::Lz4);
        assert!(header.attributes.is_transactional() && !header.attributes.is_control());
        verify_crc(&batch).unwrap();
    }

    #[test]
    fn crc_sees_every_covered_byte() {
        let batch = sample(b"records");
        for at in CRC_AT..batch.len() {
            let mut bad = batch.clone();
            bad[at] ^= 0x10;
            assert_eq!(
                verify_crc(&bad).unwrap_err().code(),
                ErrorCode::CORRUPT_BATCH,
                "byte {at}"
            );
        }
    }

    #[test]
    fn walk_stops_at_every_cut() {
        let (a, b) = (sample(b"one"), sample(b"and two"));
        let both = [a.clone(), b.clone()].concat();
        for cut in 0..=both.len() {
            let mut walk = Batches::new(&both[..cut]);
            let found: Vec<_> = walk.by_ref().map(|r| r.unwrap().range).collect();
            let mut want = vec![];
            if cut >= a.len() {
                want.push(0..a.len());
            }
            if cut == both.len() {
                want.push(a.len()..both.len());
            }
            assert_eq!(found, want, "cut at {cut}");
            assert_eq!(walk.position(), want.last().map_or(0, |r| r.end));
        }
    }

    #[test]
    fn impossible_headers_are_named() {
        let good = sample(b"");
        let code = |edit: &dyn Fn(&mut Vec<u8>)| {
            let mut bad = good.clone();
            edit(&mut bad);
            let mut walk = Batches::new(&bad);
            let code = walk.next().unwrap().unwrap_err().code();
            assert!(walk.next().is_none());
            code
        };
        assert_eq!(
            code(&|b| b[8..12].copy_from_slice(&48i32.to_be_bytes())),
            ErrorCode::CORRUPT_BATCH
        );
        assert_eq!(
            code(&|b| b[8..12].copy_from_slice(&(-1i32).to_be_bytes())),
            ErrorCode::CORRUPT_BATCH
        );
        assert_eq!(code(&|b| b[57] = 0x80), ErrorCode::CORRUPT_BATCH);
        assert_eq!(code(&|b| b[23] = 0x80), ErrorCode::CORRUPT_BATCH);
        assert_eq!(code(&|b| b[MAGIC_AT] = 3), ErrorCode::UNSUPPORTED);
        for magic in 0..2 {
            let mut old = good[..30].to_vec();
            old[8..12].copy_from_slice(&18i32.to_be_bytes());
            old[MAGIC_AT] = magic;
            let error = Batches::new(&old).next().unwrap().unwrap_err();
            assert_eq!(error.code(), ErrorCode::UNSUPPORTED);
            assert!(
                error.message().contains(&format!("format {magic}")),
                "{error}"
            );
        }
        let unknown = Attributes(5).codec().unwrap_err();
        assert_eq!(unknown.code(), ErrorCode::UNSUPPORTED);
    }
}
