//! ListTransactions: the transactional ids that a node coordinates.

use kafka_protocol::messages::list_transactions_response::TransactionState;
use kafka_protocol::messages::{
    ListTransactionsRequest, ListTransactionsResponse, ProducerId, TransactionalId,
};
use ottla_base::error::ErrorCode;

use super::{Cx, text, wire};
use crate::core::BrokerCore;
use crate::core::coordinators::CoordinatorKind;
use crate::core::transactions::{State, Transaction};

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: ListTransactionsRequest,
) -> ListTransactionsResponse {
    let response =
        ListTransactionsResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    let pattern = request
        .transactional_id_pattern
        .as_deref()
        .filter(|p| !p.is_empty());
    // Kafka takes regular expressions; here a pattern without special characters is taken for what it is.
    let unreadable = pattern.is_some_and(|p| !p.chars().all(is_plain));
    if let Some(code) = cx
        .effects
        .any_error()
        .or(unreadable.then_some(ErrorCode::INVALID_REGULAR_EXPRESSION))
    {
        return response.with_error_code(wire(code));
    }
    let unknown = request
        .state_filters
        .iter()
        .filter(|name| State::of_name(name).is_none());
    let unknown = unknown.cloned().collect();
    let here = |id: &str| {
        core.coordinator(CoordinatorKind::Transaction, id)
            .is_some_and(|node| node.id == cx.node)
    };
    let found = core
        .transactions
        .iter()
        .filter(|(id, t)| {
            here(id) && pattern.is_none_or(|p| p == *id) && is_wanted(t, &request, cx.now.wall_ms)
        })
        .map(|(id, t)| {
            TransactionState::default()
                .with_transactional_id(TransactionalId(text(id)))
                .with_producer_id(ProducerId(t.producer.id))
                .with_transaction_state(text(t.state.name()))
        });
    let found = found.collect();
    response
        .with_unknown_state_filters(unknown)
        .with_transaction_states(found)
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | ':' | '/' | ' ')
}

fn is_wanted(t: &Transaction, request: &ListTransactionsRequest, now_ms: i64) -> bool {
    let ids = &request.producer_id_filters;
    let states = &request.state_filters;
    (ids.is_empty() || ids.iter().any(|id| id.0 == t.producer.id))
        && (states.is_empty() || states.iter().any(|s| s.as_str() == t.state.name()))
        && (request.duration_filter < 0 || now_ms - t.started_ms > request.duration_filter)
}
