//! A member of a group of the classic protocol.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;

use super::Ticket;

/// What JoinGroup says of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClassicMember {
    pub(crate) instance: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: String,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    /// Names and metadata of the assignors it has, the one it likes best first.
    pub(crate) protocols: Vec<(String, Bytes)>,
    /// What the leader gave it.
    pub(crate) assignment: Bytes,
    /// Its JoinGroup that is not answered yet.
    pub(crate) joining: Option<Ticket>,
    /// Its SyncGroup that is not answered yet.
    pub(crate) syncing: Option<Ticket>,
    /// It has not seen its member id yet, so it can't send heartbeats.
    pub(crate) is_new: bool,
    /// When its session ends.
    pub(crate) expires: Option<Duration>,
}

impl ClassicMember {
    /// Its metadata for an assignor.
    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found
            .map(|(_, metadata)| metadata.clone())
            .unwrap_or_default()
    }

    /// The assignor it likes best among those all members have.
    pub(crate) fn vote(&self, candidates: &BTreeSet<&str>) -> Option<&str> {
        let names = self.protocols.iter().map(|(name, _)| name.as_str());
        names.into_iter().find(|name| candidates.contains(name))
    }

    pub(crate) fn has_protocol(&self, name: &str) -> bool {
        self.protocols.iter().any(|(n, _)| n == name)
    }

    /// Its session goes on from `now`.
    pub(crate) fn renew(&mut self, now: Duration) {
        self.expires = Some(now + self.session_timeout);
    }

    /// Whether the end of its session is of no account because the broker owes it an answer; a new member may have
    /// gone away during a long rebalance and is not spared.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.is_new && (self.joining.is_some() || self.syncing.is_some())
    }
}
