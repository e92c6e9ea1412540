//! Answers
//!
//! Every call that waits for the brokers also has an asynchronous form with the suffix `_async`. It takes a token (any number
//! that the caller chooses), checks its arguments, and returns at once. The outcome arrives as an answer with the same token
//! in the client's mailbox: `ottla_producer_next_answer`, `ottla_consumer_next_answer`, `ottla_share_consumer_next_answer`,
//! `ottla_admin_next_answer`. A consumer's commits are older than that: they return a token, and an event reports the outcome;
//! for a share consumer's commit there is also `ottla_share_consumer_begin_commit`. The client's descriptor is readable while an answer waits, so an event loop never has to
//! block. Answers come in the order in which the calls end, within the timeout each was given.
//!
//! ```c
//! status = ottla_consumer_end_offsets_async(consumer, partitions, 2, 10000, 7, &error);
//! // The descriptor is readable:
//! ottla_answer *answer = NULL;
//! status = ottla_consumer_next_answer(consumer, 0, &answer, &error);
//! if (answer != NULL && ottla_answer_token(answer) == 7) {
//!     const ottla_error *failed = ottla_answer_error(answer);
//!     if (failed == NULL) {
//!         const int64_t *ends = ottla_answer_offsets(answer);
//!     }
//! }
//! ottla_answer_free(answer);
//! ```
//!
//! Freeing a client discards the answers that were not taken. The answer to `_close_async` reports that the client is closed.

use std::ffi::{CString, c_char};
use std::sync::Arc;
use std::time::Duration;

use libc::size_t;

use super::admin::ottla_admin;
use super::admin_results::{
    TopicDescriptions, TopicRow, ottla_cluster, ottla_topic_descriptions, ottla_topic_list,
    ottla_topic_results,
};
use super::basics::ottla_status;
use super::consumer::ottla_consumer;
use super::error::{ottla_error, part_ptr};
use super::group::{OffsetRow, ottla_offsets};
use super::guard::{self, Call, Guarded, Live, Opaque, c_string, opaque};
use super::producer::ottla_producer;
use super::share::ottla_share_consumer;
use super::stats::{self, ottla_stats};
use crate::Answer;
use crate::admin::{Admin, ClusterDescription, TopicDescription, TopicListing, TopicResult};
use crate::consumer::{Consumer, OffsetAndMetadata, PartitionInfo};
use crate::error::Result;
use crate::producer::Producer;
use crate::share::ShareConsumer;
use crate::stats::Stats;

/// The answer to an asynchronous call. Immutable: its functions may be called from many threads at once.
pub struct ottla_answer(Guarded<AnswerParts>);
opaque!(ottla_answer, AnswerParts, "answer");

pub(super) struct AnswerParts {
    answer: Answer,
    doing: CString,
    error: Option<Box<ottla_error>>,
}

impl From<Answer> for AnswerParts {
    fn from(answer: Answer) -> Self {
        AnswerParts {
            doing: c_string(answer.doing()),
            error: answer.error().map(ottla_error::part),
            answer,
        }
    }
}

/// Offsets by time, as two columns: -1 in both where there is none.
pub(super) struct Times {
    pub(super) offsets: Vec<i64>,
    pub(super) timestamps: Vec<i64>,
}

/// What a group has committed, partition by partition.
pub(super) type Committed = Vec<((Arc<str>, i32), Option<OffsetAndMetadata>)>;

/// A client with a mailbox.
pub(super) trait Asked {
    fn answered<T: Send + Sync + 'static>(&self, call: crate::Call<T>, token: u64) -> Result<()>;
    fn next_answer(&self, timeout: Duration) -> Result<Option<Answer>>;
}

macro_rules! asked {
    ($($client:ty),*) => {$(
        impl Asked for $client {
            fn answered<T: Send + Sync + 'static>(
                &self,
                call: crate::Call<T>,
                token: u64,
            ) -> Result<()> {
                <$client>::answered(self, call, token)
            }

            fn next_answer(&self, timeout: Duration) -> Result<Option<Answer>> {
                <$client>::next_answer(self, timeout)
            }
        }
    )*};
}

