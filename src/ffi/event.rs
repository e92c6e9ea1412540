//! Events
//!
//! What happened to a consumer other than records arriving: reported once, in order, before the records that follow.
//! Polls of a consumer return events; a producer's are returned by `ottla_producer_next_event`. Most can be ignored,
//! as the client keeps trying by itself.

use std::ffi::{CString, c_char};

use libc::size_t;

use super::assignor::GroupParts;
use super::basics::ottla_status;
use super::consumer::ottla_topic_partition;
use super::error::{ottla_error, part_ptr};
use super::guard::{self, Guarded, c_string, opaque};
use super::producer::ottla_producer;
use crate::consumer::{Event, EventKind};

/// The position of a partition was moved from `from` to `to`, because the log no longer holds the records there: this
/// consumer has missed them.
pub const OTTLA_EVENT_POSITION_RESET: i32 = 1;
/// A partition cannot be read any more: no records of it are returned until the program seeks or assigns it again.
pub const OTTLA_EVENT_PARTITION_STOPPED: i32 = 2;
/// A partition cannot be read at present; the client keeps trying. If a broker's failure can't be attributed to one
/// partition, the event lists all partitions that may be affected.
pub const OTTLA_EVENT_PARTITION_FAILING: i32 = 3;
/// A topic cannot be found or may not be read; the client keeps trying.
pub const OTTLA_EVENT_TOPIC_FAILING: i32 = 4;
/// A topic was deleted and created again: its offsets start over. A start that was given as earliest, latest or a
/// timestamp also applies to the new topic, whose records are all later than that start: it is read from its
/// beginning, or from that timestamp. Partitions that started at an offset, by `auto.offset.reset` or in a group
/// continue where `auto.offset.reset` says; if that is `latest`, records written before the new topic was noticed are
/// not read.
pub const OTTLA_EVENT_TOPIC_RECREATED: i32 = 5;
/// A topic assigned as a whole has grown: its partitions `from` to `to`, exclusive, are read too, from their
/// beginnings.
pub const OTTLA_EVENT_PARTITIONS_ADDED: i32 = 6;
/// A broker can't be reached: connections to it have failed for some seconds, or it has not answered a fetch for
/// `request.timeout.ms`. The client keeps trying, and reports this once until the broker answers a fetch again.
pub const OTTLA_EVENT_BROKER_UNREACHABLE: i32 = 7;
/// A background commit has ended, with or without an error. The event's token is the one that the call wrote.
pub const OTTLA_EVENT_OFFSETS_COMMITTED: i32 = 8;
/// Partitions were assigned to this member of the group. Their records start at the committed offset, or where
/// `auto.offset.reset` says; a seek made now takes effect before any record is returned.
pub const OTTLA_EVENT_PARTITIONS_ASSIGNED: i32 = 9;
/// Partitions are being revoked, and no more of their records are returned. They belong to this member until that is
/// acknowledged, by `ottla_consumer_acknowledge` or the next poll: until then records that were read can be
/// committed.
pub const OTTLA_EVENT_PARTITIONS_REVOKED: i32 = 10;
/// Partitions no longer belong to this member, and may already belong to others: nothing can be committed.
pub const OTTLA_EVENT_PARTITIONS_LOST: i32 = 11;
/// The group can't be joined at present, or its coordinator cannot be reached, or positions cannot be committed in
/// the background; the client keeps trying.
pub const OTTLA_EVENT_GROUP_FAILING: i32 = 12;
/// The membership has ended for good; subscribe again to rejoin.
pub const OTTLA_EVENT_GROUP_LEFT: i32 = 13;

/// Acknowledgements of records in a share group were not carried out, or may not have been: those of a partition from
/// `from` to `to`, exclusive. The records are delivered again.
pub const OTTLA_EVENT_ACKNOWLEDGEMENT_FAILED: i32 = 14;

/// This member leads a group that uses the program's own assignor: assign the partitions of the topics
/// (`ottla_event_group_topic`) to the members (`ottla_event_group_member`) with `ottla_consumer_assign_group`.
pub const OTTLA_EVENT_ASSIGNMENT_WANTED: i32 = 15;

const _: () = assert!(
    OTTLA_EVENT_POSITION_RESET == EventKind::PositionReset as i32
        && OTTLA_EVENT_PARTITION_STOPPED == EventKind::PartitionStopped as i32
        && OTTLA_EVENT_PARTITION_FAILING == EventKind::PartitionFailing as i32
        && OTTLA_EVENT_TOPIC_FAILING == EventKind::TopicFailing as i32
        && OTTLA_EVENT_TOPIC_RECREATED == EventKind::TopicRecreated as i32
        && OTTLA_EVENT_PARTITIONS_ADDED == EventKind::PartitionsAdded as i32
        && OTTLA_EVENT_BROKER_UNREACHABLE == EventKind::BrokerUnreachable as i32
        && OTTLA_EVENT_OFFSETS_COMMITTED == EventKind::OffsetsCommitted as i32
        && OTTLA_EVENT_PARTITIONS_ASSIGNED == EventKind::PartitionsAssigned as i32
        && OTTLA_EVENT_PARTITIONS_REVOKED == EventKind::PartitionsRevoked as i32
        && OTTLA_EVENT_PARTITIONS_LOST == EventKind::PartitionsLost as i32
        && OTTLA_EVENT_GROUP_FAILING == EventKind::GroupFailing as i32
        && OTTLA_EVENT_GROUP_LEFT == EventKind::GroupLeft as i32
        && OTTLA_EVENT_ACKNOWLEDGEMENT_FAILED == EventKind::AcknowledgementFailed as i32
        && OTTLA_EVENT_ASSIGNMENT_WANTED == EventKind::AssignmentWanted as i32
);

