//! Administration: topics are created, deleted, listed, described and grown.
//!
//! [`Admin`] is what programs hold: blocking calls, from any thread. Each call is an operation of its own
//! (`change`, `describe`) that writes requests and reads answers; `role` runs them as a state machine: whom to ask, when to
//! try again, when the time is over. A new kind of call is a new operation.

mod change;
mod client;
mod describe;
mod refusal;
mod role;
#[cfg(feature = "simulation")]
pub(crate) mod simulated;
mod types;

pub use client::Admin;
pub use types::{
    BrokerDescription, ClusterDescription, NewPartitions, NewTopic, PartitionDescription,
    TopicDescription, TopicListing, TopicResult,
};
