//! Decides for one client: which connections to open, when to ask for metadata, what failed and when to retry.
//! Plain data: no clock, no socket. Actions pile up for the driver, events for the client's role.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::ApiVersionsRequest;
use kafka_protocol::protocol::{Message, Request};

use crate::clock::Clock;
use crate::cluster::core::coordinators::Coordinators;
pub(crate) use crate::cluster::core::coordinators::{Coordinator, CoordinatorKind};
use crate::cluster::core::refresh::Refresh;
use crate::cluster::core::stats::NodeStats;
use crate::cluster::core::telemetry::Telemetry;
use crate::cluster::metadata::Topics;
use crate::cluster::nodes::{Backoff, Node, NodeState};
use crate::config::{CommonConfig, HostPort, MetadataRecovery};
use crate::error::{Error, ErrorCode, Result};
use crate::log::{Level, LogRing};
use crate::net::conn::{Conn, ConnId, Peer, Stage};
use crate::net::frame::{Arrival, Expect};
use crate::net::rpc::{self, Call};
use crate::net::socket::Reached;
use crate::protocol::fetch::FetchPart;
use crate::protocol::produce::{NodeEndpoint, OutFrame};
use crate::rng::Rng;

#[cfg(test)]
#[cfg(feature = "broker")]
mod address_tests;
mod choose;
mod coordinators;
mod failures;
#[cfg(test)]
mod recovery_tests;
mod refresh;
mod stats;
mod telemetry;

/// What a connection is for. Each purpose has a connection of its own to a broker, opened when first needed, so
/// that a parked fetch never delays anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Purpose {
    Control,
    Produce,
    Fetch,
    /// Fetches that don't wait, while one that does is under way.
    Aside,
    /// Heartbeats and commits, to a group's coordinator.
    Group,
    /// Joining a group: the coordinator answers when the other members have joined too.
    Join,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Purpose::Control => "metadata and administration",
            Purpose::Produce => "producing",
            Purpose::Fetch => "fetching",
            Purpose::Aside => "fetching without a wait",
            Purpose::Group => "the group",
            Purpose::Join => "joining the group",
        })
    }
}

impl Purpose {
    /// The bounds of all purposes, in their order.
    const FIRST: Purpose = Purpose::Control;
    const LAST: Purpose = Purpose::Join;
}

/// What the driver shall do.
#[derive(Debug)]
pub(crate) enum Action {
    Connect {
        conn: ConnId,
        peer: Peer,
    },
    Write {
        conn: ConnId,
        frame: OutFrame,
        expect: Option<(i32, Expect)>,
    },
    Close {
        conn: ConnId,
    },
}

/// What the role learns.
#[derive(Debug)]
pub(crate) enum Event<T> {
    /// The answer to a request: what followed the correlation id.
    Response {
        node: Node,
        tag: T,
        version: i16,
        body: Bytes,
    },
    /// A part of the answer to a fetch.
    FetchPart { node: Node, tag: T, part: FetchPart },
    /// A request that will have no answer. It may or may not have been carried out.
    Failed { node: Node, tag: T, error: Error },
    /// Topics, leaders or brokers changed.
    Metadata,
    /// A coordinator was found, or refused: [`Core::coordinator`] tells.
    Coordinator,
    /// No broker could be reached since the client began, for the connect timeout.
    Unreachable(Error),
}

#[derive(Debug, Clone)]
enum Tag<T> {
    Versions(i16),
    /// The API key.
    Telemetry(i16),
    Metadata,
    Coordinator(coordinators::Key),
    Role(T),
}

struct Slot<T> {
    node: Node,
    purpose: Purpose,
    begun: Instant,
    conn: Conn<Tag<T>>,
    /// How long each step of opening it may take.
    limit: Duration,
    /// Where it came to; `None` until it has, and without sockets.
    reached: Option<Reached>,
    /// It has answered more than the greeting.
    proved: bool,
}

/// How long a step of opening a connection may take: doubled with every failure in a row, ±20 %, but for the first.
fn setup_limit(config: &CommonConfig, failures: u32, rng: &mut Rng) -> Duration {
    if failures == 0 {
        return config.connection_setup_timeout;
    }
    let growing = Backoff {
        first: config.connection_setup_timeout,
        last: config.connection_setup_timeout_max,
    };
    growing.after(failures + 1, rng)
}

