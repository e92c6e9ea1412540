//! The one error type: what was tried, where, what came back, what to do next.

use std::ffi::CStr;
use std::fmt;
use std::sync::Arc;

/// Result of every fallible Ottla call.
pub type Result<T> = std::result::Result<T, Error>;

/// A status code: 0 is success, Kafka's own codes are as on the wire, Ottla's own are at or below -100.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub i32);

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $name:ident = $value:expr;)*) => {
        impl ErrorCode {
            $($(#[doc = $doc])* pub const $name: ErrorCode = ErrorCode($value);)*

            /// Every code this version knows by name: the code, its name, its meaning.
            pub const ALL: &'static [(ErrorCode, &'static str, &'static str)] =
                &[$((ErrorCode($value), stringify!($name), concat!($($doc),*).trim_ascii())),*];

            /// The code's name, for example `UNKNOWN_TOPIC_OR_PARTITION` or `CONFIG`.
            pub fn name(self) -> &'static str {
                match self.0 { $($value => stringify!($name),)* _ => "UNKNOWN" }
            }

            /// The same as [`ErrorCode::name`], for C.
            #[doc(hidden)]
            pub fn c_name(self) -> &'static CStr {
                match self.0 {
                    $($value => {
                        const NAME: &CStr = match CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                            Ok(name) => name,
                            Err(_) => c"",
                        };
                        NAME
                    })*
                    _ => c"UNKNOWN",
                }
            }
        }
    };
}

