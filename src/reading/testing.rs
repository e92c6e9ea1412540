//! Batches as brokers send them, for the unit tests.

use crate::memory::PoolBuf;
use crate::protocol::compress::Codec;
use crate::protocol::record::crc::crc32c;
use crate::protocol::record::{Attempt, BatchBuilder, BatchHeader};

/// One batch of records whose values are their offsets in decimal.
#[derive(Clone, Copy)]
pub(crate) struct Wire {
    pub(crate) base: i64,
    pub(crate) count: i64,
    pub(crate) codec: Codec,
    /// In a transaction of this producer.
    pub(crate) producer: Option<i64>,
    pub(crate) epoch: i32,
    pub(crate) append_time: Option<i64>,
}

impl Wire {
    pub(crate) fn new(base: i64, count: i64) -> Self {
        Wire {
            base,
            count,
            codec: Codec::None,
            producer: None,
            epoch: 0,
            append_time: None,
        }
    }

    pub(crate) fn codec(self, codec: Codec) -> Self {
        Wire { codec, ..self }
    }

    pub(crate) fn of(self, producer: i64) -> Self {
        Wire {
            producer: Some(producer),
            ..self
        }
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        let mut builder = BatchBuilder::new(usize::MAX, 1024);
        for offset in self.base..self.base + self.count {
            let value = offset.to_string();
            builder
                .append(
                    Some(b"key"),
                    Some(value.as_bytes()),
                    &[(b"h", None)],
                    1000 + offset,
                )
                .unwrap();
        }
        finish(builder, self, |header| {
            if let Some(time) = self.append_time {
                header.attributes = header.attributes.with_log_append_time();
                header.max_timestamp = time;
            }
        })
    }
}

/// The marker that ends a transaction.
pub(crate) fn marker(offset: i64, producer: i64, commit: bool) -> Vec<u8> {
    let mut builder = BatchBuilder::new(usize::MAX, 100);
    builder
        .append(Some(&[0, 0, 0, u8::from(commit)]), Some(&[0; 6]), &[], 0)
        .unwrap();
    finish(builder, Wire::new(offset, 1).of(producer), |header| {
        header.attributes = header.attributes.with_control();
    })
}

fn finish(builder: BatchBuilder, wire: Wire, edit: impl FnOnce(&mut BatchHeader)) -> Vec<u8> {
    let sealed = builder.seal(wire.codec, None).unwrap();
    let attempt = Attempt {
        producer_id: wire.producer.unwrap_or(-1),
        transactional: wire.producer.is_some(),
        ..Attempt::PLAIN
    };
    let mut bytes = [&sealed.header(&attempt)[..], &sealed.body()[..]].concat();
    let mut header = BatchHeader::parse(&bytes).unwrap().unwrap();
    header.base_offset = wire.base;
    header.partition_leader_epoch = wire.epoch;
    edit(&mut header);
    // The CRC covers what comes after it, so it is computed over the edited fields.
    header.write(bytes.first_chunk_mut().unwrap());
    header.crc = crc32c(&bytes[21..]);
    header.write(bytes.first_chunk_mut().unwrap());
    bytes
}

/// Bytes as they come from a socket.
pub(crate) fn pooled(batches: &[Vec<u8>]) -> PoolBuf {
    let all = batches.concat();
    let mut buf = PoolBuf::with_capacity(all.len());
    buf.extend_from_slice(&all);
    buf
}
