//! The broker as plain data: frames and the time go in, actions come out. It has no socket, no clock, no thread; a
//! server or a simulator drives it. One random source, and no order that depends on hashing.

pub mod cluster;
pub mod configs;
pub mod coordinators;
pub mod fault;
pub(crate) mod fetch_session;
pub mod groups;
pub(crate) mod housekeeping;
pub mod offsets;
pub(crate) mod pending_offsets;
pub(crate) mod producer_state;
pub mod random;
pub mod share;
#[cfg(test)]
mod share_tests;
pub mod storage;
#[cfg(test)]
mod tests;
pub(crate) mod topic_config;
pub(crate) mod topics;
pub(crate) mod transaction_end;
#[cfg(test)]
mod transaction_tests;
pub mod transactions;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use self::cluster::Cluster;
use self::configs::DynamicConfigs;
use self::coordinators::{CoordinatorKind, Coordinators};
use self::fault::{Effects, FaultRule, Faults};
use self::fetch_session::{FetchSessions, TopicKey};
use self::groups::{Groups, Ticket};
use self::housekeeping::Planned;
use self::offsets::GroupOffsets;
use self::pending_offsets::PendingOffsets;
use self::share::ShareGroups;
use self::storage::Storage;
use self::transactions::Transactions;
use super::api::telemetry::Telemetry;
use super::api::{self, Outcome, Plan};

/// How long after a delayed request of a paused node is looked at again.
const PAUSED_RETRY: Duration = Duration::from_millis(20);

/// The time: monotonic for waiting, wall clock for timestamps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// Since some fixed moment.
    pub mono: Duration,
    /// Milliseconds since the Unix epoch.
    pub wall_ms: i64,
}

/// Names one connection for as long as the core lives.
pub type ConnId = u64;

/// What the driver is to do.
#[derive(Debug)]
pub enum Action {
    /// Send these bytes, one frame with its length in front (or the start of one, with a `Close` behind it).
    Reply { conn: ConnId, parts: Vec<Bytes> },
    /// Close the connection once what was to be sent is sent.
    Close { conn: ConnId },
}

/// The request being handled and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Cx {
    pub(crate) now: Now,
    pub(crate) node: i32,
    pub(crate) conn: ConnId,
    pub(crate) api_key: i16,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) effects: Effects,
}

struct Conn {
    node: i32,
    /// The client's address.
    host: String,
    /// Frames that came while an earlier request was not answered yet, with the time each came.
    queue: VecDeque<(Now, Bytes)>,
    /// A request waits for data or for a delay to pass.
    busy: bool,
    /// Throttled: nothing is handled until then.
    muted_until: Duration,
}

/// A frame whose delay is not over.
struct Delayed {
    conn: ConnId,
    frame: Bytes,
    effects: Effects,
}

enum Timer {
    Fetch(u64),
    Delayed(Box<Delayed>),
    Unmute(ConnId),
    /// A transaction's time is over.
    Expire(String),
    /// Markers of a transaction may be written now.
    Markers(String),
    /// Old records may be deleted.
    Retention,
    /// Logs may be compacted.
    Compaction,
}

/// What the broker does by default.
#[derive(Clone, Debug)]
pub struct CoreOptions {
    pub auto_create_topics: bool,
    /// Most bytes of batches kept in memory, over all partitions.
    pub memory_bytes: u64,
    /// Kafka's feature `transaction.version`: 1 or 2.
    pub transaction_version: i16,
    /// Whether there is the new group protocol (KIP-848).
    pub new_group_protocol: bool,
}

/// A whole cluster of brokers.
pub struct BrokerCore {
    pub cluster: Cluster,
    pub(crate) options: CoreOptions,
    pub(crate) storage: Storage,
    pub configs: DynamicConfigs,
    planned: Planned,
    pub offsets: GroupOffsets,
    pub groups: Groups,
    pub share: ShareGroups,
    pub(crate) coordinators: Coordinators,
    pub(crate) pending_offsets: PendingOffsets,
    pub transactions: Transactions,
    delayed_markers: transaction_end::Delayed,
    pub(crate) next_producer_id: i64,
    pub telemetry: Telemetry,
    /// Bytes of batches held, over all partitions.
    pub(crate) held_bytes: u64,
    faults: Faults,
    sessions: BTreeMap<i32, FetchSessions>,
    counters: BTreeMap<(i32, i16), u64>,
    paused: BTreeSet<i32>,
    conns: BTreeMap<ConnId, Conn>,
    next_conn: ConnId,
    parked: BTreeMap<u64, (Cx, Plan)>,
    /// Requests whose answer depends on other members of their group.
    waiting: BTreeMap<Ticket, Cx>,
    timers: BTreeMap<(Duration, u64), Timer>,
    next_id: u64,
    /// Parked fetches that an append has made worth another look.
    pub(crate) woken: BTreeSet<u64>,
}

