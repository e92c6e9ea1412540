//! A group of the new protocol (KIP-848): the broker assigns; members learn of it by their heartbeats.
//!
//! What members subscribe to makes the group's epoch grow, and with it the target: what each member is to have. Every
//! member goes to its target by itself, giving up before it gets, so that no partition has two owners.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ottla_base::error::ErrorCode;
use uuid::Uuid;

use super::GroupOptions;
use super::assignors::{self, ASSIGNORS, Subscriber};
use super::modern_member::{MemberState, ModernMember, Partitions, partitions_of};
use super::regex::TopicRegex;
use crate::core::cluster::Cluster;
use crate::log::Refused;

/// The epoch with which a member leaves.
pub(crate) const LEAVE: i32 = -1;
/// The epoch with which a static member leaves for a while.
pub(crate) const LEAVE_FOR_A_WHILE: i32 = -2;

/// Kafka's settings of these groups.
#[derive(Clone, Debug)]
pub(crate) struct ModernOptions {
    /// `group.consumer.session.timeout.ms`.
    pub(crate) session_timeout: Duration,
    /// `group.consumer.heartbeat.interval.ms`.
    pub(crate) heartbeat_interval: Duration,
    /// `group.consumer.assignment.interval.ms`.
    pub(crate) assignment_interval: Duration,
}

/// A ConsumerGroupHeartbeat of a member that stays.
#[derive(Clone, Debug)]
pub(crate) struct Heartbeat {
    pub(crate) member_id: String,
    pub(crate) epoch: i32,
    pub(crate) instance: Option<String>,
    pub(crate) rack: Option<String>,
    pub(crate) rebalance_timeout: Option<Duration>,
    pub(crate) topics: Option<BTreeSet<String>>,
    pub(crate) regex: Option<String>,
    pub(crate) assignor: Option<String>,
    pub(crate) owned: Option<Partitions>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
}

impl Heartbeat {
    /// Whether it says everything, as a member that joins or has missed an answer does.
    fn is_full(&self) -> bool {
        self.epoch == 0
            || (self.rebalance_timeout.is_some()
                && (self.topics.is_some() || self.regex.is_some())
                && self.owned.is_some())
    }
}

/// The answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Beaten {
    pub(crate) member_id: String,
    pub(crate) epoch: i32,
    /// Zero for one that has left.
    pub(crate) interval: Duration,
    /// Only if it has changed, or the member may not know it.
    pub(crate) assignment: Option<Partitions>,
}

/// The group.
#[derive(Clone, Debug)]
pub(crate) struct ModernGroup {
    pub(crate) name: String,
    pub(crate) epoch: i32,
    pub(crate) assignment_epoch: i32,
    assigned_at: Option<Duration>,
    pub(crate) members: BTreeMap<String, ModernMember>,
    /// Member ids by `group.instance.id`.
    pub(super) statics: BTreeMap<String, String>,
    pub(crate) target: BTreeMap<String, Partitions>,
    /// Ids and numbers of partitions of the topics subscribed to, as of `seen`.
    pub(super) metadata: BTreeMap<String, (Uuid, i32)>,
    /// The version of the cluster's topics that `metadata` is of.
    seen: Option<u64>,
    /// An epoch beyond the current one was asked for by hand.
    forced: bool,
    pub(super) options: GroupOptions,
}

impl ModernGroup {
    pub(crate) fn new(name: &str, options: GroupOptions) -> Self {
        Self {
            name: name.to_owned(),
            // As Kafka counts: the first member comes into epoch 2.
            epoch: 1,
            assignment_epoch: 0,
            assigned_at: None,
            members: BTreeMap::new(),
            statics: BTreeMap::new(),
            target: BTreeMap::new(),
            metadata: BTreeMap::new(),
            seen: None,
            forced: false,
            options,
        }
    }

    /// Kafka's name of its state.
    pub(crate) fn state_name(&self) -> &'static str {
        if self.members.is_empty() {
            "Empty"
        } else if self.epoch > self.assignment_epoch {
            "Assigning"
        } else if self
            .members
            .values()
            .all(|m| m.has_reached(self.assignment_epoch))
        {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// The assignor most members ask for.
    pub(crate) fn assignor(&self) -> &str {
        let mut votes: BTreeMap<&str, usize> = BTreeMap::new();
        for name in self.members.values().filter_map(|m| m.assignor.as_deref()) {
            *votes.entry(name).or_default() += 1;
        }
        let most = votes.into_iter().max_by_key(|&(_, votes)| votes);
        most.map_or(ASSIGNORS[0], |(name, _)| name)
    }

    /// When [`tick`](Self::tick) wants to be called.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.members.values().map(ModernMember::deadline).min()
    }

