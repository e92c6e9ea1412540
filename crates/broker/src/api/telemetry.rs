//! GetTelemetrySubscriptions and PushTelemetry (KIP-714). Without a subscription this broker is like Kafka without a plugin:
//! it doesn't offer them.

use std::time::Duration;

use kafka_protocol::messages::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, PushTelemetryRequest,
    PushTelemetryResponse,
};
use ottla_base::error::ErrorCode;
use ottla_base::memory::PoolBuf;
use ottla_protocol::compress::{Codec, decompress};
use uuid::Uuid;

use super::{Cx, text, wire};
use crate::core::BrokerCore;

/// Most bytes of metrics taken, as Kafka's `telemetry.max.bytes`.
const MAX_BYTES: usize = 1 << 20;

/// The metrics that an embedded broker requests from clients.
#[derive(Clone, Debug)]
pub struct TelemetrySubscription {
    /// Prefixes of metric names; an empty one selects all, an empty list none.
    pub metrics: Vec<String>,
    /// How often they are pushed.
    pub interval: Duration,
    /// Whether counts are reported as increments.
    pub delta: bool,
    /// The accepted codecs, in order of preference.
    pub codecs: Vec<Codec>,
}

/// Metrics that a client has pushed.
#[derive(Clone, Debug)]
pub struct PushedMetrics {
    /// The id the broker gave the client.
    pub client_instance_id: [u8; 16],
    /// True for the last ones of a client that ended.
    pub terminating: bool,
    /// How they came.
    pub codec: Codec,
    /// OTLP's `MetricsData`, decompressed.
    pub data: Vec<u8>,
}

/// The broker's part of it.
#[derive(Debug, Default)]
pub struct Telemetry {
    subscription: Option<TelemetrySubscription>,
    /// Grows with every change, so that clients notice.
    id: i32,
    clients: u128,
    pub(crate) pushed: Vec<PushedMetrics>,
}

impl Telemetry {
    pub fn subscribe(&mut self, subscription: Option<TelemetrySubscription>) {
        self.subscription = subscription;
        self.id += 1;
    }

    pub(super) fn is_offered(&self) -> bool {
        self.subscription.is_some()
    }
}

pub(super) fn get(
    core: &mut BrokerCore,
    cx: &Cx,
    request: GetTelemetrySubscriptionsRequest,
) -> GetTelemetrySubscriptionsResponse {
    let response = GetTelemetrySubscriptionsResponse::default()
        .with_throttle_time_ms(cx.effects.throttle_ms());
    if let Some(code) = cx.effects.any_error() {
        return response.with_error_code(wire(code));
    }
    let telemetry = &mut core.telemetry;
    let Some(subscription) = &telemetry.subscription else {
        return response.with_error_code(wire(ErrorCode::UNSUPPORTED_VERSION));
    };
    let instance = if request.client_instance_id.is_nil() {
        telemetry.clients += 1;
        Uuid::from_u128(telemetry.clients)
    } else {
        request.client_instance_id
    };
    response
        .with_client_instance_id(instance)
        .with_subscription_id(telemetry.id)
        .with_accepted_compression_types(subscription.codecs.iter().map(|c| c.id() as i8).collect())
        .with_push_interval_ms(i32::try_from(subscription.interval.as_millis()).unwrap_or(i32::MAX))
        .with_telemetry_max_bytes(MAX_BYTES as i32)
        .with_delta_temporality(subscription.delta)
        .with_requested_metrics(subscription.metrics.iter().map(text).collect())
}

pub(super) fn push(
    core: &mut BrokerCore,
    cx: &Cx,
    request: PushTelemetryRequest,
) -> PushTelemetryResponse {
    let response = PushTelemetryResponse::default().with_throttle_time_ms(cx.effects.throttle_ms());
    let code = match cx.effects.any_error() {
        Some(code) => code,
        None => take(&mut core.telemetry, &request),
    };
    response.with_error_code(wire(code))
}

fn take(telemetry: &mut Telemetry, request: &PushTelemetryRequest) -> ErrorCode {
    let Some(subscription) = &telemetry.subscription else {
        return ErrorCode::UNSUPPORTED_VERSION;
    };
    if request.subscription_id != telemetry.id {
        return ErrorCode::UNKNOWN_SUBSCRIPTION_ID;
    }
    if request.metrics.len() > MAX_BYTES {
        return ErrorCode::TELEMETRY_TOO_LARGE;
    }
    let codec = u8::try_from(request.compression_type).ok();
    let codec = codec.and_then(Codec::from_id);
    let Some(codec) = codec.filter(|c| *c == Codec::None || subscription.codecs.contains(c)) else {
        return ErrorCode::UNSUPPORTED_COMPRESSION_TYPE;
    };
    let mut data = PoolBuf::with_capacity(request.metrics.len());
    if decompress(codec, &request.metrics, &mut data, 16 * MAX_BYTES).is_err() {
        return ErrorCode::INVALID_RECORD;
    }
    telemetry.pushed.push(PushedMetrics {
        client_instance_id: *request.client_instance_id.as_bytes(),
        terminating: request.terminating,
        codec,
        data: data.to_vec(),
    });
    ErrorCode::NONE
}
