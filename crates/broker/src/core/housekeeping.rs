//! What is done from time to time, by the broker's clock: old records are deleted, logs are compacted.

use std::time::Duration;

use super::cluster::{Partition, Topic};
use super::topic_config::Compaction;
use super::{BrokerCore, Now, Timer};
use crate::log::Cleaning;

/// Shortest time between compactions, whatever is set.
const LEAST_INTERVAL: Duration = Duration::from_millis(10);
/// Kafka's `log.retention.check.interval.ms`.
const RETENTION_INTERVAL: Duration = Duration::from_secs(300);

/// What is planned. Nothing is while no topic asks for it, so that an idle broker sleeps.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    /// Its timer.
    compaction: Option<(Duration, u64)>,
    retention: bool,
}

impl BrokerCore {
    /// A topic has records, or other settings: what it asks for is planned.
    pub(super) fn plan_housekeeping(&mut self, now: Now, compacts: bool, retains: bool) {
        if compacts && self.planned.compaction.is_none() {
            let at = now.mono + self.configs.compaction_interval().max(LEAST_INTERVAL);
            self.planned.compaction = Some((at, self.timer(at, Timer::Compaction)));
        }
        if retains && !self.planned.retention {
            self.planned.retention = true;
            self.timer(now.mono + RETENTION_INTERVAL, Timer::Retention);
        }
    }

    /// Settings have changed: plans anew.
    pub(crate) fn plan_anew(&mut self, now: Now) {
        if let Some(timer) = self.planned.compaction.take() {
            self.timers.remove(&timer);
        }
        self.plan_all_housekeeping(now);
    }

    /// Plans what any topic asks for.
    fn plan_all_housekeeping(&mut self, now: Now) {
        let any = |asks: fn(&Topic) -> bool| {
            self.cluster
                .topics()
                .any(|t| asks(t) && t.partitions.iter().any(|p| p.log.size() > 0))
        };
        let compacts = any(|t| t.config.compaction.is_some());
        let retains =
            any(|t| t.config.retention_ms.is_some() || t.config.retention_bytes.is_some());
        self.plan_housekeeping(now, compacts, retains);
    }

    /// Deletes records that are old enough, or too many.
    pub(super) fn retain(&mut self, now: Now) {
        self.planned.retention = false;
        let mut freed = 0;
        for topic in self.cluster.topics_mut() {
            let (ms, bytes) = (topic.config.retention_ms, topic.config.retention_bytes);
            for partition in &mut topic.partitions {
                if let Some(ms) = ms {
                    // Files that can't be made or removed now are tried again the next time.
                    let since = now.wall_ms.saturating_sub(ms);
                    freed += partition.log.retain_since(since).unwrap_or(0);
                }
                if let Some(keep) = bytes.filter(|&keep| partition.log.size() > keep) {
                    freed += partition.log.retain_bytes(keep);
                }
            }
        }
        self.held_bytes -= freed;
        self.plan_all_housekeeping(now);
    }

    /// Compacts the logs that are dirty enough.
    pub(super) fn compact_due(&mut self, now: Now) {
        self.planned.compaction = None;
        let mut freed = 0;
        for topic in self.cluster.topics_mut() {
            let Some(compaction) = topic.config.compaction else {
                continue;
            };
            for partition in &mut topic.partitions {
                if is_due(partition, now, &compaction) {
                    // What can't be written now is tried again the next time.
                    freed += compact(partition, now, &compaction).unwrap_or(0);
                }
            }
        }
        self.held_bytes -= freed;
        self.plan_all_housekeeping(now);
    }

    /// Compacts a topic now, whatever was written last included. `None` if there is no such topic, or none that is
    /// compacted.
    pub(crate) fn compact_topic(&mut self, now: Now, name: &str) -> Option<std::io::Result<()>> {
        let topic = self.cluster.topic_mut(name)?;
        let compaction = topic.config.compaction?;
        let mut freed = 0;
        let mut result = Ok(());
        for partition in &mut topic.partitions {
            let done = partition
                .log
                .roll()
                .and_then(|()| compact(partition, now, &compaction));
            match done {
                Ok(bytes) => freed += bytes,
                Err(error) => result = Err(error),
            }
        }
        self.held_bytes -= freed;
        Some(result)
    }
}

fn is_due(partition: &Partition, now: Now, compaction: &Compaction) -> bool {
    let (ratio, first_ms) = partition.log.dirty(partition.last_stable_offset());
    let lagged = |first: i64| now.wall_ms.saturating_sub(first) > compaction.max_lag_ms;
    let over = |horizon: i64| horizon <= now.wall_ms;
    (first_ms.is_some() && ratio > compaction.dirty_ratio)
        || first_ms.is_some_and(lagged)
        || partition.log.next_horizon().is_some_and(over)
}

fn compact(partition: &mut Partition, now: Now, compaction: &Compaction) -> std::io::Result<u64> {
    let before = partition.last_stable_offset();
    let producers = &partition.producers;
    let older_than_ms = match compaction.min_lag_ms {
        0 => i64::MAX,
        lag => now.wall_ms.saturating_sub(lag),
    };
    partition.log.compact(&Cleaning {
        now_ms: now.wall_ms,
        delete_retention_ms: compaction.delete_retention_ms,
        before,
        older_than_ms,
        is_aborted: &|header| producers.is_aborted(header),
        is_last_of_producer: &|header| producers.is_last(header),
    })
}
