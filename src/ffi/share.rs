//! Share groups
//!
//! In a share group (KIP-932; Kafka 4.1 and newer) members read the same partitions together, record by record: each
//! record is delivered to one member at a time, locked for a limited time, and acknowledged by that member. Records
//! that are not acknowledged in time are delivered again, perhaps to another member, up to the group's
//! `share.delivery.count.limit`. A group may have more members than partitions. There are no positions, and records
//! are not ordered.
//!
//! ```c
//! ottla_config_set(config, "group.id", "workers", &error);
//! ottla_config_set(config, "share.acknowledgement.mode", "explicit", &error);
//! status = ottla_share_consumer_new(config, &consumer, &error);
//! const char *topics[] = {"jobs"};
//! status = ottla_share_consumer_subscribe(consumer, topics, 1, &error);
//! for (;;) {
//!     status = ottla_share_consumer_poll(consumer, 1000, &batch, &event, &error);
//!     if (status != OTTLA_OK) break;
//!     for (size_t row = 0; row < ottla_batch_rows(batch); row++) {
//!         int32_t type = work(batch, row) ? OTTLA_ACKNOWLEDGE_ACCEPT : OTTLA_ACKNOWLEDGE_RELEASE;
//!         status = ottla_share_consumer_acknowledge(consumer, batch, row, 1, type, &error);
//!     }
//!     ottla_batch_free(batch);
//!     ottla_event_free(event);                                // the next poll sends what was acknowledged
//! }
//! ```
//!
//! With `share.acknowledgement.mode=implicit`, the default, the records of a poll are accepted by the next poll or
//! commit, except those that were acknowledged otherwise.

use std::ffi::c_char;

use libc::{intptr_t, size_t};

use super::basics::ottla_status;
use super::batch::ottla_batch;
use super::config::{ottla_config, typed};
use super::consumer::write_polled;
use super::error::ottla_error;
use super::event::ottla_event;
use super::guard::{self, Call, Guarded, Live, opaque};
use super::log::{lines as lines_handle, ottla_log_lines};
use crate::config::ShareConfig;
use crate::error::Result;
use crate::share::{AcknowledgeType, ShareConsumer};

/// A member of a share group. All its functions except `ottla_share_consumer_poll` and `ottla_share_consumer_free`
/// may be called from many threads at once, also during a poll.
pub struct ottla_share_consumer(Guarded<Live<ShareConsumer>>);
opaque!(ottla_share_consumer, Live<ShareConsumer>, "share consumer");

/// Processed: the record is not delivered again.
pub const OTTLA_ACKNOWLEDGE_ACCEPT: i32 = 1;
/// Released: the record is delivered again, perhaps to another member, until its delivery limit is reached.
pub const OTTLA_ACKNOWLEDGE_RELEASE: i32 = 2;
/// Rejected, as it can't be processed: the record is not delivered again.
pub const OTTLA_ACKNOWLEDGE_REJECT: i32 = 3;
/// Still being processed: its lock is renewed, and another acknowledgement must follow (KIP-1222; Kafka 4.2 and
/// newer).
pub const OTTLA_ACKNOWLEDGE_RENEW: i32 = 4;

const _: () = assert!(
    OTTLA_ACKNOWLEDGE_ACCEPT == AcknowledgeType::Accept as i32
        && OTTLA_ACKNOWLEDGE_RELEASE == AcknowledgeType::Release as i32
        && OTTLA_ACKNOWLEDGE_REJECT == AcknowledgeType::Reject as i32
        && OTTLA_ACKNOWLEDGE_RENEW == AcknowledgeType::Renew as i32
);

fn type_of(call: Call, acknowledge: i32) -> Result<AcknowledgeType> {
    match acknowledge {
        OTTLA_ACKNOWLEDGE_ACCEPT => Ok(AcknowledgeType::Accept),
        OTTLA_ACKNOWLEDGE_RELEASE => Ok(AcknowledgeType::Release),
        OTTLA_ACKNOWLEDGE_REJECT => Ok(AcknowledgeType::Reject),
        OTTLA_ACKNOWLEDGE_RENEW => Ok(AcknowledgeType::Renew),
        _ => Err(call.wrong(
            "acknowledge",
            format_args!("is {acknowledge}, which is none of OTTLA_ACKNOWLEDGE_*"),
        )),
    }
}

