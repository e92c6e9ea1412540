//! What the cluster is made of: nodes, topics, partitions, and who leads what.

use std::collections::{BTreeMap, BTreeSet};

use ottla_base::error::ErrorCode;
use uuid::Uuid;

use super::producer_state::ProducerStates;
use super::random::Random;
use super::topic_config::TopicConfig;
use crate::log::{PartitionLog, Refused};

/// Kafka's "no node": the leader of a partition whose replicas are all stopped.
pub const NO_NODE: i32 = -1;
/// Most partitions that one request may add (Kafka's `MAX_PARTITIONS_PER_BATCH`).
pub(crate) const MAX_NEW_PARTITIONS: usize = 10_000;
/// Longest name of a topic.
const MAX_NAME: usize = 249;

/// One broker of the cluster as its clients see it.
#[derive(Clone, Debug)]
pub struct Node {
    pub id: i32,
    /// The address given out in metadata.
    pub host: String,
    pub port: u16,
    pub alive: bool,
}

/// One partition. Replication is virtual: all replicas are this one log, and the in-sync ones are those alive.
pub struct Partition {
    pub replicas: Vec<i32>,
    pub leader: i32,
    pub(crate) leader_epoch: i32,
    pub log: PartitionLog,
    pub producers: ProducerStates,
    /// Parked fetches that an append to this partition may complete.
    pub(crate) watchers: BTreeSet<u64>,
}

impl Partition {
    pub(crate) fn new(replicas: Vec<i32>, leader_epoch: i32, log: PartitionLog) -> Self {
        Self {
            leader: NO_NODE,
            replicas,
            leader_epoch,
            log,
            producers: ProducerStates::default(),
            watchers: BTreeSet::new(),
        }
    }

    /// Kafka's last stable offset: everything before it is of no transaction that is still under way.
    pub fn last_stable_offset(&self) -> i64 {
        self.producers
            .first_open()
            .map_or(self.log.end_offset(), |first| {
                first.max(self.log.start_offset())
            })
    }

    fn lead(&mut self, leader: i32) {
        if leader != self.leader {
            self.leader = leader;
            self.leader_epoch += 1;
            self.log.begin_epoch(self.leader_epoch);
        }
    }
}

/// One topic.
pub struct Topic {
    pub name: String,
    pub(crate) id: Uuid,
    pub(crate) config: TopicConfig,
    pub partitions: Vec<Partition>,
}

impl Topic {
    /// Has other settings from now on.
    pub(crate) fn configure(&mut self, config: TopicConfig) {
        for partition in &mut self.partitions {
            partition.log.set_limits(config.segments);
        }
        self.config = config;
    }
}

/// How the partitions of a new topic lie on the nodes.
pub enum Placement {
    /// So many partitions of so many replicas, -1 for the defaults.
    Counts {
        partitions: i32,
        replication_factor: i16,
    },
    /// The replicas of each partition.
    Replicas(Vec<Vec<i32>>),
}

/// Nodes and topics.
pub struct Cluster {
    pub(crate) id: String,
    pub nodes: BTreeMap<i32, Node>,
    pub(crate) random: Random,
    pub(crate) default_partitions: i32,
    topics: BTreeMap<String, Topic>,
    names: BTreeMap<Uuid, String>,
    topics_version: u64,
}

impl Cluster {
    pub fn new(id: String, nodes: Vec<Node>, default_partitions: i32, random: Random) -> Self {
        Self {
            id,
            nodes: nodes.into_iter().map(|n| (n.id, n)).collect(),
            random,
            default_partitions,
            topics: BTreeMap::new(),
            names: BTreeMap::new(),
            topics_version: 0,
        }
    }

    /// Another number whenever topics or partitions have come or gone.
    pub(crate) fn topics_version(&self) -> u64 {
        self.topics_version
    }

