//! A member of a group of the new protocol (KIP-848), and how it gets from what it has to what it is to have.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

/// Partitions by topic.
pub(crate) type Partitions = BTreeMap<Uuid, BTreeSet<i32>>;
/// Partitions that a member holds, each with the member epoch since which it does.
pub(crate) type Held = BTreeMap<Uuid, BTreeMap<i32, i32>>;

/// Kafka's member states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberState {
    /// It has what it is to have.
    Stable,
    /// It was told to give partitions up and has not said yet that it did.
    UnrevokedPartitions,
    /// Others still hold partitions that are to become its own.
    UnreleasedPartitions,
}

/// What a member that speaks the classic protocol has said by JoinGroup, and what it owes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClassicMetadata {
    pub(crate) session_timeout: Duration,
    /// Names and metadata of the assignors it has, the one it likes best first.
    pub(crate) protocols: Vec<(String, Bytes)>,
    /// Until when it has to join again, once it was told to.
    pub(crate) join_limit: Option<Duration>,
    /// Until when it has to have asked for its assignment.
    pub(crate) sync_limit: Option<Duration>,
}

impl ClassicMetadata {
    /// The assignor it likes best; what it says with the others is the same.
    pub(crate) fn protocol(&self) -> (&str, &Bytes) {
        static NOTHING: Bytes = Bytes::new();
        let first = self.protocols.first();
        first.map_or(("", &NOTHING), |(name, metadata)| (name.as_str(), metadata))
    }
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ModernMember {
    pub(crate) instance: Option<String>,
    pub(crate) rack: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) assignor: Option<String>,
    pub(crate) topics: BTreeSet<String>,
    pub(crate) regex: Option<String>,
    pub(crate) epoch: i32,
    pub(crate) previous_epoch: i32,
    pub(crate) state: MemberState,
    pub(crate) assigned: Held,
    pub(crate) revoking: Held,
    /// When its session ends.
    pub(crate) expires: Duration,
    /// Until when it has to have given up what it was told to.
    pub(crate) revoke_limit: Option<Duration>,
    /// Of a member that speaks the classic protocol in this group.
    pub(crate) classic: Option<ClassicMetadata>,
}

impl ModernMember {
    pub(crate) fn new(instance: Option<String>) -> Self {
        Self {
            instance,
            rack: None,
            client_id: String::new(),
            client_host: String::new(),
            rebalance_timeout: Duration::ZERO,
            assignor: None,
            topics: BTreeSet::new(),
            regex: None,
            epoch: 0,
            previous_epoch: -1,
            state: MemberState::Stable,
            assigned: Held::new(),
            revoking: Held::new(),
            expires: Duration::ZERO,
            revoke_limit: None,
            classic: None,
        }
    }

    /// When something about it is due: its session or what it has to do ends.
    pub(crate) fn deadline(&self) -> Duration {
        let classic = self.classic.as_ref();
        let limits = classic
            .into_iter()
            .flat_map(|c| [c.join_limit, c.sync_limit]);
        let all = limits.chain([self.revoke_limit]).flatten();
        all.fold(self.expires, Duration::min)
    }

    /// Whether nothing is left to do for it to have the target of this epoch.
    pub(crate) fn has_reached(&self, target_epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == target_epoch
    }

    /// Whether it holds a partition, or has not given it up yet.
    pub(crate) fn holds(&self, topic: Uuid, partition: i32) -> bool {
        held_since(&self.assigned, topic, partition).is_some()
            || held_since(&self.revoking, topic, partition).is_some()
    }

    /// All it holds, what it is giving up among it.
    pub(crate) fn holdings(&self) -> Partitions {
        let mut all = partitions_of(&self.assigned);
        for (topic, of) in partitions_of(&self.revoking) {
            all.entry(topic).or_default().extend(of);
        }
        all
    }

    /// Since which member epoch it holds a partition.
    pub(crate) fn holds_since(&self, topic: Uuid, partition: i32) -> Option<i32> {
        held_since(&self.assigned, topic, partition)
            .or_else(|| held_since(&self.revoking, topic, partition))
    }

    /// One step towards `target`. `owned` is what the client says it holds, if it says so; `free` whether nobody
    /// holds a partition.
    pub(crate) fn reconcile(
        &mut self,
        target_epoch: i32,
        target: &Partitions,
        owned: Option<&Partitions>,
        free: impl Fn(Uuid, i32) -> bool,
    ) {
        match self.state {
            MemberState::Stable if self.epoch == target_epoch => {}
            MemberState::UnrevokedPartitions if still_owns(owned, &self.revoking) => {}
            MemberState::Stable
            | MemberState::UnreleasedPartitions
            | MemberState::UnrevokedPartitions => self.step(target_epoch, target, owned, free),
        }
    }

    fn step(
        &mut self,
        target_epoch: i32,
        target: &Partitions,
        owned: Option<&Partitions>,
        free: impl Fn(Uuid, i32) -> bool,
    ) {
        let (mut kept, mut revoking) = (Held::new(), Held::new());
        for (topic, partitions) in &self.assigned {
            for (&partition, &since) in partitions {
                let stays = target.get(topic).is_some_and(|t| t.contains(&partition));
                let to = if stays { &mut kept } else { &mut revoking };
                to.entry(*topic).or_default().insert(partition, since);
            }
        }
        let mut unreleased = false;
        let mut added = Vec::new();
        for (topic, partitions) in target {
            for &partition in partitions {
                if held_since(&kept, *topic, partition).is_some() {
                    continue;
                }
                // What it was giving up itself may be its own again.
                let own = held_since(&self.revoking, *topic, partition).is_some();
                if own || free(*topic, partition) {
                    added.push((*topic, partition));
                } else {
                    unreleased = true;
                }
            }
        }
        let to_revoke = !revoking.is_empty() && still_owns(owned, &revoking);
        self.previous_epoch = self.epoch;
        self.assigned = kept;
        if to_revoke {
            // It stays in its epoch until it says that it has given them up.
            self.revoking = revoking;
            self.state = MemberState::UnrevokedPartitions;
            return;
        }
        for (topic, partition) in added {
            let of_topic = self.assigned.entry(topic).or_default();
            of_topic.insert(partition, target_epoch);
        }
        self.revoking.clear();
        self.epoch = target_epoch;
        self.state = if unreleased {
            MemberState::UnreleasedPartitions
        } else {
            MemberState::Stable
        };
    }
}

/// Whether the client holds any of `held` by its own account; if it says nothing, it may.
fn still_owns(owned: Option<&Partitions>, held: &Held) -> bool {
    let Some(owned) = owned else { return true };
    held.iter().any(|(topic, partitions)| {
        let owned = owned.get(topic);
        owned.is_some_and(|o| partitions.keys().any(|p| o.contains(p)))
    })
}

fn held_since(held: &Held, topic: Uuid, partition: i32) -> Option<i32> {
    held.get(&topic)?.get(&partition).copied()
}

/// Without the epochs.
pub(crate) fn partitions_of(held: &Held) -> Partitions {
    held.iter()
        .map(|(topic, of)| (*topic, of.keys().copied().collect()))
        .collect()
}
