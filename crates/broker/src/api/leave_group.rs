//! LeaveGroup (classic protocol): members leave, one or, from version 3 on, several.

use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::{Cx, check_group, wire};
use crate::core::BrokerCore;

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: LeaveGroupRequest,
) -> LeaveGroupResponse {
    let response = LeaveGroupResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    let leaving: Vec<(String, Option<String>)> = if cx.version >= 3 {
        let of = |m: &kafka_protocol::messages::leave_group_request::MemberIdentity| {
            let instance = m.group_instance_id.as_ref().map(ToString::to_string);
            (m.member_id.to_string(), instance)
        };
        request.members.iter().map(of).collect()
    } else {
        vec![(request.member_id.to_string(), None)]
    };
    if let Err(code) = check_group(core, cx, &request.group_id) {
        return response.with_error_code(wire(code));
    }
    let (groups, cluster) = (&mut core.groups, &core.cluster);
    let codes = groups.leave(cx.now.mono, cluster, &request.group_id, &leaving);
    if cx.version < 3 {
        return response.with_error_code(codes.first().copied().map_or(0, wire));
    }
    let members = request.members.into_iter().zip(codes).map(|(m, code)| {
        MemberResponse::default()
            .with_member_id(m.member_id)
            .with_group_instance_id(m.group_instance_id)
            .with_error_code(wire(code))
    });
    response.with_members(members.collect())
}