    /// Removes members whose session has ended, or that have not done in time what they were told to. False if there
    /// are none.
    pub(crate) fn tick(&mut self, now: Duration) -> bool {
        let late = self.members.iter().filter(|(_, m)| m.deadline() <= now);
        let late: Vec<String> = late.map(|(id, _)| id.clone()).collect();
        for id in &late {
            self.fence([id.as_str()]);
        }
        !late.is_empty()
    }

    /// Takes members out; what they had is for the others. A group that is to be one of the classic protocol now stays
    /// in its epoch, which becomes its generation.
    pub(crate) fn fence<'a>(&mut self, ids: impl IntoIterator<Item = &'a str>) {
        for id in ids {
            if let Some(member) = self.members.remove(id) {
                if let Some(instance) = member.instance {
                    self.statics.remove(&instance);
                }
                self.target.remove(id);
            }
        }
        if !self.is_all_classic() {
            self.epoch += 1;
        }
        if self.members.is_empty() {
            // There is nothing to work out for nobody.
            self.assignment_epoch = self.epoch;
        }
    }

    /// Has the target be worked out anew, in a new epoch, at the next heartbeat. False if nobody is in the group.
    pub(crate) fn force_rebalance(&mut self) -> bool {
        self.forced = !self.members.is_empty();
        self.forced
    }

    /// Another node coordinates the group now: it knows all that was written, and gives every member time.
    pub(crate) fn unload(&mut self, now: Duration) {
        for member in self.members.values_mut() {
            // Kafka gives members of the classic protocol the same time here, whatever they asked for.
            member.expires = now + self.options.modern.session_timeout;
            if member.revoke_limit.is_some() {
                member.revoke_limit = Some(now + member.rebalance_timeout);
            }
            if let Some(classic) = &mut member.classic {
                (classic.join_limit, classic.sync_limit) = (None, None);
            }
        }
    }

    /// A member's heartbeat.
    ///
    /// # Errors
    /// Kafka's codes and words.
    pub(crate) fn heartbeat(
        &mut self,
        now: Duration,
        cluster: &Cluster,
        beat: Heartbeat,
    ) -> Result<Beaten, Refused> {
        if let Some(regex) = &beat.regex
            && !regex.is_empty()
        {
            TopicRegex::new(regex)?;
        }
        let id = beat.member_id.clone();
        let before = self.subscribe(&beat)?;
        self.update(now, &beat, &id);
        self.bump_epoch(cluster, &id, before.as_ref());
        self.assign_if_due(now, cluster);
        self.reconcile(now, &id, beat.owned.as_ref());
        let Some(member) = self.members.get(&id) else {
            return Err(unknown(&id, &self.name));
        };
        let now_assigned = partitions_of(&member.assigned);
        let same = before.is_some_and(|b| partitions_of(&b.assigned) == now_assigned);
        Ok(Beaten {
            member_id: id,
            epoch: member.epoch,
            interval: self.options.modern.heartbeat_interval,
            assignment: (beat.is_full() || !same).then_some(now_assigned),
        })
    }

    /// A new epoch if there is cause for one: the member's subscription, the topics that match those of all, or a
    /// rebalance asked for by hand.
    pub(super) fn bump_epoch(
        &mut self,
        cluster: &Cluster,
        id: &str,
        before: Option<&ModernMember>,
    ) {
        let changed = self.members.get(id).is_some_and(|m| match before {
            Some(before) => before.topics != m.topics || before.regex != m.regex,
            None => !m.topics.is_empty() || m.regex.is_some(),
        });
        if changed || self.forced || self.seen != Some(cluster.topics_version()) {
            let metadata = self.metadata_now(cluster);
            if changed || self.forced || metadata != self.metadata {
                self.epoch += 1;
                self.metadata = metadata;
            }
            self.forced = false;
            self.seen = Some(cluster.topics_version());
        }
    }

    /// Takes the topics as they are for those of the present epoch.
    pub(super) fn look_at_topics(&mut self, cluster: &Cluster) {
        self.metadata = self.metadata_now(cluster);
        self.seen = Some(cluster.topics_version());
    }

    /// Works out the target of a new epoch, no more often than the interval allows.
    pub(super) fn assign_if_due(&mut self, now: Duration, cluster: &Cluster) {
        let due = self
            .assigned_at
            .is_none_or(|at| now >= at + self.options.modern.assignment_interval);
        if self.epoch > self.assignment_epoch && due {
            self.assign(now, cluster);
        }
    }

    /// Finds the member, or makes it if it joins. What it was before is answered.
    fn subscribe(&mut self, beat: &Heartbeat) -> Result<Option<ModernMember>, Refused> {
        let id = &beat.member_id;
        let joins = beat.epoch == 0;
        let Some(instance) = &beat.instance else {
            return match self.members.get(id) {
                None if joins => {
                    self.members.insert(id.clone(), ModernMember::new(None));
                    Ok(None)
                }
                None => Err(unknown(id, &self.name)),
                Some(member) => {
                    check_epoch(member, beat)?;
                    Ok(Some(member.clone()))
                }
            };
        };
        let Some(holder) = self.statics.get(instance).cloned() else {
            if !joins {
                return Err(Refused::new(
                    ErrorCode::UNKNOWN_MEMBER_ID,
                    format!("Instance id {instance} is unknown."),
                ));
            }
            self.statics.insert(instance.clone(), id.clone());
            let member = ModernMember::new(Some(instance.clone()));
            self.members.insert(id.clone(), member);
            return Ok(None);
        };
        let Some(member) = self.members.get(&holder) else {
            return Err(unknown(&holder, &self.name));
        };
        if !joins {
            check_instance(&holder, id, instance)?;
            check_epoch(member, beat)?;
            return Ok(Some(member.clone()));
        }
        // One of the classic protocol never says that it goes.
        if member.epoch != LEAVE_FOR_A_WHILE && member.classic.is_none() {
            return Err(Refused::new(
                ErrorCode::UNRELEASED_INSTANCE_ID,
                format!(
                    "Static member {id} with instance id {instance} cannot join the group because the instance id is \
                     owned by {holder} member."
                ),
            ));
        }
        Ok(self.take_place(&holder, id, instance))
    }

    /// A static member comes back, under another id, to what it had.
    pub(super) fn take_place(
        &mut self,
        holder: &str,
        id: &str,
        instance: &str,
    ) -> Option<ModernMember> {
        let mut back = self.members.remove(holder)?;
        (back.epoch, back.previous_epoch) = (0, 0);
        back.revoke_limit = None;
        if let Some(target) = self.target.remove(holder) {
            self.target.insert(id.to_owned(), target);
        }
        self.statics.insert(instance.to_owned(), id.to_owned());
        self.members.insert(id.to_owned(), back.clone());
        Some(back)
    }

    /// Takes over what a heartbeat says of its member.
    fn update(&mut self, now: Duration, beat: &Heartbeat, id: &str) {
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        member.expires = now + self.options.modern.session_timeout;
        member.classic = None;
        member.client_id.clone_from(&beat.client_id);
        member.client_host.clone_from(&beat.client_host);
        if beat.rack.is_some() {
            member.rack.clone_from(&beat.rack);
        }
        if let Some(timeout) = beat.rebalance_timeout {
            member.rebalance_timeout = timeout;
        }
        if beat.assignor.is_some() {
            member.assignor.clone_from(&beat.assignor);
        }
        if let Some(topics) = &beat.topics {
            member.topics.clone_from(topics);
        }
        if let Some(regex) = &beat.regex {
            member.regex = Some(regex.clone()).filter(|r| !r.is_empty());
        }
    }

    /// The topics each member wants, by name.
    fn wanted(member: &ModernMember, cluster: &Cluster) -> BTreeSet<String> {
        let mut wanted = member.topics.clone();
        // It was checked when it came.
        let regex = member
            .regex
            .as_deref()
            .and_then(|r| TopicRegex::new(r).ok());
        if let Some(regex) = regex {
            let names = cluster.topics().map(|t| t.name.as_str());
            wanted.extend(names.filter(|n| regex.matches(n)).map(str::to_owned));
        }
        wanted
    }

    fn metadata_now(&self, cluster: &Cluster) -> BTreeMap<String, (Uuid, i32)> {
        let mut metadata = BTreeMap::new();
        for name in self.members.values().flat_map(|m| Self::wanted(m, cluster)) {
            if let Some(topic) = cluster.topic(&name) {
                metadata.insert(name, (topic.id, topic.partitions.len() as i32));
            }
        }
        metadata
    }

    /// Works out the target of this epoch.
    fn assign(&mut self, now: Duration, cluster: &Cluster) {
        let counts: BTreeMap<Uuid, i32> = self.metadata.values().copied().collect();
        let ids = |names: BTreeSet<String>| -> BTreeSet<Uuid> {
            let known = names.iter().filter_map(|n| self.metadata.get(n));
            known.map(|(id, _)| *id).collect()
        };
        let subscribers: Vec<Subscriber> = self
            .members
            .iter()
            .map(|(id, m)| Subscriber {
                id: id.clone(),
                instance: m.instance.clone(),
                topics: ids(Self::wanted(m, cluster)),
                target: self.target.get(id).cloned().unwrap_or_default(),
            })
            .collect();
        let assigned = assignors::assign(self.assignor(), &subscribers, &counts);
        self.target = subscribers
            .into_iter()
            .map(|s| s.id)
            .zip(assigned)
            .collect();
        self.assignment_epoch = self.epoch;
        self.assigned_at = Some(now);
    }

    pub(super) fn reconcile(&mut self, now: Duration, id: &str, owned: Option<&Partitions>) {
        let Some(mut member) = self.members.get(id).cloned() else {
            return;
        };
        if member.has_reached(self.assignment_epoch) {
            return;
        }
        let target = self.target.get(id).cloned().unwrap_or_default();
        let held = |topic, partition| self.members.values().any(|m| m.holds(topic, partition));
        let before = member.clone();
        member.reconcile(self.assignment_epoch, &target, owned, |topic, partition| {
            !held(topic, partition)
        });
        if member != before {
            // One of the classic protocol is given its time to join and to sync.
            let revokes =
                member.state == MemberState::UnrevokedPartitions && member.classic.is_none();
            member.revoke_limit = revokes.then(|| now + member.rebalance_timeout);
            self.members.insert(id.to_owned(), member);
        }
    }
}

