//! Producer
//!
//! Writes records. One producer is enough for a whole program: all its functions may be called from many threads at
//! once, and records are copied before a call returns. Records are collected in one batch per partition. A batch is
//! sent when it is full, or `linger.ms` after its first record, without any further call.
//!
//! ```c
//! ottla_producer *producer = NULL;
//! status = ottla_producer_new(config, &producer, &error);
//! ottla_bytes none = {NULL, 0}, value = {(const uint8_t *)"hello", 5};
//! status = ottla_producer_send(producer, "greetings", -1, none, value, NULL, 0, -1, 0, -1, &error);
//! status = ottla_producer_flush(producer, 10000, &error);
//! status = ottla_producer_close(producer, 10000, &error);
//! ottla_producer_free(producer);
//! ```
//!
//! Send many records of one topic in one call, as columns:
//!
//! ```c
//! ottla_column values = {0};
//! values.blob = (const uint8_t *)"onetwothree";
//! values.blob_len = 11;
//! values.lengths = lengths;                                   // int32_t lengths[] = {3, 3, 5};
//! size_t accepted = 0;
//! status = ottla_producer_send_batch(producer, "numbers", -1, 3, NULL, &values, NULL, NULL, 1, -1,
//!                                    &accepted, &error);
//! ```
//!
//! When the buffer (`buffer.memory`) is full, a send call waits for up to its timeout, or returns OTTLA_ERR_AGAIN at
//! once if that is 0. `ottla_producer_poll` reports the outcome of records. Completions that are not polled count as
//! part of the buffer, so a program that passes tokens has to poll.

use std::ffi::c_char;

use libc::{intptr_t, size_t};

use super::basics::{ottla_bytes, ottla_header, ottla_status};
use super::columns::{Scratch, timestamps as checked_timestamps, with_scratch};
use super::completion::{completions as completions_handle, ottla_completions};
use super::config::{ottla_config, typed};
use super::error::ottla_error;
use super::guard::{self, Call, Guarded, Live, opaque};
use super::log::{lines as lines_handle, ottla_log_lines};
use crate::clock::Clock;
use crate::config::ProducerConfig;
use crate::error::Result;
use crate::producer::{Producer, Record, Wait};
use crate::protocol::record::{Bytes, Records, Timestamps};

/// A producer. All its functions but `_free` may be called from many threads at once.
pub struct ottla_producer(Guarded<Live<Producer>>);
opaque!(ottla_producer, Live<Producer>, "producer");

/// A column of byte strings, one for each record of a call, in one of three layouts. Fields that a layout doesn't use
/// are NULL or 0.
///
/// - `blob` and `lengths`: the strings follow one another in the blob and fill it completely; -1 is null.
/// - `blob` and `offsets`: string i is `blob[offsets[i]]` up to, but not including, `blob[offsets[i + 1]]`, as in
///   Arrow. There are rows + 1 offsets, which never decrease; the first need not be 0, the last need not be the end
///   of the blob. No nulls.
/// - `pointers` and `lengths`: each string has its own address; the length -1 is null, and so is a NULL pointer with
///   length 0.
#[repr(C)]
pub struct ottla_column {
    /// All strings, one after another.
    pub blob: *const u8,
    /// The size of the blob in bytes.
    pub blob_len: size_t,
    /// The address of each string.
    pub pointers: *const *const u8,
    /// The length of each string; -1 is null.
    pub lengths: *const i32,
    /// Where each string starts in the blob, and where the last one ends.
    pub offsets: *const i32,
}

/// The headers of all records of a call.
#[repr(C)]
pub struct ottla_header_column {
    /// The number of headers of each record.
    pub counts: *const i32,
    /// For each header, in order, the length of its name and the length of its value (-1 for null).
    pub lengths: *const i32,
    /// The number of lengths: twice the sum of the counts.
    pub lengths_count: size_t,
    /// Names and values in the order of the lengths.
    pub blob: *const u8,
    /// The size of the blob in bytes: the sum of the lengths.
    pub blob_len: size_t,
}

/// Totals since a producer was created, and what it holds now. `ottla_producer_stats` has further figures.
#[repr(C)]
pub struct ottla_producer_counts {
    /// Records acknowledged.
    pub written: u64,
    /// Records that were not written, or may not have been written.
    pub failed: u64,
    /// Batches closed and handed over to be sent.
    pub batches: u64,
    /// Produce requests sent.
    pub requests: u64,
    /// Batches sent again.
    pub retries: u64,
    /// Bytes of batches sent, as on the wire.
    pub bytes: u64,
    /// Bytes of `buffer.memory` in use now.
    pub buffered_bytes: u64,
    /// Batches that are neither acknowledged nor failed yet.
    pub live_batches: u64,
}

