//! A consumer's group: its membership, and the offsets it commits and looks up.
//!
//! Plain data on the I/O thread, a part of the consumer's role, or of the share consumer's: events and the time come in, requests
//! go out through the core, on connections to the group's coordinator that nothing else uses. By concept:
//! [`membership`] is what is owned and how it changes hands, by the protocol of [`classic`] groups with its [`metadata`]
//! and [`assignors`], or by the [`modern`] one; [`subscription`], [`commits`] and [`lookups`] are what their names say, [`calls`] the callers
//! waiting for them.

mod assignors;
mod calls;
mod classic;
mod commits;
mod heart;
mod lookups;
mod membership;
mod metadata;
mod modern;
pub(crate) mod offset;
mod own_assignor;
pub(crate) mod share;
mod signal;
mod subscription;
pub(crate) mod tag;
mod terms;
pub(crate) mod words;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::client::calls::Reply;
use crate::clock::earliest;
use crate::cluster::core::{Coordinator, CoordinatorKind, Core, Purpose};
use crate::cluster::nodes::Node;
use crate::error::{Error, ErrorCode};
pub(crate) use crate::group::assignors::Shares;
use crate::group::calls::Calls;
pub(crate) use crate::group::commits::{Commit, CommitOwner};
use crate::group::commits::{Commits, Done};
use crate::group::lookups::Lookups;
pub(crate) use crate::group::lookups::{Answer, Found, LookupOwner, Starts};
pub(crate) use crate::group::membership::Act;
use crate::group::membership::Membership;
pub use crate::group::own_assignor::OwnAssignor;
use crate::group::signal::Signal;
pub(crate) use crate::group::subscription::{Pattern, Subscription};
use crate::group::tag::{Ask, GroupTag, Identity};
pub(crate) use crate::group::terms::Terms;
use crate::group::words::Trouble;
use crate::log::Level;
use crate::net::conn::ConnId;
use crate::topic::TopicPartition;

/// One consumer's group.
#[derive(Debug)]
pub(crate) struct Group {
    id: Arc<str>,
    identity: Identity,
    /// Offsets of open transactions are waited for (KIP-447).
    stable: bool,
    commits: Commits,
    lookups: Lookups,
    calls: Calls,
    terms: Arc<Terms>,
    membership: Option<Membership>,
    /// Who unsubscribes or waits for the end, while the membership ends.
    leavers: Vec<Reply<()>>,
    /// What is subscribed to once the membership has ended.
    next: Option<Subscription>,
    serials: u32,
    auto_commit: AutoCommit,
    /// It was told that the coordinator cannot be reached.
    told_unreachable: bool,
}

/// When positions are committed in the background.
#[derive(Debug)]
struct AutoCommit {
    interval: Duration,
    /// `None` where it is switched off.
    next: Option<Instant>,
    under_way: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) committed: Vec<Done>,
    /// Where partitions go on.
    pub(crate) located: Vec<Answer>,
    pub(crate) acts: Vec<Act>,
    /// Positions that are not committed are to be.
    pub(crate) auto_commit: bool,
    /// Why the coordinator cannot be reached, when that is to be told.
    pub(crate) unreachable: Option<Error>,
}

impl Group {
    pub(crate) fn new(terms: Terms, stable: bool, auto_commit: Option<Duration>) -> Self {
        Group {
            id: terms.group.clone(),
            identity: Identity {
                instance_id: terms.instance_id.clone(),
                ..Identity::default()
            },
            stable,
            commits: Commits::default(),
            lookups: Lookups::default(),
            calls: Calls::default(),
            terms: Arc::new(terms),
            membership: None,
            leavers: Vec::new(),
            next: None,
            serials: 0,
            auto_commit: AutoCommit {
                interval: auto_commit.unwrap_or_default(),
                next: None,
                under_way: false,
            },
            told_unreachable: false,
        }
    }

    fn serial(&mut self) -> u32 {
        self.serials = self.serials.wrapping_add(1);
        self.serials
    }

    /// As whom the group knows this consumer.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Becomes a member, or changes what a member wants.
    pub(crate) fn subscribe(&mut self, now: Instant, subscription: Subscription) {
        match &mut self.membership {
            Some(_) if !self.leavers.is_empty() => self.next = Some(subscription),
            Some(membership) if !membership.is_dead() => membership.subscribe(now, subscription),
            _ => {
                let serial = self.serial();
                let terms = self.terms.clone();
                self.membership = Some(Membership::new(terms, subscription, serial, now));
            }
        }
    }