codes! {
    /// Success.
    NONE = 0;
    /// A configuration key or value is wrong: detected at construction, or when a response exceeds
    /// `receive.message.max.bytes`.
    CONFIG = -100;
    /// An argument of a call is wrong (NULL handle, negative count, text where bytes are needed).
    INVALID_ARGUMENT = -101;
    /// The call's timeout is over.
    TIMED_OUT = -102;
    /// The call would have to wait, and its timeout is 0.
    AGAIN = -103;
    /// The client is closed.
    CLOSED = -104;
    /// Another thread is in a call that needs exclusive access to this handle.
    IN_USE = -105;
    /// No connection: refused, unreachable, reset.
    CONNECT = -106;
    /// A host name could not be resolved.
    DNS = -107;
    /// The peer sent bytes that are not Kafka's protocol, or not the expected response.
    PROTOCOL = -108;
    /// TLS failed, or the peer speaks TLS where plain text was configured, or the reverse.
    TLS = -109;
    /// The peer refused the client's credentials.
    AUTHENTICATION = -110;
    /// Another thread woke the waiting call.
    WOKEN = -111;
    /// Ottla panicked (a bug); the object refuses further calls.
    PANIC = -112;
    /// The handle belongs to the parent process of a fork.
    FORKED = -113;
    /// A local operating system call failed.
    IO = -114;
    /// A record batch's checksum or structure is wrong; none of its records are delivered.
    CORRUPT_BATCH = -115;
    /// The broker or this build of Ottla does not support the request.
    UNSUPPORTED = -116;
    /// A single record is larger than the client may send (`max.request.size`).
    RECORD_TOO_LARGE = -117;
    /// The producer's buffer (`buffer.memory`) has no room.
    BUFFER_FULL = -118;
    /// Discarded by a purge or by close before it was acknowledged.
    PURGED = -119;
    /// Compressed data expands beyond the limit.
    DECOMPRESSION_LIMIT = -120;
    /// The broker's log no longer holds the wanted offsets and `auto.offset.reset` is `none`.
    OFFSET_RESET = -121;
    /// The partition is no longer assigned to this member of the group; its offset was not committed.
    PARTITION_REVOKED = -122;
    /// The program did not poll for `max.poll.interval.ms`, so it has left its group.
    MAX_POLL_EXCEEDED = -123;
    /// The system has no memory left for a large buffer.
    OUT_OF_MEMORY = -124;

    /// Kafka: the server experienced an unexpected error.
    UNKNOWN_SERVER_ERROR = -1;
    /// Kafka: the requested offset is outside the log.
    OFFSET_OUT_OF_RANGE = 1;
    /// Kafka: a batch failed its CRC check or is otherwise corrupt.
    CORRUPT_MESSAGE = 2;
    /// Kafka: this server does not host this topic-partition.
    UNKNOWN_TOPIC_OR_PARTITION = 3;
    /// Kafka: the fetch size is invalid.
    INVALID_FETCH_SIZE = 4;
    /// Kafka: there is no leader for this topic-partition now.
    LEADER_NOT_AVAILABLE = 5;
    /// Kafka: this broker is not the partition's leader.
    NOT_LEADER_OR_FOLLOWER = 6;
    /// Kafka: the request timed out on the broker.
    REQUEST_TIMED_OUT = 7;
    /// Kafka: the broker is not available.
    BROKER_NOT_AVAILABLE = 8;
    /// Kafka: the replica is not available.
    REPLICA_NOT_AVAILABLE = 9;
    /// Kafka: the batch is larger than the broker accepts.
    MESSAGE_TOO_LARGE = 10;
    /// Kafka: the controller moved.
    STALE_CONTROLLER_EPOCH = 11;
    /// Kafka: offset metadata too large.
    OFFSET_METADATA_TOO_LARGE = 12;
    /// Kafka: the server disconnected before a response.
    NETWORK_EXCEPTION = 13;
    /// Kafka: the coordinator is loading.
    COORDINATOR_LOAD_IN_PROGRESS = 14;
    /// Kafka: the coordinator is not available.
    COORDINATOR_NOT_AVAILABLE = 15;
    /// Kafka: this is not the coordinator.
    NOT_COORDINATOR = 16;
    /// Kafka: the topic name is invalid.
    INVALID_TOPIC_EXCEPTION = 17;
    /// Kafka: the record list is larger than the segment size.
    RECORD_LIST_TOO_LARGE = 18;
    /// Kafka: fewer in-sync replicas than required.
    NOT_ENOUGH_REPLICAS = 19;
    /// Kafka: written, but to fewer in-sync replicas than required.
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20;
    /// Kafka: invalid `acks`.
    INVALID_REQUIRED_ACKS = 21;
    /// Kafka: the group generation is not current.
    ILLEGAL_GENERATION = 22;
    /// Kafka: the group protocol is inconsistent.
    INCONSISTENT_GROUP_PROTOCOL = 23;
    /// Kafka: the group id is invalid.
    INVALID_GROUP_ID = 24;
    /// Kafka: the coordinator does not know this member.
    UNKNOWN_MEMBER_ID = 25;
    /// Kafka: the session timeout is out of range.
    INVALID_SESSION_TIMEOUT = 26;
    /// Kafka: the group is rebalancing.
    REBALANCE_IN_PROGRESS = 27;
    /// Kafka: the commit is too large.
    INVALID_COMMIT_OFFSET_SIZE = 28;
    /// Kafka: not authorized for the topic.
    TOPIC_AUTHORIZATION_FAILED = 29;
    /// Kafka: not authorized for the group.
    GROUP_AUTHORIZATION_FAILED = 30;
    /// Kafka: not authorized for the cluster.
    CLUSTER_AUTHORIZATION_FAILED = 31;
    /// Kafka: the record's timestamp is out of range.
    INVALID_TIMESTAMP = 32;
    /// Kafka: the SASL mechanism is not supported.
    UNSUPPORTED_SASL_MECHANISM = 33;
    /// Kafka: the request is not valid in the SASL state.
    ILLEGAL_SASL_STATE = 34;
    /// Kafka: the API version is not supported.
    UNSUPPORTED_VERSION = 35;
    /// Kafka: the topic exists already.
    TOPIC_ALREADY_EXISTS = 36;
    /// Kafka: the number of partitions is invalid.
    INVALID_PARTITIONS = 37;
    /// Kafka: the replication factor is invalid.
    INVALID_REPLICATION_FACTOR = 38;
    /// Kafka: the replica assignment is invalid.
    INVALID_REPLICA_ASSIGNMENT = 39;
    /// Kafka: a topic's configuration is invalid.
    INVALID_CONFIG = 40;
    /// Kafka: this is not the controller.
    NOT_CONTROLLER = 41;
    /// Kafka: the request is invalid.
    INVALID_REQUEST = 42;
    /// Kafka: the message format does not support the request.
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43;
    /// Kafka: the request violates a policy.
    POLICY_VIOLATION = 44;
    /// Kafka: a sequence number was skipped.
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45;
    /// Kafka: this sequence was written before.
    DUPLICATE_SEQUENCE_NUMBER = 46;
    /// Kafka: the producer's epoch is old.
    INVALID_PRODUCER_EPOCH = 47;
    /// Kafka: the transaction is in the wrong state.
    INVALID_TXN_STATE = 48;
    /// Kafka: the producer id does not belong to the transactional id.
    INVALID_PRODUCER_ID_MAPPING = 49;
    /// Kafka: the transaction timeout is too long.
    INVALID_TRANSACTION_TIMEOUT = 50;
    /// Kafka: another transaction is going on.
    CONCURRENT_TRANSACTIONS = 51;
    /// Kafka: the transaction coordinator was fenced.
    TRANSACTION_COORDINATOR_FENCED = 52;
    /// Kafka: not authorized for the transactional id.
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53;
    /// Kafka: security is disabled.
    SECURITY_DISABLED = 54;
    /// Kafka: the operation was not attempted.
    OPERATION_NOT_ATTEMPTED = 55;
    /// Kafka: a disk error on the broker.
    KAFKA_STORAGE_ERROR = 56;
    /// Kafka: the log directory was not found.
    LOG_DIR_NOT_FOUND = 57;
    /// Kafka: SASL authentication failed.
    SASL_AUTHENTICATION_FAILED = 58;
    /// Kafka: the broker does not know this producer id.
    UNKNOWN_PRODUCER_ID = 59;
    /// Kafka: a partition reassignment is in progress.
    REASSIGNMENT_IN_PROGRESS = 60;
    /// Kafka: the group has members.
    NON_EMPTY_GROUP = 68;
    /// Kafka: there is no such group.
    GROUP_ID_NOT_FOUND = 69;
    /// Kafka: the fetch session was not found.
    FETCH_SESSION_ID_NOT_FOUND = 70;
    /// Kafka: the fetch session epoch is invalid.
    INVALID_FETCH_SESSION_EPOCH = 71;
    /// Kafka: no matching listener on the leader.
    LISTENER_NOT_FOUND = 72;
    /// Kafka: topic deletion is disabled.
    TOPIC_DELETION_DISABLED = 73;
    /// Kafka: the leader epoch in the request is older than the broker's.
    FENCED_LEADER_EPOCH = 74;
    /// Kafka: the leader epoch in the request is newer than the broker's.
    UNKNOWN_LEADER_EPOCH = 75;
    /// Kafka: the compression type is not supported.
    UNSUPPORTED_COMPRESSION_TYPE = 76;
    /// Kafka: the broker epoch is stale.
    STALE_BROKER_EPOCH = 77;
    /// Kafka: the leader has not caught up yet.
    OFFSET_NOT_AVAILABLE = 78;
    /// Kafka: a member id is required.
    MEMBER_ID_REQUIRED = 79;
    /// Kafka: the preferred leader is not available.
    PREFERRED_LEADER_NOT_AVAILABLE = 80;
    /// Kafka: the group is full.
    GROUP_MAX_SIZE_REACHED = 81;
    /// Kafka: the static member was fenced.
    FENCED_INSTANCE_ID = 82;
    /// Kafka: no eligible leaders.
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83;
    /// Kafka: no election needed.
    ELECTION_NOT_NEEDED = 84;
    /// Kafka: a member of the group is subscribed to the topic.
    GROUP_SUBSCRIBED_TO_TOPIC = 86;
    /// Kafka: a record was refused by the broker.
    INVALID_RECORD = 87;
    /// Kafka: unstable offsets exist.
    UNSTABLE_OFFSET_COMMIT = 88;
    /// Kafka: the throttling quota was exceeded.
    THROTTLING_QUOTA_EXCEEDED = 89;
    /// Kafka: a newer producer with this id fenced this one.
    PRODUCER_FENCED = 90;
    /// Kafka: the topic id is not known.
    UNKNOWN_TOPIC_ID = 100;
    /// Kafka: the topic id does not match.
    INCONSISTENT_TOPIC_ID = 103;
    /// Kafka: the transactional id is not known.
    TRANSACTIONAL_ID_NOT_FOUND = 105;
    /// Kafka: the fetch session refers to an unknown topic id.
    FETCH_SESSION_TOPIC_ID_ERROR = 106;
    /// Kafka: the offset was moved to tiered storage.
    OFFSET_MOVED_TO_TIERED_STORAGE = 109;
    /// Kafka: the member epoch is fenced.
    FENCED_MEMBER_EPOCH = 110;
    /// Kafka: another member of the group holds this instance id.
    UNRELEASED_INSTANCE_ID = 111;
    /// Kafka: the broker does not have this assignor.
    UNSUPPORTED_ASSIGNOR = 112;
    /// Kafka: the member epoch is stale.
    STALE_MEMBER_EPOCH = 113;
    /// Kafka: the subscription to a client's metrics has changed.
    UNKNOWN_SUBSCRIPTION_ID = 117;
    /// Kafka: a client's metrics take too much room.
    TELEMETRY_TOO_LARGE = 118;
    /// Kafka: the transaction must be aborted.
    TRANSACTION_ABORTABLE = 120;
    /// Kafka: a record is not in the state that the acknowledgement needs.
    INVALID_RECORD_STATE = 121;
    /// Kafka: the share session was not found.
    SHARE_SESSION_NOT_FOUND = 122;
    /// Kafka: the share session's epoch is wrong.
    INVALID_SHARE_SESSION_EPOCH = 123;
    /// Kafka: the share group's state has a newer epoch.
    FENCED_STATE_EPOCH = 124;
    /// Kafka: a regular expression is not valid.
    INVALID_REGULAR_EXPRESSION = 128;
    /// Kafka: the cluster asks its clients to bootstrap again.
    REBOOTSTRAP_REQUIRED = 129;
}

