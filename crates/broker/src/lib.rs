//! The embedded broker: a Kafka server in a thread of its own, for first steps and for tests.
//!
//! [`Broker::start`] answers when it listens; it speaks Kafka's protocol to any client, keeps its topics in memory
//! (bounded) or under a directory, can be a cluster of several nodes, and can be told to fail ([`Fault`]). It shares
//! only [`protocol`](ottla_protocol) with the client.
//!
//! A crate of Ottla's own, without stability: programs use it as `ottla::broker`.
//!
//! `core` decides, without sockets and clocks; `api` holds one file per kind of request; `log` keeps the records;
//! `server` feeds the core from sockets.

#[doc(hidden)]
pub mod api;
#[doc(hidden)]
pub mod core;
mod handle;
#[doc(hidden)]
pub mod log;
mod options;
mod server;

pub use self::api::api_key;
pub use self::api::telemetry::{PushedMetrics, TelemetrySubscription};
pub use self::core::coordinators::CoordinatorKind;
pub use self::core::fault::{Fault, FaultRule};
pub use self::handle::Broker;
pub use self::options::BrokerOptions;