/// One client's view of the cluster and its connections.
pub(crate) struct Core<T> {
    pub(crate) config: Arc<CommonConfig>,
    pub(crate) topics: Topics,
    pub(crate) log: Arc<LogRing>,
    pub(crate) rng: Rng,
    /// For log lines' wall time; the monotonic time comes with each call.
    pub(crate) clock: Clock,
    nodes: BTreeMap<Node, NodeState>,
    stats: BTreeMap<Node, NodeStats>,
    telemetry: Telemetry,
    pub(crate) controller: i32,
    pub(crate) cluster_id: Option<String>,
    conns: BTreeMap<ConnId, Slot<T>>,
    by_purpose: BTreeMap<(Node, Purpose), ConnId>,
    /// Connections for a purpose that ended, in a row, without an answer on any of them; and when the next may be opened.
    /// That the broker answers on its other connections doesn't mend what ends these.
    unanswered: BTreeMap<(Node, Purpose), (u32, Instant)>,
    next_conn: ConnId,
    refresh: Refresh,
    coordinators: Coordinators,
    /// The newest version of ApiVersions that the last broker greeted speaks: what to greet the next one with.
    greeting: i16,
    /// The cluster's finalized features (KIP-584) by name, as of an epoch.
    features: (i64, BTreeMap<String, i16>),
    started: Instant,
    /// Metadata has come at least once.
    contacted: bool,
    contacted_at: Option<Instant>,
    reported_unreachable: bool,
    actions: Vec<Action>,
    events: VecDeque<Event<T>>,
}

impl<T: Clone> Core<T> {
    pub(crate) fn new(
        config: Arc<CommonConfig>,
        log: Arc<LogRing>,
        clock: Clock,
        now: Instant,
    ) -> Self {
        let nodes = config
            .bootstrap_servers
            .iter()
            .enumerate()
            .map(|(i, address)| (Node::Bootstrap(i), NodeState::new(address.clone(), None)))
            .collect();
        let telemetry = Telemetry::new(config.enable_metrics_push, now);
        Core {
            config,
            topics: Topics::default(),
            log,
            rng: clock.rng(),
            clock,
            nodes,
            stats: BTreeMap::new(),
            telemetry,
            controller: -1,
            cluster_id: None,
            conns: BTreeMap::new(),
            by_purpose: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            next_conn: 1,
            refresh: Refresh::default(),
            coordinators: Coordinators::default(),
            greeting: rpc::GREETING,
            features: (-1, BTreeMap::new()),
            started: now,
            contacted: false,
            contacted_at: None,
            reported_unreachable: false,
            actions: Vec::new(),
            events: VecDeque::new(),
        }
    }

    pub(crate) fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    pub(crate) fn next_event(&mut self) -> Option<Event<T>> {
        self.events.pop_front()
    }

    /// The error of whoever waits for the first contact longer than the connect timeout.
    pub(crate) fn never_contacted(&self, now: Instant) -> Error {
        self.unreachable(
            now,
            self.config.connection_setup_timeout,
            " (socket.connection.setup.timeout.ms)",
        )
    }

    /// The level of one of the cluster's features, 0 where it doesn't have it.
    pub(crate) fn feature(&self, name: &str) -> i16 {
        self.features.1.get(name).copied().unwrap_or(0)
    }

    /// Logs what was decided, and why; costs a comparison where nobody wants to know.
    pub(crate) fn debug(
        &self,
        now: Instant,
        facility: &'static str,
        cause: impl Hash,
        message: impl FnOnce() -> String,
    ) {
        if self.log.enabled(Level::Debug) {
            let wall = self.clock.wall();
            self.log
                .log(Level::Debug, facility, cause, now, wall, message);
        }
    }

    fn trace(&self, now: Instant, cause: impl Hash, message: impl FnOnce() -> String) {
        if self.log.enabled(Level::Trace) {
            let wall = self.clock.wall();
            self.log
                .log(Level::Trace, "request", cause, now, wall, message);
        }
    }

    /// When the waiting of a call that began at `since` is of no use any more, as no broker was reached by its id;
    /// `None` while there is one, or an address untried. Finding the cluster has its time, reaching a broker has its own.
    pub(crate) fn hope_ends(&self, since: Instant) -> Option<Instant> {
        if self.reached() || self.untried() {
            return None;
        }
        let since = self.contacted_at.map_or(since, |at| at.max(since));
        Some(since + self.config.connection_setup_timeout)
    }

