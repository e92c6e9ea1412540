//! DescribeConfigs: settings of topics and groups, and the few of the broker that it acts on.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};
use ottla_base::error::ErrorCode;

use super::{Cx, INVALID_REQUEST, text, wire};
use crate::core::BrokerCore;
use crate::core::cluster::check_name;
use crate::core::configs::{ALL_BROKERS, GROUP_SETTINGS, broker_settings as changeable};
use crate::core::topic_config::{Kind, SETTINGS, Setting, TopicConfig};

/// Kinds of what has settings, in Kafka's numbers.
pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;
pub(super) const BROKER_LOGGER: i8 = 8;
pub(super) const CLIENT_METRICS: i8 = 16;
pub(super) const GROUP: i8 = 32;

/// Where a value comes from, in Kafka's numbers.
const SET_ON_TOPIC: i8 = 1;
const SET_ON_BROKER: i8 = 2;
const SET_FOR_ALL_BROKERS: i8 = 3;
const SET_IN_FILE: i8 = 4;
const BUILT_IN: i8 = 5;
const SET_ON_GROUP: i8 = 8;

/// Where a setting may have its value from: name, value and source, the one in force first.
type Origins = Vec<(String, Option<String>, i8)>;

/// Where the value of a topic's setting comes from, as a node sees it.
pub(super) fn source(core: &BrokerCore, node: i32, setting: &Setting, config: &TopicConfig) -> i8 {
    let origins = topic_origins(core, node, setting, config);
    origins.first().map_or(BUILT_IN, |o| o.2)
}

fn topic_origins(core: &BrokerCore, node: i32, setting: &Setting, config: &TopicConfig) -> Origins {
    let mut origins = Origins::new();
    if let (value, true) = config.get(setting.name) {
        let name = setting.name.to_owned();
        origins.push((name, Some(value.to_owned()), SET_ON_TOPIC));
    }
    if let Some(name) = setting.dynamic_name() {
        origins.extend(dynamic_origins(core, node, name));
    }
    if let Some(name) = setting.broker_name {
        let value = Some(setting.default.to_owned());
        origins.push((name.to_owned(), value, BUILT_IN));
    }
    origins
}

/// What is set at run time of a node and of all.
fn dynamic_origins(core: &BrokerCore, node: i32, name: &str) -> Origins {
    [(node, SET_ON_BROKER), (ALL_BROKERS, SET_FOR_ALL_BROKERS)]
        .into_iter()
        .filter_map(|(of, source)| {
            let value = core.configs.broker(of)?.get(name)?.clone();
            Some((name.to_owned(), Some(value), source))
        })
        .collect()
}

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|resource| {
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        match describe(core, cx, resource, request.include_synonyms) {
            Ok(configs) => result
                .with_error_message(Some(text("")))
                .with_configs(configs),
            Err((code, words)) => result
                .with_error_code(wire(code))
                .with_error_message(Some(text(words))),
        }
    });
    DescribeConfigsResponse::default()
        .with_results(results.collect())
        .with_throttle_time_ms(cx.effects.throttle_ms())
}

type Described = Result<Vec<DescribeConfigsResourceResult>, (ErrorCode, String)>;

fn describe(
    core: &BrokerCore,
    cx: &Cx,
    resource: &DescribeConfigsResource,
    synonyms: bool,
) -> Described {
    let name = resource.resource_name.as_str();
    if let Some(code) = cx.effects.any_error() {
        return Err((code, String::new()));
    }
    let wanted = |key: &str| match &resource.configuration_keys {
        Some(keys) => keys.iter().any(|k| k.as_str() == key),
        None => true,
    };
    match resource.resource_type {
        TOPIC => {
            check_name(name)
                .map_err(|refused| (refused.code, refused.message.unwrap_or_default()))?;
            let Some(topic) = core.cluster.topic(name) else {
                return Err((ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, String::new()));
            };
            let settings = SETTINGS.iter().filter(|s| wanted(s.name));
            let describe = |s: &Setting| {
                let origins = topic_origins(core, cx.node, s, &topic.config);
                let or = Some(s.default.to_owned());
                described(cx, (s.name, s.kind, false), origins, or, synonyms)
            };
            Ok(settings.map(describe).collect())
        }
        BROKER => {
            check_broker(cx, name)?;
            let settings = if name.is_empty() {
                set_for_all(core)
            } else {
                broker_settings(core, cx)
            };
            Ok(settings
                .into_iter()
                .filter(|(named, ..)| wanted(named.0))
                .map(|(named, origins)| described(cx, named, origins, None, synonyms))
                .collect())
        }
        GROUP if name.is_empty() => Err((
            ErrorCode::INVALID_REQUEST,
            "Group name must not be empty".to_owned(),
        )),
        GROUP => {
            let describe = |s: &'static Setting| {
                let origins = group_origins(core, name, s);
                described(cx, (s.name, s.kind, false), origins, None, synonyms)
            };
            let settings = GROUP_SETTINGS.iter().filter(|s| wanted(s.name));
            Ok(settings.map(describe).collect())
        }
        _ => Err((ErrorCode::INVALID_REQUEST, INVALID_REQUEST.to_owned())),
    }
}

