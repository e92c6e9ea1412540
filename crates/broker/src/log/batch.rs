//! A produced record batch as the broker sees it: its header, checked, never its records.

use bytes::Bytes;
use ottla_base::error::ErrorCode;
use ottla_base::memory::PoolBuf;
use ottla_protocol::compress::{Codec, compress};
use ottla_protocol::record::header::{CRC_START, LOG_OVERHEAD, MAGIC_AT};
use ottla_protocol::record::varint::{read_varint, read_varlong};
use ottla_protocol::record::{
    Attributes, BatchHeader, ControlType, HEADER_LEN, TimestampType, crc, verify_crc,
};

use super::records::{expand, records, timestamps};

/// The least a record of any format takes behind its length.
const MIN_LENGTH: usize = 14;
/// The attribute bit of batches that the broker stamped.
const ATTR_APPEND_TIME: i16 = 0x08;
/// The attribute bits that name the codec.
const ATTR_CODEC: i16 = 0x07;
/// A record without a timestamp.
const NO_TIMESTAMP: i64 = -1;
/// Version of Produce that first allowed zstd.
const ZSTD_SINCE: i16 = 7;

/// Why a request is refused, with the words Kafka has for the client, if any.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    pub code: ErrorCode,
    pub message: Option<String>,
    /// What is wrong with single records of a batch, by their place in it.
    pub(crate) records: Vec<(i32, String)>,
}

impl Refused {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Refused {
            code,
            message: Some(message.into()),
            records: Vec::new(),
        }
    }

    pub(crate) fn plain(code: ErrorCode) -> Self {
        Refused {
            code,
            message: None,
            records: Vec::new(),
        }
    }
}

/// One batch that passed every check the broker makes without decompressing it.
#[derive(Clone, Debug)]
pub struct ProducedBatch {
    pub(crate) header: BatchHeader,
    pub(crate) bytes: Bytes,
}

impl ProducedBatch {
    /// Checks that a client sent exactly one batch of format 2 for a partition.
    ///
    /// # Errors
    /// The code, and words where Kafka has some.
    pub(crate) fn check_framing(records: &[u8], api_version: i16) -> Result<(), Refused> {
        let not_one = || Refused::plain(ErrorCode::INVALID_RECORD);
        let (Some(length), Some(&magic)) = (
            records.get(8..).and_then(|b| b.first_chunk()),
            records.get(MAGIC_AT),
        ) else {
            return Err(not_one());
        };
        let Some(length) = usize::try_from(i32::from_be_bytes(*length))
            .ok()
            .filter(|&l| l >= MIN_LENGTH)
        else {
            return Err(Refused::plain(ErrorCode::CORRUPT_MESSAGE));
        };
        if LOG_OVERHEAD + length > records.len() {
            return Err(not_one());
        }
        match magic {
            0 | 1 => return Err(not_one()),
            2 => {}
            _ => {
                let words = format!("Invalid magic found in record: {}", magic as i8);
                return Err(Refused::new(ErrorCode::CORRUPT_MESSAGE, words));
            }
        }
        let zstd = records
            .get(CRC_START + 1)
            .is_some_and(|low| low & 7 == Codec::Zstd.id());
        if zstd && api_version < ZSTD_SINCE {
            return Err(Refused::plain(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE));
        }
        if LOG_OVERHEAD + length < records.len() {
            return Err(not_one());
        }
        Ok(())
    }

