//! What members of a group of the classic protocol do between rebalances: fetch their assignment, live, commit, leave.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use ottla_base::error::ErrorCode;

use super::Ticket;
use super::answer::{Answers, Synced};
use super::classic::{CONSUMER, ClassicGroup, ClassicState, Sync};

impl ClassicGroup {
    /// Whether its members are consumers, whose metadata the broker can read.
    pub(crate) fn is_of_consumers(&self) -> bool {
        self.protocol_type.as_deref() == Some(CONSUMER)
    }

    /// Whether a member wants this topic, or may want it.
    pub(crate) fn is_subscribed(&self, topic: &str) -> bool {
        match &self.subscribed {
            Some(topics) => topics.contains(topic),
            None => self.is_of_consumers(),
        }
    }

    /// Whether this is a member, and the one its instance id belongs to.
    ///
    /// # Errors
    /// `UNKNOWN_MEMBER_ID`, `FENCED_INSTANCE_ID`.
    pub(crate) fn check_member(&self, id: &str, instance: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance) = instance {
            match self.statics.get(instance) {
                None => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(known) if known != id => return Err(ErrorCode::FENCED_INSTANCE_ID),
                Some(_) => {}
            }
        }
        if self.members.contains_key(id) {
            Ok(())
        } else {
            Err(ErrorCode::UNKNOWN_MEMBER_ID)
        }
    }

    pub(crate) fn sync(&mut self, now: Duration, sync: Sync, ticket: Ticket, out: &mut Answers) {
        if let Err(code) = self.check_sync(&sync) {
            return out.sync(ticket, Synced::failed(code));
        }
        match self.state {
            ClassicState::Empty => out.sync(ticket, Synced::failed(ErrorCode::UNKNOWN_MEMBER_ID)),
            ClassicState::PreparingRebalance => {
                out.sync(ticket, Synced::failed(ErrorCode::REBALANCE_IN_PROGRESS));
            }
            ClassicState::CompletingRebalance => {
                self.synced(&sync.member_id);
                if let Some(member) = self.members.get_mut(&sync.member_id) {
                    // One that it sent before, over a connection it has given up.
                    if let Some(before) = member.syncing.replace(ticket) {
                        let code = ErrorCode::REBALANCE_IN_PROGRESS;
                        out.sync(before, Synced::failed(code));
                    }
                }
                if self.leads(&sync.member_id) {
                    self.assign(now, sync.assignments, out);
                }
            }
            ClassicState::Stable => {
                self.synced(&sync.member_id);
                out.sync(ticket, self.assigned(&sync.member_id));
            }
        }
    }

    fn check_sync(&self, sync: &Sync) -> Result<(), ErrorCode> {
        self.check_member(&sync.member_id, sync.instance.as_deref())?;
        if sync.generation != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let differs = |said: &Option<String>, is: &Option<String>| {
            said.is_some() && is.is_some() && said != is
        };
        if differs(&sync.protocol_type, &self.protocol_type)
            || differs(&sync.protocol, &self.protocol)
        {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        Ok(())
    }

    /// When all have sent their SyncGroup, nobody is waited for any more.
    fn synced(&mut self, id: &str) {
        self.pending_sync.remove(id);
        if self.pending_sync.is_empty() {
            self.sync_limit = None;
        }
    }

    /// The leader's assignment, given to all that have asked for it.
    fn assign(&mut self, now: Duration, assignments: Vec<(String, Bytes)>, out: &mut Answers) {
        let mut assignments: BTreeMap<String, Bytes> = assignments.into_iter().collect();
        self.state = ClassicState::Stable;
        for (id, member) in &mut self.members {
            member.assignment = assignments.remove(id).unwrap_or_default();
        }
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let assigned = self.assigned(&id);
            if let Some(member) = self.members.get_mut(&id)
                && let Some(ticket) = member.syncing.take()
            {
                member.renew(now);
                out.sync(ticket, assigned);
            }
        }
        self.write_log();
    }

    fn assigned(&self, id: &str) -> Synced {
        let member = self.members.get(id);
        Synced {
            code: ErrorCode::NONE,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            assignment: member.map(|m| m.assignment.clone()).unwrap_or_default(),
        }
    }

    pub(crate) fn heartbeat(
        &mut self,
        now: Duration,
        id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> ErrorCode {
        if let Err(code) = self.check_member(id, instance) {
            return code;
        }
        if generation != self.generation {
            return ErrorCode::ILLEGAL_GENERATION;
        }
        match self.state {
            ClassicState::Empty => return ErrorCode::UNKNOWN_MEMBER_ID,
            ClassicState::PreparingRebalance
            | ClassicState::CompletingRebalance
            | ClassicState::Stable => self.renew(now, id),
        }
        if self.state == ClassicState::PreparingRebalance {
            ErrorCode::REBALANCE_IN_PROGRESS
        } else {
            ErrorCode::NONE
        }
    }

    /// A member's session goes on.
    pub(crate) fn renew(&mut self, now: Duration, id: &str) {
        if let Some(member) = self.members.get_mut(id) {
            member.renew(now);
        }
    }

    /// Takes members out, each named by its member id, or by its instance id alone; answers a code for each.
    pub(crate) fn leave(
        &mut self,
        now: Duration,
        leaving: &[(String, Option<String>)],
        out: &mut Answers,
    ) -> Vec<ErrorCode> {
        let mut codes = Vec::with_capacity(leaving.len());
        for (id, instance) in leaving {
            codes.push(self.leave_one(id, instance.as_deref(), out));
        }
        if codes.contains(&ErrorCode::NONE) {
            match self.state {
                ClassicState::Stable | ClassicState::CompletingRebalance => self.prepare(now, out),
                ClassicState::PreparingRebalance => self.go_on_if_possible(now, out),
                ClassicState::Empty => {}
            }
        }
        codes
    }

    fn leave_one(&mut self, id: &str, instance: Option<&str>, out: &mut Answers) -> ErrorCode {
        let id = if id.is_empty() {
            match instance.and_then(|i| self.statics.get(i)) {
                Some(id) => id.clone(),
                None => return ErrorCode::UNKNOWN_MEMBER_ID,
            }
        } else if self.pending.remove(id).is_some() {
            return ErrorCode::NONE;
        } else if let Err(code) = self.check_member(id, instance) {
            return code;
        } else {
            id.to_owned()
        };
        self.remove(&id, out);
        ErrorCode::NONE
    }

    /// Whether offsets may be committed under this name and generation.
    ///
    /// # Errors
    /// Kafka's codes.
    pub(crate) fn check_commit(
        &self,
        id: &str,
        instance: Option<&str>,
        generation: i32,
        in_transaction: bool,
    ) -> Result<(), ErrorCode> {
        if generation < 0 && self.state == ClassicState::Empty {
            return Ok(());
        }
        if generation >= 0 || !id.is_empty() || instance.is_some() {
            self.check_member(id, instance)?;
            if generation != self.generation {
                return Err(ErrorCode::ILLEGAL_GENERATION);
            }
        } else if !in_transaction && self.state != ClassicState::Empty {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if !in_transaction && self.state == ClassicState::CompletingRebalance {
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        Ok(())
    }

    /// Begins a rebalance as a member's coming and going would. False if nobody is in the group.
    pub(crate) fn force_rebalance(&mut self, now: Duration, out: &mut Answers) -> bool {
        match self.state {
            ClassicState::Empty => return false,
            ClassicState::PreparingRebalance => {}
            ClassicState::CompletingRebalance | ClassicState::Stable => self.prepare(now, out),
        }
        true
    }
}
