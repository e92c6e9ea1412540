//! Statistics
//!
//! Figures of a producer or consumer: for the client as a whole, for each broker, and for each partition that it
//! writes or reads. They are available on request, and also every `statistics.interval.ms` if that is set: the
//! descriptor then becomes readable, a waiting poll ends, and `ottla_producer_next_stats` returns them.
//!
//! ```c
//! ottla_stats *stats = NULL;
//! status = ottla_producer_stats(producer, 1000, &stats, &error);
//! for (size_t i = 0; i < ottla_stats_count(stats); i++) {
//!     ottla_stats_scope scope;
//!     ottla_histogram latency;
//!     status = ottla_stats_get(stats, i, &scope, &error);
//!     if (scope.kind == OTTLA_STATS_BROKER &&
//!         ottla_stats_histogram(stats, i, "produce_latency_us", &latency, &error) == OTTLA_OK) {
//!         printf("%s: 99 %% within %llu us\n", scope.address, (unsigned long long)latency.p99);
//!     }
//! }
//! puts(ottla_stats_json(stats));
//! ottla_stats_free(stats);
//! ```
//!
//! Figures have names that end with their unit: `_bytes`, `_ms`, `_us` (microseconds); the others are counts.
//! docs/statistics.md lists them. Later versions may have more.

use std::ffi::{CString, c_char};

use libc::size_t;

use super::basics::ottla_status;
use super::consumer::ottla_consumer;
use super::error::ottla_error;
use super::guard::{self, Guarded, c_string, opaque};
use super::producer::ottla_producer;
use crate::stats::{Place, Stats, Summary};

/// The figures of the client as a whole.
pub const OTTLA_STATS_CLIENT: i32 = 0;
/// The figures of a broker.
pub const OTTLA_STATS_BROKER: i32 = 1;
/// The figures of a partition.
pub const OTTLA_STATS_PARTITION: i32 = 2;

/// The figures of a client at one moment. Immutable: its functions may be called from many threads at once.
pub struct ottla_stats(Guarded<Views>);
opaque!(ottla_stats, Views, "stats");

/// What a set of figures is about. Its strings live as long as the statistics.
#[repr(C)]
pub struct ottla_stats_scope {
    /// The topic of a partition; otherwise NULL.
    pub topic: *const c_char,
    /// The host and port of a broker; otherwise NULL.
    pub address: *const c_char,
    /// The state of a broker's connections: "up", "connecting", "failing" (waiting to retry) or "idle" (none, because
    /// none is needed); NULL unless it is a broker.
    pub state: *const c_char,
    /// `OTTLA_STATS_CLIENT`, `OTTLA_STATS_BROKER` or `OTTLA_STATS_PARTITION`.
    pub kind: i32,
    /// The id of the broker, or of the partition's leader; -1 for an entry of `bootstrap.servers`, or if there is
    /// none.
    pub broker: i32,
    /// The partition; -1 if it is not a partition.
    pub partition: i32,
}

/// A summary of many values. Percentiles are at most a sixteenth too high.
#[repr(C)]
pub struct ottla_histogram {
    /// The number of values.
    pub count: u64,
    /// The sum of the values.
    pub sum: u64,
    /// The smallest value; 0 if there are none.
    pub min: u64,
    /// The largest value; 0 if there are none.
    pub max: u64,
    /// The median: 50 % of the values are at most this.
    pub p50: u64,
    /// 90 % of the values are at most this.
    pub p90: u64,
    /// 99 % of the values are at most this.
    pub p99: u64,
    /// 99.9 % of the values are at most this.
    pub p999: u64,
}

/// The number of occurrences of an error.
#[repr(C)]
pub struct ottla_error_count {
    /// The number of occurrences.
    pub count: u64,
    /// The error code; `ottla_status_name` returns its name.
    pub code: ottla_status,
}

struct View {
    topic: Option<CString>,
    address: Option<CString>,
    state: Option<CString>,
    errors: Vec<ottla_error_count>,
}

pub(super) struct Views {
    stats: Stats,
    json: CString,
    views: Vec<View>,
}

pub(super) fn handle(stats: Stats) -> *mut ottla_stats {
    let views = stats.scopes.iter().map(|scope| {
        let (topic, address, state) = match &scope.place {
            Place::Client => (None, None, None),
            Place::Broker { address, state, .. } => (None, Some(&**address), Some(*state)),
            Place::Partition { topic, .. } => (Some(&**topic), None, None),
        };
        let errors = scope.errors.iter().map(|(code, count)| ottla_error_count {
            count: *count,
            code: code.0,
        });
        View {
            topic: topic.map(c_string),
            address: address.map(c_string),
            state: state.map(c_string),
            errors: errors.collect(),
        }
    });
    let views = views.collect();
    guard::handle(Views {
        json: c_string(&stats.to_json()),
        views,
        stats,
    })
}

fn maybe(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(std::ptr::null(), |t| t.as_ptr())
}

/// Writes the current figures of a producer, for the caller to free with `ottla_stats_free`. Histograms cover the
/// time since the producer was created.
///
/// Errors: OTTLA_ERR_TIMED_OUT if the I/O thread does not respond in time.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_stats(
    producer: *const ottla_producer,
    timeout_ms: i64,
    stats: *mut *mut ottla_stats,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_producer_stats", producer, error, |call, live| {
            call.out("stats", stats)?;
            let made = live.get()?.stats(call.timeout(timeout_ms)?)?;
            guard::write(stats, handle(made));
            Ok(())
        })
    }
}