/// An event. Immutable: all its functions may be called from many threads at once; what they return is valid as long
/// as the event.
pub struct ottla_event(Guarded<EventParts>);
opaque!(ottla_event, EventParts, "event");

pub(super) struct EventParts {
    event: Event,
    topic: CString,
    /// Topics of the partitions, each once, and their places in it.
    topics: Vec<CString>,
    places: Vec<usize>,
    error: Option<Box<ottla_error>>,
    message: CString,
    /// Of a group that is to be shared out.
    pub(super) group: Option<GroupParts>,
}

impl From<Event> for EventParts {
    fn from(event: Event) -> Self {
        let mut names: Vec<&str> = Vec::new();
        let mut places = Vec::with_capacity(event.partitions.len());
        for (topic, _) in &event.partitions {
            // They come topic by topic.
            if names.last() != Some(&&**topic) {
                names.push(topic);
            }
            places.push(names.len() - 1);
        }
        EventParts {
            topic: c_string(event.topic.as_deref().unwrap_or_default()),
            topics: names.into_iter().map(c_string).collect(),
            places,
            error: event.error.as_ref().map(ottla_error::part),
            message: c_string(&event.message()),
            group: event.group.as_deref().map(GroupParts::of),
            event,
        }
    }
}

impl ottla_event {
    /// For functions of other handles that take an event.
    pub(super) fn event(&self) -> &Event {
        &self.0.value().event
    }
}

/// Writes the oldest event of a producer that has not been taken, for the caller to free with `ottla_event_free`;
/// NULL if there is none. The last 64 are kept. While one is available, the producer's descriptor is readable and
/// `ottla_producer_poll` does not wait. Events report what records are waiting for, and need no action: they are
/// OTTLA_EVENT_BROKER_UNREACHABLE and OTTLA_EVENT_TOPIC_FAILING.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_next_event(
    producer: *const ottla_producer,
    event: *mut *mut ottla_event,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_producer_next_event",
            producer,
            error,
            |call, live| {
                call.out("event", event)?;
                let next = live.get()?.next_event();
                let next = next.map_or(std::ptr::null_mut(), |next| {
                    guard::handle(EventParts::from(next))
                });
                guard::write(event, next);
                Ok(())
            },
        )
    }
}

/// Returns the kind of event, `OTTLA_EVENT_*`, or 0 for NULL. Later versions may have kinds that this header doesn't
/// list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_kind(event: *const ottla_event) -> i32 {
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, 0, |e: &EventParts| e.event.kind as i32) }
}

/// Returns the topic that the event is about, or "" if there is none, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_topic(event: *const ottla_event) -> *const c_char {
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, c"".as_ptr(), |e: &EventParts| e.topic.as_ptr()) }
}

/// Returns the partition that the event is about, or -1 if there is none, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_partition(event: *const ottla_event) -> i32 {
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, -1, |e: &EventParts| e.event.partition) }
}

/// Returns the position before the event, or the offset where the problem is; -1 if there is none, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_from(event: *const ottla_event) -> i64 {
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, -1, |e: &EventParts| e.event.from) }
}

/// Returns the position after the event; -1 if there is none, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_to(event: *const ottla_event) -> i64 {
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, -1, |e: &EventParts| e.event.to) }
}

/// Returns the token of the call that the event is about; 0 if there is none, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_token(event: *const ottla_event) -> u64 {
    let token = |e: &EventParts| match e.event.kind {
        EventKind::OffsetsCommitted => e.event.token,
        _ => 0,
    };
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, 0, token) }
}

/// Returns the number of partitions that were assigned, revoked or lost, or may be failing; 0 for other events and
/// for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_partition_count(event: *const ottla_event) -> size_t {
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, 0, |e: &EventParts| e.places.len()) }
}

/// Writes partition `i` of those, counting from 0. Its topic lives as long as the event.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_event_partition_get(
    event: *const ottla_event,
    i: size_t,
    partition: *mut ottla_topic_partition,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_event_partition_get", event, error, |call, e| {
            call.out("partition", partition)?;
            let (_, index) = call.element(&e.event.partitions, i)?;
            let topic = call.element(&e.topics, *call.element(&e.places, i)?)?;
            guard::write(
                partition,
                ottla_topic_partition {
                    topic: topic.as_ptr(),
                    partition: *index,
                },
            );
            Ok(())
        })
    }
}

/// Returns the error that caused the event, which belongs to the event and must not be freed; NULL if there is none,
/// and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_error(event: *const ottla_event) -> *const ottla_error {
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, std::ptr::null(), |e: &EventParts| part_ptr(&e.error)) }
}

/// Returns a message in English that says what happened and what to do about it; "" for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_message(event: *const ottla_event) -> *const c_char {
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, c"".as_ptr(), |e: &EventParts| e.message.as_ptr()) }
}

/// Frees an event.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_free(event: *mut ottla_event) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(event) }
}