/// Creates a producer and writes its handle, which the caller frees with `ottla_producer_free`. It connects in the
/// background: the first calls, or `ottla_producer_connect`, report whether brokers can be reached.
///
/// Errors: OTTLA_ERR_CONFIG for a mistake in the configuration, OTTLA_ERR_IO if no thread can be started.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_new(
    config: *const ottla_config,
    producer: *mut *mut ottla_producer,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::run("ottla_producer_new", error, |call| {
            call.out("producer", producer)?;
            let config = typed(call, config, |pairs| ProducerConfig::from_pairs(pairs))?;
            let made = Live::new(|| Producer::new(config))?;
            guard::write(producer, guard::handle(made));
            Ok(())
        })
    }
}

/// Waits until the cluster has responded and a connection to one of its brokers is established. Not needed before
/// sending; it lets a program find out early.
///
/// Errors: after the timeout, or as soon as further waiting cannot help, the first failure: OTTLA_ERR_CONNECT,
/// OTTLA_ERR_DNS, OTTLA_ERR_TLS, OTTLA_ERR_PROTOCOL, OTTLA_ERR_TIMED_OUT. The message names each broker tried, as
/// configured and as advertised, with the stage that failed and the reason.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_connect(
    producer: *const ottla_producer,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_producer_connect", producer, error, |call, live| {
            live.get()?.connect(call.timeout(timeout_ms)?)
        })
    }
}

/// How long a sending call waits for room.
#[inline]
fn wait(call: Call, timeout_ms: i64) -> Result<Wait> {
    match timeout_ms {
        -1 => Ok(Wait::MaxBlock),
        _ => call.timeout(timeout_ms).map(Wait::UpTo),
    }
}

#[inline]
fn partition_choice(call: Call, partition: i32) -> Result<Option<i32>> {
    match partition {
        -1 => Ok(None),
        0.. => Ok(Some(partition)),
        _ => Err(call.wrong(
            "partition",
            format_args!("is {partition}; give 0 or more, or -1 to have the partitioner choose"),
        )),
    }
}

type Pair<'a> = (&'a [u8], Option<&'a [u8]>);

/// Checks headers and lends them in the producer's form; up to sixteen without an allocation.
///
/// # Safety
/// `headers` is NULL or points to `count` headers whose bytes are as the header says.
unsafe fn with_headers<R>(
    call: Call,
    headers: *const ottla_header,
    count: usize,
    body: impl FnOnce(&[Pair<'_>]) -> Result<R>,
) -> Result<R> {
    // SAFETY: the caller's promise.
    let given = unsafe { call.slice("headers", headers, count) }?;
    let mut few: [Pair<'_>; 16];
    let mut many: Vec<Pair<'_>>;
    let pairs: &mut [Pair<'_>] = if count <= 16 {
        few = [(&[], None); 16];
        &mut few[..count]
    } else {
        many = vec![(&[][..], None); count];
        &mut many
    };
    for (pair, header) in pairs.iter_mut().zip(given) {
        // SAFETY: the caller's promise.
        let (name, value) = unsafe {
            (
                call.bytes("a header's name", header.name)?,
                call.bytes("a header's value", header.value)?,
            )
        };
        let Some(name) = name else {
            return Err(call.wrong("a header's name", "is NULL; only a value may be null"));
        };
        *pair = (name, value);
    }
    body(pairs)
}

/// Sends one record (Kafka's Produce request), copying its bytes. For many records `ottla_producer_send_batch` is
/// cheaper.
///
/// - partition: -1 lets the partitioner choose, by the key if there is one.
/// - key, value: null if `data` is NULL.
/// - headers: an array of `header_count`; NULL if that is 0.
/// - timestamp: milliseconds since 1970, or -1 for now.
/// - token: returned in the record's completion; 0 requests no completion.
/// - timeout_ms: how long to wait for room in the buffer; 0 does not wait, -1 waits up to `max.block.ms`.
///
/// Errors: OTTLA_ERR_AGAIN (timeout 0) or OTTLA_ERR_BUFFER_FULL if the buffer stayed full,
/// OTTLA_ERR_RECORD_TOO_LARGE, OTTLA_ERR_UNKNOWN_TOPIC_OR_PARTITION if the topic is known not to exist or has no such
/// partition, OTTLA_ERR_CLOSED, OTTLA_ERR_INVALID_ARGUMENT. After an error the record was not accepted. While no
/// broker can be reached, records are accepted and wait, within the limits of `max.block.ms` and
/// `delivery.timeout.ms`: call `ottla_producer_connect` to fail early, and `ottla_producer_next_event` to learn the
/// reason. A partition number beyond those known is looked up first, which takes a moment (OTTLA_ERR_AGAIN with
/// timeout 0).
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_send(
    producer: *const ottla_producer,
    topic: *const c_char,
    partition: i32,
    key: ottla_bytes,
    value: ottla_bytes,
    headers: *const ottla_header,
    header_count: size_t,
    timestamp: i64,
    token: u64,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_producer_send", producer, error, |call, live| {
            let producer = live.get()?;
            let name = call.c_bytes("topic", topic)?;
            let text = || call.text("topic", topic);
            let record = Record {
                topic: "",
                partition: partition_choice(call, partition)?,
                key: call.bytes("key", key)?,
                value: call.bytes("value", value)?,
                headers: &[],
                timestamp: match timestamp {
                    -1 => None,
                    0.. => Some(timestamp),
                    _ => {
                        return Err(call.wrong(
                            "timestamp",
                            format_args!(
                                "is {timestamp}; give milliseconds since 1970, or -1 for now"
                            ),
                        ));
                    }
                },
                token,
            };
            let wait = wait(call, timeout_ms)?;
            if header_count == 0 {
                return producer.send_to(name, text, &record, wait);
            }
            with_headers(call, headers, header_count, |headers| {
                producer.send_to(name, text, &Record { headers, ..record }, wait)
            })
        })
    }
}