    /// Checks one batch in Kafka's order: base offset, size, CRC, counts that agree.
    ///
    /// # Errors
    /// The code for the client.
    pub fn check(records: &Bytes, max_bytes: usize) -> Result<Self, Refused> {
        let refuse = |code| Err(Refused::plain(code));
        if records.first_chunk() != Some(&0i64.to_be_bytes()) {
            return refuse(ErrorCode::INVALID_RECORD);
        }
        if records.len() > max_bytes {
            return refuse(ErrorCode::MESSAGE_TOO_LARGE);
        }
        if verify_crc(records).is_err() {
            return refuse(ErrorCode::CORRUPT_MESSAGE);
        }
        // A header that can't be, with the right CRC over it, was made so by the client.
        let Ok(Some(header)) = BatchHeader::parse(records) else {
            return refuse(ErrorCode::INVALID_RECORD);
        };
        let sequenced =
            header.producer_id < 0 || (header.base_sequence >= 0 && header.producer_epoch >= 0);
        if header.record_count <= 0
            || header.last_offset_delta != header.record_count - 1
            || header.attributes.is_control()
            || !sequenced
        {
            return refuse(ErrorCode::INVALID_RECORD);
        }
        if header.attributes.codec().is_err() {
            return refuse(ErrorCode::UNKNOWN_SERVER_ERROR);
        }
        Ok(ProducedBatch {
            header,
            bytes: records.clone(),
        })
    }

    /// A transaction's end: one control record, as a coordinator of epoch 0 writes it.
    pub(crate) fn marker(producer_id: i64, producer_epoch: i16, commit: bool, now_ms: i64) -> Self {
        // Length, attributes, timestamp and offset deltas, then a key of 4 bytes (version, kind), a value of 6
        // (version, the coordinator's epoch), no headers; lengths are zigzag.
        let body = [
            32,
            0,
            0,
            0,
            8,
            0,
            0,
            0,
            u8::from(commit),
            12,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        ];
        let mut header = BatchHeader {
            base_offset: 0,
            batch_length: (HEADER_LEN - LOG_OVERHEAD + body.len()) as i32,
            partition_leader_epoch: -1,
            magic: 2,
            crc: 0,
            attributes: Attributes::produced(Codec::None, true).with_control(),
            last_offset_delta: 0,
            base_timestamp: now_ms,
            max_timestamp: now_ms,
            producer_id,
            producer_epoch,
            base_sequence: -1,
            record_count: 1,
        };
        sum(&mut header, &body);
        let mut head = [0; HEADER_LEN];
        header.write(&mut head);
        ProducedBatch {
            header,
            bytes: Bytes::from([&head[..], &body].concat()),
        }
    }

    /// Gives the batch its place in the log. Offset and epoch lie outside the CRC; who stamped it lies inside, so
    /// that an append time costs a CRC over the batch (and so does a producer that claims to be the broker).
    pub(crate) fn place(&mut self, base_offset: i64, leader_epoch: i32, append_time: Option<i64>) {
        self.header.base_offset = base_offset;
        self.header.partition_leader_epoch = leader_epoch;
        let claimed = self.append_time().is_some();
        match append_time {
            Some(time) => {
                self.header.attributes = self.header.attributes.with_log_append_time();
                self.header.max_timestamp = time;
            }
            None if claimed => self.header.attributes.0 &= !ATTR_APPEND_TIME,
            None => return,
        }
        let body = self.bytes.get(HEADER_LEN..).unwrap_or_default();
        sum(&mut self.header, body);
    }

    /// The batch as a broker keeps it whose topic wants `codec`: compressed anew if it is compressed otherwise.
    ///
    /// # Errors
    /// `CORRUPT_MESSAGE` if the records can't be decompressed.
    pub(crate) fn compressed(&self, codec: Codec, level: Option<i32>) -> Result<Self, Refused> {
        if self.header.attributes.codec().ok() == Some(codec) {
            return Ok(self.clone());
        }
        let corrupt = || Refused::plain(ErrorCode::CORRUPT_MESSAGE);
        let plain = expand(&self.header, self.body()).ok_or_else(corrupt)?;
        let bytes = rebuilt(self.header, codec, level, &plain).ok_or_else(corrupt)?;
        let Ok(Some(header)) = BatchHeader::parse(&bytes) else {
            return Err(corrupt());
        };
        Ok(ProducedBatch { header, bytes })
    }