asked!(Producer, Consumer, ShareConsumer, Admin);

/// Begins a call whose answer goes to the client's mailbox.
///
/// # Safety
/// As [`guard::on`].
pub(super) unsafe fn submit<H, C, T>(
    function: &'static str,
    handle: *const H,
    token: u64,
    error: *mut *mut ottla_error,
    begin: impl FnOnce(Call, &C) -> Result<crate::Call<T>>,
) -> ottla_status
where
    H: Opaque<Value = Live<C>>,
    C: Asked,
    T: Send + Sync + 'static,
{
    // SAFETY: the caller's promise.
    unsafe {
        guard::on(function, handle, error, |call, live| {
            let client = live.get()?;
            client.answered(begin(call, client)?, token)
        })
    }
}

/// # Safety
/// As [`guard::on`].
unsafe fn next<H, C>(
    function: &'static str,
    handle: *const H,
    timeout_ms: i64,
    answer: *mut *mut ottla_answer,
    error: *mut *mut ottla_error,
) -> ottla_status
where
    H: Opaque<Value = Live<C>>,
    C: Asked,
{
    // SAFETY: the caller's promise.
    unsafe {
        guard::on(function, handle, error, |call, live| {
            call.out("answer", answer)?;
            let found = live.get()?.next_answer(call.timeout(timeout_ms)?)?;
            let made = found.map_or(std::ptr::null_mut(), |found| guard::handle(found.into()));
            guard::write(answer, made);
            Ok(())
        })
    }
}

/// What an answer gives, if it is of this kind.
fn value<'a, T: 'static>(call: Call, parts: &'a AnswerParts, what: &str) -> Result<&'a T> {
    if let Some(error) = parts.answer.error() {
        return Err(error.clone());
    }
    parts.answer.value().ok_or_else(|| {
        call.wrong(
            "answer",
            format_args!("is to \"{}\", which gives no {what}", parts.answer.doing()),
        )
    })
}

/// Waits up to the timeout for an answer to one of the producer's `_async` calls, and writes it for the caller to
/// free with `ottla_answer_free`, or NULL if none has come. Several threads may wait; each answer is returned to one of them.
///
/// Errors: OTTLA_ERR_CLOSED once the producer is closed and no answers are left.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_producer_next_answer(
    producer: *const ottla_producer,
    timeout_ms: i64,
    answer: *mut *mut ottla_answer,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        next(
            "ottla_producer_next_answer",
            producer,
            timeout_ms,
            answer,
            error,
        )
    }
}

/// Waits up to the timeout for an answer to one of the consumer's `_async` calls, and writes it for the caller to
/// free with `ottla_answer_free`, or NULL if none has come. Several threads may wait; each answer is returned to one of them.
///
/// Errors: OTTLA_ERR_CLOSED once the consumer is closed and no answers are left.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_consumer_next_answer(
    consumer: *const ottla_consumer,
    timeout_ms: i64,
    answer: *mut *mut ottla_answer,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        next(
            "ottla_consumer_next_answer",
            consumer,
            timeout_ms,
            answer,
            error,
        )
    }
}

/// Waits up to the timeout for an answer to one of the share consumer's `_async` calls, and writes it for the caller to
/// free with `ottla_answer_free`, or NULL if none has come. Several threads may wait; each answer is returned to one of them.
///
/// Errors: OTTLA_ERR_CLOSED once the share consumer is closed and no answers are left.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_share_consumer_next_answer(
    consumer: *const ottla_share_consumer,
    timeout_ms: i64,
    answer: *mut *mut ottla_answer,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        next(
            "ottla_share_consumer_next_answer",
            consumer,
            timeout_ms,
            answer,
            error,
        )
    }
}

/// Waits up to the timeout for an answer to one of the admin client's `_async` calls, and writes it for the caller to
/// free with `ottla_answer_free`, or NULL if none has come. Several threads may wait; each answer is returned to one of them.
///
/// Errors: OTTLA_ERR_CLOSED once the admin client is closed and no answers are left.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_next_answer(
    admin: *const ottla_admin,
    timeout_ms: i64,
    answer: *mut *mut ottla_answer,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe { next("ottla_admin_next_answer", admin, timeout_ms, answer, error) }
}

