//! Client metrics for the brokers (KIP-714): the subscription is asked for once a broker offers it, then metrics are
//! pushed in the interval it names, a last time when the client ends. Brokers without a plugin for it don't offer it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::{GetTelemetrySubscriptionsRequest, PushTelemetryRequest};
use kafka_protocol::protocol::Request;
use uuid::Uuid;

use crate::cluster::core::{Core, Tag};
use crate::error::{Error, ErrorCode, Result};
use crate::log::Level;
use crate::memory::PoolBuf;
use crate::net::rpc::{self, Call};
use crate::protocol::compress::{Codec, compress};
use crate::stats::otlp::{self, Span};
use crate::stats::{Stats, metrics};

/// Java's: how long to wait where no broker has named an interval.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(300);
/// The most compressed metrics may take, where a broker sets no limit.
const DEFAULT_MAX: usize = 1 << 20;

/// What a broker wants to know.
#[derive(Debug, Clone)]
struct Subscription {
    id: i32,
    codec: Codec,
    interval: Duration,
    max_bytes: usize,
    delta: bool,
    /// Beginnings of names; an empty one stands for all.
    metrics: Vec<String>,
}

impl Subscription {
    /// The next push is due an interval from now.
    fn again(self, now: Instant) -> State {
        let due = now + self.interval;
        State::Subscribed(self, Some(due))
    }
}

#[derive(Debug, Clone)]
enum State {
    Off,
    /// The subscription is asked for then; `None` until a poll sets the time.
    Ask(Option<Instant>),
    Asking,
    /// Metrics are pushed then; `None` until a poll sets the time.
    Subscribed(Subscription, Option<Instant>),
    Pushing(Subscription),
    /// The last push is on its way; so many answers are still to come, its own the last of them.
    Ending(u8),
}

#[derive(Debug)]
pub(super) struct Telemetry {
    state: State,
    /// Given by the first broker asked.
    instance: Uuid,
    /// What was told last, and when.
    last: Option<(Instant, Duration, Stats)>,
}

impl Telemetry {
    pub(super) fn new(enabled: bool, now: Instant) -> Self {
        Telemetry {
            state: if enabled {
                State::Ask(Some(now))
            } else {
                State::Off
            },
            instance: Uuid::nil(),
            last: None,
        }
    }

    /// A request of it will have no answer.
    pub(super) fn unanswered(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Off) {
            State::Asking => State::Ask(None),
            State::Pushing(subscription) => State::Subscribed(subscription, None),
            State::Ending(_) => State::Off,
            state => state,
        };
    }
}

impl<T: Clone> Core<T> {
    /// Asks for a subscription where it is time to.
    pub(super) fn poll_telemetry(&mut self, now: Instant) {
        match &mut self.telemetry.state {
            State::Ask(at @ None) => *at = Some(now + DEFAULT_INTERVAL),
            State::Subscribed(subscription, due @ None) => *due = Some(now + subscription.interval),
            State::Ask(Some(at)) if *at <= now => {
                let Some((_, conn)) = self.ready_conn(now, |_| true) else {
                    return;
                };
                let request = GetTelemetrySubscriptionsRequest::default()
                    .with_client_instance_id(self.telemetry.instance);
                let key = GetTelemetrySubscriptionsRequest::KEY;
                self.telemetry.state = match self.call_telemetry(now, conn, key, &request) {
                    Ok(()) => State::Asking,
                    // Not offered: perhaps by a broker of a later version.
                    Err(_) => State::Ask(None),
                };
            }
            _ => {}
        }
    }

    fn call_telemetry<R: Request>(
        &mut self,
        now: Instant,
        conn: crate::net::conn::ConnId,
        key: i16,
        request: &R,
    ) -> Result<()> {
        let version = self.version(conn, key, (R::VERSIONS.min, R::VERSIONS.max))?;
        let call = Call::encode(&self.config.client_id, version, request)?;
        let limit = self.config.request_timeout;
        self.send_tagged(now, conn, call, limit, Tag::Telemetry(key), true);
        Ok(())
    }

    /// When [`Core::poll_telemetry`] or a push is due. A subscription waits for a connection, which brings a poll.
    pub(super) fn telemetry_deadline(&self, now: Instant) -> Option<Instant> {
        match &self.telemetry.state {
            State::Ask(at) | State::Subscribed(_, at) => at.filter(|at| *at > now),
            _ => None,
        }
    }

    /// True if metrics are to be pushed now.
    pub(crate) fn telemetry_due(&self, now: Instant) -> bool {
        matches!(&self.telemetry.state, State::Subscribed(_, Some(due)) if *due <= now)
    }

    /// True if a broker wants to hear of the client's end.
    pub(crate) fn telemetry_subscribed(&self) -> bool {
        matches!(
            self.telemetry.state,
            State::Subscribed(..) | State::Pushing(_)
        )
    }

    /// True while the last push is not answered.
    pub(crate) fn telemetry_ending(&self) -> bool {
        matches!(self.telemetry.state, State::Ending(_))
    }

