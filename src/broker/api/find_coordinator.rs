//! FindCoordinator: which node keeps a group's offsets.

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};

use super::{Cx, broker_id, text, wire};
use crate::broker::core::BrokerCore;
use crate::broker::core::cluster::Node;
use crate::error::ErrorCode;
use crate::protocol::record::crc::crc32c;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// The living node that a key falls to, the same one from every node's view.
pub(super) fn coordinator<'a>(core: &'a BrokerCore, key: &str) -> Option<&'a Node> {
    let alive = core.cluster.alive().count();
    core.cluster
        .alive()
        .nth(crc32c(key.as_bytes()) as usize % alive.max(1))
}

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let response =
        FindCoordinatorResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    let kind = if cx.version == 0 {
        GROUP
    } else {
        request.key_type
    };
    if cx.version < 4 {
        let (node, code, words) = find(core, cx, kind, &request.key);
        let mut response = response
            .with_error_code(wire(code))
            .with_node_id(broker_id(node.id));
        if cx.version >= 1 {
            response.error_message = Some(text(words));
        }
        return response
            .with_host(text(node.host))
            .with_port(i32::from(node.port));
    }
    let coordinators = request.coordinator_keys.iter().map(|key| {
        let (node, code, words) = find(core, cx, kind, key);
        Coordinator::default()
            .with_key(key.clone())
            .with_node_id(broker_id(node.id))
            .with_host(text(node.host))
            .with_port(i32::from(node.port))
            .with_error_code(wire(code))
            .with_error_message(Some(text(words)))
    });
    response.with_coordinators(coordinators.collect())
}

fn find(core: &BrokerCore, cx: &Cx, kind: i8, key: &str) -> (Node, ErrorCode, &'static str) {
    let none = Node {
        id: -1,
        host: String::new(),
        port: 0,
        alive: false,
    };
    if let Some(code) = cx.effects.any_error() {
        return (none, code, code.name());
    }
    match kind {
        GROUP | TRANSACTION => match coordinator(core, key) {
            Some(node) => (node.clone(), ErrorCode::NONE, "NONE"),
            None => (
                none,
                ErrorCode::COORDINATOR_NOT_AVAILABLE,
                "The coordinator is not available.",
            ),
        },
        _ => (
            none,
            ErrorCode::INVALID_REQUEST,
            "This most likely occurs because of a request being malformed by the client library or the message was sent to an incompatible broker. See the broker logs for more details.",
        ),
    }
}
