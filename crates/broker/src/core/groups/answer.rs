//! Answers to the requests that wait: JoinGroup and SyncGroup.

use bytes::Bytes;
use ottla_base::error::ErrorCode;

use super::Ticket;

/// The answer to a JoinGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(crate) code: ErrorCode,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: String,
    pub(crate) skip_assignment: bool,
    pub(crate) member_id: String,
    /// Member id, instance id and metadata, for the leader.
    pub(crate) members: Vec<(String, Option<String>, Bytes)>,
}

impl Joined {
    pub(crate) fn failed(member_id: &str, code: ErrorCode) -> Self {
        Joined {
            code,
            generation: -1,
            protocol_type: None,
            protocol: None,
            leader: String::new(),
            skip_assignment: false,
            member_id: member_id.to_owned(),
            members: Vec::new(),
        }
    }
}

/// The answer to a SyncGroup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Synced {
    pub(crate) code: ErrorCode,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) assignment: Bytes,
}

impl Synced {
    pub(crate) fn failed(code: ErrorCode) -> Self {
        Synced {
            code,
            protocol_type: None,
            protocol: None,
            assignment: Bytes::new(),
        }
    }
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Joined(Joined),
    Synced(Synced),
}

/// Answers that came due, in order.
#[derive(Debug, Default)]
pub(crate) struct Answers(Vec<(Ticket, Answer)>);

impl Answers {
    pub(super) fn join(&mut self, ticket: Ticket, joined: Joined) {
        self.0.push((ticket, Answer::Joined(joined)));
    }

    pub(super) fn sync(&mut self, ticket: Ticket, synced: Synced) {
        self.0.push((ticket, Answer::Synced(synced)));
    }

    /// The answer to this request, if it is there already.
    pub(crate) fn take(&mut self, ticket: Ticket) -> Option<Answer> {
        let at = self.0.iter().position(|(t, _)| *t == ticket)?;
        Some(self.0.remove(at).1)
    }

    /// All of them.
    pub(crate) fn drain(&mut self) -> Vec<(Ticket, Answer)> {
        std::mem::take(&mut self.0)
    }
}
