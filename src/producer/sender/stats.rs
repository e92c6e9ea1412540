//! The producer's figures: counted per batch, put together when asked for.

use std::time::Instant;

use super::super::completion::Outcome;
use super::super::partition::Batch;
use super::{Part, Sender, Tag};
use crate::cluster::core::Core;
use crate::error::{Error, ErrorCode};
use crate::stats::{ErrorCounts, Histogram, Place, Scope, Stats, figure};

/// Counts of the producer as a whole.
#[derive(Debug, Default)]
pub(super) struct SenderStats {
    batch_bytes: Histogram,
    batch_records: Histogram,
    /// From the first record of a batch to its first sending, in microseconds.
    queue_time: Histogram,
    /// From that to the acknowledgement.
    delivery_time: Histogram,
    errors: ErrorCounts,
}

/// Counts of one partition.
#[derive(Debug, Default)]
pub(super) struct PartStats {
    batches: u64,
    bytes: u64,
    written: u64,
    /// None where all went well, as with most.
    troubles: Option<Box<Troubles>>,
}

#[derive(Debug, Default)]
struct Troubles {
    retries: u64,
    failed: u64,
    errors: ErrorCounts,
}

impl PartStats {
    fn troubles(&mut self) -> &mut Troubles {
        self.troubles.get_or_insert_default()
    }
}

fn micros(from: Instant, to: Instant) -> u64 {
    let span = to.saturating_duration_since(from);
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

impl Sender {
    /// A batch is sent, for the first time or again.
    pub(super) fn note_sent(&mut self, now: Instant, slot: usize, batch: &Batch) {
        let Some(part) = self.parts.get_mut(slot) else {
            return;
        };
        let bytes = batch.sealed.wire_len() as u64;
        part.stats.bytes += bytes;
        if batch.attempts > 0 {
            part.stats.troubles().retries += 1;
            return;
        }
        part.stats.batches += 1;
        self.stats.batch_bytes.record(bytes);
        self.stats.batch_records.record(batch.sealed.count() as u64);
        self.stats.queue_time.record(micros(batch.created, now));
    }

    /// A batch was refused by a broker.
    pub(super) fn note_refused(&mut self, slot: usize, code: ErrorCode) {
        self.stats.errors.add(code);
        if let Some(part) = self.parts.get_mut(slot) {
            part.stats.troubles().errors.add(code);
        }
    }

    /// A batch has ended.
    pub(super) fn note_ended(
        &mut self,
        now: Option<Instant>,
        slot: usize,
        batch: &Batch,
        outcome: Outcome,
        error: Option<&Error>,
    ) {
        let Some(part) = self.parts.get_mut(slot) else {
            return;
        };
        let records = batch.sealed.count() as u64;
        if outcome == Outcome::Written {
            part.stats.written += records;
            if let Some(now) = now {
                self.stats.delivery_time.record(micros(batch.created, now));
            }
        } else {
            part.stats.troubles().failed += records;
            // Kafka's own codes were counted when the broker answered with them.
            if let Some(code) = error.map(Error::code).filter(|code| code.0 < 0) {
                part.stats.troubles().errors.add(code);
                self.stats.errors.add(code);
            }
        }
    }

    pub(super) fn make_stats(&self, core: &Core<Tag>, now: Instant) -> Stats {
        let shared = &self.shared;
        let (connections, brokers) = core.stat_scopes();
        let c = &shared.counters;
        let count =
            |n: &std::sync::atomic::AtomicU64| figure(n.load(std::sync::atomic::Ordering::Relaxed));
        let mut values = vec![
            ("records_written", count(&c.written)),
            ("records_failed", count(&c.failed)),
            ("batches", count(&c.batches)),
            ("batches_retried", count(&c.retries)),
            ("batches_live", figure(shared.live_batches())),
            ("batch_sent_bytes", count(&c.bytes)),
            ("produce_requests", count(&c.requests)),
            ("buffer_used_bytes", figure(shared.memory.used())),
            ("buffer_limit_bytes", figure(shared.memory.limit())),
            ("buffer_records", figure(shared.memory.records())),
            ("completions_waiting", figure(shared.completions.len())),
        ];
        values.extend(connections);
        let client = Scope {
            place: Place::Client,
            values,
            histograms: vec![
                ("batch_size_bytes", self.stats.batch_bytes.clone()),
                ("batch_records", self.stats.batch_records.clone()),
                ("queue_time_us", self.stats.queue_time.clone()),
                ("delivery_time_us", self.stats.delivery_time.clone()),
            ],
            errors: self.stats.errors.list(),
        };
        let transactional_id = shared.config.transactional_id.clone();
        let mut parts: Vec<&Part> = self.parts.iter().collect();
        parts.sort_by(|a, b| {
            let key = |p: &Part| (p.partition.topic().clone(), p.partition.index);
            key(a).cmp(&key(b))
        });
        let scopes = std::iter::once(client)
            .chain(brokers)
            .chain(parts.into_iter().map(|part| part.scope(core)))
            .collect();
        Stats {
            client: "producer",
            client_id: core.config.client_id.clone(),
            time_ms: core.clock.wall_ms(),
            age: core.age(now),
            labels: transactional_id
                .map(|id| ("transactional_id", id))
                .into_iter()
                .collect(),
            scopes,
        }
    }
}

impl Part {
    fn scope(&self, core: &Core<Tag>) -> Scope {
        let partition = &self.partition;
        let leader = core
            .topics
            .known(partition.topic())
            .and_then(|t| t.partitions.get(partition.index as usize))
            .map_or(-1, |p| p.leader);
        let queue = partition.lock();
        let queued = queue.sealed.len() + usize::from(queue.open.is_some());
        let open = queue.open.as_ref().map_or(0, |open| open.builder.count());
        drop(queue);
        let s = &self.stats;
        let troubles = s.troubles.as_deref();
        Scope {
            place: Place::Partition {
                topic: partition.topic().clone(),
                index: partition.index,
                leader,
            },
            values: vec![
                ("records_written", figure(s.written)),
                ("records_failed", figure(troubles.map_or(0, |t| t.failed))),
                ("records_open", figure(open)),
                ("batches_sent", figure(s.batches)),
                ("batches_retried", figure(troubles.map_or(0, |t| t.retries))),
                ("batches_queued", figure(queued + self.again.len())),
                ("batches_in_flight", figure(self.inflight.len())),
                ("batch_sent_bytes", figure(s.bytes)),
                ("backlog_bytes", figure(partition.backlog.bytes())),
            ],
            histograms: Vec::new(),
            errors: troubles.map_or_else(Vec::new, |t| t.errors.list()),
        }
    }
}
