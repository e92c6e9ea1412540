//! Asynchronous calls
//!
//! Each function starts the same operation as its counterpart without `_async`, and returns at once. The outcome arrives as
//! an answer with the given `token` (see "Answers").

use std::ffi::c_char;
use std::sync::Arc;

use libc::size_t;

use super::admin::{new_topics, only_result, ottla_admin, ottla_new_topic};
use super::answer::{Committed, Times, submit};
use super::basics::ottla_status;
use super::consumer::{ottla_consumer, ottla_topic_partition, partitions_of};
use super::error::ottla_error;
use super::share::ottla_share_consumer;
use crate::admin::NewPartitions;
use crate::error::Result;

/// Starts `ottla_consumer_connect` without waiting.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_connect_async(
    consumer: *const ottla_consumer,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_consumer_connect_async",
            consumer,
            token,
            error,
            |call, client| client.connect_async(call.timeout(timeout_ms)?),
        )
    }
}

/// Starts `ottla_consumer_beginning_offsets` without waiting.
/// Read the result from the answer with `ottla_answer_offsets`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_beginning_offsets_async(
    consumer: *const ottla_consumer,
    partitions: *const ottla_topic_partition,
    count: size_t,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_consumer_beginning_offsets_async",
            consumer,
            token,
            error,
            |call, client| {
                let wanted = partitions_of(call, partitions, count)?;
                client.beginning_offsets_async(&wanted, call.timeout(timeout_ms)?)
            },
        )
    }
}

/// Starts `ottla_consumer_end_offsets` without waiting.
/// Read the result from the answer with `ottla_answer_offsets`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_end_offsets_async(
    consumer: *const ottla_consumer,
    partitions: *const ottla_topic_partition,
    count: size_t,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_consumer_end_offsets_async",
            consumer,
            token,
            error,
            |call, client| {
                let wanted = partitions_of(call, partitions, count)?;
                client.end_offsets_async(&wanted, call.timeout(timeout_ms)?)
            },
        )
    }
}

/// Starts `ottla_consumer_offsets_for_times` without waiting.
/// Read the result from the answer with `ottla_answer_offsets` and `ottla_answer_timestamps`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_offsets_for_times_async(
    consumer: *const ottla_consumer,
    partitions: *const ottla_topic_partition,
    times: *const i64,
    count: size_t,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_consumer_offsets_for_times_async",
            consumer,
            token,
            error,
            |call, client| {
                let wanted = partitions_of(call, partitions, count)?;
                let times = call.slice("times", times, count)?;
                let wanted: Vec<(&str, i32, i64)> = wanted
                    .into_iter()
                    .zip(times)
                    .map(|((topic, partition), time)| (topic, partition, *time))
                    .collect();
                let found = client.offsets_for_times_async(&wanted, call.timeout(timeout_ms)?)?;
                Ok(found.map(|found: Result<Vec<Option<(i64, i64)>>>| {
                    let (offsets, timestamps) =
                        found?.into_iter().map(|f| f.unwrap_or((-1, -1))).unzip();
                    Ok(Times {
                        offsets,
                        timestamps,
                    })
                }))
            },
        )
    }
}

/// Starts `ottla_consumer_partition_count` without waiting.
/// Read the result from the answer with `ottla_answer_count`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_partition_count_async(
    consumer: *const ottla_consumer,
    topic: *const c_char,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_consumer_partition_count_async",
            consumer,
            token,
            error,
            |call, client| {
                client.partitions_for_async(call.text("topic", topic)?, call.timeout(timeout_ms)?)
            },
        )
    }
}

/// Starts `ottla_consumer_committed` without waiting.
/// Read the result from the answer with `ottla_answer_committed`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_committed_async(
    consumer: *const ottla_consumer,
    partitions: *const ottla_topic_partition,
    count: size_t,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_consumer_committed_async",
            consumer,
            token,
            error,
            |call, client| {
                let wanted = partitions_of(call, partitions, count)?;
                let found = client.committed_async(&wanted, call.timeout(timeout_ms)?)?;
                let keys: Vec<(Arc<str>, i32)> = wanted
                    .into_iter()
                    .map(|(topic, partition)| (Arc::from(topic), partition))
                    .collect();
                Ok(found.map(move |found| -> Result<Committed> {
                    Ok(keys.into_iter().zip(found?).collect())
                }))
            },
        )
    }
}

/// Starts `ottla_consumer_unsubscribe` without waiting.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_unsubscribe_async(
    consumer: *const ottla_consumer,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_consumer_unsubscribe_async",
            consumer,
            token,
            error,
            |call, client| client.unsubscribe_async(call.timeout(timeout_ms)?),
        )
    }
}

/// Starts `ottla_consumer_stats` without waiting.
/// Read the result from the answer with `ottla_answer_stats`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_stats_async(
    consumer: *const ottla_consumer,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_consumer_stats_async",
            consumer,
            token,
            error,
            |call, client| client.stats_async(call.timeout(timeout_ms)?),
        )
    }
}