/// Sends `rows` records of one topic, given as columns, copying everything.
///
/// All records are checked first, then accepted in order. `accepted` is the number accepted: always a prefix of the
/// call, all of them on success; it is written on failure too. Records that were not accepted can be sent again.
///
/// - partition: for all records; -1 lets the partitioner choose for each.
/// - keys, values: NULL for a column of nulls.
/// - headers: NULL for none.
/// - timestamps: one for each record, in milliseconds since 1970, -1 for now; NULL for now in all records.
/// - token: identifies the call in completions, which also say which of its records they are about. 0 requests no
///   completions.
/// - timeout_ms: as in `ottla_producer_send`, for the call as a whole.
///
/// Errors: as `ottla_producer_send`. With OTTLA_ERR_RECORD_TOO_LARGE and OTTLA_ERR_INVALID_ARGUMENT (columns that
/// don't fit together) no record is accepted.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_send_batch(
    producer: *const ottla_producer,
    topic: *const c_char,
    partition: i32,
    rows: size_t,
    keys: *const ottla_column,
    values: *const ottla_column,
    headers: *const ottla_header_column,
    timestamps: *const i64,
    token: u64,
    timeout_ms: i64,
    accepted: *mut size_t,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions; a place for `accepted` is checked before it is written.
    unsafe {
        if !accepted.is_null() {
            guard::write(accepted, 0);
        }
        guard::on(
            "ottla_producer_send_batch",
            producer,
            error,
            |call, live| {
                call.out("accepted", accepted)?;
                let producer = live.get()?;
                let topic = call.text("topic", topic)?;
                let partition = partition_choice(call, partition)?;
                let wait = wait(call, timeout_ms)?;
                if rows > u32::MAX as usize {
                    return Err(call.wrong(
                        "rows",
                        format_args!("is {rows}; one call takes at most {}", u32::MAX),
                    ));
                }
                with_scratch(rows, |scratch| {
                    let Scratch {
                        keys: key_scratch,
                        values: value_scratch,
                        headers: header_scratch,
                        timestamps: timestamp_scratch,
                    } = scratch;
                    let keys = match keys.as_ref() {
                        Some(keys) => keys.bytes(call, "keys", rows, key_scratch)?,
                        None => Bytes::Null,
                    };
                    let values = match values.as_ref() {
                        Some(values) => values.bytes(call, "values", rows, value_scratch)?,
                        None => Bytes::Null,
                    };
                    let headers = match headers.as_ref() {
                        Some(headers) => Some(headers.headers(call, rows, header_scratch)?),
                        None => None,
                    };
                    let timestamps = if timestamps.is_null() {
                        Timestamps::One(Clock::System.wall_ms())
                    } else {
                        let given = call.slice("timestamps", timestamps, rows)?;
                        checked_timestamps(call, given, Clock::System.wall_ms(), timestamp_scratch)?
                    };
                    let records = Records::new(rows, keys, values, headers, timestamps)?;
                    let (taken, result) =
                        producer.send_batch(topic, partition, &records, token, wait);
                    guard::write(accepted, taken);
                    result
                })
            },
        )
    }
}

