//! A consumer as a member of its group: what it owns, and how partitions change hands.
//!
//! The protocols ([`super::classic`], [`super::modern`]) say what shall be owned; this gives up and takes over, in the
//! order that keeps two members from reading one partition: what is revoked gives no more data, the program is told and
//! acknowledges (its next poll does), what counts as read by then is committed, and only then is it let go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::JoinGroupRequest;

use crate::client::to_assign::GroupToAssign;
use crate::clock::earliest;
use crate::cluster::core::Core;
use crate::cluster::nodes::{Backoff, Node};
use crate::config::GroupProtocol;
use crate::error::{Error, ErrorCode, Result};
use crate::group::assignors::Shares;
use crate::group::classic::{self, Classic};
use crate::group::metadata::Own;
use crate::group::modern::{self, Modern};
use crate::group::signal::Signal;
use crate::group::subscription::Subscription;
use crate::group::tag::{Ask, GroupTag, Identity};
use crate::group::terms::Terms;
use crate::log::Level;
use crate::net::conn::ConnId;
use crate::net::rpc;
use crate::protocol::wire::TopicId;
use crate::topic::TopicPartition;

/// A membership that has lasted this long is no sign of trouble when it is lost.
const STEADY: Duration = Duration::from_secs(5);

/// Kafka's own topics.
const INTERNAL: [&str; 3] = [
    "__consumer_offsets",
    "__transaction_state",
    "__share_group_state",
];

/// What is to be done with partitions, in this order.
#[derive(Debug)]
pub(crate) enum Act {
    /// No more data of these; the program is told, and its acknowledgement names the number.
    Revoke {
        number: u64,
        keys: BTreeSet<TopicPartition>,
    },
    /// What counts as read of these is to be committed, by then if the consumer leaves; the end of that names the number.
    Commit {
        number: u64,
        keys: BTreeSet<TopicPartition>,
        by: Option<Instant>,
    },
    /// Not this member's any more.
    Release(BTreeSet<TopicPartition>),
    /// Not this member's any more since a time unknown: the program is told.
    Lose(BTreeSet<TopicPartition>, Error),
    /// This member's from now on; the program is told.
    Take(BTreeSet<TopicPartition>),
    /// Something the program is told of: the attempts go on, or (true) do not.
    Failing(Error, bool),
    /// The program is to share out the group; the number is for its answer.
    ToAssign(u64, GroupToAssign),
    /// The consumer has left.
    Left,
}

/// What follows when partitions are given up.
#[derive(Debug)]
enum Then {
    Join,
    Take(BTreeSet<TopicPartition>),
    Leave,
}

/// Partitions changing hands.
#[derive(Debug)]
enum Step {
    Idle,
    /// The program is asked to let go.
    Asking {
        number: u64,
        keys: BTreeSet<TopicPartition>,
        then: Then,
    },
    /// What it has read is being committed.
    Committing {
        number: u64,
        keys: BTreeSet<TopicPartition>,
        then: Then,
    },
    /// Everything is given up; goodbye is to be said.
    Leaving,
    /// It was said.
    Gone,
}

/// How the group is spoken to.
#[derive(Debug)]
enum Protocol {
    /// To be settled when it is known what the coordinator speaks; the number is that of the life that begins then.
    Unsettled(u32),
    Classic(Classic),
    Modern(Modern),
}

/// One membership, from subscribing to the end of it.
#[derive(Debug)]
pub(crate) struct Membership {
    terms: Arc<Terms>,
    protocol: Protocol,
    /// It has just been settled.
    settled: bool,
    subscription: Subscription,
    /// The topics it comes to.
    topics: BTreeSet<Arc<str>>,
    /// The pattern was matched with the cluster's topics.
    matched: bool,
    owned: BTreeSet<TopicPartition>,
    /// What a sticky strategy is to give again, and the generation it was given in.
    last: (BTreeSet<TopicPartition>, i32),
    /// What is to be owned once the present step is done.
    pending: Option<BTreeSet<TopicPartition>>,
    step: Step,
    numbers: u64,
    /// Left because the program did not poll; joins again when it does.
    absent: bool,
    /// Fenced: it does not join again.
    dead: bool,
    /// No assignment has come yet in this life.
    fresh: bool,
    /// An assignment has come in some life.
    assigned_once: bool,
    /// The trouble that was told last.
    told: Option<ErrorCode>,
    /// How often the membership was lost in a row, and when last: the pause before the next join grows with it. Kept by
    /// the membership and not by the protocols, which begin a new life each time.
    losses: u32,
    lost_at: Option<Instant>,
    /// Why it leaves, when it has been asked to.
    leaving: Option<&'static str>,
    leave_by: Option<Instant>,
}

