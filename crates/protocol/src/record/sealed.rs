//! A batch whose records never change again, and the header each attempt to send it gets.

use ottla_base::error::{Error, ErrorCode, Result};
use ottla_base::memory::{PoolBuf, SharedBuf};

use super::builder::BatchBuilder;
use super::columns::HeaderIter;
use super::crc::{combine, crc32c};
use super::header::{Attributes, BatchHeader, CRC_AT, CRC_START, HEADER_LEN, LOG_OVERHEAD};
use super::parse::Walk;
use super::source::EncodedHeaders;
use crate::compress::{self, Codec};

/// What an attempt to send a batch adds to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The idempotent producer's id, or -1.
    pub producer_id: i64,
    /// The idempotent producer's epoch, or -1.
    pub producer_epoch: i16,
    /// Sequence number of the batch's first record, or -1.
    pub base_sequence: i32,
    /// True inside a transaction.
    pub transactional: bool,
}

impl Attempt {
    /// Without idempotence.
    pub const PLAIN: Attempt = Attempt {
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        transactional: false,
    };
}

/// A batch ready to be sent, as often as need be. Cheap to clone: the records are shared.
#[derive(Clone, Debug)]
pub struct SealedBatch {
    body: SharedBuf,
    body_crc: u32,
    count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    /// What the body is in; `wanted` is what was asked for, and for a batch that is split asked for again.
    codec: Codec,
    wanted: (Codec, Option<i32>),
    uncompressed_len: usize,
}

impl SealedBatch {
    pub(super) fn new(
        records: PoolBuf,
        count: i32,
        base_timestamp: i64,
        max_timestamp: i64,
        codec: Codec,
        level: Option<i32>,
    ) -> Result<Self> {
        let uncompressed_len = records.len();
        let (body, used) = match codec {
            Codec::None => (records, Codec::None),
            _ => {
                let mut packed = PoolBuf::try_with_capacity(uncompressed_len / 2)?;
                compress::compress(codec, level, &records, &mut packed)?;
                // Codecs ask for room for the worst case, which the batch would hold until it has ended.
                packed.fit();
                if packed.len() < uncompressed_len {
                    (packed, codec)
                } else {
                    (records, Codec::None)
                }
            }
        };
        Ok(SealedBatch {
            body_crc: crc32c(&body),
            body: body.share(),
            count,
            base_timestamp,
            max_timestamp,
            codec: used,
            wanted: (codec, level),
            uncompressed_len,
        })
    }

    /// The records as they are sent after the header.
    pub fn body(&self) -> &SharedBuf {
        &self.body
    }

    /// Bytes of the batch on the wire, header included.
    pub fn wire_len(&self) -> usize {
        HEADER_LEN + self.body.len()
    }

    /// Bytes of the records before compression.
    pub fn uncompressed_len(&self) -> usize {
        self.uncompressed_len
    }

    /// Number of records.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Timestamp of the first record.
    pub fn base_timestamp(&self) -> i64 {
        self.base_timestamp
    }

