//! What a broker's refusal means and what to do about it, in words.

use crate::error::{Error, ErrorCode};

/// The circumstances of an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    /// The call, as users know it.
    pub(super) call: &'static str,
    /// Who answered.
    pub(super) broker: &'a str,
    /// How many brokers the cluster has.
    pub(super) brokers: usize,
}

/// The error for one topic that a broker refused, with the broker's own words where it gave any.
pub(super) fn refusal(
    scene: Scene<'_>,
    topic: &str,
    code: ErrorCode,
    words: Option<&str>,
) -> Error {
    let name = match code.name() {
        "UNKNOWN" => format!("error code {}", code.0),
        name => name.to_owned(),
    };
    let words = words
        .filter(|w| !w.is_empty())
        .map_or_else(String::new, |w| format!(" ({})", w.trim_end_matches('.')));
    let advice = advice(scene, code).map_or_else(String::new, |a| format!("; {a}"));
    let text = format!(
        "{}: topic '{topic}': {} answered {name}{words}{advice}",
        scene.call, scene.broker
    );
    Error::new(code, text)
}

fn advice(scene: Scene<'_>, code: ErrorCode) -> Option<String> {
    let text = match code {
        ErrorCode::TOPIC_ALREADY_EXISTS => {
            "use it as it is, choose another name, or delete it first"
        }
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID => {
            "the cluster has no such topic: names are case-sensitive, and listing the topics shows them"
        }
        ErrorCode::INVALID_REPLICATION_FACTOR => {
            return Some(format!(
                "each replica of a partition needs a broker of its own and the cluster has {}: ask for 1 to {}, or \
                 -1 for the broker's default.replication.factor",
                scene.brokers, scene.brokers
            ));
        }
        ErrorCode::INVALID_PARTITIONS if scene.call == "create_partitions" => {
            "give the total the topic shall have, more than it has now: partitions can't be taken away"
        }
        ErrorCode::INVALID_PARTITIONS => {
            "ask for at least 1 partition, or -1 for the broker's num.partitions"
        }
        ErrorCode::INVALID_TOPIC_EXCEPTION => {
            "a name has 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-', is not '.' or '..', and does not \
             differ from another topic's only by '.' for '_'"
        }
        ErrorCode::INVALID_CONFIG => {
            "check the topic's settings: keys and values are those of Kafka's topic configuration"
        }
        ErrorCode::POLICY_VIOLATION => {
            "the cluster has a policy for topics (create.topic.policy.class.name) that does not allow this one"
        }
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            "this user needs an ACL that allows the operation on the topic"
        }
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED => {
            "this user needs an ACL that allows the operation on the cluster"
        }
        ErrorCode::TOPIC_DELETION_DISABLED => "set delete.topic.enable=true on the brokers",
        ErrorCode::REQUEST_TIMED_OUT => {
            "the cluster may still carry it out: look at the topic before trying again, or give more time"
        }
        ErrorCode::REASSIGNMENT_IN_PROGRESS => "wait until the topic's partitions have moved",
        ErrorCode::THROTTLING_QUOTA_EXCEEDED => {
            "changes come faster than controller_mutation_rate allows: give more time"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

/// True where the broker says that another or a later one may do it.
pub(super) fn is_transient(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NOT_CONTROLLER
            | ErrorCode::STALE_CONTROLLER_EPOCH
            | ErrorCode::BROKER_NOT_AVAILABLE
            | ErrorCode::LEADER_NOT_AVAILABLE
            | ErrorCode::NETWORK_EXCEPTION
            | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::NOT_COORDINATOR
            | ErrorCode::THROTTLING_QUOTA_EXCEEDED
            | ErrorCode::REBOOTSTRAP_REQUIRED
    )
}
