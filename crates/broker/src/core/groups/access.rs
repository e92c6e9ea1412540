//! What may be done with a group: commit offsets and fetch them, delete them or the group.

use std::time::Duration;

use ottla_base::error::ErrorCode;
use uuid::Uuid;

use super::classic::ClassicState;
use super::{Group, Groups};

/// Who says they commit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Committer<'a> {
    pub(crate) member_id: &'a str,
    pub(crate) instance: Option<&'a str>,
    /// The generation, or the member epoch in a group of the new protocol; negative if there is no membership.
    pub(crate) generation: i32,
    pub(crate) in_transaction: bool,
    /// OffsetCommit 9 and later: the client knows of the new protocol.
    pub(crate) knows_epochs: bool,
}

impl Groups {
    /// Whether offsets of a group may be committed; a group that is not there is made if nobody claims to be its
    /// member. `Some` epoch if only for some partitions, see [`may_commit`](Self::may_commit).
    ///
    /// # Errors
    /// Kafka's codes.
    pub(crate) fn check_commit(
        &mut self,
        now: Duration,
        node: i32,
        name: &str,
        who: &Committer<'_>,
    ) -> Result<Option<i32>, ErrorCode> {
        if !self.groups.contains_key(name) {
            if who.generation >= 0 {
                return Err(if who.knows_epochs {
                    ErrorCode::GROUP_ID_NOT_FOUND
                } else {
                    ErrorCode::ILLEGAL_GENERATION
                });
            }
            self.ensure(name, node);
        }
        let (id, generation, transaction) = (who.member_id, who.generation, who.in_transaction);
        let checked = self.change(name, |group, _| match group {
            Group::Classic(group) => {
                group.check_commit(id, who.instance, generation, transaction)?;
                if !transaction {
                    group.renew(now, id);
                }
                Ok(None)
            }
            // Who says nothing of itself in a transaction is not asked.
            Group::Modern(_)
                if transaction && generation < 0 && id.is_empty() && who.instance.is_none() =>
            {
                Ok(None)
            }
            Group::Modern(group) => {
                let since = group.check_commit(id, generation)?;
                let new_only = !group.members.is_empty() && !group.is_classic(id);
                if !transaction && !who.knows_epochs && new_only {
                    return Err(ErrorCode::UNSUPPORTED_VERSION);
                }
                Ok(since)
            }
        });
        match checked.unwrap_or(Ok(None)) {
            // TxnOffsetCommit knows generations only.
            Err(ErrorCode::STALE_MEMBER_EPOCH) if transaction => Err(ErrorCode::ILLEGAL_GENERATION),
            other => other,
        }
    }

    /// Whether a member that commits with an earlier epoch has held this partition since.
    ///
    /// # Errors
    /// Kafka's codes.
    pub(crate) fn may_commit(
        &self,
        name: &str,
        id: &str,
        epoch: i32,
        topic: Uuid,
        partition: i32,
    ) -> Result<(), ErrorCode> {
        match self.get(name) {
            Some(Group::Modern(group)) => group.held_then(id, epoch, topic, partition),
            _ => Ok(()),
        }
    }

    /// Whether offsets of a group may be fetched under this name and epoch.
    ///
    /// # Errors
    /// Kafka's codes.
    pub(crate) fn check_fetch(
        &self,
        name: &str,
        id: Option<&str>,
        epoch: i32,
    ) -> Result<(), ErrorCode> {
        match self.get(name) {
            Some(Group::Modern(group)) => group.check_fetch(id, epoch),
            _ => Ok(()),
        }
    }

    /// Whether a group could be deleted.
    ///
    /// # Errors
    /// `GROUP_ID_NOT_FOUND`, `NON_EMPTY_GROUP`.
    pub(crate) fn delete(&mut self, name: &str) -> Result<(), ErrorCode> {
        match self.get(name) {
            None => Err(ErrorCode::GROUP_ID_NOT_FOUND),
            Some(group) if !group.is_empty() => Err(ErrorCode::NON_EMPTY_GROUP),
            Some(_) => {
                self.remove(name);
                Ok(())
            }
        }
    }

    /// Whether offsets of a group may be deleted, but for topics it is subscribed to.
    ///
    /// # Errors
    /// `GROUP_ID_NOT_FOUND`, `NON_EMPTY_GROUP`.
    pub(crate) fn check_offset_delete(&self, name: &str) -> Result<(), ErrorCode> {
        match self.get(name) {
            None => Err(ErrorCode::GROUP_ID_NOT_FOUND),
            Some(Group::Classic(group)) => {
                if group.state == ClassicState::Empty || group.is_of_consumers() {
                    Ok(())
                } else {
                    Err(ErrorCode::NON_EMPTY_GROUP)
                }
            }
            Some(Group::Modern(_)) => Ok(()),
        }
    }

    /// Whether a member of a group wants this topic.
    pub(crate) fn is_subscribed(&self, name: &str, topic: &str) -> bool {
        match self.get(name) {
            Some(Group::Classic(group)) => group.is_subscribed(topic),
            Some(Group::Modern(group)) => group.is_subscribed(topic),
            None => false,
        }
    }
}
