//! What members of a group of the new protocol do besides heartbeats: leave, commit, fetch what was committed.

use std::cmp::Ordering;
use std::time::Duration;

use ottla_base::error::ErrorCode;
use uuid::Uuid;

use super::modern::{Beaten, LEAVE_FOR_A_WHILE, ModernGroup, check_instance, unknown};
use super::modern_member::ModernMember;
use crate::log::Refused;

impl ModernGroup {
    /// A member leaves, for good or, if it is static, for a while.
    ///
    /// # Errors
    /// Kafka's codes and words.
    pub(crate) fn leave(
        &mut self,
        id: &str,
        instance: Option<&str>,
        epoch: i32,
    ) -> Result<Beaten, Refused> {
        if let Some(instance) = instance {
            let Some(holder) = self.statics.get(instance) else {
                return Err(Refused::new(
                    ErrorCode::UNKNOWN_MEMBER_ID,
                    format!("Instance id {instance} is unknown."),
                ));
            };
            check_instance(holder, id, instance)?;
        }
        let Some(member) = self.members.get_mut(id) else {
            return Err(unknown(id, &self.name));
        };
        if epoch == LEAVE_FOR_A_WHILE {
            member.epoch = LEAVE_FOR_A_WHILE;
            member.revoking.clear();
            member.revoke_limit = None;
        } else {
            self.fence([id]);
        }
        Ok(Beaten {
            member_id: id.to_owned(),
            epoch,
            interval: Duration::ZERO,
            assignment: None,
        })
    }

    /// Whether offsets may be committed under this name and epoch: `Some` epoch if only those of partitions that the
    /// member has held since then or longer.
    ///
    /// # Errors
    /// Kafka's codes.
    pub(crate) fn check_commit(&self, id: &str, epoch: i32) -> Result<Option<i32>, ErrorCode> {
        if epoch < 0 && self.members.is_empty() {
            return Ok(None);
        }
        let Some(member) = self.members.get(id) else {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        };
        match epoch.cmp(&member.epoch) {
            Ordering::Equal => Ok(None),
            Ordering::Less => Ok(Some(epoch)),
            Ordering::Greater => Err(wrong_epoch(member)),
        }
    }

    /// Whether a commit of an earlier epoch (see [`check_commit`](Self::check_commit)) may be for this partition
    /// (KIP-1251).
    ///
    /// # Errors
    /// Kafka's codes.
    pub(crate) fn held_then(
        &self,
        id: &str,
        epoch: i32,
        topic: Uuid,
        partition: i32,
    ) -> Result<(), ErrorCode> {
        let member = self.members.get(id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        match member.holds_since(topic, partition) {
            Some(since) if since <= epoch => Ok(()),
            _ => Err(wrong_epoch(member)),
        }
    }

    /// Whether a member speaks the classic protocol here, and so may use the versions of requests it knows.
    pub(crate) fn is_classic(&self, id: &str) -> bool {
        self.members.get(id).is_some_and(|m| m.classic.is_some())
    }

    /// Whether a member may fetch offsets under this name and epoch.
    ///
    /// # Errors
    /// Kafka's codes.
    pub(crate) fn check_fetch(&self, id: Option<&str>, epoch: i32) -> Result<(), ErrorCode> {
        if id.is_none() && epoch < 0 {
            return Ok(());
        }
        match id.and_then(|id| self.members.get(id)) {
            None => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            Some(member) if member.epoch != epoch => Err(wrong_epoch(member)),
            Some(_) => Ok(()),
        }
    }

    /// Whether a member wants this topic.
    pub(crate) fn is_subscribed(&self, topic: &str) -> bool {
        self.metadata.contains_key(topic) || self.members.values().any(|m| m.topics.contains(topic))
    }
}

/// What a member learns of an epoch that is not its own; in the classic protocol epochs are generations.
fn wrong_epoch(member: &ModernMember) -> ErrorCode {
    if member.classic.is_some() {
        ErrorCode::ILLEGAL_GENERATION
    } else {
        ErrorCode::STALE_MEMBER_EPOCH
    }
}
