//! The I/O side of a producer, as plain data: which batches go to which broker, in what order, and what their
//! answers mean.
//!
//! Invariants: a partition's batches are sent in the order they were closed. A batch that must be sent again goes
//! before all that were closed after it. A sequence range, once sent, is only ever used for the same records; where
//! that can't be kept (a batch with an unknown end was given up) the partition begins another epoch before anything else
//! of it is sent.

mod available;
mod endings;
mod identity;
#[cfg(feature = "simulation")]
mod mistakes;
mod results;
mod settling;
mod stats;
#[cfg(test)]
mod tests;
mod topics;
mod transaction;
mod transmit;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use self::available::Stalled;
use self::settling::Settling;
use self::stats::{PartStats, SenderStats};
use super::chain::Chain;
use super::partition::Partition;
use super::sequence::{Identity, ProducerId};
use super::shared::{News, Shared, lock};
use super::topic::Topic;
use super::transaction::state::Ask;
use crate::client::at_exit::Unsaid;
use crate::client::engine::Role;
use crate::client::stats_hub::StatsHub;
use crate::cluster::core::{Core, Event};
use crate::cluster::nodes::{Backoff, Node};
use crate::protocol::wire::TopicId;
use crate::stats::Stats;
use topics::Resolved;
use transaction::View;

/// Batches of one partition on their way at once: what brokers remember of an idempotent producer.
const MAX_INFLIGHT_BATCHES: usize = 5;
/// Room for a request's headers within `max.request.size`.
const REQUEST_OVERHEAD: usize = 512;

/// What a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tag {
    Produce(u64),
    InitProducerId,
    /// A request to a coordinator for a transaction.
    Transaction,
}

/// The I/O side of one partition.
struct Part {
    partition: Arc<Partition>,
    topic: Arc<Topic>,
    /// Sent and not answered.
    inflight: Chain,
    /// To be sent again, by ordinal; before anything new.
    again: Chain,
    /// Nothing is sent before.
    not_before: Option<Instant>,
    next_ordinal: u64,
    next_sequence: i32,
    /// The transaction that its coordinator knows the partition to be part of.
    in_transaction: u64,
    /// The id and epoch its sequences run under: brokers keep them by partition. None before the first batch.
    id: Option<ProducerId>,
    /// A range of its sequences has no known end: nothing more is sent until all that is under way has ended, then it
    /// begins another epoch. Other partitions go on.
    leaving: bool,
    /// A batch was acknowledged under this id and epoch.
    acknowledged: bool,
    /// The topic was created anew without this partition: what comes for it is given up.
    gone: bool,
    /// The broker in whose queue it stands.
    queued_at: Option<i32>,
    /// When the oldest of its batches is given up, if a timer is set for it.
    expiry: Option<Instant>,
    stats: PartStats,
}

impl Part {
    fn new(partition: Arc<Partition>, topic: Arc<Topic>) -> Self {
        Part {
            partition,
            topic,
            inflight: Chain::default(),
            again: Chain::default(),
            not_before: None,
            next_ordinal: 0,
            next_sequence: 0,
            in_transaction: 0,
            id: None,
            leaving: false,
            acknowledged: false,
            gone: false,
            queued_at: None,
            expiry: None,
            stats: PartStats::default(),
        }
    }

    /// When the oldest batch that was taken up to be sent was begun. One on its way whose delivery time is over doesn't
    /// count: it is given up when its request ends, not at a time that a timer could be set for.
    fn oldest(&self, now: Instant, limit: Duration) -> Option<Instant> {
        let sent = self.inflight.first().map(|b| b.created);
        let sent = sent.filter(|created| *created + limit > now);
        let again = self.again.first().map(|b| b.created);
        [sent, again].into_iter().flatten().min()
    }

    /// How many batches may be on their way at once. Brokers take any sequence of a producer they don't know yet, so
    /// that a second batch sent with the first could be written though the first is refused; hence one until one is
    /// acknowledged. One too while batches are sent again, so that those behind them aren't refused in turn. None before
    /// another epoch begins.
    ///
    /// Without sequences it is `max.in.flight.requests.per.connection`, of which programs set 1 to have their records in
    /// order: connections count their requests themselves, but a partition that moves has one to either leader.
    fn inflight_limit(&self, identity: Identity, max_in_flight: usize) -> usize {
        if identity == Identity::Unneeded || !self.partition.settings().idempotent {
            return MAX_INFLIGHT_BATCHES.min(max_in_flight);
        }
        if self.leaving && !self.inflight.is_empty() {
            return if planted!("epoch-in-flight") {
                MAX_INFLIGHT_BATCHES
            } else {
                0
            };
        }
        if self.acknowledged && self.again.is_empty() {
            MAX_INFLIGHT_BATCHES
        } else {
            1
        }
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
    /// What the request's topic ids stood for; they may mean nothing any more when it is answered.
    names: Vec<(TopicId, Arc<str>)>,
}

pub(crate) struct Sender {
    shared: Arc<Shared>,
    parts: Vec<Part>,
    /// Topics whose partitions are not known.
    unresolved: Vec<Arc<Topic>>,
    /// Topics of which callers want to know the newest partitions, each with the number of the metadata that tells.
    looking: Vec<(u64, Arc<Topic>)>,
    /// Topics whose partitions are known.
    resolved: Vec<Resolved>,
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
    /// Brokers that have had something waiting for them since then without taking anything.
    stalled: BTreeMap<i32, Stalled>,
    /// Brokers of which the program was told that they can't be reached.
    unreachable: BTreeSet<i32>,
    /// With `transactional.id` only: how far transactions are, as last seen.
    transaction: Option<View>,
    /// The request to a coordinator that is under way.
    asking: Option<Ask>,
    settling: Settling,
    stats: SenderStats,
    /// Empty lists to exchange for those that callers filled.
    news: News,
}

impl Sender {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let identity = Identity::new(shared.config.enable_idempotence);
        let transaction = shared.transaction(View::of);
        Sender {
            shared,
            transaction,
            asking: None,
            settling: Settling::new(),
            parts: Vec::new(),
            unresolved: Vec::new(),
            looking: Vec::new(),
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
            stalled: BTreeMap::new(),
            unreachable: BTreeSet::new(),
            stats: SenderStats::default(),
            news: News::default(),
        }
    }

