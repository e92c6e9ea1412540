//! What a program tells a consumer, and what a poll answers.

use std::sync::Arc;

use super::batch::Batch;
use super::group::GroupToAssign;
use crate::error::Error;

/// Where reading a partition starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record the log holds.
    Earliest,
    /// After the newest record (with `isolation.level=read_committed`: at the first open transaction).
    Latest,
    /// At this offset.
    Offset(i64),
    /// At the first record whose timestamp is this or later, in milliseconds since 1970; at the end if there is none.
    Timestamp(i64),
    /// As `auto.offset.reset` says.
    Reset,
}

/// The answer of a poll.
#[derive(Debug)]
pub enum Polled {
    /// Records.
    Batch(Batch),
    /// Something that happened.
    Event(Event),
    /// The time is over and nothing was there.
    Nothing,
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum EventKind {
    /// A partition's position was moved from [`Event::from`] to [`Event::to`], because the log no longer holds what
    /// was there: records were lost to this reader.
    PositionReset = 1,
    /// A partition cannot be read on: nothing more comes of it until it is sought or assigned anew.
    PartitionStopped = 2,
    /// A partition cannot be read at present; the attempts go on.
    PartitionFailing = 3,
    /// A topic cannot be found or may not be read; the attempts go on.
    TopicFailing = 4,
    /// A topic was deleted and created again: its offsets begin anew, at what `auto.offset.reset` says.
    TopicRecreated = 5,
    /// A topic that is read whole has grown: partitions [`Event::from`] to [`Event::to`] (exclusive) are read too,
    /// from their beginnings.
    PartitionsAdded = 6,
    /// A broker could not be reached for the whole of `socket.connection.setup.timeout.ms`; the attempts go on.
    BrokerUnreachable = 7,
    /// A commit that was asked for with [`Consumer::commit_async`](super::Consumer::commit_async) has ended: well, or
    /// with [`Event::error`].
    OffsetsCommitted = 8,
    /// [`Event::partitions`] are this member's of the group from now on. What follows of them starts at what the group has
    /// committed, or where `auto.offset.reset` says; a seek now comes before any record.
    PartitionsAssigned = 9,
    /// [`Event::partitions`] are to be given up; no more records of them come. They are this member's until that is
    /// acknowledged, by [`Consumer::acknowledge`](super::Consumer::acknowledge) or the next poll: until then what was read
    /// of them can be committed.
    PartitionsRevoked = 10,
    /// [`Event::partitions`] are no longer this member's, since some time ago: others may have them, and nothing can
    /// be committed of them.
    PartitionsLost = 11,
    /// The group can't be joined at present, or its coordinator not be kept in touch with, or positions not be
    /// committed in the background; the attempts go on.
    GroupFailing = 12,
    /// The membership has ended for good, as [`Event::error`] says; it takes a new subscription to join again.
    GroupLeft = 13,
    /// What was acknowledged of records of a share group was not carried out, or may not have been, as [`Event::error`]
    /// says: those of a partition from [`Event::from`] to [`Event::to`], exclusive. They are delivered again.
    AcknowledgementFailed = 14,
    /// The program's own strategy is the group's, and this member its leader: [`Event::group`] is to be shared out among
    /// the members, by [`Consumer::assign_group`](crate::consumer::Consumer::assign_group).
    AssignmentWanted = 15,
}

/// Something that happened to what is read.
#[derive(Clone, Debug)]
pub struct Event {
    /// What kind of thing it is.
    pub kind: EventKind,
    /// The topic it is about, if it is about one.
    pub topic: Option<Arc<str>>,
    /// The partition it is about, or -1.
    pub partition: i32,
    /// The position before, or where the trouble is; -1 where there is none.
    pub from: i64,
    /// The position after; -1 where there is none.
    pub to: i64,
    /// The partitions it is about, of events about several.
    pub partitions: Vec<(Arc<str>, i32)>,
    /// The number of the call it is about; 0 if it is about none.
    pub token: u64,
    /// Why, and what to do about it.
    pub error: Option<Error>,
    /// The members and topics of a group that is to be shared out.
    pub group: Option<Arc<GroupToAssign>>,
}

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

