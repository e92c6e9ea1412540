//! Consumer
//!
//! Reads partitions of topics. Records are fetched in the background from all leaders at once, up to
//! `fetch.memory.bytes`; a poll returns what has arrived, events first.
//!
//! ```c
//! ottla_consumer *consumer = NULL;
//! status = ottla_consumer_new(config, &consumer, &error);
//! status = ottla_consumer_assign_topic(consumer, "greetings", OTTLA_START_EARLIEST, 0, &error);
//! for (;;) {
//!     ottla_batch *batch = NULL;
//!     ottla_event *event = NULL;
//!     status = ottla_consumer_poll(consumer, 0, 1000, &batch, &event, &error);
//!     if (status != OTTLA_OK) break;
//!     if (event) fprintf(stderr, "%s\n", ottla_event_message(event));
//!     ottla_event_free(event);
//!     ...                                                     // the batch's segments, if there is a batch
//!     ottla_batch_free(batch);
//! }
//! ottla_consumer_free(consumer);
//! ```

use std::ffi::{CString, c_char};
use std::sync::Arc;

use libc::{intptr_t, size_t};

use super::basics::ottla_status;
use super::batch::{BatchParts, ottla_batch};
use super::config::{ottla_config, typed};
use super::error::ottla_error;
use super::event::ottla_event;
use super::guard::{self, Call, Guarded, Live, c_string, opaque};
use super::log::{lines as lines_handle, ottla_log_lines};
use crate::config::ConsumerConfig;
use crate::consumer::{Consumer, Polled, Start};
use crate::error::Result;

/// A consumer. All its functions except `ottla_consumer_poll` and `ottla_consumer_free` may be called from many
/// threads at once, also during a poll.
pub struct ottla_consumer(Guarded<Live<Consumer>>);
opaque!(ottla_consumer, Live<Consumer>, "consumer");

/// Start where `auto.offset.reset` says.
pub const OTTLA_START_RESET: i32 = 0;
/// Start at the oldest record in the log.
pub const OTTLA_START_EARLIEST: i32 = 1;
/// Start after the newest record.
pub const OTTLA_START_LATEST: i32 = 2;
/// Start at the offset `value`.
pub const OTTLA_START_OFFSET: i32 = 3;
/// Start at the first record whose timestamp is `value` (milliseconds since 1970) or later; at the end if there is
/// none.
pub const OTTLA_START_TIMESTAMP: i32 = 4;

/// A partition to read, and where to start.
#[repr(C)]
pub struct ottla_assignment {
    /// The topic.
    pub topic: *const c_char,
    /// The value for OTTLA_START_OFFSET and OTTLA_START_TIMESTAMP.
    pub value: i64,
    /// The partition.
    pub partition: i32,
    /// `OTTLA_START_*`
    pub start: i32,
}

/// A partition of a topic.
#[repr(C)]
pub struct ottla_topic_partition {
    /// The topic.
    pub topic: *const c_char,
    /// The partition.
    pub partition: i32,
}

/// A list of partitions. Immutable: its functions may be called from many threads at once.
pub struct ottla_partitions(Guarded<Vec<PartitionRow>>);
opaque!(ottla_partitions, Vec<PartitionRow>, "partitions");

pub(super) struct PartitionRow {
    topic: CString,
    partition: i32,
}

fn partitions_handle(list: Vec<(Arc<str>, i32)>) -> *mut ottla_partitions {
    let row = |(topic, partition): (Arc<str>, i32)| PartitionRow {
        topic: c_string(&topic),
        partition,
    };
    guard::handle(list.into_iter().map(row).collect())
}

fn start_of(call: Call, start: i32, value: i64) -> Result<Start> {
    match start {
        OTTLA_START_RESET => Ok(Start::Reset),
        OTTLA_START_EARLIEST => Ok(Start::Earliest),
        OTTLA_START_LATEST => Ok(Start::Latest),
        OTTLA_START_OFFSET => Ok(Start::Offset(value)),
        OTTLA_START_TIMESTAMP => Ok(Start::Timestamp(value)),
        _ => Err(call.wrong(
            "start",
            format_args!("is {start}, which is none of OTTLA_START_*"),
        )),
    }
}