    /// Ends the membership: commits what counts as read, where that is to be done, lets go, says goodbye. The reply comes
    /// at `by` at the latest.
    pub(crate) fn leave(
        &mut self,
        why: &'static str,
        by: Instant,
        reply: Reply<()>,
        outcome: &mut Outcome,
    ) {
        self.next = None;
        match &mut self.membership {
            Some(membership) => {
                self.leavers.push(reply);
                membership.leave(why, by, &mut outcome.acts);
            }
            None => reply.give(Ok(())),
        }
    }

    /// Memberships from now on have a strategy of the program's own.
    pub(crate) fn set_assignor(&mut self, own: OwnAssignor) {
        let mut terms = Terms::clone(&self.terms);
        terms.own_assignor = Some(Arc::new(own));
        // The new protocol has no leader that could be asked.
        terms.protocol = crate::config::GroupProtocol::Classic;
        self.terms = Arc::new(terms);
    }

    /// The program's answer to the question how to share out the group.
    pub(crate) fn shared_out(
        &mut self,
        now: Instant,
        number: u64,
        shares: Option<Shares>,
    ) -> crate::error::Result<()> {
        match &mut self.membership {
            Some(membership) => membership.shared_out(now, number, shares),
            None => Err(self.terms.gone_on()),
        }
    }

    pub(crate) fn is_member(&self) -> bool {
        self.membership.is_some()
    }

    /// True if nothing is under way that the end of the client should wait for.
    pub(crate) fn is_quiet(&self) -> bool {
        self.membership.is_none() && self.commits.is_empty()
    }

    /// Some commit has not ended.
    pub(crate) fn commits_under_way(&self) -> bool {
        !self.commits.is_empty()
    }

    /// Why an offset of a partition can't be committed: it is not this member's. Without a membership there is nobody to say
    /// whose it is.
    pub(crate) fn why_not(
        &self,
        core: &Core<impl GroupTag>,
        now: Instant,
        key: &TopicPartition,
    ) -> Option<Error> {
        let membership = self.membership.as_ref().filter(|m| !m.owns(key))?;
        if membership.was_assigned() {
            return Some(not_ours(key));
        }
        let kind = CoordinatorKind::Group;
        let why = core.coordinator_hopeless(now, kind, &self.id);
        let (code, why) = why.map_or_else(
            || {
                let why = "it is still joining; commit what was read of partitions that an event has assigned";
                (ErrorCode::REBALANCE_IN_PROGRESS, why.to_owned())
            },
            |e| (e.code(), e.message().to_owned()),
        );
        Some(Error::new(
            code,
            format!(
                "committing an offset of {}-{}: group '{}' has not assigned anything to this consumer yet: {why}",
                key.0, key.1, self.id
            ),
        ))
    }

    /// A topic whose metadata the membership needs.
    pub(crate) fn uses(&self, topic: &str) -> bool {
        self.membership.as_ref().is_some_and(|m| m.uses(topic))
    }

    /// Topics have changed.
    pub(crate) fn on_metadata(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        outcome: &mut Outcome,
    ) {
        let mut signals = Vec::new();
        if let Some(membership) = &mut self.membership {
            membership.on_metadata(core, now, &mut signals);
        }
        self.take_signals(core, now, signals, outcome);
    }

    /// The program has dealt with a revocation.
    pub(crate) fn acknowledged(&mut self, number: u64, outcome: &mut Outcome) {
        if let Some(membership) = &mut self.membership {
            membership.acknowledged(number, &mut outcome.acts);
        }
    }

    /// The commit before partitions are let go has ended.
    pub(crate) fn handed_over(&mut self, number: u64, outcome: &mut Outcome) {
        if let Some(membership) = &mut self.membership {
            membership.committed(number, &mut outcome.acts);
        }
    }

    /// The commit in the background has ended.
    pub(crate) fn auto_committed(&mut self) {
        self.auto_commit.under_way = false;
    }

    /// The program polls again.
    pub(crate) fn returned(&mut self) {
        if let Some(membership) = &mut self.membership {
            membership.returned();
        }
    }

    pub(crate) fn commit(&mut self, mut commit: Commit) {
        commit.by_member = self.is_member();
        self.commits.add(commit);
    }

