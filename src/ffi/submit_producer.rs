//! Asynchronous calls of a producer
//!
//! Each function starts the same operation as its counterpart without `_async`, and returns at once. The outcome arrives as
//! an answer with the given `token` (see "Answers").

use libc::size_t;

use super::answer::submit;
use super::basics::ottla_status;
use super::error::ottla_error;
use super::producer::ottla_producer;
use super::producer_setup::purge_of;
use super::transaction::{group_of, offsets_of, ottla_group_metadata, ottla_offset_to_commit};

/// Starts `ottla_producer_connect` without waiting.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_connect_async(
    producer: *const ottla_producer,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_producer_connect_async",
            producer,
            token,
            error,
            |call, client| client.connect_async(call.timeout(timeout_ms)?),
        )
    }
}

/// Starts `ottla_producer_flush` without waiting.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_flush_async(
    producer: *const ottla_producer,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_producer_flush_async",
            producer,
            token,
            error,
            |call, client| client.flush_async(call.timeout(timeout_ms)?),
        )
    }
}

/// Starts `ottla_producer_stats` without waiting.
/// Read the result from the answer with `ottla_answer_stats`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_stats_async(
    producer: *const ottla_producer,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_producer_stats_async",
            producer,
            token,
            error,
            |call, client| client.stats_async(call.timeout(timeout_ms)?),
        )
    }
}

/// Starts `ottla_producer_init_transactions` without waiting.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_init_transactions_async(
    producer: *const ottla_producer,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_producer_init_transactions_async",
            producer,
            token,
            error,
            |call, client| client.init_transactions_async(call.timeout(timeout_ms)?),
        )
    }
}

/// Starts `ottla_producer_commit_transaction` without waiting.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_commit_transaction_async(
    producer: *const ottla_producer,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_producer_commit_transaction_async",
            producer,
            token,
            error,
            |call, client| client.commit_transaction_async(call.timeout(timeout_ms)?),
        )
    }
}

/// Starts `ottla_producer_abort_transaction` without waiting.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_abort_transaction_async(
    producer: *const ottla_producer,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_producer_abort_transaction_async",
            producer,
            token,
            error,
            |call, client| client.abort_transaction_async(call.timeout(timeout_ms)?),
        )
    }
}

/// Starts `ottla_producer_close` without waiting.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_close_async(
    producer: *const ottla_producer,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_producer_close_async",
            producer,
            token,
            error,
            |call, client| client.close_async(call.timeout(timeout_ms)?),
        )
    }
}

/// Starts `ottla_producer_send_offsets` without waiting.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_send_offsets_async(
    producer: *const ottla_producer,
    offsets: *const ottla_offset_to_commit,
    count: size_t,
    group: *const ottla_group_metadata,
    timeout_ms: i64,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_producer_send_offsets_async",
            producer,
            token,
            error,
            |call, client| {
                let (offsets, group) = (offsets_of(call, offsets, count)?, group_of(call, group)?);
                client.send_offsets_async(&offsets, &group, call.timeout(timeout_ms)?)
            },
        )
    }
}

/// Starts `ottla_producer_purge` without waiting.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT, OTTLA_ERR_CLOSED; other errors are reported by the answer.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_purge_async(
    producer: *const ottla_producer,
    what: i32,
    token: u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        submit(
            "ottla_producer_purge_async",
            producer,
            token,
            error,
            |call, client| client.purge_async(purge_of(call, what)?),
        )
    }
}