impl BrokerCore {
    pub fn new(cluster: Cluster, options: CoreOptions, storage: Storage) -> Self {
        Self {
            cluster,
            options,
            storage,
            configs: DynamicConfigs::default(),
            planned: Planned::default(),
            offsets: GroupOffsets::default(),
            groups: Groups::default(),
            share: ShareGroups::default(),
            coordinators: Coordinators::default(),
            pending_offsets: PendingOffsets::default(),
            transactions: Transactions::default(),
            delayed_markers: Default::default(),
            next_producer_id: 0,
            telemetry: Telemetry::default(),
            held_bytes: 0,
            faults: Faults::default(),
            sessions: BTreeMap::new(),
            counters: BTreeMap::new(),
            paused: BTreeSet::new(),
            conns: BTreeMap::new(),
            next_conn: 1,
            parked: BTreeMap::new(),
            waiting: BTreeMap::new(),
            timers: BTreeMap::new(),
            next_id: 0,
            woken: BTreeSet::new(),
        }
    }

    /// A client connected to `node` from `host`.
    pub(crate) fn connected_from(&mut self, node: i32, host: String) -> ConnId {
        let id = self.connected(node);
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.host = host;
        }
        id
    }

    /// The address a request came from.
    pub(crate) fn host_of(&self, cx: &Cx) -> &str {
        self.conns.get(&cx.conn).map_or("", |c| c.host.as_str())
    }

    /// A client connected to `node`.
    pub fn connected(&mut self, node: i32) -> ConnId {
        let id = self.next_conn;
        self.next_conn += 1;
        self.conns.insert(
            id,
            Conn {
                node,
                host: String::new(),
                queue: VecDeque::new(),
                busy: false,
                muted_until: Duration::ZERO,
            },
        );
        id
    }

    /// The connection is gone.
    pub fn disconnected(&mut self, conn: ConnId) {
        if self.conns.remove(&conn).is_some() {
            let gone: Vec<u64> = self
                .parked
                .iter()
                .filter(|(_, (cx, _))| cx.conn == conn)
                .map(|(&id, _)| id)
                .collect();
            for id in gone {
                self.unpark(id);
            }
            // Its group goes on without knowing, as Kafka's does; the answer is sent to nobody.
            self.waiting.retain(|_, cx| cx.conn != conn);
            let freed = self.share.disconnected(conn);
            self.wake(&freed);
        }
    }

    /// How many requests of a connection wait for earlier ones; a driver reads no more above some number.
    pub(crate) fn backlog(&self, conn: ConnId) -> usize {
        self.conns.get(&conn).map_or(0, |c| c.queue.len())
    }

    /// A whole frame came, without its length.
    pub fn frame(&mut self, now: Now, conn: ConnId, frame: Bytes, out: &mut Vec<Action>) {
        if let Some(c) = self.conns.get_mut(&conn) {
            c.queue.push_back((now, frame));
            self.pump(now, conn, out);
            self.settle(now, out);
        }
    }

    /// When [`tick`](Self::tick) wants to be called next.
    pub fn deadline(&self) -> Option<Duration> {
        let timer = self.timers.keys().next().map(|&(at, _)| at);
        let groups = self.groups.deadline();
        timer
            .into_iter()
            .chain(groups)
            .chain(self.share.deadline())
            .min()
    }

    /// Does what has become due.
    pub fn tick(&mut self, now: Now, out: &mut Vec<Action>) {
        while let Some(entry) = self.timers.first_entry()
            && entry.key().0 <= now.mono
        {
            match entry.remove() {
                Timer::Fetch(id) => {
                    // That of a paused node is looked at again when the node goes on.
                    if self
                        .parked
                        .get(&id)
                        .is_some_and(|(cx, _)| !self.paused.contains(&cx.node))
                    {
                        self.complete_fetch(now, id, out);
                    }
                }
                Timer::Delayed(delayed) if self.is_paused(delayed.conn) => {
                    self.timer(now.mono + PAUSED_RETRY, Timer::Delayed(delayed));
                }
                Timer::Delayed(delayed) => {
                    let Delayed {
                        conn,
                        frame,
                        effects,
                    } = *delayed;
                    if let Some(c) = self.conns.get_mut(&conn) {
                        c.busy = false;
                        self.process(now, conn, frame, Some(effects), out);
                        self.pump(now, conn, out);
                    }
                }
                Timer::Unmute(conn) => self.pump(now, conn, out),
                Timer::Expire(id) => self.expire_transaction(now, &id),
                Timer::Markers(id) => self.write_markers(now, &id),
                Timer::Retention => self.retain(now),
                Timer::Compaction => self.compact_due(now),
            }
        }
        let (paused, cluster) = (&self.paused, &self.cluster);
        self.groups.tick(now.mono, cluster, PAUSED_RETRY, |node| {
            paused.contains(&node)
        });
        let freed = self.share.tick(now.mono);
        self.wake(&freed);
        self.settle(now, out);
    }

    /// Records of these partitions can be had by members of share groups: those that wait look again.
    pub(crate) fn wake(&mut self, partitions: &[(Uuid, i32)]) {
        for &(topic, index) in partitions {
            let name = self.cluster.name_of(topic).map(str::to_owned);
            if let Some(p) = name.and_then(|name| self.cluster.partition(&name, index)) {
                self.woken.extend(&p.watchers);
            }
        }
    }

    fn is_paused(&self, conn: ConnId) -> bool {
        self.conns
            .get(&conn)
            .is_some_and(|c| self.paused.contains(&c.node))
    }

    /// The faults that requests met since the last call.
    #[cfg(feature = "simulation")]
    pub fn take_met(&mut self) -> Vec<fault::Fault> {
        self.faults.take_met()
    }

    /// Adds a fault.
    pub fn add_fault(&mut self, rule: FaultRule) {
        self.faults.add(rule);
    }

    /// Removes the faults that are there until they are removed.
    #[cfg(feature = "simulation")]
    pub fn remove_lasting_faults(&mut self) {
        self.faults.remove_lasting();
    }

    /// Removes all faults.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Requests seen so far, of each kind by each node.
    #[cfg(feature = "simulation")]
    pub fn requests(&self) -> impl Iterator<Item = (i16, u64)> {
        self.counters.iter().map(|(&(_, api), &count)| (api, count))
    }

    /// Requests of a kind seen by a node, or by all.
    pub(crate) fn requests_seen(&self, node: Option<i32>, api: i16) -> u64 {
        let of = |&(n, a): &(i32, i16)| a == api && node.is_none_or(|wanted| wanted == n);
        self.counters
            .iter()
            .filter(|(key, _)| of(key))
            .map(|(_, count)| count)
            .sum()
    }

    /// A paused node takes requests and answers none until it goes on.
    pub fn pause(&mut self, now: Now, node: i32, paused: bool, out: &mut Vec<Action>) {
        if paused {
            self.paused.insert(node);
            return;
        }
        self.paused.remove(&node);
        let waiting: Vec<ConnId> = self
            .conns
            .iter()
            .filter(|(_, c)| c.node == node)
            .map(|(&id, _)| id)
            .collect();
        for conn in waiting {
            self.pump(now, conn, out);
        }
        self.woken.extend(self.parked.keys());
        self.settle(now, out);
    }

    /// Stops a node (its connections are closed) or starts it again.
    pub fn set_alive(&mut self, now: Now, node: i32, alive: bool, out: &mut Vec<Action>) {
        self.cluster.set_alive(node, alive);
        if !alive {
            let gone: Vec<ConnId> = self
                .conns
                .iter()
                .filter(|(_, c)| c.node == node)
                .map(|(&id, _)| id)
                .collect();
            for conn in gone {
                self.disconnected(conn);
                out.push(Action::Close { conn });
            }
            self.sessions.remove(&node);
        }
        self.leaders_changed(now, out);
    }

    /// Makes `node` the leader of a partition. False if there is no such partition or the node is stopped.
    pub fn move_leader(
        &mut self,
        now: Now,
        topic: &str,
        partition: i32,
        node: i32,
        out: &mut Vec<Action>,
    ) -> bool {
        let moved = self.cluster.move_leader(topic, partition, node);
        self.leaders_changed(now, out);
        moved
    }

    /// Fetches that wait on a partition led elsewhere now are to learn it, and so are requests that wait in a group
    /// coordinated elsewhere.
    pub(crate) fn leaders_changed(&mut self, now: Now, out: &mut Vec<Action>) {
        self.woken.extend(self.parked.keys());
        self.coordinators_changed(now);
        self.save_topics();
        self.settle(now, out);
    }

    /// Has `node` coordinate a group, or a transactional id, from now on; it knows nothing for the time of `loading`.
    /// False if that node does not run.
    pub fn move_coordinator(
        &mut self,
        now: Now,
        kind: CoordinatorKind,
        key: &str,
        node: i32,
        loading: Duration,
        out: &mut Vec<Action>,
    ) -> bool {
        let moved = self.set_coordinator(kind, key, node, now.mono + loading);
        self.coordinators_changed(now);
        self.settle(now, out);
        moved
    }

    /// Has a group rebalance now. False if there is none, or nobody is in it.
    pub fn force_rebalance(&mut self, now: Now, group: &str, out: &mut Vec<Action>) -> bool {
        let forced = self.groups.force_rebalance(now.mono, group);
        self.settle(now, out);
        forced
    }

    /// Ends the session of a group's member now. False if there is no such member.
    pub fn expire_member(
        &mut self,
        now: Now,
        group: &str,
        member: &str,
        out: &mut Vec<Action>,
    ) -> bool {
        let known = self
            .groups
            .expire_member(now.mono, &self.cluster, group, member);
        self.settle(now, out);
        known
    }

    fn coordinators_changed(&mut self, now: Now) {
        let (cluster, coordinators) = (&self.cluster, &self.coordinators);
        let node_of = |name: &str| {
            let node = coordinators.of(cluster, CoordinatorKind::Group, name);
            node.map(|n| n.id)
        };
        self.groups.moved(now.mono, node_of);
        self.share.moved(now.mono, node_of);
    }

    /// The partitions of a fetch session.
    pub(crate) fn session_partitions(
        &self,
        node: i32,
        id: i32,
    ) -> impl Iterator<Item = (&TopicKey, i32)> {
        self.sessions
            .get(&node)
            .into_iter()
            .flat_map(move |s| s.partitions(id))
    }

    pub(crate) fn sessions(&mut self, node: i32) -> &mut FetchSessions {
        self.sessions.entry(node).or_default()
    }

    /// Whether records about to be sent are to be damaged.
    pub(crate) fn corrupts(&mut self, cx: &Cx, topic: &str, partition: i32) -> bool {
        self.faults.corrupts(cx.node, cx.api_key, topic, partition)
    }

    /// Handles a connection's frames until one of them has to wait.
    fn pump(&mut self, now: Now, conn: ConnId, out: &mut Vec<Action>) {
        while let Some(c) = self.conns.get_mut(&conn)
            && !c.busy
            && c.muted_until <= now.mono
            && !self.paused.contains(&c.node)
            && let Some((came, frame)) = c.queue.pop_front()
        {
            let effects = match self.peek(conn, &frame) {
                Some((node, header)) => {
                    *self.counters.entry((node, header.api_key)).or_default() += 1;
                    let mut faults = std::mem::take(&mut self.faults);
                    let effects = faults.meet(node, header.api_key, || {
                        api::targets(self, node, &header, &frame)
                    });
                    self.faults = faults;
                    effects
                }
                None => Effects::default(),
            };
            let due = came.mono + effects.delay.unwrap_or_default();
            if effects.drop {
                self.close(conn, out);
            } else if due > now.mono {
                if let Some(c) = self.conns.get_mut(&conn) {
                    c.busy = true;
                }
                self.timer(
                    due,
                    Timer::Delayed(Box::new(Delayed {
                        conn,
                        frame,
                        effects,
                    })),
                );
            } else {
                self.process(now, conn, frame, Some(effects), out);
            }
        }
    }

    fn peek(&self, conn: ConnId, frame: &Bytes) -> Option<(i32, api::Header)> {
        Some((self.conns.get(&conn)?.node, api::Header::parse(frame)?))
    }

    fn process(
        &mut self,
        now: Now,
        conn: ConnId,
        frame: Bytes,
        effects: Option<Effects>,
        out: &mut Vec<Action>,
    ) {
        let Some((node, header)) = self.peek(conn, &frame) else {
            return self.close(conn, out);
        };
        let cx = Cx {
            now,
            node,
            conn,
            api_key: header.api_key,
            version: header.version,
            correlation_id: header.correlation_id,
            effects: effects.unwrap_or_default(),
        };
        match api::handle(self, &cx, &header, frame) {
            Outcome::Reply(parts) => self.reply(now, &cx, parts, out),
            Outcome::Silent => {}
            Outcome::Close => self.close(conn, out),
            Outcome::Park(plan) => self.park(cx, plan),
            Outcome::Wait(ticket) => {
                if let Some(c) = self.conns.get_mut(&cx.conn) {
                    c.busy = true;
                    self.waiting.insert(ticket, cx);
                }
            }
        }
    }

    fn reply(&mut self, now: Now, cx: &Cx, parts: Vec<Bytes>, out: &mut Vec<Action>) {
        let conn = cx.conn;
        let parts = match cx.effects.answers.is_empty() {
            true => parts,
            false => self
                .faults
                .overwrite(&cx.effects, (cx.api_key, cx.version), parts),
        };
        if !cx.effects.throttle.is_zero()
            && let Some(c) = self.conns.get_mut(&conn)
        {
            c.muted_until = now.mono + cx.effects.throttle;
            let until = c.muted_until;
            self.timer(until, Timer::Unmute(conn));
        }
        if let Some(close) = cx.effects.swallow {
            if close {
                self.close(conn, out);
            }
        } else if let Some(bytes) = cx.effects.cut {
            out.push(Action::Reply {
                conn,
                parts: cut(parts, bytes),
            });
            self.close(conn, out);
        } else {
            out.push(Action::Reply { conn, parts });
        }
    }

    fn close(&mut self, conn: ConnId, out: &mut Vec<Action>) {
        self.disconnected(conn);
        out.push(Action::Close { conn });
    }

    fn timer(&mut self, at: Duration, timer: Timer) -> u64 {
        self.next_id += 1;
        self.timers.insert((at, self.next_id), timer);
        self.next_id
    }

    fn park(&mut self, cx: Cx, mut plan: Plan) {
        let Some(c) = self.conns.get_mut(&cx.conn) else {
            return;
        };
        c.busy = true;
        // The timer has the number of the fetch it is for.
        let id = self.next_id + 1;
        let deadline = plan.deadline();
        *plan.timer() = (deadline, self.timer(deadline, Timer::Fetch(id)));
        plan.watch(&mut self.cluster, id);
        self.parked.insert(id, (cx, plan));
    }

    fn unpark(&mut self, id: u64) -> Option<(Cx, Plan)> {
        let (cx, mut plan) = self.parked.remove(&id)?;
        self.timers.remove(plan.timer());
        plan.unwatch(&mut self.cluster, id);
        Some((cx, plan))
    }

    fn complete_fetch(&mut self, now: Now, id: u64, out: &mut Vec<Action>) {
        let Some((mut cx, plan)) = self.unpark(id) else {
            return;
        };
        cx.now = now;
        let parts = plan.respond(self, &cx);
        if let Some(c) = self.conns.get_mut(&cx.conn) {
            c.busy = false;
        }
        self.reply(now, &cx, parts, out);
        self.pump(now, cx.conn, out);
    }

    /// Completes woken fetches that have enough now, and requests whose group has answered, until none is left.
    /// Fetches of paused nodes wait.
    fn settle(&mut self, now: Now, out: &mut Vec<Action>) {
        if std::mem::take(&mut self.groups.has_new) {
            self.save_topics();
        }
        loop {
            let answers = self.groups.answers.drain();
            let woken = self.woken.pop_first();
            if answers.is_empty() && woken.is_none() {
                return;
            }
            for (ticket, answer) in answers {
                let Some(cx) = self.waiting.remove(&ticket) else {
                    continue;
                };
                if let Some(c) = self.conns.get_mut(&cx.conn) {
                    c.busy = false;
                }
                match api::group_answer(&cx, answer) {
                    Outcome::Reply(parts) => self.reply(now, &cx, parts, out),
                    _ => self.close(cx.conn, out),
                }
                self.pump(now, cx.conn, out);
            }
            let ready = woken.filter(|id| {
                self.parked.get(id).is_some_and(|(cx, plan)| {
                    !self.paused.contains(&cx.node)
                        && (plan.deadline() <= now.mono || plan.is_ready(self, cx))
                })
            });
            if let Some(id) = ready {
                self.complete_fetch(now, id, out);
            }
        }
    }
}

/// The first `bytes` bytes of `parts`.
fn cut(parts: Vec<Bytes>, mut bytes: usize) -> Vec<Bytes> {
    let mut kept = Vec::new();
    for part in parts {
        let take = part.len().min(bytes);
        bytes -= take;
        if take > 0 {
            kept.push(part.slice(..take));
        }
    }
    kept
}
