//! ConsumerGroupHeartbeat (KIP-848): members join, stay and leave, and learn what they are to have.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_protocol::messages::consumer_group_heartbeat_response::{Assignment, TopicPartitions};
use kafka_protocol::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use ottla_base::error::ErrorCode;

use super::{Cx, check_group, text, wire};
use crate::core::BrokerCore;
use crate::core::groups::assignors::ASSIGNORS;
use crate::core::groups::modern::{Beaten, Heartbeat, LEAVE, LEAVE_FOR_A_WHILE};
use crate::core::groups::modern_member::Partitions;
use crate::log::Refused;

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    client_id: &str,
    request: ConsumerGroupHeartbeatRequest,
) -> ConsumerGroupHeartbeatResponse {
    let response =
        ConsumerGroupHeartbeatResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    match beat(core, cx, client_id, request) {
        Ok(beaten) => response
            .with_member_id(Some(text(beaten.member_id)))
            .with_member_epoch(beaten.epoch)
            .with_heartbeat_interval_ms(beaten.interval.as_millis() as i32)
            .with_assignment(beaten.assignment.map(assignment)),
        Err(refused) => response
            .with_error_code(wire(refused.code))
            .with_error_message(refused.message.map(text)),
    }
}

fn beat(
    core: &mut BrokerCore,
    cx: &Cx,
    client_id: &str,
    request: ConsumerGroupHeartbeatRequest,
) -> Result<Beaten, Refused> {
    check(cx, &request)?;
    check_group(core, cx, &request.group_id).map_err(Refused::plain)?;
    let instance = request.instance_id.as_ref().map(ToString::to_string);
    if request.member_epoch < 0 {
        let (groups, cluster) = (&mut core.groups, &core.cluster);
        let (group, id, epoch) = (&request.group_id, &request.member_id, request.member_epoch);
        return groups.leave_modern(cx.now.mono, cluster, group, id, instance.as_deref(), epoch);
    }
    let member_id = if request.member_id.is_empty() {
        // The client of version 0 may leave it to the broker.
        core.cluster.random.uuid().to_string()
    } else {
        request.member_id.to_string()
    };
    let timeout = u64::try_from(request.rebalance_timeout_ms).ok();
    let topics = request.subscribed_topic_names;
    let heartbeat = Heartbeat {
        member_id,
        epoch: request.member_epoch,
        instance,
        rack: request.rack_id.as_ref().map(ToString::to_string),
        rebalance_timeout: timeout.map(Duration::from_millis),
        topics: topics.map(|t| t.iter().map(|n| n.to_string()).collect()),
        regex: request
            .subscribed_topic_regex
            .as_ref()
            .map(ToString::to_string),
        assignor: request.server_assignor.as_ref().map(ToString::to_string),
        owned: request.topic_partitions.map(|owned| {
            let mut partitions: BTreeMap<_, BTreeSet<i32>> = Partitions::new();
            for of in owned {
                partitions
                    .entry(of.topic_id)
                    .or_default()
                    .extend(of.partitions);
            }
            partitions
        }),
        client_id: client_id.to_owned(),
        client_host: core.host_of(cx).to_owned(),
    };
    let (groups, cluster) = (&mut core.groups, &core.cluster);
    groups.beat(cx.now.mono, cx.node, &request.group_id, cluster, heartbeat)
}

/// What is wrong with a request by itself.
fn check(cx: &Cx, request: &ConsumerGroupHeartbeatRequest) -> Result<(), Refused> {
    let invalid = |words: &str| Err(Refused::new(ErrorCode::INVALID_REQUEST, words));
    let empty = |value: &Option<kafka_protocol::protocol::StrBytes>| {
        value.as_ref().is_some_and(|v| v.trim().is_empty())
    };
    let epoch = request.member_epoch;
    if cx.version >= 1 && request.member_id.trim().is_empty() {
        return invalid("MemberId can't be empty.");
    }
    if request.group_id.trim().is_empty() {
        return invalid("GroupId can't be empty.");
    }
    if empty(&request.instance_id) {
        return invalid("InstanceId can't be empty.");
    }
    if empty(&request.rack_id) {
        return invalid("RackId can't be empty.");
    }
    if epoch == 0 {
        if request.rebalance_timeout_ms == -1 {
            return invalid("RebalanceTimeoutMs must be provided in first request.");
        }
        if request
            .topic_partitions
            .as_ref()
            .is_none_or(|p| !p.is_empty())
        {
            return invalid("TopicPartitions must be empty when (re-)joining.");
        }
        let nothing = request
            .subscribed_topic_names
            .as_ref()
            .is_none_or(Vec::is_empty);
        let no_regex = request
            .subscribed_topic_regex
            .as_ref()
            .is_none_or(|r| r.is_empty());
        if nothing && no_regex {
            return invalid(
                "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.",
            );
        }
    } else if epoch > 0 || epoch == LEAVE {
        if request.member_id.trim().is_empty() {
            return invalid("MemberId can't be empty.");
        }
    } else if epoch == LEAVE_FOR_A_WHILE {
        if request.member_id.trim().is_empty() {
            return invalid("MemberId can't be empty.");
        }
        if request.instance_id.is_none() {
            return invalid("InstanceId can't be null.");
        }
    } else {
        return invalid("MemberEpoch is invalid.");
    }
    match &request.server_assignor {
        Some(name) if !ASSIGNORS.contains(&name.as_str()) => Err(Refused::new(
            ErrorCode::UNSUPPORTED_ASSIGNOR,
            format!(
                "ServerAssignor {} is not supported. Supported assignors: {}.",
                name.as_str(),
                ASSIGNORS.join(", ")
            ),
        )),
        _ => Ok(()),
    }
}

fn assignment(partitions: Partitions) -> Assignment {
    let topics = partitions.into_iter().map(|(topic, of)| {
        TopicPartitions::default()
            .with_topic_id(topic)
            .with_partitions(of.into_iter().collect())
    });
    Assignment::default().with_topic_partitions(topics.collect())
}