/// Starts `ottla_consumer_close` without waiting.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_close_async(
    consumer: *const ottla_consumer,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_consumer_close_async",
            consumer,
            token,
            error,
            |call, client| client.close_async(call.timeout(timeout_ms)?),
        )
    }
}

/// Starts `ottla_share_consumer_connect` without waiting.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_share_consumer_connect_async(
    consumer: *const ottla_share_consumer,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_share_consumer_connect_async",
            consumer,
            token,
            error,
            |call, client| client.connect_async(call.timeout(timeout_ms)?),
        )
    }
}

/// Starts `ottla_share_consumer_commit` without waiting. The answer reports the first acknowledgement that was refused,
/// where `ottla_share_consumer_commit_async` leaves refusals to events.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_share_consumer_begin_commit(
    consumer: *const ottla_share_consumer,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_share_consumer_begin_commit",
            consumer,
            token,
            error,
            |call, client| client.begin_commit(call.timeout(timeout_ms)?),
        )
    }
}

/// Starts `ottla_share_consumer_unsubscribe` without waiting.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_share_consumer_unsubscribe_async(
    consumer: *const ottla_share_consumer,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_share_consumer_unsubscribe_async",
            consumer,
            token,
            error,
            |call, client| client.unsubscribe_async(call.timeout(timeout_ms)?),
        )
    }
}

/// Starts `ottla_share_consumer_close` without waiting.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_share_consumer_close_async(
    consumer: *const ottla_share_consumer,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_share_consumer_close_async",
            consumer,
            token,
            error,
            |call, client| client.close_async(call.timeout(timeout_ms)?),
        )
    }
}

/// Starts `ottla_admin_connect` without waiting.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_connect_async(
    admin: *const ottla_admin,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_admin_connect_async",
            admin,
            token,
            error,
            |call, client| client.connect_async(call.timeout(timeout_ms)?),
        )
    }
}

/// Starts `ottla_admin_create_topics` without waiting.
/// Read the result from the answer with `ottla_answer_topic_results`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_create_topics_async(
    admin: *const ottla_admin,
    topics: *const ottla_new_topic,
    count: size_t,
    validate_only: bool,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_admin_create_topics_async",
            admin,
            token,
            error,
            |call, client| {
                client.create_topics_async(
                    &new_topics(call, topics, count)?,
                    call.timeout(timeout_ms)?,
                    validate_only,
                )
            },
        )
    }
}

/// Starts `ottla_admin_delete_topics` without waiting.
/// Read the result from the answer with `ottla_answer_topic_results`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_delete_topics_async(
    admin: *const ottla_admin,
    names: *const *const c_char,
    count: size_t,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_admin_delete_topics_async",
            admin,
            token,
            error,
            |call, client| {
                let names = call.texts(("names", "names"), names, count)?;
                client.delete_topics_async(&names, call.timeout(timeout_ms)?)
            },
        )
    }
}

/// Starts `ottla_admin_create_partitions` without waiting.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_create_partitions_async(
    admin: *const ottla_admin,
    topic: *const c_char,
    total: i32,
    validate_only: bool,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_admin_create_partitions_async",
            admin,
            token,
            error,
            |call, client| {
                let name = call.text("topic", topic)?.to_owned();
                let topics = [NewPartitions { name, total }];
                let done = client.create_partitions_async(
                    &topics,
                    call.timeout(timeout_ms)?,
                    validate_only,
                )?;
                Ok(done.map(|done| only_result(done?)))
            },
        )
    }
}

/// Starts `ottla_admin_list_topics` without waiting.
/// Read the result from the answer with `ottla_answer_topic_list`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_list_topics_async(
    admin: *const ottla_admin,
    include_internal: bool,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_admin_list_topics_async",
            admin,
            token,
            error,
            |call, client| client.list_topics_async(call.timeout(timeout_ms)?, include_internal),
        )
    }
}

/// Starts `ottla_admin_describe_topics` without waiting.
/// Read the result from the answer with `ottla_answer_topic_descriptions`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_describe_topics_async(
    admin: *const ottla_admin,
    names: *const *const c_char,
    count: size_t,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_admin_describe_topics_async",
            admin,
            token,
            error,
            |call, client| {
                let names = call.texts(("names", "names"), names, count)?;
                client.describe_topics_async(&names, call.timeout(timeout_ms)?)
            },
        )
    }
}

/// Starts `ottla_admin_describe_cluster` without waiting.
/// Read the result from the answer with `ottla_answer_cluster`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_describe_cluster_async(
    admin: *const ottla_admin,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_admin_describe_cluster_async",
            admin,
            token,
            error,
            |call, client| client.describe_cluster_async(call.timeout(timeout_ms)?),
        )
    }
}

/// Starts `ottla_admin_close` without waiting.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_close_async(
    admin: *const ottla_admin,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_admin_close_async",
            admin,
            token,
            error,
            |call, client| client.close_async(call.timeout(timeout_ms)?),
        )
    }
}
