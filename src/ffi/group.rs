//! Consumer groups
//!
//! A consumer with a `group.id` can subscribe to topics instead of being assigned partitions: the group divides the
//! partitions of its topics among its members, and does so again when members join and leave. Polls report this in
//! order: OTTLA_EVENT_PARTITIONS_ASSIGNED, then the records of those partitions; OTTLA_EVENT_PARTITIONS_REVOKED
//! before they move to another member; OTTLA_EVENT_PARTITIONS_LOST if they have already moved.
//!
//! Offsets. Records count as read when the next poll is made, or when they are marked or committed. With
//! `enable.auto.commit`, the offsets of records that count as read are committed every `auto.commit.interval.ms`,
//! before partitions are given up, and on close; records that were only fetched never are. To commit manually, switch
//! it off and commit each batch after processing it:
//!
//! ```c
//! const char *topics[] = {"orders"};
//! status = ottla_consumer_subscribe(consumer, topics, 1, &error);
//! for (;;) {
//!     status = ottla_consumer_poll(consumer, 0, 1000, &batch, &event, &error);
//!     if (status != OTTLA_OK) break;
//!     if (batch) {
//!         ...                                                 // work on it
//!         status = ottla_consumer_commit_batch(consumer, batch, 30000, &error);
//!     }
//!     ottla_batch_free(batch);
//!     ottla_event_free(event);                                // the next poll acknowledges a revocation
//! }
//! ```
//!
//! Between a revocation and its acknowledgement, by the next poll, the partitions still belong to this member:
//! whatever was read of them can be committed. After that a commit returns OTTLA_ERR_PARTITION_REVOKED; batches stay
//! readable. A member that does not poll for `max.poll.interval.ms` leaves its group.

use std::ffi::{CString, c_char};

use libc::size_t;

use super::basics::ottla_status;
use super::batch::ottla_batch;
use super::consumer::{ottla_consumer, ottla_topic_partition, partitions_of};
use super::error::ottla_error;
use super::event::ottla_event;
use super::guard::{self, Guarded, c_string, opaque};
use super::transaction::{offsets_of, ottla_group_metadata, ottla_offset_to_commit};
use crate::consumer::OffsetAndMetadata;

/// Committed offsets. Immutable: its functions may be called from many threads at once.
pub struct ottla_offsets(Guarded<Vec<OffsetRow>>);
opaque!(ottla_offsets, Vec<OffsetRow>, "offsets");

pub(super) struct OffsetRow {
    topic: CString,
    metadata: CString,
    offset: i64,
    partition: i32,
    leader_epoch: i32,
}

impl OffsetRow {
    pub(super) fn new(topic: &str, partition: i32, found: Option<OffsetAndMetadata>) -> Self {
        let found = found.unwrap_or(OffsetAndMetadata::new(-1));
        OffsetRow {
            topic: c_string(topic),
            metadata: c_string(&found.metadata),
            offset: found.offset,
            partition,
            leader_epoch: found.leader_epoch,
        }
    }
}

/// A consumer's membership at the moment of the call. Immutable: its functions may be called from many threads at
/// once.
pub struct ottla_membership(Guarded<MembershipParts>);
opaque!(ottla_membership, MembershipParts, "membership");

pub(super) struct MembershipParts {
    group_id: CString,
    generation: i32,
    member_id: CString,
    instance_id: Option<CString>,
}

/// Joins the group and reads the partitions that it assigns of these topics; topics that don't exist yet are read
/// once they do. Replaces an earlier subscription.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT without `group.id`, without a topic, for an empty name, or while partitions are
/// assigned manually.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_subscribe(
    consumer: *const ottla_consumer,
    topics: *const *const c_char,
    count: size_t,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_consumer_subscribe", consumer, error, |call, live| {
            let topics = call.texts(("topics", "a topic"), topics, count)?;
            live.get()?.subscribe(&topics)
        })
    }
}

/// Subscribes, as `ottla_consumer_subscribe`, to every topic whose whole name matches a regular expression (RE2
/// syntax), including topics created later. `exclude.internal.topics` excludes internal topics.
///
/// Errors: as `ottla_consumer_subscribe`; OTTLA_ERR_INVALID_ARGUMENT for an invalid regular expression.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_subscribe_pattern(
    consumer: *const ottla_consumer,
    pattern: *const c_char,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_subscribe_pattern",
            consumer,
            error,
            |call, live| {
                live.get()?
                    .subscribe_pattern(call.text("pattern", pattern)?)
            },
        )
    }
}

