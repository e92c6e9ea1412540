//! Faults on real sockets: a producer at a steady rate, something that goes wrong, and the oracle at the end (every
//! acknowledged record is there once and in order, what is told as not written is absent, every record ends once).
//!
//! Without the usual harness: the scenarios share one cluster, and there is a soak.
//!
//!     faults                     what needs no Java: proxies before the embedded broker
//!     faults --kafka             the same and more on three Apache Kafka brokers
//!     faults [--kafka] NAME...   those whose names contain one of these words
//!     faults --soak MINUTES [--seed N]
//!
//! docs/faults.md tells which fault is tried where.

// A test ends with the first thing that is not as it should be.
#![allow(clippy::unwrap_used)]

/// Says how far a scenario is; several run side by side.
#[cfg(target_os = "linux")]
macro_rules! note {
    ($($words:tt)*) => {
        println!("    {}: {}", std::thread::current().name().unwrap_or(""), format_args!($($words)*))
    };
}

#[cfg(target_os = "linux")]
mod brokers;
#[cfg(target_os = "linux")]
mod cluster;
#[cfg(target_os = "linux")]
mod ground;
#[cfg(target_os = "linux")]
mod groups;
#[cfg(target_os = "linux")]
#[path = "../support/harness.rs"]
mod harness;
#[cfg(target_os = "linux")]
mod load;
#[cfg(target_os = "linux")]
mod member;
#[cfg(target_os = "linux")]
mod network;
#[cfg(target_os = "linux")]
mod proxy;
#[cfg(target_os = "linux")]
mod random;
#[cfg(target_os = "linux")]
mod runner;
#[cfg(target_os = "linux")]
mod soak;
#[cfg(target_os = "linux")]
mod talk;
#[cfg(target_os = "linux")]
mod transactions;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    runner::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("not run: the proxies and the cluster's control are written for Linux");
}
