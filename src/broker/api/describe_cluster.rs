//! DescribeCluster.

use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{DescribeClusterRequest, DescribeClusterResponse};

use super::{CLUSTER_OPERATIONS, Cx, broker_id, text, wire};
use crate::broker::core::BrokerCore;
use crate::error::ErrorCode;

const BROKERS: i8 = 1;

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
            let words = format!("Unsupported endpoint type {}", request.endpoint_type);
            return response
                .with_error_code(wire(ErrorCode::UNSUPPORTED_VERSION))
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
