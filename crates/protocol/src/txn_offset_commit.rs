//! TxnOffsetCommit version 6, which names topics by their ids (KIP-1319): the `kafka-protocol` crate ends with version 5.

use kafka_protocol::messages::TxnOffsetCommitRequest;
use ottla_base::error::Result;

use super::wire::{Read, Reader, TopicId, Writer, whole};

/// The version that this module writes and reads.
pub const TOPIC_ID_VERSION: i16 = 6;

/// What the group's coordinator answers.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// How long the broker asks this connection to pause (KIP-219).
    pub throttle_ms: i32,
    /// Error codes, 0 for success, by topic and partition.
    pub partitions: Vec<(TopicId, i32, i16)>,
}

/// Appends the body of `request` to `out`. `ids` are those of its topics, in the same order.
pub fn write_request(out: &mut Vec<u8>, request: &TxnOffsetCommitRequest, ids: &[TopicId]) {
    let mut w = Writer {
        out,
        flexible: true,
    };
    w.string(&request.transactional_id);
    w.string(&request.group_id);
    w.i64(request.producer_id.0);
    w.i16(request.producer_epoch);
    w.i32(request.generation_id);
    w.string(&request.member_id);
    w.nullable_string(request.group_instance_id.as_deref());
    w.count(request.topics.len());
    for (topic, id) in request.topics.iter().zip(ids) {
        w.out.extend_from_slice(id);
        w.count(topic.partitions.len());
        for partition in &topic.partitions {
            w.i32(partition.partition_index);
            w.i64(partition.committed_offset);
            w.i32(partition.committed_leader_epoch);
            w.nullable_string(partition.committed_metadata.as_deref());
            w.no_tags();
        }
        w.no_tags();
    }
    w.no_tags();
}

/// Reads a response's body (after the response header).
pub fn read_response(body: &[u8]) -> Result<Response> {
    whole("TxnOffsetCommit response", parse(body))
}

fn parse(body: &[u8]) -> Read<Response> {
    let mut r = Reader::new(body, true);
    let mut out = Response {
        throttle_ms: r.i32()?,
        partitions: Vec::new(),
    };
    for _ in 0..r.count("topics", body.len() / 18)? {
        let id = r.topic_id()?;
        for _ in 0..r.count("partitions", body.len() / 7)? {
            out.partitions.push((id, r.i32()?, r.i16()?));
            r.tags(|_, _| Ok(()))?;
        }
        r.tags(|_, _| Ok(()))?;
    }
    r.tags(|_, _| Ok(()))?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::messages::txn_offset_commit_request::{
        TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
    };
    use kafka_protocol::messages::txn_offset_commit_response::{
        TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
    };
    use kafka_protocol::messages::{
        GroupId, ProducerId, TopicName, TransactionalId, TxnOffsetCommitResponse,
    };
    use kafka_protocol::protocol::{Encodable, StrBytes};

    use super::*;

    const NAME: &str = "a-name-found-nowhere-else";
    const ID: TopicId = [0xA7; 16];

    fn name() -> TopicName {
        TopicName(StrBytes::from_static_str(NAME))
    }

    /// `body` in version 5, with the topic's name replaced by its id: all that version 6 changes.
    fn by_id(body: &[u8]) -> Vec<u8> {
        let at = body
            .windows(NAME.len())
            .position(|w| w == NAME.as_bytes())
            .unwrap();
        // A byte before the name tells its length.
        [&body[..at - 1], &ID, &body[at + NAME.len()..]].concat()
    }

    #[test]
    fn a_request_is_that_of_version_5_with_ids_for_names() {
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(3)
            .with_committed_offset(1 << 40)
            .with_committed_leader_epoch(7)
            .with_committed_metadata(Some(StrBytes::from_static_str("m")));
        let plain = TxnOffsetCommitRequestPartition::default().with_committed_metadata(None);
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(name())
            .with_partitions(vec![partition, plain]);
        for instance in [None, Some(StrBytes::from_static_str("i"))] {
            let request = TxnOffsetCommitRequest::default()
                .with_transactional_id(TransactionalId(StrBytes::from_static_str("tx")))
                .with_group_id(GroupId(StrBytes::from_static_str("g")))
                .with_producer_id(ProducerId(9))
                .with_producer_epoch(2)
                .with_generation_id(5)
                .with_member_id(StrBytes::from_static_str("member"))
                .with_group_instance_id(instance)
                .with_topics(vec![topic.clone()]);
            let mut body = BytesMut::new();
            request.encode(&mut body, 5).unwrap();
            let mut ours = Vec::new();
            write_request(&mut ours, &request, &[ID]);
            assert_eq!(ours, by_id(&body));
        }
    }

    #[test]
    fn a_response_is_read_and_a_damaged_one_is_refused() {
        let part = |index, code| {
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(code)
        };
        let topic = TxnOffsetCommitResponseTopic::default()
            .with_name(name())
            .with_partitions(vec![part(0, 0), part(4, 100)]);
        let response = TxnOffsetCommitResponse::default()
            .with_throttle_time_ms(11)
            .with_topics(vec![topic]);
        let mut body = BytesMut::new();
        response.encode(&mut body, 5).unwrap();
        let body = by_id(&body);
        let read = read_response(&body).unwrap();
        assert_eq!(read.throttle_ms, 11);
        assert_eq!(read.partitions, [(ID, 0, 0), (ID, 4, 100)]);
        for end in 0..body.len() {
            assert!(read_response(&body[..end]).is_err(), "cut at {end}");
        }
    }
}
