//! Brokers' addresses, and how long to leave one alone that could not be reached.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::config::HostPort;
use crate::error::Error;
use crate::net::conn::Stage;
use crate::net::socket::Reached;

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
    /// The wait after the `failures`th failure in a row (from 1): doubled each time, ±20 %.
    pub(crate) fn after(&self, failures: u32, rng: &mut Rng) -> Duration {
        let doubled = self
            .first
            .saturating_mul(1u32 << failures.saturating_sub(1).min(20));
        doubled.min(self.last).mul_f64(0.8 + 0.4 * rng.unit())
    }
}

/// The one source of randomness of a client; seeded, so that a simulation can repeat itself.
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Rng(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// A generator seeded by the operating system (through the standard library's hash keys).
    pub(crate) fn from_os() -> Self {
        use std::hash::{BuildHasher, RandomState};
        Rng::new(RandomState::new().hash_one(0))
    }

    /// SplitMix64.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A random id as Kafka's clients write theirs: 16 bytes in URL-safe base 64.
    pub(crate) fn id(&mut self) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut id = String::new();
        for bits in [self.next(), self.next()] {
            // 22 digits hold 128 bits; the last of each half takes the odd four.
            for i in 0..11 {
                let digit = (bits >> (i * 6)) & 63;
                id.push(char::from(DIGITS[digit as usize]));
            }
        }
        id
    }

    /// From 0 to below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// From 0 to below `n`; 0 for `n` = 0.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        if n == 0 {
            0
        } else {
            (self.next() % n as u64) as usize
        }
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
