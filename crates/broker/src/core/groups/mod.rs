//! Groups of consumers: who is a member, and which partitions each has.
//!
//! Plain data: requests and the time go in; answers that have to wait for other members come out of
//! [`Groups::answers`] later, under the ticket the request was given. One file per kind of group and concept.

mod access;
pub(crate) mod answer;
pub(crate) mod assignors;
pub(crate) mod classic;
mod classic_log;
pub(crate) mod classic_member;
mod classic_session;
#[cfg(test)]
mod classic_tests;
mod conversion;
mod embedded;
mod mixed;
#[cfg(test)]
mod mixed_random_tests;
#[cfg(test)]
mod mixed_tests;
#[cfg(test)]
mod mixed_world;
pub(crate) mod modern;
pub(crate) mod modern_member;
mod modern_session;
#[cfg(test)]
mod modern_tests;
#[cfg(test)]
mod random_tests;
mod regex;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ottla_base::error::ErrorCode;

pub(crate) use self::access::Committer;
use self::answer::{Answers, Joined, Synced};
use self::classic::{ClassicGroup, ClassicState, Join, Sync};
use self::modern::{Beaten, Heartbeat, LEAVE, ModernGroup, ModernOptions};
use super::cluster::Cluster;
use crate::log::Refused;

/// Names a request that waits for its answer.
pub(crate) type Ticket = u64;

/// How groups are to behave; Kafka's settings.
#[derive(Clone, Debug)]
pub(crate) struct GroupOptions {
    /// `group.initial.rebalance.delay.ms`.
    pub(crate) initial_rebalance_delay: Duration,
    /// Those of the new protocol.
    pub(crate) modern: ModernOptions,
}

impl Default for GroupOptions {
    fn default() -> Self {
        GroupOptions {
            initial_rebalance_delay: Duration::ZERO,
            modern: ModernOptions {
                session_timeout: Duration::from_secs(45),
                heartbeat_interval: Duration::from_secs(5),
                assignment_interval: Duration::ZERO,
            },
        }
    }
}

/// A group of either protocol.
#[derive(Clone, Debug)]
pub(crate) enum Group {
    Classic(ClassicGroup),
    Modern(ModernGroup),
}

impl Group {
    /// Kafka's name of its state.
    pub(crate) fn state_name(&self) -> &'static str {
        match self {
            Group::Classic(group) => group.state.name(),
            Group::Modern(group) => group.state_name(),
        }
    }

    /// Kafka's name of its type.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Group::Classic(_) => "classic",
            Group::Modern(_) => "consumer",
        }
    }

    pub(crate) fn protocol_type(&self) -> &str {
        match self {
            Group::Classic(group) => group.protocol_type.as_deref().unwrap_or_default(),
            Group::Modern(_) => classic::CONSUMER,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Group::Classic(group) => group.state == ClassicState::Empty,
            Group::Modern(group) => group.members.is_empty(),
        }
    }

    fn deadline(&self) -> Option<Duration> {
        match self {
            Group::Classic(group) => group.deadline(),
            Group::Modern(group) => group.deadline(),
        }
    }

    fn tick(&mut self, now: Duration, cluster: &Cluster, out: &mut Answers) {
        match self {
            Group::Classic(group) => group.tick(now, out),
            Group::Modern(group) => {
                if group.tick(now) {
                    self.members_gone(now, cluster, out);
                }
            }
        }
    }
}

struct Entry {
    group: Group,
    /// The node that coordinated it when that was last looked at; `None` while no node runs, when time stands still for
    /// its members.
    node: Option<i32>,
    /// Where it stands in `due`.
    due: Option<Duration>,
    /// An earlier broker had it, and what members that had is not known any more.
    forgotten: bool,
}

impl Entry {
    fn new(group: Group, node: i32) -> Self {
        Self {
            group,
            node: Some(node),
            due: None,
            forgotten: false,
        }
    }
}

/// All groups.
#[derive(Default)]
pub struct Groups {
    groups: BTreeMap<String, Entry>,
    due: BTreeSet<(Duration, String)>,
    /// Answers that came due; the core sends them.
    pub(crate) answers: Answers,
    /// Of groups that have none of their own.
    pub(crate) options: GroupOptions,
    own_options: BTreeMap<String, GroupOptions>,
    next_ticket: Ticket,
    /// There is a group that was not there when this was last looked at.
    pub(crate) has_new: bool,
}

