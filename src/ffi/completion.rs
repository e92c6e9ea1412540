//! Completions
//!
//! The outcome of records, reported in runs: records of one call that ended together in one partition. Calls with the
//! token 0 get no completions; their records are only counted, and `ottla_producer_flush` reports the first failure
//! among them.
//!
//! ```c
//! ottla_completions *completions = NULL;
//! status = ottla_producer_poll(producer, 0, 1000, &completions, &error);
//! const ottla_completion *c = ottla_completions_data(completions);
//! for (size_t i = 0; i < ottla_completions_count(completions); i++) {
//!     if (c[i].outcome == OTTLA_WRITTEN) {
//!         printf("call %llu: %u records from offset %lld on\n", (unsigned long long)c[i].token,
//!                (unsigned)c[i].count, (long long)c[i].base_offset);
//!     } else {
//!         printf("%s\n", ottla_error_message(c[i].error));
//!     }
//! }
//! ottla_completions_free(completions);
//! ```

use std::ffi::{CString, c_char};
use std::sync::Arc;

use libc::size_t;

use super::error::ottla_error;
use super::guard::{self, Guarded, c_string, opaque};
use crate::producer::{Ended, Outcome};

/// The broker acknowledged the records (with `acks=0`: they were written to the connection).
pub const OTTLA_WRITTEN: i32 = 0;
/// The records were definitely not written.
pub const OTTLA_NOT_WRITTEN: i32 = 1;
/// The records were sent, but no response says whether they were written.
pub const OTTLA_POSSIBLY_WRITTEN: i32 = 2;

const _: () = assert!(
    OTTLA_WRITTEN == Outcome::Written as i32
        && OTTLA_NOT_WRITTEN == Outcome::NotWritten as i32
        && OTTLA_POSSIBLY_WRITTEN == Outcome::PossiblyWritten as i32
);

/// The completions returned by one poll. Immutable: its functions may be called from many threads at once.
pub struct ottla_completions(Guarded<Completions>);
opaque!(ottla_completions, Completions, "completions");

/// A run of records of one call that ended together in one partition. Its pointers are valid as long as the
/// `ottla_completions` that it belongs to.
#[repr(C)]
pub struct ottla_completion {
    /// The token passed to the call.
    pub token: u64,
    /// The topic.
    pub topic: *const c_char,
    /// Offset of the run's first record; the others follow it one by one. -1 if it is unknown.
    pub base_offset: i64,
    /// Milliseconds since 1970: the broker's time if the topic uses log append time, otherwise the timestamp of the
    /// batch's first record.
    pub timestamp: i64,
    /// NULL if the run's records are contiguous in their call: `first`, `first` + 1 and so on. Otherwise `count`
    /// indices within the call.
    pub indices: *const u32,
    /// Why the records were not written; NULL if they were.
    pub error: *const ottla_error,
    /// The partition; -1 if none was chosen yet.
    pub partition: i32,
    /// Index within the call of the run's first record.
    pub first: u32,
    /// Number of records.
    pub count: u32,
    /// `OTTLA_WRITTEN`, `OTTLA_NOT_WRITTEN` or `OTTLA_POSSIBLY_WRITTEN`.
    pub outcome: i32,
}

#[expect(
    clippy::vec_box,
    reason = "the errors are pointed to while the vector grows"
)]
pub(super) struct Completions {
    views: Vec<ottla_completion>,
    /// What the views point to.
    _own: Vec<Ended>,
    _topics: Vec<(Arc<str>, CString)>,
    _errors: Vec<Box<ottla_error>>,
}

// SAFETY: the views' pointers lead into the other fields, which nothing changes until all are dropped together.
unsafe impl Send for Completions {}
// SAFETY: the same.
unsafe impl Sync for Completions {}

/// New completions for a caller. What nothing points to afterwards is given to `recycle`.
pub(super) fn completions(
    ended: Vec<Ended>,
    mut recycle: impl FnMut(Ended),
) -> *mut ottla_completions {
    let mut topics: Vec<(Arc<str>, CString)> = Vec::new();
    let mut errors = Vec::new();
    let mut own = Vec::new();
    // One error often ends many runs; it is then the same object.
    let mut last_error: *const str = "";
    let mut views = Vec::with_capacity(ended.iter().map(Ended::completions).sum());
    for batch in ended {
        // Batches of one topic mostly follow each other; the search is for those who write to many.
        let known = topics
            .iter()
            .rposition(|(t, _)| Arc::ptr_eq(t, &batch.topic));
        let topic = known.unwrap_or_else(|| {
            topics.push((batch.topic.clone(), c_string(&batch.topic)));
            topics.len() - 1
        });
        let topic = topics
            .get(topic)
            .map_or(std::ptr::null(), |(_, name)| name.as_ptr());
        let error = batch.error.as_ref().map_or(std::ptr::null(), |error| {
            if !std::ptr::addr_eq(last_error, error.message()) {
                last_error = error.message();
                errors.push(ottla_error::part(error));
            }
            errors.last().map_or(std::ptr::null(), |e| &raw const **e)
        });
        batch.for_each(|run| {
            views.push(ottla_completion {
                token: run.token,
                topic,
                base_offset: run.base_offset,
                timestamp: batch.timestamp,
                indices: run.indices.map_or(std::ptr::null(), <[u32]>::as_ptr),
                error,
                partition: batch.partition,
                first: run.first,
                count: run.count,
                outcome: batch.outcome as i32,
            });
        });
        if batch.has_indices() {
            own.push(batch);
        } else {
            recycle(batch);
        }
    }
    guard::handle(Completions {
        views,
        _own: own,
        _topics: topics,
        _errors: errors,
    })
}

/// Returns the number of completions, or 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_completions_count(completions: *const ottla_completions) -> size_t {
    // SAFETY: the header's conventions.
    unsafe { guard::read(completions, 0, |c: &Completions| c.views.len()) }
}

/// Returns the array of completions, or NULL for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_completions_data(
    completions: *const ottla_completions,
) -> *const ottla_completion {
    // SAFETY: the header's conventions.
    unsafe {
        guard::read(completions, std::ptr::null(), |c: &Completions| {
            c.views.as_ptr()
        })
    }
}

/// Frees completions, including everything they point to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ottla_completions_free(completions: *mut ottla_completions) {
    // SAFETY: the header's conventions.
    unsafe { guard::free(completions) }
}
