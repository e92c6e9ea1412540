//! JoinGroup (classic protocol): answered when all members have joined.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};
use kafka_protocol::protocol::StrBytes;
use ottla_base::error::ErrorCode;

use super::{Cx, Outcome, answer_or_wait, check_group, decode, reply, text, wire};
use crate::core::BrokerCore;
use crate::core::groups::answer::Joined;
use crate::core::groups::classic::Join;

/// Kafka's `group.min.session.timeout.ms` and `group.max.session.timeout.ms`.
const SESSION_TIMEOUT_MS: std::ops::RangeInclusive<i32> = 6_000..=1_800_000;

pub(super) fn handle(core: &mut BrokerCore, cx: &Cx, client_id: &str, body: Bytes) -> Outcome {
    let Some(request) = decode::<JoinGroupRequest>(&body, cx.version) else {
        return Outcome::Close;
    };
    if let Err(code) = check(core, cx, &request) {
        return reply(cx, &response(cx, Joined::failed(&request.member_id, code)));
    }
    let rebalance_timeout = if cx.version >= 1 {
        request.rebalance_timeout_ms
    } else {
        request.session_timeout_ms
    };
    let protocols = request.protocols.into_iter();
    let join = Join {
        member_id: request.member_id.to_string(),
        instance: request.group_instance_id.as_ref().map(ToString::to_string),
        client_id: client_id.to_owned(),
        client_host: core.host_of(cx).to_owned(),
        session_timeout: millis(request.session_timeout_ms),
        rebalance_timeout: millis(rebalance_timeout),
        protocol_type: request.protocol_type.to_string(),
        protocols: protocols
            .map(|p| (p.name.to_string(), p.metadata))
            .collect(),
        must_know_id: cx.version >= 4,
        may_skip_assignment: cx.version >= 9,
        unique: core.cluster.random.uuid().to_string(),
    };
    let ticket = core.groups.ticket();
    let (groups, cluster) = (&mut core.groups, &core.cluster);
    let group = &request.group_id;
    groups.join(cx.now.mono, cx.node, cluster, group, join, ticket);
    answer_or_wait(core, cx, ticket)
}

fn check(core: &BrokerCore, cx: &Cx, request: &JoinGroupRequest) -> Result<(), ErrorCode> {
    check_group(core, cx, &request.group_id)?;
    if SESSION_TIMEOUT_MS.contains(&request.session_timeout_ms) {
        Ok(())
    } else {
        Err(ErrorCode::INVALID_SESSION_TIMEOUT)
    }
}

fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

pub(super) fn response(cx: &Cx, joined: Joined) -> JoinGroupResponse {
    let member = |(id, instance, metadata): (String, Option<String>, Bytes)| {
        let mut member = JoinGroupResponseMember::default()
            .with_member_id(text(id))
            .with_metadata(metadata);
        if cx.version >= 5 {
            member.group_instance_id = instance.map(StrBytes::from_string);
        }
        member
    };
    let mut response = JoinGroupResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_error_code(wire(joined.code))
        .with_generation_id(joined.generation)
        .with_leader(text(joined.leader))
        .with_member_id(text(joined.member_id))
        .with_members(joined.members.into_iter().map(member).collect());
    if cx.version >= 9 {
        response.skip_assignment = joined.skip_assignment;
    }
    response.protocol_name = joined.protocol.map(StrBytes::from_string);
    if cx.version >= 7 {
        response.protocol_type = joined.protocol_type.map(StrBytes::from_string);
    } else {
        response.protocol_name.get_or_insert_default();
    }
    response
}