/// A broker speaks for itself, or for all if no name is given.
fn check_broker(cx: &Cx, name: &str) -> Result<(), (ErrorCode, String)> {
    let words = match name.parse::<i32>() {
        _ if name.is_empty() => return Ok(()),
        Ok(id) if id == cx.node => return Ok(()),
        Ok(id) => format!(
            "Unexpected broker id, expected {} or empty string, but received {id}",
            cx.node
        ),
        Err(_) => format!("Broker id must be an integer, but it is: {name}"),
    };
    Err((ErrorCode::INVALID_REQUEST, words))
}

/// Name, type, and whether it can't be changed.
type Named = (&'static str, Kind, bool);

/// A setting whose value is the first of `origins`, or `or` if there is none.
fn described(
    cx: &Cx,
    (name, kind, read_only): Named,
    origins: Origins,
    or: Option<String>,
    synonyms: bool,
) -> DescribeConfigsResourceResult {
    let (value, source) = match origins.first() {
        Some((_, value, source)) => (value.clone(), *source),
        None => (or, BUILT_IN),
    };
    let mut result = DescribeConfigsResourceResult::default()
        .with_name(text(name))
        .with_value(value.map(text))
        .with_config_source(source)
        .with_read_only(read_only);
    if cx.version >= 3 {
        result.config_type = kind as i8;
        result.documentation = None;
    }
    if synonyms {
        let synonyms = origins.into_iter().map(|(name, value, source)| {
            DescribeConfigsSynonym::default()
                .with_name(text(name))
                .with_value(value.map(text))
                .with_source(source)
        });
        result.synonyms = synonyms.collect();
    }
    result
}

/// What is set at run time for all brokers.
fn set_for_all(core: &BrokerCore) -> Vec<(Named, Origins)> {
    let named = changeable().filter_map(|(name, s)| {
        let value = core.configs.broker(ALL_BROKERS)?.get(name)?.clone();
        let origin = (name.to_owned(), Some(value), SET_FOR_ALL_BROKERS);
        Some(((name, s.kind, false), vec![origin]))
    });
    named.collect()
}

fn broker_settings(core: &BrokerCore, cx: &Cx) -> Vec<(Named, Origins)> {
    let changeable = changeable().map(|(name, s)| {
        let mut origins = dynamic_origins(core, cx.node, name);
        if s.broker_name.is_some() {
            origins.push((name.to_owned(), Some(s.default.to_owned()), BUILT_IN));
        }
        ((name, s.kind, false), origins)
    });
    let address = core.cluster.nodes.get(&cx.node).map(|n| {
        let host = if n.host.contains(':') {
            format!("[{}]", n.host)
        } else {
            n.host.clone()
        };
        format!("PLAINTEXT://{host}:{}", n.port)
    });
    let node = Some(cx.node.to_string());
    let fixed = [
        (
            "advertised.listeners",
            Kind::List,
            true,
            address.clone(),
            None,
        ),
        (
            "auto.create.topics.enable",
            Kind::Boolean,
            true,
            Some(core.options.auto_create_topics.to_string()),
            Some("true"),
        ),
        ("broker.id", Kind::Int, true, node.clone(), Some("-1")),
        ("node.id", Kind::Int, true, node, None),
        (
            "num.partitions",
            Kind::Int,
            true,
            Some(core.cluster.default_partitions.to_string()),
            Some("1"),
        ),
    ];
    let fixed = fixed
        .into_iter()
        .map(|(name, kind, read_only, value, default)| {
            let mut origins = vec![(name.to_owned(), value, SET_IN_FILE)];
            if let Some(default) = default {
                origins.push((name.to_owned(), Some(default.to_owned()), BUILT_IN));
            }
            ((name, kind, read_only), origins)
        });
    changeable.chain(fixed).collect()
}

fn group_origins(core: &BrokerCore, group: &str, setting: &Setting) -> Origins {
    let mut origins = Origins::new();
    let set = core.configs.group(group).and_then(|v| v.get(setting.name));
    if let Some(value) = set {
        let name = setting.name.to_owned();
        origins.push((name, Some(value.clone()), SET_ON_GROUP));
    }
    let name = setting.broker_name.unwrap_or(setting.name).to_owned();
    let default = core.group_default(setting);
    if default != setting.default {
        origins.push((name.clone(), Some(default), SET_IN_FILE));
    }
    origins.push((name, Some(setting.default.to_owned()), BUILT_IN));
    origins
}
