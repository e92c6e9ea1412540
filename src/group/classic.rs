//! Membership by the classic protocol: JoinGroup, SyncGroup, Heartbeat, LeaveGroup (KIP-62, KIP-345, KIP-394, KIP-429).
//!
//! One member is the leader, and shares out the partitions for all. Giving partitions up before a join is the business of
//! [`super::membership`]; this says when a join is wanted, makes it, and tells what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::client::to_assign::GroupToAssign;
use crate::clock::earliest;
use crate::cluster::core::{Core, Purpose};
use crate::cluster::metadata::TopicState;
use crate::cluster::nodes::{Backoff, Node};
use crate::error::{Error, ErrorCode, Result};
use crate::group::assignors::{Member, Shares, Topics};
use crate::group::metadata::{self, Own};
use crate::group::own_assignor::Strategy;
use crate::group::signal::Signal;
use crate::group::tag::{Ask, GroupTag, Identity};
use crate::group::terms::Terms;
use crate::group::words::{Trouble, advice, trouble};
use crate::net::conn::ConnId;
use crate::net::rpc::{self, Call};
use crate::protocol::wire::string;
use crate::topic::TopicPartition;

const JOIN_GROUP: i16 = 11;
const SYNC_GROUP: i16 = 14;
const LEAVE_GROUP: i16 = 13;
const HEARTBEAT: i16 = 12;
/// From here on members can be static.
const STATIC_JOIN: i16 = 5;
const STATIC_SYNC: i16 = 3;
/// From here on several members leave at once, and say why from version 5 on.
const LEAVE_BATCHED: i16 = 3;
/// A broker parks a join for as long as the others take; this much longer is waited for its answer (as in Java).
const PARKED: Duration = Duration::from_secs(5);
/// A leader waits no longer for the metadata of topics that only others want.
const STRANGERS: Duration = Duration::from_secs(5);

/// A program that had no answer is asked again after this.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The topics that members want, with the racks of each partition's replicas.
fn topics_of(core: &Core<impl GroupTag>, members: &[Member]) -> Topics {
    let racks: BTreeMap<i32, &String> = core
        .brokers()
        .filter_map(|(id, state)| Some((id, state.rack.as_ref()?)))
        .collect();
    let wanted: BTreeSet<&Arc<str>> = members.iter().flat_map(|m| &m.topics).collect();
    let mut topics = Topics::new();
    for topic in wanted {
        let Some(meta) = core.topics.known(topic) else {
            continue;
        };
        let of_partition = meta.partitions.iter().map(|p| {
            let racks = p.nodes.replicas.iter().filter_map(|id| racks.get(id));
            racks.map(ToString::to_string).collect()
        });
        topics.insert(topic.clone(), of_partition.collect());
    }
    topics
}

fn encode(shares: Shares) -> Result<Vec<(String, Bytes)>> {
    let each = shares.into_iter();
    each.map(|(member, share)| Ok((member, metadata::assignment(&share)?)))
        .collect()
}

#[derive(Debug)]
enum State {
    /// Not in the group, or to join it again once what has to be given up is.
    Out,
    /// A join is to be sent.
    ToJoin,
    Joining,
    /// The leader waits for metadata of the topics that members want.
    Sharing {
        members: Vec<Member>,
        since: Instant,
    },
    /// The program shares them out; heartbeats go on meanwhile.
    Asked {
        number: u64,
        partitions: BTreeMap<Arc<str>, usize>,
    },
    ToSync(Vec<(String, Bytes)>),
    Syncing,
    Stable,
}

/// One membership.
#[derive(Debug)]
pub(crate) struct Classic {
    terms: Arc<Terms>,
    /// Requests of an earlier life are told by an older number.
    serial: u32,
    member_id: String,
    generation: i32,
    /// The strategy the group has agreed on.
    protocol: Option<Strategy>,
    /// How often the program was asked to share out.
    asked: u64,
    state: State,
    /// Why a join is wanted.
    rejoin: Option<String>,
    /// Why another join is wanted behind the one on its way, which does not know of it.
    rejoin_again: Option<String>,
    not_before: Option<Instant>,
    failures: u32,
    heartbeat_at: Instant,
    /// The generation of the heartbeat on its way.
    heartbeat: Option<i32>,
    /// A join was sent, and none has been answered with a generation since: the broker may have begun the next one. Joins
    /// go on a connection of their own, so what was sent before one may be refused for a generation that is over.
    in_doubt: bool,
    /// When the coordinator was last heard of.
    heard: Instant,
    /// The topics and numbers of partitions that a leader has shared out.
    shared_out: Option<BTreeMap<Arc<str>, usize>>,
    /// What it had in `generation`, for sticky strategies.
    last: BTreeSet<TopicPartition>,
}

