//! Records of topics whose partitions are not known yet.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::buffer::Need;
use super::completion::Tokens;
use super::partition::{OpenBatch, Partition};
use super::send::{Wait, closed, valid_partition};
use super::shared::{End, Shared};
use super::source::{One, Source};
use super::topic::{Pending, PendingBatch, Topic};
use crate::error::{Error, Result};
use crate::protocol::compress::Codec;
use crate::protocol::record::BatchBuilder;

/// How an append to a topic's pending records ended.
pub(super) enum PendingEnd<'t> {
    /// So many rows were taken.
    Taken(usize, Result<()>),
    /// After so many rows the partitions became known.
    Known(&'t [Arc<Partition>], usize),
}

impl Shared {
    /// Keeps records whose topic's partitions are not known yet.
    pub(super) fn append_pending<'t, S: Source>(
        &self,
        topic: &'t Arc<Topic>,
        partition: Option<i32>,
        mut source: S,
        token: u64,
        wait: Wait,
    ) -> PendingEnd<'t> {
        let wish = partition.unwrap_or(-1);
        let mut taken = 0;
        let mut paid = 0;
        let mut admitted = 0;
        let end = loop {
            if admitted == 0 {
                admitted = match self.admit(source.len(), wait) {
                    Ok(admitted) => admitted,
                    Err(e) => break PendingEnd::Taken(taken, Err(e)),
                };
            }
            let mut pending = topic.pending();
            // Looked at under the lock under which the I/O thread empties the pending records.
            if let Some(partitions) = topic.partitions() {
                break PendingEnd::Known(partitions, taken);
            }
            if let Some(e) = &pending.refused {
                break PendingEnd::Taken(taken, Err(e.clone()));
            }
            // Once this is set the I/O thread may have passed this topic by for the last time.
            if self.purge.load(Ordering::SeqCst) {
                break PendingEnd::Taken(taken, Err(closed()));
            }
            // As in a partition, a batch grows only where there is room.
            let next = source.next_size();
            let fits = pending.batches.back().is_some_and(|b| {
                let builder = &b.open.builder;
                b.partition == wish
                    && !b.full
                    && (builder.spare() >= next || self.may_grow(builder))
            });
            if !fits {
                let capacity = self.first_capacity(0, next);
                let need = Need::any(capacity.saturating_sub(paid));
                if need.bytes > 0 && !self.memory.try_charge(&need) {
                    drop(pending);
                    match self.wait_for_room(need, wait) {
                        Ok(_) => paid = capacity,
                        Err(e) => break PendingEnd::Taken(taken, Err(e)),
                    }
                    continue;
                }
                paid = paid.max(capacity);
                let builder = match BatchBuilder::try_new(self.config.batch_size, capacity) {
                    Ok(builder) => builder,
                    Err(e) => break PendingEnd::Taken(taken, Err(e)),
                };
                let id = match self.begin_batch() {
                    Ok(id) => id,
                    Err(e) => break PendingEnd::Taken(taken, Err(e)),
                };
                let linger = topic.settings.linger;
                let open = self.open_batch(linger, builder, std::mem::take(&mut paid), id);
                pending.batches.push_back(PendingBatch {
                    partition: wish,
                    open,
                    full: false,
                });
            }
            let Some(batch) = pending.batches.back_mut() else {
                continue;
            };
            let part = source.limit(admitted);
            let n = match part.append(&mut batch.open.builder) {
                Ok(n) => n,
                Err(e) => break PendingEnd::Taken(taken, Err(e)),
            };
            let grown = batch
                .open
                .builder
                .capacity()
                .saturating_sub(batch.open.charged);
            self.memory.force_charge(grown);
            batch.open.charged += grown;
            if n > 0 {
                source.note(&mut batch.open.tokens, token, n);
            }
            taken += n;
            admitted -= n;
            batch.full = n < part.len();
            if n == source.len() {
                break PendingEnd::Taken(taken, Ok(()));
            }
            source = source.skip(n);
        };
        self.release(paid);
        self.dismiss(admitted);
        end
    }

    /// Sends a topic's pending records on to its partitions, now that they are known. Runs on the I/O thread.
    pub(super) fn resolve_pending(&self, topic: &Topic, partitions: Vec<Arc<Partition>>) {
        let mut pending = topic.pending();
        for batch in pending.batches.drain(..) {
            let OpenBatch {
                id,
                builder,
                tokens,
                charged,
                ..
            } = batch.open;
            let mut owners = Vec::new();
            tokens.for_each(|token, first, count, indices| match indices {
                Some(own) => owners.extend(own.iter().map(|i| (token, *i))),
                None => owners
                    .extend((0..count).map(|i| (token, if token == 0 { 0 } else { first + i }))),
            });
            let mut owners = owners.into_iter();
            let mut failed: Option<Error> = None;
            let mut lost = Tokens::default();
            let mut lost_count = 0;
            let result = builder.seal(Codec::None, None).and_then(|sealed| {
                sealed.for_each_record(|key, value, headers, timestamp| {
                    let (token, first) = owners.next().unwrap_or((0, 0));
                    let one = One {
                        key,
                        value,
                        headers,
                        timestamp,
                        first,
                    };
                    let index = match batch.partition {
                        // Topics with a partitioner of the program's own keep no such records.
                        -1 => Ok(self.configured(topic, partitions.len(), key).0),
                        p => valid_partition(topic, p, partitions.len()),
                    };
                    match index.and_then(|i| {
                        self.append_forced(
                            topic,
                            &partitions,
                            i,
                            one,
                            token,
                            Some(id),
                            &mut 1,
                            true,
                        )
                    }) {
                        Ok(()) => {}
                        Err(e) => {
                            failed.get_or_insert(e);
                            lost.add(token, first, 1);
                            lost_count += 1;
                        }
                    }
                })
            });
            if let Err(e) = result {
                failed.get_or_insert(e);
                for (token, first) in owners {
                    lost.add(token, first, 1);
                    lost_count += 1;
                }
            }
            let end = End::not_written((&topic.name, batch.partition), failed.as_ref());
            self.complete_tokens(id, lost, charged, lost_count, &end);
        }
        topic.set_partitions(partitions);
        drop(pending);
        topic.tell();
        if topic.refused.swap(false, Ordering::AcqRel) {
            self.completions.poke();
        }
    }

    /// Fails a topic's pending records for which `give_up` is true.
    pub(super) fn fail_pending(
        &self,
        pending: &mut Pending,
        topic: &Topic,
        error: &Error,
        give_up: impl Fn(Instant) -> bool,
    ) {
        while pending
            .batches
            .front()
            .is_some_and(|b| give_up(b.open.created))
        {
            let Some(batch) = pending.batches.pop_front() else {
                break;
            };
            let end = End::not_written((&topic.name, batch.partition), Some(error));
            let open = batch.open;
            self.complete_tokens(
                open.id,
                open.tokens,
                open.charged,
                open.builder.count() as u64,
                &end,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Producer, Record};
    use super::*;
    use crate::client::waker::Waker;
    use crate::clock::Clock;
    use crate::config::ProducerConfig;
    use crate::error::ErrorCode;

    #[test]
    fn batches_of_unknown_topics_grow_only_where_there_is_room() {
        let limit = 65_536;
        let config = ProducerConfig::from_pairs([
            ("bootstrap.servers", "localhost:1"),
            ("buffer.memory", "65536"),
            ("batch.size", "60000"),
        ])
        .unwrap();
        let (producer, _) = Producer::parts(config, Clock::System, Waker::default());
        let value = [7; 1000];
        let (mut taken, mut refused) = (0, 0);
        // Nobody asks what partitions there are: all of it waits.
        for i in 0..200 {
            let record = Record {
                topic: ["a", "b", "c"][i % 3],
                partition: None,
                key: None,
                value: Some(&value),
                headers: &[],
                timestamp: None,
                token: 1,
            };
            match producer.send(&record, Wait::UpTo(Duration::ZERO)) {
                Ok(()) => taken += 1,
                Err(e) => {
                    assert_eq!(e.code(), ErrorCode::AGAIN, "{e}");
                    refused += 1;
                }
            }
            let held = producer.counts().buffered_bytes;
            assert!(
                held <= limit,
                "{held} bytes are held after {taken} of {} records",
                i + 1
            );
        }
        assert!(taken > 20 && refused > 20, "{taken} taken, {refused} not");
    }
}
