//! Events
//!
//! What happened to what is read, beside records: told once, in the order it happened, and before the records that
//! follow. Most can be ignored; the attempts go on by themselves.

use std::ffi::{CString, c_char};

use super::error::{ottla_error, part_ptr};
use super::guard::{self, Guarded, c_string, opaque};
use crate::consumer::{Event, EventKind};

/// A partition's position was moved from `from` to `to`, because the log no longer holds what was there: records were
/// lost to this reader.
pub const OTTLA_EVENT_POSITION_RESET: i32 = 1;
/// A partition cannot be read on: nothing more comes of it until it is sought or assigned anew.
pub const OTTLA_EVENT_PARTITION_STOPPED: i32 = 2;
/// A partition cannot be read at present; the attempts go on.
pub const OTTLA_EVENT_PARTITION_FAILING: i32 = 3;
/// A topic cannot be found or may not be read; the attempts go on.
pub const OTTLA_EVENT_TOPIC_FAILING: i32 = 4;
/// A topic was deleted and created again: its offsets begin anew.
pub const OTTLA_EVENT_TOPIC_RECREATED: i32 = 5;
/// A topic that is read whole has grown: its partitions `from` to `to`, exclusive, are read too, from their beginnings.
pub const OTTLA_EVENT_PARTITIONS_ADDED: i32 = 6;
/// A broker could not be reached for a while; the attempts go on.
pub const OTTLA_EVENT_BROKER_UNREACHABLE: i32 = 7;

const _: () = assert!(
    OTTLA_EVENT_POSITION_RESET == EventKind::PositionReset as i32
        && OTTLA_EVENT_PARTITION_STOPPED == EventKind::PartitionStopped as i32
        && OTTLA_EVENT_PARTITION_FAILING == EventKind::PartitionFailing as i32
        && OTTLA_EVENT_TOPIC_FAILING == EventKind::TopicFailing as i32
        && OTTLA_EVENT_TOPIC_RECREATED == EventKind::TopicRecreated as i32
        && OTTLA_EVENT_PARTITIONS_ADDED == EventKind::PartitionsAdded as i32
        && OTTLA_EVENT_BROKER_UNREACHABLE == EventKind::BrokerUnreachable as i32
);

/// Something that happened. Immutable: all its functions may be called from many threads at once; what they give lives
/// as long as the event.
pub struct ottla_event(Guarded<EventParts>);
opaque!(ottla_event, EventParts, "event");

pub(super) struct EventParts {
    kind: i32,
    topic: CString,
    partition: i32,
    from: i64,
    to: i64,
    error: Option<Box<ottla_error>>,
    message: CString,
}

impl From<Event> for EventParts {
    fn from(event: Event) -> Self {
        EventParts {
            kind: event.kind as i32,
            topic: c_string(event.topic.as_deref().unwrap_or_default()),
            partition: event.partition,
            from: event.from,
            to: event.to,
            error: event.error.as_ref().map(ottla_error::part),
            message: c_string(event.error.as_ref().map_or("", |e| e.message())),
        }
    }
}

/// Its kind, `OTTLA_EVENT_*`; 0 of NULL. Later versions may have kinds of which this header doesn't know.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_kind(event: *const ottla_event) -> i32 {
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, 0, |e: &EventParts| e.kind) }
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
    unsafe { guard::read(event, -1, |e: &EventParts| e.partition) }
}

/// The position before, or where the trouble is; -1 where there is none, and of NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_from(event: *const ottla_event) -> i64 {
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, -1, |e: &EventParts| e.from) }
}

/// The position after; -1 where there is none, and of NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_event_to(event: *const ottla_event) -> i64 {
    // SAFETY: the header's conventions.
    unsafe { guard::read(event, -1, |e: &EventParts| e.to) }
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
