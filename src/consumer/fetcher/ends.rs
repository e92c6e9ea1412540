//! The ends of paused partitions: nothing is fetched of them, which would tell how far they have grown, so they are asked
//! for now and then.

use std::time::{Duration, Instant};

use crate::consumer::fetcher::Fetcher;
use crate::consumer::fetcher::part::Step;
use crate::consumer::fetcher::queries::{Owner, Query};
use crate::consumer::shared::LATEST;

/// How old the end of a paused partition becomes.
const RENEWAL: Duration = Duration::from_secs(5);

impl Fetcher {
    /// Partitions were paused or resumed.
    pub(super) fn watch_ends(&mut self, now: Instant) {
        let paused = self.parts.values().any(|part| part.partition.paused());
        self.ends_at = paused.then(|| self.ends_at.unwrap_or(now + RENEWAL));
    }

    /// Asks for the ends of paused partitions when it is time; says when that is again.
    pub(super) fn renew_ends(&mut self, now: Instant) -> Option<Instant> {
        let at = self.ends_at?;
        if now < at {
            return Some(at);
        }
        self.ends_at = None;
        self.watch_ends(now);
        if self.queries.renews() {
            return self.ends_at;
        }
        for (key, part) in &self.parts {
            if part.partition.paused() && matches!(part.step, Step::Fetch { .. }) {
                let owner = Owner::End {
                    partition: part.partition.clone(),
                    generation: part.generation,
                };
                self.queries
                    .add(Query::new(owner, key.0.clone(), key.1, LATEST));
            }
        }
        self.ends_at
    }
}
