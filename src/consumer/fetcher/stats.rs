//! The consumer's figures: counted per fetch and per poll, put together when asked for.

use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::cluster::core::Core;
use crate::consumer::fetcher::Fetcher;
use crate::consumer::fetcher::part::Part;
use crate::consumer::fetcher::tag::Tag;
use crate::stats::{ErrorCounts, Histogram, Place, Scope, Stats, figure};

/// Counts of the consumer as a whole.
#[derive(Debug, Default)]
pub(super) struct FetcherStats {
    /// Bytes of records that one partition's part of an answer brought.
    pub(super) fetched: Histogram,
    pub(super) errors: ErrorCounts,
}

impl Fetcher {
    pub(super) fn make_stats(&self, core: &Core<Tag>, now: Instant) -> Stats {
        let shared = &self.shared;
        let (connections, brokers) = core.stat_scopes();
        let lag: i64 = self.parts.values().filter_map(|p| p.lag(self)).sum();
        let mut values = vec![
            (
                "records_delivered",
                figure(shared.delivered.load(Ordering::Relaxed)),
            ),
            ("poll_us", figure(shared.poll_us.load(Ordering::Relaxed))),
            ("partitions_assigned", figure(self.parts.len())),
            ("lag", lag),
            ("held_bytes", figure(shared.memory.held())),
            ("buffered_bytes", figure(shared.memory.unread())),
            ("buffer_limit_bytes", figure(shared.memory.cap())),
        ];
        values.extend(connections);
        let client = Scope {
            place: Place::Client,
            values,
            histograms: vec![("fetched_bytes", self.stats.fetched.clone())],
            errors: self.stats.errors.list(),
        };
        let group = shared.config.group_id.clone();
        let partitions = self.parts.values().map(|part| part.scope(self, core));
        let scopes = std::iter::once(client)
            .chain(brokers)
            .chain(partitions)
            .collect();
        Stats {
            client: "consumer",
            client_id: core.config.client_id.clone(),
            time_ms: core.clock.wall_ms(),
            age: core.age(now),
            labels: group.map(|id| ("group_id", id)).into_iter().collect(),
            scopes,
        }
    }
}

impl Part {
    fn lag(&self, fetcher: &Fetcher) -> Option<i64> {
        let end = self.partition.end(fetcher.shared.read_committed())?;
        Some((end - self.partition.position()?).max(0))
    }

    fn scope(&self, fetcher: &Fetcher, core: &Core<Tag>) -> Scope {
        let partition = &self.partition;
        let leader = core
            .topics
            .known(&partition.topic)
            .and_then(|t| t.partitions.get(partition.index as usize))
            .map_or(-1, |p| p.leader);
        let end = partition.end(fetcher.shared.read_committed());
        Scope {
            place: Place::Partition {
                topic: partition.topic.clone(),
                index: partition.index,
                leader,
            },
            values: vec![
                ("position", partition.position().unwrap_or(-1)),
                ("end_offset", end.unwrap_or(-1)),
                ("lag", self.lag(fetcher).unwrap_or(-1)),
                ("paused", i64::from(partition.paused())),
                ("buffered_bytes", figure(partition.unread())),
                ("fetches", figure(self.stats.fetches)),
                ("fetched_total_bytes", figure(self.stats.bytes)),
            ],
            histograms: Vec::new(),
            errors: self.stats.errors.list(),
        }
    }
}