/// # Safety
/// `partitions` is NULL or points to `count` of them, whose strings outlive `'a`.
pub(super) unsafe fn partitions_of<'a>(
    call: Call,
    partitions: *const ottla_topic_partition,
    count: usize,
) -> Result<Vec<(&'a str, i32)>> {
    // SAFETY: the caller's promise.
    let given = unsafe { call.slice("partitions", partitions, count) }?;
    let pair = |p: &ottla_topic_partition| {
        // SAFETY: the same.
        let topic = unsafe { call.text("a partition's topic", p.topic) }?;
        Ok((topic, p.partition))
    };
    given.iter().map(pair).collect()
}

/// Writes offsets to the caller's array.
///
/// # Safety
/// `to` is writable for as many, or there are none.
unsafe fn write_offsets(to: *mut i64, offsets: impl Iterator<Item = i64>) {
    for (i, offset) in offsets.enumerate() {
        // SAFETY: the caller's promise.
        unsafe { guard::write(to.add(i), offset) };
    }
}

/// Writes what a poll has given: a batch, an event, or neither.
///
/// # Safety
/// Both are writable.
pub(super) unsafe fn write_polled(
    polled: Polled,
    batch: *mut *mut ottla_batch,
    event: *mut *mut ottla_event,
) {
    let (mut records, mut happened) = (std::ptr::null_mut(), std::ptr::null_mut());
    match polled {
        Polled::Batch(own) => records = guard::handle(BatchParts::new(own)),
        Polled::Event(own) => happened = guard::handle(own.into()),
        Polled::Nothing => {}
    }
    // SAFETY: the caller's promise.
    unsafe {
        guard::write(batch, records);
        guard::write(event, happened);
    }
}

/// Creates a consumer without an assignment and writes its handle, which the caller frees with `ottla_consumer_free`.
/// It connects in the background.
///
/// Errors: OTTLA_ERR_CONFIG for a mistake in the configuration, OTTLA_ERR_IO if no thread can be started.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_new(
    config: *const ottla_config,
    consumer: *mut *mut ottla_consumer,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::run("ottla_consumer_new", error, |call| {
            call.out("consumer", consumer)?;
            let config = typed(call, config, |pairs| ConsumerConfig::from_pairs(pairs))?;
            let made = Live::new(|| Consumer::new(config))?;
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
pub unsafe extern "C" fn ottla_consumer_connect(
    consumer: *const ottla_consumer,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_consumer_connect", consumer, error, |call, live| {
            live.get()?.connect(call.timeout(timeout_ms)?)
        })
    }
}

/// Replaces the assignment with these partitions. A partition that was already assigned continues where it is; its
/// start is ignored.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT for a negative partition or offset, an empty name, a partition given twice.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_assign(
    consumer: *const ottla_consumer,
    partitions: *const ottla_assignment,
    count: size_t,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_consumer_assign", consumer, error, |call, live| {
            let given = call.slice("partitions", partitions, count)?;
            let wanted: Result<Vec<(&str, i32, Start)>> = given
                .iter()
                .map(|p| {
                    let topic = call.text("a partition's topic", p.topic)?;
                    Ok((topic, p.partition, start_of(call, p.start, p.value)?))
                })
                .collect();
            live.get()?.assign(&wanted?)
        })
    }
}

/// Adds all partitions of a topic to the assignment. Partitions added to the topic later are read too, from their
/// beginnings, and reported by an event. `start` must not be OTTLA_START_OFFSET; `value` is a timestamp for
/// OTTLA_START_TIMESTAMP, otherwise 0.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_assign_topic(
    consumer: *const ottla_consumer,
    topic: *const c_char,
    start: i32,
    value: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_assign_topic",
            consumer,
            error,
            |call, live| {
                live.get()?
                    .assign_topic(call.text("topic", topic)?, start_of(call, start, value)?)
            },
        )
    }
}

