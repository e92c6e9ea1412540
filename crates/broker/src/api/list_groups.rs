//! ListGroups: the groups this node coordinates.

use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{ListGroupsRequest, ListGroupsResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Cx, text, wire};
use crate::core::BrokerCore;
use crate::core::coordinators::CoordinatorKind;

/// The type of share groups, and their protocol's.
const SHARE: &str = "share";

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: ListGroupsRequest,
) -> ListGroupsResponse {
    let response = ListGroupsResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    if let Some(code) = cx.effects.any_error() {
        return response.with_error_code(wire(code));
    }
    let chosen = |filter: &[StrBytes], name: &str| {
        filter.is_empty() || filter.iter().any(|f| f.eq_ignore_ascii_case(name))
    };
    let groups = core.groups.all().filter(|(_, node, group)| {
        *node == Some(cx.node)
            && chosen(&request.states_filter, group.state_name())
            && chosen(&request.types_filter, group.type_name())
    });
    let groups = groups.map(|(name, _, group)| {
        let mut listed = ListedGroup::default()
            .with_group_id(text(name).into())
            .with_protocol_type(text(group.protocol_type()));
        if cx.version >= 4 {
            listed.group_state = StrBytes::from_static_str(group.state_name());
        }
        if cx.version >= 5 {
            listed.group_type = StrBytes::from_static_str(group.type_name());
        }
        listed
    });
    let share = core.share.groups.iter().filter(|(name, group)| {
        core.is_coordinator(cx.node, CoordinatorKind::Group, name)
            && chosen(&request.states_filter, group.state_name())
            && chosen(&request.types_filter, SHARE)
    });
    let share = share.map(|(name, group)| {
        let mut listed = ListedGroup::default()
            .with_group_id(text(name).into())
            .with_protocol_type(StrBytes::from_static_str(SHARE));
        if cx.version >= 4 {
            listed.group_state = StrBytes::from_static_str(group.state_name());
        }
        if cx.version >= 5 {
            listed.group_type = StrBytes::from_static_str(SHARE);
        }
        listed
    });
    let groups = groups.chain(share).collect();
    response.with_groups(groups)
}
