//! ShareGroupHeartbeat and ShareGroupDescribe: the members of share groups.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::share_group_describe_response::{
    Assignment as DescribedAssignment, DescribedGroup, Member, TopicPartitions as Described,
};
use kafka_protocol::messages::share_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::messages::{
    ShareGroupDescribeRequest, ShareGroupDescribeResponse, ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse,
};
use ottla_base::error::ErrorCode;
use uuid::Uuid;

use super::{Cx, check_group, text, topic_name, wire};
use crate::core::BrokerCore;
use crate::core::share::group::{Assignment as Assigned, Beat, Beaten};
use crate::log::Refused;

/// The epoch of a member that leaves.
const LEAVES: i32 = -1;
const ASSIGNOR: &str = "simple";
/// All operations on a group, as bits; without authorization everything is allowed.
const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;

pub(super) fn heartbeat(
    core: &mut BrokerCore,
    cx: &Cx,
    client_id: &str,
    request: ShareGroupHeartbeatRequest,
) -> ShareGroupHeartbeatResponse {
    let response =
        ShareGroupHeartbeatResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    let options = core.share.options_of(&request.group_id);
    let interval = options.heartbeat.as_millis();
    match beat(core, cx, client_id, &request) {
        Err(refused) => response
            .with_error_code(wire(refused.code))
            .with_error_message(refused.message.map(text)),
        Ok(beaten) => {
            let leaves = request.member_epoch == LEAVES;
            response
                .with_member_id(Some(request.member_id))
                .with_member_epoch(beaten.epoch)
                .with_heartbeat_interval_ms(if leaves {
                    0
                } else {
                    i32::try_from(interval).unwrap_or(i32::MAX)
                })
                .with_assignment(beaten.assignment.map(|a| {
                    let topics = by_topic(&a).into_iter().map(|(id, partitions)| {
                        TopicPartitions::default()
                            .with_topic_id(id)
                            .with_partitions(partitions)
                    });
                    Assignment::default().with_topic_partitions(topics.collect())
                }))
        }
    }
}

fn by_topic(assigned: &Assigned) -> BTreeMap<Uuid, Vec<i32>> {
    let mut topics: BTreeMap<Uuid, Vec<i32>> = BTreeMap::new();
    for &(topic, partition) in assigned {
        topics.entry(topic).or_default().push(partition);
    }
    topics
}

fn beat(
    core: &mut BrokerCore,
    cx: &Cx,
    client_id: &str,
    request: &ShareGroupHeartbeatRequest,
) -> Result<Beaten, Refused> {
    let invalid = |words: &str| Err(Refused::new(ErrorCode::INVALID_REQUEST, words));
    if request.member_id.is_empty() {
        return Err(Refused::plain(ErrorCode::INVALID_REQUEST));
    }
    if request.group_id.is_empty() {
        return invalid("GroupId can't be empty.");
    }
    if request.rack_id.as_ref().is_some_and(|r| r.is_empty()) {
        return invalid("RackId can't be empty.");
    }
    let topics = request.subscribed_topic_names.as_ref();
    match request.member_epoch {
        0 if topics.is_none_or(Vec::is_empty) => {
            return invalid("SubscribedTopicNames must be set in first request.");
        }
        LEAVES.. => {}
        _ => return invalid("MemberEpoch is invalid."),
    }
    check_group(core, cx, &request.group_id).map_err(Refused::plain)?;
    let name = request.group_id.as_str();
    let foreign = core.groups.get(name).is_some();
    if foreign || (request.member_epoch != 0 && !core.share.groups.contains_key(name)) {
        let words = if foreign {
            format!("Group {name} is not a share group.")
        } else if request.member_epoch == LEAVES {
            format!("Group {name} not found.")
        } else {
            format!("Share group {name} not found.")
        };
        return Err(Refused::new(ErrorCode::GROUP_ID_NOT_FOUND, words));
    }
    let host = core.host_of(cx).to_owned();
    let (share, cluster) = (&mut core.share, &core.cluster);
    let group = share.groups.entry(name.to_owned()).or_default();
    group.node = Some(cx.node);
    if request.member_epoch == LEAVES {
        if !group.remove(&request.member_id) {
            let words = format!(
                "Member {} is not a member of group {name}.",
                request.member_id
            );
            return Err(Refused::new(ErrorCode::UNKNOWN_MEMBER_ID, words));
        }
        return Ok(Beaten {
            epoch: LEAVES,
            assignment: None,
        });
    }
    let expires = cx.now.mono + share.options.session;
    let beat = Beat {
        member: request.member_id.to_string(),
        epoch: request.member_epoch,
        rack: request.rack_id.as_ref().map(ToString::to_string),
        topics: topics.map(|all| all.iter().map(|t| t.to_string()).collect::<BTreeSet<_>>()),
        client_id: client_id.to_owned(),
        client_host: host,
    };
    let beaten = group.beat(name, beat, expires, |topic| {
        let topic = cluster.topic(topic)?;
        Some((topic.id, i32::try_from(topic.partitions.len()).ok()?))
    })?;
    share.watch_member(name, &request.member_id, expires);
    Ok(beaten)
}

pub(super) fn describe(
    core: &mut BrokerCore,
    cx: &Cx,
    request: ShareGroupDescribeRequest,
) -> ShareGroupDescribeResponse {
    let operations = if request.include_authorized_operations {
        GROUP_OPERATIONS
    } else {
        i32::MIN
    };
    let groups = request.group_ids.iter().map(|id| {
        let answer = DescribedGroup::default()
            .with_group_id(id.clone())
            .with_authorized_operations(operations);
        if let Err(code) = check_group(core, cx, id) {
            return answer.with_error_code(wire(code));
        }
        let Some(group) = core.share.groups.get(id.as_str()) else {
            let words = format!("Group {} not found.", id.as_str());
            return answer
                .with_error_code(wire(ErrorCode::GROUP_ID_NOT_FOUND))
                .with_error_message(Some(text(words)));
        };
        let members = group.members.iter().map(|(name, m)| {
            let topics = by_topic(&m.assigned).into_iter().map(|(id, partitions)| {
                let topic = core.cluster.name_of(id).unwrap_or_default();
                Described::default()
                    .with_topic_id(id)
                    .with_topic_name(topic_name(topic))
                    .with_partitions(partitions)
            });
            Member::default()
                .with_member_id(text(name))
                .with_rack_id(m.rack.as_ref().map(text))
                .with_member_epoch(m.epoch)
                .with_client_id(text(&m.client_id))
                .with_client_host(text(&m.client_host))
                .with_subscribed_topic_names(m.topics.iter().map(|t| topic_name(t)).collect())
                .with_assignment(
                    DescribedAssignment::default().with_topic_partitions(topics.collect()),
                )
        });
        answer
            .with_group_state(text(group.state_name()))
            .with_group_epoch(group.epoch)
            .with_assignment_epoch(group.epoch)
            .with_assignor_name(text(ASSIGNOR))
            .with_members(members.collect())
    });
    ShareGroupDescribeResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_groups(groups.collect())
}
