//! The cluster as one client sees it: brokers, topics, leaders; which connection to use, when to try again.
//!
//! [`core::Core`] decides, as plain data: in go events and the time, out come actions and events for the client's
//! role (`client/engine.rs`), and `client/driver.rs` feeds and obeys it on the I/O thread.

pub(crate) mod core;
pub(crate) mod metadata;
pub(crate) mod nodes;
pub(crate) mod problems;

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::CommonConfig;
use crate::log::{Level, LogRing};

/// A client's log, which begins with what its configuration has to say.
pub(crate) fn client_log(config: &CommonConfig, clock: &Clock) -> Arc<LogRing> {
    let log = LogRing::new(&config.client_id, config.log_level);
    for note in &config.notes {
        let (now, wall) = (clock.now(), clock.wall());
        log.log(Level::Info, "config", note, now, wall, || note.clone());
    }
    Arc::new(log)
}