/// Writes a descriptor that is readable while answers are available, or after the admin client is closed. It is created by
/// the first call, owned by the admin client and closed with it: only wait on it, never read from it.
///
/// Errors: OTTLA_ERR_IO if the operating system has no descriptors left.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_admin_descriptor(
    admin: *const ottla_admin,
    descriptor: *mut isize,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_admin_descriptor", admin, error, |call, live| {
            call.out("descriptor", descriptor)?;
            guard::write(descriptor, live.get()?.descriptor()?);
            Ok(())
        })
    }
}

/// Returns the token that was passed to the call, or 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_answer_token(answer: *const ottla_answer) -> u64 {
    // SAFETY: the header's conventions.
    unsafe { guard::read(answer, 0, |a| a.answer.token()) }
}

/// Returns a short English description of the call, for messages, or "" for NULL. It lives as long as the answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_answer_doing(answer: *const ottla_answer) -> *const c_char {
    // SAFETY: the header's conventions.
    unsafe { guard::read(answer, c"".as_ptr(), |a| a.doing.as_ptr()) }
}

/// Returns why the call failed, or NULL if it succeeded. The error belongs to the answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_answer_error(answer: *const ottla_answer) -> *const ottla_error {
    // SAFETY: the header's conventions.
    unsafe { guard::read(answer, std::ptr::null(), |a| part_ptr(&a.error)) }
}

/// Returns the number of offsets in the answer, or of partitions for `ottla_consumer_partition_count_async`; 0 for others.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_answer_count(answer: *const ottla_answer) -> size_t {
    // SAFETY: the header's conventions.
    unsafe {
        guard::read(answer, 0, |a| {
            let times = a.answer.value().map(|times: &Times| times.offsets.len());
            let offsets = a.answer.value().map(Vec::<i64>::len);
            let partitions = a.answer.value().map(Vec::<PartitionInfo>::len);
            times.or(offsets).or(partitions).unwrap_or(0)
        })
    }
}

/// Returns the offsets of an answer to `ottla_consumer_beginning_offsets_async`, `ottla_consumer_end_offsets_async` or
/// `ottla_consumer_offsets_for_times_async`, in the order of the call: `ottla_answer_count` of them, -1 if there is none;
/// NULL for other answers. They live as long as the answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_answer_offsets(answer: *const ottla_answer) -> *const i64 {
    // SAFETY: the header's conventions.
    unsafe {
        guard::read(answer, std::ptr::null(), |a| {
            let times = a.answer.value().map(|times: &Times| times.offsets.as_ptr());
            let offsets = a.answer.value().map(|offsets: &Vec<i64>| offsets.as_ptr());
            times.or(offsets).unwrap_or(std::ptr::null())
        })
    }
}

/// Returns the timestamps that belong to the offsets of an answer to `ottla_consumer_offsets_for_times_async`, in
/// milliseconds since 1970; NULL for other answers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_answer_timestamps(answer: *const ottla_answer) -> *const i64 {
    // SAFETY: the header's conventions.
    unsafe {
        guard::read(answer, std::ptr::null(), |a| {
            let times = a.answer.value::<Times>();
            times.map_or(std::ptr::null(), |times| times.timestamps.as_ptr())
        })
    }
}

/// Writes the committed offsets from an answer to `ottla_consumer_committed_async`.
/// The caller frees the result.
///
/// Errors: the call's error, if it failed; OTTLA_ERR_INVALID_ARGUMENT for an answer to another function.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_answer_committed(
    answer: *const ottla_answer,
    offsets: *mut *mut ottla_offsets,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_answer_committed", answer, error, |call, parts| {
            call.out("offsets", offsets)?;
            let found: &Committed = value(call, parts, "committed offsets")?;
            let row =
                |((topic, partition), found): &((Arc<str>, i32), Option<OffsetAndMetadata>)| {
                    OffsetRow::new(topic, *partition, found.clone())
                };
            let rows: Vec<OffsetRow> = found.iter().map(row).collect();
            guard::write(offsets, guard::handle(rows));
            Ok(())
        })
    }
}

