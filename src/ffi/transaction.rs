//! Transactions
//!
//! With `transactional.id` a producer writes records to many partitions, and commits a group's offsets, so that all
//! of them become visible together or not at all (KIP-98, 447, 890). Consumers with `isolation.level=read_committed`
//! only see committed records.
//!
//! ```c
//! status = ottla_producer_init_transactions(producer, 30000, &error);     // once
//! status = ottla_producer_begin_transaction(producer, &error);
//! status = ottla_producer_send(producer, "out", -1, none, value, NULL, 0, -1, 0, -1, &error);
//! ottla_offset_to_commit next = {"in", 0, 42, -1, NULL};                  // of what was read to make it
//! ottla_group_metadata group = {"my-group", -1, NULL, NULL};
//! status = ottla_producer_send_offsets(producer, &next, 1, &group, 30000, &error);
//! status = ottla_producer_commit_transaction(producer, 30000, &error);
//! ```
//!
//! An error has at most one of these properties, which says what to do. If it has none, the functions were called in
//! the wrong order or state (OTTLA_ERR_INVALID_TXN_STATE, returned at once).
//!
//!   `ottla_error_is_retriable`  call the same function again; after a timeout the operation continues, and may succeed
//!   `ottla_error_needs_abort`   call `ottla_producer_abort_transaction`; the producer is fully usable after that
//!   `ottla_error_is_fatal`      another producer has taken over the transactional id (this one is fenced: nothing that it
//!                               still sends is written), or the id may not be used: close the producer
//!
//! After a record or an offset of a transaction has failed, its commit fails with that error, whether or not the
//! program looked at the failed call or its completion. Unsent records of an aborted transaction end as not written.

use std::ffi::c_char;

use libc::size_t;

use super::basics::ottla_status;
use super::error::ottla_error;
use super::guard::{self, Call};
use super::producer::ottla_producer;
use crate::consumer::{GroupMetadata, OffsetAndMetadata};
use crate::error::Result;

/// An offset for a group to commit.
#[repr(C)]
pub struct ottla_offset_to_commit {
    /// The topic.
    pub topic: *const c_char,
    /// The partition.
    pub partition: i32,
    /// The offset of the next record to read: one more than that of the last processed record.
    pub offset: i64,
    /// Leader epoch of the last record that was read (KIP-320); -1 if it is unknown.
    pub leader_epoch: i32,
    /// Any text to store with it, or NULL.
    pub metadata: *const c_char,
}

/// A consumer's identity in its group, which lets the group's coordinator refuse a consumer that has lost its
/// partitions (KIP-447).
#[repr(C)]
pub struct ottla_group_metadata {
    /// `group.id`
    pub group_id: *const c_char,
    /// The generation, or the member epoch; -1 for a consumer that is not a member.
    pub generation: i32,
    /// The member id; NULL for a consumer that is not a member.
    pub member_id: *const c_char,
    /// `group.instance.id` of a static member; otherwise NULL.
    pub instance_id: *const c_char,
}

/// A string that may be NULL.
///
/// # Safety
/// As [`Call::text`].
unsafe fn optional(call: Call, name: &str, text: *const c_char) -> Result<Option<String>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's promise.
    let text = unsafe { call.text(name, text) }?;
    Ok(Some(text.to_owned()))
}

/// Prepares a producer with `transactional.id` for transactions (Kafka's InitProducerId request): a transaction that
/// an earlier run left open under the same id is aborted, and a producer that still uses the id is fenced. Call it
/// once, before any other transactional function.
///
/// Errors: OTTLA_ERR_TIMED_OUT: call it again. Fatal errors from the coordinator, for example
/// OTTLA_ERR_INVALID_TRANSACTION_TIMEOUT. OTTLA_ERR_INVALID_TXN_STATE without `transactional.id`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_init_transactions(
    producer: *const ottla_producer,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_producer_init_transactions",
            producer,
            error,
            |call, live| live.get()?.init_transactions(call.timeout(timeout_ms)?),
        )
    }
}

/// Begins a transaction: everything sent from now on belongs to it until it is committed or aborted. Sends no
/// request.
///
/// Errors: OTTLA_ERR_INVALID_TXN_STATE before `ottla_producer_init_transactions` and while a transaction is open; an
/// error that needs an abort if the previous transaction failed; a fatal error if the producer is fenced.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_begin_transaction(
    producer: *const ottla_producer,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_producer_begin_transaction",
            producer,
            error,
            |_, live| live.get()?.begin_transaction(),
        )
    }
}

