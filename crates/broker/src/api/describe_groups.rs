//! DescribeGroups: state and members of groups of the classic protocol.

use bytes::Bytes;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};
use kafka_protocol::protocol::StrBytes;
use ottla_base::error::ErrorCode;

use super::{Cx, GROUP_OPERATIONS, check_group, text, wire};
use crate::core::BrokerCore;
use crate::core::groups::Group;
use crate::core::groups::classic::{ClassicGroup, ClassicState};

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let groups = request.groups.into_iter().map(|name| {
        let described = describe(core, cx, name);
        if request.include_authorized_operations && described.error_code == 0 {
            described.with_authorized_operations(GROUP_OPERATIONS)
        } else {
            described
        }
    });
    DescribeGroupsResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_groups(groups.collect())
}

fn describe(core: &BrokerCore, cx: &Cx, name: GroupId) -> DescribedGroup {
    let described = DescribedGroup::default().with_group_id(name.clone());
    if let Err(code) = check_group(core, cx, &name) {
        return described.with_error_code(wire(code));
    }
    match core.groups.get(&name) {
        Some(Group::Classic(group)) => of_classic(cx, described, group),
        Some(Group::Modern(_)) => {
            let words = format!("Group {} is not a classic group.", name.as_str());
            missing(cx, described, words)
        }
        None => missing(cx, described, format!("Group {} not found.", name.as_str())),
    }
}

/// A group that is not there, which older versions can't say.
fn missing(cx: &Cx, described: DescribedGroup, words: String) -> DescribedGroup {
    let described = described.with_group_state(StrBytes::from_static_str("Dead"));
    if cx.version < 6 {
        return described;
    }
    described
        .with_error_code(wire(ErrorCode::GROUP_ID_NOT_FOUND))
        .with_error_message(Some(text(words)))
}

fn of_classic(cx: &Cx, described: DescribedGroup, group: &ClassicGroup) -> DescribedGroup {
    let stable = group.state == ClassicState::Stable;
    let protocol = group.protocol.as_deref().unwrap_or_default();
    let members = group.members.iter().map(|(id, m)| {
        let mut member = DescribedGroupMember::default()
            .with_member_id(text(id.as_str()))
            .with_client_id(text(m.client_id.as_str()))
            .with_client_host(text(m.client_host.as_str()))
            .with_member_metadata(if stable {
                m.metadata(protocol)
            } else {
                Bytes::new()
            })
            .with_member_assignment(m.assignment.clone());
        if cx.version >= 4 {
            member.group_instance_id = m.instance.clone().map(StrBytes::from_string);
        }
        member
    });
    let protocol = if stable { protocol } else { "" };
    described
        .with_group_state(StrBytes::from_static_str(group.state.name()))
        .with_protocol_type(text(group.protocol_type.as_deref().unwrap_or_default()))
        .with_protocol_data(text(protocol))
        .with_members(members.collect())
}
