//! What is counted of connections: per request and per answer, never per record.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka_protocol::messages::OffsetCommitRequest;
use kafka_protocol::protocol::Request;

use crate::cluster::core::{Core, Node};
use crate::net::conn::Stage;
use crate::protocol::{fetch, produce};
use crate::stats::{ErrorCounts, Histogram, Place, Scope, Stats, figure};

/// The counts of one broker's connections.
#[derive(Debug, Default)]
pub(crate) struct NodeStats {
    pub(super) requests: u64,
    pub(super) responses: u64,
    /// Requests that had no answer.
    pub(super) unanswered: u64,
    pub(super) timed_out: u64,
    pub(super) bytes_out: u64,
    pub(super) bytes_in: u64,
    pub(super) connects: u64,
    pub(super) disconnects: u64,
    pub(super) connect_failures: u64,
    pub(super) throttle_ms: u64,
    /// Times that a broker asked for, per answer that did.
    pub(crate) throttle: Histogram,
    /// From a request to its answer, in microseconds.
    pub(crate) produce_latency: Histogram,
    pub(crate) fetch_latency: Histogram,
    pub(crate) commit_latency: Histogram,
    pub(crate) other_latency: Histogram,
    pub(crate) errors: ErrorCounts,
}

impl NodeStats {
    pub(super) fn answered(&mut self, key: i16, latency: Duration) {
        self.responses += 1;
        let histogram = match key {
            produce::KEY => &mut self.produce_latency,
            fetch::KEY => &mut self.fetch_latency,
            OffsetCommitRequest::KEY => &mut self.commit_latency,
            _ => &mut self.other_latency,
        };
        histogram.record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    pub(super) fn throttled(&mut self, ms: i32) {
        self.throttle_ms += ms as u64;
        self.throttle.record(ms as u64);
    }

    fn scope(&self, place: Place, connections: usize, in_flight: usize) -> Scope {
        let mut histograms = Vec::new();
        for (name, histogram) in [
            ("produce_latency_us", &self.produce_latency),
            ("fetch_latency_us", &self.fetch_latency),
            ("commit_latency_us", &self.commit_latency),
            ("other_latency_us", &self.other_latency),
            ("throttle_ms", &self.throttle),
        ] {
            if histogram.count() > 0 {
                histograms.push((name, histogram.clone()));
            }
        }
        Scope {
            place,
            values: vec![
                ("connections", figure(connections)),
                ("connects", figure(self.connects)),
                ("connect_failures", figure(self.connect_failures)),
                ("disconnects", figure(self.disconnects)),
                ("requests", figure(self.requests)),
                ("responses", figure(self.responses)),
                ("requests_in_flight", figure(in_flight)),
                ("requests_unanswered", figure(self.unanswered)),
                ("requests_timed_out", figure(self.timed_out)),
                ("sent_bytes", figure(self.bytes_out)),
                ("received_bytes", figure(self.bytes_in)),
                ("throttle_total_ms", figure(self.throttle_ms)),
            ],
            histograms,
            errors: self.errors.list(),
        }
    }
}

impl<T: Clone> Core<T> {
    /// The counts of a broker, to add to.
    pub(crate) fn node_stats(&mut self, node: Node) -> &mut NodeStats {
        self.stats.entry(node).or_default()
    }

    /// Every broker's figures, and their sums for the client's.
    pub(crate) fn stat_scopes(&self) -> (Vec<(&'static str, i64)>, Vec<Scope>) {
        let mut open: BTreeMap<Node, (usize, usize, bool)> = BTreeMap::new();
        for slot in self.conns.values() {
            let (ready, in_flight, opening) = open.entry(slot.node).or_default();
            *ready += usize::from(slot.conn.stage == Stage::Ready);
            *opening |= slot.conn.stage != Stage::Ready;
            *in_flight += slot.conn.inflight.len();
        }
        let none = NodeStats::default();
        let scopes: Vec<Scope> = self
            .nodes
            .iter()
            .map(|(node, state)| {
                let (ready, in_flight, opening) = open.get(node).copied().unwrap_or_default();
                let place = Place::Broker {
                    id: match node {
                        Node::Id(id) => *id,
                        Node::Bootstrap(_) => -1,
                    },
                    address: state.address.to_string(),
                    state: match () {
                        () if ready > 0 => "up",
                        () if opening => "connecting",
                        () if state.failures > 0 => "failing",
                        () => "idle",
                    },
                };
                let stats = self.stats.get(node).unwrap_or(&none);
                stats.scope(place, ready, in_flight)
            })
            .collect();
        let mut sums: Vec<(&'static str, i64)> = none.scope(Place::Client, 0, 0).values;
        // Brokers that have left count too, in what is a total.
        for (node, stats) in &self.stats {
            let (ready, in_flight, _) = open.get(node).copied().unwrap_or_default();
            let values = stats.scope(Place::Client, ready, in_flight).values;
            for (sum, (_, value)) in sums.iter_mut().zip(values) {
                sum.1 = sum.1.saturating_add(value);
            }
        }
        (sums, scopes)
    }

    /// The figures of a client that has none but its connections'.
    pub(crate) fn plain_stats(&self, client: &'static str, now: Instant) -> Stats {
        let (values, brokers) = self.stat_scopes();
        let own = Scope {
            place: Place::Client,
            values,
            histograms: Vec::new(),
            errors: Vec::new(),
        };
        Stats {
            client,
            client_id: self.config.client_id.clone(),
            time_ms: self.clock.wall_ms(),
            age: self.age(now),
            labels: Vec::new(),
            scopes: std::iter::once(own).chain(brokers).collect(),
        }
    }

    /// How long the client has been there.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }
}