/// Reads an answer to SyncGroup. Of a refusal only the code counts: librdkafka's mock broker leaves the assignment null
/// there.
pub(crate) fn read_sync(version: i16, body: Bytes) -> Result<SyncGroupResponse> {
    if (1..STATIC_SYNC + 1).contains(&version)
        && let Some([_, _, _, _, high, low]) = body.first_chunk::<6>()
    {
        let code = i16::from_be_bytes([*high, *low]);
        if code != 0 {
            return Ok(SyncGroupResponse::default().with_error_code(code));
        }
    }
    rpc::decode::<SyncGroupRequest>(version, body)
}

impl Classic {
    pub(crate) fn new(terms: Arc<Terms>, serial: u32, now: Instant) -> Self {
        Classic {
            terms,
            serial,
            member_id: String::new(),
            generation: -1,
            protocol: None,
            asked: 0,
            state: State::Out,
            rejoin: Some("subscribed".to_owned()),
            rejoin_again: None,
            not_before: None,
            failures: 0,
            heartbeat_at: now,
            heartbeat: None,
            in_doubt: false,
            heard: now,
            shared_out: None,
            last: BTreeSet::new(),
        }
    }

    /// True if the broker may have begun a generation that this member has not heard of.
    pub(crate) fn in_doubt(&self) -> bool {
        self.in_doubt
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity {
            generation: self.generation,
            member_id: if self.generation >= 0 {
                self.member_id.clone()
            } else {
                String::new()
            },
            instance_id: self.terms.instance_id.clone(),
        }
    }

    /// True if all is given up before a join: so it is unless every strategy is cooperative, which holds until the group
    /// has agreed on one.
    pub(crate) fn eager(&self) -> bool {
        !self.strategies().all(|s| s.cooperative())
    }

    /// The favourite first.
    fn strategies(&self) -> impl Iterator<Item = Strategy> {
        let own = self.terms.own_assignor.iter().cloned().map(Strategy::Own);
        own.chain(self.terms.assignors.iter().copied().map(Strategy::Known))
    }

    /// True if it is time to give up what has to be, and join.
    pub(crate) fn wants_join(&self, now: Instant) -> bool {
        self.rejoin.is_some()
            && matches!(self.state, State::Out | State::Stable | State::Asked { .. })
            && self.not_before.is_none_or(|t| t <= now)
    }

    /// Wants a join, at the next opportunity.
    pub(crate) fn rejoin(&mut self, why: impl Into<String>) {
        let reason = match self.state {
            State::Joining => &mut self.rejoin_again,
            _ => &mut self.rejoin,
        };
        reason.get_or_insert_with(|| why.into());
    }

    /// Everything is given up that has to be.
    pub(crate) fn join(&mut self) {
        self.state = State::ToJoin;
    }

    /// The topics that others in the group want, which the leader has to know.
    pub(crate) fn uses(&self, topic: &str) -> bool {
        match (&self.state, &self.shared_out) {
            (State::Sharing { members, .. }, _) => members.iter().any(|m| m.topics.contains(topic)),
            (_, Some(shared)) => shared.contains_key(topic),
            _ => false,
        }
    }

    /// Topics have changed: a leader sees whether it has to share out anew.
    pub(crate) fn on_metadata(&mut self, core: &Core<impl GroupTag>) {
        // Who leads after a join shares out what there is by then.
        let joining = matches!(self.state, State::Joining);
        let Some(shared) = self.shared_out.as_ref().filter(|_| !joining) else {
            return;
        };
        let changed = shared.iter().find(|(topic, count)| {
            core.topics
                .known(topic)
                .is_some_and(|meta| meta.partitions.len() != **count)
        });
        if let Some((topic, _)) = changed {
            let why = format!("topic {topic} has changed");
            self.rejoin(why);
        }
    }

    /// Which kinds of connection it has something to send on.
    pub(crate) fn wants(&self, now: Instant) -> (bool, bool) {
        let due = self.not_before.is_none_or(|t| t <= now);
        let join = due
            && matches!(
                self.state,
                State::ToJoin | State::Sharing { .. } | State::ToSync(_)
            );
        let heartbeat = self.beats() && self.heartbeat.is_none() && self.heartbeat_at <= now;
        (join, heartbeat)
    }

