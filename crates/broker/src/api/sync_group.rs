//! SyncGroup (classic protocol): answered when the leader's has come.

use bytes::Bytes;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};
use kafka_protocol::protocol::StrBytes;
use ottla_base::error::ErrorCode;

use super::{Cx, Outcome, answer_or_wait, check_group, decode, reply, wire};
use crate::core::BrokerCore;
use crate::core::groups::answer::Synced;
use crate::core::groups::classic::Sync;

pub(super) fn handle(core: &mut BrokerCore, cx: &Cx, body: Bytes) -> Outcome {
    let Some(request) = decode::<SyncGroupRequest>(&body, cx.version) else {
        return Outcome::Close;
    };
    // From here on both must be there.
    let nameless =
        cx.version >= 5 && (request.protocol_type.is_none() || request.protocol_name.is_none());
    let refused = if nameless {
        Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)
    } else {
        check_group(core, cx, &request.group_id)
    };
    if let Err(code) = refused {
        return reply(cx, &response(cx, Synced::failed(code)));
    }
    let assignments = request.assignments.into_iter();
    let sync = Sync {
        member_id: request.member_id.to_string(),
        instance: request.group_instance_id.as_ref().map(ToString::to_string),
        generation: request.generation_id,
        protocol_type: request.protocol_type.as_ref().map(ToString::to_string),
        protocol: request.protocol_name.as_ref().map(ToString::to_string),
        assignments: assignments
            .map(|a| (a.member_id.to_string(), a.assignment))
            .collect(),
    };
    let ticket = core.groups.ticket();
    let (groups, cluster) = (&mut core.groups, &core.cluster);
    groups.sync(cx.now.mono, cluster, &request.group_id, sync, ticket);
    answer_or_wait(core, cx, ticket)
}

pub(super) fn response(cx: &Cx, synced: Synced) -> SyncGroupResponse {
    let mut response = SyncGroupResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_error_code(wire(synced.code))
        .with_assignment(synced.assignment);
    if cx.version >= 5 {
        response.protocol_type = synced.protocol_type.map(StrBytes::from_string);
        response.protocol_name = synced.protocol.map(StrBytes::from_string);
    }
    response
}
