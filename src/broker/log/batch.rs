//! A produced record batch as the broker sees it: its header, checked, never its records.

use bytes::Bytes;

use crate::error::ErrorCode;
use crate::protocol::record::header::LOG_OVERHEAD;
use crate::protocol::record::{BatchHeader, HEADER_LEN, TimestampType, crc, verify_crc};

/// Where the CRC lies in a header.
const CRC_AT: usize = 17;
/// Where the bytes begin that the CRC covers.
const CRC_START: usize = 21;

/// Why a batch is refused, with the words Kafka gives the client.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) code: ErrorCode,
    pub(crate) message: Option<String>,
}

impl Refused {
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Refused {
            code,
            message: Some(message.into()),
        }
    }

    pub(crate) fn plain(code: ErrorCode) -> Self {
        Refused {
            code,
            message: None,
        }
    }
}

/// One batch that passed every check the broker makes without decompressing it.
#[derive(Clone, Debug)]
pub(crate) struct ProducedBatch {
    pub(crate) header: BatchHeader,
    pub(crate) bytes: Bytes,
}

impl ProducedBatch {
    /// Checks that a client sent exactly one batch of format 2 for a partition.
    ///
    /// # Errors
    /// The code and words for the client.
    pub(crate) fn check_framing(records: &Bytes, api_version: i16) -> Result<BatchHeader, Refused> {
        let only = |what: &str| {
            Refused::new(
                ErrorCode::INVALID_RECORD,
                format!("Produce requests with version {api_version} {what}"),
            )
        };
        let corrupt = || Refused::plain(ErrorCode::CORRUPT_MESSAGE);
        let header = match BatchHeader::parse(records) {
            Ok(Some(header)) => header,
            Ok(None) if records.is_empty() => {
                return Err(only("must have at least one record batch per partition"));
            }
            Err(error) if error.code() == ErrorCode::UNSUPPORTED => {
                return Err(only(
                    "are only allowed to contain record batches with magic version 2",
                ));
            }
            Ok(None) | Err(_) => return Err(corrupt()),
        };
        if header.total_len() > records.len() {
            return Err(corrupt());
        }
        if header.total_len() < records.len() {
            return Err(only(
                "are only allowed to contain exactly one record batch per partition",
            ));
        }
        Ok(header)
    }

    /// Checks a batch in Kafka's order: framing, size, CRC, counts that agree.
    ///
    /// # Errors
    /// The code and words for the client.
    pub(crate) fn check(
        records: &Bytes,
        api_version: i16,
        max_bytes: usize,
    ) -> Result<Self, Refused> {
        let header = Self::check_framing(records, api_version)?;
        let corrupt = || Refused::plain(ErrorCode::CORRUPT_MESSAGE);
        let invalid = |message: String| Refused::new(ErrorCode::INVALID_RECORD, message);
        if header.base_offset != 0 {
            return Err(invalid(format!(
                "The baseOffset of the record batch in the append should be 0, but it is {}",
                header.base_offset
            )));
        }
        if records.len() > max_bytes {
            return Err(Refused::new(
                ErrorCode::MESSAGE_TOO_LARGE,
                format!(
                    "The record batch size is {} bytes which exceeds the maximum configured value of {max_bytes}",
                    records.len()
                ),
            ));
        }
        verify_crc(records).map_err(|_| corrupt())?;
        if header.record_count <= 0 || header.last_offset_delta != header.record_count - 1 {
            return Err(invalid(format!(
                "Inconsistent batch offset range: last offset delta {}, number of records {}",
                header.last_offset_delta, header.record_count
            )));
        }
        if header.attributes.is_control() {
            return Err(invalid(
                "Clients are not allowed to write control records".to_owned(),
            ));
        }
        if header.producer_id >= 0 && (header.base_sequence < 0 || header.producer_epoch < 0) {
            return Err(invalid(format!(
                "Invalid sequence number {} in record batch with producerId {}",
                header.base_sequence, header.producer_id
            )));
        }
        if header.attributes.codec().is_err() {
            return Err(corrupt());
        }
        Ok(ProducedBatch {
            header,
            bytes: records.clone(),
        })
    }