/// Writes the figures from an answer to `ottla_producer_stats_async` or `ottla_consumer_stats_async`.
/// The caller frees the result.
///
/// Errors: the call's error, if it failed; OTTLA_ERR_INVALID_ARGUMENT for an answer to another function.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_answer_stats(
    answer: *const ottla_answer,
    figures: *mut *mut ottla_stats,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_answer_stats", answer, error, |call, parts| {
            call.out("figures", figures)?;
            let found: &Stats = value(call, parts, "statistics")?;
            guard::write(figures, stats::handle(found.clone()));
            Ok(())
        })
    }
}

/// Writes the result for each topic from an answer to `ottla_admin_create_topics_async` or
/// `ottla_admin_delete_topics_async`. The caller frees it with `ottla_topic_results_free`.
///
/// Errors: the call's error, if it failed; OTTLA_ERR_INVALID_ARGUMENT for an answer to another function.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_answer_topic_results(
    answer: *const ottla_answer,
    results: *mut *mut ottla_topic_results,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_answer_topic_results",
            answer,
            error,
            |call, parts| {
                call.out("results", results)?;
                let found: &Vec<TopicResult> = value(call, parts, "results of topics")?;
                let rows: Vec<TopicRow> = found.iter().cloned().map(TopicRow::from).collect();
                guard::write(results, guard::handle(rows));
                Ok(())
            },
        )
    }
}

/// Writes the topics from an answer to `ottla_admin_list_topics_async`.
/// The caller frees the result.
///
/// Errors: the call's error, if it failed; OTTLA_ERR_INVALID_ARGUMENT for an answer to another function.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_answer_topic_list(
    answer: *const ottla_answer,
    list: *mut *mut ottla_topic_list,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_answer_topic_list", answer, error, |call, parts| {
            call.out("list", list)?;
            let found: &Vec<TopicListing> = value(call, parts, "list of topics")?;
            let rows = found.iter().cloned().map(Into::into).collect();
            guard::write(list, guard::handle(rows));
            Ok(())
        })
    }
}

/// Writes the descriptions from an answer to `ottla_admin_describe_topics_async`.
/// The caller frees the result.
///
/// Errors: the call's error, if it failed; OTTLA_ERR_INVALID_ARGUMENT for an answer to another function.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_answer_topic_descriptions(
    answer: *const ottla_answer,
    descriptions: *mut *mut ottla_topic_descriptions,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on(
            "ottla_answer_topic_descriptions",
            answer,
            error,
            |call, parts| {
                call.out("descriptions", descriptions)?;
                let found: &Vec<TopicDescription> = value(call, parts, "descriptions of topics")?;
                let rows = TopicDescriptions::new(found.clone());
                guard::write(descriptions, guard::handle(rows));
                Ok(())
            },
        )
    }
}

/// Writes the description from an answer to `ottla_admin_describe_cluster_async`.
/// The caller frees the result.
///
/// Errors: the call's error, if it failed; OTTLA_ERR_INVALID_ARGUMENT for an answer to another function.
#[unsafe(no_mangle)]
#[must_use]
pub unsafe extern "C" fn ottla_answer_cluster(
    answer: *const ottla_answer,
    cluster: *mut *mut ottla_cluster,
    error: *mut *mut ottla_error,
) -> ottla_status {
    // SAFETY: the header's conventions.
    unsafe {
        guard::on("ottla_answer_cluster", answer, error, |call, parts| {
            call.out("cluster", cluster)?;
            let found: &ClusterDescription = value(call, parts, "description of a cluster")?;
            guard::write(cluster, guard::handle(found.clone().into()));
            Ok(())
        })
    }
}

/// Frees an answer. Does nothing for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_answer_free(answer: *mut ottla_answer) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(answer) }
}
