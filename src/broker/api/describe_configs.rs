//! DescribeConfigs: settings of topics, and the few of the broker that it acts on.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::{Cx, INVALID_REQUEST, text, wire};
use crate::broker::core::BrokerCore;
use crate::broker::core::cluster::check_name;
use crate::broker::core::topic_config::{Kind, SETTINGS, Setting, TopicConfig};
use crate::error::ErrorCode;

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

/// Where a value comes from, in Kafka's numbers.
const SET_ON_TOPIC: i8 = 1;
const SET_FOR_ALL_BROKERS: i8 = 3;
const SET_IN_FILE: i8 = 4;
const BUILT_IN: i8 = 5;

/// Where the value of a topic's setting comes from. A fresh Kafka 4 sets one for all brokers by itself.
pub(super) fn source(name: &str, config: &TopicConfig) -> i8 {
    match (config.get(name).1, name) {
        (true, _) => SET_ON_TOPIC,
        (false, "min.insync.replicas") => SET_FOR_ALL_BROKERS,
        (false, _) => BUILT_IN,
    }
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
            Ok(settings
                .map(|s| topic_setting(cx, s, &topic.config, synonyms))
                .collect())
        }
        BROKER => {
            check_broker(cx, name)?;
            let settings = broker_settings(core, cx)
                .into_iter()
                .filter(|s| wanted(s.0));
            Ok(settings.map(|s| broker_setting(cx, s, synonyms)).collect())
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

fn topic_setting(
    cx: &Cx,
    setting: &Setting,
    config: &TopicConfig,
    synonyms: bool,
) -> DescribeConfigsResourceResult {
    let value = config.get(setting.name).0;
    let source = source(setting.name, config);
    let mut result = setting_result(cx, setting.name, value, setting.kind, source);
    if synonyms {
        if config.get(setting.name).1 {
            result
                .synonyms
                .push(synonym(setting.name, value, SET_ON_TOPIC));
        }
        if setting.name == "min.insync.replicas" {
            result
                .synonyms
                .push(synonym(setting.name, setting.default, SET_FOR_ALL_BROKERS));
        }
        if let Some(name) = setting.broker_name {
            result
                .synonyms
                .push(synonym(name, setting.default, BUILT_IN));
        }
    }
    result
}

/// Name, value, type, source and whether it can't be changed.
type BrokerSetting = (&'static str, String, Kind, i8, bool);

fn broker_settings(core: &BrokerCore, cx: &Cx) -> Vec<BrokerSetting> {
    let defaults = SETTINGS.iter().filter_map(|s| {
        let source = if s.name == "min.insync.replicas" {
            SET_FOR_ALL_BROKERS
        } else {
            BUILT_IN
        };
        Some((s.broker_name?, s.default.to_owned(), s.kind, source, false))
    });
    let own = [
        (
            "auto.create.topics.enable",
            core.options.auto_create_topics.to_string(),
            Kind::Boolean,
        ),
        ("node.id", cx.node.to_string(), Kind::Int),
        (
            "num.partitions",
            core.cluster.default_partitions.to_string(),
            Kind::Int,
        ),
    ];
    let own = own
        .into_iter()
        .map(|(name, value, kind)| (name, value, kind, SET_IN_FILE, true));
    defaults.chain(own).collect()
}

fn broker_setting(
    cx: &Cx,
    setting: BrokerSetting,
    synonyms: bool,
) -> DescribeConfigsResourceResult {
    let (name, value, kind, source, read_only) = setting;
    let mut result = setting_result(cx, name, &value, kind, source).with_read_only(read_only);
    if synonyms {
        result.synonyms.push(synonym(name, &value, source));
    }
    result
}

fn setting_result(
    cx: &Cx,
    name: &str,
    value: &str,
    kind: Kind,
    source: i8,
) -> DescribeConfigsResourceResult {
    let mut result = DescribeConfigsResourceResult::default()
        .with_name(text(name))
        .with_value(Some(text(value)))
        .with_config_source(source);
    if cx.version >= 3 {
        result.config_type = kind as i8;
        result.documentation = None;
    }
    result
}

fn synonym(name: &str, value: &str, source: i8) -> DescribeConfigsSynonym {
    DescribeConfigsSynonym::default()
        .with_name(text(name))
        .with_value(Some(text(value)))
        .with_source(source)
}
