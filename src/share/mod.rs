//! Share groups (KIP-932): members read the same partitions together, record by record. Each record is locked for the
//! member that got it, which says how it ended; what is not said in time is delivered again, perhaps to another member.
//!
//! Two threads share the work, as in [`consumer`](crate::consumer). The I/O thread ([`role`]) keeps the membership
//! ([`member`]) and a session with each leader ([`node`]), fetches when the program has nothing to read, and sends what was
//! acknowledged. The thread that polls ([`reader`]) makes a batch of what came; the [`ledger`] holds which records the
//! program has and what it said of them.

mod client;
mod ledger;
mod node;
mod reader;
mod role;
mod shared;

use std::sync::Arc;

pub use client::ShareConsumer;
pub use ledger::AcknowledgeType;

/// A partition: topic and index.
type Key = (Arc<str>, i32);