/// An epoch other than the member's own is that of an answer that was lost, or of a member that was fenced.
fn check_epoch(member: &ModernMember, beat: &Heartbeat) -> Result<(), Refused> {
    let words = |size: &str| {
        format!(
            "The consumer group member has a {size} member epoch ({}) than the one known by the group coordinator \
             ({}). The member must abandon all its partitions and rejoin.",
            beat.epoch, member.epoch
        )
    };
    if beat.epoch == 0 {
        // It begins anew, whatever it has been.
        return Ok(());
    }
    let fenced = |size| Err(Refused::new(ErrorCode::FENCED_MEMBER_EPOCH, words(size)));
    if beat.epoch > member.epoch {
        return fenced("greater");
    }
    let has_only_what_it_was_given = beat.owned.as_ref().is_some_and(|owned| {
        let of = partitions_of(&member.assigned);
        let subset = |(topic, p): (&Uuid, &BTreeSet<i32>)| {
            p.is_empty() || of.get(topic).is_some_and(|a| p.is_subset(a))
        };
        owned.iter().all(subset)
    });
    if beat.epoch < member.epoch
        && !(beat.epoch == member.previous_epoch && has_only_what_it_was_given)
    {
        return fenced("smaller");
    }
    Ok(())
}

pub(super) fn check_instance(holder: &str, id: &str, instance: &str) -> Result<(), Refused> {
    if holder == id {
        return Ok(());
    }
    Err(Refused::new(
        ErrorCode::FENCED_INSTANCE_ID,
        format!("Static member {id} with instance id {instance} was fenced by member {holder}."),
    ))
}

pub(super) fn unknown(id: &str, group: &str) -> Refused {
    Refused::new(
        ErrorCode::UNKNOWN_MEMBER_ID,
        format!("Member {id} is not a member of group {group}."),
    )
}
