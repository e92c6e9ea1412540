//! OffsetDelete: what a group committed is forgotten, where no member consumes.

use kafka_protocol::messages::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use kafka_protocol::messages::{OffsetDeleteRequest, OffsetDeleteResponse};
use ottla_base::error::ErrorCode;

use super::{Cx, check_group, partitions_of, wire};
use crate::core::BrokerCore;
use crate::core::fault::Target;

pub(super) fn targets(request: &OffsetDeleteRequest) -> Vec<Target> {
    let topics = request.topics.iter();
    let each = topics.map(|t| {
        (
            t.name.as_str(),
            t.partitions.iter().map(|p| p.partition_index),
        )
    });
    partitions_of(each)
}

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let group = request.group_id.as_str();
    let response = OffsetDeleteResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    let checked =
        check_group(core, cx, group).and_then(|()| core.groups.check_offset_delete(group));
    if let Err(code) = checked {
        return response.with_error_code(wire(code));
    }
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let code = if core.groups.is_subscribed(group, &topic.name) {
            ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC
        } else {
            ErrorCode::NONE
        };
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for p in &topic.partitions {
            let known = core.cluster.partition(&topic.name, p.partition_index);
            let code = match known {
                None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                Some(_) => code,
            };
            if code == ErrorCode::NONE {
                core.offsets.forget(group, &topic.name, p.partition_index);
            }
            partitions.push(
                OffsetDeleteResponsePartition::default()
                    .with_partition_index(p.partition_index)
                    .with_error_code(wire(code)),
            );
        }
        topics.push(
            OffsetDeleteResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions),
        );
    }
    core.save_topics();
    response.with_topics(topics)
}
