//! What a client can tell of itself: figures of the client, of each broker and of each partition.
//!
//! They are counted per request and per batch, on the I/O thread, and put together when somebody asks: by a call, by the
//! timer of `statistics.interval.ms`, or for the brokers (KIP-714). Figures are known by name, so that there can be
//! more of them without anything public growing.

mod histogram;
mod json;
mod metrics;
pub(crate) mod otlp;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub use histogram::{Histogram, Summary};
pub(crate) use metrics::metrics;

use crate::error::ErrorCode;

/// What a set of figures is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The client as a whole.
    Client,
    /// A broker.
    Broker {
        /// Its id; -1 for an entry of `bootstrap.servers`.
        id: i32,
        /// Host and port.
        address: String,
        /// `up`, `connecting`, `failing` (waiting to try again) or `idle` (no connection, and no reason for one).
        state: &'static str,
    },
    /// A partition that the client writes or reads.
    Partition {
        /// The topic.
        topic: Arc<str>,
        /// Its number.
        index: i32,
        /// The leader's id; -1 while there is none.
        leader: i32,
    },
}

/// A set of figures. Names end with their unit: `_bytes`, `_ms`, `_us` (microseconds); the others are counts.
#[derive(Clone, Debug)]
pub struct Scope {
    /// What they are about.
    pub place: Place,
    /// Numbers: totals since the client was created, or current values; docs/statistics.md says which.
    pub values: Vec<(&'static str, i64)>,
    /// Histograms of sizes and times.
    pub histograms: Vec<(&'static str, Histogram)>,
    /// The number of occurrences of each error code.
    pub errors: Vec<(ErrorCode, u64)>,
}

impl Scope {
    /// Returns a figure by its name.
    pub fn value(&self, name: &str) -> Option<i64> {
        let found = self.values.iter().find(|(n, _)| *n == name);
        found.map(|(_, value)| *value)
    }

    /// Returns a histogram by its name.
    pub fn histogram(&self, name: &str) -> Option<&Histogram> {
        let found = self.histograms.iter().find(|(n, _)| *n == name);
        found.map(|(_, histogram)| histogram)
    }
}

/// The figures of a client at one moment: those of the client first, then brokers by id, then partitions by topic and
/// number.
#[derive(Clone, Debug)]
pub struct Stats {
    /// `producer`, `consumer`, `consumer.share` or `admin.client`.
    pub client: &'static str,
    /// `client.id`
    pub client_id: String,
    /// Wall time, in milliseconds since 1970.
    pub time_ms: i64,
    /// The time since the client was created.
    pub age: Duration,
    /// Labels sent to brokers with the client's metrics (KIP-714): `group_id` and the like.
    pub labels: Vec<(&'static str, String)>,
    /// The figures.
    pub scopes: Vec<Scope>,
}

impl Stats {
    /// Returns all figures as one JSON object.
    pub fn to_json(&self) -> String {
        json::write(self)
    }

    /// Returns the figures of the client as a whole.
    pub fn client_scope(&self) -> Option<&Scope> {
        self.scopes.iter().find(|s| s.place == Place::Client)
    }

    /// Returns the figures of a partition.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&Scope> {
        self.scopes.iter().find(|s| {
            matches!(&s.place, Place::Partition { topic: t, index, .. } if **t == *topic && *index == partition)
        })
    }

    /// Returns the figures of a broker.
    pub fn broker(&self, id: i32) -> Option<&Scope> {
        self.scopes
            .iter()
            .find(|s| matches!(&s.place, Place::Broker { id: i, .. } if *i == id))
    }

    /// The same with histograms of what came since `earlier`. Numbers stay totals.
    pub(crate) fn since(&self, earlier: &Stats) -> Stats {
        let key = |place: &Place| match place {
            Place::Client => (0, String::new(), 0),
            Place::Broker { id, address, .. } => (1, address.clone(), *id),
            Place::Partition { topic, index, .. } => (2, topic.to_string(), *index),
        };
        let with = |s: &&Scope| !s.histograms.is_empty();
        let before: BTreeMap<_, &Scope> = earlier
            .scopes
            .iter()
            .filter(with)
            .map(|s| (key(&s.place), s))
            .collect();
        let mut now = self.clone();
        for scope in now.scopes.iter_mut().filter(|s| !s.histograms.is_empty()) {
            if let Some(old) = before.get(&key(&scope.place)) {
                for (name, histogram) in &mut scope.histograms {
                    if let Some(old) = old.histogram(name) {
                        *histogram = histogram.since(old);
                    }
                }
            }
        }
        now
    }
}

/// Errors by code, counted on the I/O thread.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErrorCounts(BTreeMap<i32, u64>);

impl ErrorCounts {
    pub(crate) fn add(&mut self, code: ErrorCode) {
        *self.0.entry(code.0).or_default() += 1;
    }

    pub(crate) fn list(&self) -> Vec<(ErrorCode, u64)> {
        self.0.iter().map(|(c, n)| (ErrorCode(*c), *n)).collect()
    }
}

/// A count as a figure.
pub(crate) fn figure(n: impl TryInto<i64>) -> i64 {
    n.try_into().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_names_everything_and_escapes_what_must_be() {
        let mut latency = Histogram::default();
        latency.record(7);
        let place = |topic: &str, index| Place::Partition {
            topic: Arc::from(topic),
            index,
            leader: 1,
        };
        let scope = |place, value| Scope {
            place,
            values: vec![("requests", value)],
            histograms: Vec::new(),
            errors: vec![(ErrorCode::NOT_LEADER_OR_FOLLOWER, 2)],
        };
        let broker = Place::Broker {
            id: 1,
            address: "h:1".to_owned(),
            state: "up",
        };
        let mut scopes = vec![scope(Place::Client, 1), scope(broker, 2)];
        scopes[0].histograms.push(("latency_us", latency));
        let empty = Stats {
            client: "producer",
            client_id: "a\"b\\\n".to_owned(),
            time_ms: 5,
            age: Duration::from_millis(7),
            labels: Vec::new(),
            scopes: scopes.clone(),
        };
        let head = "{\"client\":\"producer\",\"client_id\":\"a\\\"b\\\\\\u000a\",\"time_ms\":5,\"age_ms\":7,\
                    \"requests\":1,\"latency_us\":{\"count\":1,\"sum\":7,\"min\":7,\"max\":7,\"p50\":7,\"p90\":7,\"p99\":7,\
                    \"p999\":7},\"errors\":{\"NOT_LEADER_OR_FOLLOWER\":2},\"brokers\":[{\"id\":1,\"address\":\"h:1\",\
                    \"state\":\"up\",\"requests\":2,\"errors\":{\"NOT_LEADER_OR_FOLLOWER\":2}}],\"topics\":{";
        assert_eq!(empty.to_json(), format!("{head}}}}}"));
        let places = [place("t", 0), place("t", 1), place("u", 0)];
        scopes.extend(places.map(|place| scope(place, 3)));
        let full = Stats { scopes, ..empty };
        let one = "{\"leader\":1,\"requests\":3,\"errors\":{\"NOT_LEADER_OR_FOLLOWER\":2}}";
        assert_eq!(
            full.to_json(),
            format!(
                "{head}\"t\":{{\"partitions\":{{\"0\":{one},\"1\":{one}}}}},\"u\":{{\"partitions\":{{\"0\":{one}}}}}}}}}"
            )
        );
        assert_eq!(full.partition("t", 1).unwrap().value("requests"), Some(3));
        assert_eq!(full.broker(1).unwrap().value("nothing"), None);
        let later = full.since(&full);
        let latency = later.client_scope().unwrap().histogram("latency_us");
        assert_eq!(latency.unwrap().count(), 0);
    }
}