impl Membership {
    pub(crate) fn new(
        terms: Arc<Terms>,
        subscription: Subscription,
        serial: u32,
        now: Instant,
    ) -> Self {
        let topics = match &subscription {
            Subscription::Topics(topics) => topics.clone(),
            Subscription::Pattern(_) => BTreeSet::new(),
        };
        Membership {
            protocol: if terms.protocol == GroupProtocol::Classic {
                Protocol::Classic(Classic::new(terms.clone(), serial, now))
            } else {
                Protocol::Unsettled(serial)
            },
            settled: false,
            terms,
            subscription,
            topics,
            matched: false,
            owned: BTreeSet::new(),
            last: (BTreeSet::new(), -1),
            pending: None,
            step: Step::Idle,
            numbers: 0,
            absent: false,
            dead: false,
            fresh: true,
            assigned_once: false,
            told: None,
            losses: 0,
            lost_at: None,
            leaving: None,
            leave_by: None,
        }
    }

    pub(crate) fn identity(&self) -> Identity {
        match &self.protocol {
            Protocol::Unsettled(_) => Identity {
                instance_id: self.terms.instance_id.clone(),
                ..Identity::default()
            },
            Protocol::Classic(classic) => classic.identity(),
            Protocol::Modern(modern) => modern.identity(),
        }
    }

    fn serial(&self) -> u32 {
        match &self.protocol {
            Protocol::Unsettled(serial) => *serial,
            Protocol::Classic(classic) => classic.serial(),
            Protocol::Modern(modern) => modern.serial(),
        }
    }

    /// Wants a join, where the protocol has such a thing.
    pub(crate) fn rejoin(&mut self, why: &str) {
        if let Protocol::Classic(classic) = &mut self.protocol {
            classic.rejoin(why);
        }
    }

    /// True if the group knows this member and would wait for it.
    pub(crate) fn has_to_leave(&self) -> bool {
        match &self.protocol {
            Protocol::Unsettled(_) => false,
            Protocol::Classic(classic) => classic.has_to_leave(),
            Protocol::Modern(modern) => modern.has_to_leave(),
        }
    }

    /// Says goodbye.
    pub(crate) fn send_leave(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        conn: (Node, ConnId),
        why: &str,
    ) -> Result<()> {
        match &mut self.protocol {
            Protocol::Unsettled(_) => Ok(()),
            Protocol::Classic(classic) => classic.send_leave(core, now, conn, why),
            Protocol::Modern(modern) => modern.send_leave(core, now, conn),
        }
    }

    /// The program's answer to [`Signal::ToAssign`], or (`None`) that it has none.
    pub(crate) fn shared_out(
        &mut self,
        now: Instant,
        number: u64,
        shares: Option<Shares>,
    ) -> Result<()> {
        match &mut self.protocol {
            Protocol::Classic(classic) => classic.shared_out_by_program(now, number, shares),
            Protocol::Unsettled(_) | Protocol::Modern(_) => Err(self.terms.gone_on()),
        }
    }

    /// True if the group has given this member partitions, or none, at least once.
    pub(crate) fn was_assigned(&self) -> bool {
        self.assigned_once
    }

    pub(crate) fn owns(&self, key: &TopicPartition) -> bool {
        self.owned.contains(key)
    }

    /// True if the group may have gone on to a generation that this member has not heard of.
    pub(crate) fn in_doubt(&self) -> bool {
        matches!(&self.protocol, Protocol::Classic(classic) if classic.in_doubt())
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead
    }

    pub(crate) fn uses(&self, topic: &str) -> bool {
        self.topics.contains(topic)
            || self.owned.iter().any(|(owned, _)| **owned == *topic)
            || matches!(&self.protocol, Protocol::Classic(classic) if classic.uses(topic))
    }

    /// True while the program's polls are of the essence: it has been told of something, or could be.
    pub(crate) fn watches_polls(&self) -> bool {
        !self.absent && self.leaving.is_none()
    }

