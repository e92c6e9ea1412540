"""Raw declarations of the C ABI. Generated from include/ottla.h by tools/generate_python_bindings.py."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from ctypes import (
    Structure,
    c_bool,
    c_char_p,
    c_int16,
    c_int32,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint32,
    c_uint64,
    c_void_p,
)
from typing import Any, ClassVar, cast

OTTLA_ABI_VERSION = 0
OTTLA_OK = 0
OTTLA_ERR_CONFIG = -100
OTTLA_ERR_INVALID_ARGUMENT = -101
OTTLA_ERR_TIMED_OUT = -102
OTTLA_ERR_AGAIN = -103
OTTLA_ERR_CLOSED = -104
OTTLA_ERR_IN_USE = -105
OTTLA_ERR_CONNECT = -106
OTTLA_ERR_DNS = -107
OTTLA_ERR_PROTOCOL = -108
OTTLA_ERR_TLS = -109
OTTLA_ERR_AUTHENTICATION = -110
OTTLA_ERR_WOKEN = -111
OTTLA_ERR_PANIC = -112
OTTLA_ERR_FORKED = -113
OTTLA_ERR_IO = -114
OTTLA_ERR_CORRUPT_BATCH = -115
OTTLA_ERR_UNSUPPORTED = -116
OTTLA_ERR_RECORD_TOO_LARGE = -117
OTTLA_ERR_BUFFER_FULL = -118
OTTLA_ERR_PURGED = -119
OTTLA_ERR_DECOMPRESSION_LIMIT = -120
OTTLA_ERR_OFFSET_RESET = -121
OTTLA_ERR_PARTITION_REVOKED = -122
OTTLA_ERR_MAX_POLL_EXCEEDED = -123
OTTLA_ERR_OUT_OF_MEMORY = -124
OTTLA_KEY_PRODUCER = 1
OTTLA_KEY_CONSUMER = 2
OTTLA_KEY_ADMIN = 4
OTTLA_KEY_SHARE_CONSUMER = 8
OTTLA_LOG_ERROR = 1
OTTLA_LOG_WARN = 2
OTTLA_LOG_INFO = 3
OTTLA_LOG_DEBUG = 4
OTTLA_LOG_TRACE = 5
OTTLA_PURGE_QUEUED = 1
OTTLA_PURGE_IN_FLIGHT = 2
OTTLA_PURGE_ALL = 3
OTTLA_WRITTEN = 0
OTTLA_NOT_WRITTEN = 1
OTTLA_POSSIBLY_WRITTEN = 2
OTTLA_START_RESET = 0
OTTLA_START_EARLIEST = 1
OTTLA_START_LATEST = 2
OTTLA_START_OFFSET = 3
OTTLA_START_TIMESTAMP = 4
OTTLA_TIMESTAMP_CREATE = 0
OTTLA_TIMESTAMP_APPEND = 1
OTTLA_EVENT_POSITION_RESET = 1
OTTLA_EVENT_PARTITION_STOPPED = 2
OTTLA_EVENT_PARTITION_FAILING = 3
OTTLA_EVENT_TOPIC_FAILING = 4
OTTLA_EVENT_TOPIC_RECREATED = 5
OTTLA_EVENT_PARTITIONS_ADDED = 6
OTTLA_EVENT_BROKER_UNREACHABLE = 7
OTTLA_EVENT_OFFSETS_COMMITTED = 8
OTTLA_EVENT_PARTITIONS_ASSIGNED = 9
OTTLA_EVENT_PARTITIONS_REVOKED = 10
OTTLA_EVENT_PARTITIONS_LOST = 11
OTTLA_EVENT_GROUP_FAILING = 12
OTTLA_EVENT_GROUP_LEFT = 13
OTTLA_EVENT_ACKNOWLEDGEMENT_FAILED = 14
OTTLA_EVENT_ASSIGNMENT_WANTED = 15
OTTLA_ACKNOWLEDGE_ACCEPT = 1
OTTLA_ACKNOWLEDGE_RELEASE = 2
OTTLA_ACKNOWLEDGE_REJECT = 3
OTTLA_ACKNOWLEDGE_RENEW = 4
OTTLA_STATS_CLIENT = 0
OTTLA_STATS_BROKER = 1
OTTLA_STATS_PARTITION = 2
OTTLA_FAULT_ERROR = 0
OTTLA_FAULT_DELAY = 1
OTTLA_FAULT_DROP = 2
OTTLA_FAULT_SWALLOW_REPLY = 3
OTTLA_FAULT_CORRUPT_BATCH = 4
OTTLA_FAULT_CUT_REPLY = 5
OTTLA_FAULT_THROTTLE = 6
OTTLA_COORDINATOR_GROUP = 0
OTTLA_COORDINATOR_TRANSACTION = 1
OTTLA_ERR_UNKNOWN_SERVER_ERROR = -1
OTTLA_ERR_OFFSET_OUT_OF_RANGE = 1
OTTLA_ERR_CORRUPT_MESSAGE = 2
OTTLA_ERR_UNKNOWN_TOPIC_OR_PARTITION = 3
OTTLA_ERR_INVALID_FETCH_SIZE = 4
OTTLA_ERR_LEADER_NOT_AVAILABLE = 5
OTTLA_ERR_NOT_LEADER_OR_FOLLOWER = 6
OTTLA_ERR_REQUEST_TIMED_OUT = 7
OTTLA_ERR_BROKER_NOT_AVAILABLE = 8
OTTLA_ERR_REPLICA_NOT_AVAILABLE = 9
OTTLA_ERR_MESSAGE_TOO_LARGE = 10
OTTLA_ERR_STALE_CONTROLLER_EPOCH = 11
OTTLA_ERR_OFFSET_METADATA_TOO_LARGE = 12
OTTLA_ERR_NETWORK_EXCEPTION = 13
OTTLA_ERR_COORDINATOR_LOAD_IN_PROGRESS = 14
OTTLA_ERR_COORDINATOR_NOT_AVAILABLE = 15
OTTLA_ERR_NOT_COORDINATOR = 16
OTTLA_ERR_INVALID_TOPIC_EXCEPTION = 17
OTTLA_ERR_RECORD_LIST_TOO_LARGE = 18
OTTLA_ERR_NOT_ENOUGH_REPLICAS = 19
OTTLA_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20
OTTLA_ERR_INVALID_REQUIRED_ACKS = 21
OTTLA_ERR_ILLEGAL_GENERATION = 22
OTTLA_ERR_INCONSISTENT_GROUP_PROTOCOL = 23
OTTLA_ERR_INVALID_GROUP_ID = 24
OTTLA_ERR_UNKNOWN_MEMBER_ID = 25
OTTLA_ERR_INVALID_SESSION_TIMEOUT = 26
OTTLA_ERR_REBALANCE_IN_PROGRESS = 27
OTTLA_ERR_INVALID_COMMIT_OFFSET_SIZE = 28
OTTLA_ERR_TOPIC_AUTHORIZATION_FAILED = 29
OTTLA_ERR_GROUP_AUTHORIZATION_FAILED = 30
OTTLA_ERR_CLUSTER_AUTHORIZATION_FAILED = 31
OTTLA_ERR_INVALID_TIMESTAMP = 32
OTTLA_ERR_UNSUPPORTED_SASL_MECHANISM = 33
OTTLA_ERR_ILLEGAL_SASL_STATE = 34
OTTLA_ERR_UNSUPPORTED_VERSION = 35
OTTLA_ERR_TOPIC_ALREADY_EXISTS = 36
OTTLA_ERR_INVALID_PARTITIONS = 37
OTTLA_ERR_INVALID_REPLICATION_FACTOR = 38
OTTLA_ERR_INVALID_REPLICA_ASSIGNMENT = 39
OTTLA_ERR_INVALID_CONFIG = 40
OTTLA_ERR_NOT_CONTROLLER = 41
OTTLA_ERR_INVALID_REQUEST = 42
OTTLA_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT = 43
OTTLA_ERR_POLICY_VIOLATION = 44
OTTLA_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER = 45
OTTLA_ERR_DUPLICATE_SEQUENCE_NUMBER = 46
OTTLA_ERR_INVALID_PRODUCER_EPOCH = 47
OTTLA_ERR_INVALID_TXN_STATE = 48
OTTLA_ERR_INVALID_PRODUCER_ID_MAPPING = 49
OTTLA_ERR_INVALID_TRANSACTION_TIMEOUT = 50
OTTLA_ERR_CONCURRENT_TRANSACTIONS = 51
OTTLA_ERR_TRANSACTION_COORDINATOR_FENCED = 52
OTTLA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53
OTTLA_ERR_SECURITY_DISABLED = 54
OTTLA_ERR_OPERATION_NOT_ATTEMPTED = 55
OTTLA_ERR_KAFKA_STORAGE_ERROR = 56
OTTLA_ERR_LOG_DIR_NOT_FOUND = 57
OTTLA_ERR_SASL_AUTHENTICATION_FAILED = 58
OTTLA_ERR_UNKNOWN_PRODUCER_ID = 59
OTTLA_ERR_REASSIGNMENT_IN_PROGRESS = 60
OTTLA_ERR_NON_EMPTY_GROUP = 68
OTTLA_ERR_GROUP_ID_NOT_FOUND = 69
OTTLA_ERR_FETCH_SESSION_ID_NOT_FOUND = 70
OTTLA_ERR_INVALID_FETCH_SESSION_EPOCH = 71
OTTLA_ERR_LISTENER_NOT_FOUND = 72
OTTLA_ERR_TOPIC_DELETION_DISABLED = 73
OTTLA_ERR_FENCED_LEADER_EPOCH = 74
OTTLA_ERR_UNKNOWN_LEADER_EPOCH = 75
OTTLA_ERR_UNSUPPORTED_COMPRESSION_TYPE = 76
OTTLA_ERR_STALE_BROKER_EPOCH = 77
OTTLA_ERR_OFFSET_NOT_AVAILABLE = 78
OTTLA_ERR_MEMBER_ID_REQUIRED = 79
OTTLA_ERR_PREFERRED_LEADER_NOT_AVAILABLE = 80
OTTLA_ERR_GROUP_MAX_SIZE_REACHED = 81
OTTLA_ERR_FENCED_INSTANCE_ID = 82
OTTLA_ERR_ELIGIBLE_LEADERS_NOT_AVAILABLE = 83
OTTLA_ERR_ELECTION_NOT_NEEDED = 84
OTTLA_ERR_GROUP_SUBSCRIBED_TO_TOPIC = 86
OTTLA_ERR_INVALID_RECORD = 87
OTTLA_ERR_UNSTABLE_OFFSET_COMMIT = 88
OTTLA_ERR_THROTTLING_QUOTA_EXCEEDED = 89
OTTLA_ERR_PRODUCER_FENCED = 90
OTTLA_ERR_UNKNOWN_TOPIC_ID = 100
OTTLA_ERR_INCONSISTENT_TOPIC_ID = 103
OTTLA_ERR_TRANSACTIONAL_ID_NOT_FOUND = 105
OTTLA_ERR_FETCH_SESSION_TOPIC_ID_ERROR = 106
OTTLA_ERR_OFFSET_MOVED_TO_TIERED_STORAGE = 109
OTTLA_ERR_FENCED_MEMBER_EPOCH = 110
OTTLA_ERR_UNRELEASED_INSTANCE_ID = 111
OTTLA_ERR_UNSUPPORTED_ASSIGNOR = 112
OTTLA_ERR_STALE_MEMBER_EPOCH = 113
OTTLA_ERR_UNKNOWN_SUBSCRIPTION_ID = 117
OTTLA_ERR_TELEMETRY_TOO_LARGE = 118
OTTLA_ERR_TRANSACTION_ABORTABLE = 120
OTTLA_ERR_INVALID_RECORD_STATE = 121
OTTLA_ERR_SHARE_SESSION_NOT_FOUND = 122
OTTLA_ERR_INVALID_SHARE_SESSION_EPOCH = 123
OTTLA_ERR_FENCED_STATE_EPOCH = 124
OTTLA_ERR_INVALID_REGULAR_EXPRESSION = 128
OTTLA_ERR_REBOOTSTRAP_REQUIRED = 129


class ottla_bytes(Structure):
    data: int | None
    len: int
    _fields_: ClassVar[Any] = (
        ("data", c_void_p),
        ("len", c_size_t),
    )


class ottla_header(Structure):
    name: Any
    value: Any
    _fields_: ClassVar[Any] = (
        ("name", ottla_bytes),
        ("value", ottla_bytes),
    )


class ottla_key(Structure):
    name: bytes | None
    type_name: bytes | None
    default_value: bytes | None
    meaning: bytes | None
    clients: int
    _fields_: ClassVar[Any] = (
        ("name", c_char_p),
        ("type_name", c_char_p),
        ("default_value", c_char_p),
        ("meaning", c_char_p),
        ("clients", c_uint32),
    )


class ottla_log_line(Structure):
    facility: bytes | None
    client_id: bytes | None
    message: bytes | None
    time: int
    repeated: int
    level: int
    _fields_: ClassVar[Any] = (
        ("facility", c_char_p),
        ("client_id", c_char_p),
        ("message", c_char_p),
        ("time", c_int64),
        ("repeated", c_uint64),
        ("level", c_int32),
    )


class ottla_column(Structure):
    blob: int | None
    blob_len: int
    pointers: int | None
    lengths: int | None
    offsets: int | None
    _fields_: ClassVar[Any] = (
        ("blob", c_void_p),
        ("blob_len", c_size_t),
        ("pointers", c_void_p),
        ("lengths", c_void_p),
        ("offsets", c_void_p),
    )


class ottla_header_column(Structure):
    counts: int | None
    lengths: int | None
    lengths_count: int
    blob: int | None
    blob_len: int
    _fields_: ClassVar[Any] = (
        ("counts", c_void_p),
        ("lengths", c_void_p),
        ("lengths_count", c_size_t),
        ("blob", c_void_p),
        ("blob_len", c_size_t),
    )


class ottla_producer_counts(Structure):
    written: int
    failed: int
    batches: int
    requests: int
    retries: int
    bytes: int
    buffered_bytes: int
    live_batches: int
    _fields_: ClassVar[Any] = (
        ("written", c_uint64),
        ("failed", c_uint64),
        ("batches", c_uint64),
        ("requests", c_uint64),
        ("retries", c_uint64),
        ("bytes", c_uint64),
        ("buffered_bytes", c_uint64),
        ("live_batches", c_uint64),
    )


class ottla_offset_to_commit(Structure):
    topic: bytes | None
    partition: int
    offset: int
    leader_epoch: int
    metadata: bytes | None
    _fields_: ClassVar[Any] = (
        ("topic", c_char_p),
        ("partition", c_int32),
        ("offset", c_int64),
        ("leader_epoch", c_int32),
        ("metadata", c_char_p),
    )


class ottla_group_metadata(Structure):
    group_id: bytes | None
    generation: int
    member_id: bytes | None
    instance_id: bytes | None
    _fields_: ClassVar[Any] = (
        ("group_id", c_char_p),
        ("generation", c_int32),
        ("member_id", c_char_p),
        ("instance_id", c_char_p),
    )


class ottla_completion(Structure):
    token: int
    topic: bytes | None
    base_offset: int
    timestamp: int
    indices: int | None
    error: int | None
    partition: int
    first: int
    count: int
    outcome: int
    _fields_: ClassVar[Any] = (
        ("token", c_uint64),
        ("topic", c_char_p),
        ("base_offset", c_int64),
        ("timestamp", c_int64),
        ("indices", c_void_p),
        ("error", c_void_p),
        ("partition", c_int32),
        ("first", c_uint32),
        ("count", c_uint32),
        ("outcome", c_int32),
    )


class ottla_assignment(Structure):
    topic: bytes | None
    value: int
    partition: int
    start: int
    _fields_: ClassVar[Any] = (
        ("topic", c_char_p),
        ("value", c_int64),
        ("partition", c_int32),
        ("start", c_int32),
    )


class ottla_topic_partition(Structure):
    topic: bytes | None
    partition: int
    _fields_: ClassVar[Any] = (
        ("topic", c_char_p),
        ("partition", c_int32),
    )


class ottla_segment(Structure):
    topic: bytes | None
    base: int | None
    offsets: int | None
    timestamps: int | None
    key_start: int | None
    key_len: int | None
    value_start: int | None
    value_len: int | None
    header_count: int | None
    rows: int
    first_row: int
    partition: int
    leader_epoch: int
    timestamp_type: int
    _fields_: ClassVar[Any] = (
        ("topic", c_char_p),
        ("base", c_void_p),
        ("offsets", c_void_p),
        ("timestamps", c_void_p),
        ("key_start", c_void_p),
        ("key_len", c_void_p),
        ("value_start", c_void_p),
        ("value_len", c_void_p),
        ("header_count", c_void_p),
        ("rows", c_size_t),
        ("first_row", c_size_t),
        ("partition", c_int32),
        ("leader_epoch", c_int32),
        ("timestamp_type", c_int32),
    )


class ottla_record(Structure):
    topic: bytes | None
    key: Any
    value: Any
    offset: int
    timestamp: int
    partition: int
    header_count: int
    timestamp_type: int
    _fields_: ClassVar[Any] = (
        ("topic", c_char_p),
        ("key", ottla_bytes),
        ("value", ottla_bytes),
        ("offset", c_int64),
        ("timestamp", c_int64),
        ("partition", c_int32),
        ("header_count", c_int32),
        ("timestamp_type", c_int32),
    )


class ottla_group_member(Structure):
    member_id: bytes | None
    instance_id: bytes | None
    rack: bytes | None
    user_data: Any
    topics: int | None
    topic_count: int
    owned: int | None
    owned_count: int
    _fields_: ClassVar[Any] = (
        ("member_id", c_char_p),
        ("instance_id", c_char_p),
        ("rack", c_char_p),
        ("user_data", ottla_bytes),
        ("topics", c_void_p),
        ("topic_count", c_size_t),
        ("owned", c_void_p),
        ("owned_count", c_size_t),
    )


class ottla_group_share(Structure):
    member_id: bytes | None
    topic: bytes | None
    partition: int
    _fields_: ClassVar[Any] = (
        ("member_id", c_char_p),
        ("topic", c_char_p),
        ("partition", c_int32),
    )


class ottla_stats_scope(Structure):
    topic: bytes | None
    address: bytes | None
    state: bytes | None
    kind: int
    broker: int
    partition: int
    _fields_: ClassVar[Any] = (
        ("topic", c_char_p),
        ("address", c_char_p),
        ("state", c_char_p),
        ("kind", c_int32),
        ("broker", c_int32),
        ("partition", c_int32),
    )


class ottla_histogram(Structure):
    count: int
    sum: int
    min: int
    max: int
    p50: int
    p90: int
    p99: int
    p999: int
    _fields_: ClassVar[Any] = (
        ("count", c_uint64),
        ("sum", c_uint64),
        ("min", c_uint64),
        ("max", c_uint64),
        ("p50", c_uint64),
        ("p90", c_uint64),
        ("p99", c_uint64),
        ("p999", c_uint64),
    )


class ottla_error_count(Structure):
    count: int
    code: int
    _fields_: ClassVar[Any] = (
        ("count", c_uint64),
        ("code", c_int32),
    )


class ottla_new_topic(Structure):
    name: bytes | None
    configs: int | None
    config_count: int
    partitions: int
    replication_factor: int
    _fields_: ClassVar[Any] = (
        ("name", c_char_p),
        ("configs", c_void_p),
        ("config_count", c_size_t),
        ("partitions", c_int32),
        ("replication_factor", c_int16),
    )


class ottla_topic_result(Structure):
    name: bytes | None
    error: int | None
    partitions: int
    replication_factor: int
    _fields_: ClassVar[Any] = (
        ("name", c_char_p),
        ("error", c_void_p),
        ("partitions", c_int32),
        ("replication_factor", c_int32),
    )


class ottla_topic_listing(Structure):
    name: bytes | None
    id: Any
    partitions: int
    internal: bool
    _fields_: ClassVar[Any] = (
        ("name", c_char_p),
        ("id", c_uint8 * 16),
        ("partitions", c_int32),
        ("internal", c_bool),
    )


class ottla_topic_description(Structure):
    name: bytes | None
    error: int | None
    partitions: int
    id: Any
    internal: bool
    _fields_: ClassVar[Any] = (
        ("name", c_char_p),
        ("error", c_void_p),
        ("partitions", c_size_t),
        ("id", c_uint8 * 16),
        ("internal", c_bool),
    )


class ottla_partition_description(Structure):
    replicas: int | None
    replica_count: int
    isr: int | None
    isr_count: int
    partition: int
    leader: int
    leader_epoch: int
    _fields_: ClassVar[Any] = (
        ("replicas", c_void_p),
        ("replica_count", c_size_t),
        ("isr", c_void_p),
        ("isr_count", c_size_t),
        ("partition", c_int32),
        ("leader", c_int32),
        ("leader_epoch", c_int32),
    )


class ottla_cluster_broker(Structure):
    host: bytes | None
    rack: bytes | None
    id: int
    port: int
    _fields_: ClassVar[Any] = (
        ("host", c_char_p),
        ("rack", c_char_p),
        ("id", c_int32),
        ("port", c_int32),
    )


ottla_partitioner = ctypes.CFUNCTYPE(c_int32, c_char_p, ottla_bytes, c_int32, c_void_p)


def _declare(function: Any, result: Any, *arguments: Any) -> Callable[..., Any]:
    function.restype = result
    function.argtypes = arguments
    return cast(Callable[..., Any], function)


class Functions:
    """The functions without their prefix. The quick ones keep the GIL, all others release it."""

    def __init__(self, quick: ctypes.PyDLL, releasing: ctypes.CDLL) -> None:
        d = _declare
        self.abi_version = d(quick.ottla_abi_version, c_uint32)
        self.version = d(quick.ottla_version, c_char_p)
        self.error_code = d(quick.ottla_error_code, c_int32, c_void_p)
        self.error_name = d(quick.ottla_error_name, c_char_p, c_void_p)
        self.error_message = d(quick.ottla_error_message, c_char_p, c_void_p)
        self.error_is_retriable = d(quick.ottla_error_is_retriable, c_bool, c_void_p)
        self.error_is_fatal = d(quick.ottla_error_is_fatal, c_bool, c_void_p)
        self.error_needs_abort = d(quick.ottla_error_needs_abort, c_bool, c_void_p)
        self.error_clone = d(quick.ottla_error_clone, c_void_p, c_void_p)
        self.error_free = d(quick.ottla_error_free, None, c_void_p)
        self.status_name = d(quick.ottla_status_name, c_char_p, c_int32)
        self.config_new = d(quick.ottla_config_new, c_void_p)
        self.config_set = d(quick.ottla_config_set, c_int32, c_void_p, c_char_p, c_char_p, c_void_p)
        self.config_free = d(quick.ottla_config_free, None, c_void_p)
        self.config_keys = d(releasing.ottla_config_keys, c_int32, c_void_p, c_void_p)
        self.keys_count = d(quick.ottla_keys_count, c_size_t, c_void_p)
        self.keys_get = d(quick.ottla_keys_get, c_int32, c_void_p, c_size_t, c_void_p, c_void_p)
        self.keys_free = d(quick.ottla_keys_free, None, c_void_p)
        self.log_lines_count = d(quick.ottla_log_lines_count, c_size_t, c_void_p)
        self.log_lines_get = d(quick.ottla_log_lines_get, c_int32, c_void_p, c_size_t, c_void_p, c_void_p)
        self.log_lines_free = d(quick.ottla_log_lines_free, None, c_void_p)
        self.producer_new = d(releasing.ottla_producer_new, c_int32, c_void_p, c_void_p, c_void_p)
        self.producer_connect = d(releasing.ottla_producer_connect, c_int32, c_void_p, c_int64, c_void_p)
        self.producer_send = d(
            releasing.ottla_producer_send,
            c_int32,
            c_void_p,
            c_char_p,
            c_int32,
            ottla_bytes,
            ottla_bytes,
            c_void_p,
            c_size_t,
            c_int64,
            c_uint64,
            c_int64,
            c_void_p,
        )
        self.producer_send_batch = d(
            releasing.ottla_producer_send_batch,
            c_int32,
            c_void_p,
            c_char_p,
            c_int32,
            c_size_t,
            c_void_p,
            c_void_p,
            c_void_p,
            c_void_p,
            c_uint64,
            c_int64,
            c_void_p,
            c_void_p,
        )
        self.producer_poll = d(releasing.ottla_producer_poll, c_int32, c_void_p, c_size_t, c_int64, c_void_p, c_void_p)
        self.producer_flush = d(releasing.ottla_producer_flush, c_int32, c_void_p, c_int64, c_void_p)
        self.producer_wake = d(quick.ottla_producer_wake, c_int32, c_void_p, c_void_p)
        self.producer_descriptor = d(quick.ottla_producer_descriptor, c_int32, c_void_p, c_void_p, c_void_p)
        self.producer_get_counts = d(quick.ottla_producer_get_counts, c_int32, c_void_p, c_void_p, c_void_p)
        self.producer_logs = d(quick.ottla_producer_logs, c_int32, c_void_p, c_size_t, c_void_p, c_void_p)
        self.producer_close = d(releasing.ottla_producer_close, c_int32, c_void_p, c_int64, c_void_p)
        self.producer_free = d(releasing.ottla_producer_free, None, c_void_p)
        self.producer_set_topic_config = d(
            releasing.ottla_producer_set_topic_config,
            c_int32,
            c_void_p,
            c_char_p,
            c_void_p,
            c_void_p,
        )
        self.producer_set_partitioner = d(
            releasing.ottla_producer_set_partitioner,
            c_int32,
            c_void_p,
            c_char_p,
            ottla_partitioner,
            c_void_p,
            c_void_p,
        )
        self.producer_purge = d(releasing.ottla_producer_purge, c_int32, c_void_p, c_int32, c_void_p)
        self.producer_init_transactions = d(
            releasing.ottla_producer_init_transactions,
            c_int32,
            c_void_p,
            c_int64,
            c_void_p,
        )
        self.producer_begin_transaction = d(releasing.ottla_producer_begin_transaction, c_int32, c_void_p, c_void_p)
        self.producer_send_offsets = d(
            releasing.ottla_producer_send_offsets,
            c_int32,
            c_void_p,
            c_void_p,
            c_size_t,
            c_void_p,
            c_int64,
            c_void_p,
        )
        self.producer_commit_transaction = d(
            releasing.ottla_producer_commit_transaction,
            c_int32,
            c_void_p,
            c_int64,
            c_void_p,
        )
        self.producer_abort_transaction = d(
            releasing.ottla_producer_abort_transaction,
            c_int32,
            c_void_p,
            c_int64,
            c_void_p,
        )
        self.completions_count = d(quick.ottla_completions_count, c_size_t, c_void_p)
        self.completions_data = d(quick.ottla_completions_data, c_void_p, c_void_p)
        self.completions_free = d(quick.ottla_completions_free, None, c_void_p)
        self.consumer_new = d(releasing.ottla_consumer_new, c_int32, c_void_p, c_void_p, c_void_p)
        self.consumer_connect = d(releasing.ottla_consumer_connect, c_int32, c_void_p, c_int64, c_void_p)
        self.consumer_assign = d(quick.ottla_consumer_assign, c_int32, c_void_p, c_void_p, c_size_t, c_void_p)
        self.consumer_assign_topic = d(
            quick.ottla_consumer_assign_topic,
            c_int32,
            c_void_p,
            c_char_p,
            c_int32,
            c_int64,
            c_void_p,
        )
        self.consumer_unassign = d(quick.ottla_consumer_unassign, c_int32, c_void_p, c_void_p)
        self.consumer_assignment = d(quick.ottla_consumer_assignment, c_int32, c_void_p, c_void_p, c_void_p)
        self.consumer_seek = d(
            quick.ottla_consumer_seek,
            c_int32,
            c_void_p,
            c_char_p,
            c_int32,
            c_int32,
            c_int64,
            c_void_p,
        )
        self.consumer_pause = d(quick.ottla_consumer_pause, c_int32, c_void_p, c_void_p, c_size_t, c_void_p)
        self.consumer_resume = d(quick.ottla_consumer_resume, c_int32, c_void_p, c_void_p, c_size_t, c_void_p)
        self.consumer_position = d(
            quick.ottla_consumer_position,
            c_int32,
            c_void_p,
            c_char_p,
            c_int32,
            c_void_p,
            c_void_p,
        )
        self.consumer_lag = d(quick.ottla_consumer_lag, c_int32, c_void_p, c_char_p, c_int32, c_void_p, c_void_p)
        self.consumer_beginning_offsets = d(
            releasing.ottla_consumer_beginning_offsets,
            c_int32,
            c_void_p,
            c_void_p,
            c_size_t,
            c_int64,
            c_void_p,
            c_void_p,
        )
        self.consumer_end_offsets = d(
            releasing.ottla_consumer_end_offsets,
            c_int32,
            c_void_p,
            c_void_p,
            c_size_t,
            c_int64,
            c_void_p,
            c_void_p,
        )
        self.consumer_offsets_for_times = d(
            releasing.ottla_consumer_offsets_for_times,
            c_int32,
            c_void_p,
            c_void_p,
            c_void_p,
            c_size_t,
            c_int64,
            c_void_p,
            c_void_p,
        )
        self.consumer_partition_count = d(
            releasing.ottla_consumer_partition_count,
            c_int32,
            c_void_p,
            c_char_p,
            c_int64,
            c_void_p,
            c_void_p,
        )
        self.consumer_poll = d(
            releasing.ottla_consumer_poll,
            c_int32,
            c_void_p,
            c_size_t,
            c_int64,
            c_void_p,
            c_void_p,
            c_void_p,
        )
        self.consumer_wake = d(quick.ottla_consumer_wake, c_int32, c_void_p, c_void_p)
        self.consumer_descriptor = d(quick.ottla_consumer_descriptor, c_int32, c_void_p, c_void_p, c_void_p)
        self.consumer_held_bytes = d(quick.ottla_consumer_held_bytes, c_int32, c_void_p, c_void_p, c_void_p)
        self.consumer_buffered_bytes = d(quick.ottla_consumer_buffered_bytes, c_int32, c_void_p, c_void_p, c_void_p)
        self.consumer_logs = d(quick.ottla_consumer_logs, c_int32, c_void_p, c_size_t, c_void_p, c_void_p)
        self.consumer_close = d(releasing.ottla_consumer_close, c_int32, c_void_p, c_int64, c_void_p)
        self.consumer_free = d(releasing.ottla_consumer_free, None, c_void_p)
        self.partitions_count = d(quick.ottla_partitions_count, c_size_t, c_void_p)
        self.partitions_get = d(quick.ottla_partitions_get, c_int32, c_void_p, c_size_t, c_void_p, c_void_p)
        self.partitions_free = d(quick.ottla_partitions_free, None, c_void_p)
        self.batch_rows = d(quick.ottla_batch_rows, c_size_t, c_void_p)
        self.batch_segment_count = d(quick.ottla_batch_segment_count, c_size_t, c_void_p)
        self.batch_segment = d(quick.ottla_batch_segment, c_int32, c_void_p, c_size_t, c_void_p, c_void_p)
        self.batch_record = d(quick.ottla_batch_record, c_int32, c_void_p, c_size_t, c_void_p, c_void_p)
        self.batch_headers = d(
            quick.ottla_batch_headers,
            c_int32,
            c_void_p,
            c_size_t,
            c_void_p,
            c_size_t,
            c_void_p,
            c_void_p,
        )
        self.batch_delivery_counts = d(releasing.ottla_batch_delivery_counts, c_void_p, c_void_p)
        self.batch_compact = d(releasing.ottla_batch_compact, c_int32, c_void_p, c_void_p, c_void_p)
        self.batch_held_bytes = d(quick.ottla_batch_held_bytes, c_size_t, c_void_p)
        self.batch_free = d(quick.ottla_batch_free, None, c_void_p)
        self.producer_next_event = d(quick.ottla_producer_next_event, c_int32, c_void_p, c_void_p, c_void_p)
        self.event_kind = d(quick.ottla_event_kind, c_int32, c_void_p)
        self.event_topic = d(quick.ottla_event_topic, c_char_p, c_void_p)
        self.event_partition = d(quick.ottla_event_partition, c_int32, c_void_p)
        self.event_from = d(quick.ottla_event_from, c_int64, c_void_p)
        self.event_to = d(quick.ottla_event_to, c_int64, c_void_p)
        self.event_token = d(quick.ottla_event_token, c_uint64, c_void_p)
        self.event_partition_count = d(quick.ottla_event_partition_count, c_size_t, c_void_p)
        self.event_partition_get = d(quick.ottla_event_partition_get, c_int32, c_void_p, c_size_t, c_void_p, c_void_p)
        self.event_error = d(quick.ottla_event_error, c_void_p, c_void_p)
        self.event_message = d(quick.ottla_event_message, c_char_p, c_void_p)
        self.event_free = d(quick.ottla_event_free, None, c_void_p)
        self.consumer_subscribe = d(quick.ottla_consumer_subscribe, c_int32, c_void_p, c_void_p, c_size_t, c_void_p)
        self.consumer_subscribe_pattern = d(
            quick.ottla_consumer_subscribe_pattern,
            c_int32,
            c_void_p,
            c_char_p,
            c_void_p,
        )
        self.consumer_unsubscribe = d(releasing.ottla_consumer_unsubscribe, c_int32, c_void_p, c_int64, c_void_p)
        self.consumer_acknowledge = d(quick.ottla_consumer_acknowledge, c_int32, c_void_p, c_void_p, c_void_p)
        self.consumer_mark = d(quick.ottla_consumer_mark, c_int32, c_void_p, c_char_p, c_int32, c_int64, c_void_p)
        self.consumer_commit = d(
            releasing.ottla_consumer_commit,
            c_int32,
            c_void_p,
            c_void_p,
            c_size_t,
            c_int64,
            c_void_p,
        )
        self.consumer_commit_async = d(
            quick.ottla_consumer_commit_async,
            c_int32,
            c_void_p,
            c_void_p,
            c_size_t,
            c_void_p,
            c_void_p,
        )
        self.consumer_commit_polled = d(releasing.ottla_consumer_commit_polled, c_int32, c_void_p, c_int64, c_void_p)
        self.consumer_commit_batch = d(
            releasing.ottla_consumer_commit_batch,
            c_int32,
            c_void_p,
            c_void_p,
            c_int64,
            c_void_p,
        )
        self.consumer_commit_polled_async = d(
            releasing.ottla_consumer_commit_polled_async,
            c_int32,
            c_void_p,
            c_void_p,
            c_void_p,
        )
        self.consumer_commit_batch_async = d(
            quick.ottla_consumer_commit_batch_async,
            c_int32,
            c_void_p,
            c_void_p,
            c_void_p,
            c_void_p,
        )
        self.consumer_committed = d(
            releasing.ottla_consumer_committed,
            c_int32,
            c_void_p,
            c_void_p,
            c_size_t,
            c_int64,
            c_void_p,
            c_void_p,
        )
        self.offsets_count = d(quick.ottla_offsets_count, c_size_t, c_void_p)
        self.offsets_get = d(quick.ottla_offsets_get, c_int32, c_void_p, c_size_t, c_void_p, c_void_p)
        self.offsets_free = d(quick.ottla_offsets_free, None, c_void_p)
        self.consumer_membership = d(quick.ottla_consumer_membership, c_int32, c_void_p, c_void_p, c_void_p)
        self.membership_get = d(quick.ottla_membership_get, c_int32, c_void_p, c_void_p, c_void_p)
        self.membership_free = d(quick.ottla_membership_free, None, c_void_p)
        self.consumer_set_assignor = d(
            releasing.ottla_consumer_set_assignor,
            c_int32,
            c_void_p,
            c_char_p,
            ottla_bytes,
            c_bool,
            c_void_p,
        )
        self.event_group_member_count = d(quick.ottla_event_group_member_count, c_size_t, c_void_p)
        self.event_group_member = d(quick.ottla_event_group_member, c_int32, c_void_p, c_size_t, c_void_p, c_void_p)
        self.event_group_topic_count = d(quick.ottla_event_group_topic_count, c_size_t, c_void_p)
        self.event_group_topic = d(
            quick.ottla_event_group_topic,
            c_int32,
            c_void_p,
            c_size_t,
            c_void_p,
            c_void_p,
            c_void_p,
        )
        self.consumer_assign_group = d(
            releasing.ottla_consumer_assign_group,
            c_int32,
            c_void_p,
            c_void_p,
            c_void_p,
            c_size_t,
            c_void_p,
        )
        self.consumer_refuse_assignment = d(
            releasing.ottla_consumer_refuse_assignment,
            c_int32,
            c_void_p,
            c_void_p,
            c_void_p,
        )
        self.share_consumer_new = d(releasing.ottla_share_consumer_new, c_int32, c_void_p, c_void_p, c_void_p)
        self.share_consumer_connect = d(releasing.ottla_share_consumer_connect, c_int32, c_void_p, c_int64, c_void_p)
        self.share_consumer_subscribe = d(
            releasing.ottla_share_consumer_subscribe,
            c_int32,
            c_void_p,
            c_void_p,
            c_size_t,
            c_void_p,
        )
        self.share_consumer_unsubscribe = d(
            releasing.ottla_share_consumer_unsubscribe,
            c_int32,
            c_void_p,
            c_int64,
            c_void_p,
        )
        self.share_consumer_poll = d(
            releasing.ottla_share_consumer_poll,
            c_int32,
            c_void_p,
            c_int64,
            c_void_p,
            c_void_p,
            c_void_p,
        )
        self.share_consumer_acknowledge = d(
            releasing.ottla_share_consumer_acknowledge,
            c_int32,
            c_void_p,
            c_void_p,
            c_size_t,
            c_size_t,
            c_int32,
            c_void_p,
        )
        self.share_consumer_acknowledge_offset = d(
            releasing.ottla_share_consumer_acknowledge_offset,
            c_int32,
            c_void_p,
            c_char_p,
            c_int32,
            c_int64,
            c_int32,
            c_void_p,
        )
        self.share_consumer_commit = d(releasing.ottla_share_consumer_commit, c_int32, c_void_p, c_int64, c_void_p)
        self.share_consumer_commit_async = d(releasing.ottla_share_consumer_commit_async, c_int32, c_void_p, c_void_p)
        self.share_consumer_lock_duration = d(
            releasing.ottla_share_consumer_lock_duration,
            c_int32,
            c_void_p,
            c_void_p,
            c_void_p,
        )
        self.share_consumer_wake = d(releasing.ottla_share_consumer_wake, c_int32, c_void_p, c_void_p)
        self.share_consumer_descriptor = d(
            releasing.ottla_share_consumer_descriptor,
            c_int32,
            c_void_p,
            c_void_p,
            c_void_p,
        )
        self.share_consumer_logs = d(
            releasing.ottla_share_consumer_logs,
            c_int32,
            c_void_p,
            c_size_t,
            c_void_p,
            c_void_p,
        )
        self.share_consumer_close = d(releasing.ottla_share_consumer_close, c_int32, c_void_p, c_int64, c_void_p)
        self.share_consumer_free = d(releasing.ottla_share_consumer_free, None, c_void_p)
        self.producer_stats = d(releasing.ottla_producer_stats, c_int32, c_void_p, c_int64, c_void_p, c_void_p)
        self.producer_next_stats = d(quick.ottla_producer_next_stats, c_int32, c_void_p, c_void_p, c_void_p)
        self.consumer_stats = d(releasing.ottla_consumer_stats, c_int32, c_void_p, c_int64, c_void_p, c_void_p)
        self.consumer_next_stats = d(quick.ottla_consumer_next_stats, c_int32, c_void_p, c_void_p, c_void_p)
        self.stats_count = d(quick.ottla_stats_count, c_size_t, c_void_p)
        self.stats_get = d(quick.ottla_stats_get, c_int32, c_void_p, c_size_t, c_void_p, c_void_p)
        self.stats_value = d(quick.ottla_stats_value, c_int32, c_void_p, c_size_t, c_char_p, c_void_p, c_void_p)
        self.stats_histogram = d(quick.ottla_stats_histogram, c_int32, c_void_p, c_size_t, c_char_p, c_void_p, c_void_p)
        self.stats_error_count = d(quick.ottla_stats_error_count, c_size_t, c_void_p, c_size_t)
        self.stats_errors = d(quick.ottla_stats_errors, c_void_p, c_void_p, c_size_t)
        self.stats_json = d(quick.ottla_stats_json, c_char_p, c_void_p)
        self.stats_free = d(quick.ottla_stats_free, None, c_void_p)
        self.admin_new = d(releasing.ottla_admin_new, c_int32, c_void_p, c_void_p, c_void_p)
        self.admin_connect = d(releasing.ottla_admin_connect, c_int32, c_void_p, c_int64, c_void_p)
        self.admin_create_topics = d(
            releasing.ottla_admin_create_topics,
            c_int32,
            c_void_p,
            c_void_p,
            c_size_t,
            c_bool,
            c_int64,
            c_void_p,
            c_void_p,
        )
        self.admin_delete_topics = d(
            releasing.ottla_admin_delete_topics,
            c_int32,
            c_void_p,
            c_void_p,
            c_size_t,
            c_int64,
            c_void_p,
            c_void_p,
        )
        self.admin_create_partitions = d(
            releasing.ottla_admin_create_partitions,
            c_int32,
            c_void_p,
            c_char_p,
            c_int32,
            c_bool,
            c_int64,
            c_void_p,
        )
        self.admin_list_topics = d(
            releasing.ottla_admin_list_topics,
            c_int32,
            c_void_p,
            c_bool,
            c_int64,
            c_void_p,
            c_void_p,
        )
        self.admin_describe_topics = d(
            releasing.ottla_admin_describe_topics,
            c_int32,
            c_void_p,
            c_void_p,
            c_size_t,
            c_int64,
            c_void_p,
            c_void_p,
        )
        self.admin_describe_cluster = d(
            releasing.ottla_admin_describe_cluster,
            c_int32,
            c_void_p,
            c_int64,
            c_void_p,
            c_void_p,
        )
        self.admin_logs = d(quick.ottla_admin_logs, c_int32, c_void_p, c_size_t, c_void_p, c_void_p)
        self.admin_close = d(releasing.ottla_admin_close, c_int32, c_void_p, c_int64, c_void_p)
        self.admin_free = d(releasing.ottla_admin_free, None, c_void_p)
        self.topic_results_count = d(quick.ottla_topic_results_count, c_size_t, c_void_p)
        self.topic_results_get = d(quick.ottla_topic_results_get, c_int32, c_void_p, c_size_t, c_void_p, c_void_p)
        self.topic_results_free = d(quick.ottla_topic_results_free, None, c_void_p)
        self.topic_list_count = d(quick.ottla_topic_list_count, c_size_t, c_void_p)
        self.topic_list_get = d(quick.ottla_topic_list_get, c_int32, c_void_p, c_size_t, c_void_p, c_void_p)
        self.topic_list_free = d(quick.ottla_topic_list_free, None, c_void_p)
        self.topic_descriptions_count = d(quick.ottla_topic_descriptions_count, c_size_t, c_void_p)
        self.topic_descriptions_get = d(
            quick.ottla_topic_descriptions_get,
            c_int32,
            c_void_p,
            c_size_t,
            c_void_p,
            c_void_p,
        )
        self.topic_descriptions_partition = d(
            quick.ottla_topic_descriptions_partition,
            c_int32,
            c_void_p,
            c_size_t,
            c_size_t,
            c_void_p,
            c_void_p,
        )
        self.topic_descriptions_free = d(quick.ottla_topic_descriptions_free, None, c_void_p)
        self.cluster_id = d(quick.ottla_cluster_id, c_char_p, c_void_p)
        self.cluster_controller = d(quick.ottla_cluster_controller, c_int32, c_void_p)
        self.cluster_broker_count = d(quick.ottla_cluster_broker_count, c_size_t, c_void_p)
        self.cluster_get_broker = d(quick.ottla_cluster_get_broker, c_int32, c_void_p, c_size_t, c_void_p, c_void_p)
        self.cluster_free = d(quick.ottla_cluster_free, None, c_void_p)
        self.producer_next_answer = d(
            releasing.ottla_producer_next_answer,
            c_int32,
            c_void_p,
            c_int64,
            c_void_p,
            c_void_p,
        )
        self.consumer_next_answer = d(
            releasing.ottla_consumer_next_answer,
            c_int32,
            c_void_p,
            c_int64,
            c_void_p,
            c_void_p,
        )
        self.share_consumer_next_answer = d(
            releasing.ottla_share_consumer_next_answer,
            c_int32,
            c_void_p,
            c_int64,
            c_void_p,
            c_void_p,
        )
        self.admin_next_answer = d(releasing.ottla_admin_next_answer, c_int32, c_void_p, c_int64, c_void_p, c_void_p)
        self.admin_descriptor = d(releasing.ottla_admin_descriptor, c_int32, c_void_p, c_void_p, c_void_p)
        self.answer_token = d(releasing.ottla_answer_token, c_uint64, c_void_p)
        self.answer_doing = d(releasing.ottla_answer_doing, c_char_p, c_void_p)
        self.answer_error = d(releasing.ottla_answer_error, c_void_p, c_void_p)
        self.answer_count = d(releasing.ottla_answer_count, c_size_t, c_void_p)
        self.answer_offsets = d(releasing.ottla_answer_offsets, c_void_p, c_void_p)
        self.answer_timestamps = d(releasing.ottla_answer_timestamps, c_void_p, c_void_p)
        self.answer_committed = d(releasing.ottla_answer_committed, c_int32, c_void_p, c_void_p, c_void_p)
        self.answer_stats = d(releasing.ottla_answer_stats, c_int32, c_void_p, c_void_p, c_void_p)
        self.answer_topic_results = d(releasing.ottla_answer_topic_results, c_int32, c_void_p, c_void_p, c_void_p)
        self.answer_topic_list = d(releasing.ottla_answer_topic_list, c_int32, c_void_p, c_void_p, c_void_p)
        self.answer_topic_descriptions = d(
            releasing.ottla_answer_topic_descriptions,
            c_int32,
            c_void_p,
            c_void_p,
            c_void_p,
        )
        self.answer_cluster = d(releasing.ottla_answer_cluster, c_int32, c_void_p, c_void_p, c_void_p)
        self.answer_free = d(releasing.ottla_answer_free, None, c_void_p)
        self.producer_connect_async = d(
            releasing.ottla_producer_connect_async,
            c_int32,
            c_void_p,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.producer_flush_async = d(
            releasing.ottla_producer_flush_async,
            c_int32,
            c_void_p,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.producer_stats_async = d(
            releasing.ottla_producer_stats_async,
            c_int32,
            c_void_p,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.producer_init_transactions_async = d(
            releasing.ottla_producer_init_transactions_async,
            c_int32,
            c_void_p,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.producer_commit_transaction_async = d(
            releasing.ottla_producer_commit_transaction_async,
            c_int32,
            c_void_p,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.producer_abort_transaction_async = d(
            releasing.ottla_producer_abort_transaction_async,
            c_int32,
            c_void_p,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.producer_close_async = d(
            releasing.ottla_producer_close_async,
            c_int32,
            c_void_p,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.producer_send_offsets_async = d(
            releasing.ottla_producer_send_offsets_async,
            c_int32,
            c_void_p,
            c_void_p,
            c_size_t,
            c_void_p,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.producer_purge_async = d(
            releasing.ottla_producer_purge_async,
            c_int32,
            c_void_p,
            c_int32,
            c_uint64,
            c_void_p,
        )
        self.consumer_connect_async = d(
            releasing.ottla_consumer_connect_async,
            c_int32,
            c_void_p,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.consumer_beginning_offsets_async = d(
            releasing.ottla_consumer_beginning_offsets_async,
            c_int32,
            c_void_p,
            c_void_p,
            c_size_t,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.consumer_end_offsets_async = d(
            releasing.ottla_consumer_end_offsets_async,
            c_int32,
            c_void_p,
            c_void_p,
            c_size_t,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.consumer_offsets_for_times_async = d(
            releasing.ottla_consumer_offsets_for_times_async,
            c_int32,
            c_void_p,
            c_void_p,
            c_void_p,
            c_size_t,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.consumer_partition_count_async = d(
            releasing.ottla_consumer_partition_count_async,
            c_int32,
            c_void_p,
            c_char_p,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.consumer_committed_async = d(
            releasing.ottla_consumer_committed_async,
            c_int32,
            c_void_p,
            c_void_p,
            c_size_t,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.consumer_unsubscribe_async = d(
            releasing.ottla_consumer_unsubscribe_async,
            c_int32,
            c_void_p,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.consumer_stats_async = d(
            releasing.ottla_consumer_stats_async,
            c_int32,
            c_void_p,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.consumer_close_async = d(
            releasing.ottla_consumer_close_async,
            c_int32,
            c_void_p,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.share_consumer_connect_async = d(
            releasing.ottla_share_consumer_connect_async,
            c_int32,
            c_void_p,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.share_consumer_begin_commit = d(
            releasing.ottla_share_consumer_begin_commit,
            c_int32,
            c_void_p,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.share_consumer_unsubscribe_async = d(
            releasing.ottla_share_consumer_unsubscribe_async,
            c_int32,
            c_void_p,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.share_consumer_close_async = d(
            releasing.ottla_share_consumer_close_async,
            c_int32,
            c_void_p,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.admin_connect_async = d(
            releasing.ottla_admin_connect_async,
            c_int32,
            c_void_p,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.admin_create_topics_async = d(
            releasing.ottla_admin_create_topics_async,
            c_int32,
            c_void_p,
            c_void_p,
            c_size_t,
            c_bool,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.admin_delete_topics_async = d(
            releasing.ottla_admin_delete_topics_async,
            c_int32,
            c_void_p,
            c_void_p,
            c_size_t,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.admin_create_partitions_async = d(
            releasing.ottla_admin_create_partitions_async,
            c_int32,
            c_void_p,
            c_char_p,
            c_int32,
            c_bool,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.admin_list_topics_async = d(
            releasing.ottla_admin_list_topics_async,
            c_int32,
            c_void_p,
            c_bool,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.admin_describe_topics_async = d(
            releasing.ottla_admin_describe_topics_async,
            c_int32,
            c_void_p,
            c_void_p,
            c_size_t,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.admin_describe_cluster_async = d(
            releasing.ottla_admin_describe_cluster_async,
            c_int32,
            c_void_p,
            c_int64,
            c_uint64,
            c_void_p,
        )
        self.admin_close_async = d(releasing.ottla_admin_close_async, c_int32, c_void_p, c_int64, c_uint64, c_void_p)
        self.broker_new = d(releasing.ottla_broker_new, c_int32, c_void_p, c_void_p, c_void_p)
        self.broker_bootstrap_servers = d(quick.ottla_broker_bootstrap_servers, c_char_p, c_void_p)
        self.broker_create_topic = d(
            releasing.ottla_broker_create_topic,
            c_int32,
            c_void_p,
            c_char_p,
            c_int32,
            c_void_p,
        )
        self.broker_add_fault = d(
            releasing.ottla_broker_add_fault,
            c_int32,
            c_void_p,
            c_int32,
            c_int64,
            c_int32,
            c_int32,
            c_char_p,
            c_int32,
            c_int64,
            c_void_p,
        )
        self.broker_clear_faults = d(releasing.ottla_broker_clear_faults, c_int32, c_void_p, c_void_p)
        self.broker_move_leader = d(
            releasing.ottla_broker_move_leader,
            c_int32,
            c_void_p,
            c_char_p,
            c_int32,
            c_int32,
            c_void_p,
        )
        self.broker_move_coordinator = d(
            releasing.ottla_broker_move_coordinator,
            c_int32,
            c_void_p,
            c_int32,
            c_char_p,
            c_int32,
            c_int64,
            c_void_p,
        )
        self.broker_force_rebalance = d(releasing.ottla_broker_force_rebalance, c_int32, c_void_p, c_char_p, c_void_p)
        self.broker_expire_member = d(
            releasing.ottla_broker_expire_member,
            c_int32,
            c_void_p,
            c_char_p,
            c_char_p,
            c_void_p,
        )
        self.broker_offsets = d(
            releasing.ottla_broker_offsets,
            c_int32,
            c_void_p,
            c_char_p,
            c_int32,
            c_void_p,
            c_void_p,
            c_void_p,
        )
        self.broker_stop_node = d(releasing.ottla_broker_stop_node, c_int32, c_void_p, c_int32, c_void_p)
        self.broker_start_node = d(releasing.ottla_broker_start_node, c_int32, c_void_p, c_int32, c_void_p)
        self.broker_pause_node = d(releasing.ottla_broker_pause_node, c_int32, c_void_p, c_int32, c_void_p)
        self.broker_resume_node = d(releasing.ottla_broker_resume_node, c_int32, c_void_p, c_int32, c_void_p)
        self.broker_requests_seen = d(
            releasing.ottla_broker_requests_seen,
            c_int32,
            c_void_p,
            c_int32,
            c_int32,
            c_void_p,
            c_void_p,
        )
        self.broker_free = d(releasing.ottla_broker_free, None, c_void_p)
