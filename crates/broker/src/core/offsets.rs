//! Offsets that groups committed.

use std::collections::BTreeMap;

/// One committed position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    pub offset: i64,
    /// -1 if the client did not say.
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
}

/// Committed positions by group, topic and partition.
#[derive(Debug, Default)]
pub struct GroupOffsets(BTreeMap<String, BTreeMap<(String, i32), Committed>>);

impl GroupOffsets {
    pub(crate) fn commit(
        &mut self,
        group: &str,
        topic: &str,
        partition: i32,
        committed: Committed,
    ) {
        self.0
            .entry(group.to_owned())
            .or_default()
            .insert((topic.to_owned(), partition), committed);
    }

    pub(crate) fn get(&self, group: &str, topic: &str, partition: i32) -> Option<&Committed> {
        self.0.get(group)?.get(&(topic.to_owned(), partition))
    }

    /// Everything a group committed, by topic and partition.
    pub fn of_group(&self, group: &str) -> impl Iterator<Item = (&str, i32, &Committed)> {
        self.0
            .get(group)
            .into_iter()
            .flatten()
            .map(|((topic, partition), c)| (topic.as_str(), *partition, c))
    }

    /// Everything, by group.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, i32, &Committed)> {
        self.0.iter().flat_map(|(group, of)| {
            of.iter()
                .map(|((topic, partition), c)| (group.as_str(), topic.as_str(), *partition, c))
        })
    }

    /// Forgets a group. False if it committed nothing.
    pub(crate) fn forget_group(&mut self, group: &str) -> bool {
        self.0.remove(group).is_some()
    }

    /// Forgets one position.
    pub(crate) fn forget(&mut self, group: &str, topic: &str, partition: i32) {
        if let Some(positions) = self.0.get_mut(group) {
            positions.remove(&(topic.to_owned(), partition));
        }
    }

    /// The groups that committed something.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Forgets a topic that was deleted.
    pub(crate) fn forget_topic(&mut self, topic: &str) {
        for group in self.0.values_mut() {
            group.retain(|(t, _), _| t != topic);
        }
    }
}
