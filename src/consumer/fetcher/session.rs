//! Fetch sessions (KIP-227): the broker remembers what is fetched, and requests carry only what changed.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::error::ErrorCode;
use crate::protocol::fetch::{FetchPartition, FetchTopic, TOPIC_ID_VERSION, TopicRef};
use crate::protocol::wire::TopicId;
use crate::topic::TopicPartition;

/// What a broker was last told of a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) topic_id: TopicId,
    pub(super) offset: i64,
    pub(super) leader_epoch: i32,
    pub(super) last_epoch: i32,
    pub(super) max_bytes: i32,
    /// Ours, not the broker's: the life of the partition that the offset belongs to.
    pub(super) generation: u32,
}

impl Sent {
    fn same_on_the_wire(&self, other: &Sent) -> bool {
        self.topic_id == other.topic_id
            && self.offset == other.offset
            && self.leader_epoch == other.leader_epoch
            && self.last_epoch == other.last_epoch
            && self.max_bytes == other.max_bytes
    }
}

/// What the next request carries.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) session_id: i32,
    pub(super) epoch: i32,
    pub(super) topics: Vec<FetchTopic<FetchPartition>>,
    pub(super) forgotten: Vec<FetchTopic<i32>>,
}

/// The session with one broker. Epoch 0 means that the next request lists everything and asks for a session; if the
/// id is not 0, it also closes the old one.
#[derive(Debug, Default)]
pub(super) struct Session {
    id: i32,
    epoch: i32,
    known: BTreeMap<TopicPartition, Sent>,
    names: HashMap<TopicId, Arc<str>>,
    /// Of the last request.
    version: i16,
}

/// Sorts partitions under their topics, in the order the topics first appear.
fn group<P>(items: impl Iterator<Item = (Arc<str>, TopicId, P)>) -> Vec<FetchTopic<P>> {
    let mut topics: Vec<FetchTopic<P>> = Vec::new();
    let mut places: HashMap<(Arc<str>, TopicId), usize> = HashMap::new();
    for (topic, id, partition) in items {
        let last = topics.len().wrapping_sub(1);
        let at = match topics.last() {
            Some(t) if t.topic == topic && t.id == id => last,
            _ => *places.entry((topic.clone(), id)).or_insert(topics.len()),
        };
        match topics.get_mut(at) {
            Some(t) => t.partitions.push(partition),
            None => topics.push(FetchTopic {
                topic,
                id,
                partitions: vec![partition],
            }),
        }
    }
    topics
}

fn list<'a>(
    changed: impl Iterator<Item = &'a (TopicPartition, Sent)>,
) -> Vec<FetchTopic<FetchPartition>> {
    group(changed.map(|(key, sent)| {
        let partition = FetchPartition {
            partition: key.1,
            current_leader_epoch: sent.leader_epoch,
            offset: sent.offset,
            last_fetched_epoch: sent.last_epoch,
            max_bytes: sent.max_bytes,
        };
        (key.0.clone(), sent.topic_id, partition)
    }))
}

impl Session {
    /// The version of the last request.
    pub(super) fn version(&self) -> i16 {
        self.version
    }

    /// True if the broker remembers what the last request asked for.
    pub(super) fn lasts(&self) -> bool {
        self.epoch != 0
    }

    /// The partitions that are fetched.
    pub(super) fn keys(&self) -> impl Iterator<Item = &TopicPartition> {
        self.known.keys()
    }

    /// True if the broker was told exactly that of a partition.
    pub(super) fn covers(&self, key: &TopicPartition, sent: &Sent) -> bool {
        let known = self.known.get(key);
        known.is_some_and(|known| {
            known.same_on_the_wire(sent) && known.generation == sent.generation
        })
    }

    /// How many partitions are fetched.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Plans a request for the partitions the last one was for, of which only the `changed` may be fetched differently. Of
    /// thousands of partitions most are idle: what is done for an answer must not grow with them.
    pub(super) fn amend(&mut self, mut changed: Vec<(TopicPartition, Sent)>) -> Plan {
        changed.retain(|(key, sent)| {
            let before = self.known.insert(key.clone(), *sent);
            before.is_none_or(|before| !before.same_on_the_wire(sent))
        });
        Plan {
            session_id: self.id,
            epoch: self.epoch,
            topics: list(changed.iter()),
            forgotten: Vec::new(),
        }
    }

