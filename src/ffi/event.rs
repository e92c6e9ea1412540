//! Events
//!
//! What happened to what is read, beside records: told once, in the order it happened, and before the records that
//! follow. A producer's events come by `ottla_producer_next_event`. Most can be ignored; the attempts go on by themselves.

use std::ffi::{CString, c_char};

use libc::size_t;

use super::assignor::GroupParts;
use super::basics::ottla_status;
use super::consumer::ottla_topic_partition;
use super::error::{ottla_error, part_ptr};
use super::guard::{self, Guarded, c_string, opaque};
use super::producer::ottla_producer;
use crate::consumer::{Event, EventKind};

/// A partition's position was moved from `from` to `to`, because the log no longer holds what was there: records were
/// lost to this reader.
pub const OTTLA_EVENT_POSITION_RESET: i32 = 1;
/// A partition cannot be read on: nothing more comes of it until it is sought or assigned anew.
pub const OTTLA_EVENT_PARTITION_STOPPED: i32 = 2;
/// A partition cannot be read at present; the attempts go on. Where it isn't known which of several partitions of a broker
/// it is, the event's partitions are those that it may be.
pub const OTTLA_EVENT_PARTITION_FAILING: i32 = 3;
/// A topic cannot be found or may not be read; the attempts go on.
pub const OTTLA_EVENT_TOPIC_FAILING: i32 = 4;
/// A topic was deleted and created again: its offsets begin anew. A start that was asked for as earliest, latest or by time
/// holds for the new topic too, all of whose records are later than the start: it is read from its beginning, or from that
/// time on. What started at an offset, by `auto.offset.reset` or in a group goes where `auto.offset.reset` says; if that is
/// `latest`, records that were written before the new topic was noticed are not read.
pub const OTTLA_EVENT_TOPIC_RECREATED: i32 = 5;
/// A topic that is read whole has grown: its partitions `from` to `to`, exclusive, are read too, from their beginnings.
pub const OTTLA_EVENT_PARTITIONS_ADDED: i32 = 6;
/// A broker can't be reached: connections to it have failed for some seconds, or it has left a fetch unanswered for
/// `request.timeout.ms`. The attempts go on, and this is told once until it answers a fetch again.
pub const OTTLA_EVENT_BROKER_UNREACHABLE: i32 = 7;
/// A commit in the background has ended: well, or with an error. Its token is that of the call.
pub const OTTLA_EVENT_OFFSETS_COMMITTED: i32 = 8;
/// Partitions are this member's of its group from now on. What follows of them starts at what the group has committed, or
/// where `auto.offset.reset` says; a seek now comes before any record.
pub const OTTLA_EVENT_PARTITIONS_ASSIGNED: i32 = 9;
/// Partitions are to be given up, and no more records of them come. They are this member's until that is acknowledged, by
/// `ottla_consumer_acknowledge` or the next poll: until then what was read of them can be committed.
pub const OTTLA_EVENT_PARTITIONS_REVOKED: i32 = 10;
/// Partitions are no longer this member's, since some time ago: others may have them, and nothing can be committed.
pub const OTTLA_EVENT_PARTITIONS_LOST: i32 = 11;
/// The group can't be joined at present, or not be kept in touch with, or positions not be committed in the background;
/// the attempts go on.
pub const OTTLA_EVENT_GROUP_FAILING: i32 = 12;
/// The membership has ended for good; it takes a new subscription to join again.
pub const OTTLA_EVENT_GROUP_LEFT: i32 = 13;

/// What was acknowledged of records of a share group was not carried out, or may not have been: those of a partition from
/// `from` to `to`, exclusive. They are delivered again.
pub const OTTLA_EVENT_ACKNOWLEDGEMENT_FAILED: i32 = 14;

/// The program's own assignor is the group's, and this member its leader: the members (`ottla_event_group_member`) are to be
/// given the partitions of topics (`ottla_event_group_topic`), by `ottla_consumer_assign_group`.
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

/// Something that happened. Immutable: all its functions may be called from many threads at once; what they give lives
/// as long as the event.
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

/// Writes the oldest event of a producer that was not taken yet, which the caller frees; NULL if there is none. The last 64 are
/// kept. When one is there the producer's descriptor is readable, and a wait in `ottla_producer_poll` ends. They tell what
/// records wait for, and nothing has to be done about them: OTTLA_EVENT_BROKER_UNREACHABLE and
/// OTTLA_EVENT_TOPIC_FAILING.
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

/// Its kind, `OTTLA_EVENT_*`; 0 of NULL. Later versions may have kinds of which this header doesn't know.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_kind(event: *const ottla_event) -> i32 {
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, 0, |e: &EventParts| e.event.kind as i32) }
}

/// The topic it is about; "" if it is about none, and of NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_topic(event: *const ottla_event) -> *const c_char {
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, c"".as_ptr(), |e: &EventParts| e.topic.as_ptr()) }
}

/// The partition it is about; -1 if it is about none, and of NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_partition(event: *const ottla_event) -> i32 {
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, -1, |e: &EventParts| e.event.partition) }
}

/// The position before, or where the trouble is; -1 where there is none, and of NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_from(event: *const ottla_event) -> i64 {
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, -1, |e: &EventParts| e.event.from) }
}

/// The position after; -1 where there is none, and of NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_to(event: *const ottla_event) -> i64 {
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, -1, |e: &EventParts| e.event.to) }
}

/// The number of the call it is about; 0 if it is about none, and of NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_token(event: *const ottla_event) -> u64 {
    let token = |e: &EventParts| match e.event.kind {
        EventKind::OffsetsCommitted => e.event.token,
        _ => 0,
    };
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, 0, token) }
}

/// How many partitions were assigned, revoked or lost, or may be those that are failing; 0 of other events, and of NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_partition_count(event: *const ottla_event) -> size_t {
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, 0, |e: &EventParts| e.places.len()) }
}

/// Writes partition `i` of those, counted from 0. Its topic lives as long as the event.
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

/// Why it happened, part of the event (not to be freed); NULL where there is no error, and of NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_error(event: *const ottla_event) -> *const ottla_error {
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, std::ptr::null(), |e: &EventParts| part_ptr(&e.error)) }
}

/// What happened and what to do about it, in English; "" of NULL.
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