impl ErrorCode {
    /// True if the same call may succeed when retried later.
    pub fn is_retriable(self) -> bool {
        matches!(
            self.0,
            2 | 3
                | 5
                | 6
                | 7
                | 8
                | 9
                | 13
                | 14
                | 15
                | 16
                | 19
                | 20
                | 27
                | 41
                | 51
                | 56
                | 60
                | 70
                | 71
                | 72
                | 74
                | 75
                | 78
                | 80
                | 83
                | 88
                | 89
                | 100
                | 103
                | 106
        ) || matches!(
            self,
            Self::TIMED_OUT | Self::AGAIN | Self::CONNECT | Self::BUFFER_FULL | Self::WOKEN
        )
    }

    /// True if the client cannot continue.
    pub fn is_fatal(self) -> bool {
        matches!(
            self,
            Self::PANIC
                | Self::FORKED
                | Self::CLOSED
                | Self::PRODUCER_FENCED
                | Self::INVALID_PRODUCER_EPOCH
        )
    }

    /// True if the open transaction has to be aborted.
    pub fn needs_abort(self) -> bool {
        matches!(
            self,
            Self::TRANSACTION_ABORTABLE
                | Self::UNKNOWN_PRODUCER_ID
                | Self::OUT_OF_ORDER_SEQUENCE_NUMBER
        )
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

/// An error: a code and a message that says what was tried, where, what came back and what to do.
///
/// Cheap to clone: one failed broker may fail thousands of batches with the same error.
#[derive(Clone)]
pub struct Error {
    inner: Arc<Inner>,
}

struct Inner {
    code: ErrorCode,
    /// What the caller can do, where the code alone doesn't tell.
    remedy: Option<Remedy>,
    message: String,
}

/// What the caller can do about an error.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Remedy {
    Retry,
    Abort,
    Nothing,
}

impl Error {
    /// Creates an error with this code and message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::made(code, None, message.into())
    }

