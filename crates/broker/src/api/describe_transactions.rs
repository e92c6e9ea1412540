//! DescribeTransactions: where transactional ids stand.

use std::collections::BTreeMap;

use kafka_protocol::messages::describe_transactions_response::{TopicData, TransactionState};
use kafka_protocol::messages::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, ProducerId,
};
use ottla_base::error::ErrorCode;

use super::{Cx, topic_name, wire};
use crate::core::BrokerCore;
use crate::core::coordinators::CoordinatorKind;

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: DescribeTransactionsRequest,
) -> DescribeTransactionsResponse {
    let states = request.transactional_ids.iter().map(|id| {
        let state = TransactionState::default().with_transactional_id(id.clone());
        match describe(core, cx, id) {
            Ok(described) => described.with_transactional_id(id.clone()),
            Err(code) => state.with_error_code(wire(code)),
        }
    });
    DescribeTransactionsResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_transaction_states(states.collect())
}

fn describe(core: &BrokerCore, cx: &Cx, id: &str) -> Result<TransactionState, ErrorCode> {
    if let Some(code) = cx.effects.any_error() {
        return Err(code);
    }
    if id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    core.check_coordinator(cx, CoordinatorKind::Transaction, id)?;
    let Some(t) = core.transactions.get(id) else {
        return Err(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND);
    };
    let mut by_topic: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in &t.partitions {
        by_topic.entry(topic).or_default().push(*partition);
    }
    let topics = by_topic.into_iter().map(|(topic, partitions)| {
        TopicData::default()
            .with_topic(topic_name(topic))
            .with_partitions(partitions)
    });
    Ok(TransactionState::default()
        .with_transaction_state(super::text(t.state.name()))
        .with_transaction_timeout_ms(t.timeout_ms)
        .with_transaction_start_time_ms(t.started_ms)
        .with_producer_id(ProducerId(t.producer.id))
        .with_producer_epoch(t.producer.epoch)
        .with_topics(topics.collect()))
}
