//! Members of the classic protocol in a group of the new one (KIP-848), as there are while consumers go from one to
//! the other.
//!
//! The broker assigns for them too, and their generation is the member epoch. A heartbeat tells them to join again when
//! there is something to give up or to get; JoinGroup says what they still hold and is answered at once; SyncGroup
//! fetches what they are to have.

use std::time::Duration;

use ottla_base::error::ErrorCode;

use super::answer::{Joined, Synced};
use super::classic::{CONSUMER, Join, Sync};
use super::embedded::{self, Subscription};
use super::modern::ModernGroup;
use super::modern_member::{ClassicMetadata, MemberState, ModernMember};
use crate::core::cluster::Cluster;

/// What becomes of the group when somebody has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Downgrade {
    No,
    /// The last member of the new protocol was replaced by one of the classic protocol, which has what it had.
    AsItIs,
    /// The same, but it wants something else.
    ToRebalance,
}

/// Whose place somebody who joins takes.
enum Place {
    Own(String),
    /// That of the static member with this id.
    Of(String),
}

impl ModernGroup {
    /// Whether all that are here speak the classic protocol, so that the group can be one of it.
    pub(super) fn is_all_classic(&self) -> bool {
        !self.members.is_empty() && self.members.values().all(|m| m.classic.is_some())
    }

    /// A JoinGroup of somebody new, or of a member.
    pub(super) fn join_classic(
        &mut self,
        now: Duration,
        cluster: &Cluster,
        join: Join,
    ) -> Result<(Joined, Downgrade), ErrorCode> {
        self.check_protocols(&join)?;
        if join.member_id.is_empty() && join.instance.is_none() && join.must_know_id {
            let told = Joined::failed(&join.unique, ErrorCode::MEMBER_ID_REQUIRED);
            return Ok((told, Downgrade::No));
        }
        let place = self.place(&join)?;
        let metadata = join.protocols.first().map(|(_, metadata)| metadata);
        let subscription = metadata
            .and_then(Subscription::read)
            .ok_or(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)?;
        let downgrades = self.is_last_of_its_protocol(join.instance.as_deref());
        let (id, before) = match place {
            Place::Own(id) => {
                let before = self.members.get(&id).cloned();
                (id, before)
            }
            Place::Of(holder) => {
                let instance = join.instance.as_deref().unwrap_or_default();
                let before = self.take_place(&holder, &join.unique, instance);
                (join.unique.clone(), before)
            }
        };
        let owned = subscription.owned(cluster);
        self.update_classic(now, &id, join, subscription);
        let downgrade = if downgrades {
            // The generation is the epoch that the others know; a rebalance makes the next one.
            let epoch = self.epoch;
            self.bump_epoch(cluster, &id, before.as_ref());
            let stale = self.assignment_epoch < self.epoch;
            self.epoch = epoch;
            if stale {
                Downgrade::ToRebalance
            } else {
                self.reconcile(now, &id, Some(&owned));
                Downgrade::AsItIs
            }
        } else {
            self.bump_epoch(cluster, &id, before.as_ref());
            self.assign_if_due(now, cluster);
            self.reconcile(now, &id, Some(&owned));
            Downgrade::No
        };
        Ok((self.joined_classic(&id), downgrade))
    }

    /// Whether those that speak the classic protocol have one of these assignors. None of them is asked to assign, but
    /// they will be when the group is one of their protocol.
    fn check_protocols(&self, join: &Join) -> Result<(), ErrorCode> {
        let by_all = |name: &str| {
            let mut classic = self.members.values().filter_map(|m| m.classic.as_ref());
            classic.all(|c| c.protocols.iter().any(|(n, _)| n == name))
        };
        let fits =
            join.protocol_type == CONSUMER && join.protocols.iter().any(|(name, _)| by_all(name));
        fits.then_some(())
            .ok_or(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)
    }

    fn place(&self, join: &Join) -> Result<Place, ErrorCode> {
        let holder = join.instance.as_ref().map(|i| self.statics.get(i));
        match holder {
            // A dynamic member is taken under whatever id it says that it was told.
            None if join.member_id.is_empty() => Ok(Place::Own(join.unique.clone())),
            None => Ok(Place::Own(join.member_id.clone())),
            Some(None) if join.member_id.is_empty() => Ok(Place::Own(join.unique.clone())),
            Some(Some(holder)) if join.member_id.is_empty() => Ok(Place::Of(holder.clone())),
            Some(Some(holder)) if *holder == join.member_id => Ok(Place::Own(holder.clone())),
            Some(Some(_)) => Err(ErrorCode::FENCED_INSTANCE_ID),
            Some(None) => Err(ErrorCode::UNKNOWN_MEMBER_ID),
        }
    }

    /// Whether the member with this instance id is the only one that speaks the new protocol.
    fn is_last_of_its_protocol(&self, instance: Option<&str>) -> bool {
        let holder = instance.and_then(|i| self.statics.get(i));
        holder.is_some_and(|holder| {
            let mut members = self.members.iter();
            members.all(|(id, m)| m.classic.is_none() == (id == holder))
        })
    }

