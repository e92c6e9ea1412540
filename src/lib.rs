//! Ottla: an Apache Kafka client that keeps record batches whole, from the socket to the user and back.
//!
//! The layers, each knowing only those above it in this list:
//! [`error`], [`log`], [`memory`], [`config`], [`protocol`], [`stats`], `net`, `cluster`, [`producer`], [`consumer`],
//! [`admin`], and at the edge the C ABI (`ffi`) and the embedded [`broker`], which shares only `protocol`.

pub mod admin;
#[cfg(feature = "broker")]
pub mod broker;
pub mod config;
pub mod consumer;
pub mod error;
pub mod log;
pub mod memory;
pub mod producer;
pub mod protocol;
pub mod stats;

mod clock;
mod cluster;
mod ffi;
mod net;
mod queue;

pub use error::{Error, ErrorCode, Result};
