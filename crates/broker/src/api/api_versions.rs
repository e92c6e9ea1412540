//! ApiVersions: what this broker can do.

use kafka_protocol::messages::api_versions_response::{
    ApiVersion, FinalizedFeatureKey, SupportedFeatureKey,
};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::StrBytes;
use ottla_base::error::ErrorCode;

use super::{Cx, OF_THE_NEW_GROUP_PROTOCOL, Outcome, SUPPORTED, api_key, reply, wire};
use crate::core::BrokerCore;

/// Kafka goes on offering version 0 of Produce, though it refuses it: old librdkafka concludes from its absence that
/// the broker can't do compression.
const PRODUCE_MIN_OFFERED: i16 = 0;
/// A feature: its name, the range of levels the broker can have, and the level it has; a level of 0 is not shown.
type Feature = (&'static str, (i16, i16), i16);

/// The features of Kafka 4.3, as far as they are there.
fn features(core: &BrokerCore) -> Vec<Feature> {
    vec![
        ("metadata.version", (7, 30), 30),
        ("share.version", (0, 1), 1),
        (
            "group.version",
            (0, 1),
            i16::from(core.options.new_group_protocol),
        ),
        (
            "transaction.version",
            (0, 2),
            core.options.transaction_version,
        ),
    ]
}

fn offered(core: &BrokerCore) -> Vec<ApiVersion> {
    let offer = |&(key, min, max): &(i16, i16, i16)| {
        let min = if key == api_key::PRODUCE {
            PRODUCE_MIN_OFFERED
        } else {
            min
        };
        ApiVersion::default()
            .with_api_key(key)
            .with_min_version(min)
            .with_max_version(max)
    };
    let there = |&(key, ..): &&(i16, i16, i16)| {
        let of_telemetry = matches!(
            *key,
            api_key::GET_TELEMETRY_SUBSCRIPTIONS | api_key::PUSH_TELEMETRY
        );
        (core.options.new_group_protocol || !OF_THE_NEW_GROUP_PROTOCOL.contains(key))
            && (core.telemetry.is_offered() || !of_telemetry)
    };
    SUPPORTED.iter().filter(there).map(offer).collect()
}

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: ApiVersionsRequest,
) -> ApiVersionsResponse {
    let response = ApiVersionsResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    if let Some(code) = cx.effects.any_error() {
        return response.with_error_code(wire(code));
    }
    if cx.version >= 3
        && !(is_software(&request.client_software_name)
            && is_software(&request.client_software_version))
    {
        return response.with_error_code(wire(ErrorCode::INVALID_REQUEST));
    }
    let features = features(core);
    let supported = features.iter().map(|&(name, (min, max), _)| {
        SupportedFeatureKey::default()
            .with_name(StrBytes::from_static_str(name))
            .with_min_version(min)
            .with_max_version(max)
    });
    let finalized = features.iter().filter(|&&(.., level)| level > 0);
    let finalized = finalized.map(|&(name, _, level)| {
        FinalizedFeatureKey::default()
            .with_name(StrBytes::from_static_str(name))
            .with_min_version_level(level)
            .with_max_version_level(level)
    });
    response
        .with_api_keys(offered(core))
        .with_finalized_features_epoch(0)
        .with_supported_features(supported.collect())
        .with_finalized_features(finalized.collect())
}

/// Kafka's rule for the names and versions of client software.
fn is_software(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let ends = |c: char| c.is_ascii_alphanumeric();
    name.chars().all(inner) && name.starts_with(ends) && name.ends_with(ends)
}

/// The answer to a version that is too new: in version 0, so that every client can read it.
pub(super) fn unsupported(core: &BrokerCore, cx: &Cx) -> Outcome {
    let response = ApiVersionsResponse::default()
        .with_error_code(wire(ErrorCode::UNSUPPORTED_VERSION))
        .with_api_keys(
            offered(core)
                .into_iter()
                .filter(|v| v.api_key == api_key::API_VERSIONS)
                .collect(),
        );
    reply(
        &Cx {
            version: 0,
            ..cx.clone()
        },
        &response,
    )
}
