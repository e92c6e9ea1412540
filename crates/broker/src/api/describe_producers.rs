//! DescribeProducers: who writes to a partition, and since where a transaction is open.

use kafka_protocol::messages::describe_producers_response::{
    PartitionResponse, ProducerState, TopicResponse,
};
use kafka_protocol::messages::{DescribeProducersRequest, DescribeProducersResponse, ProducerId};
use ottla_base::error::ErrorCode;

use super::{Cx, check_leader, partitions_of, text, wire};
use crate::core::BrokerCore;
use crate::core::cluster::check_name;
use crate::core::fault::Target;
use crate::log::Refused;

pub(super) fn targets(request: &DescribeProducersRequest) -> Vec<Target> {
    let topics = request.topics.iter();
    let each = topics.map(|t| (t.name.as_str(), t.partition_indexes.iter().copied()));
    partitions_of(each)
}

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: DescribeProducersRequest,
) -> DescribeProducersResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|&index| {
            let answer = PartitionResponse::default().with_partition_index(index);
            match describe(core, cx, &topic.name, index) {
                Ok(producers) => answer.with_active_producers(producers),
                Err(refused) => answer
                    .with_error_code(wire(refused.code))
                    .with_error_message(refused.message.map(text)),
            }
        });
        TopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    let topics = topics.collect();
    DescribeProducersResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_topics(topics)
}

fn describe(
    core: &BrokerCore,
    cx: &Cx,
    topic: &str,
    index: i32,
) -> Result<Vec<ProducerState>, Refused> {
    check_name(topic)?;
    if core.cluster.topic(topic).is_none() {
        let words = "This server does not host this topic-partition.";
        return Err(Refused::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, words));
    }
    check_leader(core, cx, topic, index, -1).map_err(Refused::plain)?;
    let Some(partition) = core.cluster.partition(topic, index) else {
        return Err(Refused::plain(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    };
    let producers = partition.producers.describe().map(|d| {
        ProducerState::default()
            .with_producer_id(ProducerId(d.producer.id))
            .with_producer_epoch(d.producer.epoch.into())
            .with_last_sequence(d.last_sequence)
            .with_last_timestamp(d.last_timestamp)
            .with_coordinator_epoch(d.coordinator_epoch)
            .with_current_txn_start_offset(d.open_since)
    });
    Ok(producers.collect())
}