    /// Checks the records' timestamps against the limits around `now_ms`, if the broker does not stamp them.
    ///
    /// # Errors
    /// `INVALID_TIMESTAMP` with the records that lie outside.
    pub(crate) fn check_timestamps(
        &self,
        now_ms: i64,
        before_max_ms: i64,
        after_max_ms: i64,
    ) -> Result<(), Refused> {
        let range = now_ms.saturating_sub(before_max_ms)..=now_ms.saturating_add(after_max_ms);
        let good = |time: i64| time == NO_TIMESTAMP || range.contains(&time);
        if good(self.header.max_timestamp) && good(self.header.base_timestamp) {
            return Ok(());
        }
        let outside = timestamps(&self.bytes)
            .into_iter()
            .filter(|&(_, time)| !good(time));
        let outside: Vec<(i32, String)> = outside
            .map(|(place, time)| {
                let words = format!(
                    "Timestamp {time} of message with offset {place} is out of range. The timestamp should be within \
                     [{}, {}]",
                    range.start(),
                    range.end()
                );
                (place, words)
            })
            .collect();
        if outside.is_empty() {
            return Ok(());
        }
        let words = "One or more records have been rejected due to invalid timestamp";
        Err(Refused {
            records: outside,
            ..Refused::new(ErrorCode::INVALID_TIMESTAMP, words)
        })
    }

    /// Checks that every record has a key, as a log that is compacted needs it.
    ///
    /// # Errors
    /// `INVALID_RECORD` with the records that have none.
    pub(crate) fn check_keys(&self, topic: &str, partition: i32) -> Result<(), Refused> {
        let plain = expand(&self.header, self.body())
            .ok_or_else(|| Refused::plain(ErrorCode::CORRUPT_MESSAGE))?;
        let words = format!(
            "Compacted topic cannot accept message without key in topic partition {topic}-{partition}"
        );
        let without: Vec<(i32, String)> = records(&plain, self.header.record_count)
            .zip(0..)
            .filter(|(record, _)| record.key.is_none())
            .map(|(_, place)| (place, words.clone()))
            .collect();
        if without.is_empty() {
            return Ok(());
        }
        let shown: Vec<String> = without
            .iter()
            .take(3)
            .map(|(place, words)| format!("RecordError(batchIndex={place}, message='{words}')"))
            .collect();
        let message = format!(
            "One or more records have been rejected due to {} record errors in total, and only showing the first three \
             errors at most: [{}]",
            without.len(),
            shown.join(", ")
        );
        Err(Refused {
            records: without,
            ..Refused::new(ErrorCode::INVALID_RECORD, message)
        })
    }

    /// The header as the log keeps it.
    pub(crate) fn head(&self) -> [u8; HEADER_LEN] {
        let mut head = [0; HEADER_LEN];
        self.header.write(&mut head);
        head
    }

