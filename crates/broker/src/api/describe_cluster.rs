//! DescribeCluster.

use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};

use super::{CLUSTER_OPERATIONS, Cx, broker_id, text, wire};
use crate::core::BrokerCore;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;
const MISMATCHED_ENDPOINT_TYPE: i16 = 114;
const UNSUPPORTED_ENDPOINT_TYPE: i16 = 115;

pub(super) fn handle(
    core: &mut BrokerCore,
    cx: &Cx,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    let mut response =
        DescribeClusterResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    if let Some(code) = cx.effects.any_error() {
        return response
            .with_error_code(wire(code))
            .with_error_message(Some(text(code.name())));
    }
    if cx.version >= 1 {
        response.endpoint_type = BROKERS;
        if request.endpoint_type != BROKERS {
            let (code, words) = match request.endpoint_type {
                CONTROLLERS => (
                    MISMATCHED_ENDPOINT_TYPE,
                    "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER",
                ),
                _ => (UNSUPPORTED_ENDPOINT_TYPE, "Unsupported endpoint type"),
            };
            return response
                .with_error_code(code)
                .with_error_message(Some(text(words)));
        }
    }
    if request.include_cluster_authorized_operations {
        response.cluster_authorized_operations = CLUSTER_OPERATIONS;
    }
    let brokers = core.cluster.alive().map(|n| {
        DescribeClusterBroker::default()
            .with_broker_id(broker_id(n.id))
            .with_host(text(&n.host))
            .with_port(i32::from(n.port))
    });
    response
        .with_cluster_id(text(&core.cluster.id))
        .with_controller_id(broker_id(core.cluster.controller()))
        .with_brokers(brokers.collect())
}
