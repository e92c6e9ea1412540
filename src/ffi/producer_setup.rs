//! Producer: topics of their own kind, partitioners, purge
//!
//! Topics share the producer's settings unless they are given their own, before they are first used:
//!
//! ```c
//! ottla_config *orders = ottla_config_new();
//! status = ottla_config_set(orders, "acks", "1", &error);
//! status = ottla_config_set(orders, "compression.type", "zstd", &error);
//! status = ottla_producer_set_topic_config(producer, "orders", orders, &error);
//! ottla_config_free(orders);
//! ```
//!
//! A partitioner of the program's own is a function, called for each record that names no partition:
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

/// Chooses a record's partition: its number, from 0 to below `partition_count`, or -1 to leave the choice to the
/// configured `partitioner`. Any other number makes the sending call fail with OTTLA_ERR_INVALID_ARGUMENT.
///
/// It runs inside the sending calls, on their threads, so perhaps on several at once; it may call Ottla itself. `topic`
/// and `key` are lent for the call.
///
/// It has to return. An exception or a longjmp that leaves it ends the process, at once or by what it skips: the frames
/// between it and the sending call are Ottla's, with locks held. Catch what it may throw, remember it, answer a number
/// below -1, and throw it again when the sending call has failed; that is what the C++ wrapper does.
pub type ottla_partitioner = Option<
    unsafe extern "C" fn(
        topic: *const c_char,
        key: ottla_bytes,
        partition_count: i32,
        opaque: *mut c_void,
    ) -> i32,
>;

/// Records that wait to be sent, or to be sent again, are given up.
pub const OTTLA_PURGE_QUEUED: i32 = 1;
/// Records that were sent and are not answered are given up: they may have been written all the same.
pub const OTTLA_PURGE_IN_FLIGHT: i32 = 2;
/// Both.
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

/// Gives a topic settings of its own, before the producer first uses it: `acks`, `compression.type` and its levels,
/// `delivery.timeout.ms`, `linger.ms`, `partitioner`, `partitioner.ignore.keys`,
/// `partitioner.adaptive.partitioning.enable`, `request.timeout.ms`. What is not given is as the producer has it. The
/// configuration is read and can be freed or used again.
///
/// Where a topic asks for less than `acks=all` its records are sent without idempotence; if the producer was explicitly
/// asked for that, it is an error.
///
/// Errors: OTTLA_ERR_CONFIG for a mistake in the settings, or one that contradicts the producer's;
/// OTTLA_ERR_INVALID_ARGUMENT if the topic is in use already; OTTLA_ERR_INVALID_TOPIC_EXCEPTION for a name that cannot
/// be a topic's.
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

/// Sets the program's own partitioner, before the topics it is for are first used.
///
/// - topic: the topic it is for; NULL for all that are not given one of their own, neither by this function nor by the
///   key `partitioner` in `ottla_producer_set_topic_config`.
/// - function, opaque: called with `opaque` until the producer is freed. Not NULL.
///
/// Sending to a topic with such a partitioner waits until the topic's partitions are known (with timeout 0 it answers
/// OTTLA_ERR_AGAIN until then, and the descriptor tells when), since the function needs their number.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT if the topic (with NULL: any topic) is in use already;
/// OTTLA_ERR_INVALID_TOPIC_EXCEPTION for a name that cannot be a topic's.
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

/// Gives up records that have not ended: those queued, those in flight, or both (`OTTLA_PURGE_*`). When this returns
/// their completions can be polled; they have the error OTTLA_ERR_PURGED and the outcome `OTTLA_NOT_WRITTEN`, or
/// `OTTLA_POSSIBLY_WRITTEN` for records that were sent and not answered. Records that other threads send meanwhile may
/// be spared. The producer goes on.
///
/// Errors: OTTLA_ERR_TIMED_OUT if the I/O thread did not come to it within 5 s.
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
