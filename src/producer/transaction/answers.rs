//! What a coordinator's error code means for a transaction.

use super::state::Ask;
use crate::error::ErrorCode;

/// How to go on after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Done,
    /// The same request again, after a pause.
    Again,
    /// Again, with another coordinator.
    Elsewhere,
    /// Only an abort leads on.
    Abort,
    /// Nothing does.
    Fatal,
}

/// What `code` means as an answer to `ask`.
pub(crate) fn verdict(ask: &Ask, code: ErrorCode) -> Verdict {
    match code {
        ErrorCode::NONE => Verdict::Done,
        ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => Verdict::Elsewhere,
        // A group's coordinator that could not write the offsets in time may be none any more.
        ErrorCode::REQUEST_TIMED_OUT if matches!(ask, Ask::Offsets(_)) => Verdict::Elsewhere,
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
        | ErrorCode::CONCURRENT_TRANSACTIONS
        | ErrorCode::NETWORK_EXCEPTION
        | ErrorCode::OPERATION_NOT_ATTEMPTED
        | ErrorCode::REQUEST_TIMED_OUT
        | ErrorCode::KAFKA_STORAGE_ERROR
        | ErrorCode::NOT_ENOUGH_REPLICAS
        | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
        | ErrorCode::THROTTLING_QUOTA_EXCEEDED => Verdict::Again,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            if matches!(ask, Ask::AddPartitions(_) | Ask::Offsets(_)) =>
        {
            Verdict::Again
        }
        // The transaction coordinator has the last word on whose turn it is; a group's coordinator may only have seen
        // that the transaction was ended from outside, which the abort survives.
        ErrorCode::INVALID_PRODUCER_EPOCH if matches!(ask, Ask::Offsets(_)) => Verdict::Abort,
        ErrorCode::PRODUCER_FENCED
        | ErrorCode::INVALID_PRODUCER_EPOCH
        | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
        | ErrorCode::UNSUPPORTED_VERSION
        | ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT
        | ErrorCode::INVALID_TRANSACTION_TIMEOUT => Verdict::Fatal,
        _ if matches!(ask, Ask::Init(_)) => Verdict::Fatal,
        // A commit is refused so when the transaction has been aborted from outside: it outlived its time.
        _ => Verdict::Abort,
    }
}

/// What to do about it, as the end of a sentence.
pub(crate) fn advice(ask: &Ask, code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::PRODUCER_FENCED | ErrorCode::INVALID_PRODUCER_EPOCH
            if matches!(ask, Ask::Offsets(_)) =>
        {
            "; the transaction outlived transaction.timeout.ms, or another producer has taken the transactional.id over: \
             abort_transaction tells which"
        }
        ErrorCode::PRODUCER_FENCED | ErrorCode::INVALID_PRODUCER_EPOCH => {
            "; another producer has taken the transactional.id over, so this one writes nothing any more (brokers before \
             Kafka 4.0 answer the same once a transaction has outlived transaction.timeout.ms): close it"
        }
        ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => {
            "; this client may not use the transactional.id: check its ACLs (Write on TransactionalId)"
        }
        ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT => {
            "; the brokers' own topics keep message format 0 or 1 (log.message.format.version before 0.11), which knows no \
             transactions: raise it"
        }
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED => "; check the client's ACLs",
        ErrorCode::TOPIC_AUTHORIZATION_FAILED => {
            "; this client may not write to the topic: check its ACLs"
        }
        ErrorCode::GROUP_AUTHORIZATION_FAILED => {
            "; this client may not use the group: check its ACLs (Read on Group)"
        }
        ErrorCode::INVALID_TRANSACTION_TIMEOUT => {
            "; transaction.timeout.ms is above what the brokers allow (transaction.max.timeout.ms)"
        }
        ErrorCode::UNKNOWN_MEMBER_ID
        | ErrorCode::ILLEGAL_GENERATION
        | ErrorCode::STALE_MEMBER_EPOCH
        | ErrorCode::FENCED_MEMBER_EPOCH
        | ErrorCode::FENCED_INSTANCE_ID
        | ErrorCode::REBALANCE_IN_PROGRESS => {
            "; the consumer is not that member of the group any more, so others work on these offsets: abort, and go on \
             with what the consumer is assigned now"
        }
        ErrorCode::UNKNOWN_TOPIC_ID => {
            "; the topic was deleted, or created anew, and these offsets are not of the new one: abort, and go on with what \
             the consumer reads now"
        }
        ErrorCode::INVALID_TXN_STATE if matches!(ask, Ask::End { commit: true }) => {
            "; the broker has aborted the transaction already: did it outlive transaction.timeout.ms?"
        }
        ErrorCode::INVALID_PRODUCER_ID_MAPPING | ErrorCode::UNKNOWN_PRODUCER_ID => {
            "; the brokers have forgotten this producer (transactional.id.expiration.ms)"
        }
        ErrorCode::OFFSET_METADATA_TOO_LARGE => {
            "; the metadata beside an offset is longer than offset.metadata.max.bytes"
        }
        _ => "",
    }
}
