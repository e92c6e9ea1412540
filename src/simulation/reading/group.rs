//! What the members of a group share in the simulation's books: who owns what, what was worked on, what was committed.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::{Rc, Weak};

use super::super::oracle::Logs;
use super::seen::Place;
use crate::broker::core::BrokerCore;
use crate::consumer::Consumer;

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// A group's books.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) read_committed: bool,
    members: Vec<Weak<Consumer>>,
    /// Offsets that some member has worked on.
    done: BTreeMap<Place, BTreeSet<i64>>,
    /// How far commits have been looked at.
    looked: BTreeMap<Place, i64>,
    /// Committed over, and not worked on by then; nothing is wrong where nobody can read a record.
    skipped: Vec<(Place, i64)>,
    /// Members that stay away for longer than they may: what these have read and not committed comes again.
    late: usize,
    /// All was read when a member looked; the rest may go.
    pub(super) finished: bool,
}

impl Group {
    pub(super) fn new(name: String, read_committed: bool) -> Self {
        Group {
            name,
            read_committed,
            members: Vec::new(),
            done: BTreeMap::new(),
            looked: BTreeMap::new(),
            skipped: Vec::new(),
            late: 0,
            finished: false,
        }
    }

    pub(super) fn enter(&mut self, member: &Rc<Consumer>) {
        self.members.push(Rc::downgrade(member));
    }

    /// A member's program begins to be too late for `max.poll.interval.ms`, or is back.
    pub(super) fn set_late(&mut self, late: bool) {
        match late {
            true => self.late += 1,
            false => self.late -= 1,
        }
    }

    /// A member has worked on a record.
    pub(super) fn work(&mut self, place: &Place, offset: i64) {
        self.done.entry(place.clone()).or_default().insert(offset);
    }

    /// Nobody owns what another owns, nothing is committed that nobody has worked on.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn look(&mut self, broker: &BrokerCore) -> Result<(), String> {
        self.members.retain(|m| m.strong_count() > 0);
        let mut owners: BTreeMap<Place, String> = BTreeMap::new();
        for member in self.members.iter().filter_map(Weak::upgrade) {
            let (Ok(identity), Ok(assignment)) = (member.group_metadata(), member.assignment())
            else {
                continue;
            };
            // One that the group has put out may not know it yet; and a static member stays in the group where it is
            // too late for a rebalance, which gives its partitions to others (KIP-345).
            let generation = broker.groups.generation_of(&self.name, &identity.member_id);
            let stale = generation != Some(identity.generation) && identity.instance_id.is_some();
            if generation.is_none() || stale {
                continue;
            }
            for (topic, partition) in assignment {
                let place = (topic.to_string(), partition);
                let id = identity.member_id.clone();
                if let Some(other) = owners.insert(place, id.clone()) {
                    return Err(format!(
                        "group {}: {topic}-{partition} is owned by {other} and {id}",
                        self.name
                    ));
                }
            }
        }
        for (topic, partition, committed) in broker.offsets.of_group(&self.name) {
            let place = (topic.to_owned(), partition);
            let looked = self.looked.entry(place.clone()).or_default();
            let done = self.done.get(&place);
            for offset in *looked..committed.offset {
                if !done.is_some_and(|d| d.contains(&offset)) {
                    self.skipped.push((place.clone(), offset));
                }
            }
            *looked = committed.offset.max(*looked);
        }
        Ok(())
    }

    /// Whether members stand at the end of all these partitions.
    pub(super) fn is_at_end(&self, broker: &BrokerCore, places: &BTreeSet<Place>) -> bool {
        // What the late one has not committed somebody must still be there to read.
        if self.late > 0 {
            return false;
        }
        // What one has read that the group has put out is not committed.
        let belongs = |member: &Rc<Consumer>| {
            member.group_metadata().is_ok_and(|m| {
                let known = broker.groups.generation_of(&self.name, &m.member_id);
                known == Some(m.generation)
            })
        };
        let members = self.members.iter().filter_map(Weak::upgrade);
        let members: Vec<Rc<Consumer>> = members.filter(belongs).collect();
        places.iter().all(|(topic, partition)| {
            members
                .iter()
                .any(|m| super::is_at_end(m, broker, topic, *partition))
        })
    }

    /// Everything readable was worked on, and committed once and for all.
    pub(super) fn check(
        &self,
        broker_offsets: &BTreeMap<(String, Place), i64>,
        logs: &Logs,
        places: &BTreeSet<Place>,
    ) -> Result<(), String> {
        let fail = |place: &Place, offset: i64, what: &str| {
            Err(format!(
                "group {}: {}-{}@{offset}: {what}",
                self.name, place.0, place.1
            ))
        };
        for place in places {
            let visible = logs.visible(place, self.read_committed);
            let nothing = BTreeSet::new();
            let done = self.done.get(place).unwrap_or(&nothing);
            if let Some((offset, _)) = visible.iter().find(|(offset, _)| !done.contains(offset)) {
                return fail(place, *offset, "nobody has worked on it");
            }
            let skipped = self.skipped.iter().find(|(p, offset)| {
                p == place && visible.binary_search_by_key(offset, |v| v.0).is_ok()
            });
            if let Some((_, offset)) = skipped {
                return fail(
                    place,
                    *offset,
                    "was committed before anybody had worked on it",
                );
            }
            let committed = broker_offsets
                .get(&(self.name.clone(), place.clone()))
                .copied();
            if let Some((last, _)) = visible.last()
                && committed.is_none_or(|c| c <= *last)
            {
                let what = format!("worked on, and only {committed:?} is committed at the end");
                return fail(place, *last, &what);
            }
        }
        Ok(())
    }
}
