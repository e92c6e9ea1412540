//! The cluster as one client sees it: brokers, topics, leaders; which connection to use, when to try again.
//!
//! [`core::Core`] decides, as plain data: in go events and the time, out come actions and events for the client's
//! [`engine::Role`]. [`driver`] feeds and obeys it on the I/O thread.

pub(crate) mod connect;
pub(crate) mod core;
pub(crate) mod driver;
pub(crate) mod engine;
pub(crate) mod metadata;
pub(crate) mod nodes;