    /// Takes over what a JoinGroup says of its member.
    fn update_classic(&mut self, now: Duration, id: &str, join: Join, subscription: Subscription) {
        if let Some(instance) = &join.instance {
            self.statics.insert(instance.clone(), id.to_owned());
        }
        let member = self
            .members
            .entry(id.to_owned())
            .or_insert_with(|| ModernMember::new(join.instance));
        if subscription.rack.is_some() {
            member.rack = subscription.rack;
        }
        member.client_id = join.client_id;
        member.client_host = join.client_host;
        member.rebalance_timeout = join.rebalance_timeout;
        member.topics = subscription.topics.into_iter().collect();
        member.regex = None;
        member.expires = now + join.session_timeout;
        member.revoke_limit = None;
        member.classic = Some(ClassicMetadata {
            session_timeout: join.session_timeout,
            protocols: join.protocols,
            join_limit: None,
            sync_limit: Some(now + join.rebalance_timeout),
        });
    }

    /// Nobody leads: the broker assigns.
    fn joined_classic(&self, id: &str) -> Joined {
        let member = self.members.get(id);
        let protocol = member.and_then(|m| m.classic.as_ref());
        Joined {
            code: ErrorCode::NONE,
            generation: member.map_or(-1, |m| m.epoch),
            protocol_type: Some(CONSUMER.to_owned()),
            protocol: protocol.map(|c| c.protocol().0.to_owned()),
            leader: String::new(),
            skip_assignment: false,
            member_id: id.to_owned(),
            members: Vec::new(),
        }
    }

    /// A SyncGroup.
    pub(super) fn sync_classic(
        &mut self,
        now: Duration,
        cluster: &Cluster,
        sync: Sync,
    ) -> Result<Synced, ErrorCode> {
        let target_epoch = self.assignment_epoch;
        let member = self.classic_mut(&sync.member_id, sync.instance.as_deref())?;
        let Some(classic) = &mut member.classic else {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        };
        if sync.generation != member.epoch {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let differs = |said: &Option<String>, is: &str| said.as_deref().is_some_and(|s| s != is);
        let (protocol, metadata) = classic.protocol();
        if differs(&sync.protocol_type, CONSUMER) || differs(&sync.protocol, protocol) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        // One that has to give something up has joined already and must do that first.
        if target_epoch > member.epoch && member.state != MemberState::UnrevokedPartitions {
            let limit = now + member.rebalance_timeout;
            classic.join_limit.get_or_insert(limit);
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        let assigned = super::modern_member::partitions_of(&member.assigned);
        let assignment = embedded::assignment(&assigned, cluster, metadata);
        classic.sync_limit = None;
        member.expires = now + classic.session_timeout;
        Ok(Synced {
            code: ErrorCode::NONE,
            protocol_type: sync.protocol_type,
            protocol: sync.protocol,
            assignment,
        })
    }

    /// A Heartbeat.
    pub(super) fn heartbeat_classic(
        &mut self,
        now: Duration,
        id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        let target_epoch = self.assignment_epoch;
        let waits = self.waits_for_others(id);
        let member = self.classic_mut(id, instance)?;
        if generation != member.epoch {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let limit = now + member.rebalance_timeout;
        let to_join = member.epoch < target_epoch
            || match member.state {
                MemberState::Stable => false,
                MemberState::UnrevokedPartitions => true,
                MemberState::UnreleasedPartitions => !waits,
            };
        let Some(classic) = &mut member.classic else {
            return Err(ErrorCode::UNKNOWN_MEMBER_ID);
        };
        member.expires = now + classic.session_timeout;
        if to_join {
            classic.join_limit.get_or_insert(limit);
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        Ok(())
    }

    /// Whether others hold partitions that are to be this member's.
    fn waits_for_others(&self, id: &str) -> bool {
        let Some(target) = self.target.get(id) else {
            return false;
        };
        let others = || self.members.iter().filter(|(other, _)| *other != id);
        let held = |topic, p| others().any(|(_, m)| m.holds(topic, p));
        target
            .iter()
            .any(|(&topic, of)| of.iter().any(|&p| held(topic, p)))
    }

    /// A LeaveGroup, which takes out members of either protocol: each is named by its member id, or by its instance id
    /// alone. Answers a code for each.
    pub(super) fn leave_classic(&mut self, leaving: &[(String, Option<String>)]) -> Vec<ErrorCode> {
        let mut gone = Vec::with_capacity(leaving.len());
        let mut codes = Vec::with_capacity(leaving.len());
        for (id, instance) in leaving {
            let found = match instance.as_ref().filter(|_| id.is_empty()) {
                Some(instance) => {
                    let holder = self.statics.get(instance).cloned();
                    holder.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
                }
                None => self
                    .check_member(id, instance.as_deref())
                    .map(|()| id.clone()),
            };
            codes.push(found.as_ref().err().copied().unwrap_or(ErrorCode::NONE));
            gone.extend(found);
        }
        if !gone.is_empty() {
            self.fence(gone.iter().map(String::as_str));
        }
        codes
    }

    fn check_member(&self, id: &str, instance: Option<&str>) -> Result<(), ErrorCode> {
        match instance.map(|i| self.statics.get(i)) {
            Some(None) => Err(ErrorCode::UNKNOWN_MEMBER_ID),
            Some(Some(holder)) if holder != id => Err(ErrorCode::FENCED_INSTANCE_ID),
            Some(Some(_)) => Ok(()),
            None if self.members.contains_key(id) => Ok(()),
            None => Err(ErrorCode::UNKNOWN_MEMBER_ID),
        }
    }

    /// The member with this name, if it speaks the classic protocol.
    fn classic_mut(
        &mut self,
        id: &str,
        instance: Option<&str>,
    ) -> Result<&mut ModernMember, ErrorCode> {
        self.check_member(id, instance)?;
        let member = self.members.get_mut(id).filter(|m| m.classic.is_some());
        member.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)
    }
}
