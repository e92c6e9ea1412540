//! Decides for one client: which connections to open, when to ask for metadata, what failed and when to retry.
//! Plain data: no clock, no socket. Actions pile up for the driver, events for the client's role.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_protocol::messages::{ApiVersionsRequest, TopicName};
use kafka_protocol::protocol::{Message, Request, StrBytes};

use super::metadata::Topics;
use super::nodes::{Backoff, Node, NodeState, Rng};
use crate::config::{CommonConfig, HostPort};
use crate::error::{Error, ErrorCode, Result};
use crate::log::{Level, LogRing};
use crate::net::conn::{Conn, ConnId, Stage};
use crate::net::frame::{Arrival, Expect};
use crate::net::rpc::{self, Call};
use crate::protocol::fetch::FetchPart;
use crate::protocol::produce::{NodeEndpoint, OutFrame};

/// What a connection is for. Each purpose has a connection of its own to a broker, opened when first needed, so
/// that a parked fetch never delays anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Purpose {
    Control,
    Produce,
    Fetch,
}

/// What the driver shall do.
#[derive(Debug)]
pub(crate) enum Action {
    Connect { conn: ConnId, address: HostPort },
    Write { conn: ConnId, frame: OutFrame, expect: Option<(i32, Expect)> },
    Close { conn: ConnId },
}

/// What the role learns.
#[derive(Debug)]
pub(crate) enum Event<T> {
    /// The answer to a request: what followed the correlation id.
    Response { node: Node, tag: T, version: i16, body: Bytes },
    /// A part of the answer to a fetch.
    FetchPart { node: Node, tag: T, part: FetchPart },
    /// A request that will have no answer. It may or may not have been carried out.
    Failed { node: Node, tag: T, error: Error },
    /// Topics, leaders or brokers changed.
    Metadata,
    /// No broker could be reached since the client began, for the connect timeout.
    Unreachable(Error),
}

#[derive(Debug, Clone)]
enum Tag<T> {
    Versions(i16),
    Metadata,
    Role(T),
}

struct Slot<T> {
    node: Node,
    purpose: Purpose,
    conn: Conn<Tag<T>>,
}

/// The state of metadata requests.
#[derive(Debug, Default)]
struct Refresh {
    /// A request is wanted since there is news to learn.
    wanted: bool,
    inflight: bool,
    /// Requests in a row that did not bring all that was wanted.
    fruitless: u32,
    not_before: Option<Instant>,
    last: Option<Instant>,
    /// A control connection on which the next one goes out is being opened.
    topics_all: bool,
}

/// One client's view of the cluster and its connections.
pub(crate) struct Core<T> {
    pub(crate) config: Arc<CommonConfig>,
    pub(crate) topics: Topics,
    pub(crate) log: Arc<LogRing>,
    pub(crate) rng: Rng,
    /// Wall time, for log lines only.
    pub(crate) wall: fn() -> SystemTime,
    nodes: BTreeMap<Node, NodeState>,
    pub(crate) controller: i32,
    pub(crate) cluster_id: Option<String>,
    conns: BTreeMap<ConnId, Slot<T>>,
    by_purpose: BTreeMap<(Node, Purpose), ConnId>,
    next_conn: ConnId,
    refresh: Refresh,
    started: Instant,
    /// Metadata has come at least once.
    contacted: bool,
    reported_unreachable: bool,
    actions: Vec<Action>,
    events: VecDeque<Event<T>>,
}

