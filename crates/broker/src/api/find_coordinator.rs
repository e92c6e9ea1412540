//! FindCoordinator: which node keeps a group, or a transactional id.

use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};
use ottla_base::error::ErrorCode;

use super::{Cx, INVALID_REQUEST, broker_id, text, wire};
use crate::core::BrokerCore;
use crate::core::cluster::NO_NODE;
use crate::core::coordinators::CoordinatorKind;

/// Before version 1 there were only groups.
const GROUP: i8 = CoordinatorKind::Group as i8;

/// What is answered for one key.
struct Found {
    node: i32,
    host: String,
    port: i32,
    code: ErrorCode,
    words: &'static str,
}

impl Found {
    fn none(code: ErrorCode, words: &'static str) -> Self {
        Found {
            node: NO_NODE,
            host: String::new(),
            port: -1,
            code,
            words,
        }
    }
}

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let mut response =
        FindCoordinatorResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    let kind = if cx.version == 0 {
        GROUP
    } else {
        request.key_type
    };
    if cx.version < 4 {
        let found = find(core, cx, kind, &request.key);
        if cx.version >= 1 {
            let words = if found.code == ErrorCode::NONE {
                "NONE"
            } else {
                found.words
            };
            response.error_message = Some(text(words));
        }
        return response
            .with_error_code(wire(found.code))
            .with_node_id(broker_id(found.node))
            .with_host(text(found.host))
            .with_port(found.port);
    }
    let coordinators = request.coordinator_keys.iter().map(|key| {
        let found = find(core, cx, kind, key);
        Coordinator::default()
            .with_key(key.clone())
            .with_node_id(broker_id(found.node))
            .with_host(text(found.host))
            .with_port(found.port)
            .with_error_code(wire(found.code))
            .with_error_message(Some(text(found.words)))
    });
    response.with_coordinators(coordinators.collect())
}

fn find(core: &BrokerCore, cx: &Cx, kind: i8, key: &str) -> Found {
    if let Some(code) = cx.effects.any_error() {
        return Found::none(code, code.name());
    }
    let Some(kind) = CoordinatorKind::of(kind) else {
        return Found::none(ErrorCode::INVALID_REQUEST, INVALID_REQUEST);
    };
    match core.coordinator(kind, key) {
        Some(node) => Found {
            node: node.id,
            host: node.host.clone(),
            port: i32::from(node.port),
            code: ErrorCode::NONE,
            words: "",
        },
        None => Found::none(
            ErrorCode::COORDINATOR_NOT_AVAILABLE,
            "The coordinator is not available.",
        ),
    }
}
