//! Each topic's partitions in ranges. Topics of equally many partitions and the same members are shared out alike, so
//! that who reads partition 3 of one reads partition 3 of the other. Where members and replicas tell their racks, each
//! member is given partitions with a replica in its own rack first, as far as that leaves the shares even (KIP-881).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::group::assignors::{Member, Shares, Topics, give, nothing};

/// A topic being shared out.
struct Sharing<'a> {
    topic: &'a Arc<str>,
    racks: &'a [BTreeSet<String>],
    members: Vec<&'a Member>,
    given: Vec<usize>,
    left: BTreeSet<usize>,
    each: usize,
    /// Members that may still get one more than `each`.
    extra: usize,
    by_rack: bool,
}

pub(crate) fn assign(members: &[&Member], topics: &Topics) -> Shares {
    let mut shares = nothing(members);
    let mut all: Vec<Sharing> = topics
        .iter()
        .filter_map(|(topic, racks)| Sharing::new(topic, racks, members))
        .collect();
    if all.iter().any(|s| s.by_rack) {
        by_rack(&mut all, &mut shares);
    }
    for sharing in &mut all {
        sharing.ranges(&mut shares, |_, _| true);
    }
    shares
}

/// What has a replica in its member's rack, as far as that goes.
fn by_rack(all: &mut [Sharing], shares: &mut Shares) {
    let mut alike: BTreeMap<(Vec<&str>, usize), Vec<usize>> = BTreeMap::new();
    for (i, sharing) in all.iter().enumerate() {
        let ids = sharing.members.iter().map(|m| &*m.id).collect();
        alike.entry((ids, sharing.racks.len())).or_default().push(i);
    }
    let alike: Vec<Vec<usize>> = alike.into_values().collect();
    for places in alike {
        if let [only] = places[..] {
            if all.get(only).is_some_and(|s| s.by_rack) {
                all[only].ranges(shares, |_, matches| matches);
            }
            continue;
        }
        // The same member for the same partition of all of them, or none of them for now.
        let Some((partitions, members)) = places
            .first()
            .and_then(|i| all.get(*i))
            .map(|s| (s.racks.len(), s.members.len()))
        else {
            continue;
        };
        for index in 0..partitions {
            let fits = |m: &usize| {
                places
                    .iter()
                    .filter_map(|i| all.get(*i))
                    .all(|s| s.matches(*m, index) && s.room(*m) > 0)
            };
            if let Some(member) = (0..members).find(fits) {
                for place in &places {
                    if let Some(sharing) = all.get_mut(*place) {
                        sharing.give(shares, member, &[index]);
                    }
                }
            }
        }
    }
}

impl<'a> Sharing<'a> {
    fn new(
        topic: &'a Arc<str>,
        racks: &'a [BTreeSet<String>],
        members: &[&'a Member],
    ) -> Option<Self> {
        let wants = members.iter().filter(|m| m.topics.contains(topic));
        let members: Vec<&Member> = wants.copied().collect();
        if members.is_empty() || racks.is_empty() {
            return None;
        }
        let every: BTreeSet<&String> = racks.iter().flatten().collect();
        let known = |m: &&Member| m.rack.as_ref().is_some_and(|r| every.contains(r));
        let differ = racks
            .iter()
            .any(|of_one| of_one.iter().collect::<BTreeSet<_>>() != every);
        Some(Sharing {
            topic,
            racks,
            given: vec![0; members.len()],
            left: (0..racks.len()).collect(),
            each: racks.len() / members.len(),
            extra: racks.len() % members.len(),
            by_rack: differ && members.iter().any(known),
            members,
        })
    }

    fn matches(&self, member: usize, partition: usize) -> bool {
        let rack = self.members.get(member).and_then(|m| m.rack.as_ref());
        rack.is_none_or(|rack| self.racks.get(partition).is_some_and(|r| r.contains(rack)))
    }

    /// How many more a member may get.
    fn room(&self, member: usize) -> usize {
        let most = self.each + usize::from(self.extra > 0);
        most.saturating_sub(self.given.get(member).copied().unwrap_or(most))
    }

    fn give(&mut self, shares: &mut Shares, member: usize, partitions: &[usize]) {
        let (Some(owner), Some(given)) = (self.members.get(member), self.given.get_mut(member))
        else {
            return;
        };
        let before = *given;
        *given += partitions.len();
        if before <= self.each && *given > self.each {
            self.extra = self.extra.saturating_sub(1);
        }
        for partition in partitions {
            self.left.remove(partition);
            give(shares, &owner.id, (self.topic.clone(), *partition as i32));
        }
    }

    fn ranges(&mut self, shares: &mut Shares, may: impl Fn(usize, bool) -> bool) {
        for member in 0..self.members.len() {
            let fits = |p: &&usize| may(member, self.matches(member, **p));
            let range: Vec<usize> = self
                .left
                .iter()
                .filter(fits)
                .take(self.room(member))
                .copied()
                .collect();
            if !range.is_empty() {
                self.give(shares, member, &range);
            }
        }
    }
}