    /// Largest timestamp.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// The codec the records are in: [`Codec::None`] also where compression would have made them larger.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// The header for one attempt. Its CRC joins that of the header's own bytes with the body's, which is not read.
    pub fn header(&self, attempt: &Attempt) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        BatchHeader {
            base_offset: 0,
            batch_length: (HEADER_LEN - LOG_OVERHEAD + self.body.len()) as i32,
            partition_leader_epoch: -1,
            magic: 2,
            crc: 0,
            attributes: Attributes::produced(self.codec, attempt.transactional),
            last_offset_delta: self.count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: attempt.producer_id,
            producer_epoch: attempt.producer_epoch,
            base_sequence: attempt.base_sequence,
            record_count: self.count,
        }
        .write(&mut out);
        let crc = combine(
            crc32c(&out[CRC_START..]),
            self.body_crc,
            self.body.len() as u32,
        );
        out[CRC_AT..CRC_START].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// Gives every record to `each` in order: key, value, headers, timestamp in milliseconds.
    ///
    /// # Errors
    /// CORRUPT_BATCH if the records cannot be walked, which a batch that was sealed here never is.
    pub fn for_each_record(
        &self,
        mut each: impl FnMut(Option<&[u8]>, Option<&[u8]>, &[(&[u8], Option<&[u8]>)], i64),
    ) -> Result<()> {
        let mut unpacked = None;
        let records: &[u8] = match self.codec {
            Codec::None => &self.body,
            codec => {
                let mut out = PoolBuf::try_with_capacity(self.uncompressed_len)?;
                compress::decompress(codec, &self.body, &mut out, self.uncompressed_len)?;
                unpacked.insert(out)
            }
        };
        let mut walk = Walk::new(records, 0..records.len());
        let mut headers = Vec::new();
        for _ in 0..self.count {
            let record = walk.step()?;
            headers.clear();
            headers.extend(HeaderIter::new(
                records,
                record.header_start as u32,
                record.header_count,
            ));
            let timestamp = self.base_timestamp.wrapping_add(record.timestamp_delta);
            each(
                record.key(records),
                record.value(records),
                &headers,
                timestamp,
            );
        }
        Ok(())
    }

    /// Splits the batch in two of about the same size, after a broker said that it was too large. The records are
    /// encoded anew, since their deltas change.
    ///
    /// # Errors
    /// `RECORD_TOO_LARGE` if there is only one record; those of the codec.
    pub fn split(&self) -> Result<(SealedBatch, SealedBatch)> {
        if self.count < 2 {
            return Err(Error::new(
                ErrorCode::RECORD_TOO_LARGE,
                format!(
                    "splitting a batch of {} bytes that the broker found too large: it holds a single record; raise the \
                     topic's max.message.bytes, or send smaller records",
                    self.wire_len()
                ),
            ));
        }
        let mut unpacked = None;
        let records: &[u8] = match self.codec {
            Codec::None => &self.body,
            codec => {
                let mut out = PoolBuf::try_with_capacity(self.uncompressed_len)?;
                compress::decompress(codec, &self.body, &mut out, self.uncompressed_len)?;
                unpacked.insert(out)
            }
        };
        let half = records.len() / 2;
        let mut first = BatchBuilder::new(usize::MAX, half + half / 8);
        let mut second = BatchBuilder::new(usize::MAX, half + half / 8);
        let mut walk = Walk::new(records, 0..records.len());
        for index in 0..self.count {
            let start = walk.position();
            let record = walk.step()?;
            let into = if index == 0 || (start < half && index < self.count - 1) {
                &mut first
            } else {
                &mut second
            };
            let headers = EncodedHeaders {
                count: record.header_count as usize,
                bytes: records
                    .get(record.header_start..record.end)
                    .unwrap_or_default(),
            };
            let timestamp = self.base_timestamp.wrapping_add(record.timestamp_delta);
            if !into.append_encoded(
                record.key(records),
                record.value(records),
                headers,
                timestamp,
            )? {
                return Err(Error::new(
                    ErrorCode::RECORD_TOO_LARGE,
                    "splitting a batch: half of it is above 2 GiB",
                ));
            }
        }
        let (codec, level) = self.wanted;
        Ok((first.seal(codec, level)?, second.seal(codec, level)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compressed_batch_holds_no_more_memory_than_its_records_did() {
        let codecs = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];
        for (codec, count) in codecs
            .into_iter()
            .flat_map(|c| [(c, 1), (c, 50), (c, 1000)])
        {
            let mut builder = BatchBuilder::new(usize::MAX, 256);
            for i in 0..count {
                let value = format!("{i} and the same words again and again and again");
                builder
                    .append(None, Some(value.as_bytes()), &[], 0)
                    .unwrap();
            }
            let before = builder.capacity();
            let sealed = builder.seal(codec, None).unwrap();
            let after = sealed.body().capacity();
            assert!(
                after <= before,
                "{codec}, {count} records: {after} bytes are held, {before} were before"
            );
            assert!(count == 1 || after < sealed.uncompressed_len(), "{codec}");
        }
    }
}
