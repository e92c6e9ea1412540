//! Membership in a group.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::super::event::{Event, EventKind};
use super::super::group::{Pattern, Subscription};
use super::super::shared::{Command, Shared};
use super::{Consumer, remove};
use crate::error::{Error, Result};

impl Consumer {
    /// Becomes a member of the group `group.id` and reads what it assigns of these topics; topics that don't exist yet are
    /// read once they do. Replaces an earlier subscription.
    ///
    /// Polls tell of each change: [`PartitionsAssigned`](EventKind::PartitionsAssigned),
    /// [`PartitionsRevoked`](EventKind::PartitionsRevoked), [`PartitionsLost`](EventKind::PartitionsLost). A member has to
    /// poll at least every `max.poll.interval.ms`.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` without `group.id`, without a topic, for an empty name, or while partitions are assigned.
    pub fn subscribe(&self, topics: &[&str]) -> Result<()> {
        if topics.is_empty() {
            return Err(Error::argument(
                "subscribing to no topic at all; to leave the group, unsubscribe",
            ));
        }
        if topics.iter().any(|t| t.is_empty()) {
            return Err(Error::argument("subscribing: a topic's name is empty"));
        }
        let topics: BTreeSet<Arc<str>> = topics.iter().map(|t| Arc::from(*t)).collect();
        self.subscribe_to(Subscription::Topics(topics))
    }

    /// The same for every topic whose whole name matches a regular expression (RE2's syntax), also those made later.
    /// Internal topics are left out by `exclude.internal.topics`.
    ///
    /// # Errors
    /// As [`Consumer::subscribe`], and `INVALID_ARGUMENT` for what is no regular expression.
    pub fn subscribe_pattern(&self, pattern: &str) -> Result<()> {
        self.subscribe_to(Subscription::Pattern(Pattern::new(pattern)?))
    }

    fn subscribe_to(&self, subscription: Subscription) -> Result<()> {
        let shared = self.grouped("subscribing")?;
        let mut assignment = shared.assignment();
        if !assignment.subscribed
            && (assignment.iter().next().is_some() || !assignment.whole.is_empty())
        {
            return Err(Error::argument(
                "subscribing: partitions are assigned to this consumer by hand; unassign them first",
            ));
        }
        assignment.subscribed = true;
        shared.command(Command::Subscribe(subscription));
        Ok(())
    }

    /// Leaves the group at once: what counts as read is committed (with `enable.auto.commit`), nothing more is delivered,
    /// and no event tells of it. Waits until the others can have the partitions.
    ///
    /// # Errors
    /// `TIMED_OUT`; leaving goes on in the background.
    pub fn unsubscribe(&self, timeout: Duration) -> Result<()> {
        let shared = self.shared()?;
        if !shared.assignment().subscribed {
            return Ok(());
        }
        self.ask(timeout, "leaving the group", |deadline, reply| {
            Command::Unsubscribe { deadline, reply }
        })?;
        let mut assignment = shared.assignment();
        assignment.subscribed = false;
        let left = assignment.retain(|_| false);
        remove(shared, left);
        drop(assignment);
        shared.purge();
        Ok(())
    }

    /// Acknowledges a revocation: the partitions are let go, once what counts as read of them is committed (with
    /// `enable.auto.commit`). The next poll does so by itself, so this is only for those who don't poll soon. Other events
    /// need no acknowledgement.
    pub fn acknowledge(&self, event: &Event) -> Result<()> {
        if event.kind == EventKind::PartitionsRevoked {
            self.shared()?.command(Command::Acknowledge(event.token));
        }
        Ok(())
    }

    /// What of a partition lies before `offset` counts as read, though the next batch is not asked for: it is committed in
    /// the background, and is where reading goes on after the consumer has gone. Also shows that the program is at work
    /// on what it was given (`max.poll.interval.ms`).
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the partition is not assigned, or nothing as far as `offset` was delivered.
    pub fn mark(&self, topic: &str, partition: i32, offset: i64) -> Result<()> {
        let shared = self.shared()?;
        let assignment = shared.assignment();
        if !super::assigned(&assignment, topic, partition)?.mark(offset) {
            return Err(Error::argument(format!(
                "marking {topic}-{partition} as read up to offset {offset}: no poll has given it that far"
            )));
        }
        drop(assignment);
        at_work(shared);
        Ok(())
    }
}

fn at_work(shared: &Shared) {
    if shared.config.group_id.is_some() {
        shared.poll_ends(std::time::Instant::now(), None);
    }
}