    /// The living nodes in the order of their ids.
    pub fn alive(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|n| n.alive)
    }

    pub fn is_alive(&self, node: i32) -> bool {
        self.nodes.get(&node).is_some_and(|n| n.alive)
    }

    /// The node that answers for the controller: the living one with the smallest id.
    pub(crate) fn controller(&self) -> i32 {
        self.alive().next().map_or(NO_NODE, |n| n.id)
    }

    /// The topics in the order of their names.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.topics.values()
    }

    pub fn topics_mut(&mut self) -> impl Iterator<Item = &mut Topic> {
        self.topics.values_mut()
    }

    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name)
    }

    pub(crate) fn topic_mut(&mut self, name: &str) -> Option<&mut Topic> {
        self.topics.get_mut(name)
    }

    /// The name of the topic with this id.
    pub(crate) fn name_of(&self, id: Uuid) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    pub fn partition(&self, topic: &str, index: i32) -> Option<&Partition> {
        self.topics
            .get(topic)?
            .partitions
            .get(usize::try_from(index).ok()?)
    }

    pub fn partition_mut(&mut self, topic: &str, index: i32) -> Option<&mut Partition> {
        self.topics
            .get_mut(topic)?
            .partitions
            .get_mut(usize::try_from(index).ok()?)
    }

    /// The partition's replicas that are alive, which are the in-sync ones.
    pub(crate) fn in_sync(&self, partition: &Partition) -> Vec<i32> {
        partition
            .replicas
            .iter()
            .copied()
            .filter(|&n| self.is_alive(n))
            .collect()
    }

    /// The replicas of every partition of a topic that could be created under `name`.
    ///
    /// # Errors
    /// What Kafka answers to a bad name, count or assignment.
    pub(crate) fn plan_topic(
        &self,
        name: &str,
        placement: &Placement,
    ) -> Result<Vec<Vec<i32>>, Refused> {
        check_name(name)?;
        if self.topics.contains_key(name) {
            return Err(Refused::new(
                ErrorCode::TOPIC_ALREADY_EXISTS,
                format!("Topic '{name}' already exists."),
            ));
        }
        let folded = name.replace('.', "_");
        if let Some(other) = self
            .topics
            .keys()
            .find(|other| other.replace('.', "_") == folded)
        {
            return Err(Refused::new(
                ErrorCode::INVALID_TOPIC_EXCEPTION,
                format!("Topic '{name}' collides with existing topic: {other}"),
            ));
        }
        match placement {
            Placement::Counts {
                partitions,
                replication_factor,
            } => {
                let wanted = Self::check_replication_factor(*replication_factor)?;
                let partitions = self.check_partitions(*partitions)?;
                let replicas = self.replicas(wanted)?;
                Ok((0..partitions)
                    .map(|index| self.place(index, replicas))
                    .collect())
            }
            Placement::Replicas(assigned) => {
                for replicas in assigned {
                    self.check_assignment(replicas, assigned.first().map_or(0, Vec::len))?;
                }
                Ok(assigned.clone())
            }
        }
    }

    fn check_partitions(&self, partitions: i32) -> Result<usize, Refused> {
        match usize::try_from(if partitions == -1 {
            self.default_partitions
        } else {
            partitions
        }) {
            Ok(count) if count > MAX_NEW_PARTITIONS => Err(too_many_partitions()),
            Ok(count) if count > 0 => Ok(count),
            _ => Err(Refused::new(
                ErrorCode::INVALID_PARTITIONS,
                "Number of partitions was set to an invalid non-positive value.",
            )),
        }
    }

    fn check_replication_factor(factor: i16) -> Result<Option<usize>, Refused> {
        match usize::try_from(factor) {
            _ if factor == -1 => Ok(None),
            Ok(count) if count > 0 => Ok(Some(count)),
            _ => Err(Refused::new(
                ErrorCode::INVALID_REPLICATION_FACTOR,
                "Replication factor must be larger than 0, or -1 to use the default value.",
            )),
        }
    }

    /// How many replicas there are to be; by default one on every living node.
    fn replicas(&self, wanted: Option<usize>) -> Result<usize, Refused> {
        let alive = self.alive().count();
        match wanted {
            None => Ok(alive.max(1)),
            Some(count) if count <= alive => Ok(count),
            Some(count) => Err(Refused::new(
                ErrorCode::INVALID_REPLICATION_FACTOR,
                format!(
                    "Unable to replicate the partition {count} time(s): The target replication factor of {count} cannot \
                     be reached because only {alive} broker(s) are registered or some brokers have all their log \
                     directories cordoned."
                ),
            )),
        }
    }

    fn check_assignment(&self, replicas: &[i32], expected: usize) -> Result<(), Refused> {
        let refuse =
            |message: String| Err(Refused::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        if replicas.is_empty() {
            return refuse(
                "The manual partition assignment includes an empty replica list.".to_owned(),
            );
        }
        if replicas.iter().collect::<BTreeSet<_>>().len() != replicas.len() {
            return refuse(format!(
                "The manual partition assignment includes the broker {} more than once.",
                replicas[0]
            ));
        }
        if let Some(unknown) = replicas.iter().find(|id| !self.nodes.contains_key(id)) {
            return refuse(format!(
                "The manual partition assignment includes broker {unknown}, but no such broker is registered."
            ));
        }
        if replicas.len() != expected {
            return refuse(format!(
                "The manual partition assignment includes a partition with {} replica(s), but this is not consistent \
                 with previous partitions, which have {expected} replica(s).",
                replicas.len()
            ));
        }
        Ok(())
    }

    /// Partition 0's leader is the living node with the smallest id, partition 1's the next, and so on round.
    fn place(&self, index: usize, replicas: usize) -> Vec<i32> {
        let alive: Vec<i32> = self.alive().map(|n| n.id).collect();
        alive
            .iter()
            .cycle()
            .skip(index % alive.len().max(1))
            .take(replicas)
            .copied()
            .collect()
    }

    /// Adds a topic whose partitions were built by the caller and elects their leaders.
    pub(crate) fn insert(&mut self, mut topic: Topic) {
        for partition in &mut topic.partitions {
            elect(&self.nodes, partition);
        }
        self.topics_version += 1;
        self.names.insert(topic.id, topic.name.clone());
        self.topics.insert(topic.name.clone(), topic);
    }

    /// Takes a topic out.
    pub(crate) fn remove(&mut self, name: &str) -> Option<Topic> {
        let topic = self.topics.remove(name)?;
        self.topics_version += 1;
        self.names.remove(&topic.id);
        Some(topic)
    }

    /// The replicas of the partitions to add so that `name` has `count`.
    ///
    /// # Errors
    /// What Kafka answers.
    pub(crate) fn plan_partitions(
        &self,
        name: &str,
        count: i32,
        assigned: Option<&[Vec<i32>]>,
    ) -> Result<Vec<Vec<i32>>, Refused> {
        let Some(topic) = self.topics.get(name) else {
            return Err(Refused::plain(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        };
        let have = topic.partitions.len();
        let invalid = |message: String| Err(Refused::new(ErrorCode::INVALID_PARTITIONS, message));
        let wanted = match usize::try_from(count) {
            Ok(wanted) if wanted == have => {
                return invalid(format!("Topic already has {have} partition(s)."));
            }
            Ok(wanted) if wanted > have.saturating_add(MAX_NEW_PARTITIONS) => {
                return Err(too_many_partitions());
            }
            Ok(wanted) if wanted > have => wanted,
            _ => {
                return invalid(format!(
                    "The topic {name} currently has {have} partition(s); {count} would not be an increase."
                ));
            }
        };
        let replicas = topic.partitions.first().map_or(1, |p| p.replicas.len());
        match assigned {
            None => {
                let replicas = self.replicas(Some(replicas))?;
                Ok((have..wanted)
                    .map(|index| self.place(index, replicas))
                    .collect())
            }
            Some(assigned) if assigned.len() != wanted - have => Err(Refused::new(
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                format!(
                    "Attempted to add {} additional partition(s), but only {} assignment(s) were specified.",
                    wanted - have,
                    assigned.len()
                ),
            )),
            Some(assigned) => {
                for one in assigned {
                    self.check_assignment(one, replicas)?;
                }
                Ok(assigned.to_vec())
            }
        }
    }

    /// Adds partitions to a topic and elects their leaders.
    pub(crate) fn extend(&mut self, name: &str, mut partitions: Vec<Partition>) {
        for partition in &mut partitions {
            elect(&self.nodes, partition);
        }
        self.topics_version += 1;
        if let Some(topic) = self.topics.get_mut(name) {
            topic.partitions.append(&mut partitions);
        }
    }

    /// Makes `node` the leader of a partition, in a new epoch; it joins the replicas if it was none.
    pub(crate) fn move_leader(&mut self, topic: &str, index: i32, node: i32) -> bool {
        if !self.is_alive(node) {
            return false;
        }
        let Some(partition) = self.partition_mut(topic, index) else {
            return false;
        };
        if !partition.replicas.contains(&node) {
            partition.replicas.push(node);
        }
        partition.lead(node);
        true
    }

    /// Stops or starts a node; partitions that have lost their leader, or have none, get one if a replica lives.
    pub(crate) fn set_alive(&mut self, node: i32, alive: bool) {
        if let Some(node) = self.nodes.get_mut(&node) {
            node.alive = alive;
        }
        for partition in self.topics.values_mut().flat_map(|t| &mut t.partitions) {
            elect(&self.nodes, partition);
        }
    }
}

/// The answer to a request for more than [`MAX_NEW_PARTITIONS`]. Kafka words it so for CreateTopics; for
/// CreatePartitions it answers `UNKNOWN_SERVER_ERROR` without words.
pub(crate) fn too_many_partitions() -> Refused {
    Refused::new(
        ErrorCode::POLICY_VIOLATION,
        "Excessively large number of partitions per request.",
    )
}

fn elect(nodes: &BTreeMap<i32, Node>, partition: &mut Partition) {
    let alive = |id: i32| nodes.get(&id).is_some_and(|n| n.alive);
    if alive(partition.leader) {
        return;
    }
    let next = partition
        .replicas
        .iter()
        .copied()
        .find(|&id| alive(id))
        .unwrap_or(NO_NODE);
    partition.lead(next);
}

/// Kafka's rules for names of topics.
///
/// # Errors
/// `INVALID_TOPIC_EXCEPTION`, with Kafka's words.
pub(crate) fn check_name(name: &str) -> Result<(), Refused> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let why = if name.is_empty() {
        "the empty string is not allowed".to_owned()
    } else if name == "." || name == ".." {
        format!("'{name}' is not allowed")
    } else if name.len() > MAX_NAME {
        format!("the length of '{name}' is longer than the max allowed length {MAX_NAME}")
    } else if !name.chars().all(legal) {
        format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        )
    } else {
        return Ok(());
    };
    Err(Refused::new(
        ErrorCode::INVALID_TOPIC_EXCEPTION,
        format!("Topic name is invalid: {why}"),
    ))
}
