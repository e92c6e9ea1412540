//! OffsetFetch: the positions a group committed.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{OffsetFetchRequest, OffsetFetchResponse};
use ottla_base::error::ErrorCode;
use ottla_protocol::offsets;
use uuid::Uuid;

use super::{Cx, decode, text, topic_name, wire};
use crate::core::BrokerCore;
use crate::core::coordinators::CoordinatorKind;
use crate::core::fault::Target;

/// Partitions by topic.
type Asked = Vec<(String, Vec<i32>)>;

/// What is answered for one partition.
struct Found {
    partition: i32,
    offset: i64,
    leader_epoch: i32,
    metadata: String,
    code: i16,
}

/// A request of any version. What version 10 has by a topic's id gets the name as well, as far as the topic is there.
pub(super) fn read(core: &BrokerCore, version: i16, body: &Bytes) -> Option<OffsetFetchRequest> {
    if version < offsets::BY_ID {
        return decode(body, version);
    }
    let mut request = offsets::read_fetch(body).ok()?;
    let groups = request.groups.iter_mut();
    for topic in groups.filter_map(|g| g.topics.as_mut()).flatten() {
        topic.name = topic_name(core.cluster.name_of(topic.topic_id).unwrap_or_default());
    }
    Some(request)
}

/// What is asked about by the ids of topics that are not there.
fn unknown<'a>(
    request: &'a OffsetFetchRequest,
    group: &str,
) -> impl Iterator<Item = OffsetFetchResponseTopics> + use<'a> {
    let asked = request.groups.iter().find(|g| g.group_id.as_str() == group);
    let topics = asked.and_then(|g| g.topics.as_ref()).into_iter().flatten();
    let unknown = topics.filter(|t| t.name.is_empty() && !t.topic_id.is_nil());
    unknown.map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|p| {
            OffsetFetchResponsePartitions::default()
                .with_partition_index(*p)
                .with_committed_offset(-1)
                .with_metadata(Some(text(String::new())))
                .with_error_code(wire(ErrorCode::UNKNOWN_TOPIC_ID))
        });
        OffsetFetchResponseTopics::default()
            .with_topic_id(topic.topic_id)
            .with_partitions(partitions.collect())
    })
}

/// Each group asked about, and the partitions, or `None` for all.
fn groups(request: &OffsetFetchRequest) -> Vec<(String, Option<Asked>)> {
    if request.groups.is_empty() {
        let asked = request.topics.as_ref().map(|topics| {
            topics
                .iter()
                .map(|t| (t.name.to_string(), t.partition_indexes.clone()))
                .collect()
        });
        return vec![(request.group_id.to_string(), asked)];
    }
    let each = |g: &kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup| {
        let asked = g.topics.as_ref().map(|topics| {
            topics
                .iter()
                .map(|t| (t.name.to_string(), t.partition_indexes.clone()))
                .collect()
        });
        (g.group_id.to_string(), asked)
    };
    request.groups.iter().map(each).collect()
}

pub(super) fn targets(request: &OffsetFetchRequest) -> Vec<Target> {
    let mut targets = Vec::new();
    for (topic, partitions) in groups(request)
        .into_iter()
        .filter_map(|(_, asked)| asked)
        .flatten()
    {
        targets.extend(partitions.iter().map(|&p| (topic.clone(), Some(p))));
    }
    targets
}

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    let mut response =
        OffsetFetchResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    for (group, asked) in groups(&request) {
        let checked = check(core, cx, &group, &request);
        let code = checked.err().map_or(0, wire);
        let found = match checked {
            Ok(()) => find(core, cx, &group, asked, request.require_stable),
            // What is too old to say it once is told of every partition.
            Err(code) if cx.version < 2 => refuse(code, asked),
            Err(_) => BTreeMap::new(),
        };
        if cx.version >= 8 {
            let mut topics: Vec<OffsetFetchResponseTopics> = Vec::new();
            if code == 0 {
                topics.extend(unknown(&request, &group));
            }
            for (topic, all) in found {
                let id = core.cluster.topic(&topic).map_or(Uuid::nil(), |t| t.id);
                if cx.version < offsets::BY_ID || !id.is_nil() {
                    topics.push(new_topic(&topic, all).with_topic_id(id));
                }
            }
            response.groups.push(
                OffsetFetchResponseGroup::default()
                    .with_group_id(text(group).into())
                    .with_error_code(code)
                    .with_topics(topics),
            );
        } else {
            if cx.version >= 2 {
                response.error_code = code;
            }
            response.topics = found
                .into_iter()
                .map(|(topic, all)| old_topic(cx, &topic, all))
                .collect();
        }
    }
    response
}

