//! Heartbeat (classic protocol): a member lives, and learns of a rebalance.

use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::{Cx, check_group, wire};
use crate::core::BrokerCore;

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: HeartbeatRequest,
) -> HeartbeatResponse {
    let code = match check_group(core, cx, &request.group_id) {
        Err(code) => code,
        Ok(()) => core.groups.heartbeat(
            cx.now.mono,
            &request.group_id,
            &request.member_id,
            request.group_instance_id.as_deref(),
            request.generation_id,
        ),
    };
    HeartbeatResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_error_code(wire(code))
}
