//! What consumers of the classic protocol put into its requests, which the broker hands on unread otherwise: what they
//! subscribe to and what they are assigned.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::consumer_protocol_assignment::TopicPartition;
use kafka_protocol::messages::{ConsumerProtocolAssignment, TopicName};
use kafka_protocol::protocol::{Encodable, StrBytes};
use ottla_protocol::schema::{decode_assignment, decode_subscription};

use super::modern_member::Partitions;
use crate::core::cluster::Cluster;

/// The newest version of an assignment that is written.
const NEWEST_ASSIGNMENT: i16 = 3;

/// What a consumer's metadata say.
pub(super) struct Subscription {
    pub(super) topics: Vec<String>,
    pub(super) rack: Option<String>,
    /// What it holds by its own account, topics by name.
    owned: Vec<(String, Vec<i32>)>,
}

impl Subscription {
    /// `None` if the metadata are something else.
    pub(super) fn read(metadata: &Bytes) -> Option<Self> {
        let read = decode_subscription(metadata.clone()).ok()?;
        let owned = read.owned_partitions.into_iter();
        Some(Self {
            topics: read.topics.iter().map(ToString::to_string).collect(),
            rack: read.rack_id.as_ref().map(ToString::to_string),
            owned: owned.map(|o| (o.topic.to_string(), o.partitions)).collect(),
        })
    }

    /// What it holds of the topics there are.
    pub(super) fn owned(&self, cluster: &Cluster) -> Partitions {
        by_id(
            cluster,
            self.owned.iter().map(|(t, p)| (t.as_str(), &p[..])),
        )
    }
}

/// The topics of a consumer's metadata; `None` if it is something else.
pub(super) fn topics(metadata: &Bytes) -> Option<Vec<String>> {
    Subscription::read(metadata).map(|s| s.topics)
}

/// Why an assignment can't be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotReadable {
    Malformed,
    /// The assignor's own data, which only another of its kind understands.
    UserData,
}

/// An assignment made by a leader, as far as its topics are there. One that was never made is empty.
pub(super) fn assigned(assignment: &Bytes, cluster: &Cluster) -> Result<Partitions, NotReadable> {
    if assignment.is_empty() {
        return Ok(Partitions::new());
    }
    let read = decode_assignment(assignment.clone()).map_err(|_| NotReadable::Malformed)?;
    if read.user_data.is_some_and(|data| !data.is_empty()) {
        return Err(NotReadable::UserData);
    }
    let topics = read.assigned_partitions.iter();
    Ok(by_id(
        cluster,
        topics.map(|t| (t.topic.as_str(), &t.partitions[..])),
    ))
}

fn by_id<'a>(cluster: &Cluster, topics: impl Iterator<Item = (&'a str, &'a [i32])>) -> Partitions {
    let mut partitions = Partitions::new();
    for (name, of) in topics {
        if let Some(topic) = cluster.topic(name) {
            partitions.entry(topic.id).or_default().extend(of);
        }
    }
    partitions
}

/// An assignment for a consumer with this metadata, in the version it speaks.
pub(super) fn assignment(partitions: &Partitions, cluster: &Cluster, metadata: &Bytes) -> Bytes {
    let spoken = metadata.clone().try_get_i16().unwrap_or(0);
    let version = spoken.clamp(0, NEWEST_ASSIGNMENT);
    let topics = partitions.iter().filter_map(|(&id, of)| {
        let name = StrBytes::from_string(cluster.name_of(id)?.to_owned());
        let topic = TopicPartition::default().with_topic(TopicName(name));
        Some(topic.with_partitions(of.iter().copied().collect()))
    });
    let message = ConsumerProtocolAssignment::default().with_assigned_partitions(topics.collect());
    let mut out = BytesMut::new();
    out.put_i16(version);
    match message.encode(&mut out, version) {
        Ok(()) => out.freeze(),
        // Names of topics and numbers of partitions fit into every version.
        Err(_) => Bytes::new(),
    }
}
