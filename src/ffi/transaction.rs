//! Transactions
//!
//! With `transactional.id` a producer writes records of many partitions, and a group's offsets, that become visible together
//! or not at all (KIP-98, 447, 890). Consumers with `isolation.level=read_committed` see what was committed, and nothing else.
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
//! An error tells what to do about it, and is exactly one of these, or none, which is a mistake in how the functions were
//! called (OTTLA_ERR_INVALID_TXN_STATE, told at once):
//!
//!   `ottla_error_is_retriable`  call the same function again; where the time was over, what it began goes on, and may succeed
//!   `ottla_error_needs_abort`   call `ottla_producer_abort_transaction`; the producer is as good as new then
//!   `ottla_error_is_fatal`      another producer has taken the transactional id over (it is fenced: nothing that it still
//!                               sends gets written), or it may not be used: close the producer
//!
//! After a record, or offsets, of a transaction failed, its commit is refused with that error, whether or not the program
//! looked at the failed call or its completion. Records of an aborted transaction that were not sent end as not written.

use std::ffi::c_char;

use libc::size_t;

use super::basics::ottla_status;
use super::error::ottla_error;
use super::group::offsets_of;
use super::guard::{self, Call};
use super::producer::ottla_producer;
use crate::consumer::GroupMetadata;
use crate::error::Result;

/// An offset for a group to commit.
#[repr(C)]
pub struct ottla_offset_to_commit {
    /// The topic.
    pub topic: *const c_char,
    /// The partition.
    pub partition: i32,
    /// The offset of the next record to read: one more than that of the last one that was worked on.
    pub offset: i64,
    /// Leader epoch of the last record that was read (KIP-320); -1 if it isn't known.
    pub leader_epoch: i32,
    /// Anything to keep with it, or NULL.
    pub metadata: *const c_char,
}

/// A consumer's place in its group, by which the group's coordinator refuses one that has lost its partitions (KIP-447).
#[repr(C)]
pub struct ottla_group_metadata {
    /// `group.id`
    pub group_id: *const c_char,
    /// The generation, or the member's epoch; -1 outside of a membership.
    pub generation: i32,
    /// The member's id; NULL outside of a membership.
    pub member_id: *const c_char,
    /// `group.instance.id` of a static member; NULL of others.
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

/// Readies a producer with `transactional.id` for transactions: what an earlier run of the program left open under the same
/// id is aborted, and a producer that still uses it is fenced. Called once, first of all.
///
/// Errors: OTTLA_ERR_TIMED_OUT: call it again. Fatal ones: what the coordinator refused, for example
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

/// Begins a transaction: all that is sent from now on belongs to it until it is committed or aborted. Nothing goes over the
/// network.
///
/// Errors: OTTLA_ERR_INVALID_TXN_STATE before `ottla_producer_init_transactions` and while a transaction is open; one that
/// needs an abort where the transaction before failed; a fatal one of a fenced producer.
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

/// Adds a group's offsets to the open transaction: they are committed when it is, and not at all if it is aborted.
///
/// Errors: OTTLA_ERR_TIMED_OUT: it goes on, and the commit waits for it. One that needs an abort, for example
/// OTTLA_ERR_ILLEGAL_GENERATION where the consumer is not in the group any more. OTTLA_ERR_INVALID_TXN_STATE outside of a
/// transaction.
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

/// Commits the open transaction: sends what is left of it, waits until all of it is written, then has it committed. Readers
/// get all of it in a moment.
///
/// Errors: OTTLA_ERR_TIMED_OUT: the commit goes on and may succeed; call it again to learn its end. One that needs an abort
/// where anything of the transaction failed: nothing of it is committed, and the message says what failed and why. A fatal
/// one of a fenced producer. OTTLA_ERR_INVALID_TXN_STATE when no transaction is open.
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

/// Aborts the open transaction: gives up what was not sent (it ends as not written), waits for what was, then has it
/// aborted. The way on after an error that needs an abort.
///
/// Errors: OTTLA_ERR_TIMED_OUT: the abort goes on; call it again. OTTLA_ERR_INVALID_TXN_STATE when no transaction is open,
/// or when its commit was asked for and may have been carried out. A fatal one of a fenced producer.
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
