//! What the cluster told us of its topics.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use kafka_protocol::messages::MetadataResponse;

use crate::error::ErrorCode;
use crate::protocol::wire::TopicId;

/// One partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionMeta {
    /// The leader's broker id, or -1 while there is none.
    pub(crate) leader: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) nodes: Arc<PartitionNodes>,
    pub(crate) error_code: i16,
}

/// The brokers that keep a partition. Many of a topic's partitions are kept by the same ones, and share this.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PartitionNodes {
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
}

/// A topic that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicMeta {
    pub(crate) id: TopicId,
    pub(crate) internal: bool,
    /// By index, 0 to n-1.
    pub(crate) partitions: Vec<PartitionMeta>,
}

/// What is known of a topic that was asked for.
#[derive(Debug, Clone)]
pub(crate) enum TopicState {
    /// No answer yet.
    Unasked,
    /// The brokers answered with an error, since then and without a break.
    Missing {
        code: ErrorCode,
        since: Instant,
    },
    Known(Arc<TopicMeta>),
}

/// The topics this client asked for.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    by_name: BTreeMap<Arc<str>, TopicState>,
    by_id: HashMap<TopicId, Arc<str>>,
    /// Every topic of the cluster, whether it is an internal one, and its id, where that is asked for.
    every: Option<BTreeMap<Arc<str>, (bool, TopicId)>>,
}

impl Topics {
    /// Wants a topic from now on; true if it is new.
    pub(crate) fn want(&mut self, name: &str) -> bool {
        if self.by_name.contains_key(name) {
            return false;
        }
        self.by_name.insert(Arc::from(name), TopicState::Unasked);
        true
    }

    /// No longer wants a topic.
    pub(crate) fn forget(&mut self, name: &str) {
        if let Some(TopicState::Known(meta)) = self.by_name.remove(name) {
            self.by_id.remove(&meta.id);
        }
    }

    /// The name of every topic, whether it is an internal one, and its id; `None` if that is not asked for, or not
    /// answered.
    pub(crate) fn every(&self) -> Option<&BTreeMap<Arc<str>, (bool, TopicId)>> {
        self.every.as_ref()
    }

    /// An answer to a request for every topic.
    pub(crate) fn set_every(&mut self, response: Option<&MetadataResponse>) {
        self.every = response.map(|response| {
            let named = response.topics.iter().filter(|t| t.error_code == 0);
            named
                .filter_map(|t| {
                    let name = Arc::from(t.name.as_ref()?.0.as_str());
                    Some((name, (t.is_internal, t.topic_id.into_bytes())))
                })
                .collect()
        });
    }

    /// A topic's name by its id, among all topics.
    pub(crate) fn name_of_every(&self, id: &TopicId) -> Option<Arc<str>> {
        let mut every = self.every.iter().flatten();
        every
            .find(|(_, (_, own))| own == id)
            .map(|(name, _)| name.clone())
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_name.keys()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&TopicState> {
        self.by_name.get(name)
    }

    pub(crate) fn known(&self, name: &str) -> Option<&Arc<TopicMeta>> {
        match self.by_name.get(name)? {
            TopicState::Known(meta) => Some(meta),
            _ => None,
        }
    }

    pub(crate) fn name_of(&self, id: &TopicId) -> Option<&Arc<str>> {
        self.by_id.get(id)
    }

    /// True while a topic has no answer, or one of its partitions no leader.
    pub(crate) fn incomplete(&self) -> bool {
        self.by_name.values().any(|t| match t {
            TopicState::Known(meta) => meta.partitions.iter().any(|p| p.leader < 0),
            _ => true,
        })
    }

    /// Takes in an answer. A partition whose epoch in it is older than what we know keeps what we know: brokers
    /// learn of elections at different times, and going back would send requests to the deposed leader.
    pub(crate) fn update(&mut self, now: Instant, response: &MetadataResponse) {
        for topic in &response.topics {
            let Some(name) = topic.name.as_ref().map(|n| n.0.as_str()) else {
                continue;
            };
            let Some((name, state)) = self
                .by_name
                .get_key_value(name)
                .map(|(n, s)| (n.clone(), s.clone()))
            else {
                continue;
            };
            let code = ErrorCode(i32::from(topic.error_code));
            if code != ErrorCode::NONE {
                let since = match state {
                    TopicState::Missing { since, .. } => since,
                    // A leaderless moment doesn't unmake a topic we know.
                    TopicState::Known(_) if code == ErrorCode::LEADER_NOT_AVAILABLE => continue,
                    TopicState::Known(ref meta) => {
                        self.by_id.remove(&meta.id);
                        now
                    }
                    TopicState::Unasked => now,
                };
                self.by_name
                    .insert(name, TopicState::Missing { code, since });
                continue;
            }
            let id = topic.topic_id.into_bytes();
            let old = match &state {
                TopicState::Known(meta) if meta.id == id => Some(meta.clone()),
                TopicState::Known(meta) => {
                    self.by_id.remove(&meta.id);
                    None
                }
                _ => None,
            };
            let mut shared: BTreeSet<Arc<PartitionNodes>> = BTreeSet::new();
            let mut partitions: Vec<(i32, PartitionMeta)> = topic
                .partitions
                .iter()
                .map(|p| {
                    let nodes = PartitionNodes {
                        replicas: p.replica_nodes.iter().map(|b| b.0).collect(),
                        isr: p.isr_nodes.iter().map(|b| b.0).collect(),
                    };
                    let nodes = shared.get(&nodes).cloned().unwrap_or_else(|| {
                        let nodes = Arc::new(nodes);
                        shared.insert(nodes.clone());
                        nodes
                    });
                    let fresh = PartitionMeta {
                        leader: p.leader_id.0,
                        leader_epoch: p.leader_epoch,
                        nodes,
                        error_code: p.error_code,
                    };
                    let known = old
                        .as_ref()
                        .and_then(|m| m.partitions.get(usize::try_from(p.partition_index).ok()?));
                    let newest = match known {
                        Some(known)
                            if fresh.leader_epoch >= 0
                                && known.leader_epoch > fresh.leader_epoch =>
                        {
                            known.clone()
                        }
                        _ => fresh,
                    };
                    (p.partition_index, newest)
                })
                .collect();
            partitions.sort_by_key(|(index, _)| *index);
            // Indices run from 0 without a gap; a broker that says otherwise is not believed beyond the gap.
            let partitions = partitions
                .into_iter()
                .enumerate()
                .take_while(|(i, (index, _))| *i as i32 == *index)
                .map(|(_, (_, meta))| meta)
                .collect();
            let meta = TopicMeta {
                id,
                internal: topic.is_internal,
                partitions,
            };
            self.by_id.insert(id, name.clone());
            self.by_name.insert(name, TopicState::Known(Arc::new(meta)));
        }
    }

    /// Takes a leader hint (KIP-951); true if it is news.
    pub(crate) fn hint(&mut self, topic: &str, partition: i32, leader: i32, epoch: i32) -> bool {
        let Some(TopicState::Known(meta)) = self.by_name.get_mut(topic) else {
            return false;
        };
        let Ok(index) = usize::try_from(partition) else {
            return false;
        };
        match meta.partitions.get(index) {
            Some(known) if known.leader_epoch < epoch => {
                if let Some(p) = Arc::make_mut(meta).partitions.get_mut(index) {
                    p.leader = leader;
                    p.leader_epoch = epoch;
                }
                true
            }
            _ => false,
        }
    }
}