    /// Looks up where a partition goes on.
    pub(crate) fn locate(
        &mut self,
        key: TopicPartition,
        partition: Arc<dyn Starts>,
        generation: u32,
    ) {
        let owner = LookupOwner::Position {
            partition,
            generation,
        };
        self.lookups.add(owner, key);
    }

    /// Looks committed offsets up for a caller.
    pub(crate) fn committed(
        &mut self,
        now: Instant,
        wanted: Vec<TopicPartition>,
        deadline: Instant,
        reply: Reply<Vec<Found>>,
    ) {
        self.calls
            .ask(&mut self.lookups, now, wanted, deadline, reply);
    }

    /// Does what can be done now; says when to look again though nothing else happens. `unreachable` is why there has
    /// been no contact with the cluster, once that is said.
    pub(crate) fn poll(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        unreachable: Option<&Error>,
        polls: &Polls,
        outcome: &mut Outcome,
    ) -> Option<Instant> {
        let calls = &self.calls;
        self.lookups.retain(|owner| match owner {
            LookupOwner::Position {
                partition,
                generation,
            } => partition.is_at(*generation),
            LookupOwner::Call { id, .. } => calls.is_open(*id),
        });
        let describe = || {
            let kind = CoordinatorKind::Group;
            Some(core.describe_coordinator(now, kind, &self.id))
        };
        let mut deadline = self.commits.expire(now, describe, &mut outcome.committed);
        deadline = earliest(deadline, self.calls.expire(&self.lookups, now, describe));
        deadline = earliest(deadline, self.lookups.deadline(now));
        if let Some(error) = unreachable {
            self.refuse(error, outcome);
        }
        deadline = earliest(deadline, self.poll_membership(core, now, polls, outcome));
        deadline = earliest(deadline, self.poll_auto_commit(now, outcome));
        self.disown(outcome);
        if !self.told_unreachable
            && let Some(error) = core.coordinator_hopeless(now, CoordinatorKind::Group, &self.id)
        {
            self.told_unreachable = true;
            outcome.unreachable = Some(error);
        }
        if self.commits.wants_connection(now) || self.lookups.wants_connection(now) {
            match core.coordinator(now, CoordinatorKind::Group, &self.id, Purpose::Group) {
                Coordinator::Ready(node, conn) => self.send(core, now, (node, conn), outcome),
                Coordinator::Waiting => {}
                Coordinator::Refused(error) => self.refuse(&error, outcome),
            }
        }
        deadline
    }

    fn poll_auto_commit(&mut self, now: Instant, outcome: &mut Outcome) -> Option<Instant> {
        if !self.terms.auto_commit || self.auto_commit.under_way {
            return None;
        }
        match self.auto_commit.next {
            Some(next) if next <= now => {
                self.auto_commit.next = Some(now + self.auto_commit.interval);
                self.auto_commit.under_way = true;
                outcome.auto_commit = true;
            }
            Some(_) => {}
            None => self.auto_commit.next = Some(now + self.auto_commit.interval),
        }
        self.auto_commit.next
    }

    /// What was to be committed of partitions that are this member's no more is not: who has them now says what of them
    /// was read.
    fn disown(&mut self, outcome: &mut Outcome) {
        let membership = self.membership.as_ref();
        let is_ours = |key: &TopicPartition, commit: &Commit| match membership {
            Some(membership) => membership.owns(key),
            None => !commit.by_member,
        };
        let gone = |commit: &Commit| {
            let mut keys = commit.offsets.iter().map(|(key, _)| key);
            Some(not_ours(keys.find(|key| !is_ours(key, commit))?))
        };
        self.commits.refuse(gone, &mut outcome.committed);
    }