    /// True once metadata has come.
    pub(crate) fn contacted(&self) -> bool {
        self.contacted
    }

    /// The brokers known by id.
    pub(crate) fn brokers(&self) -> impl Iterator<Item = (i32, &NodeState)> {
        self.nodes.iter().filter_map(|(node, state)| match node {
            Node::Id(id) => Some((*id, state)),
            Node::Bootstrap(_) => None,
        })
    }

    /// Takes a leader hint that came with a refusal (KIP-951).
    pub(crate) fn leader_hint(
        &mut self,
        topic: &str,
        partition: i32,
        (leader, epoch): (i32, i32),
        endpoints: &[NodeEndpoint],
    ) -> bool {
        for e in endpoints.iter().filter(|e| e.node == leader) {
            self.add_node(e.node, &e.host, e.port, e.rack.clone());
        }
        self.nodes.contains_key(&Node::Id(leader))
            && self.topics.hint(topic, partition, leader, epoch)
    }

    fn add_node(&mut self, id: i32, host: &str, port: i32, rack: Option<String>) {
        let Ok(port) = u16::try_from(port) else {
            return;
        };
        let address = HostPort {
            host: host.to_owned(),
            port,
        };
        match self.nodes.get_mut(&Node::Id(id)) {
            Some(known) if known.address == address => known.rack = rack,
            Some(known) => {
                *known = NodeState::new(address, rack);
                self.drop_node_conns(
                    Node::Id(id),
                    &Error::new(ErrorCode::CONNECT, "the broker moved to another address"),
                );
            }
            None => {
                self.nodes
                    .insert(Node::Id(id), NodeState::new(address, rack));
            }
        }
    }

