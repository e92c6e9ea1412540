//! What outlives a coordinator of a group of the classic protocol: Kafka writes such a group into `__consumer_offsets`
//! when a leader's assignment has come and when the last member has gone, and the next coordinator, or the same one
//! after a restart, knows just that.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_base::error::ErrorCode;

use super::answer::{Answers, Joined, Synced};
use super::classic::{ClassicGroup, ClassicState};
use super::classic_member::ClassicMember;

/// A group as it was written.
#[derive(Clone, Debug, Default)]
pub(super) struct Logged {
    generation: i32,
    protocol_type: Option<String>,
    protocol: Option<String>,
    leader: Option<String>,
    members: BTreeMap<String, ClassicMember>,
}

impl ClassicGroup {
    /// Writes the group as it is now.
    pub(super) fn write_log(&mut self) {
        let mut members = self.members.clone();
        for member in members.values_mut() {
            (member.joining, member.syncing, member.is_new) = (None, None, false);
        }
        *self.logged = Logged {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            leader: self.leader.clone(),
            members,
        };
    }

    /// Another node coordinates the group now, or the same one after a restart: all that wait are told so, and the
    /// group is again what was written of it last, its members' sessions beginning anew. Whoever came since is unknown,
    /// and a rebalance that was under way begins anew when its members find that their generation is not the group's.
    pub(crate) fn unload(&mut self, now: Duration, code: ErrorCode, out: &mut Answers) {
        self.refuse_waiting(code, out);
        let Logged {
            generation,
            protocol_type,
            protocol,
            leader,
            mut members,
        } = (*self.logged).clone();
        for member in members.values_mut() {
            member.renew(now);
        }
        let statics = members
            .iter()
            .filter_map(|(id, m)| Some((m.instance.clone()?, id.clone())))
            .collect();
        let logged = std::mem::take(&mut self.logged);
        *self = ClassicGroup::new(self.initial_delay);
        if !members.is_empty() {
            self.state = ClassicState::Stable;
        }
        (self.generation, self.protocol_type, self.leader) = (generation, protocol_type, leader);
        (self.members, self.statics, self.logged) = (members, statics, logged);
        self.choose_protocol();
        self.protocol = protocol;
    }

    /// Those who wait for the others to join, or for their share, learn that neither will come.
    pub(super) fn refuse_waiting(&mut self, code: ErrorCode, out: &mut Answers) {
        for (id, member) in &mut self.members {
            if let Some(ticket) = member.joining.take() {
                out.join(ticket, Joined::failed(id, code));
            }
            if let Some(ticket) = member.syncing.take() {
                out.sync(ticket, Synced::failed(code));
            }
        }
    }
}
