//! ListConfigResources: what there is that has settings.

use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse};
use ottla_base::error::ErrorCode;

use super::describe_configs::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use super::{Cx, text, wire};
use crate::core::BrokerCore;

/// All kinds, in the order in which Kafka lists them.
const KINDS: [i8; 5] = [GROUP, CLIENT_METRICS, BROKER_LOGGER, BROKER, TOPIC];

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    let response =
        ListConfigResourcesResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    if let Some(code) = cx.effects.any_error() {
        return response.with_error_code(wire(code));
    }
    let wanted = |kind: &i8| match (cx.version, request.resource_types.as_slice()) {
        (0, _) => *kind == CLIENT_METRICS,
        (_, []) => true,
        (_, kinds) => kinds.contains(kind),
    };
    if request.resource_types.iter().any(|k| !KINDS.contains(k)) {
        return response.with_error_code(wire(ErrorCode::UNSUPPORTED_VERSION));
    }
    let resources = KINDS.iter().filter(|kind| wanted(kind)).flat_map(|&kind| {
        names(core, kind).into_iter().map(move |name| {
            ConfigResource::default()
                .with_resource_name(text(name))
                .with_resource_type(kind)
        })
    });
    let resources = resources.collect();
    response.with_config_resources(resources)
}

fn names(core: &BrokerCore, kind: i8) -> Vec<String> {
    match kind {
        TOPIC => core.cluster.topics().map(|t| t.name.clone()).collect(),
        BROKER | BROKER_LOGGER => core.cluster.alive().map(|n| n.id.to_string()).collect(),
        GROUP => core.configs.group_names().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}