    fn beats(&self) -> bool {
        matches!(self.state, State::Stable | State::Asked { .. })
    }

    /// When to look again though nothing else happens.
    pub(crate) fn deadline(&self, now: Instant) -> Option<Instant> {
        // What is due already waits for the coordinator's connection.
        let heartbeat = self.beats() && self.heartbeat.is_none() && self.heartbeat_at > now;
        let patience = match self.state {
            State::Sharing { since, .. } => Some(since + STRANGERS),
            _ => None,
        };
        earliest(
            earliest(
                heartbeat.then_some(self.heartbeat_at),
                self.not_before.filter(|t| *t > now),
            ),
            patience.filter(|t| *t > now),
        )
    }

    /// Sends what is to be sent on the connection that may be parked.
    pub(crate) fn send_join(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        (_, conn): (Node, ConnId),
        own: &Own,
        signals: &mut Vec<Signal>,
    ) {
        if let State::Sharing { members, since } = &self.state {
            let patient = now < *since + STRANGERS;
            if members.iter().flat_map(|m| &m.topics).any(|t| {
                core.want_topic(t);
                patient && matches!(core.topics.get(t), Some(TopicState::Unasked) | None)
            }) {
                return;
            }
            match self.share_out(core, now, signals) {
                Ok(Some(shares)) => self.state = State::ToSync(shares),
                Ok(None) => return,
                Err(e) => {
                    self.state = State::Out;
                    return self.retry(core, now, &e, signals);
                }
            }
        }
        let sent = match &self.state {
            State::ToJoin => self
                .join_request(core, now, conn, own)
                .map(|()| State::Joining),
            State::ToSync(shares) => self
                .sync_request(core, now, conn, shares)
                .map(|()| State::Syncing),
            _ => return,
        };
        self.not_before = None;
        match sent {
            Ok(state) => {
                if matches!(state, State::Joining) {
                    self.last = own.last.clone();
                    self.in_doubt = true;
                }
                self.state = state;
            }
            Err(e) => {
                self.state = State::Out;
                self.retry(core, now, &e, signals);
            }
        }
    }

    fn join_request(
        &self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        conn: ConnId,
        own: &Own,
    ) -> Result<()> {
        let terms = &self.terms;
        let protocols: Result<Vec<JoinGroupRequestProtocol>> = self
            .strategies()
            .map(|strategy| {
                Ok(JoinGroupRequestProtocol::default()
                    .with_name(string(strategy.name()))
                    .with_metadata(metadata::subscription(&strategy, own)?))
            })
            .collect();
        if terms.instance_id.is_some() {
            core.need(conn, JOIN_GROUP, STATIC_JOIN, "`group.instance.id`")?;
        }
        // Where version 6 is the newest, the one before says the same: librdkafka's mock broker offers 6 and can't read it.
        let version = match core.version(conn, JOIN_GROUP, (0, 9))? {
            6 => STATIC_JOIN,
            version => version,
        };
        let ms = |d: Duration| i32::try_from(d.as_millis()).unwrap_or(i32::MAX);
        let request = JoinGroupRequest::default()
            .with_group_id(GroupId(string(&terms.group)))
            .with_session_timeout_ms(ms(terms.session_timeout))
            .with_rebalance_timeout_ms(ms(terms.rebalance_timeout))
            .with_member_id(string(&self.member_id))
            .with_group_instance_id(terms.instance_id.as_deref().map(string))
            .with_protocol_type(StrBytes::from_static_str("consumer"))
            .with_protocols(protocols?)
            .with_reason(self.rejoin.as_deref().filter(|_| version >= 8).map(string));
        let call = Call::encode(&core.config.client_id, version, &request)?;
        let timeout = core
            .config
            .request_timeout
            .max(terms.rebalance_timeout.saturating_add(PARKED));
        let tag = Ask::Join(self.serial).into();
        core.send(now, conn, call, timeout, tag, true);
        Ok(())
    }

