//! A group goes from one protocol to the other while its members go on (KIP-848): to the new one when a member of it
//! joins, back to the classic one when the last such member has gone.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use ottla_base::error::ErrorCode;

use super::answer::{Answers, Joined};
use super::classic::{CONSUMER, ClassicGroup, ClassicState, Join};
use super::classic_member::ClassicMember;
use super::embedded::{self, NotReadable, Subscription};
use super::mixed::Downgrade;
use super::modern::ModernGroup;
use super::modern_member::{ClassicMetadata, Held, ModernMember, Partitions};
use super::{Group, GroupOptions, Ticket};
use crate::core::cluster::Cluster;
use crate::log::Refused;

/// The group of the new protocol with the members of a classic one, each with what its leader gave it. What waits in
/// the classic one is not answered yet.
///
/// # Errors
/// `GROUP_ID_NOT_FOUND` if its members are no consumers, or what they are assigned is of an assignor of their own.
pub(super) fn upgraded(
    now: Duration,
    cluster: &Cluster,
    name: &str,
    classic: &ClassicGroup,
    options: GroupOptions,
) -> Result<ModernGroup, Refused> {
    let refused = |why: &str| {
        let words = format!("Group {name} stays one of the classic protocol: {why}.");
        Refused::new(ErrorCode::GROUP_ID_NOT_FOUND, words)
    };
    if !classic.is_of_consumers() {
        return Err(refused("its members are no consumers"));
    }
    let malformed = || refused("the broker can't read what its members have said");
    let mut group = ModernGroup::new(name, options);
    (group.epoch, group.assignment_epoch) = (classic.generation, classic.generation);
    // In its first rebalance it has not chosen one yet.
    let protocol = classic
        .protocol
        .clone()
        .or_else(|| classic.select_protocol());
    let protocol = protocol.unwrap_or_default();
    for (id, m) in &classic.members {
        let said = Subscription::read(&m.metadata(&protocol)).ok_or_else(malformed)?;
        let assigned = embedded::assigned(&m.assignment, cluster).map_err(|why| match why {
            NotReadable::Malformed => malformed(),
            NotReadable::UserData => refused("its assignor keeps data of its own"),
        })?;
        let mut member = ModernMember::new(m.instance.clone());
        member.rack = said.rack;
        member.client_id.clone_from(&m.client_id);
        member.client_host.clone_from(&m.client_host);
        member.rebalance_timeout = m.rebalance_timeout;
        member.topics = said.topics.into_iter().collect();
        (member.epoch, member.previous_epoch) = (classic.generation, classic.generation);
        member.assigned = held_since(&assigned, classic.generation);
        member.expires = now + m.session_timeout;
        member.classic = Some(ClassicMetadata {
            session_timeout: m.session_timeout,
            protocols: m.protocols.clone(),
            join_limit: None,
            sync_limit: None,
        });
        if let Some(instance) = &m.instance {
            group.statics.insert(instance.clone(), id.clone());
        }
        group.target.insert(id.clone(), assigned);
        group.members.insert(id.clone(), member);
    }
    group.look_at_topics(cluster);
    Ok(group)
}

fn held_since(partitions: &Partitions, epoch: i32) -> Held {
    let of = |(&topic, p): (_, &std::collections::BTreeSet<i32>)| {
        (topic, p.iter().map(|&p| (p, epoch)).collect())
    };
    partitions.iter().map(of).collect()
}

/// The classic group with the members of one of the new protocol, all of which speak the classic one; each with what it
/// was to have.
fn downgraded(now: Duration, cluster: &Cluster, modern: &ModernGroup) -> ClassicGroup {
    let mut group = ClassicGroup::new(modern.options.initial_rebalance_delay);
    group.state = ClassicState::Stable;
    group.generation = modern.epoch;
    group.protocol_type = Some(CONSUMER.to_owned());
    group.statics.clone_from(&modern.statics);
    let mut targets = BTreeMap::new();
    for (id, m) in &modern.members {
        let Some(classic) = &m.classic else { continue };
        let target = modern.target.get(id).cloned().unwrap_or_default();
        targets.insert(id.clone(), target);
        let member = ClassicMember {
            instance: m.instance.clone(),
            client_id: m.client_id.clone(),
            client_host: m.client_host.clone(),
            session_timeout: classic.session_timeout,
            rebalance_timeout: m.rebalance_timeout,
            protocols: classic.protocols.clone(),
            assignment: Bytes::new(),
            joining: None,
            syncing: None,
            is_new: false,
            expires: Some(now + classic.session_timeout),
        };
        group.leader.get_or_insert_with(|| id.clone());
        group.members.insert(id.clone(), member);
    }
    group.choose_protocol();
    let protocol = group.protocol.clone().unwrap_or_default();
    for (id, target) in targets {
        if let Some(member) = group.members.get_mut(&id) {
            member.assignment = embedded::assignment(&target, cluster, &member.metadata(&protocol));
        }
    }
    group.write_log();
    group
}

impl Group {
    /// Members have gone: a group whose last member of the new protocol was among them becomes a classic one, and
    /// rebalances.
    pub(super) fn members_gone(&mut self, now: Duration, cluster: &Cluster, out: &mut Answers) {
        if let Group::Modern(group) = self
            && group.is_all_classic()
        {
            let mut classic = downgraded(now, cluster, group);
            classic.prepare(now, out);
            *self = Group::Classic(classic);
        }
    }

    /// A JoinGroup to a group of the new protocol.
    pub(super) fn join_mixed(
        &mut self,
        now: Duration,
        cluster: &Cluster,
        join: Join,
        ticket: Ticket,
        out: &mut Answers,
    ) {
        let Group::Modern(group) = self else { return };
        match group.join_classic(now, cluster, join) {
            Ok((joined, downgrade)) => {
                if downgrade != Downgrade::No {
                    let mut classic = downgraded(now, cluster, group);
                    if downgrade == Downgrade::ToRebalance {
                        classic.prepare(now, out);
                    }
                    *self = Group::Classic(classic);
                }
                out.join(ticket, joined);
            }
            Err(code) => out.join(ticket, Joined::failed("", code)),
        }
    }
}