/// Creates a share consumer without a subscription and writes its handle, which the caller frees with
/// `ottla_share_consumer_free`. It connects in the background. `group.id` names the share group.
///
/// Errors: OTTLA_ERR_CONFIG for a mistake in the configuration, OTTLA_ERR_IO if no thread can be started.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_share_consumer_new(
    config: *const ottla_config,
    consumer: *mut *mut ottla_share_consumer,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::run("ottla_share_consumer_new", error, |call| {
            call.out("consumer", consumer)?;
            let config = typed(call, config, |pairs| ShareConfig::from_pairs(pairs))?;
            let made = Live::new(|| ShareConsumer::new(config))?;
            guard::write(consumer, guard::handle(made));
            Ok(())
        })
    }
}

/// Waits until the cluster has responded and a connection to one of its brokers is established. Not needed before
/// polling.
///
/// Errors: as `ottla_producer_connect`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_share_consumer_connect(
    consumer: *const ottla_share_consumer,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_share_consumer_connect",
            consumer,
            error,
            |call, live| live.get()?.connect(call.timeout(timeout_ms)?),
        )
    }
}

/// Joins the share group and reads these topics; topics that don't exist yet are read once they do. Replaces an
/// earlier subscription. If the group has not read a topic before, its `share.auto.offset.reset` (latest by default)
/// says where it starts.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT without a topic, or for an empty name.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_share_consumer_subscribe(
    consumer: *const ottla_share_consumer,
    topics: *const *const c_char,
    count: size_t,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_share_consumer_subscribe",
            consumer,
            error,
            |call, live| {
                let topics = call.texts(("topics", "a topic"), topics, count)?;
                live.get()?.subscribe(&topics)
            },
        )
    }
}

/// Leaves the share group: sends pending acknowledgements, releases all other records at once, and waits up to the
/// timeout until other members can have them. With implicit acknowledgement the records of the latest poll are
/// released too: commit first to accept them. Does nothing without a subscription.
///
/// Errors: the first acknowledgement that was refused, or OTTLA_ERR_TIMED_OUT if one was not answered in time.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_share_consumer_unsubscribe(
    consumer: *const ottla_share_consumer,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_share_consumer_unsubscribe",
            consumer,
            error,
            |call, live| live.get()?.unsubscribe(call.timeout(timeout_ms)?),
        )
    }
}

/// Waits up to the timeout for an event or for records, and writes either an event, or a batch of records of one
/// partition: at most `max.poll.records`, or whole record batches if `share.acquire.mode` is `batch_optimized`; the
/// caller frees it. The other output is NULL, and both are NULL when the timeout ends. To be called by one thread at
/// a time. `ottla_batch_delivery_counts` returns how often each record was delivered.
///
/// With implicit acknowledgement it accepts the records of the previous poll. It sends pending acknowledgements (in
/// Kafka's ShareFetch request) without waiting for the response: an event OTTLA_EVENT_ACKNOWLEDGEMENT_FAILED reports
/// a refusal.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT without a subscription, and with explicit acknowledgement while a record of
/// earlier polls is not acknowledged (renewed ones may remain); OTTLA_ERR_IN_USE while another thread polls;
/// OTTLA_ERR_WOKEN after `ottla_share_consumer_wake`; OTTLA_ERR_CLOSED; before the first contact with the cluster,
/// once `socket.connection.setup.timeout.ms` is over, the reason why no broker can be reached.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_share_consumer_poll(
    consumer: *mut ottla_share_consumer,
    timeout_ms: i64,
    batch: *mut *mut ottla_batch,
    event: *mut *mut ottla_event,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_share_consumer_poll",
            consumer,
            error,
            |call, live| {
                call.out("batch", batch)?;
                call.out("event", event)?;
                let polled = live.get()?.poll(call.timeout(timeout_ms)?)?;
                write_polled(polled, batch, event);
                Ok(())
            },
        )
    }
}

/// Acknowledges `count` records of a polled batch, from row `row` on (`acknowledge`: `OTTLA_ACKNOWLEDGE_*`). The
/// acknowledgement is sent with the next poll or commit, and may be changed until then.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT if the batch has no such rows, or if one of the records is not, or no longer,
/// locked for this consumer: already acknowledged, or released. The other records are acknowledged nevertheless.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_share_consumer_acknowledge(
    consumer: *const ottla_share_consumer,
    batch: *const ottla_batch,
    row: size_t,
    count: size_t,
    acknowledge: i32,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_share_consumer_acknowledge",
            consumer,
            error,
            |call, live| {
                let Some(batch) = batch.as_ref() else {
                    return Err(call.wrong("batch", "is NULL; give the batch that a poll wrote"));
                };
                let rows = row..row.saturating_add(count);
                live.get()?
                    .acknowledge(batch.batch(), rows, type_of(call, acknowledge)?)
            },
        )
    }
}

