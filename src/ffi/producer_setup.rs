//! Producer: settings per topic, partitioners, purge
//!
//! Topics use the producer's settings unless they are given their own before their first use:
//!
//! ```c
//! ottla_config *orders = ottla_config_new();
//! status = ottla_config_set(orders, "acks", "1", &error);
//! status = ottla_config_set(orders, "compression.type", "zstd", &error);
//! status = ottla_producer_set_topic_config(producer, "orders", orders, &error);
//! ottla_config_free(orders);
//! ```
//!
//! A custom partitioner is a function that is called for each record sent without a partition:
//!
//! ```c
//! static int32_t by_first_byte(const char *topic, ottla_bytes key, int32_t partition_count, void *opaque) {
//!     (void)topic, (void)opaque;
//!     return key.len == 0 ? -1 : key.data[0] % partition_count;
//! }
//! status = ottla_producer_set_partitioner(producer, NULL, by_first_byte, NULL, &error);
//! ```

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_void};

use super::basics::{ottla_bytes, ottla_status};
use super::config::{Pairs, ottla_config};
use super::error::ottla_error;
use super::guard::{self, c_string};
use super::producer::ottla_producer;
use crate::producer::{Purge, UserPartitioner};

/// Chooses a record's partition. Returns its number, from 0 to `partition_count` - 1, or -1 to leave the choice to
/// the configured `partitioner`. Any other number makes the send call fail with OTTLA_ERR_INVALID_ARGUMENT.
///
/// It runs inside the send calls, on their threads, so possibly on several at once; it may call Ottla itself. `topic`
/// and `key` are valid during the call only.
///
/// It has to return. An exception or a longjmp that leaves it ends the process, directly or because of the frames it
/// skips: those between it and the send call are Ottla's, and hold locks. Catch any exception, store it, return a
/// number below -1, and rethrow it after the send call has failed; the C++ wrapper does this.
pub type ottla_partitioner = Option<
    unsafe extern "C" fn(
        topic: *const c_char,
        key: ottla_bytes,
        partition_count: i32,
        opaque: *mut c_void,
    ) -> i32,
>;

/// Give up records that wait to be sent, or to be sent again.
pub const OTTLA_PURGE_QUEUED: i32 = 1;
/// Give up records that were sent and are not acknowledged yet: they may have been written nevertheless.
pub const OTTLA_PURGE_IN_FLIGHT: i32 = 2;
/// Give up both.
pub const OTTLA_PURGE_ALL: i32 = 3;

thread_local! {
    /// The name of the topic this thread asked a partitioner for last.
    static TOPIC: Cell<CString> = Cell::default();
}

type Function = unsafe extern "C" fn(*const c_char, ottla_bytes, i32, *mut c_void) -> i32;

/// A C program's partitioner.
struct Foreign {
    function: Function,
    opaque: *mut c_void,
}

// SAFETY: the pointer is only handed back to the program, which promises that its function may be called from any thread.
unsafe impl Send for Foreign {}
// SAFETY: the same.
unsafe impl Sync for Foreign {}

impl UserPartitioner for Foreign {
    fn partition(&self, topic: &str, key: Option<&[u8]>, partitions: i32) -> Option<i32> {
        // Taken out for the call: the function may send, and come here again.
        let mut name = TOPIC.take();
        if CStr::to_bytes(&name) != topic.as_bytes() {
            name = c_string(topic);
        }
        // SAFETY: the program's function and pointer, alive until the producer is freed, as the header says.
        let chosen = unsafe {
            (self.function)(name.as_ptr(), ottla_bytes::of(key), partitions, self.opaque)
        };
        TOPIC.set(name);
        (chosen != -1).then_some(chosen)
    }
}

/// Sets the configuration of one topic, before the producer first uses it: `acks`, `compression.type` and its levels,
/// `delivery.timeout.ms`, `linger.ms`, `partitioner`, `partitioner.ignore.keys`,
/// `partitioner.adaptive.partitioning.enable`, `request.timeout.ms`. Keys that are not set are inherited from the
/// producer. The configuration is copied and can be freed or reused.
///
/// If a topic asks for less than `acks=all`, its records are sent without idempotence; that is an error if
/// idempotence was requested explicitly for the producer.
///
/// Errors: OTTLA_ERR_CONFIG for a mistake in the settings, or a conflict with the producer's;
/// OTTLA_ERR_INVALID_ARGUMENT if the topic is already in use; OTTLA_ERR_INVALID_TOPIC_EXCEPTION for an invalid topic
/// name.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_set_topic_config(
    producer: *const ottla_producer,
    topic: *const c_char,
    config: *const ottla_config,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_producer_set_topic_config",
            producer,
            error,
            |call, live| {
                let producer = live.get()?;
                let topic = call.text("topic", topic)?;
                let set = guard::read(config, None, |pairs: &Pairs| {
                    Some(pairs.read(|pairs| {
                        let pairs = pairs.iter().map(|(k, v)| (&**k, &**v));
                        producer.set_topic_config(topic, pairs)
                    }))
                });
                set.unwrap_or_else(|| {
                    Err(call.wrong("config", "is NULL; make one with ottla_config_new"))
                })
            },
        )
    }
}

/// Sets a custom partitioner, before the topics it is for are first used.
///
/// - topic: the topic; NULL for all topics that have no partitioner set by this function or by the key `partitioner`
///   in `ottla_producer_set_topic_config`.
/// - function, opaque: the function is called with `opaque` until the producer is freed. Must not be NULL.
///
/// Sending to a topic with such a partitioner waits until the topic's number of partitions is known, since the
/// function needs it. With timeout 0 the call returns OTTLA_ERR_AGAIN until then, and the descriptor signals when to
/// retry.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT if the topic (for NULL: any topic) is already in use;
/// OTTLA_ERR_INVALID_TOPIC_EXCEPTION for an invalid topic name.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_set_partitioner(
    producer: *const ottla_producer,
    topic: *const c_char,
    function: ottla_partitioner,
    opaque: *mut c_void,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_producer_set_partitioner",
            producer,
            error,
            |call, live| {
                let topic = match topic.is_null() {
                    true => None,
                    false => Some(call.text("topic", topic)?),
                };
                let function = function
                    .ok_or_else(|| call.wrong("function", "is NULL, where one is needed"))?;
                live.get()?
                    .set_partitioner(topic, Foreign { function, opaque })
            },
        )
    }
}

pub(super) fn purge_of(call: guard::Call, what: i32) -> crate::error::Result<Purge> {
    match what {
        OTTLA_PURGE_QUEUED => Ok(Purge::Queued),
        OTTLA_PURGE_IN_FLIGHT => Ok(Purge::InFlight),
        OTTLA_PURGE_ALL => Ok(Purge::All),
        _ => Err(call.wrong(
            "what",
            format_args!("is {what}; give one of OTTLA_PURGE_QUEUED, _IN_FLIGHT, _ALL"),
        )),
    }
}

/// Gives up unacknowledged records: those queued, those in flight, or both (`OTTLA_PURGE_*`). When this returns,
/// their completions can be polled; they have the error OTTLA_ERR_PURGED and the outcome `OTTLA_NOT_WRITTEN`, or
/// `OTTLA_POSSIBLY_WRITTEN` for records that were sent and not acknowledged. Records sent from other threads during
/// the call may not be purged. The producer stays usable.
///
/// Errors: OTTLA_ERR_TIMED_OUT if the I/O thread did not respond within 5 s.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_purge(
    producer: *const ottla_producer,
    what: i32,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_producer_purge", producer, error, |call, live| {
            live.get()?.purge(purge_of(call, what)?)
        })
    }
}
