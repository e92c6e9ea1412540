//! AlterConfigs and IncrementalAlterConfigs: settings of topics, brokers and groups.

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse as IncrementalResponse;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use kafka_protocol::protocol::StrBytes;
use ottla_base::error::ErrorCode;

use super::describe_configs::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use super::{Cx, code_and_words};
use crate::core::BrokerCore;
use crate::core::cluster::check_name;
use crate::core::configs::{
    ALL_BROKERS, GROUP_SETTINGS, broker_settings as changeable, check_group,
};
use crate::core::fault::Target;
use crate::core::topic_config::{Kind, SETTINGS, Setting, TopicConfig};
use crate::log::Refused;

type Values = BTreeMap<String, String>;

/// What is to become of one setting.
struct Change {
    name: String,
    operation: Operation,
}

enum Operation {
    Set(String),
    Delete,
    Append(String),
    Subtract(String),
    /// One that Kafka does not know.
    Unknown,
    /// One without the value that it needs.
    NoValue,
}

impl Operation {
    fn of(operation: i8, value: Option<&StrBytes>) -> Self {
        let value = value.map(ToString::to_string);
        match (operation, value) {
            (1, _) => Operation::Delete,
            (0 | 2 | 3, None) => Operation::NoValue,
            (0, Some(value)) => Operation::Set(value),
            (2, Some(value)) => Operation::Append(value),
            (3, Some(value)) => Operation::Subtract(value),
            _ => Operation::Unknown,
        }
    }
}

/// The changes to one resource.
struct Resource {
    kind: i8,
    name: String,
    changes: Vec<Change>,
    /// Whether what is not named is no longer set.
    replaces: bool,
}

pub(super) fn targets(request: &AlterConfigsRequest) -> Vec<Target> {
    let resources = request.resources.iter();
    topics(resources.map(|r| (r.resource_type, &r.resource_name)))
}

pub(super) fn incremental_targets(request: &IncrementalAlterConfigsRequest) -> Vec<Target> {
    let resources = request.resources.iter();
    topics(resources.map(|r| (r.resource_type, &r.resource_name)))
}

fn topics<'a>(resources: impl Iterator<Item = (i8, &'a StrBytes)>) -> Vec<Target> {
    resources
        .filter(|(kind, _)| *kind == TOPIC)
        .map(|(_, name)| (name.to_string(), None))
        .collect()
}

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let resources = request.resources.into_iter().map(|r| Resource {
        kind: r.resource_type,
        name: r.resource_name.to_string(),
        changes: r
            .configs
            .iter()
            .map(|c| Change {
                name: c.name.to_string(),
                operation: Operation::of(0, c.value.as_ref()),
            })
            .collect(),
        replaces: true,
    });
    let answers = alter(core, cx, resources.collect(), request.validate_only);
    let responses = answers.into_iter().map(|(resource, result)| {
        let (code, words) = code_and_words(&result);
        AlterConfigsResourceResponse::default()
            .with_error_code(code)
            .with_error_message(words)
            .with_resource_type(resource.kind)
            .with_resource_name(super::text(resource.name))
    });
    AlterConfigsResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_responses(responses.collect())
}

pub(super) fn incremental(
    core: &mut BrokerCore,
    cx: &Cx,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let resources = request.resources.into_iter().map(|r| Resource {
        kind: r.resource_type,
        name: r.resource_name.to_string(),
        changes: r
            .configs
            .iter()
            .map(|c| Change {
                name: c.name.to_string(),
                operation: Operation::of(c.config_operation, c.value.as_ref()),
            })
            .collect(),
        replaces: false,
    });
    let answers = alter(core, cx, resources.collect(), request.validate_only);
    let responses = answers.into_iter().map(|(resource, result)| {
        let (code, words) = code_and_words(&result);
        IncrementalResponse::default()
            .with_error_code(code)
            .with_error_message(words)
            .with_resource_type(resource.kind)
            .with_resource_name(super::text(resource.name))
    });
    IncrementalAlterConfigsResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms())
        .with_responses(responses.collect())
}

