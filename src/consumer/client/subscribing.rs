//! Membership in a group.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::client::calls::Call;
use crate::client::event::{Event, EventKind};
use crate::client::to_assign::GroupToAssign;
use crate::config::{Assignor, GroupProtocol};
use crate::consumer::client::{Consumer, remove};
use crate::consumer::shared::{Command, Shared};
use crate::error::{Error, Result};
use crate::group::{OwnAssignor, Pattern, Shares, Subscription};

/// The I/O thread answers at once; this is for one that is busy.
const ANSWERED: Duration = Duration::from_secs(10);

impl Consumer {
    /// Joins the group `group.id` and reads the partitions that it assigns of these topics; topics that don't exist
    /// yet are read once they do. Replaces an earlier subscription.
    ///
    /// Polls report each change: [`PartitionsAssigned`](EventKind::PartitionsAssigned),
    /// [`PartitionsRevoked`](EventKind::PartitionsRevoked), [`PartitionsLost`](EventKind::PartitionsLost). A member
    /// has to poll at least every `max.poll.interval.ms`.
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

    /// Subscribes, as [`Consumer::subscribe`], to every topic whose whole name matches a regular expression (RE2
    /// syntax), including topics created later. `exclude.internal.topics` excludes internal topics; a pattern that
    /// could match one of those (`.*`) is then evaluated by this client, which learns of new topics every
    /// `metadata.max.age.ms`, and other patterns by the brokers if the group's protocol supports it.
    ///
    /// # Errors
    /// As [`Consumer::subscribe`], and `INVALID_ARGUMENT` for an invalid regular expression.
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

    /// Sets a custom assignor, which is preferred to those of `partition.assignment.strategy`: the group uses it if
    /// all members have it. If it does and this member leads the group, a poll returns
    /// [`AssignmentWanted`](EventKind::AssignmentWanted). The consumer then joins its group with the classic
    /// protocol.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` without `group.id`, after subscribing, for an empty name or that of a built-in strategy, or
    /// with `group.protocol=consumer`.
    pub fn set_assignor(&self, own: OwnAssignor) -> Result<()> {
        let shared = self.grouped("setting an assignor")?;
        let wrong = |why: &str| Err(Error::argument(format!("setting an assignor: {why}")));
        if own.name.is_empty() {
            return wrong("its name is empty");
        }
        if Assignor::is_known(&own.name) {
            return wrong(&format!(
                "'{}' is a strategy that is there already",
                own.name
            ));
        }
        if shared.config.group_protocol == GroupProtocol::Consumer {
            return wrong(
                "by group.protocol=consumer the brokers share groups out; set group.protocol=classic",
            );
        }
        let assignment = shared.assignment();
        if assignment.subscribed {
            return wrong("the consumer is subscribed already; set it before");
        }
        shared.command(Command::SetAssignor(own));
        Ok(())
    }

    /// Completes [`AssignmentWanted`](EventKind::AssignmentWanted) with the partitions of each member (member id,
    /// topic, partition). Members that are not listed get none. The group waits for this for up to its members'
    /// `max.poll.interval.ms`.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for another event, for a member or partition that doesn't exist, and for a partition that
    /// its member does not subscribe to or that is listed twice: the call can then be repeated.
    /// `REBALANCE_IN_PROGRESS` if the group has started another rebalance.
    pub fn assign_group<'a>(
        &self,
        event: &Event,
        shares: impl IntoIterator<Item = (&'a str, &'a str, i32)>,
    ) -> Result<()> {
        let shares = asked(event)?.check(shares)?;
        self.answer(event, Some(shares))
    }

    /// Reports that there is no assignment at present: after a moment the group rebalances, and asks again.
    ///
    /// # Errors
    /// As [`Consumer::assign_group`].
    pub fn refuse_assignment(&self, event: &Event) -> Result<()> {
        asked(event)?;
        self.answer(event, None)
    }

    fn answer(&self, event: &Event, shares: Option<Shares>) -> Result<()> {
        let number = event.token;
        self.ask(ANSWERED, "sharing out the group", |_, reply| {
            Command::ShareOut {
                number,
                shares,
                reply,
            }
        })?
        .wait()
    }

    /// Leaves the group at once: commits what counts as read (with `enable.auto.commit`); no more records are
    /// returned, and no event reports it. Waits until other members can have the partitions.
    ///
    /// # Errors
    /// `TIMED_OUT`; leaving then continues in the background.
    pub fn unsubscribe(&self, timeout: Duration) -> Result<()> {
        self.unsubscribe_async(timeout)?.wait()
    }

    /// [`Consumer::unsubscribe`] without waiting. The assignment stays in place until the answer comes.
    ///
    /// # Errors
    /// `CLOSED`, `FORKED`; the call's are those of [`Consumer::unsubscribe`].
    pub fn unsubscribe_async(&self, timeout: Duration) -> Result<Call<()>> {
        const DOING: &str = "leaving the group";
        let shared = self.shared()?;
        if !shared.assignment().subscribed {
            return Ok(Call::done(DOING, Ok(())));
        }
        let call = self.ask(timeout, DOING, |deadline, reply| Command::Unsubscribe {
            deadline,
            reply,
        })?;
        let shared = Arc::downgrade(shared);
        Ok(call.map(move |left| {
            left?;
            if let Some(shared) = shared.upgrade() {
                let mut assignment = shared.assignment();
                assignment.subscribed = false;
                let left = assignment.retain(|_| false);
                remove(&shared, left);
                drop(assignment);
                shared.purge();
            }
            Ok(())
        }))
    }

    /// Acknowledges a revocation: the partitions are released once what counts as read of them is committed (with
    /// `enable.auto.commit`). The next poll does this implicitly; call it if the next poll is not soon. Other events
    /// need no acknowledgement.
    pub fn acknowledge(&self, event: &Event) -> Result<()> {
        if event.kind == EventKind::PartitionsRevoked {
            self.shared()?.command(Command::Acknowledge(event.token));
        }
        Ok(())
    }

    /// Marks everything in a partition before `offset` as read, without waiting for the next poll: it is committed in
    /// the background, and is where reading continues after this consumer. Also shows that the program is making
    /// progress, for `max.poll.interval.ms`.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the partition is not assigned, or polls have not returned its records up to `offset`.
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

fn asked(event: &Event) -> Result<&GroupToAssign> {
    event.group.as_deref().ok_or_else(|| {
        Error::argument(
            "sharing out the group: the event does not ask for it; give the one of kind AssignmentWanted",
        )
    })
}

fn at_work(shared: &Shared) {
    if shared.config.group_id.is_some() {
        shared.poll_ends(shared.clock.now(), None);
    }
}