    /// Plans a request for exactly the `wanted` partitions.
    pub(super) fn plan(&mut self, version: i16, wanted: Vec<(TopicPartition, Sent)>) -> Plan {
        self.version = version;
        let by_id = version >= TOPIC_ID_VERSION;
        let full = self.epoch == 0;
        let known = std::mem::take(&mut self.known);
        let topics = list(wanted.iter().filter(|(key, sent)| {
            full || known
                .get(key)
                .is_none_or(|before| !before.same_on_the_wire(sent))
        }));
        self.names = wanted
            .iter()
            .map(|(key, sent)| (sent.topic_id, key.0.clone()))
            .collect();
        self.known = wanted.into_iter().collect();
        let still = |key: &TopicPartition, sent: &Sent| {
            self.known
                .get(key)
                .is_some_and(|now| !by_id || now.topic_id == sent.topic_id)
        };
        let gone = known
            .into_iter()
            .filter(|(key, sent)| !full && !still(key, sent));
        let forgotten = group(gone.map(|(key, sent)| (key.0, sent.topic_id, key.1)));
        Plan {
            session_id: self.id,
            epoch: self.epoch,
            topics,
            forgotten,
        }
    }

    /// What a part of the answer is about: the partition and what the broker was told of it.
    pub(super) fn find(&self, topic: &TopicRef, partition: i32) -> Option<(TopicPartition, Sent)> {
        let name = match topic {
            TopicRef::Id(id) => self.names.get(id)?.clone(),
            TopicRef::Name(name) => Arc::from(name.as_str()),
        };
        let key = (name, partition);
        let sent = *self.known.get(&key)?;
        Some((key, sent))
    }

    /// The head of an answer has come; false if its error ended the session.
    pub(super) fn answered(&mut self, error: ErrorCode, session_id: i32) -> bool {
        if error != ErrorCode::NONE {
            if error == ErrorCode::FETCH_SESSION_ID_NOT_FOUND {
                self.id = 0;
            }
            self.epoch = 0;
            return false;
        }
        if self.epoch == 0 {
            self.id = session_id;
            // Without a session, which a busy broker may refuse, every request lists everything.
            self.epoch = i32::from(session_id != 0);
        } else if session_id == self.id {
            self.epoch = self.epoch.checked_add(1).unwrap_or(1);
        } else {
            self.epoch = 0;
        }
        true
    }