    /// Another subscription; what is owned of the old one is given up by the rebalance that follows.
    pub(crate) fn subscribe(&mut self, now: Instant, subscription: Subscription) {
        if let Subscription::Topics(topics) = &subscription {
            self.topics = topics.clone();
        } else {
            self.topics.clear();
        }
        self.subscription = subscription;
        self.matched = false;
        match &mut self.protocol {
            Protocol::Unsettled(_) => {}
            Protocol::Classic(classic) => classic.rejoin("the subscription has changed"),
            Protocol::Modern(modern) => modern.subscribe(now),
        }
    }

    /// Topics have changed.
    pub(crate) fn on_metadata(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        signals: &mut Vec<Signal>,
    ) {
        let changed = self.match_pattern(core);
        let by_name = self.resolves_pattern();
        match &mut self.protocol {
            Protocol::Unsettled(_) => {}
            Protocol::Modern(modern) => {
                if changed && by_name {
                    modern.subscribe(now);
                }
                modern.on_metadata(core, signals);
            }
            Protocol::Classic(classic) => {
                if changed {
                    classic.rejoin("the topics that match the pattern have changed");
                }
                classic.on_metadata(core);
            }
        }
    }

    /// True if a pattern matches other topics than before.
    fn match_pattern(&mut self, core: &mut Core<impl GroupTag>) -> bool {
        let internal_too = !self.terms.exclude_internal;
        let (Subscription::Pattern(pattern), Some(every)) =
            (&self.subscription, core.topics.every())
        else {
            return false;
        };
        let matching = |(name, (internal, _)): (&Arc<str>, &(bool, TopicId))| {
            ((internal_too || !internal) && pattern.matches(name)).then(|| name.clone())
        };
        let topics: BTreeSet<Arc<str>> = every.iter().filter_map(matching).collect();
        self.matched = true;
        if topics == self.topics {
            return false;
        }
        for topic in &topics {
            core.want_topic(topic);
        }
        self.topics = topics;
        true
    }

    /// True if the brokers are told the topics that match a pattern, and not the pattern: they have no way to leave internal
    /// topics out, so such a pattern is theirs to match only where it can't name one.
    fn resolves_pattern(&self) -> bool {
        match &self.subscription {
            Subscription::Pattern(pattern) => {
                self.terms.exclude_internal && INTERNAL.iter().any(|name| pattern.matches(name))
            }
            Subscription::Topics(_) => false,
        }
    }