    fn drop_node_conns(&mut self, node: Node, error: &Error) {
        let ids: Vec<ConnId> = self
            .conns
            .iter()
            .filter(|(_, s)| s.node == node)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.actions.push(Action::Close { conn: id });
            self.forget(id, error);
        }
        self.unanswered.retain(|(of, _), _| *of != node);
    }

    /// When a connection may be opened; `None` if at any time.
    pub(super) fn opens_at(&self, node: Node, purpose: Purpose) -> Option<Instant> {
        let node_at = self.nodes.get(&node).and_then(|state| state.retry_at);
        let purpose_at = self.unanswered.get(&(node, purpose)).map(|(_, at)| *at);
        node_at.max(purpose_at)
    }

    pub(super) fn may_open(&self, now: Instant, node: Node, purpose: Purpose) -> bool {
        self.opens_at(node, purpose).is_none_or(|at| at <= now)
    }

    /// The ready connection to a broker for a purpose. Where there is none yet, one is opened if the backoff
    /// allows, and the role is polled again when it stands.
    pub(crate) fn conn(&mut self, now: Instant, node: Node, purpose: Purpose) -> Option<ConnId> {
        if let Some(id) = self.by_purpose.get(&(node, purpose)) {
            let slot = self.conns.get(id)?;
            let open =
                slot.conn.stage == Stage::Ready && slot.conn.muted_until.is_none_or(|t| t <= now);
            return open.then_some(*id);
        }
        let state = self.nodes.get(&node)?;
        if self.may_open(now, node, purpose) {
            let conn = self.next_conn;
            self.next_conn += 1;
            let limit = setup_limit(&self.config, state.failures, &mut self.rng);
            self.actions.push(Action::Connect {
                conn,
                peer: Peer {
                    address: state.address.clone(),
                    bootstrap: matches!(node, Node::Bootstrap(_)),
                    limit,
                    avoid: state.avoid.clone(),
                },
            });
            self.conns.insert(
                conn,
                Slot {
                    node,
                    purpose,
                    begun: now,
                    conn: Conn::new(now),
                    limit,
                    reached: None,
                    proved: false,
                },
            );
            self.by_purpose.insert((node, purpose), conn);
            self.debug(now, "connect", (node, purpose), || {
                format!("connecting to {} for {purpose}", self.address(node))
            });
        }
        None
    }

    /// Requests on their way on a connection.
    pub(crate) fn inflight(&self, conn: ConnId) -> usize {
        self.conns.get(&conn).map_or(0, |s| s.conn.inflight.len())
    }

    /// The API version both sides speak on a connection.
    pub(crate) fn version(&self, conn: ConnId, key: i16, ours: (i16, i16)) -> Result<i16> {
        match self.conns.get(&conn) {
            Some(slot) => slot.conn.versions.pick(key, ours),
            None => Err(Error::new(ErrorCode::CONNECT, "the connection has ended")),
        }
    }

    /// An error unless the broker behind a connection speaks `key` in `version` or a later one, which `what` (a key, an
    /// argument) needs.
    pub(crate) fn need(&self, conn: ConnId, key: i16, version: i16, what: &str) -> Result<()> {
        match self.conns.get(&conn) {
            Some(slot) => slot.conn.versions.need(key, version, what),
            None => Err(Error::new(ErrorCode::CONNECT, "the connection has ended")),
        }
    }

    /// Sends a request of the `kafka-protocol` crate in the highest common version, not above `max`.
    pub(crate) fn call<R: Request>(
        &mut self,
        now: Instant,
        conn: ConnId,
        request: &R,
        max: i16,
        timeout: Duration,
        tag: T,
    ) -> Result<()> {
        let version = self.version(conn, R::KEY, (R::VERSIONS.min, R::VERSIONS.max.min(max)))?;
        let call = Call::encode(&self.config.client_id, version, request)?;
        self.send(now, conn, call, timeout, tag, true);
        Ok(())
    }

    /// Sends a request that is encoded already.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        conn: ConnId,
        call: Call,
        timeout: Duration,
        tag: T,
        answered: bool,
    ) {
        self.send_tagged(now, conn, call, timeout, Tag::Role(tag), answered);
    }

    fn send_tagged(
        &mut self,
        now: Instant,
        conn: ConnId,
        call: Call,
        timeout: Duration,
        tag: Tag<T>,
        answered: bool,
    ) {
        let (key, version) = (call.key, call.version);
        if let Some(slot) = self.conns.get_mut(&conn) {
            let (frame, expect) = slot.conn.send(now, call, timeout, tag, answered);
            let stats = self.stats.entry(slot.node).or_default();
            stats.requests += 1;
            stats.bytes_out += frame.len() as u64;
            let (node, bytes) = (slot.node, frame.len());
            self.actions.push(Action::Write {
                conn,
                frame,
                expect,
            });
            self.trace(now, ("request", node, key), || {
                let api = crate::protocol::schema::api_name(key);
                format!("{api} v{version} to {}, {bytes} bytes", self.address(node))
            });
        }
    }

    /// Lets a connection rest for as long as its broker asked (KIP-219).
    pub(crate) fn throttle(&mut self, now: Instant, node: Node, purpose: Purpose, ms: i32) {
        if ms > 0 {
            self.node_stats(node).throttled(ms);
            self.debug(now, "throttle", (node, purpose), || {
                format!(
                    "{} asks for a pause of {ms} ms for {purpose}",
                    self.address(node)
                )
            });
        }
        if ms > 0
            && let Some(slot) = self
                .by_purpose
                .get(&(node, purpose))
                .and_then(|id| self.conns.get_mut(id))
        {
            slot.conn.muted_until = Some(now + Duration::from_millis(ms as u64));
        }
    }

    /// A connection that is being opened came to this address.
    pub(crate) fn on_reached(&mut self, id: ConnId, reached: Reached) {
        if let Some(slot) = self.conns.get_mut(&id) {
            if let Some(state) = self.nodes.get_mut(&slot.node) {
                state.reached(&reached);
            }
            slot.reached = Some(reached);
        }
    }

    /// The driver connected.
    pub(crate) fn on_connected(&mut self, now: Instant, id: ConnId) {
        if let Some(slot) = self.conns.get_mut(&id) {
            slot.conn.stage = Stage::Negotiating;
            let checked = matches!(slot.node, Node::Id(_)) && self.checks_cluster();
            let newest = rpc::GREETING - i16::from(!checked);
            // A broker that doesn't know the version answers in version 0 what it does know.
            self.ask_versions(now, id, newest.min(self.greeting));
        }
    }

    /// Whether brokers are told which one of which cluster is meant (KIP-1242).
    fn checks_cluster(&self) -> bool {
        self.config.metadata_cluster_check
            && self.config.metadata_recovery == MetadataRecovery::Rebootstrap
            && self.cluster_id.is_some()
    }

    fn ask_versions(&mut self, now: Instant, id: ConnId, version: i16) {
        let meant = match self.conns.get(&id).map(|s| s.node) {
            Some(Node::Id(broker)) => self.cluster_id.as_deref().map(|cluster| (cluster, broker)),
            _ => None,
        };
        match rpc::greeting(&self.config.client_id, version, meant) {
            Ok(call) => {
                // Greeting is part of opening a connection, so its time limit holds.
                let limit = self
                    .conns
                    .get(&id)
                    .map_or(self.config.connection_setup_timeout, |s| s.limit);
                let limit = self.config.request_timeout.min(limit);
                self.send_tagged(now, id, call, limit, Tag::Versions(version), true);
            }
            Err(e) => self.fail_conn(now, id, e),
        }
    }

    /// The connection could not be made, or was lost.
    pub(crate) fn on_ended(&mut self, now: Instant, id: ConnId, error: Error) {
        self.lost(now, id, error);
    }

    /// Closes a connection that can't be trusted any more.
    fn fail_conn(&mut self, now: Instant, id: ConnId, error: Error) {
        if self.conns.contains_key(&id) {
            self.actions.push(Action::Close { conn: id });
            self.lost(now, id, error);
        }
    }

    fn lost(&mut self, now: Instant, id: ConnId, error: Error) {
        let Some(slot) = self.conns.get(&id) else {
            return;
        };
        let (node, purpose, stage) = (slot.node, slot.purpose, slot.conn.stage);
        let begun = match stage {
            Stage::Ready => now,
            Stage::Connecting | Stage::Negotiating => slot.begun,
        };
        const FOREIGN: &str =
            "is that port a Kafka broker's, and does it expect TLS or SASL (security.protocol)?";
        let error = match (stage, error.code()) {
            (Stage::Negotiating, ErrorCode::CONNECT) => error.context("ApiVersions").and(
                format_args!(" before it answered the first request; {FOREIGN}"),
            ),
            (Stage::Negotiating, ErrorCode::TIMED_OUT) => error.and(format_args!("; {FOREIGN}")),
            (Stage::Negotiating, _) => error.context("ApiVersions"),
            (Stage::Ready, ErrorCode::CONNECT) => match slot.conn.inflight.front() {
                Some(request) => error.context(crate::protocol::schema::api_name(request.key)),
                None => error,
            },
            (Stage::Ready | Stage::Connecting, _) => error,
        };
        // Of several addresses the one meant; of the first attempt's errors each has its own.
        let reached = slot.reached.clone();
        let error = match &reached {
            Some(r) if r.all.len() > 1 => error.and(format_args!(" (at {})", r.address)),
            _ => error,
        };
        let useless = reached.filter(|_| !slot.proved);
        let stats = self.stats.entry(node).or_default();
        match stage {
            Stage::Ready => stats.disconnects += 1,
            _ => stats.connect_failures += 1,
        }
        let backoff = Backoff {
            first: self.config.reconnect_backoff,
            last: self.config.reconnect_backoff_max,
        };
        if let Some(state) = self.nodes.get_mut(&node) {
            state.failed((begun, now), backoff, &mut self.rng, stage, error.clone());
            if let Some(reached) = useless {
                state.useless(&reached);
            }
        }
        if stage == Stage::Ready {
            let failures = self.unanswered.get(&(node, purpose)).map_or(0, |u| u.0);
            let failures = failures.saturating_add(1);
            let at = now + backoff.after(failures, &mut self.rng);
            self.unanswered.insert((node, purpose), (failures, at));
        }
        let described = self.last_error(node).unwrap_or_else(|| error.clone());
        let wall = self.clock.wall();
        self.log.log(Level::Warn, "broker", node, now, wall, || {
            described.message().to_owned()
        });
        self.debug(now, "connect", ("ended", node, purpose), || {
            let state = self.nodes.get(&node);
            let wait = state.and_then(|s| s.retry_at).unwrap_or(now);
            format!(
                "the connection to {} for {purpose} ended ({} failures in a row); not tried again for {:.1?}: {}",
                self.address(node),
                state.map_or(0, |s| s.failures),
                wait.saturating_duration_since(now),
                error.message()
            )
        });
        self.forget(id, &described);
        self.coordinators.forget_node(node, &described);
        self.refresh.wanted = true;
    }

    /// Drops a connection's state and tells the owners of its requests.
    fn forget(&mut self, id: ConnId, error: &Error) {
        let Some(slot) = self.conns.remove(&id) else {
            return;
        };
        self.by_purpose.remove(&(slot.node, slot.purpose));
        if !slot.conn.inflight.is_empty() {
            self.node_stats(slot.node).unanswered += slot.conn.inflight.len() as u64;
        }
        for request in slot.conn.inflight {
            match request.tag {
                Tag::Metadata => self.refresh.inflight = false,
                Tag::Coordinator(key) => self.coordinator_unanswered(&key, error),
                Tag::Versions(_) => {}
                Tag::Telemetry(_) => self.telemetry.unanswered(),
                Tag::Role(tag) => {
                    let error = error.context(crate::protocol::schema::api_name(request.key));
                    self.events.push_back(Event::Failed {
                        node: slot.node,
                        tag,
                        error,
                    });
                }
            }
        }
    }

    /// Bytes of an answer, or of a part of one.
    pub(crate) fn on_arrival(&mut self, now: Instant, id: ConnId, arrival: Arrival) {
        let Some(slot) = self.conns.get_mut(&id) else {
            return;
        };
        let (node, purpose) = (slot.node, slot.purpose);
        match arrival {
            Arrival::Whole(correlation, body) => {
                let Some(request) = slot.conn.answered(now, correlation) else {
                    return;
                };
                let latency = now.saturating_duration_since(request.sent);
                let stats = self.stats.entry(node).or_default();
                stats.bytes_in += body.len() as u64;
                stats.answered(request.key, latency);
                self.trace(now, ("answer", node, request.key), || {
                    let api = crate::protocol::schema::api_name(request.key);
                    let from = self.address(node);
                    format!(
                        "{api} answered by {from} within {latency:.1?}, {} bytes",
                        body.len()
                    )
                });
                if !matches!(request.tag, Tag::Versions(_)) {
                    self.healthy(now, id, node, purpose);
                }
                match request.tag {
                    Tag::Versions(version) => self.on_versions(now, id, node, version, body),
                    Tag::Metadata => self.on_metadata(now, id, request.version, body),
                    Tag::Telemetry(key) => {
                        self.on_telemetry(now, key, request.version, body);
                    }
                    Tag::Coordinator(key) => {
                        self.on_coordinator(now, id, node, request.version, key, body);
                    }
                    Tag::Role(tag) => {
                        self.events.push_back(Event::Response {
                            node,
                            tag,
                            version: request.version,
                            body,
                        });
                    }
                }
            }
            Arrival::Fetch(correlation, part) => {
                let last = matches!(part, FetchPart::End(_));
                let Some(request) = slot.conn.oldest(correlation) else {
                    return;
                };
                let stats = self.stats.entry(node).or_default();
                match &part {
                    FetchPart::Partition(p) => {
                        stats.bytes_in += p.records.as_ref().map_or(0, |r| r.len()) as u64;
                    }
                    FetchPart::End(_) => {
                        stats.answered(request.key, now.saturating_duration_since(request.sent));
                    }
                    FetchPart::Head(_) => {}
                }
                if let Tag::Role(tag) = &request.tag {
                    let tag = tag.clone();
                    self.events.push_back(Event::FetchPart { node, tag, part });
                }
                if last {
                    slot.conn.answered(now, correlation);
                    self.healthy(now, id, node, purpose);
                }
            }
        }
    }

    /// A broker answered more than the greeting, so it counts as healthy again. The greeting alone doesn't: a broker that
    /// ends every connection after it would be tried without a growing pause.
    fn healthy(&mut self, now: Instant, id: ConnId, node: Node, purpose: Purpose) {
        if let Some(slot) = self.conns.get_mut(&id).filter(|s| !s.proved) {
            slot.proved = true;
            if let (Some(state), Some(reached)) = (self.nodes.get_mut(&node), &slot.reached) {
                state.proved(reached);
            }
        }
        self.unanswered.remove(&(node, purpose));
        let Some(state) = self.nodes.get_mut(&node).filter(|s| s.failures > 0) else {
            return;
        };
        state.succeeded();
        self.log.log(
            Level::Info,
            "broker",
            ("back", node),
            now,
            self.clock.wall(),
            || format!("connected to {} again", self.address(node)),
        );
    }

    fn on_versions(&mut self, now: Instant, id: ConnId, node: Node, asked: i16, body: Bytes) {
        const KEY: i16 = ApiVersionsRequest::KEY;
        let refused = body.get(..2) == Some(&ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes()[2..]);
        if refused && asked > 0 {
            // Kafka says so in version 0 and adds what it does know (KIP-511), others in any version and without.
            let best = rpc::decode::<ApiVersionsRequest>(0, body)
                .ok()
                .and_then(|r| r.api_keys.into_iter().find(|a| a.api_key == KEY))
                .map_or(0, |a| a.max_version);
            let best = best.clamp(0, asked - 1);
            self.debug(now, "connect", ("versions", node), || {
                format!(
                    "{} does not speak ApiVersions v{asked}; asking in v{best}",
                    self.address(node)
                )
            });
            return self.ask_versions(now, id, best);
        }
        // Version 5 has the fields of version 4 in its answer.
        let version = asked.min(ApiVersionsRequest::VERSIONS.max);
        let response = match rpc::decode::<ApiVersionsRequest>(version, body) {
            Ok(response) => response,
            Err(e) => return self.fail_conn(now, id, e),
        };
        if i32::from(response.error_code) == ErrorCode::REBOOTSTRAP_REQUIRED.0
            && matches!(node, Node::Id(_))
        {
            return self.on_misrouted(now, node);
        }
        if response.error_code != 0 {
            let code = ErrorCode(i32::from(response.error_code));
            let e = Error::new(
                code,
                format!(
                    "the broker refused to tell its API versions: {}",
                    code.name()
                ),
            );
            return self.fail_conn(now, id, e);
        }
        let versions = rpc::Versions::from_response(&response);
        if let Err(e) = versions.check_age() {
            return self.fail_conn(now, id, e);
        }
        self.greeting = versions
            .offered(KEY)
            .map_or(asked, |(_, max)| max.min(rpc::GREETING));
        if matches!(node, Node::Id(_)) {
            self.on_well_routed();
        }
        // Brokers learn of features one after the other; the newest word counts.
        if response.finalized_features_epoch >= self.features.0 {
            let features = response.finalized_features.iter();
            let levels = features.map(|f| (f.name.to_string(), f.max_version_level));
            self.features = (response.finalized_features_epoch, levels.collect());
        }
        if let Some(slot) = self.conns.get_mut(&id) {
            slot.conn.versions = versions;
            slot.conn.stage = Stage::Ready;
        }
        if let Some(slot) = self.conns.get(&id) {
            self.debug(now, "connect", ("ready", node, slot.purpose), || {
                let is_name = |s: &NodeState| s.address.host.parse::<std::net::IpAddr>().is_err();
                let by_name = self.nodes.get(&node).is_some_and(is_name);
                let at = slot.reached.as_ref().filter(|_| by_name);
                let at = at.map_or_else(String::new, |r| format!(" ({})", r.address));
                format!(
                    "connected to {}{at} for {} within {:.1?}; ApiVersions v{asked} tells of {} APIs",
                    self.address(node),
                    slot.purpose,
                    now.saturating_duration_since(slot.conn.opened),
                    response.api_keys.len()
                )
            });
        }
        self.node_stats(node).connects += 1;
        if let Some(state) = self.nodes.get_mut(&node) {
            state.contacted = true;
        }
    }

    /// Does what time asks for; called after every event and when [`Core::deadline`] is due.
    pub(crate) fn poll(&mut self, now: Instant) {
        self.expire_requests(now);
        self.close_idle(now);
        if !self.contacted && !self.reported_unreachable {
            let over = now >= self.started + self.config.connection_setup_timeout;
            let error = match self.incurable(self.started) {
                Some(error) => Some(error),
                None if over && !self.untried() => Some(self.never_contacted(now)),
                None => None,
            };
            if let Some(error) = error {
                self.reported_unreachable = true;
                self.events.push_back(Event::Unreachable(error));
            }
        }
        self.poll_metadata(now);
        self.poll_telemetry(now);
        self.poll_coordinators(now);
    }

    fn expire_requests(&mut self, now: Instant) {
        let late: Vec<ConnId> = self
            .conns
            .iter()
            .filter(|(_, s)| s.conn.deadline().is_some_and(|d| d <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            let Some(slot) = self.conns.get(&id) else {
                continue;
            };
            let Some(request) = slot.conn.inflight.iter().find(|r| r.deadline <= now) else {
                continue;
            };
            let waited = now.saturating_duration_since(request.sent);
            self.stats.entry(slot.node).or_default().timed_out += 1;
            let text = format!(
                "no answer to {} within {waited:.1?}; the connection is closed",
                crate::protocol::schema::api_name(request.key)
            );
            self.fail_conn(now, id, Error::new(ErrorCode::TIMED_OUT, text));
        }
    }

    fn close_idle(&mut self, now: Instant) {
        let limit = self.config.connections_max_idle;
        let idle: Vec<ConnId> = self
            .conns
            .iter()
            .filter(|(_, s)| {
                s.conn.inflight.is_empty()
                    && s.conn.stage == Stage::Ready
                    && now >= s.conn.last_used + limit
            })
            .map(|(id, _)| *id)
            .collect();
        for id in idle {
            if let Some(slot) = self.conns.get(&id) {
                self.debug(now, "connect", ("idle", slot.node, slot.purpose), || {
                    format!(
                        "closing the connection to {} for {}, unused for {limit:?} (connections.max.idle.ms)",
                        self.address(slot.node),
                        slot.purpose
                    )
                });
            }
            self.actions.push(Action::Close { conn: id });
            self.forget(
                id,
                &Error::new(ErrorCode::CONNECT, "closed after connections.max.idle.ms"),
            );
        }
    }

    /// When [`Core::poll`] has something to do next.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let requests = self.conns.values().filter_map(|s| s.conn.deadline());
        let mutes = self
            .conns
            .values()
            .filter_map(|s| s.conn.muted_until.filter(|t| *t > now));
        let limit = self.config.connections_max_idle;
        let idle = self
            .conns
            .values()
            .filter(|s| s.conn.inflight.is_empty() && s.conn.stage == Stage::Ready)
            .map(|s| s.conn.last_used + limit);
        // While addresses are untried, their own time limits end the wait.
        let waiting = !self.contacted && !self.reported_unreachable && !self.untried();
        let unreachable = waiting.then(|| self.started + self.config.connection_setup_timeout);
        let refresh = self.refresh_deadline(now);
        requests
            .chain(mutes)
            .chain(idle)
            .chain(unreachable)
            .chain(refresh)
            .chain(
                self.rebootstrap_at()
                    .map(|at| at + Duration::from_millis(1)),
            )
            .chain(self.telemetry_deadline(now))
            .chain(self.coordinators_deadline(now))
            .min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::AdminConfig;

    #[test]
    fn the_time_to_connect_grows_with_failures_up_to_its_limit() {
        let config = AdminConfig::from_pairs([
            ("bootstrap.servers", "seed:1000"),
            ("socket.connection.setup.timeout.ms", "1s"),
            ("socket.connection.setup.timeout.max.ms", "6s"),
        ]);
        let config = Arc::new(config.unwrap().common);
        let mut now = Instant::now();
        let log = Arc::new(LogRing::new("test", None));
        let mut core: Core<()> = Core::new(config, log, Clock::System, now);
        let mut limits = Vec::new();
        for _ in 0..5 {
            core.poll(now);
            for action in core.take_actions() {
                if let Action::Connect { conn, peer } = action {
                    assert!(peer.bootstrap);
                    limits.push(peer.limit.as_secs_f64());
                    core.on_ended(now, conn, Error::new(ErrorCode::CONNECT, "refused"));
                }
            }
            // Longer than reconnect.backoff.max.ms.
            now += Duration::from_secs(2);
        }
        assert_eq!(limits.len(), 5);
        assert_eq!(limits[0], 1.0);
        for (limit, middle) in limits[1..].iter().zip([2.0, 4.0, 6.0, 6.0]) {
            assert!((middle * 0.8..=middle * 1.2).contains(limit), "{limits:?}");
        }
    }
}