fn alter(
    core: &mut BrokerCore,
    cx: &Cx,
    resources: Vec<Resource>,
    validate_only: bool,
) -> Vec<(Resource, Result<(), Refused>)> {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<(i8, String)> = resources
        .iter()
        .map(|r| (r.kind, r.name.clone()))
        .filter(|key| !seen.insert(key.clone()))
        .collect();
    let mut changed = false;
    let mut answers = Vec::with_capacity(resources.len());
    for resource in resources {
        let result = if twice.contains(&(resource.kind, resource.name.clone())) {
            invalid("Each resource must appear at most once.")
        } else {
            alter_one(core, cx, &resource, validate_only)
        };
        changed |= result.is_ok() && !validate_only;
        answers.push((resource, result));
    }
    if changed {
        core.plan_anew(cx.now);
        core.save_topics();
    }
    answers
}

fn invalid<T>(words: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::new(ErrorCode::INVALID_REQUEST, words))
}

fn invalid_config<T>(words: impl Into<String>) -> Result<T, Refused> {
    Err(Refused::new(ErrorCode::INVALID_CONFIG, words))
}

fn alter_one(
    core: &mut BrokerCore,
    cx: &Cx,
    resource: &Resource,
    validate_only: bool,
) -> Result<(), Refused> {
    let fault = match resource.kind {
        TOPIC => cx.effects.error(&resource.name, None),
        _ => cx.effects.any_error(),
    };
    if let Some(code) = fault {
        return Err(Refused::plain(code));
    }
    check_changes(&resource.changes)?;
    match resource.kind {
        TOPIC => alter_topic(core, resource, validate_only),
        BROKER => alter_broker(core, cx, resource, validate_only),
        GROUP => alter_group(core, resource, validate_only),
        BROKER_LOGGER => alter_logger(cx, resource),
        CLIENT_METRICS => invalid(
            "The embedded broker is told which metrics to ask clients for by its own interface, not by requests.",
        ),
        kind => invalid(format!("Unknown resource type {kind}")),
    }
}

fn check_changes(changes: &[Change]) -> Result<(), Refused> {
    let mut seen = BTreeSet::new();
    if !changes.iter().all(|c| seen.insert(&c.name)) {
        return invalid("Error due to duplicate config keys");
    }
    let without: Vec<&str> = changes
        .iter()
        .filter(|c| matches!(c.operation, Operation::NoValue))
        .map(|c| c.name.as_str())
        .collect();
    if !without.is_empty() {
        let names = without.join(",");
        return invalid(format!("Null value not supported for : {names}"));
    }
    if changes
        .iter()
        .any(|c| matches!(c.operation, Operation::Unknown))
    {
        return Err(Refused::plain(ErrorCode::UNKNOWN_SERVER_ERROR));
    }
    Ok(())
}

/// What is set of a resource after its changes; lists are changed from `current`, the value in force.
fn changed<'a>(
    set: &Values,
    resource: &Resource,
    settings: impl Fn(&str) -> Option<&'static Setting>,
    current: impl Fn(&str) -> &'a str,
) -> Result<Values, Refused> {
    let mut values = if resource.replaces {
        Values::new()
    } else {
        set.clone()
    };
    for change in &resource.changes {
        let name = &change.name;
        let list = |operation: &str| -> Result<Vec<String>, Refused> {
            if settings(name).is_none_or(|s| s.kind != Kind::List) {
                return invalid_config(format!(
                    "Can't {operation} to key {name} because its type is not LIST."
                ));
            }
            let parts = current(name).split(',').filter(|p| !p.is_empty());
            Ok(parts.map(|p| p.trim().to_owned()).collect())
        };
        let words = |value: &str| -> Vec<String> {
            value.split(',').map(|p| p.trim().to_owned()).collect()
        };
        let value = match &change.operation {
            Operation::Set(value) => value.clone(),
            Operation::Append(value) => {
                let mut parts = list("APPEND")?;
                for word in words(value) {
                    if !parts.contains(&word) {
                        parts.push(word);
                    }
                }
                parts.join(",")
            }
            Operation::Subtract(value) => {
                let mut parts = list("SUBTRACT")?;
                let away = words(value);
                parts.retain(|part| !away.contains(part));
                parts.join(",")
            }
            Operation::Delete | Operation::NoValue | Operation::Unknown => {
                values.remove(name);
                continue;
            }
        };
        values.insert(name.clone(), value);
    }
    Ok(values)
}

