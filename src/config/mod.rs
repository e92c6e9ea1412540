//! Configuration: one table of every key, and the typed configurations read through it.
//!
//! Keys are Kafka's own, as strings. [`keys`] lists the table; [`ProducerConfig`], [`ConsumerConfig`],
//! [`ShareConfig`] and [`AdminConfig`] are what the client code reads. Every mistake is an error with code
//! `CONFIG` at construction: nothing is ignored, nothing is found out later. `docs/configuration.md` is generated
//! from the table.
//!
//! A value the user gave is never changed. A *default* that contradicts it gives way (for example
//! `receive.message.max.bytes` grows with `fetch.max.bytes`), which [`CommonConfig::notes`] says; two values the user gave
//! that contradict each other are an error that names both.

mod choice;
mod hosts;
mod nearest;
mod reset;
mod rules;
mod settings;
mod share;
mod table;
mod typed;
mod value;

#[cfg(test)]
mod tests;

pub use choice::{
    AcknowledgementMode, Acks, AcquireMode, AddressFamily, Assignor, Choice, Compression,
    DnsLookup, GroupProtocol, IsolationLevel, MetadataRecovery, Partitioner,
};
pub use hosts::HostPort;
pub use reset::AutoOffsetReset;
pub use share::ShareConfig;
pub use table::{Alias, ClientKind, Clients, Convert, Key, Kind, keys};
pub use typed::{AdminConfig, CommonConfig, ConsumerConfig, ProducerConfig};

use std::time::Duration;

/// For options that are no client's, such as the embedded broker's; errors end a sentence as in [`value`].
#[cfg(feature = "broker")]
pub(crate) fn size(text: &str) -> Result<u64, String> {
    value::size(text)
}

/// The candidate that was probably meant by `word`.
#[cfg(feature = "broker")]
pub(crate) fn nearest(
    word: &str,
    candidates: impl IntoIterator<Item = &'static str>,
) -> Option<&'static str> {
    nearest::nearest(word, candidates)
}

/// What `inf` means as a duration: a hundred years. Longer values given by the user are cut to it,
/// so that adding any configured duration to a clock reading cannot overflow.
pub const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
