//! Committed offsets: with a `group.id`, also without being a member of the group.

use std::sync::Arc;
use std::time::Duration;

use crate::client::calls::Call;
use crate::client::event::EventKind;
use crate::client::inbox::Item;
use crate::consumer::client::{Consumer, check};
use crate::consumer::shared::{Command, Shared};
use crate::error::{Error, ErrorCode, Result};
use crate::group::offset::{GroupMetadata, OffsetAndMetadata};
use crate::group::{Commit, CommitOwner, not_ours};
use crate::reading::batch::Batch;
use crate::reading::poll::Start;
use crate::topic::TopicPartition;

impl Consumer {
    pub(super) fn grouped(&self, doing: &str) -> Result<&Arc<Shared>> {
        let shared = self.shared()?;
        match shared.config.group_id {
            Some(_) => Ok(shared),
            None => Err(Error::argument(format!(
                "{doing}: this consumer has no group; configure group.id"
            ))),
        }
    }

    /// Returns the committed offset of the group for each partition, in order; `None` if nothing is committed
    /// (OffsetFetch). With `isolation.level=read_committed` it waits for the end of open transactions that commit
    /// offsets (KIP-447).
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` without `group.id`; the coordinator's error; `TIMED_OUT` names what was still missing and
    /// why.
    pub fn committed(
        &self,
        partitions: &[(&str, i32)],
        timeout: Duration,
    ) -> Result<Vec<Option<OffsetAndMetadata>>> {
        self.committed_async(partitions, timeout)?.wait()
    }

    /// [`Consumer::committed`] without waiting.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `CLOSED`, `FORKED`; the call's are those of [`Consumer::committed`].
    pub fn committed_async(
        &self,
        partitions: &[(&str, i32)],
        timeout: Duration,
    ) -> Result<Call<Vec<Option<OffsetAndMetadata>>>> {
        const DOING: &str = "looking committed offsets up";
        self.grouped(DOING)?;
        let wanted: Result<Vec<TopicPartition>> = partitions
            .iter()
            .map(|(topic, index)| {
                check(topic, *index, Start::Reset)?;
                Ok((Arc::from(*topic), *index))
            })
            .collect();
        let wanted = wanted?;
        if wanted.is_empty() {
            return Ok(Call::done(DOING, Ok(Vec::new())));
        }
        self.ask(timeout, DOING, |deadline, reply| Command::Committed {
            wanted,
            deadline,
            reply,
        })
    }

    /// Commits these offsets for the group, and waits until that is done (OffsetCommit). An offset is that of the
    /// next record to read: one more than that of the last processed record.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` without `group.id`, and for a negative offset; the coordinator's error, for example
    /// `PARTITION_REVOKED` if this consumer is a member and the partition is not assigned to it,
    /// `REBALANCE_IN_PROGRESS` if it is still joining, or why the coordinator cannot be reached, `UNKNOWN_MEMBER_ID`
    /// or `ILLEGAL_GENERATION` if the group has members and this consumer is not one of them; `TIMED_OUT` with the
    /// obstacle: the offsets may or may not have been committed.
    pub fn commit(
        &self,
        offsets: &[(&str, i32, OffsetAndMetadata)],
        timeout: Duration,
    ) -> Result<()> {
        self.grouped("committing offsets")?;
        self.commit_these(to_commit(offsets)?, timeout)
    }

    /// Commits everything that was polled, including the latest batch, and waits until that is done.
    ///
    /// # Errors
    /// As [`Consumer::commit`].
    pub fn commit_polled(&self, timeout: Duration) -> Result<()> {
        let shared = self.grouped("committing positions")?;
        self.commit_these(polled(shared), timeout)
    }

    /// Commits everything that was polled in the background; see [`Consumer::commit_async`].
    ///
    /// # Errors
    /// As [`Consumer::commit_async`].
    pub fn commit_polled_async(&self) -> Result<u64> {
        let shared = self.grouped("committing positions")?;
        self.commit_these_async(polled(shared))
    }

    /// Commits the end of a batch: for each of its partitions the offset after its last record, and after the markers
    /// of transactions that follow it, if they have been read.
    ///
    /// # Errors
    /// As [`Consumer::commit`]; `PARTITION_REVOKED` if a partition of the batch was given up since the poll.
    pub fn commit_batch(&self, batch: &Batch, timeout: Duration) -> Result<()> {
        let shared = self.grouped("committing a batch")?;
        self.commit_these(ends(shared, batch), timeout)
    }

    /// Commits the end of a batch in the background; see [`Consumer::commit_async`].
    ///
    /// # Errors
    /// As [`Consumer::commit_async`].
    pub fn commit_batch_async(&self, batch: &Batch) -> Result<u64> {
        let shared = self.grouped("committing a batch")?;
        self.commit_these_async(ends(shared, batch))
    }

