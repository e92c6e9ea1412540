//! AddOffsetsToTxn: a client of transaction version 1 is about to commit a group's offsets in its transaction.

use kafka_protocol::messages::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use ottla_base::error::ErrorCode;

use super::{Cx, wire};
use crate::core::BrokerCore;
use crate::core::coordinators::CoordinatorKind;
use crate::core::transactions::{Identity, OFFSETS_TOPIC, offsets_partition};

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let code = match add(core, cx, &request) {
        Ok(()) => ErrorCode::NONE,
        // What older clients know for the same.
        Err(ErrorCode::PRODUCER_FENCED) if cx.version < 2 => ErrorCode::INVALID_PRODUCER_EPOCH,
        Err(code) => code,
    };
    AddOffsetsToTxnResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_error_code(wire(code))
}

fn add(core: &mut BrokerCore, cx: &Cx, request: &AddOffsetsToTxnRequest) -> Result<(), ErrorCode> {
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
    let place = (
        OFFSETS_TOPIC.to_owned(),
        offsets_partition(&request.group_id),
    );
    core.add_to_transaction(cx.now, id, producer, [place], false)
}
