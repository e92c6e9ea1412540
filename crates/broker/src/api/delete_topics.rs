//! DeleteTopics.

use std::collections::BTreeSet;

use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse};
use ottla_base::error::ErrorCode;
use uuid::Uuid;

use super::{Cx, text, topic_name, wire};
use crate::core::BrokerCore;
use crate::core::fault::Target;

/// A topic as the request names it.
fn named(version: i16, request: &DeleteTopicsRequest) -> Vec<(Option<String>, Uuid)> {
    if version >= 6 {
        request
            .topics
            .iter()
            .map(|t| (t.name.as_ref().map(|n| n.to_string()), t.topic_id))
            .collect()
    } else {
        request
            .topic_names
            .iter()
            .map(|n| (Some(n.to_string()), Uuid::nil()))
            .collect()
    }
}

pub(super) fn targets(
    core: &BrokerCore,
    version: i16,
    request: &DeleteTopicsRequest,
) -> Vec<Target> {
    let name = |(name, id): (Option<String>, Uuid)| {
        name.or_else(|| core.cluster.name_of(id).map(str::to_owned))
    };
    named(version, request)
        .into_iter()
        .filter_map(name)
        .map(|name| (name, None))
        .collect()
}

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let named = named(cx.version, &request);
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&(Option<String>, Uuid)> =
        named.iter().filter(|t| !seen.insert(*t)).collect();
    let mut responses = Vec::with_capacity(named.len());
    for (name, id) in &twice {
        let what = if name.is_some() { "name" } else { "id" };
        let words = format!("Duplicate topic {what}.");
        responses.push(entry(
            cx,
            name.as_deref(),
            *id,
            ErrorCode::INVALID_REQUEST,
            &words,
        ));
    }
    for topic in named.iter().filter(|t| !twice.contains(t)) {
        responses.push(delete(core, cx, topic.0.as_deref(), topic.1));
    }
    DeleteTopicsResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_responses(responses)
}

fn delete(core: &mut BrokerCore, cx: &Cx, name: Option<&str>, id: Uuid) -> DeletableTopicResult {
    let by_id = name.is_none();
    if by_id && id.is_nil() {
        let why = "Neither topic name nor id were specified.";
        return entry(cx, None, id, ErrorCode::INVALID_REQUEST, why);
    }
    let Some(name) = name.or_else(|| core.cluster.name_of(id)).map(str::to_owned) else {
        return entry(
            cx,
            None,
            id,
            ErrorCode::UNKNOWN_TOPIC_ID,
            "This server does not host this topic ID.",
        );
    };
    if !by_id && !id.is_nil() {
        return entry(
            cx,
            Some(&name),
            id,
            ErrorCode::INVALID_REQUEST,
            "You may not specify both topic name and topic id.",
        );
    }
    if let Some(code) = cx.effects.error(&name, None) {
        return entry(cx, Some(&name), id, code, "");
    }
    let known = core.cluster.topic(&name).map(|t| t.id);
    if core.delete_topic(&name) {
        return entry(cx, Some(&name), known.unwrap_or(id), ErrorCode::NONE, "");
    }
    let why = "This server does not host this topic-partition.";
    entry(
        cx,
        Some(&name),
        id,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        why,
    )
}

fn entry(
    cx: &Cx,
    name: Option<&str>,
    id: Uuid,
    code: ErrorCode,
    words: &str,
) -> DeletableTopicResult {
    let mut entry = DeletableTopicResult::default()
        .with_name(name.map(topic_name))
        .with_error_code(wire(code));
    if cx.version >= 5 && !words.is_empty() {
        entry.error_message = Some(text(words));
    }
    if cx.version >= 6 {
        entry.topic_id = id;
    }
    entry
}
