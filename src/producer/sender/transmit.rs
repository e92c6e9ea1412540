//! Sending: which batches a request carries, and writing it.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::completion::Outcome;
use super::super::partition::{Batch, ORDINAL_STEP, Place};
use super::super::sequence::{ProducerId, advance};
use super::transaction::may_send;
use super::{REQUEST_OVERHEAD, Request, Sender, Tag};
use crate::cluster::core::{Core, Purpose};
use crate::cluster::nodes::Node;
use crate::net::conn::ConnId;
use crate::net::rpc::Call;
use crate::protocol::produce::{self, PartitionBatch, TopicBatches};
use crate::protocol::record::{Attempt, HEADER_LEN};

impl Sender {
    /// Sends what can be sent to every broker that has something waiting.
    pub(super) fn drain(&mut self, core: &mut Core<Tag>, now: Instant) {
        if !self.identity.may_send() || self.settling.until(now).is_some() {
            return;
        }
        let leaders: Vec<i32> = self
            .queues
            .iter()
            .filter(|(_, q)| !q.is_empty())
            .map(|(l, _)| *l)
            .collect();
        for leader in leaders {
            let node = Node::Id(leader);
            let mut sent = false;
            while self.queues.get(&leader).is_some_and(|q| !q.is_empty()) {
                let Some(conn) = core.conn(now, node, Purpose::Produce) else {
                    if let Some(error) = core.hopeless(now, node) {
                        self.fail_queue(leader, &error);
                    }
                    break;
                };
                if planted!("send-in-lockstep") && self.requests.values().any(|r| r.node != node) {
                    break;
                }
                if core.inflight(conn) >= self.shared.config.max_in_flight
                    || !self.send_one(core, now, leader, conn)
                {
                    break;
                }
                sent = true;
            }
            self.note_stalled(core, now, leader, sent);
            if !sent {
                self.check_leader(core, now, leader);
            }
        }
        self.unreachable
            .retain(|leader| !core.is_healthy(Node::Id(*leader)));
    }

    /// Takes the next batch of a partition, closing its open one if that is due.
    pub(super) fn next_batch(
        &mut self,
        now: Instant,
        slot: usize,
        room: usize,
    ) -> Option<Box<Batch>> {
        let max_in_flight = self.shared.config.max_in_flight;
        let part = self.parts.get_mut(slot)?;
        if part.not_before.is_some_and(|at| at > now)
            || part.inflight.len() >= part.inflight_limit(self.identity, max_in_flight)
        {
            return None;
        }
        if part.leaving && !self.begin_epoch(slot) {
            return None;
        }
        let part = self.parts.get_mut(slot)?;
        // Another partition may have used up the last epoch a moment ago: then one without an id waits for the new one,
        // or its records would go out without numbers.
        if part.id.is_none() && part.partition.settings().idempotent && !self.identity.may_send() {
            return None;
        }
        let begun = part.again.first().is_some_and(|b| b.sequence.is_some());
        if !may_send(&self.shared, &self.transaction, part, begun) {
            return None;
        }
        if let Some(batch) = part.again.first() {
            return if batch.sealed.wire_len() <= room {
                part.again.pop()
            } else {
                None
            };
        }
        let flush_to = self.shared.flush_to.load(Ordering::Acquire);
        let mut queue = part.partition.lock();
        let due = queue.sealed.is_empty() && queue.open_is_due(now, flush_to);
        let mut batch = if due {
            let taken = self.shared.take_due(&part.partition, queue);
            part.topic.leave_sticky(now, part.partition.index);
            taken?
        } else {
            let ready = queue.pop_ready()?;
            drop(queue);
            ready
        };
        if batch.sealed.wire_len() > room {
            let mut queue = part.partition.lock();
            queue.sealed.push_front(Place::Ready(batch));
            return None;
        }
        batch.ordinal = part.next_ordinal;
        part.next_ordinal += ORDINAL_STEP;
        Some(batch)
    }