/// Clears the assignment.
///
/// Errors: OTTLA_ERR_CLOSED.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_unassign(
    consumer: *const ottla_consumer,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_consumer_unassign", consumer, error, |_, live| {
            live.get()?.unassign()
        })
    }
}

/// Writes the assigned partitions, ordered by topic and partition, as a list that the caller frees with
/// `ottla_partitions_free`.
///
/// Errors: OTTLA_ERR_CLOSED.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_assignment(
    consumer: *const ottla_consumer,
    partitions: *mut *mut ottla_partitions,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_assignment",
            consumer,
            error,
            |call, live| {
                call.out("partitions", partitions)?;
                guard::write(partitions, partitions_handle(live.get()?.assignment()?));
                Ok(())
            },
        )
    }
}

/// Moves the position of an assigned partition. Records that were fetched but not polled are discarded.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT if it is not assigned, or for a negative offset.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_seek(
    consumer: *const ottla_consumer,
    topic: *const c_char,
    partition: i32,
    start: i32,
    value: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_consumer_seek", consumer, error, |call, live| {
            let (topic, start) = (call.text("topic", topic)?, start_of(call, start, value)?);
            live.get()?.seek(topic, partition, start)
        })
    }
}

/// Stops fetching and returning records of partitions; records that were already fetched are kept.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT if one of them is not assigned; none is paused in that case.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_pause(
    consumer: *const ottla_consumer,
    partitions: *const ottla_topic_partition,
    count: size_t,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_consumer_pause", consumer, error, |call, live| {
            live.get()?.pause(&partitions_of(call, partitions, count)?)
        })
    }
}

/// Resumes paused partitions.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT if one of them is not assigned; none is resumed in that case.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_resume(
    consumer: *const ottla_consumer,
    partitions: *const ottla_topic_partition,
    count: size_t,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_consumer_resume", consumer, error, |call, live| {
            live.get()?.resume(&partitions_of(call, partitions, count)?)
        })
    }
}

/// Writes the position of a partition: the offset after the last record that counts as read, or -1 while the start is
/// being looked up. Records of the latest batch count as read when the next poll is made.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT if the partition is not assigned.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_position(
    consumer: *const ottla_consumer,
    topic: *const c_char,
    partition: i32,
    position: *mut i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_consumer_position", consumer, error, |call, live| {
            call.out("position", position)?;
            let found = live
                .get()?
                .position(call.text("topic", topic)?, partition)?;
            guard::write(position, found.unwrap_or(-1));
            Ok(())
        })
    }
}

/// Writes the number of offsets between the position and the end of the readable log, as last reported by the
/// brokers; -1 if unknown. Every fetch updates it; for a paused partition the end is requested every 5 seconds.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT if the partition is not assigned.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_lag(
    consumer: *const ottla_consumer,
    topic: *const c_char,
    partition: i32,
    lag: *mut i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_consumer_lag", consumer, error, |call, live| {
            call.out("lag", lag)?;
            let found = live.get()?.lag(call.text("topic", topic)?, partition)?;
            guard::write(lag, found.unwrap_or(-1));
            Ok(())
        })
    }
}

/// Requests the oldest offset of each partition (Kafka's ListOffsets) and writes it to `offsets`, an array of
/// `count`. The partitions need not be assigned.
///
/// Errors: that of the first partition that failed; OTTLA_ERR_TIMED_OUT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_beginning_offsets(
    consumer: *const ottla_consumer,
    partitions: *const ottla_topic_partition,
    count: size_t,
    timeout_ms: i64,
    offsets: *mut i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_beginning_offsets",
            consumer,
            error,
            |call, live| {
                call.out("offsets", offsets)?;
                let wanted = partitions_of(call, partitions, count)?;
                let found = live
                    .get()?
                    .beginning_offsets(&wanted, call.timeout(timeout_ms)?)?;
                write_offsets(offsets, found.into_iter());
                Ok(())
            },
        )
    }
}

