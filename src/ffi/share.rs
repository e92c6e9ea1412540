//! Share groups
//!
//! In a share group (KIP-932; Kafka 4.1 and newer) members read the same partitions together, record by record: each record
//! is given to one member at a time, which has it to itself for a time and says how it ended. What is not said in time is
//! delivered again, perhaps to another member, up to the group's `share.delivery.count.limit`. There are more members than
//! partitions if you like, and no positions; records are not in order.
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
//! With `share.acknowledgement.mode=implicit`, the default, the records of a poll count as accepted once the next poll or
//! commit is made, but for those of which something else was said.

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

/// A member of a share group. All its functions but `ottla_share_consumer_poll` and `ottla_share_consumer_free` may be
/// called from many threads at once, also beside a poll.
pub struct ottla_share_consumer(Guarded<Live<ShareConsumer>>);
opaque!(ottla_share_consumer, Live<ShareConsumer>, "share consumer");

/// Done: nobody is given the record any more.
pub const OTTLA_ACKNOWLEDGE_ACCEPT: i32 = 1;
/// Given back: it is delivered again, perhaps to another member, until its deliveries are used up.
pub const OTTLA_ACKNOWLEDGE_RELEASE: i32 = 2;
/// It can't be processed: nobody is given it any more.
pub const OTTLA_ACKNOWLEDGE_REJECT: i32 = 3;
/// Not done yet: its lock begins anew, and another acknowledgement follows (KIP-1222; Kafka 4.2 and newer).
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

/// Makes a share consumer without a subscription and writes its handle, which the caller frees with
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

/// Waits until the cluster has answered and a connection to one of its brokers stands. Not needed before polling.
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

/// Becomes a member of the share group that reads these topics; topics that don't exist yet are read once they do. Replaces
/// an earlier subscription. Where the group has not read before, its `share.auto.offset.reset` (latest by default) says where
/// it begins.
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

/// Leaves the share group: sends what was acknowledged, gives the rest back at once, and waits up to the timeout until others
/// can have it. With implicit acknowledgement the records polled last are among the rest: commit before. Without a
/// subscription it does nothing.
///
/// Errors: the first acknowledgement that was refused, or OTTLA_ERR_TIMED_OUT for one that was not answered in time.
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

/// Waits up to the timeout for an event or a record and writes, for the caller to free, either an event, or a batch of records
/// of one partition: at most `max.poll.records`, or whole record batches where `share.acquire.mode` is `batch_optimized`. The
/// other one, and when the time is over both, are NULL. One thread at a time. `ottla_batch_delivery_counts` tells how often
/// each was delivered.
///
/// With implicit acknowledgement it accepts what the poll before gave. It sends what was acknowledged, and does not wait for
/// the answer: an event OTTLA_EVENT_ACKNOWLEDGEMENT_FAILED tells of a refusal.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT without a subscription, and with explicit acknowledgement while a record of the polls
/// before is not acknowledged (renewed ones may stay); OTTLA_ERR_IN_USE while another thread polls; OTTLA_ERR_WOKEN after
/// `ottla_share_consumer_wake`; OTTLA_ERR_CLOSED; until the first contact with the cluster, once
/// `socket.connection.setup.timeout.ms` is over, why no broker can be reached.
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

/// Says how `count` records of a polled batch, from row `row` on, ended (`acknowledge`: `OTTLA_ACKNOWLEDGE_*`). It is sent
/// with the next poll or commit, and may be changed until then.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT if the batch has no such rows, or one of the records is not, or no longer, this
/// consumer's: acknowledged before, or given back.
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

/// The same of the record at `offset` of a partition.
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

/// Sends what was acknowledged and waits until the brokers have carried it out. With implicit acknowledgement, that is
/// everything that was polled.
///
/// Errors: the first acknowledgement that was refused, such as OTTLA_ERR_INVALID_RECORD_STATE where a lock had run out;
/// OTTLA_ERR_TIMED_OUT.
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

/// The same in the background; an event OTTLA_EVENT_ACKNOWLEDGEMENT_FAILED tells of each refusal.
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

/// Writes for how many milliseconds a record is locked for the member that got it, as a broker has told; -1 before the first
/// fetch.
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

/// Ends the wait of the poll that is under way, or of the next one that has to wait, with OTTLA_ERR_WOKEN.
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

/// Writes a descriptor for poll, epoll, select or an event loop, as `ottla_consumer_descriptor`. Records are only fetched once
/// a poll has found nothing: poll with timeout 0 before waiting on it.
///
/// Errors: OTTLA_ERR_IO if the operating system has none left.
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

/// Takes up to `max` log lines (0: all there are), as `ottla_producer_logs`.
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

/// Sends what was acknowledged, gives the rest back, leaves the group, and waits up to the timeout until the connections are
/// closed. With implicit acknowledgement the records polled last are among the rest: commit before. Batches stay valid.
/// Closing twice does nothing.
///
/// Errors: the first acknowledgement that was refused, or OTTLA_ERR_TIMED_OUT for one that was not answered in time; the share
/// consumer is closed all the same.
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

/// Frees a share consumer when all calls with it have returned. Its batches and events stay valid. Without a close before,
/// it leaves its group as one freed by `ottla_consumer_free` does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_share_consumer_free(consumer: *mut ottla_share_consumer) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(consumer) }
}
