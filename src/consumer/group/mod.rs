//! A consumer's group: the offsets it commits and looks up.
//!
//! Plain data on the I/O thread, a part of the [`Fetcher`](super::fetcher)'s role: events and the time come in, requests
//! go out through the core, on a connection to the group's coordinator that nothing else uses. By concept: [`commits`]
//! and [`lookups`] are what their names say, [`calls`] the callers waiting for them.

mod calls;
mod commits;
mod lookups;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use self::calls::Calls;
pub(super) use self::commits::{Commit, CommitOwner};
use self::commits::{Commits, Done};
use self::lookups::{Answer, Lookups};
pub(super) use self::lookups::{Found, LookupOwner};
use super::fetcher::{Tag, earliest};
use super::partition::{Key, Partition};
use super::shared::Reply;
use crate::cluster::core::{Coordinator, CoordinatorKind, Core, Purpose};
use crate::cluster::nodes::Node;
use crate::error::{Error, ErrorCode};
use crate::net::conn::ConnId;

/// What a request to the coordinator was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    Commit,
    Lookup,
}

/// What a refusal says beyond the request it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// Another broker coordinates the group, or will soon.
    Coordinator,
    /// The group is being rebalanced; the same can be asked again once that is over.
    Rebalancing,
    /// The membership on whose word it was sent has ended.
    Member,
}

fn trouble(code: ErrorCode) -> Option<Trouble> {
    match code {
        ErrorCode::NOT_COORDINATOR
        | ErrorCode::COORDINATOR_NOT_AVAILABLE
        | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => Some(Trouble::Coordinator),
        ErrorCode::REBALANCE_IN_PROGRESS => Some(Trouble::Rebalancing),
        ErrorCode::ILLEGAL_GENERATION
        | ErrorCode::UNKNOWN_MEMBER_ID
        | ErrorCode::STALE_MEMBER_EPOCH
        | ErrorCode::FENCED_MEMBER_EPOCH
        | ErrorCode::FENCED_INSTANCE_ID => Some(Trouble::Member),
        _ => None,
    }
}

/// What to do about a coordinator's refusal, where something can be done.
fn advice(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::GROUP_AUTHORIZATION_FAILED => {
            "; the user needs the ACL operation Read on this group"
        }
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            "; the user needs the ACL operation Read on this topic"
        }
        ErrorCode::INVALID_GROUP_ID => "; check group.id",
        ErrorCode::OFFSET_METADATA_TOO_LARGE => "; the brokers' limit is offset.metadata.max.bytes",
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => "; the topic may have been deleted",
        ErrorCode::ILLEGAL_GENERATION | ErrorCode::UNKNOWN_MEMBER_ID => {
            "; the group has gone on without this consumer, or has members and this consumer is not one of them; what \
             was not committed is read again"
        }
        ErrorCode::FENCED_INSTANCE_ID => {
            "; another consumer with the same group.instance.id has taken this one's place"
        }
        _ => "",
    }
}

/// As whom the group knows this consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Generation of a classic group, or epoch of a member of a new one; -1 outside of a membership.
    pub(super) generation: i32,
    pub(super) member_id: String,
    pub(super) instance_id: Option<String>,
}

impl Default for Identity {
    fn default() -> Self {
        Identity {
            generation: -1,
            member_id: String::new(),
            instance_id: None,
        }
    }
}

/// One consumer's group.
#[derive(Debug)]
pub(super) struct Group {
    id: Arc<str>,
    identity: Identity,
    /// Offsets of open transactions are waited for (KIP-447).
    stable: bool,
    commits: Commits,
    lookups: Lookups,
    calls: Calls,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) committed: Vec<Done>,
    /// Where partitions go on.
    pub(super) located: Vec<Answer>,
}

impl Group {
    pub(super) fn new(id: &str, stable: bool) -> Self {
        Group {
            id: Arc::from(id),
            identity: Identity::default(),
            stable,
            commits: Commits::default(),
            lookups: Lookups::default(),
            calls: Calls::default(),
        }
    }

    pub(super) fn commit(&mut self, commit: Commit) {
        self.commits.add(commit);
    }

    /// Looks up where a partition goes on.
    pub(super) fn locate(&mut self, partition: &Arc<Partition>, generation: u32) {
        let owner = LookupOwner::Position {
            partition: partition.clone(),
            generation,
        };
        self.lookups.add(owner, partition.key());
    }

    /// Looks committed offsets up for a caller.
    pub(super) fn committed(
        &mut self,
        now: Instant,
        wanted: Vec<Key>,
        deadline: Instant,
        reply: Reply<Vec<Found>>,
    ) {
        self.calls
            .ask(&mut self.lookups, now, wanted, deadline, reply);
    }

    /// Does what can be done now; says when to look again though nothing else happens. `unreachable` is why there has
    /// been no contact with the cluster, once that is said.
    pub(super) fn poll(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        unreachable: Option<&Error>,
        outcome: &mut Outcome,
    ) -> Option<Instant> {
        let calls = &self.calls;
        self.lookups.retain(|owner| match owner {
            LookupOwner::Position {
                partition,
                generation,
            } => partition.generation() == *generation,
            LookupOwner::Call { id, .. } => calls.is_open(*id),
        });
        let mut deadline = self.commits.expire(now, &mut outcome.committed);
        let describe = || {
            let kind = CoordinatorKind::Group;
            Some(core.describe_coordinator(now, kind, &self.id))
        };
        deadline = earliest(deadline, self.calls.expire(&self.lookups, now, describe));
        deadline = earliest(deadline, self.lookups.deadline());
        if let Some(error) = unreachable {
            self.refuse(error, outcome);
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

    fn send(
        &mut self,
        core: &mut Core<Tag>,
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
    pub(super) fn answered(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        ask: Ask,
        version: i16,
        body: Bytes,
        outcome: &mut Outcome,
    ) {
        let trouble = match ask {
            Ask::Commit => {
                let done = &mut outcome.committed;
                self.commits
                    .answered(core, now, &self.identity, version, body, done)
            }
            Ask::Lookup => {
                let mut answers = Vec::new();
                let trouble = self
                    .lookups
                    .answered(core, now, version, body, &mut answers);
                self.take_answers(answers, outcome);
                trouble
            }
        };
        match trouble {
            Some((Trouble::Coordinator, error)) => {
                core.coordinator_lost(now, CoordinatorKind::Group, &self.id, &error);
            }
            _ => core.coordinator_answered(CoordinatorKind::Group, &self.id),
        }
    }

    /// A request will have no answer.
    pub(super) fn failed(&mut self, core: &mut Core<Tag>, now: Instant, ask: Ask, error: &Error) {
        match ask {
            Ask::Commit => self.commits.failed(core, now, error),
            Ask::Lookup => self.lookups.failed(core, now, error),
        }
    }

    /// The client ends.
    pub(super) fn close(&mut self, error: &Error) {
        for commit in self.commits.drain() {
            if let CommitOwner::Call(reply) = commit.owner {
                reply.give(Err(error.clone()));
            }
        }
        self.calls.close(error);
    }
}
