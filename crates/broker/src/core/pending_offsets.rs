//! Offsets that were committed in transactions whose end is not known yet.

use std::collections::BTreeMap;

use super::offsets::{Committed, GroupOffsets};
use super::transactions::{Identity, offsets_partition};

/// A position of a partition, to count if the transaction is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pending {
    pub(crate) group: String,
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) committed: Committed,
    /// A commit outside of transactions came later, and counts.
    pub(crate) overtaken: bool,
}

#[derive(Debug)]
struct Producer {
    epoch: i16,
    pending: Vec<Pending>,
}

/// Pending offsets by the partition of `__consumer_offsets` that Kafka would keep them in, then by producer: a
/// marker in such a partition decides about all that the producer has there.
#[derive(Debug, Default)]
pub(crate) struct PendingOffsets(BTreeMap<(i32, i64), Producer>);

impl PendingOffsets {
    /// Whether a producer has offsets of its transaction in a partition; `None` if its epoch is older than one seen.
    pub(crate) fn is_in_transaction(&self, partition: i32, producer: Identity) -> Option<bool> {
        match self.0.get(&(partition, producer.id)) {
            Some(known) if producer.epoch < known.epoch => None,
            Some(known) => Some(known.epoch == producer.epoch && !known.pending.is_empty()),
            None => Some(false),
        }
    }

    /// Keeps a position until the transaction ends; a later one of the same partition takes its place.
    pub(crate) fn add(&mut self, producer: Identity, pending: Pending) {
        let key = (offsets_partition(&pending.group), producer.id);
        let of = self.0.entry(key).or_insert(Producer {
            epoch: producer.epoch,
            pending: Vec::new(),
        });
        of.epoch = producer.epoch;
        of.pending.retain(|p| {
            (&p.group, &p.topic, p.partition) != (&pending.group, &pending.topic, pending.partition)
        });
        of.pending.push(pending);
    }

    /// A marker came into a partition: what the producer had pending there counts, or not.
    pub(crate) fn ended(
        &mut self,
        partition: i32,
        producer: Identity,
        commit: bool,
        offsets: &mut GroupOffsets,
    ) {
        let Some(of) = self.0.get_mut(&(partition, producer.id)) else {
            return;
        };
        // Its epoch is remembered, so that a late request of before is refused.
        of.epoch = producer.epoch;
        for p in of.pending.drain(..).filter(|p| commit && !p.overtaken) {
            offsets.commit(&p.group, &p.topic, p.partition, p.committed);
        }
    }

    /// A position was committed outside of transactions; what is pending from before comes too late.
    pub(crate) fn overtake(&mut self, group: &str, topic: &str, partition: i32) {
        for p in self.of_group_mut(group) {
            if p.topic == topic && p.partition == partition {
                p.overtaken = true;
            }
        }
    }

    fn of_group_mut(&mut self, group: &str) -> impl Iterator<Item = &mut Pending> {
        let at = offsets_partition(group);
        self.0
            .range_mut((at, i64::MIN)..=(at, i64::MAX))
            .flat_map(|(_, of)| &mut of.pending)
            .filter(move |p| p.group == group)
    }

    /// Whether the position of a partition may change when a transaction ends.
    pub(crate) fn is_unstable(&self, group: &str, topic: &str, partition: i32) -> bool {
        let at = offsets_partition(group);
        self.0
            .range((at, i64::MIN)..=(at, i64::MAX))
            .flat_map(|(_, of)| &of.pending)
            .any(|p| p.group == group && p.topic == topic && p.partition == partition)
    }

    /// Everything that is pending, with its producer.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Identity, &Pending)> {
        self.0.iter().flat_map(|(&(_, id), of)| {
            let producer = Identity {
                id,
                epoch: of.epoch,
            };
            of.pending.iter().map(move |p| (producer, p))
        })
    }

    /// Forgets a topic that was deleted.
    pub(crate) fn forget_topic(&mut self, topic: &str) {
        for of in self.0.values_mut() {
            of.pending.retain(|p| p.topic != topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(partition: i32, offset: i64) -> Pending {
        Pending {
            group: "g".to_owned(),
            topic: "t".to_owned(),
            partition,
            committed: Committed {
                offset,
                leader_epoch: -1,
                metadata: String::new(),
            },
            overtaken: false,
        }
    }

    #[test]
    fn what_is_pending_counts_once_committed_and_never_over_a_later_commit() {
        let (mut all, mut offsets) = (PendingOffsets::default(), GroupOffsets::default());
        let (at, who) = (offsets_partition("g"), Identity { id: 7, epoch: 2 });
        for p in [pending(0, 1), pending(0, 5), pending(1, 6), pending(2, 7)] {
            all.add(who, p);
        }
        all.overtake("g", "t", 2);
        assert!(all.is_unstable("g", "t", 0) && !all.is_unstable("g", "t", 9));
        assert_eq!(all.is_in_transaction(at, who), Some(true));
        assert_eq!(
            all.is_in_transaction(at, Identity { epoch: 1, ..who }),
            None
        );
        all.ended(at, who, true, &mut offsets);
        let kept: Vec<_> = offsets
            .of_group("g")
            .map(|(_, p, c)| (p, c.offset))
            .collect();
        assert_eq!(kept, [(0, 5), (1, 6)]);
        assert!(!all.is_unstable("g", "t", 0));

        all.add(who, pending(0, 99));
        all.ended(at, who, false, &mut offsets);
        assert_eq!(offsets.get("g", "t", 0).map(|c| c.offset), Some(5));
    }
}
