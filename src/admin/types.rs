//! What goes into and comes out of administration calls.

use crate::error::Error;
use crate::protocol::wire::TopicId;

/// A topic to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// 1 to 249 letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// The number of partitions; -1 for the broker's default (`num.partitions`).
    pub partitions: i32,
    /// The number of replicas of each partition; -1 for the broker's default (`default.replication.factor`).
    pub replication_factor: i16,
    /// The topic's configuration, for example `retention.ms`; otherwise the broker's defaults apply.
    pub configs: Vec<(String, String)>,
}

impl NewTopic {
    /// A topic with the broker's configuration; -1 uses the broker's default for a number.
    pub fn new(name: impl Into<String>, partitions: i32, replication_factor: i16) -> Self {
        NewTopic {
            name: name.into(),
            partitions,
            replication_factor,
            configs: Vec::new(),
        }
    }

    /// Adds a setting to the topic's configuration.
    pub fn config(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.push((key.into(), value.into()));
        self
    }
}

/// A topic to give more partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPartitions {
    /// The topic.
    pub name: String,
    /// The total number of partitions; more than it has now.
    pub total: i32,
}

/// The outcome for one topic in a call that changes topics.
#[derive(Debug, Clone)]
pub struct TopicResult {
    /// The topic.
    pub name: String,
    /// Why the operation failed; `None` is success.
    pub error: Option<Error>,
    /// The topic id; all zero if unknown.
    pub id: TopicId,
    /// The number of partitions it has now; -1 if unknown.
    pub partitions: i32,
    /// The number of replicas of each partition; -1 if unknown.
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
    /// True for an internal topic, for example `__consumer_offsets`.
    pub internal: bool,
    /// The number of partitions.
    pub partitions: i32,
}

/// A topic and its partitions.
#[derive(Debug, Clone)]
pub struct TopicDescription {
    /// Its name.
    pub name: String,
    /// Why the topic could not be described, for example UNKNOWN_TOPIC_OR_PARTITION; all else is empty in that case.
    pub error: Option<Error>,
    /// Its id; all zero from brokers before 2.8.
    pub id: TopicId,
    /// True for an internal topic.
    pub internal: bool,
    /// By number, from 0.
    pub partitions: Vec<PartitionDescription>,
}

/// A partition of a topic. Brokers are given by their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionDescription {
    /// Its number.
    pub partition: i32,
    /// The current leader; -1 if there is none.
    pub leader: i32,
    /// The leader epoch, which grows with each change of leader; -1 if unknown.
    pub leader_epoch: i32,
    /// The brokers that hold a replica, the preferred leader first.
    pub replicas: Vec<i32>,
    /// The replicas that are in sync.
    pub isr: Vec<i32>,
    /// The replicas that can't be reached.
    pub offline: Vec<i32>,
}

/// A description of the cluster, as reported by a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterDescription {
    /// The cluster's id.
    pub id: Option<String>,
    /// The broker that changes are sent to; -1 if there is none. In a KRaft cluster any broker forwards changes to
    /// the controllers, so this is one of the brokers.
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
