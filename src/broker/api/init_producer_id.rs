//! InitProducerId for idempotent producers.

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};

use super::{Cx, wire};
use crate::broker::core::BrokerCore;
use crate::error::ErrorCode;

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: InitProducerIdRequest,
) -> InitProducerIdResponse {
    let response = InitProducerIdResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_producer_id(ProducerId(-1))
        .with_producer_epoch(-1);
    let error = match &request.transactional_id {
        Some(id) if id.is_empty() => Some(ErrorCode::INVALID_REQUEST),
        // Transactions are not offered by ApiVersions either.
        Some(_) => Some(ErrorCode::UNSUPPORTED_VERSION),
        None => None,
    };
    if let Some(code) = cx.effects.any_error().or(error) {
        return response.with_error_code(wire(code));
    }
    let id = core.next_producer_id;
    core.next_producer_id += 1;
    core.save_topics();
    response
        .with_producer_id(ProducerId(id))
        .with_producer_epoch(0)
}
