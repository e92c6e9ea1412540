//! When a caller sends by itself instead of waking the I/O thread (`linger.ms=0`).
//!
//! A hand-over to another thread is a good part of a lone record's latency. A record that others follow within
//! microseconds is better handed over: meanwhile they join its batch, where a request for the first alone would keep all
//! others waiting for its answer. Which of both a program does is learnt from what it did last.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// A record that comes this soon after one was sent by its caller should have been in its batch.
const SOON_NS: u64 = 100_000;
/// The most records in a row that are handed over before the shortcut is tried again.
const MOST: u32 = 255;

/// Only hints are kept here, so that nothing has to be in order with anything else.
#[derive(Default)]
pub(super) struct Shortcut {
    /// Requests sent and not answered, as the engine last saw.
    underway: AtomicUsize,
    /// So many times the I/O thread is woken before the shortcut is tried again.
    handovers: AtomicU32,
    /// How many those were the last time, less since it went well.
    penalty: AtomicU32,
    /// When the shortcut was last taken, in nanoseconds; 0 where that has been judged.
    taken_at: AtomicU64,
}

impl Shortcut {
    /// Notes how many requests are not answered.
    pub(super) fn set_underway(&self, requests: usize) {
        self.underway.store(requests, Ordering::Relaxed);
    }

    /// True while no request is under way.
    pub(super) fn idle(&self) -> bool {
        self.underway.load(Ordering::Relaxed) == 0
    }

    /// True if whoever has just begun a batch that is due should send it.
    pub(super) fn take(&self, now_ns: u64) -> bool {
        let taken_at = self.taken_at.load(Ordering::Relaxed);
        if taken_at != 0 {
            let penalty = self.penalty.load(Ordering::Relaxed);
            self.taken_at.store(0, Ordering::Relaxed);
            if now_ns.saturating_sub(taken_at) < SOON_NS {
                let penalty = (penalty * 2 + 1).min(MOST);
                self.penalty.store(penalty, Ordering::Relaxed);
                self.handovers.store(penalty, Ordering::Relaxed);
                return false;
            }
            self.penalty.store(penalty / 2, Ordering::Relaxed);
        }
        if !self.idle() {
            return false;
        }
        match self.handovers.load(Ordering::Relaxed) {
            0 => {
                self.taken_at.store(now_ns.max(1), Ordering::Relaxed);
                true
            }
            left => {
                self.handovers.store(left - 1, Ordering::Relaxed);
                false
            }
        }
    }

    /// The caller is done with what [`Shortcut::take`] had it do: what comes soon is counted from here.
    pub(super) fn done(&self, now_ns: u64) {
        if self.taken_at.load(Ordering::Relaxed) != 0 {
            self.taken_at.store(now_ns.max(1), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_records_are_sent_by_their_callers() {
        let shortcut = Shortcut::default();
        for i in 1..100 {
            assert!(shortcut.take(i * 1_000_000));
            shortcut.done(i * 1_000_000 + 20_000);
        }
    }

    #[test]
    fn nothing_is_sent_by_a_caller_while_requests_are_under_way() {
        let shortcut = Shortcut::default();
        shortcut.set_underway(1);
        assert!(!shortcut.take(1_000_000));
        shortcut.set_underway(0);
        assert!(shortcut.take(2_000_000));
    }

    /// Bursts of twenty: their first record is handed over nearly always, so that the others join it.
    #[test]
    fn bursts_are_handed_over() {
        let shortcut = Shortcut::default();
        let mut taken = 0;
        for burst in 1..=1000 {
            let mut now = burst * 1_000_000;
            if shortcut.take(now) {
                taken += 1;
                shortcut.done(now + 20_000);
                shortcut.set_underway(1);
                now += 21_000;
                assert!(!shortcut.take(now));
                shortcut.set_underway(0);
            }
        }
        assert!(taken < 20, "{taken} of 1,000");
    }

    /// A program that no longer sends in bursts is served by the shortcut again.
    #[test]
    fn what_was_learnt_is_forgotten() {
        let shortcut = Shortcut::default();
        for i in 1..100_u64 {
            shortcut.take(i * 1000);
        }
        let late = (0..2000).filter(|i| shortcut.take(1_000_000_000 + i * 1_000_000));
        assert!(late.count() > 1700);
    }
}