/// Requests the end offset of each partition (Kafka's ListOffsets) and writes it to `offsets`, an array of `count`:
/// the offset after the last readable record, or with `isolation.level=read_committed` the start of the first open
/// transaction.
///
/// Errors: as `ottla_consumer_beginning_offsets`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_end_offsets(
    consumer: *const ottla_consumer,
    partitions: *const ottla_topic_partition,
    count: size_t,
    timeout_ms: i64,
    offsets: *mut i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_end_offsets",
            consumer,
            error,
            |call, live| {
                call.out("offsets", offsets)?;
                let wanted = partitions_of(call, partitions, count)?;
                let found = live
                    .get()?
                    .end_offsets(&wanted, call.timeout(timeout_ms)?)?;
                write_offsets(offsets, found.into_iter());
                Ok(())
            },
        )
    }
}

/// Requests for each partition i the first record whose timestamp is `times[i]` (milliseconds since 1970) or later
/// (Kafka's ListOffsets), and writes its offset to `offsets[i]`; -1 if there is none.
///
/// Errors: as `ottla_consumer_beginning_offsets`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_offsets_for_times(
    consumer: *const ottla_consumer,
    partitions: *const ottla_topic_partition,
    times: *const i64,
    count: size_t,
    timeout_ms: i64,
    offsets: *mut i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_offsets_for_times",
            consumer,
            error,
            |call, live| {
                call.out("offsets", offsets)?;
                let times = call.slice("times", times, count)?;
                let wanted = partitions_of(call, partitions, count)?;
                let wanted: Vec<(&str, i32, i64)> = wanted
                    .iter()
                    .zip(times)
                    .map(|(&(topic, partition), &time)| (topic, partition, time))
                    .collect();
                let found = live
                    .get()?
                    .offsets_for_times(&wanted, call.timeout(timeout_ms)?)?;
                write_offsets(
                    offsets,
                    found
                        .into_iter()
                        .map(|f| f.map_or(-1, |(offset, _)| offset)),
                );
                Ok(())
            },
        )
    }
}

/// Writes the number of partitions of a topic.
///
/// Errors: the cluster's error for the topic; OTTLA_ERR_TIMED_OUT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_partition_count(
    consumer: *const ottla_consumer,
    topic: *const c_char,
    timeout_ms: i64,
    count: *mut i32,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_partition_count",
            consumer,
            error,
            |call, live| {
                call.out("count", count)?;
                let found = live
                    .get()?
                    .partitions_for(call.text("topic", topic)?, call.timeout(timeout_ms)?)?;
                guard::write(count, i32::try_from(found.len()).unwrap_or(i32::MAX));
                Ok(())
            },
        )
    }
}

/// Waits up to the timeout for an event or for records, and writes either an event, or a batch of up to `max_records`
/// records (0: `max.poll.records`) that have arrived; the caller frees it. The other output is NULL, and both are
/// NULL when the timeout ends. To be called by one thread at a time. Batches hold their memory until they are freed,
/// without a limit: `ottla_consumer_held_bytes` reports how much.
///
/// Errors: OTTLA_ERR_IN_USE while another thread polls; OTTLA_ERR_WOKEN after `ottla_consumer_wake`;
/// OTTLA_ERR_CLOSED; before the first contact with the cluster, once `socket.connection.setup.timeout.ms` is over,
/// the reason why no broker can be reached.
/// reached.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_poll(
    consumer: *mut ottla_consumer,
    max_records: size_t,
    timeout_ms: i64,
    batch: *mut *mut ottla_batch,
    event: *mut *mut ottla_event,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_consumer_poll", consumer, error, |call, live| {
            call.out("batch", batch)?;
            call.out("event", event)?;
            let polled = live.get()?.poll(max_records, call.timeout(timeout_ms)?)?;
            write_polled(polled, batch, event);
            Ok(())
        })
    }
}

/// Ends the wait of the current poll, or of the next one that has to wait, with OTTLA_ERR_WOKEN.
///
/// Errors: OTTLA_ERR_CLOSED.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_wake(
    consumer: *const ottla_consumer,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_consumer_wake", consumer, error, |_, live| {
            live.get()?.wake()
        })
    }
}

