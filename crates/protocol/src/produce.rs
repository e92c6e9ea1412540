//! Produce requests and responses, versions 3 to 13, written so that a batch's body is never copied.

use ottla_base::error::Result;
use ottla_base::memory::SharedBuf;

use super::record::HEADER_LEN;
use super::wire::{Read, Reader, TopicId, Writer, whole};

/// Produce's API key.
pub const KEY: i16 = 0;
/// The versions this module writes and reads.
pub const VERSIONS: (i16, i16) = (3, 13);
/// From here on batches may be compressed with zstd (KIP-110, Kafka 2.1).
pub const ZSTD_VERSION: i16 = 7;
/// From here on a transactional batch takes its partition into the transaction by itself (KIP-890).
pub const IMPLICIT_TRANSACTION_VERSION: i16 = 12;
/// From here on topics are named by their id.
pub const TOPIC_ID_VERSION: i16 = 13;

/// A request frame in pieces: our small parts in one buffer, cut where a batch body goes.
#[derive(Debug, Default)]
pub struct OutFrame {
    /// Length prefix, headers and all else that is small.
    pub meta: Vec<u8>,
    /// (position in `meta`, the body that is written when this position is reached), in order.
    pub bodies: Vec<(usize, SharedBuf)>,
}

impl OutFrame {
    /// Bytes of the whole frame, its length prefix included.
    pub fn len(&self) -> usize {
        self.meta.len() + self.bodies.iter().map(|(_, b)| b.len()).sum::<usize>()
    }

    /// True for a frame without any bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the total length into the first four bytes.
    pub fn finish(&mut self) {
        let len = (self.len() - 4) as u32;
        self.meta[..4].copy_from_slice(&len.to_be_bytes());
    }
}

/// One partition's batch in a request.
pub struct PartitionBatch {
    /// The partition's index.
    pub partition: i32,
    /// The batch header of this attempt.
    pub header: [u8; HEADER_LEN],
    /// The batch's records, as sealed.
    pub body: SharedBuf,
}

/// One topic's batches in a request.
pub struct TopicBatches<'a> {
    /// The topic's name.
    pub topic: &'a str,
    /// Its id, needed from version 13.
    pub id: TopicId,
    /// At most one batch a partition.
    pub batches: Vec<PartitionBatch>,
}

/// Appends a Produce body to `frame`, which already holds the request header.
pub fn write_request(
    frame: &mut OutFrame,
    version: i16,
    transactional_id: Option<&str>,
    acks: i16,
    timeout_ms: i32,
    topics: Vec<TopicBatches<'_>>,
) {
    let flexible = version >= 9;
    let mut w = Writer {
        out: &mut frame.meta,
        flexible,
    };
    w.nullable_string(transactional_id);
    w.i16(acks);
    w.i32(timeout_ms);
    w.count(topics.len());
    for topic in topics {
        if version >= TOPIC_ID_VERSION {
            w.out.extend_from_slice(&topic.id);
        } else {
            w.string(topic.topic);
        }
        w.count(topic.batches.len());
        for batch in topic.batches {
            w.i32(batch.partition);
            w.count(HEADER_LEN + batch.body.len());
            w.out.extend_from_slice(&batch.header);
            frame.bodies.push((w.out.len(), batch.body));
            w.no_tags();
        }
        w.no_tags();
    }
    w.no_tags();
}

/// What the broker says of one partition's batch.
#[derive(Debug, Clone, Default)]
pub struct PartitionResult {
    /// The partition's index.
    pub partition: i32,
    /// Kafka's error code, 0 for success.
    pub error_code: i16,
    /// Offset of the batch's first record, or -1.
    pub base_offset: i64,
    /// The broker's time, where the topic stamps on append; otherwise -1.
    pub log_append_time: i64,
    /// First offset the partition still holds, or -1.
    pub log_start_offset: i64,
    /// (index in the batch, message) of records refused singly.
    pub record_errors: Vec<(i32, Option<String>)>,
    /// The broker's own words.
    pub error_message: Option<String>,
    /// (broker id, leader epoch) of the present leader (KIP-951).
    pub current_leader: Option<(i32, i32)>,
}

