//! What a program tells a consumer, and what a poll returns.

use super::batch::Batch;
use crate::client::event::Event;

/// Where reading a partition starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record in the log.
    Earliest,
    /// After the newest record (with `isolation.level=read_committed`: at the first open transaction).
    Latest,
    /// At this offset.
    Offset(i64),
    /// At the first record whose timestamp is this or later, in milliseconds since 1970; at the end if there is none.
    Timestamp(i64),
    /// As `auto.offset.reset` says.
    Reset,
}

/// The result of a poll.
#[derive(Debug)]
pub enum Polled {
    /// Records.
    Batch(Batch),
    /// An event.
    Event(Event),
    /// The timeout ended without records or events.
    Nothing,
}