impl<T: Clone> Core<T> {
    pub(crate) fn new(config: Arc<CommonConfig>, log: Arc<LogRing>, rng: Rng, now: Instant) -> Self {
        let nodes = config
            .bootstrap_servers
            .iter()
            .enumerate()
            .map(|(i, address)| (Node::Bootstrap(i), NodeState::new(address.clone(), None)))
            .collect();
        Core {
            config,
            topics: Topics::default(),
            log,
            rng,
            wall: SystemTime::now,
            nodes,
            controller: -1,
            cluster_id: None,
            conns: BTreeMap::new(),
            by_purpose: BTreeMap::new(),
            next_conn: 1,
            refresh: Refresh::default(),
            started: now,
            contacted: false,
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

    /// Wants a topic's metadata from now on.
    pub(crate) fn want_topic(&mut self, name: &str) {
        if self.topics.want(name) {
            self.refresh.fruitless = 0;
            self.refresh.not_before = None;
            self.refresh.wanted = true;
        }
    }

    /// Asks for fresh metadata, soon but not more often than the backoff allows.
    pub(crate) fn refresh_metadata(&mut self) {
        self.refresh.wanted = true;
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
        self.nodes.contains_key(&Node::Id(leader)) && self.topics.hint(topic, partition, leader, epoch)
    }

    fn add_node(&mut self, id: i32, host: &str, port: i32, rack: Option<String>) {
        let Ok(port) = u16::try_from(port) else { return };
        let address = HostPort { host: host.to_owned(), port };
        match self.nodes.get_mut(&Node::Id(id)) {
            Some(known) if known.address == address => known.rack = rack,
            Some(known) => {
                *known = NodeState::new(address, rack);
                self.drop_node_conns(Node::Id(id), &Error::new(ErrorCode::CONNECT, "the broker moved to another address"));
            }
            None => {
                self.nodes.insert(Node::Id(id), NodeState::new(address, rack));
            }
        }
    }

    fn drop_node_conns(&mut self, node: Node, error: &Error) {
        let ids: Vec<ConnId> = self.conns.iter().filter(|(_, s)| s.node == node).map(|(id, _)| *id).collect();
        for id in ids {
            self.actions.push(Action::Close { conn: id });
            self.forget(id, error);
        }
    }

    /// The ready connection to a broker for a purpose. Where there is none yet, one is opened if the backoff
    /// allows, and the role is polled again when it stands.
    pub(crate) fn conn(&mut self, now: Instant, node: Node, purpose: Purpose) -> Option<ConnId> {
        if let Some(id) = self.by_purpose.get(&(node, purpose)) {
            let slot = self.conns.get(id)?;
            let open = slot.conn.stage == Stage::Ready && slot.conn.muted_until.is_none_or(|t| t <= now);
            return open.then_some(*id);
        }
        let state = self.nodes.get(&node)?;
        if state.may_connect(now) {
            let conn = self.next_conn;
            self.next_conn += 1;
            self.actions.push(Action::Connect { conn, address: state.address.clone() });
            self.conns.insert(conn, Slot { node, purpose, conn: Conn::new(now) });
            self.by_purpose.insert((node, purpose), conn);
        }
        None
    }

    /// Requests on their way on a connection.
    pub(crate) fn inflight(&self, conn: ConnId) -> usize {
        self.conns.get(&conn).map_or(0, |s| s.conn.inflight.len())
    }

    /// When a node that can't be used now may be tried again; `None` if it is connected or being connected.
    pub(crate) fn retry_at(&self, node: Node) -> Option<Instant> {
        self.nodes.get(&node)?.retry_at
    }

    /// Why a broker cannot be reached, once it has refused for the whole connect timeout without having ever
    /// answered: then waiting on is of no use to a caller, though the attempts go on.
    pub(crate) fn hopeless(&self, now: Instant, node: Node) -> Option<Error> {
        let state = self.nodes.get(&node)?;
        let since = state.failing_since.filter(|_| !state.contacted)?;
        (now >= since + self.config.connection_setup_timeout).then(|| self.describe_failure(node, state))
    }

    /// What last went wrong with a node, in full.
    pub(crate) fn last_error(&self, node: Node) -> Option<Error> {
        let state = self.nodes.get(&node)?;
        state.last_error.as_ref().map(|_| self.describe_failure(node, state))
    }

    fn bootstrap_list(&self) -> String {
        let list: Vec<String> = self.config.bootstrap_servers.iter().map(HostPort::to_string).collect();
        list.join(", ")
    }

    fn describe_failure(&self, node: Node, state: &NodeState) -> Error {
        let Some(cause) = &state.last_error else {
            return Error::new(ErrorCode::CONNECT, format!("{} has not been tried yet", state.address));
        };
        let text = match node {
            Node::Bootstrap(_) => {
                let advice = match cause.code() {
                    ErrorCode::CONNECT => "; is a Kafka broker running there, and are host and port right?",
                    ErrorCode::DNS => "; check the host name in bootstrap.servers",
                    _ => "",
                };
                format!("bootstrap server {}: {}{advice}", state.address, cause.message())
            }
            Node::Id(id) if state.contacted => {
                format!("broker {id} at {}: {}", state.address, cause.message())
            }
            Node::Id(id) => format!(
                "broker {id} advertises {}, which cannot be reached from here: {}; the cluster was found through \
                 bootstrap.servers={}, so check advertised.listeners in that broker's settings",
                state.address,
                cause.message(),
                self.bootstrap_list()
            ),
        };
        Error::new(cause.code(), text)
    }

    /// The failures of every node that has one, a line each: for `connect` and for "no broker could be reached".
    pub(crate) fn describe_failures(&self) -> Option<Error> {
        let failures: Vec<Error> =
            self.nodes.keys().filter_map(|node| self.last_error(*node)).collect();
        let code = failures.first()?.code();
        let lines: Vec<&str> = failures.iter().map(Error::message).collect();
        Some(Error::new(code, lines.join("; ")))
    }

    /// The address of a node, for messages.
    pub(crate) fn address(&self, node: Node) -> String {
        match (node, self.nodes.get(&node)) {
            (Node::Id(id), Some(state)) => format!("broker {id} at {}", state.address),
            (Node::Bootstrap(_), Some(state)) => format!("bootstrap server {}", state.address),
            (_, None) => "a broker that has left".to_owned(),
        }
    }

    /// A ready control connection to any broker, the controller if asked for. Opens one where there is none.
    pub(crate) fn any_conn(&mut self, now: Instant) -> Option<(Node, ConnId)> {
        let ready = self.conns.iter().filter(|(_, s)| {
            s.purpose == Purpose::Control
                && s.conn.stage == Stage::Ready
                && s.conn.muted_until.is_none_or(|t| t <= now)
        });
        // Brokers by id before bootstrap entries, then whoever has the least to do.
        let best = ready.min_by_key(|(_, s)| (matches!(s.node, Node::Bootstrap(_)), s.conn.inflight.len()));
        if let Some((id, slot)) = best {
            return Some((slot.node, *id));
        }
        let opening =
            self.conns.values().any(|s| s.purpose == Purpose::Control && s.conn.stage != Stage::Ready);
        if opening {
            return None;
        }
        let mut candidates: Vec<Node> = self
            .nodes
            .iter()
            .filter(|(_, s)| s.may_connect(now))
            .map(|(n, _)| *n)
            .collect();
        // Known brokers first, while they don't fail; then the bootstrap entries again (KIP-899).
        let by_id = candidates.iter().any(|n| {
            matches!(n, Node::Id(_)) && self.nodes.get(n).is_some_and(|s| s.failures == 0)
        });
        if by_id {
            candidates.retain(|n| matches!(n, Node::Id(_)));
        }
        let least = candidates.iter().filter_map(|n| self.nodes.get(n)).map(|s| s.failures).min()?;
        candidates.retain(|n| self.nodes.get(n).is_some_and(|s| s.failures == least));
        let pick = *candidates.get(self.rng.below(candidates.len()))?;
        self.conn(now, pick, Purpose::Control).map(|id| (pick, id))
    }

    /// The API version both sides speak on a connection.
    pub(crate) fn version(&self, conn: ConnId, key: i16, ours: (i16, i16)) -> Result<i16> {
        match self.conns.get(&conn) {
            Some(slot) => slot.conn.versions.pick(key, ours),
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
    pub(crate) fn send(&mut self, now: Instant, conn: ConnId, call: Call, timeout: Duration, tag: T, answered: bool) {
        self.send_tagged(now, conn, call, timeout, Tag::Role(tag), answered);
    }

    fn send_tagged(&mut self, now: Instant, conn: ConnId, call: Call, timeout: Duration, tag: Tag<T>, answered: bool) {
        if let Some(slot) = self.conns.get_mut(&conn) {
            let (frame, expect) = slot.conn.send(now, call, timeout, tag, answered);
            self.actions.push(Action::Write { conn, frame, expect });
        }
    }

    /// Lets a connection rest for as long as its broker asked (KIP-219).
    pub(crate) fn throttle(&mut self, now: Instant, node: Node, purpose: Purpose, ms: i32) {
        if ms > 0
            && let Some(slot) = self.by_purpose.get(&(node, purpose)).and_then(|id| self.conns.get_mut(id))
        {
            slot.conn.muted_until = Some(now + Duration::from_millis(ms as u64));
        }
    }

    /// The driver connected.
    pub(crate) fn on_connected(&mut self, now: Instant, id: ConnId) {
        if let Some(slot) = self.conns.get_mut(&id) {
            slot.conn.stage = Stage::Negotiating;
            // The newest version first; a broker that doesn't know it answers in version 0 what it does know.
            self.ask_versions(now, id, ApiVersionsRequest::VERSIONS.max);
        }
    }

    fn ask_versions(&mut self, now: Instant, id: ConnId, version: i16) {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("ottla"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        match Call::encode(&self.config.client_id, version, &request) {
            Ok(call) => self.send_tagged(now, id, call, self.config.request_timeout, Tag::Versions(version), true),
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
        let Some(slot) = self.conns.get(&id) else { return };
        let (node, stage) = (slot.node, slot.conn.stage);
        let error = match stage {
            Stage::Negotiating => {
                let hint = if error.code() == ErrorCode::CONNECT {
                    " before it answered the first request; is TLS or SASL expected on this port (security.protocol)?"
                } else {
                    ""
                };
                Error::new(error.code(), format!("{}{hint}", error.message()))
            }
            Stage::Connecting | Stage::Ready => error,
        };
        let backoff = Backoff {
            first: self.config.reconnect_backoff,
            last: self.config.reconnect_backoff_max,
        };
        if let Some(state) = self.nodes.get_mut(&node) {
            state.failed(now, backoff, &mut self.rng, error.clone());
        }
        let described = self.last_error(node).unwrap_or_else(|| error.clone());
        let wall = (self.wall)();
        self.log.log(Level::Warn, "broker", &format!("{node:?}"), now, wall, || described.message().to_owned());
        self.forget(id, &described);
        self.refresh.wanted = true;
    }

    /// Drops a connection's state and tells the owners of its requests.
    fn forget(&mut self, id: ConnId, error: &Error) {
        let Some(slot) = self.conns.remove(&id) else { return };
        self.by_purpose.remove(&(slot.node, slot.purpose));
        for request in slot.conn.inflight {
            match request.tag {
                Tag::Metadata => self.refresh.inflight = false,
                Tag::Versions(_) => {}
                Tag::Role(tag) => {
                    let error = error.context(rpc::api_name(request.key));
                    self.events.push_back(Event::Failed { node: slot.node, tag, error });
                }
            }
        }
    }

    /// Bytes of an answer, or of a part of one.
    pub(crate) fn on_arrival(&mut self, now: Instant, id: ConnId, arrival: Arrival) {
        let Some(slot) = self.conns.get_mut(&id) else { return };
        let node = slot.node;
        match arrival {
            Arrival::Whole(correlation, body) => {
                let Some(request) = slot.conn.answered(now, correlation) else { return };
                match request.tag {
                    Tag::Versions(version) => self.on_versions(now, id, node, version, body),
                    Tag::Metadata => self.on_metadata(now, id, request.version, body),
                    Tag::Role(tag) => {
                        self.events.push_back(Event::Response { node, tag, version: request.version, body });
                    }
                }
            }
            Arrival::Fetch(correlation, part) => {
                let last = matches!(part, FetchPart::End(_));
                let Some(request) = slot.conn.oldest(correlation) else { return };
                if let Tag::Role(tag) = &request.tag {
                    self.events.push_back(Event::FetchPart { node, tag: tag.clone(), part });
                }
                if last {
                    slot.conn.answered(now, correlation);
                }
            }
        }
    }

    fn on_versions(&mut self, now: Instant, id: ConnId, node: Node, asked: i16, body: Bytes) {
        // An UNSUPPORTED_VERSION answer comes in version 0, whatever was asked for (KIP-511).
        let refused = body.get(..2) == Some(&ErrorCode::UNSUPPORTED_VERSION.0.to_be_bytes()[2..]);
        let version = if refused { 0 } else { asked };
        let response = match rpc::decode::<ApiVersionsRequest>(version, body) {
            Ok(response) => response,
            Err(e) => return self.fail_conn(now, id, e.context("negotiating API versions")),
        };
        if refused && asked > 0 {
            let best = response.api_keys.iter().find(|a| a.api_key == ApiVersionsRequest::KEY).map_or(0, |a| a.max_version);
            return self.ask_versions(now, id, best.clamp(0, asked - 1));
        }
        if response.error_code != 0 {
            let code = ErrorCode(i32::from(response.error_code));
            let e = Error::new(code, format!("the broker refused to tell its API versions: {}", code.name()));
            return self.fail_conn(now, id, e);
        }
        if let Some(slot) = self.conns.get_mut(&id) {
            slot.conn.versions = rpc::Versions::from_response(&response);
            slot.conn.stage = Stage::Ready;
        }
        if let Some(state) = self.nodes.get_mut(&node) {
            if state.failures > 0 {
                let address = state.address.to_string();
                self.log.log(Level::Info, "broker", &format!("back {node:?}"), now, (self.wall)(), || {
                    format!("connected to {address} again")
                });
            }
            state.succeeded();
        }
    }

    fn on_metadata(&mut self, now: Instant, id: ConnId, version: i16, body: Bytes) {
        self.refresh.inflight = false;
        let response = match rpc::decode::<MetadataRequest>(version, body) {
            Ok(response) => response,
            Err(e) => return self.fail_conn(now, id, e),
        };
        if response.error_code == ErrorCode::REBOOTSTRAP_REQUIRED.0 as i16 {
            self.nodes.retain(|node, _| matches!(node, Node::Bootstrap(_)));
            self.refresh.wanted = true;
            return;
        }
        for broker in &response.brokers {
            self.add_node(broker.node_id.0, &broker.host, broker.port, broker.rack.as_ref().map(|r| r.to_string()));
        }
        let present: Vec<Node> = response.brokers.iter().map(|b| Node::Id(b.node_id.0)).collect();
        if !present.is_empty() {
            let gone: Vec<Node> =
                self.nodes.keys().filter(|n| matches!(n, Node::Id(_)) && !present.contains(n)).copied().collect();
            for node in gone {
                self.drop_node_conns(node, &Error::new(ErrorCode::CONNECT, "the broker left the cluster"));
                self.nodes.remove(&node);
            }
        }
        self.controller = response.controller_id.0;
        self.cluster_id = response.cluster_id.as_ref().map(|c| c.to_string());
        self.topics.update(now, &response);
        self.contacted = true;
        self.refresh.last = Some(now);
        if self.topics.incomplete() {
            self.refresh.fruitless = self.refresh.fruitless.saturating_add(1);
            self.refresh.wanted = true;
        } else {
            self.refresh.fruitless = 0;
        }
        let backoff = Backoff { first: self.config.retry_backoff, last: self.config.retry_backoff_max };
        self.refresh.not_before = Some(now + backoff.after(self.refresh.fruitless.max(1), &mut self.rng));
        self.events.push_back(Event::Metadata);
    }

    /// Does what time asks for; called after every event and when [`Core::deadline`] is due.
    pub(crate) fn poll(&mut self, now: Instant) {
        self.expire_requests(now);
        self.close_idle(now);
        if !self.contacted && !self.reported_unreachable && now >= self.started + self.config.connection_setup_timeout {
            self.reported_unreachable = true;
            let why = self.describe_failures().unwrap_or_else(|| Error::new(ErrorCode::CONNECT, "no broker answered"));
            let text = format!(
                "no broker could be reached within {:?} (socket.connection.setup.timeout.ms): {}",
                self.config.connection_setup_timeout,
                why.message()
            );
            self.events.push_back(Event::Unreachable(Error::new(why.code(), text)));
        }
        let aged = self.refresh.last.is_none_or(|last| now >= last + self.config.metadata_max_age);
        if (self.refresh.wanted || aged)
            && !self.refresh.inflight
            && self.refresh.not_before.is_none_or(|t| t <= now)
            && let Some((_, conn)) = self.any_conn(now)
        {
            self.ask_metadata(now, conn);
        }
    }

    fn ask_metadata(&mut self, now: Instant, conn: ConnId) {
        let topics: Vec<MetadataRequestTopic> = self
            .topics
            .names()
            .map(|name| {
                MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_string(name.to_string()))))
            })
            .collect();
        let request = MetadataRequest::default()
            .with_topics(if self.refresh.topics_all { None } else { Some(topics) })
            .with_allow_auto_topic_creation(self.config.allow_auto_create_topics);
        let sent = self
            .version(conn, MetadataRequest::KEY, (1, MetadataRequest::VERSIONS.max))
            .and_then(|version| Call::encode(&self.config.client_id, version, &request));
        match sent {
            Ok(call) => {
                self.refresh.inflight = true;
                self.refresh.wanted = false;
                self.send_tagged(now, conn, call, self.config.request_timeout, Tag::Metadata, true);
            }
            Err(e) => self.fail_conn(now, conn, e),
        }
    }

    fn expire_requests(&mut self, now: Instant) {
        let late: Vec<ConnId> = self
            .conns
            .iter()
            .filter(|(_, s)| s.conn.deadline().is_some_and(|d| d <= now))
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            let Some(slot) = self.conns.get(&id) else { continue };
            let Some(request) = slot.conn.inflight.iter().find(|r| r.deadline <= now) else { continue };
            let waited = now.saturating_duration_since(request.sent);
            let text = format!("no answer to {} within {waited:.1?}; the connection is closed", rpc::api_name(request.key));
            self.fail_conn(now, id, Error::new(ErrorCode::TIMED_OUT, text));
        }
    }

    fn close_idle(&mut self, now: Instant) {
        let limit = self.config.connections_max_idle;
        let idle: Vec<ConnId> = self
            .conns
            .iter()
            .filter(|(_, s)| s.conn.inflight.is_empty() && s.conn.stage == Stage::Ready && now >= s.conn.last_used + limit)
            .map(|(id, _)| *id)
            .collect();
        for id in idle {
            self.actions.push(Action::Close { conn: id });
            self.forget(id, &Error::new(ErrorCode::CONNECT, "closed after connections.max.idle.ms"));
        }
    }

    /// When [`Core::poll`] has something to do next.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        let requests = self.conns.values().filter_map(|s| s.conn.deadline());
        let mutes = self.conns.values().filter_map(|s| s.conn.muted_until.filter(|t| *t > now));
        let limit = self.config.connections_max_idle;
        let idle = self
            .conns
            .values()
            .filter(|s| s.conn.inflight.is_empty() && s.conn.stage == Stage::Ready)
            .map(|s| s.conn.last_used + limit);
        let unreachable = (!self.contacted && !self.reported_unreachable)
            .then(|| self.started + self.config.connection_setup_timeout);
        let refresh = (!self.refresh.inflight).then(|| self.refresh_deadline(now)).flatten();
        requests.chain(mutes).chain(idle).chain(unreachable).chain(refresh).min()
    }

    /// When metadata can be asked for next; `None` while something else will wake us before.
    fn refresh_deadline(&self, now: Instant) -> Option<Instant> {
        let mut due = if self.refresh.wanted {
            now
        } else {
            self.refresh.last.map_or(now, |last| last + self.config.metadata_max_age)
        };
        due = self.refresh.not_before.map_or(due, |t| t.max(due));
        let control: Vec<&Conn<Tag<T>>> =
            self.conns.values().filter(|s| s.purpose == Purpose::Control).map(|s| &s.conn).collect();
        if let Some(usable) = control
            .iter()
            .filter(|c| c.stage == Stage::Ready)
            .map(|c| c.muted_until.unwrap_or(now))
            .min()
        {
            return Some(due.max(usable));
        }
        if !control.is_empty() {
            return None; // its connection stands soon, or fails
        }
        let reachable = self.nodes.values().map(|s| s.retry_at.unwrap_or(now)).min()?;
        Some(due.max(reachable))
    }

    /// Asks for every topic's metadata from now on, as listing does.
    pub(crate) fn want_all_topics(&mut self) {
        self.refresh.topics_all = true;
        self.refresh.wanted = true;
    }
}
