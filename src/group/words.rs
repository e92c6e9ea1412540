//! What a coordinator's refusal means, and what to tell the user about it.

use crate::error::ErrorCode;

/// What a refusal says beyond the request it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Another broker coordinates the group, or will soon.
    Coordinator,
    /// The group is being rebalanced; the same can be asked again once that is over.
    Rebalancing,
    /// The membership on whose word it was sent has ended.
    Member,
}

pub(crate) fn trouble(code: ErrorCode) -> Option<Trouble> {
    match code {
        ErrorCode::NOT_COORDINATOR
        | ErrorCode::COORDINATOR_NOT_AVAILABLE
        | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => Some(Trouble::Coordinator),
        // The epoch has moved on; the next heartbeat tells.
        ErrorCode::REBALANCE_IN_PROGRESS | ErrorCode::STALE_MEMBER_EPOCH => {
            Some(Trouble::Rebalancing)
        }
        ErrorCode::ILLEGAL_GENERATION
        | ErrorCode::UNKNOWN_MEMBER_ID
        | ErrorCode::FENCED_MEMBER_EPOCH
        | ErrorCode::FENCED_INSTANCE_ID => Some(Trouble::Member),
        _ => None,
    }
}

/// What to do about a coordinator's refusal, where something can be done.
pub(crate) fn advice(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::GROUP_AUTHORIZATION_FAILED => {
            "; the user needs the ACL operation Read on this group"
        }
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            "; the user needs the ACL operation Read on this topic"
        }
        ErrorCode::INVALID_GROUP_ID => "; check group.id",
        ErrorCode::OFFSET_METADATA_TOO_LARGE => "; the brokers' limit is offset.metadata.max.bytes",
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => "; the topic may have been deleted",
        ErrorCode::UNKNOWN_TOPIC_ID => "; the topic was deleted, and perhaps created again",
        ErrorCode::ILLEGAL_GENERATION | ErrorCode::UNKNOWN_MEMBER_ID => {
            "; the group has gone on without this consumer, or has members and this consumer is not one of them; what \
             was not committed is read again"
        }
        ErrorCode::FENCED_INSTANCE_ID => {
            "; another consumer with the same group.instance.id has taken this one's place"
        }
        _ => "",
    }
}

/// What a broker said beside its code, to follow it in a message.
pub(crate) fn quoted(words: Option<&str>) -> String {
    let words = words.filter(|w| !w.is_empty());
    words.map_or_else(String::new, |w| format!(" (\"{w}\")"))
}