/// Writes the oldest figures recorded by the timer (`statistics.interval.ms`) that have not been taken, for the
/// caller to free with `ottla_stats_free`, or NULL if there are none: call it until it writes NULL. The last eight
/// are kept. Their histograms cover the time since the previous ones.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_next_stats(
    producer: *const ottla_producer,
    stats: *mut *mut ottla_stats,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_producer_next_stats",
            producer,
            error,
            |call, live| {
                call.out("stats", stats)?;
                let next = live.get()?.next_stats();
                guard::write(stats, next.map_or(std::ptr::null_mut(), handle));
                Ok(())
            },
        )
    }
}

/// Writes the current figures of a consumer; see `ottla_producer_stats`.
///
/// Errors: OTTLA_ERR_TIMED_OUT if the I/O thread does not respond in time.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_stats(
    consumer: *const ottla_consumer,
    timeout_ms: i64,
    stats: *mut *mut ottla_stats,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_consumer_stats", consumer, error, |call, live| {
            call.out("stats", stats)?;
            let made = live.get()?.stats(call.timeout(timeout_ms)?)?;
            guard::write(stats, handle(made));
            Ok(())
        })
    }
}

/// Writes the oldest figures of a consumer recorded by the timer; see `ottla_producer_next_stats`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_FORKED.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_next_stats(
    consumer: *const ottla_consumer,
    stats: *mut *mut ottla_stats,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_next_stats",
            consumer,
            error,
            |call, live| {
                call.out("stats", stats)?;
                let next = live.get()?.next_stats();
                guard::write(stats, next.map_or(std::ptr::null_mut(), handle));
                Ok(())
            },
        )
    }
}

/// Returns the number of scopes, or 0 for NULL. The first is the client, then come brokers by id, then partitions by
/// topic and number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_stats_count(stats: *const ottla_stats) -> size_t {
    // SAFETY: the header's conventions.
    unsafe { guard::read(stats, 0, |v: &Views| v.views.len()) }
}

/// Writes what scope `i`, counting from 0, is about.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_stats_get(
    stats: *const ottla_stats,
    i: size_t,
    scope: *mut ottla_stats_scope,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_stats_get", stats, error, |call, v| {
            call.out("scope", scope)?;
            let view = call.element(&v.views, i)?;
            let (kind, broker, partition) = match call.element(&v.stats.scopes, i)?.place {
                Place::Client => (OTTLA_STATS_CLIENT, -1, -1),
                Place::Broker { id, .. } => (OTTLA_STATS_BROKER, id, -1),
                Place::Partition { index, leader, .. } => (OTTLA_STATS_PARTITION, leader, index),
            };
            guard::write(
                scope,
                ottla_stats_scope {
                    topic: maybe(&view.topic),
                    address: maybe(&view.address),
                    state: maybe(&view.state),
                    kind,
                    broker,
                    partition,
                },
            );
            Ok(())
        })
    }
}

/// Writes the figure with this name in scope `i`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT if there is none; the message lists the names that exist.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_stats_value(
    stats: *const ottla_stats,
    i: size_t,
    name: *const c_char,
    value: *mut i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_stats_value", stats, error, |call, v| {
            call.out("value", value)?;
            let name = call.text("name", name)?;
            let scope = call.element(&v.stats.scopes, i)?;
            let found = scope.value(name).ok_or_else(|| {
                let names: Vec<&str> = scope.values.iter().map(|(name, _)| *name).collect();
                call.wrong(
                    "name",
                    format_args!("is '{name}', but there are {}", names.join(", ")),
                )
            })?;
            guard::write(value, found);
            Ok(())
        })
    }
}

/// Writes the histogram with this name in scope `i`. A broker's histogram exists once it has a value.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT if there is none; the message lists the names that exist.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_stats_histogram(
    stats: *const ottla_stats,
    i: size_t,
    name: *const c_char,
    histogram: *mut ottla_histogram,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_stats_histogram", stats, error, |call, v| {
            call.out("histogram", histogram)?;
            let name = call.text("name", name)?;
            let scope = call.element(&v.stats.scopes, i)?;
            let found = scope.histogram(name).ok_or_else(|| {
                let names: Vec<&str> = scope.histograms.iter().map(|(name, _)| *name).collect();
                call.wrong(
                    "name",
                    format_args!("is '{name}', but there are: {}", names.join(", ")),
                )
            })?;
            let Summary {
                count,
                sum,
                min,
                max,
                p50,
                p90,
                p99,
                p999,
            } = found.summary();
            guard::write(
                histogram,
                ottla_histogram {
                    count,
                    sum,
                    min,
                    max,
                    p50,
                    p90,
                    p99,
                    p999,
                },
            );
            Ok(())
        })
    }
}

/// Returns the number of different errors in scope `i`; 0 if there is no such scope, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_stats_error_count(stats: *const ottla_stats, i: size_t) -> size_t {
    // SAFETY: the header's conventions.
    unsafe {
        guard::read(stats, 0, |v: &Views| {
            v.views.get(i).map_or(0, |view| view.errors.len())
        })
    }
}

/// Returns the array of errors in scope `i`, ordered by code; NULL if there is no such scope, and for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_stats_errors(
    stats: *const ottla_stats,
    i: size_t,
) -> *const ottla_error_count {
    // SAFETY: the header's conventions.
    unsafe {
        guard::read(stats, std::ptr::null(), |v: &Views| {
            let view = v.views.get(i);
            view.map_or(std::ptr::null(), |view| view.errors.as_ptr())
        })
    }
}

/// Returns all figures as one JSON object: the client's, then `brokers`, an array, then `topics`, an object with
/// their `partitions` by number. Returns "" for NULL. The string lives as long as the statistics.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_stats_json(stats: *const ottla_stats) -> *const c_char {
    // SAFETY: the header's conventions.
    unsafe { guard::read(stats, c"".as_ptr(), |v: &Views| v.json.as_ptr()) }
}

/// Frees statistics, including everything they point to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_stats_free(stats: *mut ottla_stats) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(stats) }
}