fn alter_topic(
    core: &mut BrokerCore,
    resource: &Resource,
    validate_only: bool,
) -> Result<(), Refused> {
    let name = &resource.name;
    if name.is_empty() {
        return invalid("Default topic resources are not allowed.");
    }
    check_name(name)?;
    let defaults = core.configs.for_topics();
    let Some(topic) = core.cluster.topic_mut(name) else {
        return Err(Refused::new(
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            format!("The topic '{name}' does not exist."),
        ));
    };
    let settings = |key: &str| SETTINGS.iter().find(|s| s.name == key);
    let values = changed(topic.config.given(), resource, settings, |key| {
        topic.config.get(key).0
    })?;
    let config = TopicConfig::new(values, &defaults)
        .map_err(|why| Refused::new(ErrorCode::INVALID_CONFIG, why))?;
    if !validate_only {
        topic.configure(config);
    }
    Ok(())
}

fn alter_group(
    core: &mut BrokerCore,
    resource: &Resource,
    validate_only: bool,
) -> Result<(), Refused> {
    let name = &resource.name;
    if name.is_empty() {
        return invalid("Default group resources are not allowed.");
    }
    let set = core.configs.group(name).cloned().unwrap_or_default();
    let settings = |key: &str| GROUP_SETTINGS.iter().find(|s| s.name == key);
    let values = changed(&set, resource, settings, |_| "")?;
    check_group(&values).map_err(|why| Refused::new(ErrorCode::INVALID_CONFIG, why))?;
    if !validate_only {
        *core.configs.group_mut(name) = values;
        core.apply_group_configs(name);
    }
    Ok(())
}

/// The setting of a broker that can be changed at run time.
fn broker_setting(name: &str) -> Option<&'static Setting> {
    changeable()
        .find(|(key, _)| *key == name)
        .map(|(_, setting)| setting)
}

fn alter_broker(
    core: &mut BrokerCore,
    cx: &Cx,
    resource: &Resource,
    validate_only: bool,
) -> Result<(), Refused> {
    let node = match resource.name.parse::<i32>() {
        _ if resource.name.is_empty() => ALL_BROKERS,
        Ok(id) if id == cx.node => id,
        Ok(id) => {
            let node = cx.node;
            return invalid(format!(
                "Unexpected broker id, expected {node}, but received {id}"
            ));
        }
        Err(_) => {
            let name = &resource.name;
            return invalid(format!("Node id must be an integer, but it is: {name}"));
        }
    };
    let fixed: Vec<&str> = resource
        .changes
        .iter()
        .map(|c| c.name.as_str())
        .filter(|name| broker_setting(name).is_none())
        .collect();
    if !fixed.is_empty() {
        let names = fixed.join(", ");
        return invalid(format!(
            "Cannot update these configs dynamically: [{names}]"
        ));
    }
    let set = core.configs.broker(node).cloned().unwrap_or_default();
    let all = core
        .configs
        .broker(ALL_BROKERS)
        .cloned()
        .unwrap_or_default();
    let values = changed(&set, resource, broker_setting, |name| {
        let value = set.get(name).or_else(|| all.get(name)).map(String::as_str);
        value
            .or_else(|| Some(broker_setting(name)?.default))
            .unwrap_or_default()
    })?;
    for (name, value) in &values {
        if let Some(setting) = broker_setting(name) {
            // The checks are those of topics, whose settings have other names.
            setting
                .check(value)
                .map_err(|why| why.replace(setting.name, name))
                .or_else(invalid)?;
        }
    }
    if !validate_only {
        *core.configs.broker_mut(node) = values;
        core.apply_broker_configs();
    }
    Ok(())
}

fn alter_logger(cx: &Cx, resource: &Resource) -> Result<(), Refused> {
    match resource.name.parse::<i32>() {
        Ok(id) if id == cx.node => invalid("The embedded broker has no loggers."),
        Ok(id) => invalid(format!(
            "Unexpected node id. Expected {}, but received {id}",
            cx.node
        )),
        Err(_) => invalid(format!(
            "Node id must be an integer, but it is: {}",
            resource.name
        )),
    }
}
