//! `purge`: the program gives records up that have not ended; the I/O thread carries it out.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::shared::lock;

/// Which records a purge gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purge {
    /// Those that wait to be sent, or to be sent again.
    Queued,
    /// Those that were sent and are not answered: they may have been written all the same.
    InFlight,
    /// Both.
    All,
}

impl Purge {
    pub(crate) fn queued(self) -> bool {
        self != Purge::InFlight
    }

    pub(crate) fn in_flight(self) -> bool {
        self != Purge::Queued
    }
}

#[derive(Default)]
struct Calls {
    asked: Vec<Purge>,
    /// Calls so far, and how many of them are carried out.
    begun: u64,
    done: u64,
    closed: bool,
}

/// Callers of `purge`, shared by their threads and the I/O thread.
#[derive(Default)]
pub(crate) struct PurgeCalls {
    calls: Mutex<Calls>,
    carried_out: Condvar,
}

impl PurgeCalls {
    /// Asks for a purge; the number to wait for.
    pub(crate) fn ask(&self, what: Purge) -> u64 {
        let mut calls = lock(&self.calls);
        calls.asked.push(what);
        calls.begun += 1;
        calls.begun
    }

    /// Waits until call `number` is carried out, or nothing is left to purge; false if `timeout` is over first.
    pub(crate) fn wait(&self, number: u64, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        let mut calls = lock(&self.calls);
        while calls.done < number && !calls.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.carried_out.wait_timeout(calls, left);
            calls = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// What is asked for now.
    pub(crate) fn take(&self) -> Vec<Purge> {
        std::mem::take(&mut lock(&self.calls).asked)
    }

    /// So many calls were carried out.
    pub(crate) fn done(&self, n: usize) {
        lock(&self.calls).done += n as u64;
        self.carried_out.notify_all();
    }

    /// The producer has ended, and with it every record.
    pub(crate) fn close(&self) {
        lock(&self.calls).closed = true;
        self.carried_out.notify_all();
    }
}