    fn made(code: ErrorCode, remedy: Option<Remedy>, message: String) -> Self {
        Error {
            inner: Arc::new(Inner {
                code,
                remedy,
                message,
            }),
        }
    }

    fn with_remedy(&self, remedy: Remedy) -> Self {
        if self.inner.remedy == Some(remedy) {
            return self.clone();
        }
        Self::made(self.code(), Some(remedy), self.message().to_owned())
    }

    /// The same error, cured by aborting the transaction and by nothing else.
    #[doc(hidden)]
    pub fn abortable(&self) -> Self {
        self.with_remedy(Remedy::Abort)
    }

    /// The same error, which nothing cures: the client cannot go on.
    #[doc(hidden)]
    pub fn fatal(&self) -> Self {
        self.with_remedy(Remedy::Nothing)
    }

    /// The same error, where the same call can be made again.
    #[doc(hidden)]
    pub fn retriable(&self) -> Self {
        self.with_remedy(Remedy::Retry)
    }

    /// True if the same call may succeed when retried later. At most one of this, [`Error::is_fatal`] and
    /// [`Error::needs_abort`] is true.
    pub fn is_retriable(&self) -> bool {
        match self.inner.remedy {
            Some(remedy) => remedy == Remedy::Retry,
            None => self.code().is_retriable(),
        }
    }

    /// True if the client cannot continue: close it and create another.
    pub fn is_fatal(&self) -> bool {
        match self.inner.remedy {
            Some(remedy) => remedy == Remedy::Nothing,
            None => self.code().is_fatal(),
        }
    }

    /// True if the open transaction has to be aborted, after which the producer is usable again.
    pub fn needs_abort(&self) -> bool {
        match self.inner.remedy {
            Some(remedy) => remedy == Remedy::Abort,
            None => self.code().needs_abort(),
        }
    }

    /// A configuration error.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::CONFIG, message)
    }

    /// An error about a call's arguments.
    pub fn argument(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::INVALID_ARGUMENT, message)
    }

    /// An error about bytes that came from the other side.
    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::PROTOCOL, message)
    }

    /// The status code.
    pub fn code(&self) -> ErrorCode {
        self.inner.code
    }

    /// The whole message.
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The same error with `context` in front: `context: message`.
    pub fn context(&self, context: impl fmt::Display) -> Self {
        let message = format!("{context}: {}", self.message());
        Self::made(self.code(), self.inner.remedy, message)
    }

    /// The same error with `advice` behind: the message, then `advice` as it is.
    pub fn and(&self, advice: impl fmt::Display) -> Self {
        let message = format!("{}{advice}", self.message());
        Self::made(self.code(), self.inner.remedy, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.inner.message, self.inner.code.name())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Error({}: {})",
            self.inner.code.name(),
            self.inner.message
        )
    }
}

impl std::error::Error for Error {}
