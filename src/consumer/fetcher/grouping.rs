//! What the fetcher has to do with its group: partitions start at committed offsets, and commits are told of.

use std::time::Instant;

use bytes::Bytes;

use super::super::event::{Event, EventKind};
use super::super::group::{Ask, Commit, CommitOwner, Found, LookupOwner, Outcome};
use super::super::partition::Key;
use super::super::shared::Reply;
use super::{Fetcher, Step, Tag};
use crate::cluster::core::Core;
use crate::error::Error;

impl Fetcher {
    /// Callers check that there is a group.
    pub(super) fn commit(&mut self, commit: Commit) {
        if let Some(group) = &mut self.group {
            group.commit(commit);
        }
    }

    pub(super) fn committed(
        &mut self,
        now: Instant,
        wanted: Vec<Key>,
        deadline: Instant,
        reply: Reply<Vec<Found>>,
    ) {
        if let Some(group) = &mut self.group {
            group.committed(now, wanted, deadline, reply);
        }
    }

    pub(super) fn poll_group(&mut self, core: &mut Core<Tag>, now: Instant) -> Option<Instant> {
        let unreachable = self.shared.unreachable();
        let mut outcome = Outcome::default();
        let deadline = self
            .group
            .as_mut()?
            .poll(core, now, unreachable.as_ref(), &mut outcome);
        self.take_outcome(outcome);
        deadline
    }

    pub(super) fn on_group_answer(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        ask: Ask,
        version: i16,
        body: Bytes,
    ) {
        let mut outcome = Outcome::default();
        if let Some(group) = &mut self.group {
            group.answered(core, now, ask, version, body, &mut outcome);
        }
        self.take_outcome(outcome);
    }

    pub(super) fn on_group_failed(
        &mut self,
        core: &mut Core<Tag>,
        now: Instant,
        ask: Ask,
        error: &Error,
    ) {
        if let Some(group) = &mut self.group {
            group.failed(core, now, ask, error);
        }
    }

    fn take_outcome(&mut self, outcome: Outcome) {
        for (commit, result) in outcome.committed {
            match commit.owner {
                CommitOwner::Call(reply) => reply.give(result),
                CommitOwner::Event(token) => self.events.push(Event {
                    token,
                    error: result.err(),
                    ..Event::of(EventKind::OffsetsCommitted)
                }),
            }
        }
        for (lookup, result) in outcome.located {
            let LookupOwner::Position {
                partition,
                generation,
            } = lookup.owner
            else {
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
                    partition.located(generation, found.offset);
                    self.replan = true;
                }
                Ok(None) => self.locate_by_policy(&key),
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
