//! Who is in a share group, and which partitions each member reads: several members may read the same (KIP-932).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ottla_base::error::ErrorCode;
use uuid::Uuid;

use crate::log::Refused;

/// Partitions by topic id.
pub(crate) type Assignment = BTreeSet<(Uuid, i32)>;

/// One member.
#[derive(Clone, Debug, Default)]
pub(crate) struct Member {
    pub(crate) epoch: i32,
    previous_epoch: i32,
    pub(crate) rack: Option<String>,
    pub(crate) topics: BTreeSet<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) assigned: Assignment,
    /// When its session ends.
    pub(crate) expires: Duration,
}

/// A heartbeat.
#[derive(Debug)]
pub(crate) struct Beat {
    pub(crate) member: String,
    pub(crate) epoch: i32,
    pub(crate) rack: Option<String>,
    /// `None`: as before.
    pub(crate) topics: Option<BTreeSet<String>>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
}

/// What a heartbeat is answered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Beaten {
    pub(crate) epoch: i32,
    /// Where it changed, or the member asked for it.
    pub(crate) assignment: Option<Assignment>,
}

/// One group.
#[derive(Clone, Debug, Default)]
pub(crate) struct ShareGroup {
    /// The node that coordinated it when that was last looked at.
    pub(crate) node: Option<i32>,
    pub(crate) epoch: i32,
    pub(crate) members: BTreeMap<String, Member>,
    /// The partitions there were when the epoch began.
    known: BTreeMap<String, (Uuid, i32)>,
}

