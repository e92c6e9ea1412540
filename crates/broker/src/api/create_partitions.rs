//! CreatePartitions.

use std::collections::BTreeSet;

use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};
use ottla_base::error::ErrorCode;

use super::{Cx, code_and_words};
use crate::core::BrokerCore;
use crate::core::cluster::{MAX_NEW_PARTITIONS, too_many_partitions};
use crate::core::fault::Target;
use crate::log::Refused;

pub(super) fn targets(request: &CreatePartitionsRequest) -> Vec<Target> {
    request
        .topics
        .iter()
        .map(|t| (t.name.to_string(), None))
        .collect()
}

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut results = Vec::with_capacity(request.topics.len());
    // New partitions of the topics before, which share one limit.
    let mut added = 0;
    let mut seen = BTreeSet::new();
    for topic in request
        .topics
        .iter()
        .filter(|t| seen.insert(t.name.to_string()))
    {
        let twice = request
            .topics
            .iter()
            .filter(|t| t.name == topic.name)
            .count()
            > 1;
        let assigned: Option<Vec<Vec<i32>>> = topic.assignments.as_ref().map(|all| {
            all.iter()
                .map(|one| one.broker_ids.iter().map(|id| id.0).collect())
                .collect()
        });
        let have = core.cluster.topic(&topic.name).map(|t| t.partitions.len());
        let more = usize::try_from(topic.count)
            .unwrap_or(0)
            .saturating_sub(have.unwrap_or(usize::MAX));
        added = more.saturating_add(added);
        let result = match cx.effects.error(&topic.name, None) {
            Some(code) => Err(Refused::plain(code)),
            None if twice => Err(Refused::new(
                ErrorCode::INVALID_REQUEST,
                "Duplicate topic name.",
            )),
            None if added > MAX_NEW_PARTITIONS => Err(too_many_partitions()),
            None => core.create_partitions(
                &topic.name,
                topic.count,
                assigned.as_deref(),
                request.validate_only,
            ),
        };
        let (code, words) = code_and_words(&result);
        results.push(
            CreatePartitionsTopicResult::default()
                .with_name(topic.name.clone())
                .with_error_code(code)
                .with_error_message(words),
        );
    }
    CreatePartitionsResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_results(results)
}
