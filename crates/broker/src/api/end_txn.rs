//! EndTxn: a transaction is committed or aborted.

use kafka_protocol::messages::{EndTxnRequest, EndTxnResponse, ProducerId};
use ottla_base::error::ErrorCode;

use super::{Cx, wire};
use crate::core::BrokerCore;
use crate::core::coordinators::CoordinatorKind;
use crate::core::transactions::Identity;

/// From here on the client is of transaction version 2: the answer holds its identity for the next transaction.
const BUMPS: i16 = 5;

pub(super) fn handle(core: &mut BrokerCore, cx: &Cx, request: EndTxnRequest) -> EndTxnResponse {
    let response = EndTxnResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    match end(core, cx, &request) {
        Ok(identity) if cx.version >= BUMPS => response
            .with_producer_id(ProducerId(identity.id))
            .with_producer_epoch(identity.epoch),
        Ok(_) => response,
        // What older clients know for the same.
        Err(ErrorCode::PRODUCER_FENCED) if cx.version < 2 => {
            response.with_error_code(wire(ErrorCode::INVALID_PRODUCER_EPOCH))
        }
        Err(code) => response.with_error_code(wire(code)),
    }
}

fn end(core: &mut BrokerCore, cx: &Cx, request: &EndTxnRequest) -> Result<Identity, ErrorCode> {
    if let Some(code) = cx.effects.any_error() {
        return Err(code);
    }
    let id = request.transactional_id.as_str();
    if id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    core.check_coordinator(cx, CoordinatorKind::Transaction, id)?;
    let producer = Identity {
        id: request.producer_id.0,
        epoch: request.producer_epoch,
    };
    let bumps = cx.version >= BUMPS;
    core.end_transaction(cx.now, id, producer, request.committed, bumps)
}
