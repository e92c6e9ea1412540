//! Ottla: an Apache Kafka client that keeps record batches whole, from the socket to the user and back.
//!
//! The layers, each knowing only those above it in this list:
//! [`error`], [`log`], [`memory`], [`config`], [`protocol`], [`stats`], `net`, `cluster`, [`producer`], [`consumer`],
//! [`share`], [`admin`], and at the edge the C ABI (`ffi`) and the embedded [`broker`], which shares only `protocol`.
//!
//! `error`, `memory`, `protocol` and `broker` are crates of their own, handed on here.

/// Whether a deliberate bug is planted here, see `simulation::planted`. Without the simulation it is `false`, and nothing
/// of it is compiled. With `=>`, what it does then.
macro_rules! planted {
    ($name:literal) => {{
        #[cfg(feature = "simulation")]
        {
            $crate::simulation::planted::is_planted($name)
        }
        #[cfg(not(feature = "simulation"))]
        {
            false
        }
    }};
    ($name:literal => $($then:tt)*) => {
        #[cfg(feature = "simulation")]
        if $crate::simulation::planted::is_planted($name) {
            $($then)*
        }
    };
}

pub mod admin;
pub mod config;
pub mod consumer;
pub mod log;
pub mod producer;
pub mod share;
#[cfg(feature = "simulation")]
pub mod simulation;
pub mod stats;

mod client;
mod clock;
mod cluster;
mod ffi;
mod group;
mod net;
mod reading;
mod rng;
mod topic;

#[doc(inline)]
pub use ottla_base::{error, memory};
#[cfg(feature = "broker")]
#[doc(inline)]
pub use ottla_broker as broker;
#[doc(inline)]
pub use ottla_protocol as protocol;

pub(crate) use ottla_base::thread;

pub use client::calls::Call;
pub use client::mailbox::Answer;
pub use error::{Error, ErrorCode, Result};
