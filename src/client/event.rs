//! What a program tells a consumer, and what a poll answers.

use std::borrow::Cow;
use std::sync::Arc;

use crate::client::to_assign::GroupToAssign;
use crate::error::Error;

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum EventKind {
    /// The position of a partition was moved from [`Event::from`] to [`Event::to`], because the log no longer holds
    /// the records there: this consumer has missed them.
    PositionReset = 1,
    /// A partition cannot be read any more: no records of it are returned until the program seeks or assigns it
    /// again.
    PartitionStopped = 2,
    /// A partition cannot be read at present; the client keeps trying. If a broker's failure can't be attributed to
    /// one partition, [`Event::partitions`] lists all that may be affected.
    PartitionFailing = 3,
    /// A topic cannot be found or may not be read; the client keeps trying.
    TopicFailing = 4,
    /// A topic was deleted and created again: its offsets start over. [`Start::Earliest`](crate::consumer::Start::Earliest), [`Start::Latest`](crate::consumer::Start::Latest) or
    /// [`Start::Timestamp`](crate::consumer::Start::Timestamp) also apply to the new topic, whose records are all later than that start: it is read from
    /// its beginning, or from that timestamp. Partitions that started at an offset, by `auto.offset.reset` or in a
    /// group continue where `auto.offset.reset` says; if that is `latest`, records written before the new topic was
    /// noticed are not read.
    TopicRecreated = 5,
    /// A topic assigned as a whole has grown: partitions [`Event::from`] to [`Event::to`] (exclusive) are read too,
    /// from their beginnings.
    PartitionsAdded = 6,
    /// A broker can't be reached: connections to it have failed for some seconds, or it has not answered a fetch for
    /// `request.timeout.ms`. The client keeps trying, and reports this once until the broker answers a fetch again.
    BrokerUnreachable = 7,
    /// A commit started with [`Consumer::commit_async`](crate::consumer::Consumer::commit_async) has ended, with
    /// [`Event::error`] if it failed.
    OffsetsCommitted = 8,
    /// [`Event::partitions`] were assigned to this member of the group. Their records start at the committed offset,
    /// or where `auto.offset.reset` says; a seek made now takes effect before any record is returned.
    PartitionsAssigned = 9,
    /// [`Event::partitions`] are being revoked, and no more of their records are returned. They belong to this member
    /// until that is acknowledged, by [`Consumer::acknowledge`](crate::consumer::Consumer::acknowledge) or the next poll: until
    /// then records that were read can be committed.
    PartitionsRevoked = 10,
    /// [`Event::partitions`] no longer belong to this member, and may already belong to others: nothing can be
    /// committed.
    PartitionsLost = 11,
    /// The group can't be joined at present, or its coordinator cannot be reached, or positions cannot be committed
    /// in the background; the client keeps trying.
    GroupFailing = 12,
    /// The membership has ended for good, for the reason in [`Event::error`]; subscribe again to rejoin.
    GroupLeft = 13,
    /// Acknowledgements of records in a share group were not carried out, or may not have been, for the reason in
    /// [`Event::error`]: those of a partition from [`Event::from`] to [`Event::to`], exclusive. The records are
    /// delivered again.
    AcknowledgementFailed = 14,
    /// This member leads a group that uses the program's own assignor: assign the partitions of [`Event::group`] to
    /// its members with [`Consumer::assign_group`](crate::consumer::Consumer::assign_group).
    AssignmentWanted = 15,
}

/// An event.
#[derive(Clone, Debug)]
pub struct Event {
    /// The kind of event.
    pub kind: EventKind,
    /// The topic that it is about, if there is one.
    pub topic: Option<Arc<str>>,
    /// The partition that it is about, or -1.
    pub partition: i32,
    /// The position before the event, or the offset where the problem is; -1 if there is none.
    pub from: i64,
    /// The position after the event; -1 if there is none.
    pub to: i64,
    /// The partitions that it is about, for events about several.
    pub partitions: Vec<(Arc<str>, i32)>,
    /// The token of the call that it is about; 0 if there is none.
    pub token: u64,
    /// The reason, and what to do about it.
    pub error: Option<Error>,
    /// The members and topics of a group that is to be assigned partitions.
    pub group: Option<Arc<GroupToAssign>>,
    /// The broker it is about, or -1.
    pub(crate) broker: i32,
}

/// What events that may be merged are about: kind, topic, partition, broker.
pub(crate) type Subject = (EventKind, Option<Arc<str>>, i32, i32);

impl Event {
    /// An event about nothing in particular.
    pub(crate) fn of(kind: EventKind) -> Self {
        Event {
            kind,
            topic: None,
            partition: -1,
            from: -1,
            to: -1,
            partitions: Vec::new(),
            token: 0,
            error: None,
            group: None,
            broker: -1,
        }
    }

    pub(crate) fn of_broker(kind: EventKind, broker: i32, error: Error) -> Self {
        Event {
            broker,
            error: Some(error),
            ..Event::of(kind)
        }
    }

    pub(crate) fn of_partition(
        kind: EventKind,
        topic: &Arc<str>,
        partition: i32,
        (from, to): (i64, i64),
        error: Error,
    ) -> Self {
        Event {
            topic: Some(topic.clone()),
            partition,
            from,
            to,
            error: Some(error),
            ..Event::of(kind)
        }
    }

