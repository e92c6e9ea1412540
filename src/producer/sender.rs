//! The I/O side of a producer, as plain data: which batches go to which broker, in what order, and what their
//! answers mean.
//!
//! Invariants: a partition's batches are sent in the order they were closed. A batch that must be sent again goes
//! before all that were closed after it. A sequence range, once sent, is only ever used for the same records; where
//! that can't be kept (a batch with an unknown end was given up) the epoch is raised before anything else is sent.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::{InitProducerIdRequest, ProducerId as WireProducerId};

use super::completion::Outcome;
use super::partition::{Batch, ORDINAL_STEP, Partition, Place};
use super::sequence::{Identity, ProducerId, advance};
use super::shared::{News, Shared, lock};
use super::topic::Topic;
use crate::cluster::core::{Core, Event, Purpose};
use crate::cluster::engine::Role;
use crate::cluster::metadata::TopicState;
use crate::cluster::nodes::{Backoff, Node};
use crate::error::{Error, ErrorCode};
use crate::net::conn::ConnId;
use crate::net::rpc::{self, Call};
use crate::protocol::produce::{self, PartitionBatch, PartitionResult, TopicBatches};
use crate::protocol::record::{Attempt, HEADER_LEN};

/// Batches of one partition on their way at once: what brokers remember of an idempotent producer.
const MAX_INFLIGHT_BATCHES: usize = 5;
/// Room for a request's headers within `max.request.size`.
const REQUEST_OVERHEAD: usize = 512;

/// What a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    Produce(u64),
    InitProducerId,
}

/// A batch sent and not answered.
struct Sent {
    request: u64,
    batch: Box<Batch>,
}

/// The I/O side of one partition.
struct Part {
    partition: Arc<Partition>,
    inflight: VecDeque<Sent>,
    /// To be sent again, by ordinal; before anything new.
    again: VecDeque<Box<Batch>>,
    /// Nothing is sent before.
    not_before: Option<Instant>,
    next_ordinal: u64,
    next_sequence: i32,
    /// The broker in whose queue it stands.
    queued_at: Option<i32>,
    /// When the oldest of its batches is given up, if a timer is set for it.
    expiry: Option<Instant>,
}

impl Part {
    /// When the oldest batch that was taken up to be sent was begun.
    fn oldest(&self) -> Option<Instant> {
        let sent = self.inflight.front().map(|s| s.batch.created);
        let again = self.again.front().map(|b| b.created);
        [sent, again].into_iter().flatten().min()
    }

    /// True if there is something that could be sent now.
    fn has_more(&self, now: Instant, flush_to: u64) -> bool {
        if !self.again.is_empty() {
            return true;
        }
        let queue = self.partition.lock();
        !queue.sealed.is_empty() || queue.open_is_due(now, flush_to)
    }
}

struct Request {
    node: Node,
    version: i16,
    slots: Vec<usize>,
}

pub(crate) struct Sender {
    shared: Arc<Shared>,
    parts: Vec<Part>,
    /// Topics whose partitions are not known.
    unresolved: Vec<Arc<Topic>>,
    /// Topics whose partitions are known, for partitions that are added.
    resolved: Vec<Arc<Topic>>,
    /// Slots with something to send, by the broker it goes to; each slot in one queue at most.
    queues: BTreeMap<i32, VecDeque<usize>>,
    /// Slots with something to send but no leader.
    leaderless: BTreeSet<usize>,
    /// When open batches are due, when waits after a failure end, when deliveries expire.
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    requests: BTreeMap<u64, Request>,
    next_request: u64,
    identity: Identity,
    id_failures: u32,
    /// The flush mark that has been acted on.
    flushed_to: u64,
    finished: bool,
}

