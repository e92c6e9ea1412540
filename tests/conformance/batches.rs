//! Record batches, good ones and bad ones.

use bytes::Bytes;
use ottla::protocol::record::crc::crc32c;
use ottla::protocol::record::{Attributes, BatchHeader, HEADER_LEN};

/// A batch as a producer would send it, to be changed before it is sealed.
pub(crate) struct Batch {
    pub(crate) header: BatchHeader,
    pub(crate) body: Vec<u8>,
}

/// One record for each value; the timestamps are `timestamp`, `timestamp + 1` and so on.
pub(crate) fn batch(values: &[&str], timestamp: i64) -> Batch {
    let pairs: Vec<_> = values.iter().map(|value| (None, Some(*value))).collect();
    keyed(&pairs, timestamp)
}

/// The same with keys; a record may have no key, or no value.
pub(crate) fn keyed(values: &[(Option<&str>, Option<&str>)], timestamp: i64) -> Batch {
    let mut body = Vec::new();
    for (i, (key, value)) in values.iter().enumerate() {
        let mut record = vec![0u8, (i as u8) << 1, (i as u8) << 1];
        for part in [key, value] {
            match part {
                Some(text) => {
                    put_varint(&mut record, text.len());
                    record.extend_from_slice(text.as_bytes());
                }
                None => record.push(1),
            }
        }
        record.push(0);
        put_varint(&mut body, record.len());
        body.extend(record);
    }
    let header = BatchHeader {
        base_offset: 0,
        batch_length: (HEADER_LEN - 12 + body.len()) as i32,
        partition_leader_epoch: -1,
        magic: 2,
        crc: 0,
        attributes: Attributes(0),
        last_offset_delta: values.len() as i32 - 1,
        base_timestamp: timestamp,
        max_timestamp: timestamp + values.len() as i64 - 1,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: values.len() as i32,
    };
    Batch { header, body }
}

fn put_varint(out: &mut Vec<u8>, n: usize) {
    let mut n = n << 1;
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

impl Batch {
    pub(crate) fn change(mut self, change: impl FnOnce(&mut BatchHeader)) -> Batch {
        change(&mut self.header);
        self
    }

    pub(crate) fn producer(self, id: i64, epoch: i16, sequence: i32) -> Batch {
        self.change(|h| (h.producer_id, h.producer_epoch, h.base_sequence) = (id, epoch, sequence))
    }

    /// The bytes with the right CRC.
    pub(crate) fn seal(mut self) -> Bytes {
        let mut head = [0; HEADER_LEN];
        self.header.write(&mut head);
        let covered = [&head[21..], &self.body].concat();
        self.header.crc = crc32c(&covered);
        self.header.write(&mut head);
        Bytes::from([&head[..], &self.body].concat())
    }
}