impl ShareGroup {
    /// Kafka's name of its state.
    pub(crate) fn state_name(&self) -> &'static str {
        if self.members.is_empty() {
            "Empty"
        } else {
            "Stable"
        }
    }

    /// Takes a heartbeat. `topics` knows id and number of partitions of a topic.
    ///
    /// # Errors
    /// What Kafka answers.
    pub(crate) fn beat(
        &mut self,
        name: &str,
        beat: Beat,
        expires: Duration,
        topics: impl Fn(&str) -> Option<(Uuid, i32)>,
    ) -> Result<Beaten, Refused> {
        self.check_member(name, &beat)?;
        let is_full = beat.epoch == 0 || beat.topics.is_some();
        let joins = !self.members.contains_key(&beat.member);
        let member = self.members.entry(beat.member.clone()).or_default();
        let mut changed = joins;
        if let Some(wanted) = beat.topics
            && member.topics != wanted
        {
            member.topics = wanted;
            changed = true;
        }
        if beat.rack.is_some() {
            member.rack = beat.rack;
        }
        member.client_id = beat.client_id;
        member.client_host = beat.client_host;
        member.expires = expires;
        let wanted: BTreeSet<&String> = self.members.values().flat_map(|m| &m.topics).collect();
        let there = wanted
            .into_iter()
            .filter_map(|t| Some((t.clone(), topics(t)?)));
        let there: BTreeMap<String, (Uuid, i32)> = there.collect();
        if there != self.known {
            self.known = there;
            changed = true;
        }
        if changed {
            self.epoch += 1;
        }
        let assignment = self.assignment_of(&beat.member);
        let epoch = self.epoch;
        let Some(member) = self.members.get_mut(&beat.member) else {
            return Err(Refused::plain(ErrorCode::UNKNOWN_MEMBER_ID));
        };
        if member.epoch != epoch {
            member.previous_epoch = member.epoch;
            member.epoch = epoch;
        }
        let is_new = member.assigned != assignment;
        member.assigned.clone_from(&assignment);
        Ok(Beaten {
            epoch,
            assignment: (is_full || is_new).then_some(assignment),
        })
    }

    fn check_member(&self, name: &str, beat: &Beat) -> Result<(), Refused> {
        let Some(member) = self.members.get(&beat.member) else {
            return if beat.epoch == 0 {
                Ok(())
            } else {
                let words = format!("Member {} is not a member of group {name}.", beat.member);
                Err(Refused::new(ErrorCode::UNKNOWN_MEMBER_ID, words))
            };
        };
        if beat.epoch > member.epoch {
            let words = format!(
                "The share group member has a greater member epoch ({}) than the one known by the group coordinator \
                 ({}). The member must abandon all its partitions and rejoin.",
                beat.epoch, member.epoch
            );
            return Err(Refused::new(ErrorCode::FENCED_MEMBER_EPOCH, words));
        }
        // The answer with the newest epoch may have been lost.
        if beat.epoch > 0 && beat.epoch < member.epoch && beat.epoch != member.previous_epoch {
            let words = format!(
                "The share group member has a smaller member epoch ({}) than the one known by the group coordinator \
                 ({}). The member must abandon all its partitions and rejoin.",
                beat.epoch, member.epoch
            );
            return Err(Refused::new(ErrorCode::FENCED_MEMBER_EPOCH, words));
        }
        Ok(())
    }

    /// The partitions are dealt out round among those who want the topic; where there are fewer partitions than
    /// members, they are dealt out again, so that everybody has one.
    fn assignment_of(&self, member: &str) -> Assignment {
        let mut assigned = Assignment::new();
        for (topic, &(id, partitions)) in &self.known {
            let readers: Vec<&String> = self
                .members
                .iter()
                .filter(|(_, m)| m.topics.contains(topic))
                .map(|(name, _)| name)
                .collect();
            let Some(place) = readers.iter().position(|name| *name == member) else {
                continue;
            };
            let rounds = readers.len().max(partitions as usize);
            for i in (place..rounds).step_by(readers.len()) {
                assigned.insert((id, i as i32 % partitions.max(1)));
            }
        }
        assigned
    }

    /// A member leaves, or its session is over. False if there is none of this name.
    pub(crate) fn remove(&mut self, member: &str) -> bool {
        let known = self.members.remove(member).is_some();
        if known {
            self.epoch += 1;
        }
        known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(group: &mut ShareGroup, member: &str, epoch: i32) -> Result<Beaten, ErrorCode> {
        let beat = Beat {
            member: member.to_owned(),
            epoch,
            rack: None,
            topics: (epoch == 0).then(|| BTreeSet::from(["t".to_owned()])),
            client_id: String::new(),
            client_host: String::new(),
        };
        group
            .beat("g", beat, Duration::ZERO, |_| Some((Uuid::nil(), 2)))
            .map_err(|refused| refused.code)
    }

    fn partitions(group: &ShareGroup, member: &str) -> Vec<i32> {
        group.members[member].assigned.iter().map(|p| p.1).collect()
    }

    #[test]
    fn members_come_share_and_go() {
        let mut group = ShareGroup::default();
        let first = beat(&mut group, "a", 0).unwrap();
        assert_eq!((first.epoch, first.assignment.unwrap().len()), (1, 2));
        for other in ["b", "c"] {
            beat(&mut group, other, 0).unwrap();
        }
        let again = beat(&mut group, "a", 1).unwrap();
        assert_eq!(again.epoch, 3);
        assert!(again.assignment.is_some(), "it changed");
        assert_eq!(beat(&mut group, "a", 3).unwrap().assignment, None);
        assert_eq!(beat(&mut group, "a", 1).unwrap().epoch, 3, "asked again");
        beat(&mut group, "b", 2).unwrap();
        let all = ["a", "b", "c"].map(|m| partitions(&group, m));
        assert_eq!(all, [vec![0], vec![1], vec![0]]);
        assert!(group.remove("a") && !group.remove("a"));
        beat(&mut group, "b", 3).unwrap();
        assert_eq!(partitions(&group, "b"), [0]);
    }

    #[test]
    fn strangers_and_wrong_epochs_are_refused() {
        let mut group = ShareGroup::default();
        assert_eq!(beat(&mut group, "a", 3), Err(ErrorCode::UNKNOWN_MEMBER_ID));
        beat(&mut group, "a", 0).unwrap();
        beat(&mut group, "b", 0).unwrap();
        beat(&mut group, "a", 1).unwrap();
        beat(&mut group, "c", 0).unwrap();
        beat(&mut group, "a", 2).unwrap();
        assert_eq!(
            beat(&mut group, "a", 9),
            Err(ErrorCode::FENCED_MEMBER_EPOCH)
        );
        assert_eq!(
            beat(&mut group, "a", 1),
            Err(ErrorCode::FENCED_MEMBER_EPOCH)
        );
    }
}