impl Sender {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let identity = Identity::new(shared.config.enable_idempotence);
        Sender {
            shared,
            parts: Vec::new(),
            unresolved: Vec::new(),
            resolved: Vec::new(),
            queues: BTreeMap::new(),
            leaderless: BTreeSet::new(),
            timers: BinaryHeap::new(),
            requests: BTreeMap::new(),
            next_request: 1,
            identity,
            id_failures: 0,
            flushed_to: 0,
            finished: false,
        }
    }

    fn backoff(&self) -> Backoff {
        let common = &self.shared.config.common;
        Backoff {
            first: common.retry_backoff,
            last: common.retry_backoff_max,
        }
    }

    /// Takes what callers left: new topics, partitions with something new. True if there was any.
    fn take_news(&mut self, core: &mut Core<Tag>, now: Instant) -> bool {
        let News { topics, partitions } = std::mem::take(&mut *lock(&self.shared.news));
        let any = !topics.is_empty() || !partitions.is_empty();
        for topic in topics {
            core.want_topic(&topic.name);
            self.unresolved.push(topic);
        }
        for partition in partitions {
            partition.listed.store(false, Ordering::Release);
            self.look_at(core, now, partition.slot);
        }
        any
    }

    /// Finds out whether a partition has something to send now, or when.
    fn look_at(&mut self, core: &mut Core<Tag>, now: Instant, slot: usize) {
        let flush_to = self.shared.flush_to.load(Ordering::Acquire);
        let Some(part) = self.parts.get_mut(slot) else {
            return;
        };
        let queue = part.partition.lock();
        let mut ready = !queue.sealed.is_empty() || !part.again.is_empty();
        let mut oldest = part.oldest();
        if let Some(open) = &queue.open {
            if queue.open_is_due(now, flush_to) {
                ready = true;
                oldest = oldest.or(Some(open.created));
            } else {
                self.timers.push(Reverse((open.due, slot)));
            }
        }
        drop(queue);
        if part.expiry.is_none() && (ready || oldest.is_some()) {
            let expiry = oldest.unwrap_or(now) + self.shared.config.delivery_timeout;
            part.expiry = Some(expiry);
            self.timers.push(Reverse((expiry, slot)));
        }
        if let Some(at) = part.not_before.filter(|at| *at > now) {
            self.timers.push(Reverse((at, slot)));
        } else if ready {
            self.enqueue(core, slot);
        }
    }

    /// Puts a partition into the queue of its leader.
    fn enqueue(&mut self, core: &mut Core<Tag>, slot: usize) {
        let Some(part) = self.parts.get_mut(slot) else {
            return;
        };
        let leader = core
            .topics
            .known(&part.partition.topic)
            .and_then(|t| t.partitions.get(part.partition.index as usize))
            .map(|p| p.leader)
            .filter(|l| *l >= 0);
        if part.queued_at == leader && leader.is_some() {
            return;
        }
        if let Some(old) = part.queued_at.take()
            && let Some(queue) = self.queues.get_mut(&old)
        {
            queue.retain(|s| *s != slot);
        }
        match leader {
            Some(leader) => {
                part.queued_at = Some(leader);
                self.queues.entry(leader).or_default().push_back(slot);
                self.leaderless.remove(&slot);
            }
            None => {
                self.leaderless.insert(slot);
                core.refresh_metadata();
            }
        }
    }

    fn on_metadata(&mut self, core: &mut Core<Tag>, now: Instant) {
        *lock(&self.shared.unreachable) = None;
        self.shared.is_unreachable.store(false, Ordering::Release);
        for topic in std::mem::take(&mut self.unresolved) {
            match core.topics.get(&topic.name) {
                Some(TopicState::Known(meta)) if !meta.partitions.is_empty() => {
                    let partitions = self.grow(&topic, meta.partitions.len());
                    topic.pending().refused = None;
                    self.shared.resolve_pending(&topic, partitions);
                    self.resolved.push(topic);
                }
                _ => self.unresolved.push(topic),
            }
        }
        let grown: Vec<(Arc<Topic>, usize)> = self
            .resolved
            .iter()
            .filter_map(|topic| {
                let n = core.topics.known(&topic.name)?.partitions.len();
                (n > topic.partitions().map_or(0, <[_]>::len)).then(|| (topic.clone(), n))
            })
            .collect();
        for (topic, n) in grown {
            let partitions = self.grow(&topic, n);
            topic.set_partitions(partitions);
        }
        // Leaders may have moved.
        let waiting: Vec<usize> = self
            .queues
            .values()
            .flatten()
            .copied()
            .chain(self.leaderless.iter().copied())
            .collect();
        for slot in waiting {
            self.enqueue(core, slot);
        }
        self.take_news(core, now);
    }

    /// The topic's partitions, lengthened to `n`.
    fn grow(&mut self, topic: &Topic, n: usize) -> Vec<Arc<Partition>> {
        let mut partitions = topic.partitions().map(<[_]>::to_vec).unwrap_or_default();
        for index in partitions.len()..n {
            let slot = self.parts.len();
            let partition = Arc::new(Partition::new(topic.name.clone(), index as i32, slot));
            self.parts.push(Part {
                partition: partition.clone(),
                inflight: VecDeque::new(),
                again: VecDeque::new(),
                not_before: None,
                next_ordinal: 0,
                next_sequence: 0,
                queued_at: None,
                expiry: None,
            });
            partitions.push(partition);
        }
        partitions
    }

    /// Gives up pending records of topics that the brokers have not known for too long.
    fn check_unresolved(&mut self, core: &Core<Tag>, now: Instant) {
        let limit = self.shared.config.max_block;
        for topic in &self.unresolved {
            let mut pending = topic.pending();
            let error = match core.topics.get(&topic.name) {
                Some(TopicState::Missing { code, since }) => {
                    let error = describe_missing(
                        &topic.name,
                        *code,
                        now.saturating_duration_since(*since),
                        core,
                    );
                    let hopeless = !code.is_retriable();
                    if hopeless || now >= *since + limit {
                        pending.refused = Some(error.clone());
                    }
                    if hopeless {
                        self.shared
                            .fail_pending(&mut pending, topic, &error, |_| true);
                        continue;
                    }
                    error
                }
                _ => {
                    if core.contacted() {
                        pending.refused = None;
                    }
                    let why = core
                        .describe_failures(now)
                        .map_or_else(String::new, |e| format!(": {}", e.message()));
                    Error::new(
                        ErrorCode::TIMED_OUT,
                        format!(
                            "no metadata of topic '{}' within max.block.ms ({limit:?}){why}",
                            topic.name
                        ),
                    )
                }
            };
            self.shared
                .fail_pending(&mut pending, topic, &error, |created| {
                    now >= created + limit
                });
        }
    }

    fn on_unreachable(&mut self, error: &Error) {
        *lock(&self.shared.unreachable) = Some(error.clone());
        self.shared.is_unreachable.store(true, Ordering::Release);
        for topic in &self.unresolved {
            let mut pending = topic.pending();
            self.shared
                .fail_pending(&mut pending, topic, error, |_| true);
        }
    }

    /// Acts on a new flush mark: open batches up to it are due.
    fn check_flush(&mut self, core: &mut Core<Tag>, now: Instant) {
        let mark = self.shared.flush_to.load(Ordering::Acquire);
        if mark > self.flushed_to {
            self.flushed_to = mark;
            for slot in 0..self.parts.len() {
                if self.parts[slot].partition.lock().open.is_some() {
                    self.look_at(core, now, slot);
                }
            }
        }
    }

    fn run_timers(&mut self, core: &mut Core<Tag>, now: Instant) {
        while let Some(Reverse((at, slot))) = self.timers.peek().copied() {
            if at > now {
                break;
            }
            self.timers.pop();
            self.expire(core, now, slot);
            self.look_at(core, now, slot);
        }
    }

    /// Ends batches whose delivery time is over.
    fn expire(&mut self, core: &Core<Tag>, now: Instant, slot: usize) {
        let limit = self.shared.config.delivery_timeout;
        let Some(part) = self.parts.get_mut(slot) else {
            return;
        };
        if part.expiry.is_none_or(|at| at > now) {
            return;
        }
        part.expiry = None;
        let leader = part.queued_at.or_else(|| leader_of(core, &part.partition));
        let why = leader.and_then(|l| core.last_error(Node::Id(l)));
        let mut over: Vec<Box<Batch>> = Vec::new();
        while part.again.front().is_some_and(|b| now >= b.created + limit) {
            over.extend(part.again.pop_front());
        }
        if part.again.is_empty() {
            let mut queue = part.partition.lock();
            if queue
                .open
                .as_ref()
                .is_some_and(|o| now >= o.created + limit)
                && let Some(open) = queue.close_open()
            {
                drop(queue);
                self.shared.seal_into(&part.partition, open);
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
        let mut abandoned = false;
        for batch in over {
            let cause = batch.last_error.clone().or_else(|| why.clone());
            let cause = cause.map_or_else(
                || "the broker could not be reached in time".into(),
                |e| e.message().to_owned(),
            );
            let error = Error::new(
                ErrorCode::TIMED_OUT,
                format!(
                    "{} records for {}-{} were not delivered within delivery.timeout.ms ({limit:?}), {} attempts: {cause}",
                    batch.sealed.count(),
                    part.partition.topic,
                    part.partition.index,
                    batch.attempts
                ),
            );
            abandoned |= batch.sequence.is_some();
            let outcome = if batch.unanswered {
                Outcome::PossiblyWritten
            } else {
                Outcome::NotWritten
            };
            self.shared.complete(
                (&part.partition.topic, part.partition.index),
                batch,
                outcome,
                -1,
                -1,
                Some(&error),
            );
        }
        if abandoned {
            self.identity.leave();
        }
    }

    /// Sends what can be sent to every broker that has something waiting.
    fn drain(&mut self, core: &mut Core<Tag>, now: Instant) {
        if !self.identity.may_send() {
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
            while self.queues.get(&leader).is_some_and(|q| !q.is_empty()) {
                let Some(conn) = core.conn(now, node, Purpose::Produce) else {
                    if let Some(error) = core.hopeless(now, node) {
                        self.fail_queue(leader, &error);
                    }
                    break;
                };
                if core.inflight(conn) >= self.shared.config.max_in_flight
                    || !self.send_one(core, now, leader, conn)
                {
                    break;
                }
            }
        }
    }

    /// A leader that was never reached: its batches fail with the reason.
    fn fail_queue(&mut self, leader: i32, error: &Error) {
        for slot in self.queues.remove(&leader).unwrap_or_default() {
            let Some(part) = self.parts.get_mut(slot) else {
                continue;
            };
            part.queued_at = None;
            let mut queue = part.partition.lock();
            if let Some(open) = queue.close_open() {
                drop(queue);
                self.shared.seal_into(&part.partition, open);
                queue = part.partition.lock();
            }
            let mut over: Vec<Box<Batch>> = part.again.drain(..).collect();
            over.extend(std::iter::from_fn(|| queue.pop_ready()));
            drop(queue);
            for batch in over {
                let outcome = if batch.unanswered {
                    Outcome::PossiblyWritten
                } else {
                    Outcome::NotWritten
                };
                self.shared.complete(
                    (&part.partition.topic, part.partition.index),
                    batch,
                    outcome,
                    -1,
                    -1,
                    Some(error),
                );
            }
        }
    }

    /// Takes the next batch of a partition, closing its open one if that is due.
    fn next_batch(&mut self, now: Instant, slot: usize, room: usize) -> Option<Box<Batch>> {
        let part = self.parts.get_mut(slot)?;
        if part.not_before.is_some_and(|at| at > now) || part.inflight.len() >= MAX_INFLIGHT_BATCHES
        {
            return None;
        }
        if let Some(batch) = part.again.front() {
            return if batch.sealed.wire_len() <= room {
                part.again.pop_front()
            } else {
                None
            };
        }
        let flush_to = self.shared.flush_to.load(Ordering::Acquire);
        let mut queue = part.partition.lock();
        if queue.sealed.is_empty()
            && queue.open_is_due(now, flush_to)
            && let Some(open) = queue.close_open()
        {
            drop(queue);
            self.shared.seal_into(&part.partition, open);
            queue = part.partition.lock();
        }
        let mut batch = queue.pop_ready()?;
        if batch.sealed.wire_len() > room {
            queue.sealed.push_front(Place::Ready(batch));
            return None;
        }
        drop(queue);
        batch.ordinal = part.next_ordinal;
        part.next_ordinal += ORDINAL_STEP;
        Some(batch)
    }

    /// Sends one request to a leader: a batch of each waiting partition, as far as it has room. False if there was
    /// nothing to send.
    fn send_one(&mut self, core: &mut Core<Tag>, now: Instant, leader: i32, conn: ConnId) -> bool {
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
        let mut back = Vec::new();
        let waiting = self.queues.get(&leader).map_or(0, VecDeque::len);
        for _ in 0..waiting {
            let Some(slot) = self.queues.get_mut(&leader).and_then(VecDeque::pop_front) else {
                break;
            };
            // A single batch passes though it is as large as a request may be.
            let limit = if taken.is_empty() { usize::MAX } else { room };
            match self.next_batch(now, slot, limit) {
                Some(batch) => {
                    room = room.saturating_sub(batch.sealed.wire_len() + 64);
                    taken.push((slot, batch));
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
        if taken.is_empty() {
            return false;
        }
        self.transmit(core, now, leader, conn, version, taken);
        true
    }

    /// A partition that gave no batch: it stays in line unless an event will put it there again.
    fn rest(&mut self, slot: usize, now: Instant, back: &mut Vec<usize>) {
        let Some(part) = self.parts.get_mut(slot) else {
            return;
        };
        match part.not_before.filter(|at| *at > now) {
            Some(at) => {
                part.queued_at = None;
                self.timers.push(Reverse((at, slot)));
            }
            // In flight to the full: an answer brings it back. Being sealed: its thread announces it.
            None if part.inflight.len() >= MAX_INFLIGHT_BATCHES => part.queued_at = None,
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

    fn transmit(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        leader: i32,
        conn: ConnId,
        version: i16,
        taken: Vec<(usize, Box<Batch>)>,
    ) {
        let shared = self.shared.clone();
        let config = &shared.config;
        let identity = self.identity.current();
        let request = self.next_request;
        self.next_request += 1;
        let acks = config.acks.wire();
        let mut topics: Vec<(Arc<str>, TopicBatches<'_>)> = Vec::new();
        let mut slots = Vec::with_capacity(taken.len());
        let mut unacknowledged = Vec::new();
        for (slot, mut batch) in taken {
            let Some(part) = self.parts.get_mut(slot) else {
                continue;
            };
            if identity.is_some() && batch.sequence.is_none() {
                batch.sequence = Some(part.next_sequence);
                part.next_sequence = advance(part.next_sequence, batch.sealed.count());
            }
            let attempt = match (identity, batch.sequence) {
                (Some(ProducerId { id, epoch }), Some(base_sequence)) => Attempt {
                    producer_id: id,
                    producer_epoch: epoch,
                    base_sequence,
                    transactional: false,
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
            let name = part.partition.topic.clone();
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
                let expiry = batch.created + config.delivery_timeout;
                part.expiry = Some(expiry);
                self.timers.push(Reverse((expiry, slot)));
            }
            if acks == 0 {
                unacknowledged.push((slot, batch));
            } else {
                part.inflight.push_back(Sent { request, batch });
                slots.push(slot);
            }
        }
        let topics: Vec<TopicBatches<'_>> = topics
            .iter_mut()
            .map(|(name, t)| TopicBatches {
                topic: name,
                id: t.id,
                batches: std::mem::take(&mut t.batches),
            })
            .collect();
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
        let timeout_ms =
            i32::try_from(config.common.request_timeout.as_millis()).unwrap_or(i32::MAX);
        produce::write_request(&mut call.frame, version, None, acks, timeout_ms, topics);
        call.frame.finish();
        shared.counters.requests.fetch_add(1, Ordering::Relaxed);
        self.requests.insert(
            request,
            Request {
                node: Node::Id(leader),
                version,
                slots,
            },
        );
        let answered = acks != 0;
        core.send(
            now,
            conn,
            call,
            config.common.request_timeout,
            Tag::Produce(request),
            answered,
        );
        if !answered {
            self.requests.remove(&request);
            for (slot, batch) in unacknowledged {
                let Some(part) = self.parts.get(slot) else {
                    continue;
                };
                shared.complete(
                    (&part.partition.topic, part.partition.index),
                    batch,
                    Outcome::Written,
                    -1,
                    -1,
                    None,
                );
            }
        }
    }

    fn fail_request(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        request: u64,
        slots: Vec<usize>,
        error: &Error,
    ) {
        for slot in slots {
            if let Some(batch) = self.take_sent(slot, request) {
                self.give_up(slot, batch, Outcome::NotWritten, error);
            }
            self.look_at(core, now, slot);
        }
    }

    fn take_sent(&mut self, slot: usize, request: u64) -> Option<Box<Batch>> {
        let part = self.parts.get_mut(slot)?;
        let at = part.inflight.iter().position(|s| s.request == request)?;
        part.inflight.remove(at).map(|s| s.batch)
    }

    fn give_up(&mut self, slot: usize, batch: Box<Batch>, outcome: Outcome, error: &Error) {
        let Some(part) = self.parts.get(slot) else {
            return;
        };
        // Its sequences were used, or skipped: those behind it would be out of order for ever.
        if batch.sequence.is_some() {
            self.identity.leave();
        }
        let outcome = if batch.unanswered && outcome == Outcome::NotWritten {
            Outcome::PossiblyWritten
        } else {
            outcome
        };
        self.shared.complete(
            (&part.partition.topic, part.partition.index),
            batch,
            outcome,
            -1,
            -1,
            Some(error),
        );
    }

    /// Puts a batch back in line, in its old place.
    fn send_again(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        slot: usize,
        mut batch: Box<Batch>,
        error: &Error,
        wait: bool,
    ) {
        let limit = self.shared.config.delivery_timeout;
        if batch.attempts > self.shared.config.retries || now >= batch.created + limit {
            let text = format!(
                "{} (given up after {} attempts in {:.1?}; delivery.timeout.ms is {limit:?}, retries {})",
                error.message(),
                batch.attempts,
                now.saturating_duration_since(batch.created),
                self.shared.config.retries
            );
            return self.give_up(
                slot,
                batch,
                Outcome::NotWritten,
                &Error::new(error.code(), text),
            );
        }
        batch.last_error = Some(error.clone());
        let backoff = self.backoff().after(batch.attempts, &mut core.rng);
        let Some(part) = self.parts.get_mut(slot) else {
            return;
        };
        if wait {
            part.not_before = Some(now + backoff);
        }
        let at = part
            .again
            .iter()
            .position(|b| b.ordinal > batch.ordinal)
            .unwrap_or(part.again.len());
        part.again.insert(at, batch);
    }

    fn on_produced(&mut self, core: &mut Core<Tag>, now: Instant, number: u64, body: Bytes) {
        let Some(request) = self.requests.remove(&number) else {
            return;
        };
        let header = i16::from(request.version >= 9);
        let parsed = rpc::strip_header(header, body)
            .and_then(|body| produce::read_response(request.version, &body));
        let response = match parsed {
            Ok(response) => response,
            Err(e) => return self.unanswered(core, now, number, request, &e),
        };
        core.throttle(now, request.node, Purpose::Produce, response.throttle_ms);
        let mut slots = request.slots;
        for topic in &response.topics {
            let name: Arc<str> = if request.version >= produce::TOPIC_ID_VERSION {
                match core.topics.name_of(&topic.id) {
                    Some(name) => name.clone(),
                    None => continue,
                }
            } else {
                Arc::from(topic.topic.as_str())
            };
            for result in &topic.partitions {
                let found = slots.iter().position(|s| {
                    self.parts.get(*s).is_some_and(|p| {
                        p.partition.index == result.partition && p.partition.topic == name
                    })
                });
                let Some(slot) = found.map(|i| slots.swap_remove(i)) else {
                    continue;
                };
                if let Some(leader) = result.current_leader {
                    core.leader_hint(&name, result.partition, leader, &response.endpoints);
                }
                if let Some(batch) = self.take_sent(slot, number) {
                    self.on_result(core, now, slot, batch, request.node, result);
                }
                self.look_at(core, now, slot);
            }
        }
        if !slots.is_empty() {
            let e = Error::protocol(format!(
                "{} did not answer for every partition of a Produce request",
                core.address(request.node)
            ));
            self.unanswered(core, now, number, Request { slots, ..request }, &e);
        }
    }

    /// A request that was sent and got no answer, or none to be understood: its batches may have been written.
    fn unanswered(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        number: u64,
        request: Request,
        error: &Error,
    ) {
        core.refresh_metadata();
        for slot in request.slots {
            if let Some(mut batch) = self.take_sent(slot, number) {
                batch.unanswered = true;
                let e = error.context(format_args!("sending to {}", core.address(request.node)));
                self.send_again(core, now, slot, batch, &e, true);
            }
            self.look_at(core, now, slot);
        }
    }

    fn on_result(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        slot: usize,
        mut batch: Box<Batch>,
        node: Node,
        result: &PartitionResult,
    ) {
        let Some(part) = self.parts.get_mut(slot) else {
            return;
        };
        let place = format!("{}-{}", part.partition.topic, part.partition.index);
        let code = ErrorCode(i32::from(result.error_code));
        let told = |advice: &str| {
            let words = result
                .error_message
                .as_deref()
                .map_or_else(String::new, |m| format!(" (\"{m}\")"));
            Error::new(
                code,
                format!(
                    "{} refused a batch of {} records for {place}: {}{words}{advice}",
                    core.address(node),
                    batch.sealed.count(),
                    code.name()
                ),
            )
        };
        match code {
            // A duplicate is a batch whose earlier attempt was written.
            ErrorCode::NONE | ErrorCode::DUPLICATE_SEQUENCE_NUMBER => {
                part.not_before = None;
                let key = (&part.partition.topic, part.partition.index);
                let offset = if code == ErrorCode::NONE {
                    result.base_offset
                } else {
                    -1
                };
                self.shared.complete(
                    key,
                    batch,
                    Outcome::Written,
                    offset,
                    result.log_append_time,
                    None,
                );
            }
            ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE
                if batch.sealed.count() > 1 =>
            {
                let error = told("");
                self.split(slot, batch, &error);
            }
            ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => {
                let error = told(&format!(
                    "; the record takes {} bytes, more than the topic's max.message.bytes (or the broker's \
                     message.max.bytes) allows: raise it, or send less",
                    batch.sealed.wire_len()
                ));
                self.give_up(slot, batch, Outcome::NotWritten, &error);
            }
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER | ErrorCode::UNKNOWN_PRODUCER_ID => {
                let error = told("");
                let earlier = part
                    .inflight
                    .iter()
                    .map(|s| s.batch.ordinal)
                    .chain(part.again.iter().map(|b| b.ordinal));
                if earlier.min().is_some_and(|o| o < batch.ordinal) {
                    // An earlier batch failed and is on its way again; this one follows it.
                    self.send_again(core, now, slot, batch, &error, false);
                } else {
                    // The broker has lost what came before: a new epoch begins anew. This batch itself was refused,
                    // so it may go again, unless an earlier attempt of it has an unknown end.
                    self.identity.leave();
                    if batch.unanswered {
                        self.give_up(slot, batch, Outcome::PossiblyWritten, &error);
                    } else {
                        self.send_again(core, now, slot, batch, &error, true);
                    }
                }
            }
            ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::PRODUCER_FENCED => {
                let error = told("");
                self.identity.leave();
                self.send_again(core, now, slot, batch, &error, true);
            }
            _ if code.is_retriable() => {
                if code == ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
                    || code == ErrorCode::REQUEST_TIMED_OUT
                {
                    batch.unanswered = true;
                }
                let error = told("");
                core.refresh_metadata();
                self.send_again(
                    core,
                    now,
                    slot,
                    batch,
                    &error,
                    result.current_leader.is_none(),
                );
            }
            _ => {
                let advice = match code {
                    ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
                        "; this client may not write to the topic: check its ACLs"
                    }
                    ErrorCode::INVALID_RECORD => {
                        "; a record breaks a rule of the topic (a compacted topic needs keys)"
                    }
                    ErrorCode::INVALID_TIMESTAMP => {
                        "; a timestamp is outside what the topic allows (message.timestamp.before.max.ms, ...after.max.ms)"
                    }
                    _ => "",
                };
                let refused: Vec<String> = result
                    .record_errors
                    .iter()
                    .take(3)
                    .map(|(i, m)| {
                        format!(
                            " record {i} of the batch: {}",
                            m.as_deref().unwrap_or("refused")
                        )
                    })
                    .collect();
                let error = told(&format!("{advice}{}", refused.join(";")));
                self.give_up(slot, batch, Outcome::NotWritten, &error);
            }
        }
    }

    /// A batch too large for the broker goes again in two halves, in its place.
    fn split(&mut self, slot: usize, mut batch: Box<Batch>, error: &Error) {
        match batch.sealed.split() {
            Ok((first, second)) => {
                let tail = batch.tokens.split_off(first.count() as u32);
                self.shared.begin_batch_as(batch.id);
                let charged = second.body().capacity() + tail.cost();
                self.shared.memory.force_charge(charged);
                // Its sequence range covers both halves: each keeps its part of it.
                let sequence = batch.sequence.map(|s| advance(s, first.count()));
                let other = Box::new(Batch {
                    id: batch.id,
                    sealed: second,
                    tokens: tail,
                    created: batch.created,
                    charged,
                    ordinal: batch.ordinal + batch.span / 2,
                    span: batch.span / 2,
                    sequence,
                    attempts: 0,
                    unanswered: batch.unanswered,
                    last_error: None,
                });
                batch.sealed = first;
                batch.attempts = 0;
                batch.span /= 2;
                let Some(part) = self.parts.get_mut(slot) else {
                    return;
                };
                let at = part
                    .again
                    .iter()
                    .position(|b| b.ordinal >= batch.ordinal)
                    .unwrap_or(part.again.len());
                part.again.insert(at, other);
                part.again.insert(at, batch);
            }
            Err(e) => self.give_up(
                slot,
                batch,
                Outcome::NotWritten,
                &e.context(error.message()),
            ),
        }
    }

    /// Asks for a producer id; where the present epoch is being left, raises it once nothing is in flight.
    fn check_identity(&mut self, core: &mut Core<Tag>, now: Instant) {
        if let Identity::Draining(old) = self.identity {
            if self.parts.iter().any(|p| !p.inflight.is_empty()) {
                return;
            }
            self.begin_epoch(old);
            for slot in 0..self.parts.len() {
                self.look_at(core, now, slot);
            }
        }
        let Identity::Wanted { not_before } = self.identity else {
            return;
        };
        if not_before.is_some_and(|at| at > now) {
            return;
        }
        let Some((_, conn)) = core.any_conn(now) else {
            return;
        };
        let timeout = self.shared.config.common.request_timeout;
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_transaction_timeout_ms(0)
            .with_producer_id(WireProducerId(-1))
            .with_producer_epoch(-1);
        match core.call(now, conn, &request, i16::MAX, timeout, Tag::InitProducerId) {
            Ok(()) => self.identity = Identity::Asking,
            Err(e) => self.identity_failed(core, now, &e),
        }
    }

    /// All is quiet: every partition's sequences begin anew. Batches with an unknown end can't be sent under a new
    /// epoch, where the broker would not recognise them as duplicates.
    fn begin_epoch(&mut self, old: ProducerId) {
        for slot in 0..self.parts.len() {
            let part = &mut self.parts[slot];
            part.next_sequence = 0;
            let (unknown, again): (VecDeque<_>, VecDeque<_>) =
                part.again.drain(..).partition(|b| b.unanswered);
            part.again = again;
            for batch in &mut part.again {
                batch.sequence = None;
            }
            for mut batch in unknown {
                batch.sequence = None;
                let cause = batch
                    .last_error
                    .clone()
                    .map_or_else(String::new, |e| format!(": {}", e.message()));
                let error = Error::new(
                    ErrorCode::NETWORK_EXCEPTION,
                    format!(
                        "no answer told whether the records were written, and they can't be sent again safely{cause}"
                    ),
                );
                self.give_up(slot, batch, Outcome::PossiblyWritten, &error);
            }
        }
        // An idempotent producer raises its epoch by itself (KIP-360); a used-up epoch needs a new id.
        self.identity = match old.epoch.checked_add(1) {
            Some(epoch) if epoch < i16::MAX => Identity::Have(ProducerId { id: old.id, epoch }),
            _ => Identity::Wanted { not_before: None },
        };
    }

    fn identity_failed(&mut self, core: &mut Core<Tag>, now: Instant, error: &Error) {
        self.id_failures += 1;
        let wait = self.backoff().after(self.id_failures, &mut core.rng);
        self.identity = Identity::Wanted {
            not_before: Some(now + wait),
        };
        let wall = (core.wall)();
        core.log.log(
            crate::log::Level::Warn,
            "producer",
            "init producer id",
            now,
            wall,
            || {
                format!(
                    "getting a producer id failed, trying again: {}",
                    error.message()
                )
            },
        );
        // Where it can't succeed, waiting on would be silent: what is waiting fails.
        if !error.code().is_retriable() {
            for leader in self.queues.keys().copied().collect::<Vec<_>>() {
                self.fail_queue(
                    leader,
                    &error.context("getting a producer id (enable.idempotence=true)"),
                );
            }
        }
    }

    fn on_identity(&mut self, core: &mut Core<Tag>, now: Instant, version: i16, body: Bytes) {
        let answer = rpc::decode::<InitProducerIdRequest>(version, body).and_then(|r| {
            match ErrorCode(i32::from(r.error_code)) {
                ErrorCode::NONE => Ok(ProducerId {
                    id: r.producer_id.0,
                    epoch: r.producer_epoch,
                }),
                code => Err(Error::new(
                    code,
                    format!("the broker refused InitProducerId: {}", code.name()),
                )),
            }
        });
        match answer {
            Ok(id) => {
                self.id_failures = 0;
                self.identity = Identity::Have(id);
                for slot in 0..self.parts.len() {
                    self.look_at(core, now, slot);
                }
            }
            Err(e) => self.identity_failed(core, now, &e),
        }
    }

    /// Gives everything up, as `close` asks.
    fn purge(&mut self) {
        let error = Error::new(
            ErrorCode::PURGED,
            "the producer was closed before the records were sent",
        );
        for topic in &self.unresolved {
            let mut pending = topic.pending();
            pending.refused = Some(error.clone());
            self.shared
                .fail_pending(&mut pending, topic, &error, |_| true);
        }
        let mut left = 0;
        for slot in 0..self.parts.len() {
            let part = &mut self.parts[slot];
            let mut over: Vec<(Box<Batch>, bool)> =
                part.inflight.drain(..).map(|s| (s.batch, true)).collect();
            over.extend(part.again.drain(..).map(|b| (b, false)));
            let mut queue = part.partition.lock();
            if let Some(open) = queue.close_open() {
                drop(queue);
                self.shared.seal_into(&part.partition, open);
                queue = part.partition.lock();
            }
            over.extend(std::iter::from_fn(|| queue.pop_ready()).map(|b| (b, false)));
            left += queue.sealed.len();
            drop(queue);
            for (batch, sent) in over {
                let outcome = if sent || batch.unanswered {
                    Outcome::PossiblyWritten
                } else {
                    Outcome::NotWritten
                };
                self.shared.complete(
                    (&part.partition.topic, part.partition.index),
                    batch,
                    outcome,
                    -1,
                    -1,
                    Some(&error),
                );
            }
        }
        // A batch that a caller's thread is sealing this moment is announced, and given up, when it is ready.
        if left == 0 {
            self.finished = true;
            self.shared.end();
        }
    }
}

fn leader_of(core: &Core<Tag>, partition: &Partition) -> Option<i32> {
    let meta = core.topics.known(&partition.topic)?;
    meta.partitions
        .get(partition.index as usize)
        .map(|p| p.leader)
        .filter(|l| *l >= 0)
}

/// Why records for a topic can't be sent.
fn describe_missing(topic: &str, code: ErrorCode, since: Duration, core: &Core<Tag>) -> Error {
    let text = match code {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => format!(
            "topic '{topic}' does not exist: the brokers at {} have said so for {since:.1?}; create it (create_topics, \
             or kafka-topics --create), check its spelling, or let the broker create topics (auto.create.topics.enable)",
            core.bootstrap_list()
        ),
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            format!("topic '{topic}': this client may not see or write it; check its ACLs")
        }
        ErrorCode::INVALID_TOPIC_EXCEPTION => {
            format!("topic '{topic}': the brokers refuse the name")
        }
        code => format!(
            "topic '{topic}' is not available: the brokers answered {} for {since:.1?}",
            code.name()
        ),
    };
    Error::new(code, text)
}

impl Role for Sender {
    type Tag = Tag;

    fn on_event(&mut self, core: &mut Core<Tag>, now: Instant, event: Event<Tag>) {
        match event {
            Event::Response {
                tag: Tag::Produce(request),
                body,
                ..
            } => self.on_produced(core, now, request, body),
            Event::Response {
                tag: Tag::InitProducerId,
                version,
                body,
                ..
            } => self.on_identity(core, now, version, body),
            Event::Failed {
                tag: Tag::Produce(number),
                error,
                ..
            } => {
                if let Some(request) = self.requests.remove(&number) {
                    self.unanswered(core, now, number, request, &error);
                }
            }
            Event::Failed {
                tag: Tag::InitProducerId,
                error,
                ..
            } => self.identity_failed(core, now, &error),
            Event::Metadata => self.on_metadata(core, now),
            Event::Unreachable(error) => self.on_unreachable(&error),
            Event::FetchPart { .. } => {}
        }
    }

    fn poll(&mut self, core: &mut Core<Tag>, now: Instant) -> Option<Instant> {
        if self.finished {
            return None;
        }
        loop {
            // While we look, nobody needs to wake us: what is left is found below.
            self.shared.arm_now();
            self.take_news(core, now);
            if self.shared.purge.load(Ordering::Acquire) {
                self.purge();
                if self.finished {
                    return None;
                }
            }
            self.check_flush(core, now);
            self.run_timers(core, now);
            self.check_unresolved(core, now);
            self.check_identity(core, now);
            self.drain(core, now);
            let connect = self.shared.connect_calls.poll(core, now);
            let timer = self.timers.peek().map(|Reverse((at, _))| *at);
            let mut deadline = [timer, connect].into_iter().flatten().min();
            if !self.unresolved.is_empty() {
                let soon = now + Duration::from_millis(250);
                deadline = Some(deadline.map_or(soon, |d| d.min(soon)));
            }
            if let Identity::Wanted {
                not_before: Some(at),
            } = self.identity
            {
                deadline = Some(deadline.map_or(at, |d| d.min(at)));
            }
            let retries = self
                .queues
                .iter()
                .filter(|(_, q)| !q.is_empty())
                .filter_map(|(l, _)| core.retry_at(Node::Id(*l)));
            for at in retries.filter(|at| *at > now) {
                deadline = Some(deadline.map_or(at, |d| d.min(at)));
            }
            self.shared.arm(deadline);
            // What came between the look and the arming found us armed and woke nobody.
            let quiet = {
                let news = lock(&self.shared.news);
                news.topics.is_empty() && news.partitions.is_empty()
            };
            if quiet {
                return deadline;
            }
        }
    }

    fn finished(&self) -> bool {
        self.finished
    }
}
