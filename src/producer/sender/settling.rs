//! The moment between two transactions. A coordinator answers EndTxn before the transaction's markers are written, and
//! until they are it has no room for the next one: the broker that is given its first records then asks the coordinator
//! again after 20 ms (KIP-890, `add.partitions.to.txn.retry.backoff.ms`), or lets the client do so. Records that come a
//! moment later are spared that wait, so the first ones are held back for as long as markers take, which is learnt.

use std::time::{Duration, Instant};

/// Where learning begins.
const FIRST: Duration = Duration::from_millis(3);
const LEAST: Duration = Duration::from_micros(200);
/// Less than half of what there is to gain.
const MOST: Duration = Duration::from_millis(8);
/// What it takes at least to meet the transaction before.
const PENALTY: Duration = Duration::from_millis(20);
/// A first request that took so much longer than the fastest of them has met it.
const LONGER: Duration = Duration::from_millis(15);
/// After so many that were all slow, perhaps because all have met it, the longest wait is tried; then after twice as many.
const TRY_AFTER: u32 = 8;

#[derive(Debug)]
pub(super) struct Settling {
    moment: Duration,
    /// The fastest first request of late.
    fastest: Duration,
    /// How many have been slow, since one was fast.
    slow: u32,
    try_at: u32,
    /// The longest wait is being tried; what it was before.
    tried: Option<Duration>,
    /// A transaction has ended, at this time, and nothing was sent since.
    ended: Option<Instant>,
    /// The first request since, and when it was sent.
    first: Option<(u64, Instant)>,
}

impl Settling {
    pub(super) fn new() -> Self {
        Settling {
            moment: FIRST,
            fastest: Duration::MAX,
            slow: 0,
            try_at: TRY_AFTER,
            tried: None,
            ended: None,
            first: None,
        }
    }

    /// Until when records are held back.
    pub(super) fn until(&self, now: Instant) -> Option<Instant> {
        self.ended.map(|at| at + self.moment).filter(|at| *at > now)
    }

    /// The coordinator has answered that a transaction is ended.
    pub(super) fn ended(&mut self, now: Instant) {
        self.ended = Some(now);
        self.first = None;
    }

    /// Records were sent.
    pub(super) fn sent(&mut self, now: Instant, request: u64) {
        if let Some(ended) = self.ended.take()
            // Long after the end there is nothing to learn.
            && now < ended + LONGER
        {
            self.first = Some((request, now));
        }
    }

    /// Records were acknowledged.
    pub(super) fn answered(&mut self, now: Instant, request: u64) {
        if let Some((_, sent)) = self.first.take_if(|(first, _)| *first == request) {
            let took = now - sent;
            // What was fast once need not be for ever.
            self.fastest = took.min(self.fastest.saturating_add(self.fastest / 64));
            let slow = took >= PENALTY;
            self.slow = if slow { self.slow + 1 } else { 0 };
            if let Some(before) = self.tried.take()
                && slow
            {
                self.moment = before;
            }
            if took > self.fastest + LONGER {
                self.too_soon();
            } else if self.slow == self.try_at {
                self.try_at *= 2;
                self.tried = Some(self.moment);
                self.moment = MOST;
            } else {
                self.moment = (self.moment - self.moment / 32).max(LEAST);
            }
        }
    }

    /// The transaction before was not over yet.
    pub(super) fn too_soon(&mut self) {
        self.moment = (self.moment * 2).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A transaction whose first request takes so long; how long it is held back.
    fn transaction(
        s: &mut Settling,
        now: &mut Instant,
        took: impl Fn(Duration) -> u64,
    ) -> Duration {
        s.ended(*now);
        let held = s.until(*now).unwrap() - *now;
        *now += held;
        assert_eq!(s.until(*now), None);
        s.sent(*now, 1);
        s.sent(*now, 2);
        *now += Duration::from_millis(took(held));
        s.answered(*now, 2);
        s.answered(*now, 1);
        held
    }

    #[test]
    fn the_moment_that_markers_take_is_learnt() {
        for markers in [1, 3, 6] {
            let (mut s, mut now) = (Settling::new(), Instant::now());
            let markers = Duration::from_millis(markers);
            let took = |held| if held < markers { 22 } else { 2 };
            let held: Vec<_> = (0..1000)
                .map(|_| transaction(&mut s, &mut now, took))
                .collect();
            let too_soon = held.iter().filter(|h| took(**h) == 22).count();
            let each = (held.iter().sum::<Duration>() + too_soon as u32 * PENALTY) / 1000;
            let limit = markers + Duration::from_millis(4);
            assert!(
                each < limit,
                "{markers:?}: {each:?} each, {too_soon} too soon"
            );
        }
    }

    #[test]
    fn a_network_that_is_slow_all_the_time_is_none_of_its_business() {
        let (mut s, mut now) = (Settling::new(), Instant::now());
        let held = (0..1000).map(|_| transaction(&mut s, &mut now, |_| 50));
        let each = held.sum::<Duration>() / 1000;
        assert!(each < 4 * LEAST, "{each:?} were held back each");
    }

    #[test]
    fn who_begins_long_after_the_end_is_not_held_back() {
        let (mut s, now) = (Settling::new(), Instant::now());
        s.ended(now);
        let later = now + Duration::from_secs(1);
        assert_eq!(s.until(later), None);
        s.sent(later, 1);
        s.answered(later + Duration::from_secs(1), 1);
        assert_eq!(s.moment, FIRST);
    }
}