    pub(crate) fn of_topic(kind: EventKind, topic: &Arc<str>, error: Error) -> Self {
        Event {
            topic: Some(topic.clone()),
            error: Some(error),
            ..Event::of(kind)
        }
    }

    /// What it is about, if a later event about the same may take its place; `None` if a program needs each.
    pub(crate) fn subject(&self) -> Option<Subject> {
        match self.kind {
            EventKind::PositionReset
            | EventKind::PartitionStopped
            | EventKind::PartitionFailing
            | EventKind::TopicFailing
            | EventKind::TopicRecreated
            | EventKind::PartitionsAdded
            | EventKind::BrokerUnreachable
            | EventKind::GroupFailing
            | EventKind::GroupLeft => {
                Some((self.kind, self.topic.clone(), self.partition, self.broker))
            }
            EventKind::OffsetsCommitted
            | EventKind::PartitionsAssigned
            | EventKind::PartitionsRevoked
            | EventKind::PartitionsLost
            | EventKind::AcknowledgementFailed
            | EventKind::AssignmentWanted => None,
        }
    }

    /// Takes the place of an `earlier` event with the same subject that nobody has polled yet; false if both are needed.
    pub(crate) fn replaces(&mut self, earlier: &Event) -> bool {
        match self.kind {
            // One move from where the first began, if nothing lies between the two.
            EventKind::PositionReset | EventKind::PartitionsAdded => {
                let adjoin = earlier.to == self.from;
                if adjoin {
                    self.from = earlier.from;
                }
                adjoin
            }
            _ => true,
        }
    }

    /// Returns what happened and what to do about it, in English.
    pub fn message(&self) -> Cow<'_, str> {
        if let Some(error) = &self.error {
            return Cow::Borrowed(error.message());
        }
        let topic = self.topic.as_deref().unwrap_or_default();
        let words = match self.kind {
            EventKind::PartitionsAssigned if self.partitions.is_empty() => {
                "the group has assigned no partitions to this member: others have all there are"
                    .to_owned()
            }
            EventKind::PartitionsAssigned => {
                format!(
                    "assigned to this member of its group: {}",
                    listed(&self.partitions)
                )
            }
            EventKind::PartitionsRevoked => format!(
                "to be given up, as others of the group take over: {}; acknowledged by the next poll",
                listed(&self.partitions)
            ),
            EventKind::PartitionsLost => format!(
                "no longer this member's, so that nothing can be committed of them: {}",
                listed(&self.partitions)
            ),
            EventKind::PartitionsAdded => format!(
                "topic '{topic}' has grown from {} to {} partitions; the new ones are read from their beginnings",
                self.from, self.to
            ),
            EventKind::OffsetsCommitted => "the offsets were committed".to_owned(),
            EventKind::AssignmentWanted => {
                "this member leads its group: share the partitions out among the members".to_owned()
            }
            EventKind::PositionReset => format!(
                "{topic}-{}: the position was moved from {} to {}",
                self.partition, self.from, self.to
            ),
            EventKind::PartitionStopped => {
                format!("{topic}-{} is no longer read", self.partition)
            }
            EventKind::PartitionFailing => {
                format!("{topic}-{} can't be read at present", self.partition)
            }
            EventKind::TopicFailing => format!("topic '{topic}' can't be read at present"),
            EventKind::TopicRecreated => {
                format!("topic '{topic}' was deleted and created again")
            }
            EventKind::BrokerUnreachable => format!("broker {} can't be reached", self.broker),
            EventKind::GroupFailing => "the group can't be reached at present".to_owned(),
            EventKind::GroupLeft => "the membership in the group has ended".to_owned(),
            EventKind::AcknowledgementFailed => format!(
                "{topic}-{}: acknowledgements from {} to {} were not carried out",
                self.partition, self.from, self.to
            ),
        };
        Cow::Owned(words)
    }
}

/// The first of many partitions, and how many more there are.
pub(crate) fn listed(partitions: &[(Arc<str>, i32)]) -> String {
    const SHOWN: usize = 10;
    let names: Vec<String> = partitions
        .iter()
        .take(SHOWN)
        .map(|(topic, index)| format!("{topic}-{index}"))
        .collect();
    let text = if names.is_empty() {
        "no partitions".to_owned()
    } else {
        names.join(", ")
    };
    match partitions.len().saturating_sub(SHOWN) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [EventKind; 15] = [
        EventKind::PositionReset,
        EventKind::PartitionStopped,
        EventKind::PartitionFailing,
        EventKind::TopicFailing,
        EventKind::TopicRecreated,
        EventKind::PartitionsAdded,
        EventKind::BrokerUnreachable,
        EventKind::OffsetsCommitted,
        EventKind::PartitionsAssigned,
        EventKind::PartitionsRevoked,
        EventKind::PartitionsLost,
        EventKind::GroupFailing,
        EventKind::GroupLeft,
        EventKind::AcknowledgementFailed,
        EventKind::AssignmentWanted,
    ];

    #[test]
    fn every_event_has_words() {
        for kind in KINDS {
            let mut event = Event::of(kind);
            assert!(!event.message().is_empty(), "{kind:?} of nothing");
            event.partitions = (0..12).map(|i| (Arc::from("t"), i)).collect();
            let words = event.message().into_owned();
            assert!(!words.is_empty(), "{kind:?}");
            if event.kind == EventKind::PartitionsRevoked {
                assert!(words.contains("t-9 and 2 more"), "{words}");
            }
        }
    }
}
