//! Where share groups begin to read: DescribeShareGroupOffsets, AlterShareGroupOffsets, DeleteShareGroupOffsets.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::alter_share_group_offsets_response::{
    AlterShareGroupOffsetsResponsePartition, AlterShareGroupOffsetsResponseTopic,
};
use kafka_protocol::messages::delete_share_group_offsets_response::DeleteShareGroupOffsetsResponseTopic;
use kafka_protocol::messages::describe_share_group_offsets_response::{
    DescribeShareGroupOffsetsResponseGroup, DescribeShareGroupOffsetsResponsePartition,
    DescribeShareGroupOffsetsResponseTopic,
};
use kafka_protocol::messages::{
    AlterShareGroupOffsetsRequest, AlterShareGroupOffsetsResponse, DeleteShareGroupOffsetsRequest,
    DeleteShareGroupOffsetsResponse, DescribeShareGroupOffsetsRequest,
    DescribeShareGroupOffsetsResponse,
};
use ottla_base::error::ErrorCode;
use uuid::Uuid;

use super::{
    Cx, Outcome, check_group, decode, end_frame, reply, start_frame, text, topic_name, wire,
};
use crate::core::BrokerCore;
use crate::core::share::Key;
use crate::core::share::partition::SharePartition;
use crate::log::Refused;

/// The version from which the lag is told, which the encoders don't know.
const LAG_SINCE: i16 = 1;

pub(super) fn describe(core: &mut BrokerCore, cx: &Cx, body: Bytes) -> Outcome {
    let Some(request) = decode::<DescribeShareGroupOffsetsRequest>(&body, cx.version) else {
        return Outcome::Close;
    };
    let response = described(core, cx, request);
    if cx.version < LAG_SINCE {
        return reply(cx, &response);
    }
    with_lag(core, cx, &response)
}

/// Encodes an answer of version 1.
fn with_lag(core: &BrokerCore, cx: &Cx, response: &DescribeShareGroupOffsetsResponse) -> Outcome {
    let mut frame = start_frame(cx, 1);
    frame.put_i32(response.throttle_time_ms);
    put_length(&mut frame, response.groups.len());
    for group in &response.groups {
        put_text(&mut frame, Some(&group.group_id));
        put_length(&mut frame, group.topics.len());
        for topic in &group.topics {
            put_text(&mut frame, Some(&topic.topic_name));
            frame.put_slice(topic.topic_id.as_bytes());
            put_length(&mut frame, topic.partitions.len());
            for p in &topic.partitions {
                let key = (
                    group.group_id.to_string(),
                    topic.topic_id,
                    p.partition_index,
                );
                frame.put_i32(p.partition_index);
                frame.put_i64(p.start_offset);
                frame.put_i32(p.leader_epoch);
                frame.put_i64(lag(core, &key));
                frame.put_i16(p.error_code);
                put_text(&mut frame, p.error_message.as_deref());
                frame.put_u8(NO_TAGS);
            }
            frame.put_u8(NO_TAGS);
        }
        frame.put_i16(group.error_code);
        put_text(&mut frame, group.error_message.as_deref());
        frame.put_u8(NO_TAGS);
    }
    frame.put_u8(NO_TAGS);
    Outcome::Reply(vec![end_frame(frame, 0)])
}

/// A section of tagged fields that has none.
const NO_TAGS: u8 = 0;

