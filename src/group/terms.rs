//! What the configuration says of memberships.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Assignor, GroupProtocol};
use crate::error::{Error, ErrorCode};
use crate::group::own_assignor::OwnAssignor;

/// What the configuration says of memberships.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) group: Arc<str>,
    pub(crate) instance_id: Option<String>,
    pub(crate) protocol: GroupProtocol,
    pub(crate) assignors: Vec<Assignor>,
    /// The program's own strategy, the favourite.
    pub(crate) own_assignor: Option<Arc<OwnAssignor>>,
    /// `group.remote.assignor`
    pub(crate) remote_assignor: Option<String>,
    pub(crate) session_timeout: Duration,
    pub(crate) heartbeat_interval: Duration,
    /// `max.poll.interval.ms`
    pub(crate) rebalance_timeout: Duration,
    pub(crate) auto_commit: bool,
    pub(crate) rack: Option<String>,
    /// `exclude.internal.topics`
    pub(crate) exclude_internal: bool,
}

impl Terms {
    /// The error of an answer that nobody waits for any more.
    pub(crate) fn gone_on(&self) -> Error {
        Error::new(
            ErrorCode::REBALANCE_IN_PROGRESS,
            format!(
                "sharing out group '{}': the group has gone on since it was asked for; if this member leads it still, it \
                 is asked anew",
                self.group
            ),
        )
    }
}
