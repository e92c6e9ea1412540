//! A strategy of the program's own: what it is asked as the group's leader, and whether its answer can be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::client::to_assign::{GroupMember, GroupToAssign};
use crate::config::Assignor;
use crate::error::{Error, Result};
use crate::group::assignors::{Member, Shares, Topics};
use crate::topic::TopicPartition;

/// A strategy of the program's own, for [`Consumer::set_assignor`](crate::consumer::Consumer::set_assignor).
#[derive(Clone, Debug, Default)]
pub struct OwnAssignor {
    /// By which the members of a group agree on it.
    pub name: String,
    /// What this member tells the leader besides its topics and partitions.
    pub user_data: Option<Vec<u8>>,
    /// Members keep reading what they keep through a rebalance (KIP-429): what is to change hands must be left out until
    /// who has it does not name it any more.
    pub cooperative: bool,
}

/// A strategy that a group may agree on.
#[derive(Clone, Debug)]
pub(crate) enum Strategy {
    Known(Assignor),
    Own(Arc<OwnAssignor>),
}

impl Strategy {
    pub(crate) fn name(&self) -> &str {
        match self {
            Strategy::Known(assignor) => assignor.name(),
            Strategy::Own(own) => &own.name,
        }
    }

    pub(crate) fn cooperative(&self) -> bool {
        match self {
            Strategy::Known(assignor) => assignor.cooperative(),
            Strategy::Own(own) => own.cooperative,
        }
    }
}

impl GroupToAssign {
    pub(crate) fn new(members: &[Member], topics: &Topics) -> Self {
        let member = |m: &Member| GroupMember {
            id: m.id.clone(),
            instance_id: m.instance_id.clone(),
            topics: m.topics.iter().cloned().collect(),
            owned: m.owned.clone(),
            user_data: m.user_data.as_ref().map(|data| data.to_vec()),
            rack: m.rack.clone(),
        };
        let count = |p: &Vec<BTreeSet<String>>| i32::try_from(p.len()).unwrap_or(i32::MAX);
        GroupToAssign {
            members: members.iter().map(member).collect(),
            topics: topics.iter().map(|(t, p)| (t.clone(), count(p))).collect(),
        }
    }

    /// The answer as the members get it; who is not named gets nothing.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a member that there is not, a partition that there is not, one that its member does not
    /// subscribe to, one given twice.
    pub(crate) fn check<'a>(
        &self,
        given: impl IntoIterator<Item = (&'a str, &'a str, i32)>,
    ) -> Result<Shares> {
        let members: BTreeMap<&str, &GroupMember> =
            self.members.iter().map(|m| (&*m.id, m)).collect();
        let topics: BTreeMap<&str, (&Arc<str>, i32)> =
            self.topics.iter().map(|(t, n)| (&**t, (t, *n))).collect();
        let mut shares: Shares = members
            .keys()
            .map(|id| ((*id).to_owned(), BTreeSet::new()))
            .collect();
        let mut owners: BTreeMap<TopicPartition, &str> = BTreeMap::new();
        for (id, topic, partition) in given {
            let wrong = |why: &str| {
                Error::argument(format!(
                    "sharing out the group: {topic}-{partition} is given to member '{id}': {why}"
                ))
            };
            let (Some(member), Some(share)) = (members.get(id), shares.get_mut(id)) else {
                return Err(wrong("the group has no such member"));
            };
            let Some((name, count)) = topics.get(topic) else {
                return Err(wrong(
                    "nobody subscribes to that topic, or it does not exist",
                ));
            };
            if !(0..*count).contains(&partition) {
                return Err(wrong(&format!(
                    "the topic has {count} partitions, counted from 0"
                )));
            }
            if !member.topics.contains(name) {
                return Err(wrong("it does not subscribe to that topic"));
            }
            let key = ((*name).clone(), partition);
            if let Some(other) = owners.insert(key.clone(), id) {
                return Err(wrong(&format!("member '{other}' is given it too")));
            }
            share.insert(key);
        }
        Ok(shares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_cannot_be_are_refused() {
        let topic: Arc<str> = Arc::from("t");
        let member = |id: &str, topics: Vec<Arc<str>>| GroupMember {
            id: id.to_owned(),
            topics,
            ..GroupMember::default()
        };
        let ask = GroupToAssign {
            members: vec![member("a", vec![topic.clone()]), member("b", vec![])],
            topics: vec![(topic, 2)],
        };
        let shares = ask.check([("a", "t", 0), ("a", "t", 1)]).unwrap();
        assert_eq!((shares["a"].len(), shares["b"].len()), (2, 0));
        for (given, why) in [
            (vec![("c", "t", 0)], "no such member"),
            (vec![("a", "u", 0)], "nobody subscribes"),
            (vec![("a", "t", 2)], "has 2 partitions"),
            (vec![("a", "t", -1)], "has 2 partitions"),
            (vec![("b", "t", 0)], "does not subscribe"),
            (vec![("a", "t", 0), ("a", "t", 0)], "given it too"),
        ] {
            let error = ask.check(given).unwrap_err();
            assert!(error.message().contains(why), "{error}");
        }
    }
}