/// A topic's results: by name up to version 12, by id from 13.
#[derive(Debug, Default)]
pub struct TopicResult {
    /// Name; empty from version 13.
    pub topic: String,
    /// Id; zero up to version 12.
    pub id: TopicId,
    /// One result per partition sent.
    pub partitions: Vec<PartitionResult>,
}

/// Where a broker can be reached, as told beside a leader hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEndpoint {
    /// Broker id.
    pub node: i32,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: i32,
    /// Rack, if the broker has one.
    pub rack: Option<String>,
}

/// A whole Produce response.
#[derive(Debug, Default)]
pub struct ProduceResponse {
    /// Results by topic.
    pub topics: Vec<TopicResult>,
    /// How long the broker asks this connection to pause (KIP-219).
    pub throttle_ms: i32,
    /// Addresses of the leaders hinted at.
    pub endpoints: Vec<NodeEndpoint>,
}

pub(crate) fn read_endpoints(r: &mut Reader<'_>, rest: usize) -> Read<Vec<NodeEndpoint>> {
    let n = r.count("node endpoints", rest / 4)?;
    let mut out = Vec::new();
    for _ in 0..n {
        let node = r.i32()?;
        let host = r.string("endpoint host")?.to_owned();
        let port = r.i32()?;
        let rack = r.nullable_string("endpoint rack")?.map(str::to_owned);
        r.tags(|_, _| Ok(()))?;
        out.push(NodeEndpoint {
            node,
            host,
            port,
            rack,
        });
    }
    Ok(out)
}

pub(crate) fn read_leader(r: &mut Reader<'_>) -> Read<Option<(i32, i32)>> {
    let leader = (r.i32()?, r.i32()?);
    r.tags(|_, _| Ok(()))?;
    Ok((leader.0 >= 0).then_some(leader))
}

/// Reads a Produce response's body (after the response header).
pub fn read_response(version: i16, body: &[u8]) -> Result<ProduceResponse> {
    whole("Produce response", parse(version, body))
}

fn parse(version: i16, body: &[u8]) -> Read<ProduceResponse> {
    let mut r = Reader::new(body, version >= 9);
    let mut out = ProduceResponse::default();
    for _ in 0..r.count("responses", body.len() / 4)? {
        let mut topic = TopicResult::default();
        if version >= TOPIC_ID_VERSION {
            topic.id = r.topic_id()?;
        } else {
            topic.topic = r.string("topic name")?.to_owned();
        }
        for _ in 0..r.count("partition responses", body.len() / 14)? {
            let mut p = PartitionResult {
                partition: r.i32()?,
                error_code: r.i16()?,
                base_offset: r.i64()?,
                log_append_time: r.i64()?,
                log_start_offset: -1,
                ..Default::default()
            };
            if version >= 5 {
                p.log_start_offset = r.i64()?;
            }
            if version >= 8 {
                for _ in 0..r.count("record errors", body.len() / 5)? {
                    let index = r.i32()?;
                    let message = r.nullable_string("record error")?.map(str::to_owned);
                    r.tags(|_, _| Ok(()))?;
                    p.record_errors.push((index, message));
                }
                p.error_message = r.nullable_string("error message")?.map(str::to_owned);
            }
            r.tags(|tag, r| {
                if tag == 0 {
                    p.current_leader = read_leader(r)?;
                }
                Ok(())
            })?;
            topic.partitions.push(p);
        }
        r.tags(|_, _| Ok(()))?;
        out.topics.push(topic);
    }
    out.throttle_ms = r.i32()?;
    r.tags(|tag, r| {
        if tag == 0 {
            out.endpoints = read_endpoints(r, body.len())?;
        }
        Ok(())
    })?;
    Ok(out)
}