/// Takes up to `max` completions (0: all that are available), waiting up to the timeout for the first one. Writes
/// them for the caller to free with `ottla_completions_free`, or NULL if there are none when the timeout ends.
/// Several threads may poll; each completion is returned to one of them.
///
/// Errors: OTTLA_ERR_WOKEN after `ottla_producer_wake`; OTTLA_ERR_CLOSED once the producer is closed and no
/// completions are left.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_poll(
    producer: *const ottla_producer,
    max: size_t,
    timeout_ms: i64,
    completions: *mut *mut ottla_completions,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_producer_poll", producer, error, |call, live| {
            call.out("completions", completions)?;
            let max = if max == 0 { usize::MAX } else { max };
            let producer = live.get()?;
            let own = producer.drain_ended(max, call.timeout(timeout_ms)?)?;
            let found = if own.is_empty() {
                std::ptr::null_mut()
            } else {
                completions_handle(own, |done| producer.recycle(done))
            };
            guard::write(completions, found);
            Ok(())
        })
    }
}

/// Sends everything accepted so far without waiting for `linger.ms`, and waits until all of it is acknowledged or has
/// failed. Does not take completions, which can still be polled.
///
/// Errors: OTTLA_ERR_TIMED_OUT, with the number of records left, which are still being sent; otherwise the first
/// failure among records sent with the token 0 since the last flush.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_flush(
    producer: *const ottla_producer,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_producer_flush", producer, error, |call, live| {
            live.get()?.flush(call.timeout(timeout_ms)?)
        })
    }
}

/// Ends one wait of `ottla_producer_poll`, the current one or the next, with OTTLA_ERR_WOKEN.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_wake(
    producer: *const ottla_producer,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_producer_wake", producer, error, |_, live| {
            live.get()?.wake();
            Ok(())
        })
    }
}

/// Writes a descriptor (a SOCKET on Windows) for poll, epoll, select or an event loop. It is readable while
/// completions, events or statistics are available, after a wake, after close, and when there is room again after
/// OTTLA_ERR_AGAIN; then call `ottla_producer_poll` with timeout 0, which may return nothing. The descriptor is
/// created by the first call, owned by the producer and closed with it: only wait on it, never read from it.
///
/// It is level-triggered: it stays readable until nothing is left, even if a poll took only a part, so a loop may
/// poll once each time it is readable. With edge-triggered epoll (EPOLLET), poll until nothing is returned. Spurious
/// wake-ups happen.
///
/// Errors: OTTLA_ERR_IO if the operating system has no descriptors left.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_descriptor(
    producer: *const ottla_producer,
    descriptor: *mut intptr_t,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_producer_descriptor",
            producer,
            error,
            |call, live| {
                call.out("descriptor", descriptor)?;
                guard::write(descriptor, live.get()?.descriptor()?);
                Ok(())
            },
        )
    }
}

/// Writes the producer's totals.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_get_counts(
    producer: *const ottla_producer,
    counts: *mut ottla_producer_counts,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_producer_get_counts",
            producer,
            error,
            |call, live| {
                call.out("counts", counts)?;
                let c = live.get()?.counts();
                guard::write(
                    counts,
                    ottla_producer_counts {
                        written: c.written,
                        failed: c.failed,
                        batches: c.batches,
                        requests: c.requests,
                        retries: c.retries,
                        bytes: c.bytes,
                        buffered_bytes: c.buffered_bytes,
                        live_batches: c.live_batches,
                    },
                );
                Ok(())
            },
        )
    }
}

/// Takes up to `max` log lines (0: all there are), oldest first. Writes them for the caller to free with
/// `ottla_log_lines_free`, or NULL if there are none.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_logs(
    producer: *const ottla_producer,
    max: size_t,
    lines: *mut *mut ottla_log_lines,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_producer_logs", producer, error, |call, live| {
            call.out("lines", lines)?;
            let max = if max == 0 { usize::MAX } else { max };
            let mut own = Vec::new();
            live.get()?.log_lines(max, &mut own);
            guard::write(lines, lines_handle(own));
            Ok(())
        })
    }
}

/// Stops accepting records, flushes for up to the timeout, then gives up the rest (reported as not written if never
/// sent, as possibly written otherwise) and closes the connections. Records accepted from other threads before the
/// call are flushed too; later send calls return `OTTLA_ERR_CLOSED`. Wakes all waiting calls. Completions can still
/// be polled. Closing twice does nothing.
///
/// Errors: as `ottla_producer_flush`; the producer is closed in any case.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_close(
    producer: *const ottla_producer,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_producer_close", producer, error, |call, live| {
            live.get()?.close(call.timeout(timeout_ms)?)
        })
    }
}

/// Frees a producer, once all calls with it have returned. If it was not closed first, unacknowledged records are
/// given up, and a line on stderr at the end of the process says how many. Completions that were polled stay valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_producer_free(producer: *mut ottla_producer) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(producer) }
}