    /// Sends one request to a leader: a batch of each waiting partition, as far as it has room. False if there was
    /// nothing to send.
    pub(super) fn send_one(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        leader: i32,
        conn: ConnId,
    ) -> bool {
        let version = match core.version(conn, produce::KEY, produce::VERSIONS) {
            Ok(version) => version,
            Err(e) => {
                self.fail_queue(leader, &e);
                return false;
            }
        };
        let max = self.shared.config.max_request_size;
        let mut room = max.saturating_sub(REQUEST_OVERHEAD);
        let mut taken: Vec<(usize, Box<Batch>)> = Vec::new();
        // Batches whose topics differ in what the request says of itself go in requests of their own.
        let mut group = None;
        let mut back = Vec::new();
        let waiting = self.queues.get(&leader).map_or(0, VecDeque::len);
        for _ in 0..waiting {
            let Some(slot) = self.queues.get_mut(&leader).and_then(VecDeque::pop_front) else {
                break;
            };
            let own = self
                .parts
                .get(slot)
                .map(|p| p.partition.settings().request_group());
            if group.is_some() && own != group {
                back.push(slot);
                continue;
            }
            // A single batch passes though it is as large as a request may be.
            let limit = if taken.is_empty() { usize::MAX } else { room };
            match self.next_batch(now, slot, limit) {
                Some(batch) => {
                    let node = Node::Id(leader);
                    let Some(batch) = self.check_codec(core, node, version, slot, batch) else {
                        back.push(slot);
                        continue;
                    };
                    room = room.saturating_sub(batch.sealed.wire_len() + 64);
                    taken.push((slot, batch));
                    group = own;
                    back.push(slot);
                }
                None => self.rest(slot, now, &mut back),
            }
            if room < HEADER_LEN {
                break;
            }
        }
        // Who has more to send stands in line again, behind the others.
        let flush_to = self.shared.flush_to.load(Ordering::Acquire);
        for slot in back {
            let more = self
                .parts
                .get(slot)
                .is_some_and(|part| part.has_more(now, flush_to));
            match self.parts.get_mut(slot) {
                Some(_) if more => self.queues.entry(leader).or_default().push_back(slot),
                Some(part) => part.queued_at = None,
                None => {}
            }
        }
        let Some(group) = group else {
            return false;
        };
        self.transmit(core, now, leader, conn, version, group, taken);
        true
    }

    /// A partition that gave no batch: it stays in line unless an event will put it there again.
    pub(super) fn rest(&mut self, slot: usize, now: Instant, back: &mut Vec<usize>) {
        let max_in_flight = self.shared.config.max_in_flight;
        let Some(part) = self.parts.get_mut(slot) else {
            return;
        };
        match part.not_before.filter(|at| *at > now) {
            Some(at) => {
                part.queued_at = None;
                self.timers.push(Reverse((at, slot)));
            }
            // Its coordinator is told of it first; the answer brings it back. Or it is given up.
            None if self.transaction.is_some_and(|t| t.holds_back(part)) => {
                part.queued_at = None;
            }
            // In flight to the full: an answer brings it back. Being sealed: its thread announces it.
            None if part.inflight.len() >= part.inflight_limit(self.identity, max_in_flight) => {
                part.queued_at = None;
            }
            None if part.again.is_empty()
                && matches!(
                    part.partition.lock().sealed.front(),
                    Some(Place::Sealing(_))
                ) =>
            {
                part.queued_at = None;
            }
            None => back.push(slot),
        }
    }

