//! Ottla: an Apache Kafka client
//!
//! OVERVIEW
//!
//! Ottla moves record batches, not messages: records are written straight from the caller's memory into the batch
//! that goes out, and read as views into the buffer that came in. The functions on one record are conveniences; the fast
//! ones take and give columns of thousands.
//!
//!   `ottla_config`     settings, by Kafka's own names
//!   `ottla_producer`   writes records, in transactions too; its completions tell what became of them
//!   `ottla_consumer`   reads assigned partitions, or as a member of a group; a poll gives a batch, or an event
//!   `ottla_share_consumer`  reads as a member of a share group: each record is one member's at a time
//!   `ottla_admin`      creates, deletes, lists and describes topics
//!   `ottla_answer`     the result of a call that was begun without waiting
//!   `ottla_broker`     a Kafka server inside this process, for first steps and for tests
//!
//! All clients of a process share one thread for input and output. No function of yours is ever called on it: completions,
//! events and log lines wait in queues until they are polled, or a descriptor says that they are there. The one function
//! that Ottla takes of you, a partitioner, runs inside your own sending calls.
//!
//! CONVENTIONS
//!
//! Names. `ottla_<noun>_<verb>`; constants are `OTTLA_*`. A handle is made by `_new` (or comes out of a call that says
//! so) and freed by `_free`; `_free` of NULL does nothing.
//!
//! Arguments. The handle first, then inputs, then outputs, and last `ottla_error **error`, which may be NULL.
//!
//! Status and errors. Every function that can fail answers an `ottla_status`: 0 (OTTLA_OK), one of Kafka's error codes
//! as on the wire, or one of Ottla's own, at or below -100. Only then, and only if `error` is not NULL, `*error` is
//! set to an error object that the caller frees; on success it is left alone. Outputs are written on success only,
//! except counts named `accepted`, which are written always. NULL where a handle, string or output is needed is
//! OTTLA_ERR_INVALID_ARGUMENT, not a crash; accessors that can't fail answer 0, NULL or "" to NULL. Beside the errors a
//! function names, each can answer OTTLA_ERR_INVALID_ARGUMENT; OTTLA_ERR_FORKED in a child process; OTTLA_ERR_CLOSED
//! after `_close`; and OTTLA_ERR_PANIC after a bug in Ottla, whereupon the object refuses further use and can only be
//! freed.
//!
//! Structs. None of them grows or changes within one OTTLA_ABI_VERSION: arrays of them have a fixed stride, and a program
//! may hold them in its own. What is to be told or asked beyond their fields gets functions of its own, beside the old
//! ones, and figures get names in the statistics. Set them to 0 before filling them in (`= {0}`), so that a later version
//! which has other fields finds nothing by chance.
//!
//! Memory. Where the system has none left for a large buffer (a batch to send, a response, what a batch is decompressed
//! to), the call or the connection fails with OTTLA_ERR_OUT_OF_MEMORY. Where it has none for something small, the process
//! is aborted, as programs in Rust are.
//!
//! Bytes. A pointer and a length; a NULL pointer is Kafka's null, a pointer with length 0 is empty. Keys, values and
//! headers are any bytes. Strings in are NUL-terminated UTF-8; strings out are so too, never NULL unless it is said, and
//! belong to the object they came from.
//!
//! Ownership. Inputs are copied before a call returns. What a call gives belongs to the object it came from and lives
//! until that is freed. Batches, events, completions and errors outlive the client they came from.
//!
//! Threads. A function that takes `const T *` may be called from many threads at once on the same object. One that takes
//! `T *` may be called by one thread at a time, while const calls go on beside it; a second one at the same time is told
//! OTTLA_ERR_IN_USE. `_close` may be called from any thread and wakes all who wait. `_free` only after every call
//! with that object has returned.
//!
//! The end. Close clients before the process ends: closing waits until records are acknowledged and a member has left its
//! group. A client that is only freed leaves in the background; when the process ends by exit() or by returning from
//! main, clients have up to a second for that, and producers that were not freed for what they still hold. If records are
//! lost by it nevertheless, one line on stderr says how many, unless the producer's `log.level` or the environment
//! variable `OTTLA_LOG` is off. Nothing is sent after _exit() or a signal that kills the process.
//!
//! Signals. Ottla's threads take none: handlers run on the program's threads, and what these block stays pending.
//!
//! Time. `timeout_ms` is in milliseconds: 0 does not wait, -1 has no limit (for sending: `max.block.ms`). Timestamps are
//! milliseconds since 1970.
//!
//! Forks. A child process can't use its parent's clients: every call answers OTTLA_ERR_FORKED, and freeing them touches
//! nothing of the parent's. New clients work.
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