impl Groups {
    /// How a group is to behave.
    fn options_of(&self, group: &str) -> GroupOptions {
        self.own_options.get(group).unwrap_or(&self.options).clone()
    }

    /// Has a group behave so from now on.
    pub(crate) fn set_options(&mut self, group: &str, options: GroupOptions) {
        if let Some(entry) = self.groups.get_mut(group)
            && let Group::Modern(modern) = &mut entry.group
        {
            modern.options = options.clone();
        }
        self.own_options.insert(group.to_owned(), options);
    }

    /// A new ticket.
    pub(crate) fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        self.next_ticket
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Group> {
        self.groups.get(name).map(|e| &e.group)
    }

    /// All groups and the nodes that coordinate them, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, Option<i32>, &Group)> {
        self.groups
            .iter()
            .map(|(name, e)| (name.as_str(), e.node, &e.group))
    }

    /// When [`tick`](Self::tick) wants to be called.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.due.first().map(|&(at, _)| at)
    }

    /// Does what has become due, but for the groups of nodes that are `paused`, which are looked at again later.
    pub(crate) fn tick(
        &mut self,
        now: Duration,
        cluster: &Cluster,
        retry: Duration,
        paused: impl Fn(i32) -> bool,
    ) {
        while let Some((_, name)) = self.due.first().filter(|(at, _)| *at <= now).cloned() {
            let Some(entry) = self.groups.get_mut(&name) else {
                self.due.pop_first();
                continue;
            };
            if entry.node.is_some_and(&paused) {
                self.due.pop_first();
                entry.due = Some(now + retry);
                self.due.insert((now + retry, name));
                continue;
            }
            entry.group.tick(now, cluster, &mut self.answers);
            self.schedule(&name);
        }
    }

    fn schedule(&mut self, name: &str) {
        if let Some(entry) = self.groups.get_mut(name) {
            let due = entry.node.and_then(|_| entry.group.deadline());
            if due != entry.due {
                if let Some(before) = entry.due {
                    self.due.remove(&(before, name.to_owned()));
                }
                if let Some(at) = due {
                    self.due.insert((at, name.to_owned()));
                }
                entry.due = due;
            }
        }
    }

    /// Changes a group, then looks at its deadline anew.
    fn change<T>(
        &mut self,
        name: &str,
        act: impl FnOnce(&mut Group, &mut Answers) -> T,
    ) -> Option<T> {
        let entry = self.groups.get_mut(name)?;
        let result = act(&mut entry.group, &mut self.answers);
        self.schedule(name);
        Some(result)
    }

    /// Makes sure that a group is there; a new one is empty and of the classic protocol.
    pub(crate) fn ensure(&mut self, name: &str, node: i32) {
        let delay = self.options.initial_rebalance_delay;
        let entry = self.groups.entry(name.to_owned());
        entry.or_insert_with(|| {
            self.has_new = true;
            Entry::new(Group::Classic(ClassicGroup::new(delay)), node)
        });
    }

    /// A group that an earlier broker had. Its members are not known any more: they are told so, and join again.
    pub(crate) fn restore(&mut self, name: &str, node: i32) {
        self.ensure(name, node);
        if let Some(entry) = self.groups.get_mut(name) {
            entry.forgotten = true;
        }
    }

    fn is_forgotten(&self, name: &str) -> bool {
        self.groups.get(name).is_some_and(|e| e.forgotten)
    }

    /// Takes a group out.
    fn remove(&mut self, name: &str) {
        if let Some(entry) = self.groups.remove(name)
            && let Some(at) = entry.due
        {
            self.due.remove(&(at, name.to_owned()));
        }
    }

    /// A JoinGroup, answered under `ticket` at once or later.
    pub(crate) fn join(
        &mut self,
        now: Duration,
        node: i32,
        cluster: &Cluster,
        name: &str,
        join: Join,
        ticket: Ticket,
    ) {
        // An empty group is of the protocol of whoever comes first.
        if let Some(Group::Modern(group)) = self.get(name)
            && group.members.is_empty()
        {
            self.remove(name);
        }
        if join.member_id.is_empty() {
            self.ensure(name, node);
        }
        let id = join.member_id.clone();
        let done = self.change(name, |group, out| match group {
            Group::Classic(group) => group.join(now, join, ticket, out),
            Group::Modern(_) => group.join_mixed(now, cluster, join, ticket, out),
        });
        if done.is_none() {
            let failed = Joined::failed(&id, ErrorCode::UNKNOWN_MEMBER_ID);
            self.answers.join(ticket, failed);
        }
    }

    /// A SyncGroup, answered under `ticket` at once or later.
    pub(crate) fn sync(
        &mut self,
        now: Duration,
        cluster: &Cluster,
        name: &str,
        sync: Sync,
        ticket: Ticket,
    ) {
        let done = self.change(name, |group, out| match group {
            Group::Classic(group) => group.sync(now, sync, ticket, out),
            Group::Modern(group) => {
                let synced = group.sync_classic(now, cluster, sync);
                out.sync(ticket, synced.unwrap_or_else(Synced::failed));
            }
        });
        if done.is_none() {
            let failed = Synced::failed(ErrorCode::UNKNOWN_MEMBER_ID);
            self.answers.sync(ticket, failed);
        }
    }

    /// A Heartbeat.
    pub(crate) fn heartbeat(
        &mut self,
        now: Duration,
        name: &str,
        id: &str,
        instance: Option<&str>,
        generation: i32,
    ) -> ErrorCode {
        self.change(name, |group, _| match group {
            Group::Classic(group) => group.heartbeat(now, id, instance, generation),
            Group::Modern(group) => {
                let beaten = group.heartbeat_classic(now, id, instance, generation);
                beaten.err().unwrap_or(ErrorCode::NONE)
            }
        })
        .unwrap_or(ErrorCode::UNKNOWN_MEMBER_ID)
    }

    /// A LeaveGroup: member id and instance id of each that leaves; answers a code for each.
    pub(crate) fn leave(
        &mut self,
        now: Duration,
        cluster: &Cluster,
        name: &str,
        leaving: &[(String, Option<String>)],
    ) -> Vec<ErrorCode> {
        self.change(name, |group, out| match group {
            Group::Classic(group) => group.leave(now, leaving, out),
            Group::Modern(modern) => {
                let codes = modern.leave_classic(leaving);
                if codes.contains(&ErrorCode::NONE) {
                    group.members_gone(now, cluster, out);
                }
                codes
            }
        })
        .unwrap_or_else(|| vec![ErrorCode::UNKNOWN_MEMBER_ID; leaving.len()])
    }

    /// A ConsumerGroupHeartbeat of a member that joins or stays.
    ///
    /// # Errors
    /// Kafka's codes and words.
    pub(crate) fn beat(
        &mut self,
        now: Duration,
        node: i32,
        name: &str,
        cluster: &Cluster,
        beat: Heartbeat,
    ) -> Result<Beaten, Refused> {
        let joins = beat.epoch == 0;
        match self.get(name) {
            Some(Group::Modern(_)) => {}
            Some(Group::Classic(group)) if joins && group.state == ClassicState::Empty => {
                self.remove(name);
            }
            Some(Group::Classic(group)) if joins => {
                // The first member of the new protocol: if it may join, the group is one of that protocol.
                let options = self.options_of(name);
                let mut upgraded = conversion::upgraded(now, cluster, name, group, options)?;
                let beaten = upgraded.heartbeat(now, cluster, beat)?;
                self.change(name, |group, out| {
                    if let Group::Classic(classic) = group {
                        // Those that wait are to join the group of the new protocol.
                        classic.refuse_waiting(ErrorCode::REBALANCE_IN_PROGRESS, out);
                    }
                    *group = Group::Modern(upgraded);
                });
                return Ok(beaten);
            }
            None if joins => {}
            None => return Err(not_found(format!("Consumer group {name} not found."))),
            Some(Group::Classic(group)) if group.generation == 0 && self.is_forgotten(name) => {
                return Err(modern::unknown(&beat.member_id, name));
            }
            Some(Group::Classic(_)) => return Err(not_a_consumer_group(name)),
        }
        let options = self.options_of(name);
        let entry = self.groups.entry(name.to_owned());
        entry.or_insert_with(|| {
            self.has_new = true;
            Entry::new(Group::Modern(ModernGroup::new(name, options)), node)
        });
        let beaten = self.change(name, |group, _| match group {
            Group::Modern(group) => group.heartbeat(now, cluster, beat),
            Group::Classic(_) => Err(not_a_consumer_group(name)),
        });
        beaten.unwrap_or_else(|| Err(not_a_consumer_group(name)))
    }

    /// A ConsumerGroupHeartbeat of a member that leaves.
    ///
    /// # Errors
    /// Kafka's codes and words.
    pub(crate) fn leave_modern(
        &mut self,
        now: Duration,
        cluster: &Cluster,
        name: &str,
        id: &str,
        instance: Option<&str>,
        epoch: i32,
    ) -> Result<Beaten, Refused> {
        let left = self.change(name, |group, out| match group {
            Group::Modern(modern) => {
                let left = modern.leave(id, instance, epoch.min(LEAVE))?;
                group.members_gone(now, cluster, out);
                Ok(left)
            }
            Group::Classic(_) => Err(not_a_consumer_group(name)),
        });
        left.unwrap_or_else(|| Err(not_found(format!("Group {name} not found."))))
    }

    /// Looks for groups that another node coordinates now, or the same one after none did; what waits there learns
    /// `NOT_COORDINATOR`.
    pub(crate) fn moved(&mut self, now: Duration, node_of: impl Fn(&str) -> Option<i32>) {
        let all = self.groups.iter();
        let changed = all.map(|(name, e)| (name.clone(), node_of(name), e.node));
        let changed: Vec<(String, Option<i32>)> = changed
            .filter(|(_, node, before)| node != before)
            .map(|(name, node, _)| (name, node))
            .collect();
        for (name, node) in changed {
            if let Some(entry) = self.groups.get_mut(&name) {
                entry.node = node;
            }
            self.change(&name, |group, out| match group {
                Group::Classic(group) => group.unload(now, ErrorCode::NOT_COORDINATOR, out),
                Group::Modern(group) => group.unload(now),
            });
        }
    }

    /// Has a group rebalance now. False if there is none, or nobody is in it.
    pub(crate) fn force_rebalance(&mut self, now: Duration, name: &str) -> bool {
        self.change(name, |group, out| match group {
            Group::Classic(group) => group.force_rebalance(now, out),
            Group::Modern(group) => group.force_rebalance(),
        })
        .unwrap_or(false)
    }

    /// Ends a member's session now. False if there is no such member.
    pub(crate) fn expire_member(
        &mut self,
        now: Duration,
        cluster: &Cluster,
        name: &str,
        id: &str,
    ) -> bool {
        self.change(name, |group, out| match group {
            Group::Classic(group) => {
                let known = group.members.contains_key(id);
                if known {
                    group.expel(now, id, out);
                }
                known
            }
            Group::Modern(modern) => {
                let known = modern.members.contains_key(id);
                if known {
                    modern.fence([id]);
                    group.members_gone(now, cluster, out);
                }
                known
            }
        })
        .unwrap_or(false)
    }

    /// The ids of a group's members.
    pub fn members(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(Group::Classic(group)) => group.members.keys().cloned().collect(),
            Some(Group::Modern(group)) => group.members.keys().cloned().collect(),
            None => Vec::new(),
        }
    }
}

#[cfg(feature = "simulation")]
impl Groups {
    /// The generation a member is in as the group sees it, or its epoch; `None` if the group does not know it.
    pub fn generation_of(&self, name: &str, member: &str) -> Option<i32> {
        match self.get(name)? {
            Group::Classic(group) => group
                .members
                .contains_key(member)
                .then_some(group.generation),
            Group::Modern(group) => group.members.get(member).map(|m| m.epoch),
        }
    }
}

fn not_found(words: String) -> Refused {
    Refused::new(ErrorCode::GROUP_ID_NOT_FOUND, words)
}

fn not_a_consumer_group(name: &str) -> Refused {
    not_found(format!("Group {name} is not a consumer group."))
}
