//! What is in the way of reading a topic, in words.

use std::time::{Duration, Instant};

use super::core::Core;
use super::metadata::TopicState;
use crate::error::{Error, ErrorCode};

/// A topic that was just created is not known to every broker at once, so that it is unknown is told only after this.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);

/// A broker's refusal in words, with advice where there is some.
pub(crate) fn refusal(code: ErrorCode, doing: &str, who: &str) -> Error {
    let advice = match code {
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            "; the user needs the ACL operations Describe and Read on this topic"
        }
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED => "; the user lacks an ACL on the cluster",
        ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT => {
            "; the topic's records are of a format that has no timestamps"
        }
        ErrorCode::UNSUPPORTED_COMPRESSION_TYPE => {
            "; the broker cannot give this topic's compression to this client"
        }
        ErrorCode::KAFKA_STORAGE_ERROR => "; the broker has trouble with its disk",
        ErrorCode::CORRUPT_MESSAGE => "; the records on the broker's disk are damaged",
        _ => "",
    };
    Error::new(
        code,
        format!("{doing}: {who} answered {}{advice}", code.name()),
    )
}

/// What is in the way of reading a partition, as far as metadata tells. Without trouble, or while it is too early to
/// call it that, when to look again.
pub(crate) fn topic_problem<T: Clone>(
    core: &Core<T>,
    now: Instant,
    topic: &str,
    partition: i32,
) -> Result<Option<Instant>, Error> {
    match core.topics.get(topic) {
        Some(TopicState::Missing { code, since }) => {
            if code.is_retriable() && now < *since + PATIENCE {
                return Ok(Some(*since + PATIENCE));
            }
            let advice = match *code {
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
                    "; check its name, or create it (brokers do that by themselves only where \
                     auto.create.topics.enable is set)"
                }
                ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
                    "; the user needs the ACL operations Describe and Read on it"
                }
                ErrorCode::INVALID_TOPIC_EXCEPTION => {
                    "; topic names have 1 to 249 of the characters a-z A-Z 0-9 . _ -"
                }
                _ => "",
            };
            let code = *code;
            Err(Error::new(
                code,
                format!(
                    "topic '{topic}' cannot be read: the brokers answered {}{advice}",
                    code.name()
                ),
            ))
        }
        Some(TopicState::Known(meta))
            if usize::try_from(partition).is_ok_and(|i| i >= meta.partitions.len()) =>
        {
            Err(Error::new(
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                format!(
                    "{topic}-{partition} does not exist: the topic has {} partitions, counted from 0",
                    meta.partitions.len()
                ),
            ))
        }
        _ => Ok(None),
    }
}
