//! OffsetForLeaderEpoch: where a leader's term ended, for noticing a truncated log.

use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderTopicResult,
};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::{Cx, check_leader, partitions_of, wire};
use crate::core::BrokerCore;
use crate::core::fault::Target;

pub(super) fn targets(request: &OffsetForLeaderEpochRequest) -> Vec<Target> {
    let topics = request.topics.iter();
    let each = topics.map(|t| (t.topic.as_str(), t.partitions.iter().map(|p| p.partition)));
    partitions_of(each)
}

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic
            .partitions
            .iter()
            .map(|p| find(core, cx, &topic.topic, p));
        OffsetForLeaderTopicResult::default()
            .with_topic(topic.topic.clone())
            .with_partitions(partitions.collect())
    });
    let topics = topics.collect();
    OffsetForLeaderEpochResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_topics(topics)
}

fn find(
    core: &BrokerCore,
    cx: &Cx,
    topic: &str,
    wanted: &OffsetForLeaderPartition,
) -> EpochEndOffset {
    let answer = EpochEndOffset::default()
        .with_partition(wanted.partition)
        .with_leader_epoch(-1)
        .with_end_offset(-1);
    if let Err(code) = check_leader(
        core,
        cx,
        topic,
        wanted.partition,
        wanted.current_leader_epoch,
    ) {
        return answer.with_error_code(wire(code));
    }
    let partition = core.cluster.partition(topic, wanted.partition);
    match partition.and_then(|p| p.log.end_of_epoch(wanted.leader_epoch)) {
        Some((epoch, end)) => answer.with_leader_epoch(epoch).with_end_offset(end),
        None => answer,
    }
}
