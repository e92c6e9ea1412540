//! What a group's requests are for, and as whom the group knows a member.

use uuid::Uuid;

use crate::cluster::core::Core;

/// What a request to the coordinator was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Commit,
    Lookup,
    /// With the number of the membership's life it was sent in.
    Join(u32),
    Sync(u32),
    Heartbeat(u32),
    Leave(u32),
}

/// What a role that is in a group wants back with the answers to its requests.
pub(crate) trait GroupTag: Clone + From<Ask> {}

impl<T: Clone + From<Ask>> GroupTag for T {}

/// As whom the group knows this consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Generation of a classic group, or epoch of a member of a new one; -1 outside of a membership.
    pub(crate) generation: i32,
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
}

impl Default for Identity {
    fn default() -> Self {
        Identity {
            generation: -1,
            member_id: String::new(),
            instance_id: None,
        }
    }
}

/// A topic's id, where it is known.
pub(crate) fn topic_id(core: &Core<impl GroupTag>, topic: &str) -> Option<Uuid> {
    let id = Uuid::from_bytes(core.topics.known(topic)?.id);
    (!id.is_nil()).then_some(id)
}
