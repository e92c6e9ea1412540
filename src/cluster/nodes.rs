//! Brokers' addresses, and how long to leave one alone that could not be reached.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::config::{CommonConfig, HostPort};
use crate::error::Error;
use crate::net::conn::Stage;
use crate::net::socket::Reached;
use crate::rng::Rng;

/// Whom to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Node {
    /// An entry of `bootstrap.servers`.
    Bootstrap(usize),
    /// A broker by its id.
    Id(i32),
}

/// Numbers that grow from a first to a last value, with jitter (KIP-580).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    pub(crate) first: Duration,
    pub(crate) last: Duration,
}

impl Backoff {
    /// Between attempts of a request: `retry.backoff.ms` up to `retry.backoff.max.ms`.
    pub(crate) fn retries(config: &CommonConfig) -> Self {
        Backoff {
            first: config.retry_backoff,
            last: config.retry_backoff_max,
        }
    }

    /// The wait after the `failures`th failure in a row (from 1): doubled each time, ±20 %.
    pub(crate) fn after(&self, failures: u32, rng: &mut Rng) -> Duration {
        let doubled = self
            .first
            .saturating_mul(1u32 << failures.saturating_sub(1).min(20));
        doubled.min(self.last).mul_f64(0.8 + 0.4 * rng.unit())
    }
}

/// What is known of one node.
#[derive(Debug)]
pub(crate) struct NodeState {
    pub(crate) address: HostPort,
    pub(crate) rack: Option<String>,
    /// Failures in a row.
    pub(crate) failures: u32,
    /// When the present row of failures began.
    pub(crate) failing_since: Option<Instant>,
    pub(crate) retry_at: Option<Instant>,
    pub(crate) last_error: Option<Error>,
    /// How far the connection had come that brought `last_error`.
    pub(crate) failed_at: Stage,
    pub(crate) last_failure: Option<Instant>,
    /// It has answered as a Kafka broker at least once.
    pub(crate) contacted: bool,
    /// Addresses of its name that were no good, the one that failed first in front.
    pub(crate) avoid: Vec<SocketAddr>,
    /// The last attempt failed, but the name has an address that has not.
    pub(crate) untried: bool,
}

impl NodeState {
    pub(crate) fn new(address: HostPort, rack: Option<String>) -> Self {
        NodeState {
            address,
            rack,
            failures: 0,
            failing_since: None,
            retry_at: None,
            last_error: None,
            failed_at: Stage::Connecting,
            last_failure: None,
            contacted: false,
            avoid: Vec::new(),
            untried: false,
        }
    }

    /// An attempt came to `address`: those before it are no good.
    pub(crate) fn reached(&mut self, reached: &Reached) {
        self.avoid.retain(|a| reached.all.contains(a));
        for failed in &reached.failed {
            self.avoid(*failed);
        }
    }

    fn avoid(&mut self, address: SocketAddr) {
        self.avoid.retain(|a| *a != address);
        self.avoid.push(address);
    }

    /// A connection failed before it was of any use.
    pub(crate) fn useless(&mut self, reached: &Reached) {
        self.avoid(reached.address);
        self.untried = reached.all.iter().any(|a| !self.avoid.contains(a));
    }

    /// A broker answers at this address.
    pub(crate) fn proved(&mut self, reached: &Reached) {
        self.avoid.retain(|a| *a != reached.address);
    }

    pub(crate) fn succeeded(&mut self) {
        self.contacted = true;
        self.failures = 0;
        self.untried = false;
        self.failing_since = None;
        self.retry_at = None;
        self.last_error = None;
    }

    /// The connection failed `now`; if it never stood, the attempt had begun before.
    pub(crate) fn failed(
        &mut self,
        (begun, now): (Instant, Instant),
        backoff: Backoff,
        rng: &mut Rng,
        stage: Stage,
        error: Error,
    ) {
        self.untried = false;
        self.failures = self.failures.saturating_add(1);
        self.failing_since.get_or_insert(begun);
        self.retry_at = Some(now + backoff.after(self.failures, rng));
        self.last_error = Some(error);
        self.failed_at = stage;
        self.last_failure = Some(now);
    }
}