    fn sync_request(
        &self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        conn: ConnId,
        shares: &[(String, Bytes)],
    ) -> Result<()> {
        let terms = &self.terms;
        if terms.instance_id.is_some() {
            core.need(conn, SYNC_GROUP, STATIC_SYNC, "`group.instance.id`")?;
        }
        // As with JoinGroup, version 4 says what version 3 does.
        let version = match core.version(conn, SYNC_GROUP, (0, 5))? {
            4 => STATIC_SYNC,
            version => version,
        };
        let rows = shares.iter().map(|(member, share)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(string(member))
                .with_assignment(share.clone())
        });
        let named = self.protocol.as_ref().filter(|_| version >= 5);
        let request = SyncGroupRequest::default()
            .with_group_id(GroupId(string(&terms.group)))
            .with_generation_id(self.generation)
            .with_member_id(string(&self.member_id))
            .with_group_instance_id(terms.instance_id.as_deref().map(string))
            .with_protocol_type(named.map(|_| StrBytes::from_static_str("consumer")))
            .with_protocol_name(named.map(|p| string(p.name())))
            .with_assignments(rows.collect());
        let call = Call::encode(&core.config.client_id, version, &request)?;
        let timeout = core
            .config
            .request_timeout
            .max(terms.rebalance_timeout.saturating_add(PARKED));
        core.send(
            now,
            conn,
            call,
            timeout,
            Ask::Sync(self.serial).into(),
            true,
        );
        Ok(())
    }

    /// Shares all partitions out among the members, as the leader; `None` where the program is asked to.
    fn share_out(
        &mut self,
        core: &Core<impl GroupTag>,
        now: Instant,
        signals: &mut Vec<Signal>,
    ) -> Result<Option<Vec<(String, Bytes)>>> {
        let (State::Sharing { members, .. }, Some(strategy)) = (&self.state, &self.protocol) else {
            return Ok(Some(Vec::new()));
        };
        let topics = topics_of(core, members);
        // Those that are not there yet too: when they are, the group is to be shared out anew.
        let wanted = members.iter().flat_map(|m| &m.topics);
        let counts = wanted.map(|t| (t.clone(), topics.get(t).map_or(0, Vec::len)));
        let counts = counts
            .filter(|(_, count)| *count > 0 || !planted!("late-topic-unseen"))
            .collect();
        match strategy {
            Strategy::Known(assignor) => {
                let shares = assignor.assign(members, &topics);
                self.shared_out = Some(counts);
                encode(shares).map(Some)
            }
            Strategy::Own(_) => {
                self.asked += 1;
                let ask = GroupToAssign::new(members, &topics);
                signals.push(Signal::ToAssign(self.asked, ask));
                self.state = State::Asked {
                    number: self.asked,
                    partitions: counts,
                };
                self.heartbeat_at = now + self.terms.heartbeat_interval;
                Ok(None)
            }
        }
    }

    /// The program's answer, or (`None`) that it has none: then it is asked again, after a rebalance.
    pub(crate) fn shared_out_by_program(
        &mut self,
        now: Instant,
        asked: u64,
        shares: Option<Shares>,
    ) -> Result<()> {
        let State::Asked { number, partitions } = &mut self.state else {
            return Err(self.terms.gone_on());
        };
        if *number != asked {
            return Err(self.terms.gone_on());
        }
        match shares {
            Some(shares) => {
                self.shared_out = Some(std::mem::take(partitions));
                self.state = State::ToSync(encode(shares)?);
            }
            None => {
                self.state = State::ToJoin;
                self.rejoin("the program could not share the group out");
                self.not_before = Some(now + ASK_AGAIN);
            }
        }
        Ok(())
    }

    /// Sends a heartbeat.
    pub(crate) fn send_heartbeat(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        (_, conn): (Node, ConnId),
        signals: &mut Vec<Signal>,
    ) {
        let terms = &self.terms;
        let min = if terms.instance_id.is_some() { 3 } else { 0 };
        let request = HeartbeatRequest::default()
            .with_group_id(GroupId(string(&terms.group)))
            .with_generation_id(self.generation)
            .with_member_id(string(&self.member_id))
            .with_group_instance_id(terms.instance_id.as_deref().map(string));
        let sent = core
            .version(conn, HEARTBEAT, (min, 4))
            .and_then(|version| Call::encode(&core.config.client_id, version, &request));
        match sent {
            Ok(call) => {
                // No use in waiting longer than the membership lasts.
                let timeout = core.config.request_timeout.min(terms.session_timeout);
                let tag = Ask::Heartbeat(self.serial).into();
                core.send(now, conn, call, timeout, tag, true);
                self.heartbeat = Some(self.generation);
            }
            Err(e) => {
                self.heartbeat_at = now + terms.heartbeat_interval;
                signals.push(Signal::Failing(e));
            }
        }
    }

    /// Says goodbye, if the group knows this member; true if there is an answer to wait for. Static members come back.
    pub(crate) fn send_leave(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        (_, conn): (Node, ConnId),
        why: &str,
    ) -> Result<()> {
        let version = core.version(conn, LEAVE_GROUP, (0, 5))?;
        let request =
            LeaveGroupRequest::default().with_group_id(GroupId(string(&self.terms.group)));
        let request = if version < LEAVE_BATCHED {
            request.with_member_id(string(&self.member_id))
        } else {
            let reason = (version >= 5).then(|| string(why));
            request.with_members(vec![
                MemberIdentity::default()
                    .with_member_id(string(&self.member_id))
                    .with_reason(reason),
            ])
        };
        let call = Call::encode(&core.config.client_id, version, &request)?;
        let timeout = core.config.request_timeout;
        let tag = Ask::Leave(self.serial).into();
        core.send(now, conn, call, timeout, tag, true);
        Ok(())
    }

    /// True if the group knows this member and would wait for it.
    pub(crate) fn has_to_leave(&self) -> bool {
        !self.member_id.is_empty() && self.terms.instance_id.is_none()
    }

    /// Forgets the membership; answers to what was asked for it are of no meaning any more.
    /// `known`: the group knows the member still, which keeps its id.
    pub(crate) fn reset(&mut self, serial: u32, known: bool) {
        self.serial = serial;
        self.state = State::Out;
        if !known {
            self.member_id.clear();
        }
        self.generation = -1;
        self.heartbeat = None;
        self.in_doubt = false;
        self.shared_out = None;
        self.last.clear();
    }

    /// No join before that time.
    pub(crate) fn not_before(&mut self, at: Instant) {
        self.not_before = self.not_before.max(Some(at));
    }

    pub(crate) fn serial(&self) -> u32 {
        self.serial
    }

    pub(crate) fn joined(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        node: Node,
        response: Result<JoinGroupResponse>,
        signals: &mut Vec<Signal>,
    ) {
        if !matches!(self.state, State::Joining) {
            return;
        }
        let response = match response {
            Ok(response) => response,
            Err(e) => {
                self.state = State::ToJoin;
                return self.retry(core, now, &e, signals);
            }
        };
        core.throttle(now, node, Purpose::Join, response.throttle_time_ms);
        let code = ErrorCode(i32::from(response.error_code));
        if code == ErrorCode::MEMBER_ID_REQUIRED {
            self.state = State::ToJoin;
            // An id is asked for once, so a member that has one is told nothing new.
            if self.member_id.is_empty() && !response.member_id.is_empty() {
                self.member_id = response.member_id.to_string();
            } else {
                self.pause(core, now);
            }
            return;
        }
        if code != ErrorCode::NONE {
            return self.refused(core, now, node, "joining", code, signals);
        }
        let name = response.protocol_name.as_deref().unwrap_or_default();
        let Some(protocol) = self.strategies().find(|s| s.name() == name) else {
            let text = format!(
                "joining group '{}': the group has agreed on '{name}', which is not in partition.assignment.strategy",
                self.terms.group
            );
            self.state = State::ToJoin;
            return self.retry(core, now, &Error::protocol(text), signals);
        };
        self.member_id = response.member_id.to_string();
        self.generation = response.generation_id;
        self.in_doubt = false;
        self.protocol = Some(protocol.clone());
        self.rejoin = self.rejoin_again.take();
        self.heard = now;
        self.shared_out = None;
        if response.leader != response.member_id || response.skip_assignment {
            self.state = State::ToSync(Vec::new());
            return;
        }
        let members: Result<Vec<Member>> = response
            .members
            .into_iter()
            .map(|m| {
                let instance = m.group_instance_id.as_deref();
                metadata::member(&protocol, &m.member_id, instance, m.metadata)
            })
            .collect();
        match members {
            Ok(members) => {
                self.state = State::Sharing {
                    members,
                    since: now,
                };
            }
            Err(e) => {
                self.state = State::ToJoin;
                self.retry(
                    core,
                    now,
                    &e.context("another member's subscription"),
                    signals,
                );
            }
        }
    }

    pub(crate) fn synced(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        node: Node,
        response: Result<SyncGroupResponse>,
        signals: &mut Vec<Signal>,
    ) {
        if !matches!(self.state, State::Syncing) {
            return;
        }
        let answer = response.and_then(|response| {
            core.throttle(now, node, Purpose::Join, response.throttle_time_ms);
            let code = ErrorCode(i32::from(response.error_code));
            if code == ErrorCode::NONE {
                Ok(Ok(metadata::assigned(response.assignment)?))
            } else {
                Ok(Err(code))
            }
        });
        match answer {
            Ok(Ok(target)) => {
                self.state = State::Stable;
                self.failures = 0;
                self.heard = now;
                self.heartbeat_at = now + self.terms.heartbeat_interval;
                signals.push(Signal::Target(target));
            }
            Ok(Err(code)) => self.refused(core, now, node, "synchronising", code, signals),
            Err(e) => {
                self.state = State::ToJoin;
                self.retry(core, now, &e, signals);
            }
        }
    }

    pub(crate) fn heartbeat_answered(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        node: Node,
        version: i16,
        body: Bytes,
        signals: &mut Vec<Signal>,
    ) {
        let sent = self.heartbeat.take();
        let moved_on = self.in_doubt || sent != Some(self.generation);
        self.heartbeat_at = now + self.terms.heartbeat_interval;
        match rpc::decode::<HeartbeatRequest>(version, body) {
            Ok(response) => {
                core.throttle(now, node, Purpose::Group, response.throttle_time_ms);
                self.heard = now;
                match ErrorCode(i32::from(response.error_code)) {
                    ErrorCode::NONE => signals.push(Signal::Heard),
                    // Sent for a generation that may be over; a join's answer tells what has become of the membership.
                    code if moved_on && trouble(code) != Some(Trouble::Coordinator) => {}
                    ErrorCode::REBALANCE_IN_PROGRESS => self.rejoin("the group is rebalancing"),
                    code => self.refused(core, now, node, "heartbeat in", code, signals),
                }
            }
            Err(e) => signals.push(Signal::Failing(e)),
        }
    }

    /// A heartbeat will have no answer: the next is tried soon.
    pub(crate) fn heartbeat_failed(&mut self, core: &mut Core<impl GroupTag>, now: Instant) {
        self.heartbeat = None;
        self.heartbeat_at = now + core.config.retry_backoff.min(self.terms.heartbeat_interval);
    }

    fn refused(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        node: Node,
        doing: &str,
        code: ErrorCode,
        signals: &mut Vec<Signal>,
    ) {
        let error = Error::new(
            code,
            format!(
                "{doing} group '{}': {} answered {}{}",
                self.terms.group,
                core.address(node),
                code.name(),
                advice(code)
            ),
        );
        match trouble(code) {
            Some(Trouble::Coordinator) => {
                signals.push(Signal::CoordinatorLost(error.clone()));
                self.again(core, now);
            }
            Some(Trouble::Rebalancing) => {
                self.rejoin("the group is rebalancing");
                // What has to be given up for the first join is; heartbeats tell of it in a stable group.
                if !matches!(self.state, State::Stable) {
                    self.state = State::ToJoin;
                    // At once the first time: the others are joining now.
                    if self.failures > 0 {
                        self.pause(core, now);
                    } else {
                        self.failures = 1;
                    }
                }
            }
            Some(Trouble::Member) => {
                self.rejoin(code.name());
                signals.push(Signal::Lost(error));
            }
            None => {
                self.again(core, now);
                self.pause(core, now);
                signals.push(Signal::Failing(error));
            }
        }
    }

    /// What was not answered is to be asked anew; a sync that the group did not get begins with a join.
    fn again(&mut self, core: &mut Core<impl GroupTag>, now: Instant) {
        if matches!(self.state, State::Joining | State::Syncing) {
            self.rejoin.get_or_insert_with(|| "asked again".to_owned());
            self.state = State::ToJoin;
            self.pause(core, now);
        }
    }

    fn pause(&mut self, core: &mut Core<impl GroupTag>, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        let backoff = Backoff::retries(&core.config);
        self.not_before = Some(now + backoff.after(self.failures, &mut core.rng));
    }

    fn retry(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        error: &Error,
        signals: &mut Vec<Signal>,
    ) {
        self.rejoin.get_or_insert_with(|| "asked again".to_owned());
        self.pause(core, now);
        signals.push(Signal::Failing(error.clone()));
    }

    /// A join or sync will have no answer.
    pub(crate) fn join_failed(&mut self, core: &mut Core<impl GroupTag>, now: Instant) {
        self.again(core, now);
    }
}