    fn backoff(&self) -> Backoff {
        Backoff::retries(&self.shared.config.common)
    }

    /// Takes what callers left: new topics, partitions with something new. True if there was any.
    fn take_news(&mut self, core: &mut Core<Tag>, now: Instant) -> bool {
        // The lists change places, so that neither side allocates new ones.
        let mut news = std::mem::take(&mut self.news);
        std::mem::swap(&mut news, &mut *lock(&self.shared.news));
        let any = !news.topics.is_empty() || !news.partitions.is_empty();
        for topic in news.topics.drain(..) {
            if topic.partitions().is_some() {
                self.look_for_more(core, topic);
                continue;
            }
            core.want_topic(&topic.name);
            self.unresolved.push(topic);
        }
        for partition in news.partitions.drain(..) {
            partition.listed.store(false, Ordering::Release);
            self.look_at(core, now, partition.slot);
        }
        self.news = news;
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
        let limit = part.partition.settings().delivery_timeout;
        let mut oldest = part.oldest(now, limit);
        let mut due = false;
        if let Some(open) = &queue.open {
            if queue.open_is_due(now, flush_to) {
                (ready, due) = (true, true);
                oldest = oldest.or(Some(open.created));
            } else {
                self.timers.push(Reverse((open.due, slot)));
            }
        }
        drop(queue);
        if part.gone {
            self.end_gone(slot);
            return;
        }
        if due {
            part.topic.leave_sticky(now, part.partition.index);
        }
        if part.expiry.is_none() && (ready || oldest.is_some()) {
            let expiry = oldest.unwrap_or(now) + limit;
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
            .known(part.partition.topic())
            .and_then(|t| t.partitions.get(part.partition.index as usize))
            .map(|p| p.leader)
            .filter(|l| *l >= 0);
        if part.queued_at == leader && leader.is_some() {
            return;
        }
        self.dequeue(slot);
        let Some(part) = self.parts.get_mut(slot) else {
            return;
        };
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

    /// Takes a partition out of the queue it stands in.
    fn dequeue(&mut self, slot: usize) {
        if let Some(part) = self.parts.get_mut(slot)
            && let Some(old) = part.queued_at.take()
            && let Some(queue) = self.queues.get_mut(&old)
        {
            queue.retain(|s| *s != slot);
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
}

impl Role for Sender {
    type Tag = Tag;

    fn leave(&mut self, core: &mut Core<Tag>, now: Instant, _by: Instant) {
        self.take_news(core, now);
        self.shared.begin_flush();
    }

    fn unsaid(&self) -> Unsaid {
        let records = self.unacknowledged();
        let told = self.shared.config.common.log_level.is_some();
        Unsaid {
            busy: records > 0,
            records: if told { records } else { 0 },
        }
    }

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
            Event::Response {
                node,
                tag: Tag::Transaction,
                version,
                body,
            } => self.on_transaction_answer(core, now, node, version, body),
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
            Event::Failed {
                tag: Tag::Transaction,
                error,
                ..
            } => self.transaction_unanswered(core, now, &error),
            Event::Metadata => self.on_metadata(core, now),
            Event::Unreachable(error) => self.on_unreachable(&error),
            // Who the coordinator is, is asked for in every poll.
            Event::FetchPart { .. } | Event::Coordinator => {}
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
                self.purge(core, now);
                if self.finished {
                    return None;
                }
            }
            self.check_purges(core, now);
            self.check_flush(core, now);
            self.run_timers(core, now);
            self.check_unresolved(core, now);
            self.check_identity(core, now);
            self.poll_transaction(core, now);
            self.drain(core, now);
            // What was drained may want the coordinator told of its partitions.
            let coordinated = self.poll_transaction(core, now);
            let stall = self.check_stalled(core, now);
            let connect = self.shared.connect_calls.poll(core, now);
            let timer = self.timers.peek().map(|Reverse((at, _))| *at);
            let settled = self.settling.until(now);
            let waits = self.shared.poll_waits(now);
            let mut deadline = [timer, connect, stall, coordinated, settled, waits]
                .into_iter()
                .flatten()
                .min();
            if !self.unresolved.is_empty() {
                let soon = now + Duration::from_millis(250);
                deadline = Some(deadline.map_or(soon, |d| d.min(soon)));
            }
            // Once that time is over, what is waited for is a connection.
            if let Identity::Wanted {
                not_before: Some(at),
            } = self.identity
                && at > now
            {
                deadline = Some(deadline.map_or(at, |d| d.min(at)));
            }
            let retries = self
                .queues
                .iter()
                .filter(|(_, q)| !q.is_empty())
                .filter_map(|(l, _)| core.retry_at(now, Node::Id(*l)));
            for at in retries {
                deadline = Some(deadline.map_or(at, |d| d.min(at)));
            }
            self.shared.shortcut.set_underway(self.requests.len());
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

    fn stats_hub(&self) -> Option<&StatsHub> {
        Some(&self.shared.stats)
    }

    fn stats(&self, core: &Core<Tag>, now: Instant) -> Stats {
        self.make_stats(core, now)
    }

    fn stats_made(&self) {
        self.shared.completions.poke();
    }
}