/// # Safety
/// `offsets` is NULL or points to `count` of them, whose strings outlive the call.
pub(super) unsafe fn offsets_of<'a>(
    call: Call,
    offsets: *const ottla_offset_to_commit,
    count: usize,
) -> Result<Vec<(&'a str, i32, OffsetAndMetadata)>> {
    // SAFETY: the caller's promise.
    let given = unsafe { call.slice("offsets", offsets, count) }?;
    let each = |o: &ottla_offset_to_commit| {
        // SAFETY: the same.
        let topic = unsafe { call.text("an offset's topic", o.topic) }?;
        let metadata = if o.metadata.is_null() {
            ""
        } else {
            // SAFETY: the same.
            unsafe { call.text("an offset's metadata", o.metadata) }?
        };
        let offset = OffsetAndMetadata {
            offset: o.offset,
            leader_epoch: o.leader_epoch,
            metadata: metadata.to_owned(),
        };
        Ok((topic, o.partition, offset))
    };
    given.iter().map(each).collect()
}

/// # Safety
/// `group` is NULL or readable, as the header says.
pub(super) unsafe fn group_of(
    call: Call,
    group: *const ottla_group_metadata,
) -> Result<GroupMetadata> {
    // SAFETY: the caller's promise.
    let Some(group) = (unsafe { group.as_ref() }) else {
        return Err(call.wrong("group", "is NULL, where the group is needed"));
    };
    // SAFETY: the same.
    let (group_id, member_id, instance_id) = unsafe {
        (
            call.text("group_id", group.group_id)?,
            optional(call, "member_id", group.member_id)?,
            optional(call, "instance_id", group.instance_id)?,
        )
    };
    Ok(GroupMetadata {
        group_id: group_id.to_owned(),
        generation: group.generation,
        member_id: member_id.unwrap_or_default(),
        instance_id,
    })
}

/// Adds a group's offsets to the open transaction (Kafka's TxnOffsetCommit request): they are committed together with
/// it, or not at all if it is aborted.
///
/// Errors: OTTLA_ERR_TIMED_OUT: the request continues, and the commit waits for it. An error that needs an abort, for
/// example OTTLA_ERR_ILLEGAL_GENERATION if the consumer is no longer in the group. OTTLA_ERR_INVALID_TXN_STATE
/// outside of a transaction.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_send_offsets(
    producer: *const ottla_producer,
    offsets: *const ottla_offset_to_commit,
    count: size_t,
    group: *const ottla_group_metadata,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_producer_send_offsets",
            producer,
            error,
            |call, live| {
                let offsets = offsets_of(call, offsets, count)?;
                let group = group_of(call, group)?;
                let timeout = call.timeout(timeout_ms)?;
                live.get()?.send_offsets(&offsets, &group, timeout)
            },
        )
    }
}

/// Commits the open transaction (Kafka's EndTxn request): sends its remaining records, waits until all of them are
/// written, then commits. Its records become visible to readers together.
///
/// Errors: OTTLA_ERR_TIMED_OUT: the commit continues and may succeed; call again to learn the outcome. An error that
/// needs an abort if any part of the transaction failed: nothing is committed, and the message says what failed and
/// why. A fatal error if the producer is fenced. OTTLA_ERR_INVALID_TXN_STATE if no transaction is open.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_commit_transaction(
    producer: *const ottla_producer,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_producer_commit_transaction",
            producer,
            error,
            |call, live| live.get()?.commit_transaction(call.timeout(timeout_ms)?),
        )
    }
}

/// Aborts the open transaction (Kafka's EndTxn request): gives up unsent records (they end as not written), waits for
/// those that were sent, then aborts. To be called after an error that needs an abort.
///
/// Errors: OTTLA_ERR_TIMED_OUT: the abort continues; call it again. OTTLA_ERR_INVALID_TXN_STATE if no transaction is
/// open, or if its commit was requested and may have been carried out. A fatal error if the producer is fenced.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_abort_transaction(
    producer: *const ottla_producer,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_producer_abort_transaction",
            producer,
            error,
            |call, live| live.get()?.abort_transaction(call.timeout(timeout_ms)?),
        )
    }
}
