//! Ottla: an Apache Kafka client
//!
//! OVERVIEW
//!
//! Ottla works in record batches rather than single messages: records are encoded from the caller's memory directly
//! into the batch that is sent, and are read as views into the buffer that was received. There are functions for
//! single records, for convenience; the fast functions take and return columns of thousands of records.
//!
//!   `ottla_config`          settings, under Kafka's own names
//!   `ottla_producer`        writes records, also in transactions; completions report the outcome of each
//!   `ottla_consumer`        reads assigned partitions, or partitions of a group; a poll returns a batch or an event
//!   `ottla_share_consumer`  reads as a member of a share group: each record is locked for one member at a time
//!   `ottla_admin`           creates, deletes, lists and describes topics
//!   `ottla_answer`          the result of a call that was started without waiting
//!   `ottla_broker`          a Kafka server inside this process, for first steps and for tests
//!
//! All clients of a process share one I/O thread. Ottla never calls the program's functions on that thread:
//! completions, events and log lines wait in queues until the program polls, and a descriptor signals that they are
//! there. The only callback is a partitioner, and it runs inside the program's own send calls.
//!
//! CONVENTIONS
//!
//! Names. Functions are `ottla_<noun>_<verb>`, constants `OTTLA_*`. A handle is created by `_new` (or returned by a
//! call that says so) and freed by `_free`; `_free(NULL)` does nothing.
//!
//! Arguments. The handle comes first, then inputs, then outputs, and last `ottla_error **error`, which may be NULL.
//!
//! Status and errors. Every function that can fail returns an `ottla_status`: 0 (OTTLA_OK), one of Kafka's error
//! codes as on the wire, or one of Ottla's own, at or below -100. On failure, and if `error` is not NULL, `*error` is
//! set to an error object that the caller frees; on success `*error` is left unchanged. Outputs are written on
//! success only, except counts named `accepted`, which are always written. Passing NULL for a required handle, string
//! or output is OTTLA_ERR_INVALID_ARGUMENT, not a crash; accessors that can't fail return 0, NULL or "" for NULL. In
//! addition to the errors listed for a function, any function can return OTTLA_ERR_INVALID_ARGUMENT; OTTLA_ERR_FORKED
//! in a child process; OTTLA_ERR_CLOSED after `_close`; and OTTLA_ERR_PANIC after a bug in Ottla, after which the
//! object refuses further calls and can only be freed.
//!
//! Structs. No struct grows or changes within one OTTLA_ABI_VERSION, because arrays of them have a fixed stride and a
//! program may embed them in its own. New properties get new functions, and new figures get names in the statistics.
//! Set input structs to 0 before filling them in (`= {0}`), so that fields of a later version have a defined value.
//!
//! Memory. If the system has no memory left for a large buffer (a batch to send, a response, a decompressed batch),
//! the call or the connection fails with OTTLA_ERR_OUT_OF_MEMORY. If a small allocation fails, the process is
//! aborted, as is usual in Rust.
//!
//! Bytes. A pointer and a length; a NULL pointer is Kafka's null, a non-NULL pointer with length 0 is empty. Keys,
//! values and headers may hold any bytes. Input strings are NUL-terminated UTF-8. So are output strings, which are
//! never NULL unless documented, and belong to the object they came from.
//!
//! Ownership. Inputs are copied before a call returns. What a function returns or writes belongs to the handle it
//! came from and is valid until that handle is freed. Batches, events, completions and errors stay valid after the
//! client they came from is freed.
//!
//! Threads. A function that takes `const T *` may be called from many threads at once on the same object. One that
//! takes `T *` may be called by one thread at a time, concurrently with const calls; a second such call at the same
//! time returns OTTLA_ERR_IN_USE. `_close` may be called from any thread and wakes all waiting calls. `_free` must
//! only be called once every call with that object has returned.
//!
//! Shutdown. Close clients before the process ends: closing waits until records are acknowledged and a member has
//! left its group. A client that is only freed leaves in the background. When the process ends by exit() or by
//! returning from main, clients have up to a second to do so, and producers that were not freed have up to a second
//! to send what they hold. If records are lost nevertheless, one line on stderr says how many, unless the producer's
//! `log.level` or the environment variable `OTTLA_LOG` is off. Nothing is sent after _exit() or a signal that kills
//! the process.
//!
//! Signals. Ottla's threads block all signals: handlers run on the program's threads, and a signal that those block stays
//! pending.
//!
//! Time. `timeout_ms` is in milliseconds: 0 does not wait, -1 waits without a limit (for sending: up to
//! `max.block.ms`). Timestamps are milliseconds since 1970.
//!
//! Forks. A child process can't use its parent's clients: every call returns OTTLA_ERR_FORKED, and freeing them does
//! not affect the parent. New clients work.
#![allow(non_camel_case_types, reason = "these names are C's")]
#![allow(
    clippy::missing_safety_doc,
    reason = "one contract for all functions: the conventions above, which the header repeats"
)]
#![allow(
    unreachable_pub,
    reason = "cbindgen reads only public items; C reaches them"
)]

mod admin;
mod admin_results;
mod answer;
mod assignor;
mod basics;
mod batch;
#[cfg(feature = "broker")]
mod broker;
mod columns;
mod completion;
mod config;
mod consumer;
mod error;
mod event;
mod group;
mod guard;
mod log;
mod producer;
mod producer_setup;
mod share;
mod stats;
mod submit;
mod submit_producer;
mod transaction;
