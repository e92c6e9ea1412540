//! The seeded simulation: real clients' engines and the embedded broker's core in one thread, on a clock that moves only
//! from event to event, joined by a network in memory. A seed stands for everything: cluster, settings, calls, and what
//! goes wrong. The same seed gives the same run.
//!
//! [`simulate`] runs one seed and holds what the client told its user against what the brokers' logs contain. It is
//! there for the project's own tests (`make simulate`), behind the feature `simulation`.

mod chance;
mod content;
mod faults;
mod kinds;
mod lasting;
mod network;
mod oracle;
mod pace;
pub(crate) mod planted;
mod producing;
mod reading;
mod refusals;
mod scenario;
mod trace;
mod transactions;
mod world;

use std::collections::BTreeMap;

pub use faults::FaultKind;
pub use planted::{BUGS, Bug};
pub use refusals::{
    Combination, Group, Place, RefusedRole, Verdict, combinations, is_known, refuse,
};

/// Every so many-th seed looks after nothing but the pace of those whose broker is not slow.
const PACED: u64 = 16;

/// What became of a seed.
#[derive(Debug, Clone)]
pub struct Report {
    /// Of everything that happened, in order.
    pub hash: u64,
    /// Events that happened.
    pub events: u64,
    /// Records that producers accepted.
    pub records: u64,
    /// Records that consumers were given.
    pub read: u64,
    /// How often each kind of fault fired.
    pub fired: BTreeMap<FaultKind, u64>,
    /// Virtual time that passed, in milliseconds.
    pub virtual_ms: u64,
    /// What was wrong, if anything.
    pub failure: Option<String>,
}

/// Runs one seed. `bug` plants one of [`BUGS`] by its name; `print` prints what happens, event by event.
pub fn simulate(seed: u64, bug: Option<&'static str>, print: bool) -> Report {
    planted::plant(bug);
    let built = match seed % PACED {
        0 => pace::build(seed, print),
        _ => scenario::build(seed, print),
    };
    let mut world = match built {
        Ok(world) => world,
        Err(failure) => {
            return Report {
                hash: 0,
                events: 0,
                records: 0,
                read: 0,
                fired: BTreeMap::new(),
                virtual_ms: 0,
                failure: Some(failure),
            };
        }
    };
    let result = world.run().and_then(|()| {
        let logs = oracle::Logs::read(&world.broker, &world.feed)?;
        world.programs().try_for_each(|p| p.check(&logs))
    });
    planted::plant(None);
    Report {
        hash: world.trace.hash(),
        events: world.trace.events(),
        records: world.programs().map(|p| p.progress().0).sum(),
        read: world.programs().map(|p| p.read()).sum(),
        fired: world.fired.clone(),
        virtual_ms: world.now().as_millis() as u64,
        failure: result.err(),
    }
}
