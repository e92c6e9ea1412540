//! AddPartitionsToTxn: by a client of transaction version 1, or (from version 4 on) for several transactions at once,
//! as brokers ask each other.

use std::collections::BTreeMap;

use kafka_protocol::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
use ottla_base::error::ErrorCode;

use super::{Cx, topic_name, wire};
use crate::core::BrokerCore;
use crate::core::coordinators::CoordinatorKind;
use crate::core::fault::Target;
use crate::core::transactions::{Identity, Place};

/// From here on the request is of brokers, for several transactions.
const BATCHED: i16 = 4;

fn places(topics: &[AddPartitionsToTxnTopic]) -> Vec<Place> {
    let each = |t: &AddPartitionsToTxnTopic| -> Vec<Place> {
        t.partitions
            .iter()
            .map(|&p| (t.name.to_string(), p))
            .collect()
    };
    topics.iter().flat_map(each).collect()
}

pub(super) fn targets(request: &AddPartitionsToTxnRequest) -> Vec<Target> {
    let batched = request.transactions.iter().flat_map(|t| &t.topics);
    let topics: Vec<_> = request
        .v3_and_below_topics
        .iter()
        .chain(batched)
        .cloned()
        .collect();
    places(&topics)
        .into_iter()
        .map(|(topic, partition)| (topic, Some(partition)))
        .collect()
}

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    let response =
        AddPartitionsToTxnResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    if cx.version < BATCHED {
        let transaction = AddPartitionsToTxnTransaction::default()
            .with_transactional_id(request.v3_and_below_transactional_id)
            .with_producer_id(request.v3_and_below_producer_id)
            .with_producer_epoch(request.v3_and_below_producer_epoch)
            .with_topics(request.v3_and_below_topics);
        return response.with_results_by_topic_v3_and_below(one(core, cx, &transaction));
    }
    let results = request.transactions.iter().map(|t| {
        AddPartitionsToTxnResult::default()
            .with_transactional_id(t.transactional_id.clone())
            .with_topic_results(one(core, cx, t))
    });
    let results = results.collect();
    response.with_results_by_transaction(results)
}

/// Carries out one transaction's part: all its partitions or none.
fn one(
    core: &mut BrokerCore,
    cx: &Cx,
    transaction: &AddPartitionsToTxnTransaction,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let places = places(&transaction.topics);
    let wrong = |core: &BrokerCore, (topic, partition): &Place| {
        cx.effects.error(topic, Some(*partition)).or_else(|| {
            core.cluster
                .partition(topic, *partition)
                .is_none()
                .then_some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        })
    };
    let codes: Vec<Option<ErrorCode>> = places.iter().map(|p| wrong(core, p)).collect();
    if codes.iter().any(Option::is_some) {
        let codes = codes
            .into_iter()
            .map(|code| code.unwrap_or(ErrorCode::OPERATION_NOT_ATTEMPTED));
        return results([], places.into_iter().zip(codes));
    }
    let id = transaction.transactional_id.as_str();
    let producer = Identity {
        id: transaction.producer_id.0,
        epoch: transaction.producer_epoch,
    };
    let able = match id {
        "" => Err(ErrorCode::INVALID_REQUEST),
        _ => core.check_coordinator(cx, CoordinatorKind::Transaction, id),
    };
    let told = |result: Result<(), ErrorCode>| match result {
        Ok(()) => ErrorCode::NONE,
        // What older clients know for the same.
        Err(ErrorCode::PRODUCER_FENCED) if cx.version < 2 => ErrorCode::INVALID_PRODUCER_EPOCH,
        Err(code) => code,
    };
    let codes: Vec<ErrorCode> = if transaction.verify_only && able.is_ok() {
        let verify = |place| told(core.transactions.verify(id, producer, place));
        places.iter().map(verify).collect()
    } else {
        let bumps = cx.version >= BATCHED;
        let added = able.and_then(|()| {
            core.add_to_transaction(cx.now, id, producer, places.iter().cloned(), bumps)
        });
        vec![told(added); places.len()]
    };
    // A topic without partitions is named all the same.
    let named = transaction.topics.iter().map(|t| t.name.to_string());
    results(named, places.into_iter().zip(codes))
}

fn results(
    named: impl IntoIterator<Item = String>,
    codes: impl Iterator<Item = (Place, ErrorCode)>,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let mut by_topic: BTreeMap<String, Vec<AddPartitionsToTxnPartitionResult>> =
        named.into_iter().map(|name| (name, Vec::new())).collect();
    for ((topic, partition), code) in codes {
        by_topic.entry(topic).or_default().push(
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(partition)
                .with_partition_error_code(wire(code)),
        );
    }
    by_topic
        .into_iter()
        .map(|(topic, partitions)| {
            AddPartitionsToTxnTopicResult::default()
                .with_name(topic_name(&topic))
                .with_results_by_partition(partitions)
        })
        .collect()
}