    /// A request had no answer: the broker may or may not have taken it in.
    pub(super) fn failed(&mut self) {
        self.epoch = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(id: u8, offset: i64) -> Sent {
        Sent {
            topic_id: [id; 16],
            offset,
            leader_epoch: 1,
            last_epoch: -1,
            max_bytes: 100,
            generation: 0,
        }
    }

    fn key(topic: &str, partition: i32) -> TopicPartition {
        (Arc::from(topic), partition)
    }

    fn listed(plan: &Plan) -> Vec<(String, i32, i64)> {
        let each = plan.topics.iter();
        each.flat_map(|t| {
            t.partitions
                .iter()
                .map(|p| (t.topic.to_string(), p.partition, p.offset))
        })
        .collect()
    }

    fn dropped(plan: &Plan) -> Vec<(u8, i32)> {
        plan.forgotten
            .iter()
            .flat_map(|t| t.partitions.iter().map(|p| (t.id[0], *p)))
            .collect()
    }

    #[test]
    fn requests_after_the_first_carry_only_changes() {
        let mut s = Session::default();
        let plan = s.plan(
            17,
            vec![
                (key("a", 0), sent(1, 5)),
                (key("b", 0), sent(2, 6)),
                (key("a", 1), sent(1, 7)),
            ],
        );
        assert_eq!((plan.session_id, plan.epoch), (0, 0));
        assert_eq!(plan.topics.len(), 2, "a topic is listed once");
        assert!(s.answered(ErrorCode::NONE, 77));
        let plan = s.plan(
            17,
            vec![(key("a", 0), sent(1, 5)), (key("a", 1), sent(1, 8))],
        );
        assert_eq!((plan.session_id, plan.epoch), (77, 1));
        assert_eq!(listed(&plan), [("a".to_owned(), 1, 8)]);
        assert_eq!(dropped(&plan), [(2, 0)]);
        assert!(s.answered(ErrorCode::NONE, 77));
        let again = Sent {
            generation: 3,
            ..sent(1, 5)
        };
        let plan = s.plan(
            17,
            vec![
                (key("a", 0), again),
                (key("a", 1), sent(1, 8)),
                (key("b", 0), sent(2, 6)),
            ],
        );
        assert_eq!(plan.epoch, 2);
        assert_eq!(
            listed(&plan),
            [("b".to_owned(), 0, 6)],
            "the generation is not the broker's business"
        );
        assert_eq!(s.find(&TopicRef::Id([1; 16]), 0).unwrap().1.generation, 3);
        assert!(s.find(&TopicRef::Id([9; 16]), 0).is_none());
    }

    #[test]
    fn what_answers_spoke_of_is_amended() {
        let mut s = Session::default();
        assert!(!s.lasts());
        s.plan(
            17,
            vec![(key("a", 0), sent(1, 5)), (key("a", 1), sent(1, 7))],
        );
        s.answered(ErrorCode::NONE, 77);
        assert!(s.lasts());
        let plan = s.amend(vec![(key("a", 0), sent(1, 5)), (key("a", 1), sent(1, 8))]);
        assert_eq!((plan.session_id, plan.epoch, s.version()), (77, 1, 17));
        assert_eq!(listed(&plan), [("a".to_owned(), 1, 8)]);
        assert_eq!((dropped(&plan), s.len()), (vec![], 2));
        s.answered(ErrorCode::NONE, 77);
        // A whole plan after it knows what was amended.
        let plan = s.plan(17, vec![(key("a", 1), sent(1, 8))]);
        assert_eq!((listed(&plan), dropped(&plan)), (vec![], vec![(1, 0)]));
    }

    #[test]
    fn a_topic_created_anew_replaces_the_old_one() {
        let mut s = Session::default();
        s.plan(17, vec![(key("a", 0), sent(1, 5))]);
        s.answered(ErrorCode::NONE, 7);
        let plan = s.plan(17, vec![(key("a", 0), sent(2, 0))]);
        assert_eq!(dropped(&plan), [(1, 0)]);
        assert_eq!(listed(&plan), [("a".to_owned(), 0, 0)]);
        s.answered(ErrorCode::NONE, 7);
        let plan = s.plan(12, vec![(key("a", 0), sent(3, 0))]);
        assert_eq!(dropped(&plan), [], "by name it is the same topic");
    }

    #[test]
    fn errors_and_losses_begin_a_new_session() {
        let wanted = || vec![(key("a", 0), sent(1, 5))];
        let mut s = Session::default();
        s.plan(17, wanted());
        s.answered(ErrorCode::NONE, 7);
        s.plan(17, wanted());
        assert!(!s.answered(ErrorCode::INVALID_FETCH_SESSION_EPOCH, 0));
        let plan = s.plan(17, wanted());
        assert_eq!(
            (plan.session_id, plan.epoch, listed(&plan).len()),
            (7, 0, 1),
            "closes the old one"
        );
        s.answered(ErrorCode::NONE, 8);
        s.failed();
        assert_eq!(s.plan(17, wanted()).session_id, 8);
        assert!(!s.answered(ErrorCode::FETCH_SESSION_ID_NOT_FOUND, 0));
        let plan = s.plan(17, wanted());
        assert_eq!((plan.session_id, plan.epoch), (0, 0));
        s.answered(ErrorCode::NONE, 0);
        assert_eq!(
            listed(&s.plan(17, wanted())).len(),
            1,
            "no session was given: everything again"
        );
    }
}
