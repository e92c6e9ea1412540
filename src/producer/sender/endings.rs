//! Ends without an answer: a delivery time that is over, a leader that was never reached, a close.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::super::completion::Outcome;
use super::super::partition::{Batch, Partition, PartitionQueue, Place};
use super::topics::describe_missing;
use super::{Sender, Tag};
use crate::client::at_exit;
use crate::client::engine::Role;
use crate::cluster::core::Core;
use crate::cluster::metadata::TopicState;
use crate::cluster::nodes::Node;
use crate::error::{Error, ErrorCode};

impl Sender {
    /// Ends batches whose delivery time is over.
    pub(super) fn expire(&mut self, core: &Core<Tag>, now: Instant, slot: usize) {
        let Some(part) = self.parts.get_mut(slot) else {
            return;
        };
        let limit = part.partition.settings().delivery_timeout;
        if part.expiry.is_none_or(|at| at > now) {
            return;
        }
        part.expiry = None;
        let leader = part.queued_at.or_else(|| leader_of(core, &part.partition));
        let why = leader.and_then(|l| core.last_error(Node::Id(l)));
        let missing = match core.topics.get(part.partition.topic()) {
            Some(TopicState::Missing { code, since }) => {
                let since = now.saturating_duration_since(*since);
                Some(describe_missing(part.partition.topic(), *code, since, core))
            }
            _ => None,
        };
        let mut over: Vec<Box<Batch>> = Vec::new();
        while part.again.first().is_some_and(|b| now >= b.created + limit) {
            over.extend(part.again.pop());
        }
        if part.again.is_empty() {
            let mut queue = part.partition.lock();
            let open_is_over =
                |q: &PartitionQueue| q.open.as_ref().is_some_and(|o| now >= o.created + limit);
            if open_is_over(&queue) {
                drop(queue);
                self.shared.close_to_give_up(&part.partition);
                queue = part.partition.lock();
            }
            while let Some(batch) = queue.pop_ready() {
                if now < batch.created + limit {
                    queue.sealed.push_front(Place::Ready(batch));
                    break;
                }
                over.push(batch);
            }
        }
        for batch in over {
            let Some(part) = self.parts.get(slot) else {
                return;
            };
            let cause = match &missing {
                Some(missing) => Some(missing),
                None => batch.last_error.as_ref().or(why.as_ref()),
            };
            let cause = cause.map_or_else(
                || "the broker could not be reached in time".into(),
                |e| e.message().to_owned(),
            );
            let text = format!(
                "{} records for {}-{} were not delivered within delivery.timeout.ms ({limit:?}), {} attempts: {cause}",
                batch.sealed.count(),
                part.partition.topic(),
                part.partition.index,
                batch.attempts
            );
            self.give_up(
                slot,
                batch,
                Outcome::NotWritten,
                &Error::new(ErrorCode::TIMED_OUT, text),
            );
        }
    }

    /// A leader that was never reached: its batches fail with the reason.
    pub(super) fn fail_queue(&mut self, leader: i32, error: &Error) {
        for slot in self.queues.remove(&leader).unwrap_or_default() {
            let Some(part) = self.parts.get_mut(slot) else {
                continue;
            };
            part.queued_at = None;
            self.shared.close_to_give_up(&part.partition);
            let mut over: Vec<Box<Batch>> = part.again.drain().collect();
            let mut queue = part.partition.lock();
            over.extend(std::iter::from_fn(|| queue.pop_ready()));
            drop(queue);
            for batch in over {
                self.give_up(slot, batch, Outcome::NotWritten, error);
            }
        }
    }

