//! What a client is to the world: an engine, and the program that uses it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::super::faults::FaultKind;
use super::super::network::{LinkId, Network};
use super::super::oracle::Logs;
use crate::broker::core::BrokerCore;
use crate::client::engine::{Engine, Role};
use crate::client::waker::Waker;
use crate::cluster::core::Action;
use crate::error::Error;
use crate::net::conn::ConnId;
use crate::net::frame::Arrival;

/// A client's engine, whatever its role.
pub(in crate::simulation) trait Machine {
    fn connected(&mut self, now: Instant, conn: ConnId);
    fn arrived(&mut self, now: Instant, conn: ConnId, arrivals: &mut Vec<Arrival>);
    fn ended(&mut self, now: Instant, conn: ConnId, error: Error);
    fn turn(&mut self, now: Instant);
    fn take_actions(&mut self) -> Vec<Action>;
    fn deadline(&self) -> Option<Instant>;
    fn finished(&self, now: Instant) -> bool;
}

impl<R: Role> Machine for Engine<R> {
    fn connected(&mut self, now: Instant, conn: ConnId) {
        Engine::connected(self, now, conn);
    }
    fn arrived(&mut self, now: Instant, conn: ConnId, arrivals: &mut Vec<Arrival>) {
        Engine::arrived(self, now, conn, arrivals);
    }
    fn ended(&mut self, now: Instant, conn: ConnId, error: Error) {
        Engine::ended(self, now, conn, error);
    }
    fn turn(&mut self, now: Instant) {
        Engine::turn(self, now);
    }
    fn take_actions(&mut self) -> Vec<Action> {
        Engine::take_actions(self)
    }
    fn deadline(&self) -> Option<Instant> {
        Engine::deadline(self)
    }
    fn finished(&self, now: Instant) -> bool {
        Engine::finished(self, now)
    }
}

/// A user's program: calls the client's API, never waiting, and notes what it was told.
pub(in crate::simulation) trait Program {
    /// Does the next thing; how long until the next step, or `None` when it has ended.
    fn step(&mut self, around: &Around<'_>) -> Option<Duration>;
    /// What it found wrong by itself.
    fn complaint(&self) -> Option<String>;
    /// Records accepted so far of how many.
    fn progress(&self) -> (u64, u64) {
        (0, 0)
    }

    /// Batches it has sent that have not ended.
    fn unended(&self) -> u64 {
        0
    }
    /// Records it was given.
    fn read(&self) -> u64 {
        0
    }
    /// Whether others wait for what it writes.
    fn writes(&self) -> bool {
        true
    }
    /// Its process is to end here and now.
    fn is_killed(&self) -> bool {
        false
    }
    /// What a printed trace is to tell of it since the last call.
    fn take_notes(&mut self) -> Vec<String> {
        Vec::new()
    }
    /// Faults of its own making since the last call.
    fn take_tallies(&mut self) -> Vec<FaultKind> {
        Vec::new()
    }
    /// A partition's broker has forgotten its producers: what has not ended yet may come twice.
    fn producers_forgotten(&mut self, _topic: &str, _partition: i32) {}
    /// A topic was deleted, with all it held, and created again with so many partitions, fewer than before.
    fn topic_shrunk(&mut self, _topic: &str, _partitions: i32) {}
    /// Holds what the program was told against the brokers' logs.
    fn check(&self, logs: &Logs) -> Result<(), String>;
}

/// What a program may know of the world.
pub(in crate::simulation) struct Around<'a> {
    pub(in crate::simulation) now: Duration,
    /// All that is to be written has been.
    pub(in crate::simulation) written: bool,
    pub(in crate::simulation) broker: &'a BrokerCore,
    /// The trace is printed: notes are wanted.
    pub(in crate::simulation) tracing: bool,
    /// No fault is left, and none will come.
    pub(in crate::simulation) healed: bool,
    pub(in crate::simulation) net: &'a Network,
}

pub(super) struct Client {
    pub(super) machine: Box<dyn Machine>,
    pub(super) program: Box<dyn Program>,
    pub(super) waker: Waker,
    pub(super) max_frame: usize,
    /// `retry.backoff.ms`
    pub(super) backoff: Duration,
    /// The deadline the timer is set for.
    pub(super) armed: Option<Instant>,
    pub(super) conns: BTreeMap<ConnId, LinkId>,
    /// The process is stopped until then.
    pub(super) stopped_until: Duration,
    pub(super) program_ended: bool,
    pub(super) machine_ended: bool,
    /// Turns in a row whose deadline was over at once.
    pub(super) spins: u32,
}