    /// Gives the batch its place in the log. Offset and epoch lie outside the CRC; an append time lies inside, so
    /// it costs a CRC over the batch.
    pub(crate) fn place(&mut self, base_offset: i64, leader_epoch: i32, append_time: Option<i64>) {
        self.header.base_offset = base_offset;
        self.header.partition_leader_epoch = leader_epoch;
        if let Some(time) = append_time {
            self.header.attributes = self.header.attributes.with_log_append_time();
            self.header.max_timestamp = time;
            let head = self.head();
            let covered = head.get(CRC_START..).unwrap_or_default();
            self.header.crc = crc::extend(crc::crc32c(covered), self.body());
        }
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

/// `sequence` moved on by `n`, wrapping from the largest `i32` to 0 as Kafka's sequence numbers do.
pub(crate) fn add_sequence(sequence: i32, n: i32) -> i32 {
    sequence
        .checked_add(n)
        .unwrap_or_else(|| n - (i32::MAX - sequence) - 1)
}

/// A whole batch at the start of `bytes` whose CRC is right; `None` if it is cut off or damaged. Used when a log is
/// read back from disk.
pub(crate) fn intact(bytes: &[u8]) -> Option<BatchHeader> {
    let header = BatchHeader::parse(bytes).ok()??;
    let whole = bytes.get(..header.total_len())?;
    verify_crc(whole).ok()?;
    Some(header)
}

const _: () = assert!(CRC_AT + 4 == CRC_START && LOG_OVERHEAD < CRC_AT);

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

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
        ProducedBatch::check(bytes, 9, 1000)
            .map(|_| ErrorCode::NONE)
            .unwrap_or_else(|r| r.code)
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
        assert_eq!(
            code(&good.slice(..good.len() - 1)),
            ErrorCode::CORRUPT_MESSAGE
        );
        assert_eq!(code(&Bytes::new()), ErrorCode::INVALID_RECORD);
        let two = [good.clone(), good].concat();
        assert_eq!(code(&Bytes::from(two)), ErrorCode::INVALID_RECORD);
    }

    #[test]
    fn headers_that_contradict_themselves_are_refused() {
        assert_eq!(
            code(&changed(|h| h.base_offset = 3)),
            ErrorCode::INVALID_RECORD
        );
        assert_eq!(
            code(&changed(|h| h.record_count = 3)),
            ErrorCode::INVALID_RECORD
        );
        assert_eq!(
            code(&changed(|h| h.attributes = h.attributes.with_control())),
            ErrorCode::INVALID_RECORD
        );
        assert_eq!(
            code(&changed(|h| h.producer_id = 3)),
            ErrorCode::INVALID_RECORD
        );
        assert_eq!(
            code(&changed(|h| h.attributes.0 |= 7)),
            ErrorCode::CORRUPT_MESSAGE
        );
        assert_eq!(
            code(&batch(&[[0u8; 60].as_slice(); 20], (-1, -1, -1), 0)),
            ErrorCode::MESSAGE_TOO_LARGE
        );
    }

    #[test]
    fn append_time_is_written_with_a_right_crc() {
        let mut placed = ProducedBatch::check(&batch(&[b"a"], (-1, -1, -1), 5), 9, 1000).unwrap();
        placed.place(42, 7, Some(1234));
        let stored = [placed.head().as_slice(), placed.body()].concat();
        let header = intact(&stored).expect("right CRC");
        assert_eq!((header.base_offset, header.partition_leader_epoch), (42, 7));
        assert_eq!((header.base_timestamp, header.max_timestamp), (5, 1234));
        assert_eq!(placed.append_time(), Some(1234));
    }

    #[test]
    fn sequence_numbers_wrap_to_zero() {
        assert_eq!(add_sequence(5, 3), 8);
        assert_eq!(add_sequence(i32::MAX, 1), 0);
        assert_eq!(add_sequence(i32::MAX - 1, 4), 2);
    }
}
