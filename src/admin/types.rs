//! What goes into and comes out of administration calls.

use crate::error::Error;
use crate::protocol::wire::TopicId;

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// 1 to 249 letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// How many partitions; -1 leaves it to the broker (`num.partitions`).
    pub partitions: i32,
    /// How many brokers hold each partition; -1 leaves it to the broker (`default.replication.factor`).
    pub replication_factor: i16,
    /// The topic's own settings, for example `retention.ms`; the broker's hold for the rest.
    pub configs: Vec<(String, String)>,
}

impl NewTopic {
    /// A topic without settings of its own; -1 leaves a number to the broker.
    pub fn new(name: impl Into<String>, partitions: i32, replication_factor: i16) -> Self {
        NewTopic {
            name: name.into(),
            partitions,
            replication_factor,
            configs: Vec::new(),
        }
    }

    /// The same with one more setting.
    pub fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.push((key.into(), value.into()));
        self
    }
}

/// A topic that shall have more partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPartitions {
    /// The topic.
    pub name: String,
    /// How many partitions it shall have in all; more than it has now.
    pub total: i32,
}

/// What became of one topic in a call that changes topics.
#[derive(Debug, Clone)]
pub struct TopicResult {
    /// The topic.
    pub name: String,
    /// Why it was not done; `None` is success.
    pub error: Option<Error>,
    /// The topic's id; all zero where it is not known.
    pub id: TopicId,
    /// How many partitions it has now; -1 where it is not known.
    pub partitions: i32,
    /// How many brokers hold each partition; -1 where it is not known.
    pub replication_factor: i16,
}

impl TopicResult {
    pub(super) fn new(name: &str, error: Option<Error>) -> Self {
        TopicResult {
            name: name.to_owned(),
            error,
            id: [0; 16],
            partitions: -1,
            replication_factor: -1,
        }
    }
}

/// A topic in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicListing {
    /// Its name.
    pub name: String,
    /// Its id; all zero from brokers before 2.8.
    pub id: TopicId,
    /// Kafka's own use, for example `__consumer_offsets`.
    pub internal: bool,
    /// How many partitions it has.
    pub partitions: i32,
}

/// All about one topic.
#[derive(Debug, Clone)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Why nothing is known of it, for example UNKNOWN_TOPIC_OR_PARTITION; then all else is empty.
    pub error: Option<Error>,
    /// Its id; all zero from brokers before 2.8.
    pub id: TopicId,
    /// Kafka's own use.
    pub internal: bool,
    /// By number, from 0.
    pub partitions: Vec<PartitionDescription>,
}

/// One partition of a topic. Brokers are given by their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its number.
    pub partition: i32,
    /// The broker that reads and writes it now; -1 while there is none.
    pub leader: i32,
    /// How often the leader has changed; -1 where it is not known.
    pub leader_epoch: i32,
    /// Those that hold it, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Those of them that have all of it.
    pub isr: Vec<i32>,
    /// Those of them that can't be reached.
    pub offline: Vec<i32>,
}

/// The cluster as a broker sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    /// The cluster's id.
    pub id: Option<String>,
    /// The broker to send changes to; -1 while there is none. On a cluster with KRaft any broker passes
    /// changes on to the controllers, so this is one of the brokers.
    pub controller: i32,
    /// Sorted by id.
    pub brokers: Vec<BrokerDescription>,
}

/// One broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerDescription {
    /// Its id.
    pub id: i32,
    /// The host it advertises.
    pub host: String,
    /// The port it advertises.
    pub port: u16,
    /// Its `broker.rack`.
    pub rack: Option<String>,
}