    fn commit_these(
        &self,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
        timeout: Duration,
    ) -> Result<()> {
        if offsets.is_empty() {
            return Ok(());
        }
        let shared = self.shared()?;
        not_lost(shared, &offsets)?;
        let begun = shared.clock.now();
        self.ask(timeout, "committing offsets", |deadline, reply| {
            Command::Commit(Commit::new(
                CommitOwner::Call(reply),
                offsets,
                begun,
                deadline,
            ))
        })?
        .wait()
    }

    fn commit_these_async(&self, offsets: Vec<(TopicPartition, OffsetAndMetadata)>) -> Result<u64> {
        let shared = self.grouped("committing offsets")?;
        not_lost(shared, &offsets)?;
        let token = shared.next_token();
        shared.command(Command::Commit(Commit::new(
            CommitOwner::Event(token),
            offsets,
            shared.clock.now(),
            shared.later(shared.config.default_api_timeout),
        )));
        Ok(token)
    }

    /// Commits these offsets in the background, after those of earlier calls, and returns a token; an event with this
    /// token reports the outcome ([`EventKind::OffsetsCommitted`](crate::consumer::EventKind::OffsetsCommitted)), within
    /// `default.api.timeout.ms`.
    ///
    /// # Errors
    /// Those of [`Consumer::commit`] that can be detected at once.
    pub fn commit_async(&self, offsets: &[(&str, i32, OffsetAndMetadata)]) -> Result<u64> {
        self.grouped("committing offsets")?;
        self.commit_these_async(to_commit(offsets)?)
    }

    /// Returns the consumer's membership of its group, for a producer that commits offsets in a transaction.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` without `group.id`.
    pub fn group_metadata(&self) -> Result<GroupMetadata> {
        Ok(self
            .grouped("describing the group membership")?
            .group_metadata())
    }
}

/// Partitions that were lost, and that the program was not told of yet: what it commits of them it read before, even where
/// they have been assigned again meanwhile. Others may have read on since.
///
/// # Errors
/// `PARTITION_REVOKED`.
fn not_lost(shared: &Shared, offsets: &[(TopicPartition, OffsetAndMetadata)]) -> Result<()> {
    let lost = shared.inbox.items.with(|items| {
        let events = items.iter().map_while(|item| match item {
            Item::Event(event) => Some(event),
            Item::Chunk(_) => None,
        });
        let lost = events.filter(|event| event.kind == EventKind::PartitionsLost);
        let mut keys = lost.flat_map(|event| &event.partitions);
        keys.find(|key| offsets.iter().any(|(own, _)| own == *key))
            .cloned()
    });
    match lost {
        Some(key) => Err(not_ours(&key)),
        _ => Ok(()),
    }
}

/// Where to go on after everything that was polled.
fn polled(shared: &Shared) -> Vec<(TopicPartition, OffsetAndMetadata)> {
    let assignment = shared.assignment();
    let each = assignment.iter().filter_map(|p| {
        p.advance();
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
}

/// Where to go on after a batch.
fn ends(shared: &Shared, batch: &Batch) -> Vec<(TopicPartition, OffsetAndMetadata)> {
    let mut ends = batch.end_offsets();
    let assignment = shared.assignment();
    for ((topic, index), end) in &mut ends {
        if let Some(partition) = assignment.get(topic, *index) {
            end.offset = partition.past_markers(end.offset);
        }
    }
    ends
}

fn to_commit(
    offsets: &[(&str, i32, OffsetAndMetadata)],
) -> Result<Vec<(TopicPartition, OffsetAndMetadata)>> {
    let each = offsets.iter().map(|(topic, index, offset)| {
        check(topic, *index, Start::Reset)?;
        if offset.offset < 0 {
            return Err(Error::new(
                ErrorCode::INVALID_ARGUMENT,
                format!(
                    "committing offset {} of {topic}-{index}: offsets to commit are 0 or more",
                    offset.offset
                ),
            ));
        }
        Ok(((Arc::from(*topic), *index), offset.clone()))
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::event::Event;
    use crate::clock::Clock;
    use crate::config::ConsumerConfig;
    use crate::log::LogRing;

    #[test]
    fn what_was_read_before_a_loss_that_is_not_told_yet_is_not_committed() {
        let pairs = [("bootstrap.servers", "a:1"), ("group.id", "g")];
        let config = ConsumerConfig::from_pairs(pairs).unwrap();
        let log = Arc::new(LogRing::new("c", None));
        let shared = Shared::new(config, log, Clock::System);
        let key = |partition| (Arc::<str>::from("t"), partition);
        let lost = Event {
            partitions: vec![key(1), key(2)],
            ..Event::of(EventKind::PartitionsLost)
        };
        let commit = |partition| not_lost(&shared, &[(key(partition), 5.into())]);
        assert!(commit(2).is_ok());
        shared.inbox.deliver(&mut vec![lost], &mut Vec::new());
        // Assigned again or not: the program does not know that.
        assert_eq!(commit(2).unwrap_err().code(), ErrorCode::PARTITION_REVOKED);
        assert!(commit(0).is_ok());
        shared.inbox.items.with(std::collections::VecDeque::clear);
        assert!(commit(2).is_ok(), "the program was told");
    }
}
