//! What the fetcher has to do with its group: what the membership decides about partitions is done here, partitions start
//! at committed offsets, and commits are told of.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::client::calls::Reply;
use crate::client::event::{Event, EventKind};
use crate::cluster::core::Core;
use crate::cluster::nodes::Node;
use crate::consumer::fetcher::Fetcher;
use crate::consumer::fetcher::part::Step;
use crate::consumer::fetcher::tag::Tag;
use crate::consumer::partition::Partition;
use crate::consumer::shared::Shared;
use crate::error::{Error, ErrorCode};
use crate::group::offset::OffsetAndMetadata;
use crate::group::tag::Ask;
use crate::group::{
    Act, Answer, Commit, CommitOwner, Found, Group, LookupOwner, Outcome, Subscription, Terms,
};
use crate::log::Level;
use crate::reading::poll::Start;
use crate::topic::TopicPartition;

/// The longest that letting partitions go for others waits for the commit of what was read of them.
const HAND_OVER: Duration = Duration::from_secs(10);

/// What the configuration says of groups; `None` if it names none.
pub(super) fn terms(shared: &Shared) -> Option<Terms> {
    let config = &shared.config;
    Some(Terms {
        group: Arc::from(config.group_id.as_deref()?),
        instance_id: config.group_instance_id.clone(),
        protocol: config.group_protocol,
        assignors: config.assignors.clone(),
        own_assignor: None,
        remote_assignor: config.group_remote_assignor.clone(),
        session_timeout: config.session_timeout,
        heartbeat_interval: config.heartbeat_interval,
        rebalance_timeout: config.max_poll_interval,
        auto_commit: config.enable_auto_commit,
        rack: config.common.client_rack.clone(),
        exclude_internal: config.exclude_internal_topics,
    })
}

impl Fetcher {
    /// Callers check that there is a group.
    pub(super) fn commit(&mut self, core: &Core<Tag>, now: Instant, commit: Commit) {
        let Some(group) = &mut self.group else {
            return;
        };
        let mut keys = commit.offsets.iter().map(|(key, _)| key);
        match keys.find_map(|key| group.why_not(core, now, key)) {
            Some(error) => self.end_commit(commit, Err(error)),
            None => group.commit(commit),
        }
    }

    pub(super) fn committed(
        &mut self,
        now: Instant,
        wanted: Vec<TopicPartition>,
        deadline: Instant,
        reply: Reply<Vec<Found>>,
    ) {
        if let Some(group) = &mut self.group {
            group.committed(now, wanted, deadline, reply);
        }
    }

    pub(super) fn subscribe(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        subscription: Subscription,
    ) {
        if let Subscription::Topics(topics) = &subscription {
            for topic in topics {
                core.want_topic(topic);
                self.topics.entry(topic.clone()).or_default();
            }
            self.unwatched = true;
        }
        self.shared.watch_polls(now);
        // A pattern is matched with the topics that are known already.
        self.regroup = true;
        if let Some(group) = &mut self.group {
            group.subscribe(now, subscription);
        }
    }

    pub(super) fn leave(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        why: &'static str,
        deadline: Instant,
        reply: Reply<()>,
    ) {
        let mut outcome = Outcome::default();
        match &mut self.group {
            Some(group) => group.leave(why, deadline, reply, &mut outcome),
            None => reply.give(Ok(())),
        }
        self.take_outcome(core, now, outcome);
    }

    pub(super) fn acknowledge(&mut self, core: &mut Core<Tag>, now: Instant, number: u64) {
        let mut outcome = Outcome::default();
        if let Some(group) = &mut self.group {
            group.acknowledged(number, &mut outcome);
        }
        self.take_outcome(core, now, outcome);
    }

    pub(super) fn poll_group(&mut self, core: &mut Core<Tag>, now: Instant) -> Option<Instant> {
        let unreachable = self.shared.inbox.unreachable();
        if std::mem::take(&mut self.regroup) {
            let mut outcome = Outcome::default();
            if let Some(group) = &mut self.group {
                group.on_metadata(core, now, &mut outcome);
            }
            self.take_outcome(core, now, outcome);
        }
        // What it does may make more to do, but each time less: partitions are let go, then taken.
        let mut deadline = None;
        for _ in 0..8 {
            let polls = self.shared.polls();
            let mut outcome = Outcome::default();
            let group = self.group.as_mut()?;
            deadline = group.poll(core, now, unreachable.as_ref(), &polls, &mut outcome);
            let done = outcome.acts.is_empty() && !outcome.auto_commit;
            self.take_outcome(core, now, outcome);
            if done {
                break;
            }
            deadline = Some(now);
        }
        deadline
    }

    pub(super) fn on_group_answer(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        from: (Node, Ask),
        version: i16,
        body: Bytes,
    ) {
        let mut outcome = Outcome::default();
        if let Some(group) = &mut self.group {
            group.answered(core, now, from, version, body, &mut outcome);
        }
        self.take_outcome(core, now, outcome);
    }

