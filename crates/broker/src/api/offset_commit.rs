//! OffsetCommit: positions kept under a group's name, by its members or by anybody while it has none.

use bytes::Bytes;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequestPartition;
use kafka_protocol::messages::offset_commit_response::{
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};
use ottla_base::error::ErrorCode;
use ottla_protocol::offsets;
use uuid::Uuid;

use super::{Cx, check_coordinator, decode, partitions_of, topic_name, wire};
use crate::core::BrokerCore;
use crate::core::fault::Target;
use crate::core::groups::Committer;
use crate::core::offsets::Committed;

/// Longest metadata Kafka takes by default.
pub(super) const MAX_METADATA: usize = 4096;

/// A request of any version. What version 10 has by a topic's id gets the name as well, as far as the topic is there.
pub(super) fn read(core: &BrokerCore, version: i16, body: &Bytes) -> Option<OffsetCommitRequest> {
    if version < offsets::BY_ID {
        return decode(body, version);
    }
    let mut request = offsets::read_commit(body).ok()?;
    for topic in &mut request.topics {
        topic.name = topic_name(core.cluster.name_of(topic.topic_id).unwrap_or_default());
    }
    Some(request)
}

pub(super) fn targets(request: &OffsetCommitRequest) -> Vec<Target> {
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
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let checked = check(core, cx, &request);
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for p in &topic.partitions {
            let held = checked.and_then(|since| match since {
                Some(epoch) => held(core, &request, epoch, &topic.name, p),
                None => Ok(()),
            });
            let code = match held {
                _ if topic.name.is_empty() && !topic.topic_id.is_nil() => {
                    ErrorCode::UNKNOWN_TOPIC_ID
                }
                Err(code) => code,
                Ok(()) => commit(core, cx, &request.group_id, &topic.name, p),
            };
            partitions.push(
                OffsetCommitResponsePartition::default()
                    .with_partition_index(p.partition_index)
                    .with_error_code(wire(code)),
            );
        }
        topics.push(
            OffsetCommitResponseTopic::default()
                .with_name(topic.name.clone())
                .with_topic_id(topic.topic_id)
                .with_partitions(partitions),
        );
    }
    core.save_topics();
    OffsetCommitResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_topics(topics)
}

fn check(
    core: &mut BrokerCore,
    cx: &Cx,
    request: &OffsetCommitRequest,
) -> Result<Option<i32>, ErrorCode> {
    // A fault is for the partitions it names, below.
    check_coordinator(
        core,
        &Cx {
            effects: Default::default(),
            ..cx.clone()
        },
        &request.group_id,
    )?;
    let who = Committer {
        member_id: &request.member_id,
        instance: request.group_instance_id.as_deref(),
        generation: request.generation_id_or_member_epoch,
        in_transaction: false,
        knows_epochs: cx.version >= 9,
    };
    core.groups
        .check_commit(cx.now.mono, cx.node, &request.group_id, &who)
}

/// Whether the member has held a partition since an earlier epoch.
fn held(
    core: &BrokerCore,
    request: &OffsetCommitRequest,
    epoch: i32,
    topic: &str,
    p: &OffsetCommitRequestPartition,
) -> Result<(), ErrorCode> {
    let id = core.cluster.topic(topic).map_or(Uuid::nil(), |t| t.id);
    let (group, member) = (&request.group_id, &request.member_id);
    core.groups
        .may_commit(group, member, epoch, id, p.partition_index)
}

fn commit(
    core: &mut BrokerCore,
    cx: &Cx,
    group: &str,
    topic: &str,
    p: &OffsetCommitRequestPartition,
) -> ErrorCode {
    if let Some(code) = cx.effects.error(topic, Some(p.partition_index)) {
        return code;
    }
    if core.cluster.partition(topic, p.partition_index).is_none() {
        return ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    }
    let metadata = p
        .committed_metadata
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    if metadata.len() > MAX_METADATA {
        return ErrorCode::OFFSET_METADATA_TOO_LARGE;
    }
    let leader_epoch = if cx.version >= 6 {
        p.committed_leader_epoch
    } else {
        -1
    };
    let committed = Committed {
        offset: p.committed_offset,
        leader_epoch,
        metadata,
    };
    core.offsets
        .commit(group, topic, p.partition_index, committed);
    core.pending_offsets
        .overtake(group, topic, p.partition_index);
    ErrorCode::NONE
}
