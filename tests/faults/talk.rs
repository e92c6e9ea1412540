//! One raw request to a broker, by the `kafka-protocol` crate alone: what moves leaders, sets quotas, deletes records.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    AlterClientQuotasRequest, AlterPartitionReassignmentsRequest, BrokerId, DeleteRecordsRequest,
    ElectLeadersRequest, MetadataRequest, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes};

const LIMIT: Duration = Duration::from_secs(30);

fn text(s: &str) -> StrBytes {
    StrBytes::from_string(s.to_owned())
}

fn topic_name(s: &str) -> TopicName {
    TopicName(text(s))
}

/// Asks once, over a connection of its own.
pub(crate) fn ask<R: Request>(
    address: &str,
    version: i16,
    request: &R,
) -> Result<R::Response, String> {
    let io = |what: &str, e: std::io::Error| format!("{what} {address}: {e}");
    let header = RequestHeader::default()
        .with_request_api_key(R::KEY)
        .with_request_api_version(version)
        .with_correlation_id(1)
        .with_client_id(Some(text("faults")));
    let mut frame = BytesMut::new();
    header
        .encode(&mut frame, R::header_version(version))
        .unwrap();
    request.encode(&mut frame, version).unwrap();
    let mut stream = TcpStream::connect(address).map_err(|e| io("connecting to", e))?;
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
        .write_all(&(frame.len() as u32).to_be_bytes())
        .and_then(|()| stream.write_all(&frame))
        .map_err(|e| io("asking", e))?;
    let mut length = [0; 4];
    stream
        .read_exact(&mut length)
        .map_err(|e| io("reading from", e))?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    stream
        .read_exact(&mut body)
        .map_err(|e| io("reading from", e))?;
    let mut body = Bytes::from(body);
    ResponseHeader::decode(&mut body, R::Response::header_version(version))
        .and_then(|_| R::Response::decode(&mut body, version))
        .map_err(|e| format!("the answer of {address}: {e}"))
}

/// The leader of each partition of a topic; -1 where there is none.
pub(crate) fn leaders(address: &str, topic: &str) -> Result<BTreeMap<i32, i32>, String> {
    let request = MetadataRequest::default()
        .with_topics(Some(vec![
            MetadataRequestTopic::default().with_name(Some(topic_name(topic))),
        ]))
        .with_allow_auto_topic_creation(false);
    let response = ask(address, 9, &request)?;
    let found = response.topics.first().ok_or("no topic")?;
    if found.error_code != 0 {
        return Err(format!("Metadata: error {}", found.error_code));
    }
    Ok(found
        .partitions
        .iter()
        .map(|p| (p.partition_index, p.leader_id.0))
        .collect())
}

/// The brokers in sync for each partition.
pub(crate) fn in_sync(address: &str, topic: &str) -> Result<BTreeMap<i32, usize>, String> {
    let request = MetadataRequest::default()
        .with_topics(Some(vec![
            MetadataRequestTopic::default().with_name(Some(topic_name(topic))),
        ]))
        .with_allow_auto_topic_creation(false);
    let response = ask(address, 9, &request)?;
    let found = response.topics.first().ok_or("no topic")?;
    Ok(found
        .partitions
        .iter()
        .map(|p| (p.partition_index, p.isr_nodes.len()))
        .collect())
}

/// Has other brokers lead partitions: puts each first among the partition's replicas, then elects the preferred ones.
pub(crate) fn move_leaders(
    address: &str,
    topic: &str,
    to: &BTreeMap<i32, i32>,
) -> Result<(), String> {
    let order = |(partition, leader): (&i32, &i32)| {
        let others = (1..=3).filter(|n| n != leader);
        let replicas = [*leader].into_iter().chain(others).map(BrokerId).collect();
        ReassignablePartition::default()
            .with_partition_index(*partition)
            .with_replicas(Some(replicas))
    };
    let request = AlterPartitionReassignmentsRequest::default()
        .with_timeout_ms(10_000)
        .with_topics(vec![
            ReassignableTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(to.iter().map(order).collect()),
        ]);
    let response = ask(address, 0, &request)?;
    let failed = response
        .responses
        .iter()
        .flat_map(|t| &t.partitions)
        .map(|p| p.error_code)
        .chain([response.error_code])
        .find(|code| *code != 0);
    if let Some(code) = failed {
        return Err(format!("AlterPartitionReassignments: error {code}"));
    }
    let request = ElectLeadersRequest::default()
        .with_election_type(0)
        .with_timeout_ms(10_000)
        .with_topic_partitions(Some(vec![
            TopicPartitions::default()
                .with_topic(topic_name(topic))
                .with_partitions(to.keys().copied().collect()),
        ]));
    let response = ask(address, 2, &request)?;
    const ELECTION_NOT_NEEDED: i16 = 84;
    let failed = response
        .replica_election_results
        .iter()
        .flat_map(|t| &t.partition_result)
        .map(|p| p.error_code)
        .chain([response.error_code])
        .find(|code| *code != 0 && *code != ELECTION_NOT_NEEDED);
    failed.map_or(Ok(()), |code| Err(format!("ElectLeaders: error {code}")))
}

/// Limits what clients of this id may produce, in bytes a second and broker; `None` lifts the limit.
pub(crate) fn quota(address: &str, client_id: &str, rate: Option<f64>) -> Result<(), String> {
    let entry = EntryData::default()
        .with_entity(vec![
            EntityData::default()
                .with_entity_type(text("client-id"))
                .with_entity_name(Some(text(client_id))),
        ])
        .with_ops(vec![
            OpData::default()
                .with_key(text("producer_byte_rate"))
                .with_value(rate.unwrap_or_default())
                .with_remove(rate.is_none()),
        ]);
    let request = AlterClientQuotasRequest::default().with_entries(vec![entry]);
    let response = ask(address, 1, &request)?;
    match response
        .entries
        .iter()
        .map(|e| e.error_code)
        .find(|c| *c != 0)
    {
        Some(code) => Err(format!("AlterClientQuotas: error {code}")),
        None => Ok(()),
    }
}

/// Deletes every record of a partition before `offset` (-1: all of them). Only its leader can.
pub(crate) fn delete_records(
    leader: &str,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<(), String> {
    let request = DeleteRecordsRequest::default()
        .with_timeout_ms(10_000)
        .with_topics(vec![
            DeleteRecordsTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(vec![
                    DeleteRecordsPartition::default()
                        .with_partition_index(partition)
                        .with_offset(offset),
                ]),
        ]);
    let response = ask(leader, 2, &request)?;
    let code = response
        .topics
        .iter()
        .flat_map(|t| &t.partitions)
        .map(|p| p.error_code)
        .find(|c| *c != 0);
    code.map_or(Ok(()), |code| Err(format!("DeleteRecords: error {code}")))
}
