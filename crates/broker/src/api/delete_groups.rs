//! DeleteGroups: groups without members are forgotten, and what they committed.

use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use super::{Cx, check_coordinator, wire};
use crate::core::BrokerCore;

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let mut results = Vec::with_capacity(request.groups_names.len());
    for name in request.groups_names {
        let deleted =
            check_coordinator(core, cx, &name).and_then(|()| match core.share.delete(&name) {
                Some(deleted) => deleted,
                None => core.groups.delete(&name),
            });
        if deleted.is_ok() {
            core.offsets.forget_group(&name);
        }
        results.push(
            DeletableGroupResult::default()
                .with_group_id(name)
                .with_error_code(deleted.err().map_or(0, wire)),
        );
    }
    core.save_topics();
    DeleteGroupsResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_results(results)
}