/// The length of what may be null, as a varint.
fn put_length(frame: &mut BytesMut, length: usize) {
    let mut n = length + 1;
    while n >= 0x80 {
        frame.put_u8((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    frame.put_u8(n as u8);
}

fn put_text(frame: &mut BytesMut, text: Option<&str>) {
    match text {
        Some(text) => {
            put_length(frame, text.len());
            frame.put_slice(text.as_bytes());
        }
        None => frame.put_u8(0),
    }
}

/// How many records the group has still to read and to be done with; -1 if it has not begun.
fn lag(core: &BrokerCore, key: &Key) -> i64 {
    let end = core
        .cluster
        .name_of(key.1)
        .and_then(|name| core.cluster.partition(name, key.2))
        .map(|p| p.log.end_offset());
    match (core.share.partitions.get(key), end) {
        (Some(share), Some(end)) => end - share.start() - share.done(),
        _ => -1,
    }
}

fn described(
    core: &mut BrokerCore,
    cx: &Cx,
    request: DescribeShareGroupOffsetsRequest,
) -> DescribeShareGroupOffsetsResponse {
    let groups = request.groups.iter().map(|wanted| {
        let name = wanted.group_id.as_str();
        let answer = DescribeShareGroupOffsetsResponseGroup::default()
            .with_group_id(wanted.group_id.clone());
        if let Err(code) = check_group(core, cx, name) {
            return answer.with_error_code(wire(code));
        }
        let asked: Vec<(String, Vec<i32>)> = match &wanted.topics {
            Some(topics) => topics
                .iter()
                .map(|t| (t.topic_name.to_string(), t.partitions.clone()))
                .collect(),
            None => all_of(core, name),
        };
        let topics = asked.into_iter().map(|(topic, partitions)| {
            let id = core.cluster.topic(&topic).map_or(Uuid::nil(), |t| t.id);
            let partitions = partitions.into_iter().map(|index| {
                let answer = DescribeShareGroupOffsetsResponsePartition::default()
                    .with_partition_index(index);
                let key = (name.to_owned(), id, index);
                let start = core
                    .share
                    .partitions
                    .get(&key)
                    .map_or(-1, SharePartition::start);
                answer.with_start_offset(start)
            });
            DescribeShareGroupOffsetsResponseTopic::default()
                .with_topic_name(topic_name(&topic))
                .with_topic_id(id)
                .with_partitions(partitions.collect())
        });
        answer.with_topics(topics.collect())
    });
    DescribeShareGroupOffsetsResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_groups(groups.collect())
}

fn all_of(core: &BrokerCore, group: &str) -> Vec<(String, Vec<i32>)> {
    let mut topics: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    for (of, topic, index) in core.share.partitions.keys() {
        if of == group
            && let Some(name) = core.cluster.name_of(*topic)
        {
            topics.entry(name.to_owned()).or_default().push(*index);
        }
    }
    topics.into_iter().collect()
}

/// Offsets are changed only while nobody is in the group; it need not be there.
fn unused(core: &BrokerCore, cx: &Cx, group: &str) -> Result<(), Refused> {
    check_group(core, cx, group).map_err(Refused::plain)?;
    match core.share.groups.get(group) {
        Some(g) if !g.members.is_empty() => Err(Refused::new(
            ErrorCode::NON_EMPTY_GROUP,
            "The group is not empty.",
        )),
        _ => Ok(()),
    }
}

/// Kafka's words for a topic or partition that is not there.
const NOT_THERE: &str = "This server does not host this topic-partition.";

fn words(code: ErrorCode) -> Option<kafka_protocol::protocol::StrBytes> {
    (code != ErrorCode::NONE).then(|| text(NOT_THERE))
}

pub(super) fn alter(
    core: &mut BrokerCore,
    cx: &Cx,
    request: AlterShareGroupOffsetsRequest,
) -> AlterShareGroupOffsetsResponse {
    let response =
        AlterShareGroupOffsetsResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    let group = request.group_id.to_string();
    if let Err(refused) = unused(core, cx, &group) {
        return response
            .with_error_code(wire(refused.code))
            .with_error_message(refused.message.map(text));
    }
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let id = core.cluster.topic(&topic.topic_name).map(|t| t.id);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for p in &topic.partitions {
            let there = core.cluster.partition(&topic.topic_name, p.partition_index);
            let code = match (id, there) {
                (Some(id), Some(_)) => {
                    let key = (group.clone(), id, p.partition_index);
                    core.share.groups.entry(group.clone()).or_default();
                    let begun = SharePartition::new(p.start_offset);
                    core.share.partitions.insert(key, begun);
                    ErrorCode::NONE
                }
                _ => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            };
            partitions.push(
                AlterShareGroupOffsetsResponsePartition::default()
                    .with_partition_index(p.partition_index)
                    .with_error_code(wire(code))
                    .with_error_message(words(code)),
            );
        }
        topics.push(
            AlterShareGroupOffsetsResponseTopic::default()
                .with_topic_name(topic.topic_name.clone())
                .with_topic_id(id.unwrap_or_default())
                .with_partitions(partitions),
        );
    }
    core.save_share_offsets();
    response.with_responses(topics)
}

pub(super) fn delete(
    core: &mut BrokerCore,
    cx: &Cx,
    request: DeleteShareGroupOffsetsRequest,
) -> DeleteShareGroupOffsetsResponse {
    let response =
        DeleteShareGroupOffsetsResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    let group = request.group_id.to_string();
    if let Err(refused) = unused(core, cx, &group) {
        return response
            .with_error_code(wire(refused.code))
            .with_error_message(refused.message.map(text));
    }
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let id = core.cluster.topic(&topic.topic_name).map(|t| t.id);
        if let Some(id) = id {
            core.share
                .partitions
                .retain(|(of, t, _), _| (of, *t) != (&group, id));
        }
        let code = if id.is_some() {
            ErrorCode::NONE
        } else {
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        };
        topics.push(
            DeleteShareGroupOffsetsResponseTopic::default()
                .with_topic_name(topic.topic_name.clone())
                .with_topic_id(id.unwrap_or_default())
                .with_error_code(wire(code))
                .with_error_message(words(code)),
        );
    }
    core.save_share_offsets();
    response.with_responses(topics)
}
