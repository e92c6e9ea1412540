//! Who reads what: the strategies by which a classic group's leader shares partitions out.
//!
//! They need not decide exactly as Java's do, since one member decides for all; but what a member tells the leader
//! ([`super::metadata`]) has to be what any client's strategy of that name reads.

mod range;
mod roundrobin;
mod sticky;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::config::Assignor;
use crate::topic::TopicPartition;

/// A member as the leader sees it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member {
    pub(crate) id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) topics: BTreeSet<Arc<str>>,
    /// What it says it has, and the generation it got that in (-1 if it does not say).
    pub(crate) owned: Vec<TopicPartition>,
    pub(crate) generation: i32,
    pub(crate) rack: Option<String>,
    /// What its strategy tells besides.
    pub(crate) user_data: Option<bytes::Bytes>,
}

impl Member {
    /// Static members come first, in the order of their instance ids, which outlive a member's id.
    fn order(&self, other: &Member) -> Ordering {
        match (&self.instance_id, &other.instance_id) {
            (Some(own), Some(their)) => own.cmp(their),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => self.id.cmp(&other.id),
        }
    }
}

/// The partitions of each topic: the racks of each one's replicas.
pub(crate) type Topics = BTreeMap<Arc<str>, Vec<BTreeSet<String>>>;

/// What each member gets, by its id; all members are in it.
pub(crate) type Shares = BTreeMap<String, BTreeSet<TopicPartition>>;

impl Assignor {
    /// True if members keep reading what they keep through a rebalance.
    pub(crate) fn cooperative(self) -> bool {
        self == Assignor::CooperativeSticky
    }

    /// Shares out the partitions of all topics that someone wants.
    pub(crate) fn assign(self, members: &[Member], topics: &Topics) -> Shares {
        let mut sorted: Vec<&Member> = members.iter().collect();
        sorted.sort_by(|a, b| a.order(b));
        match self {
            Assignor::Range => range::assign(&sorted, topics),
            Assignor::RoundRobin => roundrobin::assign(&sorted, topics),
            Assignor::Sticky => sticky::assign(&sorted, topics),
            Assignor::CooperativeSticky => sticky::assign_cooperatively(&sorted, topics),
        }
    }
}

/// Nothing for anyone, yet.
fn nothing(members: &[&Member]) -> Shares {
    members
        .iter()
        .map(|m| (m.id.clone(), BTreeSet::new()))
        .collect()
}

fn give(shares: &mut Shares, member: &str, key: TopicPartition) {
    if let Some(share) = shares.get_mut(member) {
        share.insert(key);
    }
}