    /// True if every topic's name has to be known.
    pub(crate) fn wants_every_topic(&self) -> bool {
        matches!(self.subscription, Subscription::Pattern(_))
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Asks the program to let partitions go.
    fn revoke(&mut self, keys: BTreeSet<TopicPartition>, then: Then, acts: &mut Vec<Act>) {
        planted!("revoke-unasked" => {
            return self.handed_over(keys, then, acts);
        });
        let number = self.number();
        acts.push(Act::Revoke {
            number,
            keys: keys.clone(),
        });
        self.step = Step::Asking { number, keys, then };
    }

    /// The program has acknowledged a revocation: its word on what it has read is final.
    pub(crate) fn acknowledged(&mut self, number: u64, acts: &mut Vec<Act>) {
        let step = std::mem::replace(&mut self.step, Step::Idle);
        match step {
            Step::Asking {
                number: asked,
                keys,
                then,
            } if asked == number => self.hand_over(keys, then, acts),
            other => self.step = other,
        }
    }

    fn hand_over(&mut self, keys: BTreeSet<TopicPartition>, then: Then, acts: &mut Vec<Act>) {
        if keys.is_empty() {
            return self.handed_over(keys, then, acts);
        }
        let number = self.number();
        acts.push(Act::Commit {
            number,
            keys: keys.clone(),
            by: self.leave_by,
        });
        self.step = Step::Committing { number, keys, then };
    }

    /// The commit before partitions are let go has ended, well or not.
    pub(crate) fn committed(&mut self, number: u64, acts: &mut Vec<Act>) {
        let step = std::mem::replace(&mut self.step, Step::Idle);
        match step {
            Step::Committing {
                number: asked,
                keys,
                then,
            } if asked == number => self.handed_over(keys, then, acts),
            other => self.step = other,
        }
    }

    fn handed_over(&mut self, keys: BTreeSet<TopicPartition>, then: Then, acts: &mut Vec<Act>) {
        self.step = Step::Idle;
        self.owned.retain(|key| !keys.contains(key));
        acts.push(Act::Release(keys));
        match then {
            Then::Join => {
                if let Protocol::Classic(classic) = &mut self.protocol {
                    classic.join();
                }
            }
            Then::Take(target) => {
                let target = self.pending.take().unwrap_or(target);
                self.reconcile(target, acts);
                self.rejoin("partitions were given up");
            }
            Then::Leave => self.step = Step::Leaving,
        }
    }

    fn take(&mut self, target: BTreeSet<TopicPartition>, acts: &mut Vec<Act>) {
        let added: BTreeSet<TopicPartition> = target.difference(&self.owned).cloned().collect();
        self.owned.extend(added.iter().cloned());
        self.last = (self.owned.clone(), self.identity().generation);
        let eager = matches!(&self.protocol, Protocol::Classic(classic) if classic.eager());
        if !added.is_empty() || self.fresh || eager {
            acts.push(Act::Take(added));
        }
        self.fresh = false;
        self.assigned_once = true;
    }

    /// Goes from what is owned to what shall be: first what has to be given up, then what comes.
    fn reconcile(&mut self, target: BTreeSet<TopicPartition>, acts: &mut Vec<Act>) {
        let gone: BTreeSet<TopicPartition> = self.owned.difference(&target).cloned().collect();
        if gone.is_empty() {
            self.take(target, acts);
        } else {
            self.revoke(gone, Then::Take(target), acts);
        }
    }

    /// What a protocol has found out.
    pub(crate) fn signalled(
        &mut self,
        signal: Signal,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        serial: u32,
        acts: &mut Vec<Act>,
    ) {
        match signal {
            Signal::Target(target) => {
                self.told = None;
                if self.leaving.is_some() {
                    return;
                }
                if matches!(self.step, Step::Idle) {
                    self.reconcile(target, acts);
                } else {
                    self.pending = Some(target);
                }
            }
            Signal::Lost(error) => {
                let fatal = error.code() == ErrorCode::FENCED_INSTANCE_ID;
                // A generation that is over says nothing against the member: under a new id it would be another one, and
                // the group would wait for the old one until its session ends.
                let known = error.code() == ErrorCode::ILLEGAL_GENERATION;
                let keys = self.lose(now, serial, known, acts);
                self.pause_after_loss(core, now);
                if !keys.is_empty() {
                    acts.push(Act::Lose(keys, error.clone()));
                } else if self.losses > 1 && !fatal && self.told != Some(error.code()) {
                    self.told = Some(error.code());
                    acts.push(Act::Failing(error.clone(), false));
                }
                if fatal {
                    acts.push(Act::Failing(error, true));
                    self.absent = true;
                    self.dead = true;
                }
            }
            Signal::Failing(error) => {
                if self.told != Some(error.code()) {
                    self.told = Some(error.code());
                    acts.push(Act::Failing(error, false));
                }
            }
            Signal::Heard => {
                self.told = None;
                if self.lost_at.is_some_and(|at| at + STEADY <= now) {
                    self.losses = 0;
                    self.lost_at = None;
                }
            }
            Signal::ToAssign(number, group) => acts.push(Act::ToAssign(number, group)),
            Signal::FallBack(_) => {
                let terms = self.terms.clone();
                self.protocol = Protocol::Classic(Classic::new(terms, serial, now));
            }
            Signal::CoordinatorLost(_) => {}
        }
    }

    /// The membership has ended without this member's doing; gives what it had.
    /// `known`: the group knows the member still.
    fn lose(
        &mut self,
        now: Instant,
        serial: u32,
        known: bool,
        acts: &mut Vec<Act>,
    ) -> BTreeSet<TopicPartition> {
        match &mut self.protocol {
            Protocol::Unsettled(_) => {}
            Protocol::Classic(classic) => classic.reset(serial, known),
            Protocol::Modern(modern) => modern.reset(serial, now),
        }
        self.pending = None;
        self.fresh = true;
        self.step = Step::Idle;
        if self.leaving.is_some() && self.has_to_leave() {
            self.step = Step::Leaving;
        } else if self.leaving.is_some() {
            acts.push(Act::Left);
        }
        std::mem::take(&mut self.owned)
    }

    /// The next join waits: without a pause, a coordinator that takes a member in and disowns it would be asked as fast as
    /// it answers.
    fn pause_after_loss(&mut self, core: &mut Core<impl GroupTag>, now: Instant) {
        self.losses = self.losses.saturating_add(1);
        self.lost_at = Some(now);
        let backoff = Backoff::retries(&core.config);
        let until = now + backoff.after(self.losses, &mut core.rng);
        match &mut self.protocol {
            Protocol::Unsettled(_) => {}
            Protocol::Classic(classic) => classic.not_before(until),
            Protocol::Modern(modern) => modern.not_before(until),
        }
    }

    /// The program has not polled for too long: leaves, so that others can have the partitions.
    pub(crate) fn too_late(
        &mut self,
        error: Error,
        now: Instant,
        serial: u32,
        acts: &mut Vec<Act>,
    ) {
        let keys = self.lose(now, serial, false, acts);
        // Told even if it had nothing: the poll that comes to know of it has it join again.
        acts.push(Act::Lose(keys, error));
        self.absent = true;
    }

    /// The program polls again.
    pub(crate) fn returned(&mut self) {
        if !self.dead && std::mem::take(&mut self.absent) {
            self.rejoin("the program polls again");
        }
    }

    /// Begins to leave: commits what counts as read, gives everything up, says goodbye.
    pub(crate) fn leave(&mut self, why: &'static str, by: Instant, acts: &mut Vec<Act>) {
        if self.leaving.is_some() {
            return;
        }
        self.leaving = Some(why);
        self.leave_by = Some(by);
        let keys = self.owned.clone();
        self.hand_over(keys, Then::Leave, acts);
    }

    /// Which connections it wants now: that for joins, that for everything else.
    pub(crate) fn wants(&mut self, now: Instant, acts: &mut Vec<Act>) -> (bool, bool) {
        if let Step::Leaving | Step::Gone = self.step {
            if !self.has_to_leave() || self.leave_by.is_some_and(|by| by <= now) {
                acts.push(Act::Left);
                return (false, false);
            }
            return (false, matches!(self.step, Step::Leaving));
        }
        if self.absent {
            return (false, false);
        }
        let unmatched = self.wants_every_topic() && self.topics.is_empty();
        let unresolved = self.resolves_pattern() && !self.matched;
        let ready = matches!(self.step, Step::Idle) && self.leaving.is_none() && !unmatched;
        let classic = match &mut self.protocol {
            Protocol::Unsettled(_) => return (false, true),
            // Joining without the topics, it would be given nothing, and others what is to be taken from them again.
            Protocol::Modern(modern) if unresolved && !modern.has_joined() => {
                return (false, false);
            }
            Protocol::Modern(modern) => return (false, modern.wants(now, &self.owned)),
            Protocol::Classic(classic) => classic,
        };
        if ready && classic.wants_join(now) {
            if classic.eager() && !self.owned.is_empty() {
                let keys = self.owned.clone();
                self.revoke(keys, Then::Join, acts);
                return (false, false);
            }
            classic.join();
        }
        classic.wants(now)
    }

    /// Settles on a protocol by what the coordinator speaks.
    fn settle(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        (node, conn): (Node, ConnId),
        signals: &mut Vec<Signal>,
    ) {
        let Protocol::Unsettled(serial) = self.protocol else {
            return;
        };
        let terms = self.terms.clone();
        match core.version(conn, modern::HEARTBEAT, modern::VERSIONS) {
            Ok(_) => self.protocol = Protocol::Modern(Modern::new(core, terms, serial, now)),
            Err(e) if terms.protocol == GroupProtocol::Consumer => {
                let who = core.address(node);
                let e = e.context(format_args!("joining group '{}' at {who}", terms.group));
                return signals.push(Signal::Failing(
                    e.and("; group.protocol=classic is for older brokers"),
                ));
            }
            Err(_) => {
                let wall = core.clock.wall();
                core.log.log(Level::Info, "group", "classic", now, wall, || {
                    format!(
                        "{} does not offer the new group protocol (KIP-848), so group '{}' is joined by the classic one",
                        core.address(node),
                        terms.group
                    )
                });
                self.protocol = Protocol::Classic(Classic::new(terms, serial, now));
            }
        }
        self.settled = true;
    }

    pub(crate) fn send_join(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        conn: (Node, ConnId),
        signals: &mut Vec<Signal>,
    ) {
        let Protocol::Classic(classic) = &mut self.protocol else {
            return;
        };
        let cooperative = !classic.eager();
        let own = Own {
            topics: self.topics.clone(),
            owned: if cooperative {
                self.owned.clone()
            } else {
                BTreeSet::new()
            },
            last: self.last.0.clone(),
            generation: self.last.1,
            rack: self.terms.rack.as_deref(),
        };
        classic.send_join(core, now, conn, &own, signals);
    }

    /// Heartbeats, and goodbye.
    pub(crate) fn send(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        conn: (Node, ConnId),
        signals: &mut Vec<Signal>,
        acts: &mut Vec<Act>,
    ) {
        if let (Step::Leaving, Some(why)) = (&self.step, self.leaving) {
            let sent = self.send_leave(core, now, conn, why);
            // Whatever the answer will be, there is nothing more to say.
            self.step = Step::Gone;
            if sent.is_err() {
                acts.push(Act::Left);
            }
            return;
        }
        let by_name = self.resolves_pattern();
        match &mut self.protocol {
            Protocol::Unsettled(_) => self.settle(core, now, conn, signals),
            Protocol::Classic(classic) => classic.send_heartbeat(core, now, conn, signals),
            Protocol::Modern(modern) => {
                let subscription = match by_name {
                    true => &Subscription::Topics(self.topics.clone()),
                    false => &self.subscription,
                };
                let subscription = (!by_name || self.matched).then_some(subscription);
                modern.send(core, now, conn, subscription, &self.owned, signals);
            }
        }
    }

    /// When to look again though nothing else happens.
    pub(crate) fn deadline(&mut self, now: Instant) -> Option<Instant> {
        if std::mem::take(&mut self.settled) {
            return Some(now);
        }
        let own = match &self.protocol {
            Protocol::Unsettled(_) => None,
            Protocol::Classic(classic) => classic.deadline(now),
            Protocol::Modern(modern) => modern.deadline(now),
        };
        let own = own.filter(|_| !self.absent && self.leaving.is_none());
        earliest(own, self.leave_by.filter(|by| *by > now))
    }

    /// Goodbye was answered, or won't be.
    pub(crate) fn left(&mut self, acts: &mut Vec<Act>) {
        if self.leaving.is_some() {
            acts.push(Act::Left);
        }
    }

    /// True for answers to this life's requests.
    pub(crate) fn asked(&self, ask: Ask) -> bool {
        match ask {
            Ask::Join(serial) | Ask::Sync(serial) | Ask::Heartbeat(serial) => {
                serial == self.serial()
            }
            Ask::Leave(_) | Ask::Commit | Ask::Lookup => true,
        }
    }

    /// A request of the protocol was answered.
    pub(crate) fn answered(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        (node, ask): (Node, Ask),
        version: i16,
        body: Bytes,
        signals: &mut Vec<Signal>,
    ) {
        match (&mut self.protocol, ask) {
            (Protocol::Classic(classic), Ask::Join(_)) => {
                let answer = rpc::decode::<JoinGroupRequest>(version, body);
                classic.joined(core, now, node, answer, signals);
            }
            (Protocol::Classic(classic), Ask::Sync(_)) => {
                let answer = classic::read_sync(version, body);
                classic.synced(core, now, node, answer, signals);
            }
            (Protocol::Classic(classic), Ask::Heartbeat(_)) => {
                classic.heartbeat_answered(core, now, node, version, body, signals);
            }
            (Protocol::Modern(modern), Ask::Heartbeat(_)) => {
                modern.answered(core, now, node, version, body, signals);
            }
            _ => {}
        }
    }

    /// A request of the protocol will have no answer.
    pub(crate) fn failed(&mut self, core: &mut Core<impl GroupTag>, now: Instant, ask: Ask) {
        match (&mut self.protocol, ask) {
            (Protocol::Classic(classic), Ask::Heartbeat(_)) => classic.heartbeat_failed(core, now),
            (Protocol::Classic(classic), _) => classic.join_failed(core, now),
            (Protocol::Modern(modern), _) => modern.failed(core, now),
            (Protocol::Unsettled(_), _) => {}
        }
    }
}