    /// The bytes behind the header.
    pub(crate) fn body(&self) -> &[u8] {
        self.bytes.get(HEADER_LEN..).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The timestamp that an append-time batch carries for all its records.
    pub(crate) fn append_time(&self) -> Option<i64> {
        (self.header.attributes.timestamp_type() == TimestampType::LogAppendTime)
            .then_some(self.header.max_timestamp)
    }

    /// Sequence number of the last record; numbers wrap from the largest `i32` to 0.
    pub(crate) fn last_sequence(&self) -> i32 {
        add_sequence(self.header.base_sequence, self.header.record_count - 1)
    }
}

/// Gives a header the CRC of a batch with this body.
fn sum(header: &mut BatchHeader, body: &[u8]) {
    let mut head = [0; HEADER_LEN];
    header.write(&mut head);
    let covered = head.get(CRC_START..).unwrap_or_default();
    header.crc = crc::extend(crc::crc32c(covered), body);
}

/// A batch with `header`, whose length, codec and CRC are set here, and the records `plain`.
pub(super) fn rebuilt(
    mut header: BatchHeader,
    codec: Codec,
    level: Option<i32>,
    plain: &[u8],
) -> Option<Bytes> {
    let mut body = PoolBuf::with_capacity(plain.len());
    match codec {
        Codec::None => body.extend_from_slice(plain),
        codec => compress(codec, level, plain, &mut body).ok()?,
    }
    let body = body.share();
    header.attributes.0 = (header.attributes.0 & !ATTR_CODEC) | i16::from(codec.id());
    header.batch_length = i32::try_from(HEADER_LEN - LOG_OVERHEAD + body.len()).ok()?;
    sum(&mut header, &body);
    let mut head = [0; HEADER_LEN];
    header.write(&mut head);
    Some(Bytes::from([&head[..], &body].concat()))
}

/// `sequence` moved on by `n`, wrapping from the largest `i32` to 0 as Kafka's sequence numbers do.
pub(crate) fn add_sequence(sequence: i32, n: i32) -> i32 {
    sequence
        .checked_add(n)
        .unwrap_or_else(|| n - (i32::MAX - sequence) - 1)
}

/// Whether a whole control batch says that its transaction was committed; `None` of what says neither.
pub(crate) fn is_commit(batch: &[u8]) -> Option<bool> {
    let body = batch.get(HEADER_LEN..)?;
    let mut at = 0;
    // Length, attributes, timestamp and offset deltas stand before the key's length.
    read_varint(body, &mut at)?;
    at += 1;
    read_varlong(body, &mut at)?;
    read_varint(body, &mut at)?;
    read_varint(body, &mut at)?;
    match ControlType::parse(body.get(at..)?)? {
        ControlType::Commit => Some(true),
        ControlType::Abort => Some(false),
        ControlType::Other(_) => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A whole batch at the start of `bytes` whose CRC is right.
    fn intact(bytes: &[u8]) -> Option<BatchHeader> {
        let header = BatchHeader::parse(bytes).ok()??;
        verify_crc(bytes.get(..header.total_len())?).ok()?;
        Some(header)
    }

    /// A batch of one record with a key, and a value or none.
    pub(crate) fn keyed(key: &str, value: Option<&str>) -> Bytes {
        let mut record = vec![0u8, 0, 0, (key.len() as u8) << 1];
        record.extend_from_slice(key.as_bytes());
        match value {
            Some(value) => {
                record.push((value.len() as u8) << 1);
                record.extend_from_slice(value.as_bytes());
            }
            None => record.push(1),
        }
        record.push(0);
        let body = [&[(record.len() as u8) << 1], record.as_slice()].concat();
        let Ok(Some(header)) = BatchHeader::parse(&batch(&[b""], (-1, -1, -1), 1_000_000)) else {
            unreachable!("a batch made here")
        };
        rebuilt(header, Codec::None, None, &body).expect("a small batch")
    }

    /// A batch of `values` as a producer would send it.
    pub(crate) fn batch(values: &[&[u8]], producer: (i64, i16, i32), timestamp: i64) -> Bytes {
        let mut body = Vec::new();
        for (i, value) in values.iter().enumerate() {
            // Attributes, timestamp delta, offset delta, null key, value, no headers; all lengths below 64 here.
            let mut record = vec![0u8, 0, (i as u8) << 1, 1, (value.len() as u8) << 1];
            record.extend_from_slice(value);
            record.push(0);
            body.push((record.len() as u8) << 1);
            body.extend(record);
        }
        let header = BatchHeader {
            base_offset: 0,
            batch_length: (HEADER_LEN - LOG_OVERHEAD + body.len()) as i32,
            partition_leader_epoch: -1,
            magic: 2,
            crc: 0,
            attributes: Default::default(),
            last_offset_delta: values.len() as i32 - 1,
            base_timestamp: timestamp,
            max_timestamp: timestamp,
            producer_id: producer.0,
            producer_epoch: producer.1,
            base_sequence: producer.2,
            record_count: values.len() as i32,
        };
        seal(header, &body)
    }

    /// `header` and `body` with the right CRC.
    pub(crate) fn seal(mut header: BatchHeader, body: &[u8]) -> Bytes {
        let mut bytes = vec![0; HEADER_LEN];
        bytes.extend_from_slice(body);
        let mut head = [0; HEADER_LEN];
        header.write(&mut head);
        bytes[..HEADER_LEN].copy_from_slice(&head);
        header.crc = crc::crc32c(&bytes[CRC_START..]);
        header.write(&mut head);
        bytes[..HEADER_LEN].copy_from_slice(&head);
        Bytes::from(bytes)
    }

    fn code(bytes: &Bytes) -> ErrorCode {
        ProducedBatch::check_framing(bytes, 9)
            .and_then(|()| ProducedBatch::check(bytes, 1000))
            .map_or_else(|r| r.code, |_| ErrorCode::NONE)
    }

    fn changed(change: impl FnOnce(&mut BatchHeader)) -> Bytes {
        let good = batch(&[b"a", b"b"], (-1, -1, -1), 5);
        let mut header = BatchHeader::parse(&good).unwrap().unwrap();
        change(&mut header);
        seal(header, &good[HEADER_LEN..])
    }

    #[test]
    fn a_good_batch_passes_and_a_damaged_one_does_not() {
        let good = batch(&[b"hello", b"world"], (-1, -1, -1), 5);
        assert_eq!(code(&good), ErrorCode::NONE);
        let mut bad = good.to_vec();
        bad[70] ^= 1;
        assert_eq!(code(&Bytes::from(bad)), ErrorCode::CORRUPT_MESSAGE);
        for cut in 0..good.len() {
            assert_ne!(code(&good.slice(..cut)), ErrorCode::NONE);
        }
        let two = [good.clone(), good].concat();
        assert_eq!(code(&Bytes::from(two)), ErrorCode::INVALID_RECORD);
    }

    #[test]
    fn headers_that_contradict_themselves_are_refused() {
        let invalid = ErrorCode::INVALID_RECORD;
        assert_eq!(code(&changed(|h| h.base_offset = 3)), invalid);
        assert_eq!(code(&changed(|h| h.record_count = 3)), invalid);
        assert_eq!(code(&changed(|h| h.record_count = -1)), invalid);
        assert_eq!(
            code(&changed(|h| h.attributes = h.attributes.with_control())),
            invalid
        );
        assert_eq!(code(&changed(|h| h.producer_id = 3)), invalid);
        let large = batch(&[[0u8; 60].as_slice(); 20], (-1, -1, -1), 0);
        assert_eq!(code(&large), ErrorCode::MESSAGE_TOO_LARGE);
    }

    #[test]
    fn a_producer_can_not_claim_to_be_the_broker() {
        let claimed = changed(|h| h.attributes = h.attributes.with_log_append_time());
        let mut placed = ProducedBatch::check(&claimed, 1000).unwrap();
        placed.place(1, 0, None);
        let stored = [placed.head().as_slice(), placed.body()].concat();
        let header = intact(&stored).expect("right CRC");
        assert_eq!(
            header.attributes.timestamp_type(),
            TimestampType::CreateTime
        );
    }

    #[test]
    fn append_time_is_written_with_a_right_crc() {
        let mut placed = ProducedBatch::check(&batch(&[b"a"], (-1, -1, -1), 5), 1000).unwrap();
        placed.place(42, 7, Some(1234));
        let stored = [placed.head().as_slice(), placed.body()].concat();
        let header = intact(&stored).expect("right CRC");
        assert_eq!((header.base_offset, header.partition_leader_epoch), (42, 7));
        assert_eq!((header.base_timestamp, header.max_timestamp), (5, 1234));
        assert_eq!(placed.append_time(), Some(1234));
    }

    #[test]
    fn a_marker_is_a_good_batch_that_says_how_it_ended() {
        for commit in [false, true] {
            let mut marker = ProducedBatch::marker(7, 3, commit, 99);
            marker.place(5, 1, None);
            let stored = [marker.head().as_slice(), marker.body()].concat();
            let header = intact(&stored).expect("right CRC");
            assert_eq!(
                (
                    header.producer_id,
                    header.producer_epoch,
                    header.base_offset
                ),
                (7, 3, 5)
            );
            assert!(header.attributes.is_control() && header.attributes.is_transactional());
            assert_eq!(is_commit(&stored), Some(commit));
            assert_eq!(timestamps(&stored), [(0, 99)]);
        }
    }

    #[test]
    fn sequence_numbers_wrap_to_zero() {
        assert_eq!(add_sequence(5, 3), 8);
        assert_eq!(add_sequence(i32::MAX, 1), 0);
        assert_eq!(add_sequence(i32::MAX - 1, 4), 2);
    }
}
