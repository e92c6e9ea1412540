//! The kinds of faults.

use crate::broker::core::fault::Fault;
use crate::error::ErrorCode;

macro_rules! kinds {
    ($($kind:ident = $name:literal),* $(,)?) => {
        /// A kind of fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum FaultKind {
            $(
                #[doc = $name]
                $kind,
            )*
        }

        impl FaultKind {
            /// All kinds.
            pub const ALL: &[FaultKind] = &[$(FaultKind::$kind),*];

            /// The kind in words.
            pub fn name(self) -> &'static str {
                match self {
                    $(FaultKind::$kind => $name,)*
                }
            }
        }
    };
}

kinds! {
    Slow = "slow network",
    Drip = "bytes one at a time",
    Reset = "connection reset",
    CutRequest = "request cut mid-frame",
    CutReply = "reply cut mid-frame",
    HalfOpen = "half-open connection",
    Unreachable = "connecting hangs",
    Refused = "connection refused",
    LateRequest = "request late",
    LateReply = "reply late",
    Overtaken = "request overtaken on another connection",
    Drop = "request dropped with its connection",
    SwallowedReply = "reply swallowed",
    Throttle = "throttled",
    Crash = "broker crashed",
    Pause = "broker paused",
    AllReplaced = "every broker replaced",
    LeaderMove = "leader moved",
    NotLeader = "error NOT_LEADER_OR_FOLLOWER",
    Retriable = "another retriable error",
    StorageError = "error KAFKA_STORAGE_ERROR",
    OutOfOrder = "error OUT_OF_ORDER_SEQUENCE_NUMBER",
    UnknownProducer = "error UNKNOWN_PRODUCER_ID",
    TooLarge = "error MESSAGE_TOO_LARGE",
    Forbidden = "error that no retry cures",
    AfterAppend = "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
    ErrorAfterAppend = "another error after the append",
    Duplicate = "DUPLICATE_SEQUENCE_NUMBER",
    ProducersForgotten = "broker forgot its producers",
    CoordinatorMove = "transaction coordinator moved",
    TopicLate = "topic created late",
    PartitionsAdded = "partitions added",
    FencedEpoch = "error FENCED_LEADER_EPOCH",
    UnknownEpoch = "error UNKNOWN_LEADER_EPOCH",
    OutOfRange = "error OFFSET_OUT_OF_RANGE",
    SessionLost = "fetch session refused",
    FetchRefused = "fetch refused otherwise",
    Corrupt = "batch damaged",
    RecordsDeleted = "records deleted",
    Truncated = "log truncated",
    Recreated = "topic deleted and created again",
    GroupMoved = "group coordinator moved",
    GroupRefused = "error of a group's coordinator",
    MemberRefused = "error of a group's member",
    Rebalance = "rebalance forced",
    Expired = "member's session ended",
    ReadingRequests = "request of a reader lost, late or throttled",
    MemberKilled = "reader killed",
    MemberClosed = "reader closed",
    MemberDropped = "reader freed without being closed",
    SlowProgram = "reader too late for max.poll.interval.ms",
    SmallFetch = "reader's fetches smaller than a batch",
    Lasting = "error that lasts",
    Shrunk = "topic created again with fewer partitions",
    Absent = "partition read that does not exist",
    WallJump = "wall clock jumped",
    ProcessStopped = "client's process stopped",
}

impl FaultKind {
    /// What a rule that was met counts as.
    pub(super) fn of(fault: &Fault) -> FaultKind {
        match fault {
            Fault::Error { code } | Fault::Answer { code, .. } => match *code {
                ErrorCode::NOT_LEADER_OR_FOLLOWER => FaultKind::NotLeader,
                ErrorCode::KAFKA_STORAGE_ERROR => FaultKind::StorageError,
                ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER => FaultKind::OutOfOrder,
                ErrorCode::UNKNOWN_PRODUCER_ID => FaultKind::UnknownProducer,
                ErrorCode::MESSAGE_TOO_LARGE => FaultKind::TooLarge,
                ErrorCode::FENCED_LEADER_EPOCH => FaultKind::FencedEpoch,
                ErrorCode::UNKNOWN_LEADER_EPOCH => FaultKind::UnknownEpoch,
                ErrorCode::OFFSET_OUT_OF_RANGE => FaultKind::OutOfRange,
                ErrorCode::FETCH_SESSION_ID_NOT_FOUND | ErrorCode::INVALID_FETCH_SESSION_EPOCH => {
                    FaultKind::SessionLost
                }
                ErrorCode::OFFSET_NOT_AVAILABLE | ErrorCode::UNKNOWN_SERVER_ERROR => {
                    FaultKind::FetchRefused
                }
                ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => {
                    FaultKind::GroupRefused
                }
                ErrorCode::UNKNOWN_MEMBER_ID
                | ErrorCode::ILLEGAL_GENERATION
                | ErrorCode::FENCED_MEMBER_EPOCH => FaultKind::MemberRefused,
                code if code.is_retriable() => FaultKind::Retriable,
                _ => FaultKind::Forbidden,
            },
            Fault::ErrorAfterAppend { code } => match *code {
                ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND => FaultKind::AfterAppend,
                ErrorCode::DUPLICATE_SEQUENCE_NUMBER => FaultKind::Duplicate,
                _ => FaultKind::ErrorAfterAppend,
            },
            Fault::Delay(_) => FaultKind::LateReply,
            Fault::Drop => FaultKind::Drop,
            Fault::SwallowReply { .. } => FaultKind::SwallowedReply,
            Fault::PartialReply { .. } => FaultKind::CutReply,
            Fault::Throttle(_) => FaultKind::Throttle,
            Fault::CorruptBatch => FaultKind::Corrupt,
        }
    }
}
