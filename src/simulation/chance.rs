//! Choices of a seed.

use std::time::Duration;

use crate::rng::Rng;

/// A client's settings of waits that begin at these milliseconds and grow to up to ten times as much.
pub(super) fn backoffs(rng: &mut Rng, retry: u64, reconnect: u64) -> [(&'static str, String); 4] {
    [
        ("retry.backoff.ms", retry.to_string()),
        (
            "retry.backoff.max.ms",
            (retry * rng.range(1, 10)).to_string(),
        ),
        ("reconnect.backoff.ms", reconnect.to_string()),
        (
            "reconnect.backoff.max.ms",
            (reconnect * rng.range(1, 10)).to_string(),
        ),
    ]
}

/// What a seed is asked.
pub(super) trait Chance {
    /// True so often.
    fn chance(&mut self, times: u64, of: u64) -> bool;
    /// From `low` to `high`, both included.
    fn range(&mut self, low: u64, high: u64) -> u64;
    /// Anything between, with as many small values as large ones.
    fn spread(&mut self, low: u64, high: u64) -> u64;
    /// One of them.
    fn pick<T: Copy>(&mut self, of: &[T]) -> T;

    fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.range(low, high))
    }
}

impl Chance for Rng {
    fn chance(&mut self, times: u64, of: u64) -> bool {
        self.next() % of < times
    }

    fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high.saturating_sub(low) + 1)
    }

    fn spread(&mut self, low: u64, high: u64) -> u64 {
        // Whole numbers only, so that a seed means the same on every machine.
        let bits = |n: u64| u64::from(u64::BITS - n.leading_zeros());
        let chosen = self.range(bits(low.max(1)), bits(high.max(1)));
        self.range(1 << (chosen - 1), (1 << chosen) - 1)
            .clamp(low, high)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}