/// Writes a descriptor (a SOCKET on Windows) for poll, epoll, select or an event loop. It is readable while a poll
/// would return something at once; then poll with timeout 0, which may return nothing. The descriptor is created by
/// the first call, owned by the consumer and closed with it: only wait on it, never read from it.
///
/// It is level-triggered: it stays readable until nothing is left, even if a poll took only a part, so a loop may
/// poll once each time it is readable. With edge-triggered epoll (EPOLLET), poll until nothing is returned. Spurious
/// wake-ups happen.
///
/// Errors: OTTLA_ERR_IO if the operating system has no descriptors left.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_descriptor(
    consumer: *const ottla_consumer,
    descriptor: *mut intptr_t,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_descriptor",
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

/// Writes the number of bytes of buffers that are held by polled batches.
///
/// Errors: OTTLA_ERR_CLOSED.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_held_bytes(
    consumer: *const ottla_consumer,
    bytes: *mut size_t,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_held_bytes",
            consumer,
            error,
            |call, live| {
                call.out("bytes", bytes)?;
                guard::write(bytes, live.get()?.held_bytes()?);
                Ok(())
            },
        )
    }
}

/// Writes the number of bytes fetched and not polled yet, which `fetch.memory.bytes` limits.
///
/// Errors: OTTLA_ERR_CLOSED.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_buffered_bytes(
    consumer: *const ottla_consumer,
    bytes: *mut size_t,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_buffered_bytes",
            consumer,
            error,
            |call, live| {
                call.out("bytes", bytes)?;
                guard::write(bytes, live.get()?.buffered_bytes()?);
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
pub unsafe extern "C" fn ottla_consumer_logs(
    consumer: *const ottla_consumer,
    max: size_t,
    lines: *mut *mut ottla_log_lines,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_consumer_logs", consumer, error, |call, live| {
            call.out("lines", lines)?;
            let max = if max == 0 { usize::MAX } else { max };
            guard::write(lines, lines_handle(live.get()?.log_lines(max)?));
            Ok(())
        })
    }
}

/// Closes the consumer: makes every other call return OTTLA_ERR_CLOSED, discards what was fetched, commits what
/// counts as read (with `enable.auto.commit`), waits for background commits, leaves the group at once (except a
/// static member, which stays in it), and waits up to the timeout until the connections are closed. The latest batch
/// does not count as read yet. Batches stay valid. Closing twice does nothing.
///
/// Errors: OTTLA_ERR_TIMED_OUT; closing then continues in the background.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_close(
    consumer: *const ottla_consumer,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_consumer_close", consumer, error, |call, live| {
            live.get()?.close(call.timeout(timeout_ms)?)
        })
    }
}

/// Frees a consumer, once all calls with it have returned. Its batches and events stay valid. If it was not closed
/// first, it leaves its group in the background, within five seconds; close it to be sure that it has left. While
/// more than 16 clients are leaving at once, this call waits up to 0.1 s, and then gives up without leaving: the group
/// notices when the member's session expires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_consumer_free(consumer: *mut ottla_consumer) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(consumer) }
}

/// Returns the number of partitions in the list, or 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_partitions_count(partitions: *const ottla_partitions) -> size_t {
    // SAFETY: the header's conventions.
    unsafe { guard::read(partitions, 0, |rows: &Vec<PartitionRow>| rows.len()) }
}

/// Writes partition `i` of the list, counting from 0. Its topic lives as long as the list.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_partitions_get(
    partitions: *const ottla_partitions,
    i: size_t,
    partition: *mut ottla_topic_partition,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_partitions_get", partitions, error, |call, rows| {
            call.out("partition", partition)?;
            let row = call.element(rows, i)?;
            guard::write(
                partition,
                ottla_topic_partition {
                    topic: row.topic.as_ptr(),
                    partition: row.partition,
                },
            );
            Ok(())
        })
    }
}

/// Frees a list of partitions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_partitions_free(partitions: *mut ottla_partitions) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(partitions) }
}