fn check(
    core: &BrokerCore,
    cx: &Cx,
    group: &str,
    request: &OffsetFetchRequest,
) -> Result<(), ErrorCode> {
    if let Some(code) = cx.effects.whole_error() {
        return Err(code);
    }
    core.check_coordinator(cx, CoordinatorKind::Group, group)?;
    let asked = request.groups.iter().find(|g| g.group_id.as_str() == group);
    match asked.filter(|_| cx.version >= 9) {
        Some(asked) => {
            let (id, epoch) = (asked.member_id.as_deref(), asked.member_epoch);
            core.groups.check_fetch(group, id, epoch)
        }
        None => Ok(()),
    }
}

fn refuse(code: ErrorCode, asked: Option<Asked>) -> BTreeMap<String, Vec<Found>> {
    let refused = |partition| Found {
        partition,
        offset: -1,
        leader_epoch: -1,
        metadata: String::new(),
        code: wire(code),
    };
    let topics = asked.into_iter().flatten();
    topics
        .map(|(topic, partitions)| (topic, partitions.into_iter().map(refused).collect()))
        .collect()
}

fn find(
    core: &BrokerCore,
    cx: &Cx,
    group: &str,
    asked: Option<Asked>,
    stable: bool,
) -> BTreeMap<String, Vec<Found>> {
    let mut found: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    match asked {
        None => {
            for (topic, partition, _) in core.offsets.of_group(group) {
                let one = one(core, cx, group, topic, partition, stable);
                found.entry(topic.to_owned()).or_default().push(one);
            }
        }
        Some(asked) => {
            for (topic, partitions) in asked {
                let each = partitions
                    .iter()
                    .map(|&p| one(core, cx, group, &topic, p, stable))
                    .collect();
                found.insert(topic, each);
            }
        }
    }
    found
}

/// `stable`: the client does not want a position that may be another when a transaction ends (KIP-447).
fn one(
    core: &BrokerCore,
    cx: &Cx,
    group: &str,
    topic: &str,
    partition: i32,
    stable: bool,
) -> Found {
    let unstable = || {
        (stable && core.pending_offsets.is_unstable(group, topic, partition))
            .then_some(ErrorCode::UNSTABLE_OFFSET_COMMIT)
    };
    let code = cx
        .effects
        .error(topic, Some(partition))
        .or_else(unstable)
        .map_or(0, wire);
    match core
        .offsets
        .get(group, topic, partition)
        .filter(|_| code == 0)
    {
        Some(c) => Found {
            partition,
            offset: c.offset,
            leader_epoch: c.leader_epoch,
            metadata: c.metadata.clone(),
            code,
        },
        None => Found {
            partition,
            offset: -1,
            leader_epoch: -1,
            metadata: String::new(),
            code,
        },
    }
}

fn new_topic(topic: &str, found: Vec<Found>) -> OffsetFetchResponseTopics {
    let partitions = found.into_iter().map(|f| {
        OffsetFetchResponsePartitions::default()
            .with_partition_index(f.partition)
            .with_committed_offset(f.offset)
            .with_committed_leader_epoch(f.leader_epoch)
            .with_metadata(Some(text(f.metadata)))
            .with_error_code(f.code)
    });
    OffsetFetchResponseTopics::default()
        .with_name(topic_name(topic))
        .with_partitions(partitions.collect())
}

fn old_topic(cx: &Cx, topic: &str, found: Vec<Found>) -> OffsetFetchResponseTopic {
    let partitions = found.into_iter().map(|f| {
        let mut p = OffsetFetchResponsePartition::default()
            .with_partition_index(f.partition)
            .with_committed_offset(f.offset)
            .with_metadata(Some(text(f.metadata)))
            .with_error_code(f.code);
        if cx.version >= 5 {
            p.committed_leader_epoch = f.leader_epoch;
        }
        p
    });
    OffsetFetchResponseTopic::default()
        .with_name(topic_name(topic))
        .with_partitions(partitions.collect())
}
