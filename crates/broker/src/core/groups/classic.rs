//! A group of the classic protocol: its members agree through the broker on a leader, which assigns the partitions.
//!
//! Empty → PreparingRebalance (members join) → CompletingRebalance (the leader assigns) → Stable; a member that
//! comes, goes or changes sends it back to PreparingRebalance. Each round is a generation. A JoinGroup is answered
//! when all have joined, a SyncGroup when the leader's has come: until then the request's ticket is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use ottla_base::error::ErrorCode;

use super::answer::{Answers, Joined, Synced};
use super::classic_log::Logged;
use super::classic_member::ClassicMember;
use super::{Ticket, embedded};

/// How long a member that has not seen its id yet may stay away.
const NEW_MEMBER_TIMEOUT: Duration = Duration::from_secs(300);
/// The type of protocol of consumers, whose metadata the broker can read.
pub(crate) const CONSUMER: &str = "consumer";

/// Kafka's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClassicState {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl ClassicState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            ClassicState::Empty => "Empty",
            ClassicState::PreparingRebalance => "PreparingRebalance",
            ClassicState::CompletingRebalance => "CompletingRebalance",
            ClassicState::Stable => "Stable",
        }
    }
}

/// A JoinGroup request.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    /// Empty from somebody new.
    pub(crate) member_id: String,
    pub(crate) instance: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) protocol_type: String,
    pub(crate) protocols: Vec<(String, Bytes)>,
    /// Somebody new is told a member id and asked to come again with it.
    pub(crate) must_know_id: bool,
    /// The client understands that a leader may be told not to assign.
    pub(crate) may_skip_assignment: bool,
    /// The id for somebody new, but for the client's name in front.
    pub(crate) unique: String,
}

/// A SyncGroup request.
#[derive(Clone, Debug)]
pub(crate) struct Sync {
    pub(crate) member_id: String,
    pub(crate) instance: Option<String>,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) assignments: Vec<(String, Bytes)>,
}

/// When the joining ends whoever is missing.
#[derive(Clone, Copy, Debug)]
struct JoinLimit {
    at: Duration,
    /// Of a group that was empty: the delay, and how much longer newcomers may stretch it.
    initial: Option<(Duration, Duration)>,
}

/// The group.
#[derive(Clone, Debug)]
pub(crate) struct ClassicGroup {
    pub(crate) state: ClassicState,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    /// The assignor chosen for this generation.
    pub(crate) protocol: Option<String>,
    pub(crate) leader: Option<String>,
    pub(crate) members: BTreeMap<String, ClassicMember>,
    /// Member ids by `group.instance.id`.
    pub(super) statics: BTreeMap<String, String>,
    /// Those told an id but not back with it yet, until when they may be.
    pub(super) pending: BTreeMap<String, Duration>,
    /// Those that joined this generation and have not sent their SyncGroup.
    pub(super) pending_sync: BTreeSet<String>,
    join_limit: Option<JoinLimit>,
    pub(super) sync_limit: Option<Duration>,
    newcomer: bool,
    /// What the members subscribe to, where the broker can read it.
    pub(super) subscribed: Option<BTreeSet<String>>,
    /// How long a group that was empty waits for more members (`group.initial.rebalance.delay.ms`).
    pub(super) initial_delay: Duration,
    /// What outlives its coordinator.
    pub(super) logged: Box<Logged>,
}

impl ClassicGroup {
    pub(crate) fn new(initial_delay: Duration) -> Self {
        Self {
            state: ClassicState::Empty,
            generation: 0,
            protocol_type: None,
            protocol: None,
            leader: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            pending: BTreeMap::new(),
            pending_sync: BTreeSet::new(),
            join_limit: None,
            sync_limit: None,
            newcomer: false,
            subscribed: None,
            initial_delay,
            logged: Box::default(),
        }
    }

