//! CreateTopics.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult,
};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use ottla_base::error::ErrorCode;

use super::describe_configs::source;
use super::{Cx, code_and_words, text};
use crate::core::BrokerCore;
use crate::core::cluster::{MAX_NEW_PARTITIONS, Placement, too_many_partitions};
use crate::core::fault::Target;
use crate::core::topic_config::{SETTINGS, Setting, TopicConfig};
use crate::log::Refused;

pub(super) fn targets(request: &CreateTopicsRequest) -> Vec<Target> {
    request
        .topics
        .iter()
        .map(|t| (t.name.to_string(), None))
        .collect()
}

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<String> = request
        .topics
        .iter()
        .map(|t| t.name.to_string())
        .filter(|name| !seen.insert(name.clone()))
        .collect();
    let mut results = Vec::with_capacity(request.topics.len());
    if partitions(core, &request) > MAX_NEW_PARTITIONS {
        for topic in &request.topics {
            results.push(answer(core, cx, &topic.name, Err(too_many_partitions())));
        }
        return CreateTopicsResponse::default()
            .with_throttle_time_ms(cx.effects.throttle_ms())
            .with_topics(results);
    }
    for name in &twice {
        let refused = Refused::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name.");
        results.push(answer(core, cx, name, Err(refused)));
    }
    for topic in request
        .topics
        .iter()
        .filter(|t| !twice.contains(t.name.as_str()))
    {
        let result = create(core, cx, topic, request.validate_only);
        results.push(answer(core, cx, &topic.name, result));
    }
    CreateTopicsResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_topics(results)
}

/// How many partitions all the topics of a request would have.
fn partitions(core: &BrokerCore, request: &CreateTopicsRequest) -> usize {
    let of = |topic: &CreatableTopic| match topic.num_partitions {
        _ if !topic.assignments.is_empty() => topic.assignments.len(),
        -1 => usize::try_from(core.cluster.default_partitions).unwrap_or(0),
        count => usize::try_from(count).unwrap_or(0),
    };
    request
        .topics
        .iter()
        .fold(0, |sum: usize, topic| sum.saturating_add(of(topic)))
}

fn create(
    core: &mut BrokerCore,
    cx: &Cx,
    topic: &CreatableTopic,
    validate_only: bool,
) -> Result<(Vec<Vec<i32>>, TopicConfig), Refused> {
    if let Some(code) = cx.effects.error(&topic.name, None) {
        return Err(Refused::plain(code));
    }
    let placement = placement(topic)?;
    let mut config = BTreeMap::new();
    for c in &topic.configs {
        let Some(value) = &c.value else {
            return Err(Refused::new(
                ErrorCode::INVALID_CONFIG,
                format!(
                    "Null value not supported for topic configs: {}",
                    c.name.as_str()
                ),
            ));
        };
        config.insert(c.name.to_string(), value.to_string());
    }
    core.create_topic(&topic.name, &placement, config, validate_only)
}

fn placement(topic: &CreatableTopic) -> Result<Placement, Refused> {
    if topic.assignments.is_empty() {
        return Ok(Placement::Counts {
            partitions: topic.num_partitions,
            replication_factor: topic.replication_factor,
        });
    }
    if topic.replication_factor != -1 {
        return Err(Refused::new(
            ErrorCode::INVALID_REQUEST,
            "A manual partition assignment was specified, but replication factor was not set to -1.",
        ));
    }
    if topic.num_partitions != -1 {
        return Err(Refused::new(
            ErrorCode::INVALID_REQUEST,
            "A manual partition assignment was specified, but numPartitions was not set to -1.",
        ));
    }
    let mut by_index = BTreeMap::new();
    for assignment in &topic.assignments {
        let replicas: Vec<i32> = assignment.broker_ids.iter().map(|id| id.0).collect();
        if by_index
            .insert(assignment.partition_index, replicas)
            .is_some()
        {
            return Err(Refused::new(
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                format!(
                    "Found multiple manual partition assignments for partition {}",
                    assignment.partition_index
                ),
            ));
        }
    }
    if by_index
        .keys()
        .enumerate()
        .any(|(expected, &index)| i32::try_from(expected) != Ok(index))
    {
        return Err(Refused::new(
            ErrorCode::INVALID_REPLICA_ASSIGNMENT,
            "partitions should be a consecutive 0-based integer sequence",
        ));
    }
    Ok(Placement::Replicas(by_index.into_values().collect()))
}

fn answer(
    core: &mut BrokerCore,
    cx: &Cx,
    name: &str,
    result: Result<(Vec<Vec<i32>>, TopicConfig), Refused>,
) -> CreatableTopicResult {
    let (code, words) = code_and_words(&result);
    let mut answer = CreatableTopicResult::default()
        .with_name(super::topic_name(name))
        .with_error_code(code)
        .with_error_message(words);
    if cx.version >= 5 {
        answer.num_partitions = -1;
        answer.replication_factor = -1;
        answer.configs = Some(Vec::new());
    }
    let Ok((replicas, config)) = result else {
        return answer;
    };
    if cx.version >= 5 {
        answer.num_partitions = replicas.len() as i32;
        answer.replication_factor = replicas.first().map_or(0, Vec::len) as i16;
        answer.configs = Some(
            SETTINGS
                .iter()
                .map(|s| config_entry(core, cx, s, &config))
                .collect(),
        );
    }
    if cx.version >= 7 {
        // One that was only thought of gets an id too.
        answer.topic_id = match core.cluster.topic(name) {
            Some(topic) => topic.id,
            None => core.cluster.random.uuid(),
        };
    }
    answer
}

fn config_entry(
    core: &BrokerCore,
    cx: &Cx,
    setting: &Setting,
    config: &TopicConfig,
) -> CreatableTopicConfigs {
    CreatableTopicConfigs::default()
        .with_name(text(setting.name))
        .with_value(Some(text(config.get(setting.name).0)))
        .with_config_source(source(core, cx.node, setting, config))
}
