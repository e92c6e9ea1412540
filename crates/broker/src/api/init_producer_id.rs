//! InitProducerId for idempotent and transactional producers.

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};
use ottla_base::error::ErrorCode;

use super::{Cx, wire};
use crate::core::BrokerCore;
use crate::core::coordinators::CoordinatorKind;
use crate::core::transactions::{Identity, NONE};

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let response = InitProducerIdResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1);
    match initialize(core, cx, &request) {
        Ok(identity) => response
            .with_producer_id(ProducerId(identity.id))
            .with_producer_epoch(identity.epoch),
        // What older clients know for the same.
        Err(ErrorCode::PRODUCER_FENCED) if cx.version < 4 => {
            response.with_error_code(wire(ErrorCode::INVALID_PRODUCER_EPOCH))
        }
        Err(code) => response.with_error_code(wire(code)),
    }
}

fn initialize(
    core: &mut BrokerCore,
    cx: &Cx,
    request: &InitProducerIdRequest,
) -> Result<Identity, ErrorCode> {
    if let Some(code) = cx.effects.any_error() {
        return Err(code);
    }
    let given = Identity {
        id: request.producer_id.0,
        epoch: request.producer_epoch,
    };
    let expected = match (given.id, given.epoch) {
        (NONE, -1) => None,
        (NONE, _) | (_, -1) => return Err(ErrorCode::INVALID_REQUEST),
        _ => Some(given),
    };
    let Some(id) = &request.transactional_id else {
        let id = core.next_producer_id;
        core.next_producer_id += 1;
        core.save_topics();
        return Ok(Identity { id, epoch: 0 });
    };
    if id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    core.check_coordinator(cx, CoordinatorKind::Transaction, id)?;
    core.initialize_transactions(cx.now, id, request.transaction_timeout_ms, expected)
}