    /// When [`tick`](Self::tick) wants to be called.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let members = self.members.values().filter_map(|m| m.expires);
        let limits = self.join_limit.map(|l| l.at).into_iter();
        members
            .chain(limits)
            .chain(self.sync_limit)
            .chain(self.pending.values().copied())
            .min()
    }

    /// Does what has become due: sessions end, rebalances go on without those that are missing.
    pub(crate) fn tick(&mut self, now: Duration, out: &mut Answers) {
        let due = |at: Duration| at <= now;
        let pending = self.pending.iter().filter(|&(_, &at)| due(at));
        let pending: Vec<String> = pending.map(|(id, _)| id.clone()).collect();
        for id in pending {
            self.pending.remove(&id);
            self.go_on_if_all_joined(now, out);
        }
        let expired = self
            .members
            .iter()
            .filter(|(_, m)| m.expires.is_some_and(due));
        let expired: Vec<String> = expired.map(|(id, _)| id.clone()).collect();
        for id in expired {
            match self.members.get_mut(&id) {
                // A rebalance that began meanwhile has renewed it.
                Some(member) if !member.expires.is_some_and(due) => {}
                // What it waits for renews it.
                Some(member) if member.is_waiting() => member.expires = None,
                Some(_) => self.expel(now, &id, out),
                None => {}
            }
        }
        if self.sync_limit.is_some_and(due) {
            self.sync_limit = None;
            let missing = std::mem::take(&mut self.pending_sync);
            if !missing.is_empty() {
                for id in &missing {
                    self.remove(id, out);
                }
                self.prepare(now, out);
            }
        }
        if let Some(limit) = self.join_limit.filter(|l| due(l.at)) {
            match limit.initial {
                Some((delay, more)) if self.newcomer && !more.is_zero() => {
                    self.newcomer = false;
                    let next = self.initial_delay.min(more);
                    self.join_limit = Some(JoinLimit {
                        at: now + next,
                        initial: Some((next, more.saturating_sub(delay))),
                    });
                }
                _ => self.complete_join(now, out),
            }
        }
    }

    /// A member's session ends.
    pub(crate) fn expel(&mut self, now: Duration, id: &str, out: &mut Answers) {
        self.remove(id, out);
        match self.state {
            ClassicState::Stable | ClassicState::CompletingRebalance => self.prepare(now, out),
            ClassicState::PreparingRebalance => self.go_on_if_all_joined(now, out),
            ClassicState::Empty => {}
        }
    }

    pub(crate) fn join(&mut self, now: Duration, join: Join, ticket: Ticket, out: &mut Answers) {
        let id = join.member_id.clone();
        if !self.supports(&join) {
            let told = if id.is_empty() { "" } else { &id };
            return out.join(
                ticket,
                Joined::failed(told, ErrorCode::INCONSISTENT_GROUP_PROTOCOL),
            );
        }
        if id.is_empty() {
            return self.join_somebody_new(now, join, ticket, out);
        }
        if self.pending.contains_key(&id) {
            if join.instance.is_some() {
                // Only those without one are asked to come again.
                return out.join(ticket, Joined::failed(&id, ErrorCode::UNKNOWN_SERVER_ERROR));
            }
            return self.add(now, id, join, ticket, out);
        }
        let known = self.check_member(&id, join.instance.as_deref());
        let (Ok(()), Some(member)) = (known, self.members.get(&id)) else {
            let code = known.err().unwrap_or(ErrorCode::UNKNOWN_MEMBER_ID);
            return out.join(ticket, Joined::failed(&id, code));
        };
        let unchanged = member.protocols == join.protocols;
        let leads = self.leads(&id);
        match self.state {
            ClassicState::CompletingRebalance if unchanged => {
                // Its answer was lost, perhaps.
                out.join(ticket, self.joined(&id));
            }
            ClassicState::Stable if unchanged && !leads => {
                let mut joined = self.joined(&id);
                joined.members.clear();
                out.join(ticket, joined);
            }
            ClassicState::Empty => {
                out.join(ticket, Joined::failed(&id, ErrorCode::UNKNOWN_MEMBER_ID));
            }
            _ => {
                self.update(&id, &join, ticket, out);
                self.rebalance(now, out);
            }
        }
    }

    fn join_somebody_new(&mut self, now: Duration, join: Join, ticket: Ticket, out: &mut Answers) {
        let name = join.instance.as_ref().unwrap_or(&join.client_id);
        let id = format!("{name}-{}", join.unique);
        let before = join.instance.as_ref().and_then(|i| self.statics.get(i));
        if let Some(before) = before.cloned() {
            self.replace(now, &before, id, join, ticket, out);
        } else if join.instance.is_none() && join.must_know_id {
            self.pending.insert(id.clone(), now + join.session_timeout);
            out.join(ticket, Joined::failed(&id, ErrorCode::MEMBER_ID_REQUIRED));
        } else {
            self.add(now, id, join, ticket, out);
        }
    }

    fn add(&mut self, now: Duration, id: String, join: Join, ticket: Ticket, out: &mut Answers) {
        if self.is_initial() {
            self.newcomer = true;
        }
        if let Some(instance) = &join.instance {
            self.statics.insert(instance.clone(), id.clone());
        }
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type);
        }
        self.leader.get_or_insert_with(|| id.clone());
        self.pending.remove(&id);
        self.members.insert(
            id,
            ClassicMember {
                instance: join.instance,
                client_id: join.client_id,
                client_host: join.client_host,
                session_timeout: join.session_timeout,
                rebalance_timeout: join.rebalance_timeout,
                protocols: join.protocols,
                assignment: Bytes::new(),
                joining: Some(ticket),
                syncing: None,
                is_new: true,
                expires: Some(now + NEW_MEMBER_TIMEOUT),
            },
        );
        self.rebalance(now, out);
    }

    /// A client with a static member's instance id came anew: it takes the place of `before`, whose requests are
    /// fenced.
    fn replace(
        &mut self,
        now: Duration,
        before: &str,
        id: String,
        join: Join,
        ticket: Ticket,
        out: &mut Answers,
    ) {
        let leader_before = self.leader.clone();
        let Some(mut member) = self.members.remove(before) else {
            return self.add(now, id, join, ticket, out);
        };
        let fenced = ErrorCode::FENCED_INSTANCE_ID;
        if let Some(waiting) = member.joining.take() {
            out.join(waiting, Joined::failed(before, fenced));
        }
        if let Some(waiting) = member.syncing.take() {
            out.sync(waiting, Synced::failed(fenced));
        }
        self.pending_sync.remove(before);
        member.session_timeout = join.session_timeout;
        member.renew(now);
        member.is_new = false;
        self.members.insert(id.clone(), member);
        if self.leads(before) {
            self.leader = Some(id.clone());
        }
        if let Some(instance) = &join.instance {
            self.statics.insert(instance.clone(), id.clone());
        }
        self.update(&id, &join, ticket, out);
        match self.state {
            ClassicState::Stable if self.protocol == self.select_protocol() => {
                if let Some(member) = self.members.get_mut(&id) {
                    member.joining = None;
                }
                self.write_log();
                let mut joined = self.joined(&id);
                if join.may_skip_assignment {
                    joined.skip_assignment = self.leads(&id);
                } else {
                    // An old client that is told it leads would assign; it must not, so it is told the id of old.
                    joined.leader = leader_before.unwrap_or_default();
                    joined.members.clear();
                }
                out.join(ticket, joined);
            }
            ClassicState::Stable | ClassicState::CompletingRebalance => self.prepare(now, out),
            ClassicState::PreparingRebalance | ClassicState::Empty => {
                self.go_on_if_possible(now, out);
            }
        }
    }

    fn update(&mut self, id: &str, join: &Join, ticket: Ticket, out: &mut Answers) {
        if let Some(member) = self.members.get_mut(id) {
            member.protocols.clone_from(&join.protocols);
            member.rebalance_timeout = join.rebalance_timeout;
            member.session_timeout = join.session_timeout;
            // One that it sent before, over a connection it has given up.
            if let Some(before) = member.joining.replace(ticket) {
                let code = ErrorCode::REBALANCE_IN_PROGRESS;
                out.join(before, Joined::failed(id, code));
            }
        }
    }

    /// Takes a member out, and tells it so if it waits; another leads if it led.
    pub(super) fn remove(&mut self, id: &str, out: &mut Answers) {
        if let Some(member) = self.members.remove(id) {
            if let Some(ticket) = member.joining {
                out.join(ticket, Joined::failed("", ErrorCode::UNKNOWN_MEMBER_ID));
            }
            if let Some(ticket) = member.syncing {
                out.sync(ticket, Synced::failed(ErrorCode::UNKNOWN_MEMBER_ID));
            }
            if let Some(instance) = member.instance {
                self.statics.remove(&instance);
            }
        }
        if self.leads(id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.pending.remove(id);
        self.pending_sync.remove(id);
    }

    /// Sends the group into a rebalance, unless it is in one already, which may be complete now.
    pub(super) fn rebalance(&mut self, now: Duration, out: &mut Answers) {
        if self.state == ClassicState::PreparingRebalance {
            self.go_on_if_possible(now, out);
        } else {
            self.prepare(now, out);
        }
    }

    pub(super) fn prepare(&mut self, now: Duration, out: &mut Answers) {
        if self.state == ClassicState::CompletingRebalance {
            for member in self.members.values_mut() {
                member.assignment = Bytes::new();
                if let Some(ticket) = member.syncing.take() {
                    member.renew(now);
                    out.sync(ticket, Synced::failed(ErrorCode::REBALANCE_IN_PROGRESS));
                }
            }
        }
        self.pending_sync.clear();
        self.sync_limit = None;
        let initial = self.state == ClassicState::Empty;
        self.state = ClassicState::PreparingRebalance;
        if initial {
            self.newcomer = false;
            let more = self.rebalance_timeout().saturating_sub(self.initial_delay);
            self.join_limit = Some(JoinLimit {
                at: now + self.initial_delay,
                initial: Some((self.initial_delay, more)),
            });
        } else if self.all_joined() {
            self.complete_join(now, out);
        } else {
            self.limit_join(now);
        }
    }

    fn limit_join(&mut self, now: Duration) {
        self.join_limit = Some(JoinLimit {
            at: now + self.rebalance_timeout(),
            initial: None,
        });
    }

    /// Whether this is the first rebalance of a group that was empty, which waits for its delay to pass.
    fn is_initial(&self) -> bool {
        self.state == ClassicState::PreparingRebalance
            && self.join_limit.is_some_and(|l| l.initial.is_some())
    }

    fn all_joined(&self) -> bool {
        self.pending.is_empty() && self.members.values().all(|m| m.joining.is_some())
    }

    pub(super) fn go_on_if_possible(&mut self, now: Duration, out: &mut Answers) {
        if !self.is_initial() {
            self.go_on_if_all_joined(now, out);
        }
    }

    pub(super) fn go_on_if_all_joined(&mut self, now: Duration, out: &mut Answers) {
        if self.state == ClassicState::PreparingRebalance && self.all_joined() {
            self.complete_join(now, out);
        }
    }

    /// The joining ends: those that did not come are out, the others learn the new generation.
    fn complete_join(&mut self, now: Duration, out: &mut Answers) {
        self.join_limit = None;
        let away = self.members.iter().filter(|(_, m)| m.joining.is_none());
        let gone: Vec<String> = away
            .filter(|(_, m)| m.instance.is_none())
            .map(|(id, _)| id.clone())
            .collect();
        for id in &gone {
            self.remove(id, out);
        }
        if !self.elect_a_leader_that_joined() && !self.members.is_empty() {
            // Only static members, and none came back: until their sessions end.
            return self.limit_join(now);
        }
        self.generation += 1;
        self.pending_sync.clear();
        if self.members.is_empty() {
            self.protocol = None;
            self.subscribed = self.is_of_consumers().then(BTreeSet::new);
            self.state = ClassicState::Empty;
            self.write_log();
            return;
        }
        self.choose_protocol();
        self.state = ClassicState::CompletingRebalance;
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let joined = self.joined(&id);
            if let Some(member) = self.members.get_mut(&id) {
                if let Some(ticket) = member.joining.take() {
                    out.join(ticket, joined);
                }
                member.renew(now);
                member.is_new = false;
            }
            self.pending_sync.insert(id);
        }
        self.sync_limit = Some(now + self.rebalance_timeout());
    }

    fn elect_a_leader_that_joined(&mut self) -> bool {
        let Some(leader) = &self.leader else {
            return false;
        };
        let joined = |m: &ClassicMember| m.joining.is_some();
        if self.members.get(leader).is_some_and(joined) {
            return true;
        }
        let Some((id, _)) = self.members.iter().find(|(_, m)| joined(m)) else {
            return false;
        };
        self.leader = Some(id.clone());
        true
    }

    pub(super) fn leads(&self, id: &str) -> bool {
        self.leader.as_deref() == Some(id)
    }

    /// What a member learns when the joining is complete; the leader learns of all.
    fn joined(&self, id: &str) -> Joined {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let members = self.members.iter().filter(|_| self.leads(id));
        Joined {
            code: ErrorCode::NONE,
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment: false,
            member_id: id.to_owned(),
            members: members
                .map(|(id, m)| (id.clone(), m.instance.clone(), m.metadata(protocol)))
                .collect(),
        }
    }

    /// The longest any member wants to be waited for.
    fn rebalance_timeout(&self) -> Duration {
        let each = self.members.values().map(|m| m.rebalance_timeout);
        each.max().unwrap_or_default()
    }

    fn supports(&self, join: &Join) -> bool {
        if self.state == ClassicState::Empty {
            return !join.protocol_type.is_empty() && !join.protocols.is_empty();
        }
        let by_all = |name: &str| self.members.values().all(|m| m.has_protocol(name));
        self.protocol_type.as_ref() == Some(&join.protocol_type)
            && join.protocols.iter().any(|(name, _)| by_all(name))
    }

    /// Chooses the assignor of a generation, and with it what is known of the members' subscriptions.
    pub(super) fn choose_protocol(&mut self) {
        self.protocol = self.select_protocol();
        self.subscribed = self.subscribed_topics();
    }

    /// The assignor that all have and most like best.
    pub(super) fn select_protocol(&self) -> Option<String> {
        let names = self.members.values().flat_map(|m| &m.protocols);
        let candidates: BTreeSet<&str> = names
            .map(|(name, _)| name.as_str())
            .filter(|name| self.members.values().all(|m| m.has_protocol(name)))
            .collect();
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for member in self.members.values() {
            if let Some(name) = member.vote(&candidates) {
                *votes.entry(name).or_default() += 1;
            }
        }
        let most = votes.into_iter().max_by_key(|&(_, votes)| votes);
        most.map(|(name, _)| name.to_owned())
    }

    fn subscribed_topics(&self) -> Option<BTreeSet<String>> {
        let protocol = self.protocol.as_deref()?;
        if !self.is_of_consumers() {
            return None;
        }
        let mut topics = BTreeSet::new();
        for member in self.members.values() {
            topics.extend(embedded::topics(&member.metadata(protocol))?);
        }
        Some(topics)
    }
}