    fn poll_membership(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        polls: &Polls,
        outcome: &mut Outcome,
    ) -> Option<Instant> {
        let serial = self.serials.wrapping_add(1);
        let membership = self.membership.as_mut()?;
        core.want_every_topic(membership.wants_every_topic());
        let mut deadline = None;
        if membership.watches_polls()
            && let Some(since) = polls.idle_since
        {
            let limit = since + self.terms.rebalance_timeout;
            if limit <= now {
                let error = polls.late(now, &self.terms);
                if membership.has_to_leave()
                    && let Coordinator::Ready(node, conn) =
                        core.coordinator(now, CoordinatorKind::Group, &self.id, Purpose::Group)
                {
                    // Nothing hangs on the answer.
                    let why = "max.poll.interval.ms exceeded";
                    let _ = membership.send_leave(core, now, (node, conn), why);
                }
                self.serials = serial;
                membership.too_late(error, now, serial, &mut outcome.acts);
            } else {
                deadline = Some(limit);
            }
        }
        let (join, other) = membership.wants(now, &mut outcome.acts);
        let mut signals = Vec::new();
        for (wanted, purpose) in [(join, Purpose::Join), (other, Purpose::Group)] {
            if !wanted {
                continue;
            }
            match core.coordinator(now, CoordinatorKind::Group, &self.id, purpose) {
                Coordinator::Ready(node, conn) if purpose == Purpose::Join => {
                    membership.send_join(core, now, (node, conn), &mut signals);
                }
                Coordinator::Ready(node, conn) => {
                    let acts = &mut outcome.acts;
                    membership.send(core, now, (node, conn), &mut signals, acts);
                }
                Coordinator::Waiting => {}
                Coordinator::Refused(error) => signals.push(Signal::Failing(error)),
            }
        }
        deadline = earliest(deadline, membership.deadline(now));
        self.take_signals(core, now, signals, outcome);
        deadline
    }

    fn take_signals(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        signals: Vec<Signal>,
        outcome: &mut Outcome,
    ) {
        for signal in signals {
            if let Some(cause) = signal.cause() {
                core.debug(now, "group", cause, || {
                    format!("group '{}': {signal}", self.id)
                });
            }
            if let Signal::CoordinatorLost(error) = &signal {
                core.coordinator_lost(now, CoordinatorKind::Group, &self.id, error);
            }
            if let Signal::FallBack(error) = &signal {
                let text = format!("{}; the classic protocol is used", error.message());
                let wall = core.clock.wall();
                core.log
                    .log(Level::Info, "group", "classic", now, wall, || text);
            }
            let serial = self.serial();
            if let Some(membership) = &mut self.membership {
                membership.signalled(signal, core, now, serial, &mut outcome.acts);
            }
        }
        if let Some(membership) = &self.membership {
            self.identity = membership.identity();
        }
    }

    /// The membership has ended; gives those who wait for that.
    #[must_use]
    pub(crate) fn left(&mut self, core: &mut Core<impl GroupTag>, now: Instant) -> Vec<Reply<()>> {
        self.membership = None;
        self.identity = Identity {
            instance_id: self.terms.instance_id.clone(),
            ..Identity::default()
        };
        core.want_every_topic(false);
        let leavers = std::mem::take(&mut self.leavers);
        if let Some(next) = self.next.take() {
            self.subscribe(now, next);
        }
        leavers
    }

    fn send(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        conn: (Node, ConnId),
        outcome: &mut Outcome,
    ) {
        if self.commits.wants_connection(now) {
            let done = &mut outcome.committed;
            self.commits
                .send(core, now, conn, &self.id, &self.identity, done);
        }
        if self.lookups.wants_connection(now) {
            let mut answers = Vec::new();
            self.lookups
                .send(core, now, conn, &self.id, self.stable, &mut answers);
            self.take_answers(answers, outcome);
        }
    }

    /// Ends what waits for a coordinator that can't be had.
    fn refuse(&mut self, error: &Error, outcome: &mut Outcome) {
        let waiting = self.commits.take_waiting();
        let failed = waiting.into_iter().map(|c| (c, Err(error.clone())));
        outcome.committed.extend(failed);
        let waiting = self.lookups.take_waiting();
        let failed = waiting.into_iter().map(|l| (l, Err(error.clone())));
        self.take_answers(failed.collect(), outcome);
    }

    fn take_answers(&mut self, answers: Vec<Answer>, outcome: &mut Outcome) {
        for (lookup, result) in answers {
            match lookup.owner {
                LookupOwner::Call { id, index } => self.calls.answered(id, index, result),
                LookupOwner::Position { .. } => outcome.located.push((lookup, result)),
            }
        }
    }