    /// The event in words, never empty: what [`Event::error`] says, or what happened.
    pub fn message(&self) -> String {
        if let Some(error) = &self.error {
            return error.message().to_owned();
        }
        match self.kind {
            EventKind::PartitionsAssigned if self.partitions.is_empty() => {
                "the group has no partitions for this member at present".to_owned()
            }
            EventKind::PartitionsAssigned => {
                format!("assigned to this member: {}", self.list())
            }
            EventKind::PartitionsRevoked => {
                format!("to be given up by this member: {}", self.list())
            }
            EventKind::PartitionsLost => {
                format!("no longer this member's: {}", self.list())
            }
            EventKind::PartitionsAdded => format!(
                "topic '{}' has grown: partitions {} to {} are read from their beginnings",
                self.topic.as_deref().unwrap_or_default(),
                self.from,
                self.to - 1
            ),
            EventKind::OffsetsCommitted => "the offsets were committed".to_owned(),
            EventKind::AssignmentWanted => {
                "this member leads its group, and the program is to share out the partitions"
                    .to_owned()
            }
            EventKind::PositionReset => {
                format!("the position was moved from {} to {}", self.from, self.to)
            }
            EventKind::PartitionStopped => "the partition is not read any more".to_owned(),
            EventKind::PartitionFailing => "the partition cannot be read at present".to_owned(),
            EventKind::TopicFailing => "the topic cannot be read at present".to_owned(),
            EventKind::TopicRecreated => "the topic was deleted and created again".to_owned(),
            EventKind::BrokerUnreachable => "a broker cannot be reached".to_owned(),
            EventKind::GroupFailing => "the group cannot be joined at present".to_owned(),
            EventKind::GroupLeft => "the membership has ended".to_owned(),
            EventKind::AcknowledgementFailed => "acknowledgements were not carried out".to_owned(),
        }
    }

    /// The partitions it is about, the first few by name.
    fn list(&self) -> String {
        const SHOWN: usize = 5;
        let shown = self.partitions.iter().take(SHOWN);
        let mut text: Vec<String> = shown.map(|(topic, p)| format!("{topic}-{p}")).collect();
        match self.partitions.len().saturating_sub(SHOWN) {
            0 if text.is_empty() => text.push("no partitions".to_owned()),
            0 => {}
            more => text.push(format!("and {more} more")),
        }
        text.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_words() {
        let kinds = (1..).map_while(|number| {
            // The compiler sees to it that `message` knows all kinds; this list ends with the last.
            use EventKind::*;
            let all = [
                PositionReset,
                PartitionStopped,
                PartitionFailing,
                TopicFailing,
                TopicRecreated,
                PartitionsAdded,
                BrokerUnreachable,
                OffsetsCommitted,
                PartitionsAssigned,
                PartitionsRevoked,
                PartitionsLost,
                GroupFailing,
                GroupLeft,
                AcknowledgementFailed,
                AssignmentWanted,
            ];
            all.into_iter().find(|kind| *kind as i32 == number)
        });
        for kind in kinds {
            assert!(Event::of(kind).message().len() > 10, "{kind:?}");
        }
        let of = |n: i32| Event {
            partitions: (0..n).map(|p| (Arc::from("t"), p)).collect(),
            ..Event::of(EventKind::PartitionsAssigned)
        };
        assert_eq!(of(2).message(), "assigned to this member: t-0, t-1");
        assert!(of(7).message().ends_with("t-4, and 2 more"));
        let error = Error::argument("why");
        let kind = EventKind::TopicFailing;
        let event = Event::of_topic(kind, &Arc::from("t"), error);
        assert_eq!(event.message(), "why");
    }
}