    /// Carries out the purges that were asked for.
    pub(super) fn check_purges(&mut self, core: &mut Core<Tag>, now: Instant) {
        let asked = self.shared.purges.take();
        if asked.is_empty() {
            return;
        }
        // A topic that was new when the purge was asked for is in the news by now.
        self.take_news(core, now);
        let queued = asked.iter().any(|(what, _)| what.queued());
        let in_flight = asked.iter().any(|(what, _)| what.in_flight());
        for topic in queued.then_some(&self.unresolved).into_iter().flatten() {
            self.shared.fail_pending(
                &mut topic.pending(),
                topic,
                &purged("before they were sent"),
                |_| true,
            );
        }
        for slot in 0..self.parts.len() {
            let part = &mut self.parts[slot];
            let mut sent = Vec::new();
            if in_flight {
                sent.extend(part.inflight.drain());
            }
            let mut unsent = Vec::new();
            if queued {
                self.shared.close_to_give_up(&part.partition);
                unsent.extend(part.again.drain());
                let mut queue = part.partition.lock();
                unsent.extend(std::iter::from_fn(|| queue.pop_ready()));
            }
            let any = !sent.is_empty() || !unsent.is_empty();
            for mut batch in sent {
                batch.unanswered = true;
                let error = purged("while they were on their way");
                self.give_up(slot, batch, Outcome::NotWritten, &error);
            }
            for batch in unsent {
                let error = purged("before they were sent, or sent again");
                self.give_up(slot, batch, Outcome::NotWritten, &error);
            }
            if any {
                self.look_at(core, now, slot);
            }
        }
        asked.iter().for_each(|(_, reply)| reply.give(Ok(())));
    }

    /// Gives everything up, as `close` asks.
    pub(super) fn purge(&mut self, core: &mut Core<Tag>, now: Instant) {
        // A topic that was new when the mark to purge was set is in the news by now.
        self.take_news(core, now);
        let error = Error::new(
            ErrorCode::PURGED,
            "the producer was closed before the records were sent",
        );
        if self.shared.abandoned.load(Ordering::Acquire) {
            at_exit::note_given_up(self.unsaid().records);
        }
        for topic in &self.unresolved {
            let mut pending = topic.pending();
            pending.refused = Some(error.clone());
            topic.tell();
            self.shared
                .fail_pending(&mut pending, topic, &error, |_| true);
        }
        let mut sealing = 0;
        for slot in 0..self.parts.len() {
            let part = &mut self.parts[slot];
            part.partition.lock().closed = true;
            self.shared.close_to_give_up(&part.partition);
            let mut over: Vec<Box<Batch>> = part.inflight.drain().collect();
            over.iter_mut().for_each(|batch| batch.unanswered = true);
            over.extend(part.again.drain());
            let mut queue = part.partition.lock();
            over.extend(std::iter::from_fn(|| queue.pop_ready()));
            sealing += queue.sealed.len();
            drop(queue);
            for batch in over {
                self.give_up(slot, batch, Outcome::NotWritten, &error);
            }
        }
        // A batch that a caller's thread is sealing this moment is announced, and given up, when it is ready.
        if sealing == 0 {
            self.finished = true;
            self.shared.end();
        }
    }

    /// How many records were taken and have not ended.
    pub(super) fn unacknowledged(&self) -> u64 {
        let pending = self.unresolved.iter().map(|topic| {
            let pending = topic.pending();
            let counts = pending.batches.iter().map(|b| b.open.builder.count());
            counts.map(i64::from).sum::<i64>()
        });
        let parts = self.parts.iter().map(|part| {
            let queue = part.partition.lock();
            let sealed = queue.sealed.iter().filter_map(|place| match place {
                Place::Ready(batch) => Some(batch.sealed.count()),
                Place::Sealing(_) => None,
            });
            let open = queue.open.iter().map(|open| open.builder.count());
            let sent = part.inflight.iter().chain(part.again.iter());
            let counts = sealed.chain(open).chain(sent.map(|b| b.sealed.count()));
            counts.map(i64::from).sum::<i64>()
        });
        pending.chain(parts).sum::<i64>().unsigned_abs()
    }
}

fn purged(when: &str) -> Error {
    Error::new(
        ErrorCode::PURGED,
        format!("the records were given up by purge {when}"),
    )
}

fn leader_of(core: &Core<Tag>, partition: &Partition) -> Option<i32> {
    let meta = core.topics.known(partition.topic())?;
    meta.partitions
        .get(partition.index as usize)
        .map(|p| p.leader)
        .filter(|l| *l >= 0)
}
