//! Metadata: the nodes, the topics asked for, who leads their partitions.

use std::collections::BTreeMap;

use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{MetadataRequest, MetadataResponse};
use ottla_base::error::ErrorCode;
use uuid::Uuid;

use super::{CLUSTER_OPERATIONS, Cx, TOPIC_OPERATIONS, broker_id, text, topic_name, wire};
use crate::core::BrokerCore;
use crate::core::cluster::{NO_NODE, Partition, Placement, Topic, check_name};
use crate::core::fault::Target;

pub(super) fn targets(core: &BrokerCore, request: &MetadataRequest) -> Vec<Target> {
    match &request.topics {
        Some(topics) => topics
            .iter()
            .filter_map(|t| {
                t.name
                    .as_ref()
                    .map(|n| n.as_str())
                    .or_else(|| core.cluster.name_of(t.topic_id))
            })
            .map(|name| (name.to_owned(), None))
            .collect(),
        None => core
            .cluster
            .topics()
            .map(|t| (t.name.clone(), None))
            .collect(),
    }
}

pub(super) fn handle(core: &mut BrokerCore, cx: &Cx, request: MetadataRequest) -> MetadataResponse {
    let with_operations = cx.version >= 8 && request.include_topic_authorized_operations;
    let asked = request
        .topics
        .filter(|topics| cx.version > 0 || !topics.is_empty());
    let topics = match asked {
        None => {
            let topics = core
                .cluster
                .topics()
                .map(|t| topic_entry(core, cx, t, with_operations));
            topics.collect()
        }
        Some(asked) => {
            let mut entries = Vec::with_capacity(asked.len());
            for topic in asked {
                entries.push(match topic.name {
                    Some(name) if topic.topic_id.is_nil() || cx.version < 12 => {
                        // Before version 4 a request always allows it.
                        let create = cx.version < 4 || request.allow_auto_topic_creation;
                        by_name(core, cx, &name, create, with_operations)
                    }
                    _ => by_id(core, cx, topic.topic_id, with_operations),
                });
            }
            entries
        }
    };
    let mut response = MetadataResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_brokers(
            core.cluster
                .alive()
                .map(|n| {
                    MetadataResponseBroker::default()
                        .with_node_id(broker_id(n.id))
                        .with_host(text(&n.host))
                        .with_port(i32::from(n.port))
                })
                .collect(),
        )
        .with_cluster_id(Some(text(&core.cluster.id)))
        .with_controller_id(broker_id(core.cluster.controller()))
        .with_topics(topics);
    if (8..=10).contains(&cx.version) && request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = CLUSTER_OPERATIONS;
    }
    response
}

fn by_name(
    core: &mut BrokerCore,
    cx: &Cx,
    name: &str,
    create: bool,
    with_operations: bool,
) -> MetadataResponseTopic {
    if core.cluster.topic(name).is_none() && create && core.options.auto_create_topics {
        let placement = Placement::Counts {
            partitions: -1,
            replication_factor: -1,
        };
        let code = match check_name(name) {
            Ok(()) => {
                // Kafka, too, answers before it knows what comes of it, and tells nobody why it came to nothing.
                let _ = core.create_topic(name, &placement, BTreeMap::new(), false);
                cx.effects
                    .error(name, None)
                    .unwrap_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
            }
            Err(refused) => refused.code,
        };
        return unknown(code).with_name(Some(topic_name(name)));
    }
    match core.cluster.topic(name) {
        Some(topic) => topic_entry(core, cx, topic, with_operations),
        None => {
            let code = match check_name(name) {
                Ok(()) => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                Err(refused) => refused.code,
            };
            unknown(cx.effects.error(name, None).unwrap_or(code)).with_name(Some(topic_name(name)))
        }
    }
}

fn by_id(core: &BrokerCore, cx: &Cx, id: Uuid, with_operations: bool) -> MetadataResponseTopic {
    match core
        .cluster
        .name_of(id)
        .and_then(|name| core.cluster.topic(name))
    {
        Some(topic) => topic_entry(core, cx, topic, with_operations),
        None => unknown(ErrorCode::UNKNOWN_TOPIC_ID)
            .with_name(None)
            .with_topic_id(id),
    }
}

fn unknown(code: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic::default().with_error_code(wire(code))
}

fn topic_entry(
    core: &BrokerCore,
    cx: &Cx,
    topic: &Topic,
    with_operations: bool,
) -> MetadataResponseTopic {
    if let Some(code) = cx.effects.error(&topic.name, None) {
        return unknown(code).with_name(Some(topic_name(&topic.name)));
    }
    let mut entry = MetadataResponseTopic::default()
        .with_name(Some(topic_name(&topic.name)))
        .with_partitions(
            topic
                .partitions
                .iter()
                .enumerate()
                .map(|(index, p)| partition_entry(core, index, p))
                .collect(),
        );
    if cx.version >= 10 {
        entry.topic_id = topic.id;
    }
    if with_operations {
        entry.topic_authorized_operations = TOPIC_OPERATIONS;
    }
    entry
}

fn partition_entry(
    core: &BrokerCore,
    index: usize,
    partition: &Partition,
) -> MetadataResponsePartition {
    let code = if partition.leader == NO_NODE {
        ErrorCode::LEADER_NOT_AVAILABLE
    } else {
        ErrorCode::NONE
    };
    let ids = |nodes: &[i32]| nodes.iter().copied().map(broker_id).collect();
    let in_sync = core.cluster.in_sync(partition);
    let offline: Vec<i32> = partition
        .replicas
        .iter()
        .copied()
        .filter(|n| !in_sync.contains(n))
        .collect();
    MetadataResponsePartition::default()
        .with_error_code(wire(code))
        .with_partition_index(index as i32)
        .with_leader_id(broker_id(partition.leader))
        .with_leader_epoch(partition.leader_epoch)
        .with_replica_nodes(ids(&partition.replicas))
        .with_isr_nodes(ids(&in_sync))
        .with_offline_replicas(ids(&offline))
}
