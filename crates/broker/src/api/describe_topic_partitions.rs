//! DescribeTopicPartitions: like Metadata for topics, in pages.

use std::collections::BTreeSet;

use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse};
use ottla_base::error::ErrorCode;

use super::{Cx, TOPIC_OPERATIONS, broker_id, topic_name, wire};
use crate::core::BrokerCore;
use crate::core::cluster::{NO_NODE, Topic, check_name};
use crate::core::fault::Target;

/// Kafka's own limit of partitions in one answer.
const MAX_PARTITIONS: usize = 2000;

pub(super) fn targets(request: &DescribeTopicPartitionsRequest) -> Vec<Target> {
    request
        .topics
        .iter()
        .map(|t| (t.name.to_string(), None))
        .collect()
}

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let mut names: BTreeSet<String> = request.topics.iter().map(|t| t.name.to_string()).collect();
    if names.is_empty() {
        names.extend(core.cluster.topics().map(|t| t.name.clone()));
    }
    let (from_topic, from_partition) = match &request.cursor {
        Some(cursor) => (
            cursor.topic_name.to_string(),
            usize::try_from(cursor.partition_index).unwrap_or(0),
        ),
        None => (String::new(), 0),
    };
    let mut room = usize::try_from(request.response_partition_limit)
        .unwrap_or(0)
        .clamp(1, MAX_PARTITIONS);
    let mut response =
        DescribeTopicPartitionsResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    for name in names.range(from_topic.clone()..) {
        let first = if *name == from_topic {
            from_partition
        } else {
            0
        };
        let fault = cx.effects.error(name, None);
        let Some(topic) = core.cluster.topic(name).filter(|_| fault.is_none()) else {
            let unknown = check_name(name).map_or_else(
                |refused| refused.code,
                |()| ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            );
            response.topics.push(
                DescribeTopicPartitionsResponseTopic::default()
                    .with_name(Some(topic_name(name)))
                    .with_error_code(wire(fault.unwrap_or(unknown)))
                    .with_topic_authorized_operations(TOPIC_OPERATIONS),
            );
            continue;
        };
        if room == 0 {
            response.next_cursor = Some(cursor(name, 0));
            break;
        }
        let left = topic.partitions.len().saturating_sub(first);
        response.topics.push(page(core, topic, first, room));
        if left > room {
            response.next_cursor = Some(cursor(name, first + room));
            break;
        }
        room -= left;
    }
    response
}

fn cursor(name: &str, partition: usize) -> Cursor {
    Cursor::default()
        .with_topic_name(topic_name(name))
        .with_partition_index(partition as i32)
}

fn page(
    core: &BrokerCore,
    topic: &Topic,
    first: usize,
    room: usize,
) -> DescribeTopicPartitionsResponseTopic {
    let ids = |nodes: &[i32]| nodes.iter().copied().map(broker_id).collect::<Vec<_>>();
    let partitions = topic
        .partitions
        .iter()
        .enumerate()
        .skip(first)
        .take(room)
        .map(|(index, p)| {
            let code = if p.leader == NO_NODE {
                ErrorCode::LEADER_NOT_AVAILABLE
            } else {
                ErrorCode::NONE
            };
            let in_sync = core.cluster.in_sync(p);
            let offline: Vec<i32> = p
                .replicas
                .iter()
                .copied()
                .filter(|n| !in_sync.contains(n))
                .collect();
            DescribeTopicPartitionsResponsePartition::default()
                .with_error_code(wire(code))
                .with_partition_index(index as i32)
                .with_leader_id(broker_id(p.leader))
                .with_leader_epoch(p.leader_epoch)
                .with_replica_nodes(ids(&p.replicas))
                .with_isr_nodes(ids(&in_sync))
                .with_eligible_leader_replicas(Some(Vec::new()))
                .with_last_known_elr(Some(Vec::new()))
                .with_offline_replicas(ids(&offline))
        });
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(topic_name(&topic.name)))
        .with_topic_id(topic.id)
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(TOPIC_OPERATIONS)
}
