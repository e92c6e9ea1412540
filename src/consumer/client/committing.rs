//! Committed offsets: with a `group.id`, also without being a member of the group.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::event::Start;
use super::super::group::{Commit, CommitOwner};
use super::super::offset::{GroupMetadata, OffsetAndMetadata};
use super::super::partition::Key;
use super::super::shared::{Command, Shared};
use super::{Consumer, check, later};
use crate::error::{Error, ErrorCode, Result};

impl Consumer {
    fn grouped(&self, doing: &str) -> Result<&Arc<Shared>> {
        let shared = self.shared()?;
        match shared.config.group_id {
            Some(_) => Ok(shared),
            None => Err(Error::argument(format!(
                "{doing}: this consumer has no group; configure group.id"
            ))),
        }
    }

    /// What the group has committed of each partition, in the order asked for; `None` where nothing is
    /// (OffsetFetch). With `isolation.level=read_committed`, offsets of transactions that are still open are waited for
    /// (KIP-447).
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` without `group.id`; what the group's coordinator answered; `TIMED_OUT` names what was still
    /// missing and why.
    pub fn committed(
        &self,
        partitions: &[(&str, i32)],
        timeout: Duration,
    ) -> Result<Vec<Option<OffsetAndMetadata>>> {
        self.grouped("looking committed offsets up")?;
        let wanted: Result<Vec<Key>> = partitions
            .iter()
            .map(|(topic, index)| {
                check(topic, *index, Start::Reset)?;
                Ok((Arc::from(*topic), *index))
            })
            .collect();
        let wanted = wanted?;
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        self.ask(
            timeout,
            "looking committed offsets up",
            |deadline, reply| Command::Committed {
                wanted,
                deadline,
                reply,
            },
        )
    }

    /// Commits these offsets for the group, and waits until that is done (OffsetCommit). An offset is that of the next
    /// record to read: one more than that of the last one that was worked on.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` without `group.id`, and for a negative offset; what the group's coordinator answered, for
    /// example `UNKNOWN_MEMBER_ID` or `ILLEGAL_GENERATION` if the group has members and this consumer is none of them;
    /// `TIMED_OUT`, with what stood in the way: it may then have been committed or not.
    pub fn commit(
        &self,
        offsets: &[(&str, i32, OffsetAndMetadata)],
        timeout: Duration,
    ) -> Result<()> {
        self.grouped("committing offsets")?;
        let offsets = to_commit(offsets)?;
        if offsets.is_empty() {
            return Ok(());
        }
        self.ask(timeout, "committing offsets", |deadline, reply| {
            Command::Commit(Commit::new(
                CommitOwner::Call(reply),
                offsets,
                Instant::now(),
                deadline,
            ))
        })
    }

    /// Commits these offsets in the background, after those of earlier calls; an event with the token given back tells
    /// how it ended ([`EventKind::OffsetsCommitted`](super::EventKind::OffsetsCommitted)), at the latest after
    /// `default.api.timeout.ms`.
    ///
    /// # Errors
    /// As [`Consumer::commit`], as far as that can be said at once.
    pub fn commit_async(&self, offsets: &[(&str, i32, OffsetAndMetadata)]) -> Result<u64> {
        let shared = self.grouped("committing offsets")?;
        let offsets = to_commit(offsets)?;
        let token = shared.next_token();
        shared.command(Command::Commit(Commit::new(
            CommitOwner::Event(token),
            offsets,
            Instant::now(),
            later(shared.config.default_api_timeout),
        )));
        Ok(token)
    }

    /// The consumer's place in its group, for a producer that commits offsets in a transaction.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` without `group.id`.
    pub fn group_metadata(&self) -> Result<GroupMetadata> {
        Ok(self
            .grouped("describing the group membership")?
            .group_metadata())
    }
}

fn to_commit(offsets: &[(&str, i32, OffsetAndMetadata)]) -> Result<Vec<(Key, OffsetAndMetadata)>> {
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