/// Acknowledges the record at `offset` of a partition; see `ottla_share_consumer_acknowledge`.
///
/// Errors: as `ottla_share_consumer_acknowledge`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_share_consumer_acknowledge_offset(
    consumer: *const ottla_share_consumer,
    topic: *const c_char,
    partition: i32,
    offset: i64,
    acknowledge: i32,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_share_consumer_acknowledge_offset",
            consumer,
            error,
            |call, live| {
                let (topic, word) = (call.text("topic", topic)?, type_of(call, acknowledge)?);
                live.get()?
                    .acknowledge_offset(topic, partition, offset, word)
            },
        )
    }
}

/// Sends pending acknowledgements (Kafka's ShareAcknowledge request) and waits until the brokers have carried them
/// out. With implicit acknowledgement, it accepts everything that was polled.
///
/// Errors: the first acknowledgement that was refused, for example OTTLA_ERR_INVALID_RECORD_STATE if a lock had
/// expired; OTTLA_ERR_TIMED_OUT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_share_consumer_commit(
    consumer: *const ottla_share_consumer,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_share_consumer_commit",
            consumer,
            error,
            |call, live| live.get()?.commit(call.timeout(timeout_ms)?),
        )
    }
}

/// Does the same as `ottla_share_consumer_commit` in the background; an event OTTLA_EVENT_ACKNOWLEDGEMENT_FAILED
/// reports each refusal.
///
/// Errors: OTTLA_ERR_CLOSED.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_share_consumer_commit_async(
    consumer: *const ottla_share_consumer,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_share_consumer_commit_async",
            consumer,
            error,
            |_, live| live.get()?.commit_async(),
        )
    }
}

/// Writes the number of milliseconds for which a record is locked for the member that received it, as reported by a
/// broker; -1 before the first fetch.
///
/// Errors: OTTLA_ERR_CLOSED.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_share_consumer_lock_duration(
    consumer: *const ottla_share_consumer,
    duration_ms: *mut i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_share_consumer_lock_duration",
            consumer,
            error,
            |call, live| {
                call.out("duration_ms", duration_ms)?;
                let ms = live.get()?.lock_duration()?.map(|d| d.as_millis());
                let ms = ms.map_or(-1, |ms| i64::try_from(ms).unwrap_or(i64::MAX));
                guard::write(duration_ms, ms);
                Ok(())
            },
        )
    }
}

/// Ends the wait of the current poll, or of the next one that has to wait, with OTTLA_ERR_WOKEN.
///
/// Errors: OTTLA_ERR_CLOSED.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_share_consumer_wake(
    consumer: *const ottla_share_consumer,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_share_consumer_wake", consumer, error, |_, live| {
            live.get()?.wake()
        })
    }
}

/// Writes a descriptor for poll, epoll, select or an event loop; see `ottla_consumer_descriptor`. Records are only
/// fetched after a poll has returned nothing: poll with timeout 0 before waiting on the descriptor.
///
/// Errors: OTTLA_ERR_IO if the operating system has no descriptors left.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_share_consumer_descriptor(
    consumer: *const ottla_share_consumer,
    descriptor: *mut intptr_t,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_share_consumer_descriptor",
            consumer,
            error,
            |call, live| {
                call.out("descriptor", descriptor)?;
                guard::write(descriptor, live.get()?.descriptor()?);
                Ok(())
            },
        )
    }
}

/// Takes up to `max` log lines (0: all there are); see `ottla_producer_logs`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_share_consumer_logs(
    consumer: *const ottla_share_consumer,
    max: size_t,
    lines: *mut *mut ottla_log_lines,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_share_consumer_logs",
            consumer,
            error,
            |call, live| {
                call.out("lines", lines)?;
                let max = if max == 0 { usize::MAX } else { max };
                guard::write(lines, lines_handle(live.get()?.log_lines(max)?));
                Ok(())
            },
        )
    }
}

/// Closes the share consumer: sends pending acknowledgements, releases all other records, leaves the group, and waits
/// up to the timeout until the connections are closed. With implicit acknowledgement the records of the latest poll
/// are released too: commit first to accept them. Batches stay valid. Closing twice does nothing.
///
/// Errors: the first acknowledgement that was refused, or OTTLA_ERR_TIMED_OUT if one was not answered in time; the
/// share consumer is closed in any case.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_share_consumer_close(
    consumer: *const ottla_share_consumer,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_share_consumer_close",
            consumer,
            error,
            |call, live| live.get()?.close(call.timeout(timeout_ms)?),
        )
    }
}

/// Frees a share consumer, once all calls with it have returned. Its batches and events stay valid. If it was not
/// closed first, it leaves its group in the background, as described for `ottla_consumer_free`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_share_consumer_free(consumer: *mut ottla_share_consumer) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(consumer) }
}