    pub(super) fn on_group_failed(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        ask: Ask,
        error: &Error,
    ) {
        let mut outcome = Outcome::default();
        if let Some(group) = &mut self.group {
            group.failed(core, now, ask, error, &mut outcome);
        }
        self.take_outcome(core, now, outcome);
    }

    fn take_outcome(&mut self, core: &mut Core<Tag>, now: Instant, outcome: Outcome) {
        if let Some(group) = &self.group {
            self.shared.set_identity(group.identity());
        }
        let unreachable = |error| Event::of_broker(EventKind::BrokerUnreachable, -1, error);
        self.events.extend(outcome.unreachable.map(unreachable));
        for act in outcome.acts {
            self.act(core, now, act);
        }
        for (commit, result) in outcome.committed {
            if let CommitOwner::HandOver(number) = commit.owner {
                self.end_commit(commit, result);
                self.handed_over(core, now, number);
            } else {
                self.end_commit(commit, result);
            }
        }
        let by = now + core.config.request_timeout;
        if outcome.auto_commit && !self.commit_positions(now, by, CommitOwner::Auto, None) {
            self.group.iter_mut().for_each(|g| g.auto_committed());
        }
        self.take_located(core, outcome.located);
    }

    fn handed_over(&mut self, core: &mut Core<Tag>, now: Instant, number: u64) {
        let mut outcome = Outcome::default();
        if let Some(group) = &mut self.group {
            group.handed_over(number, &mut outcome);
        }
        for act in outcome.acts {
            self.act(core, now, act);
        }
    }

    fn act(&mut self, core: &mut Core<Tag>, now: Instant, act: Act) {
        match act {
            Act::Revoke { number, keys } => {
                self.shared.revoke(&self.partitions(&keys));
                for key in &keys {
                    if let Some(part) = self.parts.get_mut(key) {
                        part.step = Step::Stopped;
                    }
                }
                self.replan = true;
                self.events.push(Event {
                    partitions: keys.into_iter().collect(),
                    token: number,
                    ..Event::of(EventKind::PartitionsRevoked)
                });
            }
            Act::Commit { number, keys, by } => {
                let owner = || CommitOwner::HandOver(number);
                let limit = match by {
                    // The rest is for saying goodbye.
                    Some(by) => by.saturating_duration_since(now).mul_f64(0.9),
                    None => HAND_OVER.min(self.shared.config.max_poll_interval / 2),
                };
                let by = now + limit;
                let committing = self.shared.config.enable_auto_commit
                    && self.commit_positions(now, by, owner(), Some(&keys));
                // What the program has asked for before is done before too.
                if !committing && !self.await_commits(now, by, owner()) {
                    self.handed_over(core, now, number);
                }
            }
            Act::Release(keys) => self.release(core, &keys),
            Act::Lose(keys, error) => {
                self.release(core, &keys);
                if error.code() == ErrorCode::MAX_POLL_EXCEEDED {
                    self.shared.set_late();
                }
                self.events.push(Event {
                    partitions: keys.into_iter().collect(),
                    error: Some(error),
                    ..Event::of(EventKind::PartitionsLost)
                });
            }
            Act::Take(keys) => self.take(core, now, keys),
            Act::Failing(error, ended) => {
                let text = error.message().to_owned();
                let (wall, code) = (core.clock.wall(), error.code().0);
                core.log.log(Level::Warn, "group", code, now, wall, || text);
                let kind = if ended {
                    EventKind::GroupLeft
                } else {
                    EventKind::GroupFailing
                };
                self.events.push(Event {
                    error: Some(error),
                    ..Event::of(kind)
                });
            }
            Act::ToAssign(number, group) => self.events.push(Event {
                token: number,
                group: Some(Arc::new(group)),
                ..Event::of(EventKind::AssignmentWanted)
            }),
            Act::Left => {
                let mut leavers = Vec::new();
                if let Some(group) = &mut self.group {
                    leavers = group.left(core, now);
                    self.shared.set_identity(group.identity());
                }
                let topics: Vec<Arc<str>> = self.topics.keys().cloned().collect();
                for topic in topics {
                    self.forget_unused(core, &topic);
                }
                // Last, so that who waited for it finds everything as it is without a membership.
                for reply in leavers {
                    reply.give(Ok(()));
                }
            }
        }
    }

    fn partitions(&self, keys: &BTreeSet<TopicPartition>) -> Vec<Arc<Partition>> {
        let parts = keys.iter().filter_map(|key| self.parts.get(key));
        parts.map(|part| part.partition.clone()).collect()
    }