    /// The coordinator answered.
    pub(crate) fn answered(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        (node, ask): (Node, Ask),
        version: i16,
        body: Bytes,
        outcome: &mut Outcome,
    ) {
        self.told_unreachable = false;
        let trouble = match ask {
            Ask::Commit => {
                let done = &mut outcome.committed;
                let in_doubt = self.membership.as_ref().is_some_and(|m| m.in_doubt());
                let generation = (!in_doubt).then_some(self.identity.generation);
                self.commits
                    .answered(core, now, generation, version, body, done)
            }
            Ask::Lookup => {
                let mut answers = Vec::new();
                let trouble = self
                    .lookups
                    .answered(core, now, version, body, &mut answers);
                self.take_answers(answers, outcome);
                trouble
            }
            Ask::Leave(_) => {
                if let Some(membership) = &mut self.membership {
                    membership.left(&mut outcome.acts);
                }
                None
            }
            Ask::Join(_) | Ask::Sync(_) | Ask::Heartbeat(_) => {
                let mut signals = Vec::new();
                if let Some(membership) = self.membership.as_mut().filter(|m| m.asked(ask)) {
                    membership.answered(core, now, (node, ask), version, body, &mut signals);
                }
                let lost = |s: &Signal| matches!(s, Signal::CoordinatorLost(_));
                if !signals.iter().any(lost) {
                    core.coordinator_answered(CoordinatorKind::Group, &self.id);
                }
                return self.take_signals(core, now, signals, outcome);
            }
        };
        match trouble {
            Some((Trouble::Coordinator, error)) => {
                core.coordinator_lost(now, CoordinatorKind::Group, &self.id, &error);
            }
            Some((Trouble::Member, error)) => {
                self.take_signals(core, now, vec![Signal::Lost(error)], outcome);
                if let Some(membership) = &mut self.membership {
                    membership.rejoin("a commit was refused");
                }
            }
            _ => core.coordinator_answered(CoordinatorKind::Group, &self.id),
        }
    }

    /// A request will have no answer.
    pub(crate) fn failed(
        &mut self,
        core: &mut Core<impl GroupTag>,
        now: Instant,
        ask: Ask,
        error: &Error,
        outcome: &mut Outcome,
    ) {
        match ask {
            Ask::Commit => self.commits.failed(core, now, error),
            Ask::Lookup => self.lookups.failed(core, now, error),
            Ask::Leave(_) => {
                if let Some(membership) = &mut self.membership {
                    membership.left(&mut outcome.acts);
                }
            }
            Ask::Join(_) | Ask::Sync(_) | Ask::Heartbeat(_) => {
                if let Some(membership) = self.membership.as_mut().filter(|m| m.asked(ask)) {
                    membership.failed(core, now, ask);
                }
            }
        }
    }

    /// The client ends.
    pub(crate) fn close(&mut self, error: &Error) {
        for commit in self.commits.drain() {
            if let CommitOwner::Call(reply) = commit.owner {
                reply.give(Err(error.clone()));
            }
        }
        self.calls.close(error);
        for reply in self.leavers.drain(..) {
            reply.give(Err(error.clone()));
        }
    }
}

/// How the program polls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Polls {
    /// Since when it has not polled; `None` while it does.
    pub(crate) idle_since: Option<Instant>,
    /// What the poll before gave it.
    pub(crate) given: Given,
}

/// What a poll gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Given {
    #[default]
    Nothing,
    Records(u32),
    Event,
}

impl Polls {
    /// Why a member leaves that does not poll.
    fn late(&self, now: Instant, terms: &Terms) -> Error {
        let waited = self
            .idle_since
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let last = match self.given {
            Given::Nothing => "the last poll gave nothing".to_owned(),
            Given::Records(n) => format!("the last poll gave a batch of {n} records"),
            Given::Event => "the last poll gave an event".to_owned(),
        };
        Error::new(
            ErrorCode::MAX_POLL_EXCEEDED,
            format!(
                "the program has not polled for {waited:.1?} ({last}), and max.poll.interval.ms is {} ms: this member \
                 has left group '{}', so that others can have its partitions, and joins again at the next poll; what \
                 was read and not committed is read again. Take fewer records at a time (max.poll.records), or raise \
                 max.poll.interval.ms",
                terms.rebalance_timeout.as_millis(),
                terms.group
            ),
        )
    }
}

/// The error of a commit that comes too late.
pub(crate) fn not_ours((topic, partition): &TopicPartition) -> Error {
    Error::new(
        ErrorCode::PARTITION_REVOKED,
        format!(
            "committing an offset of {topic}-{partition}: this consumer no longer has that partition; who has it now \
             goes on from what was committed before, so records since are read again. Commit before a revocation is \
             acknowledged"
        ),
    )
}