/// Leaves the group at once: commits what counts as read (with `enable.auto.commit`); no more records are returned,
/// and no event reports it. Waits up to the timeout until other members can have the partitions. Does nothing without
/// a subscription.
///
/// Errors: OTTLA_ERR_TIMED_OUT; leaving then continues in the background.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_unsubscribe(
    consumer: *const ottla_consumer,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_unsubscribe",
            consumer,
            error,
            |call, live| live.get()?.unsubscribe(call.timeout(timeout_ms)?),
        )
    }
}

/// Acknowledges a revocation: its partitions are released once what counts as read of them is committed (with
/// `enable.auto.commit`). The next poll does this implicitly; call it if the next poll is not soon. Other events need
/// no acknowledgement.
///
/// Errors: OTTLA_ERR_CLOSED.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_acknowledge(
    consumer: *const ottla_consumer,
    event: *const ottla_event,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_acknowledge",
            consumer,
            error,
            |call, live| {
                let Some(event) = event.as_ref() else {
                    return Err(call.wrong("event", "is NULL; give the event that a poll wrote"));
                };
                live.get()?.acknowledge(event.event())
            },
        )
    }
}

/// Marks everything in a partition before `offset` as read, without waiting for the next poll. Also shows that the
/// program is making progress, for `max.poll.interval.ms`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT if the partition is not assigned, or polls have not returned its records up to
/// there.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_mark(
    consumer: *const ottla_consumer,
    topic: *const c_char,
    partition: i32,
    offset: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_consumer_mark", consumer, error, |call, live| {
            let topic = call.text("topic", topic)?;
            live.get()?.mark(topic, partition, offset)
        })
    }
}

/// Commits these offsets for the group (Kafka's OffsetCommit request), and waits up to the timeout until that is
/// done. The consumer need not be a member.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT without `group.id`, or for a negative offset; OTTLA_ERR_PARTITION_REVOKED if
/// this consumer is a member and the partition is not assigned to it; the coordinator's error; OTTLA_ERR_TIMED_OUT,
/// after which the offsets may or may not have been committed.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_commit(
    consumer: *const ottla_consumer,
    offsets: *const ottla_offset_to_commit,
    count: size_t,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_consumer_commit", consumer, error, |call, live| {
            let offsets = offsets_of(call, offsets, count)?;
            live.get()?.commit(&offsets, call.timeout(timeout_ms)?)
        })
    }
}

/// Commits these offsets in the background, after those of earlier calls, and writes a number to `token`: an event
/// OTTLA_EVENT_OFFSETS_COMMITTED with that token reports the outcome, within `default.api.timeout.ms`.
///
/// Errors: those of `ottla_consumer_commit` that can be detected at once.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_commit_async(
    consumer: *const ottla_consumer,
    offsets: *const ottla_offset_to_commit,
    count: size_t,
    token: *mut u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_commit_async",
            consumer,
            error,
            |call, live| {
                call.out("token", token)?;
                let offsets = offsets_of(call, offsets, count)?;
                guard::write(token, live.get()?.commit_async(&offsets)?);
                Ok(())
            },
        )
    }
}

/// Commits everything that was polled, including the latest batch, and waits up to the timeout until that is done.
///
/// Errors: as `ottla_consumer_commit`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_commit_polled(
    consumer: *const ottla_consumer,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_commit_polled",
            consumer,
            error,
            |call, live| live.get()?.commit_polled(call.timeout(timeout_ms)?),
        )
    }
}

/// Commits the end of a batch (for each of its partitions, the offset after its last record), and waits up to the
/// timeout until that is done.
///
/// Errors: as `ottla_consumer_commit`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_commit_batch(
    consumer: *const ottla_consumer,
    batch: *const ottla_batch,
    timeout_ms: i64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_commit_batch",
            consumer,
            error,
            |call, live| {
                let Some(batch) = batch.as_ref() else {
                    return Err(call.wrong("batch", "is NULL; give the batch that a poll wrote"));
                };
                let timeout = call.timeout(timeout_ms)?;
                live.get()?.commit_batch(batch.batch(), timeout)
            },
        )
    }
}

/// Commits everything that was polled in the background; see `ottla_consumer_commit_async`.
///
/// Errors: as `ottla_consumer_commit_async`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_commit_polled_async(
    consumer: *const ottla_consumer,
    token: *mut u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_commit_polled_async",
            consumer,
            error,
            |call, live| {
                call.out("token", token)?;
                guard::write(token, live.get()?.commit_polled_async()?);
                Ok(())
            },
        )
    }
}