    #[allow(clippy::too_many_arguments)]
    pub(super) fn transmit(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        leader: i32,
        conn: ConnId,
        version: i16,
        (acks, request_timeout): (i16, Duration),
        taken: Vec<(usize, Box<Batch>)>,
    ) {
        let shared = self.shared.clone();
        let config = &shared.config;
        let identity = self.identity.current();
        let request = self.next_request;
        self.next_request += 1;
        self.settling.sent(now, request);
        let mut topics: Vec<(Arc<str>, TopicBatches<'_>)> = Vec::new();
        let mut slots = Vec::with_capacity(taken.len());
        let mut unacknowledged = Vec::new();
        for (slot, mut batch) in taken {
            self.note_sent(now, slot, &batch);
            let Some(part) = self.parts.get_mut(slot) else {
                continue;
            };
            if part.id.is_none() && part.partition.settings().idempotent {
                part.id = identity;
            }
            let identity = part.id;
            if identity.is_some() && batch.sequence.is_none() {
                batch.sequence = Some(part.next_sequence);
                let by = if planted!("sequence-by-batch") {
                    1
                } else {
                    batch.sealed.count()
                };
                part.next_sequence = advance(part.next_sequence, by);
            }
            let attempt = match (identity, batch.sequence) {
                (Some(ProducerId { id, epoch }), Some(base_sequence)) => Attempt {
                    producer_id: id,
                    producer_epoch: epoch,
                    base_sequence,
                    transactional: self.transaction.is_some(),
                },
                _ => Attempt::PLAIN,
            };
            if batch.attempts > 0 {
                shared.counters.retries.fetch_add(1, Ordering::Relaxed);
            }
            batch.attempts += 1;
            shared
                .counters
                .bytes
                .fetch_add(batch.sealed.wire_len() as u64, Ordering::Relaxed);
            let wire = PartitionBatch {
                partition: part.partition.index,
                header: batch.sealed.header(&attempt),
                body: batch.sealed.body().clone(),
            };
            let name = part.partition.topic().clone();
            match topics.iter_mut().find(|(n, _)| *n == name) {
                Some((_, t)) => t.batches.push(wire),
                None => {
                    let id = core.topics.known(&name).map(|t| t.id).unwrap_or_default();
                    topics.push((
                        name,
                        TopicBatches {
                            topic: "",
                            id,
                            batches: vec![wire],
                        },
                    ));
                }
            }
            // Its time may end while it waits to be sent again.
            if part.expiry.is_none() {
                let expiry = batch.created + part.partition.settings().delivery_timeout;
                part.expiry = Some(expiry);
                self.timers.push(Reverse((expiry, slot)));
            }
            if acks == 0 {
                unacknowledged.push((slot, batch));
            } else {
                batch.request = request;
                part.inflight.push(batch);
                slots.push(slot);
            }
        }
        let names = topics
            .iter()
            .map(|(name, t)| (t.id, name.clone()))
            .collect();
        let topics: Vec<TopicBatches<'_>> = topics
            .iter_mut()
            .map(|(name, t)| TopicBatches {
                topic: name,
                id: t.id,
                batches: std::mem::take(&mut t.batches),
            })
            .collect();
        // Leaders take the partition into the transaction by themselves from version 12 on (KIP-890).
        let version = match &self.transaction {
            Some(view) if !view.v2 => version.min(produce::IMPLICIT_TRANSACTION_VERSION - 1),
            _ => version,
        };
        // Ids are only for topics that have one.
        let version = if topics.iter().any(|t| t.id == [0; 16]) {
            version.min(produce::TOPIC_ID_VERSION - 1)
        } else {
            version
        };
        let mut call = match Call::produce(&config.common.client_id, version) {
            Ok(call) => call,
            Err(e) => return self.fail_request(core, now, request, slots, &e),
        };
        let timeout_ms = i32::try_from(request_timeout.as_millis()).unwrap_or(i32::MAX);
        let transactional_id = config.transactional_id.as_deref();
        produce::write_request(
            &mut call.frame,
            version,
            transactional_id,
            acks,
            timeout_ms,
            topics,
        );
        call.frame.finish();
        shared.counters.requests.fetch_add(1, Ordering::Relaxed);
        self.requests.insert(
            request,
            Request {
                node: Node::Id(leader),
                version,
                slots,
                names,
            },
        );
        let answered = acks != 0;
        core.send(
            now,
            conn,
            call,
            request_timeout,
            Tag::Produce(request),
            answered,
        );
        if !answered {
            self.requests.remove(&request);
            for (slot, batch) in unacknowledged {
                self.note_ended(Some(now), slot, &batch, Outcome::Written, None);
                let Some(part) = self.parts.get(slot) else {
                    continue;
                };
                shared.complete(&part.partition, batch, Outcome::Written, -1, -1, None);
            }
        }
    }
}