    /// Lets go of partitions.
    fn release(&mut self, core: &mut Core<Tag>, keys: &BTreeSet<TopicPartition>) {
        let gone = {
            let mut assignment = self.shared.assignment();
            assignment.retain(|p| !keys.contains(&p.key()))
        };
        for partition in &gone {
            partition.restart(Start::Reset);
        }
        self.shared.revoke(&gone);
        for key in keys {
            self.parts.remove(key);
        }
        self.unplaced = true;
        let topics: BTreeSet<&Arc<str>> = keys.iter().map(|(topic, _)| topic).collect();
        for topic in topics {
            self.forget_unused(core, topic);
        }
    }

    /// Takes partitions over.
    fn take(&mut self, core: &mut Core<Tag>, now: Instant, keys: BTreeSet<TopicPartition>) {
        let mut starts = Vec::new();
        {
            let mut assignment = self.shared.assignment();
            for (topic, index) in &keys {
                if let Some(partition) = assignment.add(topic, *index) {
                    let generation = partition.restart(Start::Reset);
                    starts.push((partition, generation));
                }
            }
        }
        for (partition, generation) in starts {
            self.start(core, partition, generation, Start::Reset);
        }
        let (wall, count) = (core.clock.wall(), keys.len());
        core.log
            .log(Level::Info, "group", "assigned", now, wall, || {
                format!("{count} partitions were assigned to this member of its group")
            });
        self.events.push(Event {
            partitions: keys.into_iter().collect(),
            ..Event::of(EventKind::PartitionsAssigned)
        });
    }

    /// Commits what counts as read and is not committed yet, of these partitions or of all; false if that is nothing.
    pub(super) fn commit_positions(
        &mut self,
        now: Instant,
        by: Instant,
        owner: CommitOwner,
        keys: Option<&BTreeSet<TopicPartition>>,
    ) -> bool {
        let offsets: Vec<(TopicPartition, OffsetAndMetadata)> = {
            let assignment = self.shared.assignment();
            let wanted = assignment
                .iter()
                .filter(|p| keys.is_none_or(|keys| keys.contains(&p.key())));
            let each = wanted.filter_map(|p| {
                let (offset, leader_epoch) = p.uncommitted()?;
                let metadata = String::new();
                Some((
                    p.key(),
                    OffsetAndMetadata {
                        offset,
                        leader_epoch,
                        metadata,
                    },
                ))
            });
            each.collect()
        };
        let Some(group) = self.group.as_mut().filter(|_| !offsets.is_empty()) else {
            return false;
        };
        group.commit(Commit::new(owner, offsets, now, by));
        true
    }

    /// Has `owner` told once all commits under way have ended; false if there are none.
    fn await_commits(&mut self, now: Instant, by: Instant, owner: CommitOwner) -> bool {
        let awaited = |g: &&mut Group| g.commits_under_way() && !planted!("commit-lost-at-close");
        let Some(group) = self.group.as_mut().filter(awaited) else {
            return false;
        };
        group.commit(Commit::new(owner, Vec::new(), now, by));
        true
    }

    fn end_commit(&mut self, commit: Commit, result: Result<(), Error>) {
        if result.is_ok() {
            let assignment = self.shared.assignment();
            for ((topic, index), committed) in &commit.offsets {
                if let Some(partition) = assignment.get(topic, *index) {
                    partition.set_committed(committed.offset);
                }
            }
        }
        match commit.owner {
            CommitOwner::Call(reply) => reply.give(result),
            CommitOwner::Event(token) => self.events.push(Event {
                token,
                error: result.err(),
                ..Event::of(EventKind::OffsetsCommitted)
            }),
            CommitOwner::Auto | CommitOwner::HandOver(_) => {
                if let (CommitOwner::Auto, Some(group)) = (&commit.owner, &mut self.group) {
                    group.auto_committed();
                }
                if let Err(error) = result {
                    self.events.push(Event {
                        error: Some(error),
                        ..Event::of(EventKind::GroupFailing)
                    });
                }
            }
        }
    }

    fn take_located(&mut self, core: &Core<Tag>, located: Vec<Answer>) {
        for (lookup, result) in located {
            let LookupOwner::Position { generation, .. } = lookup.owner else {
                continue;
            };
            let key = lookup.key;
            let Some(part) = self.parts.get_mut(&key) else {
                continue;
            };
            if part.generation != generation || part.step != Step::Locate {
                continue;
            }
            match result {
                Ok(Some(found)) => {
                    part.step = Step::Fetch { next: found.offset };
                    // A log that was truncated since the commit is noticed by it.
                    part.last_epoch = found.leader_epoch;
                    part.partition.located(generation, found.offset);
                    part.partition.set_committed(found.offset);
                    self.replan = true;
                }
                Ok(None) => self.locate_by_policy(core, &key),
                Err(e) => self.stop(
                    &key,
                    (-1, -1),
                    e,
                    "; seek it or assign it anew once that is settled",
                ),
            }
        }
    }
}