/// Commits the end of a batch in the background; see `ottla_consumer_commit_async`.
///
/// Errors: as `ottla_consumer_commit_async`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_commit_batch_async(
    consumer: *const ottla_consumer,
    batch: *const ottla_batch,
    token: *mut u64,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_commit_batch_async",
            consumer,
            error,
            |call, live| {
                call.out("token", token)?;
                let Some(batch) = batch.as_ref() else {
                    return Err(call.wrong("batch", "is NULL; give the batch that a poll wrote"));
                };
                guard::write(token, live.get()?.commit_batch_async(batch.batch())?);
                Ok(())
            },
        )
    }
}

/// Requests the committed offsets of the group for these partitions (Kafka's OffsetFetch), and writes a list in the
/// same order, which the caller frees with `ottla_offsets_free`. With `isolation.level=read_committed` it waits for
/// the end of open transactions that commit offsets.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT without `group.id`; the coordinator's error; OTTLA_ERR_TIMED_OUT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_committed(
    consumer: *const ottla_consumer,
    partitions: *const ottla_topic_partition,
    count: size_t,
    timeout_ms: i64,
    offsets: *mut *mut ottla_offsets,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_consumer_committed", consumer, error, |call, live| {
            call.out("offsets", offsets)?;
            let wanted = partitions_of(call, partitions, count)?;
            let found = live.get()?.committed(&wanted, call.timeout(timeout_ms)?)?;
            let rows: Vec<OffsetRow> = wanted
                .iter()
                .zip(found)
                .map(|((topic, partition), found)| OffsetRow::new(topic, *partition, found))
                .collect();
            guard::write(offsets, guard::handle(rows));
            Ok(())
        })
    }
}

/// Returns the number of offsets in the list, or 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_offsets_count(offsets: *const ottla_offsets) -> size_t {
    // SAFETY: the header's conventions.
    unsafe { guard::read(offsets, 0, |rows: &Vec<OffsetRow>| rows.len()) }
}

/// Writes offset `i` of the list, counting from 0. Its strings live as long as the list.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_offsets_get(
    offsets: *const ottla_offsets,
    i: size_t,
    offset: *mut ottla_offset_to_commit,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_offsets_get", offsets, error, |call, rows| {
            call.out("offset", offset)?;
            let row = call.element(rows, i)?;
            guard::write(
                offset,
                ottla_offset_to_commit {
                    topic: row.topic.as_ptr(),
                    metadata: row.metadata.as_ptr(),
                    offset: row.offset,
                    partition: row.partition,
                    leader_epoch: row.leader_epoch,
                },
            );
            Ok(())
        })
    }
}

/// Frees a list of offsets.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_offsets_free(offsets: *mut ottla_offsets) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(offsets) }
}

/// Writes the consumer's membership of its group, for `ottla_producer_send_offsets`. The caller frees it with
/// `ottla_membership_free`.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT without `group.id`.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_membership(
    consumer: *const ottla_consumer,
    membership: *mut *mut ottla_membership,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_consumer_membership",
            consumer,
            error,
            |call, live| {
                call.out("membership", membership)?;
                let own = live.get()?.group_metadata()?;
                let parts = MembershipParts {
                    group_id: c_string(&own.group_id),
                    generation: own.generation,
                    member_id: c_string(&own.member_id),
                    instance_id: own.instance_id.as_deref().map(c_string),
                };
                guard::write(membership, guard::handle(parts));
                Ok(())
            },
        )
    }
}

/// Writes the membership as the struct that a producer takes. Its strings live as long as the membership.
///
/// Errors: OTTLA_ERR_INVALID_ARGUMENT.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_membership_get(
    membership: *const ottla_membership,
    metadata: *mut ottla_group_metadata,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_membership_get", membership, error, |call, own| {
            call.out("metadata", metadata)?;
            let text = |id: &CString| (!id.is_empty()).then(|| id.as_ptr());
            let member_id = text(&own.member_id);
            let instance_id = own.instance_id.as_ref().and_then(text);
            guard::write(
                metadata,
                ottla_group_metadata {
                    group_id: own.group_id.as_ptr(),
                    generation: own.generation,
                    member_id: member_id.unwrap_or(std::ptr::null()),
                    instance_id: instance_id.unwrap_or(std::ptr::null()),
                },
            );
            Ok(())
        })
    }
}

/// Frees a membership.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_membership_free(membership: *mut ottla_membership) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(membership) }
}