    /// Pushes what is wanted of the client's figures; the last time with `terminating`.
    pub(crate) fn push_telemetry(&mut self, now: Instant, stats: Stats, terminating: bool) {
        let under_way = matches!(self.telemetry.state, State::Pushing(_));
        let subscription = match &self.telemetry.state {
            State::Subscribed(subscription, _) | State::Pushing(subscription) => {
                subscription.clone()
            }
            _ => return,
        };
        let wall = Duration::from_millis(stats.time_ms.max(0) as u64);
        let since = self.telemetry.last.take();
        let elapsed = since.as_ref().map_or_else(
            || self.age(now),
            |(at, _, _)| now.saturating_duration_since(*at),
        );
        let last = since.as_ref().map(|(_, _, stats)| stats);
        let told = last.map_or_else(|| stats.clone(), |last| stats.since(last));
        let mut metrics = metrics(&told, last, elapsed);
        metrics.retain(|m| {
            subscription
                .metrics
                .iter()
                .any(|p| m.name.starts_with(&**p))
        });
        let span = Span {
            from: match &since {
                Some((_, from, _)) if subscription.delta => *from,
                _ => wall.saturating_sub(stats.age),
            },
            to: wall,
            delta: subscription.delta,
        };
        let rack = self.config.client_rack.clone();
        let mut resource: Vec<(&str, String)> =
            rack.map(|rack| ("client_rack", rack)).into_iter().collect();
        resource.extend(stats.labels.iter().cloned());
        let data = otlp::encode(&resource, &metrics, span);
        self.telemetry.last = Some((now, wall, stats));
        let mut body = PoolBuf::with_capacity(data.len() + 64);
        let sent = compress(subscription.codec, None, &data, &mut body).and_then(|()| {
            if body.len() > subscription.max_bytes {
                return Err(Error::argument(format!(
                    "the metrics take {} bytes, more than the {} the broker allows",
                    body.len(),
                    subscription.max_bytes
                )));
            }
            let conn = self.ready_conn(now, |_| true);
            let (_, conn) = conn.ok_or_else(|| {
                Error::new(ErrorCode::CONNECT, "no connection to a broker stands")
            })?;
            let request = PushTelemetryRequest::default()
                .with_client_instance_id(self.telemetry.instance)
                .with_subscription_id(subscription.id)
                .with_terminating(terminating)
                .with_compression_type(subscription.codec.id() as i8)
                .with_metrics(Bytes::copy_from_slice(&body));
            self.call_telemetry(now, conn, PushTelemetryRequest::KEY, &request)
        });
        self.telemetry.state = match sent {
            Ok(()) if terminating => State::Ending(1 + u8::from(under_way)),
            Ok(()) => State::Pushing(subscription),
            Err(e) => {
                self.log_telemetry(now, &e);
                match terminating {
                    true => State::Off,
                    false => subscription.again(now),
                }
            }
        };
    }

    fn log_telemetry(&self, now: Instant, error: &Error) {
        let wall = self.clock.wall();
        self.log
            .log(Level::Debug, "telemetry", "push", now, wall, || {
                format!("client metrics (KIP-714): {}", error.message())
            });
    }

    pub(super) fn on_telemetry(&mut self, now: Instant, key: i16, version: i16, body: Bytes) {
        let state = std::mem::replace(&mut self.telemetry.state, State::Off);
        self.telemetry.state = match state {
            State::Asking if key == GetTelemetrySubscriptionsRequest::KEY => {
                self.subscribed(now, version, body)
            }
            State::Pushing(subscription) => {
                let code = rpc::decode::<PushTelemetryRequest>(version, body)
                    .map(|r| ErrorCode(i32::from(r.error_code)));
                let code = code.unwrap_or_else(|e| e.code());
                if code != ErrorCode::NONE {
                    let text = format!("the broker refused them: {}", code.name());
                    self.log_telemetry(now, &Error::new(code, text));
                }
                match code {
                    ErrorCode::NONE
                    | ErrorCode::TELEMETRY_TOO_LARGE
                    | ErrorCode::THROTTLING_QUOTA_EXCEEDED => subscription.again(now),
                    // What is wanted has changed.
                    ErrorCode::UNKNOWN_SUBSCRIPTION_ID
                    | ErrorCode::UNSUPPORTED_COMPRESSION_TYPE => State::Ask(Some(now)),
                    _ => State::Off,
                }
            }
            // Whatever it says.
            State::Ending(left @ 2..) => State::Ending(left - 1),
            State::Ending(_) => State::Off,
            state => state,
        };
    }

    fn subscribed(&mut self, now: Instant, version: i16, body: Bytes) -> State {
        let answer = match rpc::decode::<GetTelemetrySubscriptionsRequest>(version, body) {
            Ok(answer) => answer,
            Err(e) => {
                self.log_telemetry(now, &e);
                return State::Off;
            }
        };
        let code = ErrorCode(i32::from(answer.error_code));
        match code {
            ErrorCode::NONE => {}
            ErrorCode::THROTTLING_QUOTA_EXCEEDED => return State::Ask(None),
            _ => {
                let text = format!("the broker refused to tell what it wants: {}", code.name());
                self.log_telemetry(now, &Error::new(code, text));
                return State::Off;
            }
        }
        self.telemetry.instance = answer.client_instance_id;
        let interval = match u64::try_from(answer.push_interval_ms) {
            Ok(ms @ 1..) => Duration::from_millis(ms),
            _ => DEFAULT_INTERVAL,
        };
        // The broker's order is its preference.
        let codec = answer
            .accepted_compression_types
            .iter()
            .find_map(|id| u8::try_from(*id).ok().and_then(Codec::from_id));
        let metrics: Vec<String> = answer
            .requested_metrics
            .iter()
            .map(|m| m.to_string())
            .collect();
        if metrics.is_empty() {
            return State::Ask(Some(now + interval));
        }
        // Clients that start together don't push together.
        let first = interval.mul_f64(0.5 + self.rng.unit());
        let subscription = Subscription {
            id: answer.subscription_id,
            codec: codec.unwrap_or(Codec::None),
            interval,
            max_bytes: usize::try_from(answer.telemetry_max_bytes)
                .ok()
                .filter(|n| *n > 0)
                .unwrap_or(DEFAULT_MAX),
            delta: answer.delta_temporality,
            metrics,
        };
        State::Subscribed(subscription, Some(now + first))
    }
}
