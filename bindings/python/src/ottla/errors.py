"""Exceptions by kind. All are `OttlaError`; where Python has a matching built-in class, they are subclasses of it too.

try:
    producer.connect(timeout=5)
except ottla.AuthenticationError:
    ...  # the password is wrong
except ottla.ConnectError as error:
    print(error)  # which broker, at which stage, why, and what to do about it
"""

from __future__ import annotations

import ctypes
from typing import Any

from . import _bindings as _b
from ._library import lib

__all__ = [
    "AuthenticationError",
    "AuthorizationError",
    "BufferFull",
    "ClosedError",
    "ConfigError",
    "ConnectError",
    "CorruptBatch",
    "DnsError",
    "FencedError",
    "ForkedError",
    "InUseError",
    "InvalidArgument",
    "InvalidTopicError",
    "KafkaError",
    "MaxPollExceeded",
    "MessageTooLarge",
    "OffsetOutOfRange",
    "OttlaError",
    "OttlaTimeout",
    "PanicError",
    "PartitionRevoked",
    "ProtocolError",
    "PurgedError",
    "RecordTooLarge",
    "SystemCallError",
    "TlsError",
    "TopicExistsError",
    "TransactionStateError",
    "UnknownTopicError",
    "UnsupportedError",
    "WouldBlock",
]


class OttlaError(Exception):
    """An error in Ottla or from a broker. Its text says what was tried, where, what came back and what to do.

    >>> try:
    ...     ottla.Producer("localhost:9092", linger_mss=5)
    ... except ottla.OttlaError as error:
    ...     print(error.name, error.code, error.retriable)
    CONFIG -100 False
    """

    code: int = 0
    """Kafka's code as on the wire, or Ottla's own, at or below -100."""
    name: str = ""
    """The code's name, for example `UNKNOWN_TOPIC_OR_PARTITION`."""
    retriable: bool = False
    """Whether the same call may succeed when retried later."""
    fatal: bool = False
    """Whether the client can't continue: close it and create another."""
    needs_abort: bool = False
    """Whether the open transaction has to be aborted, after which the producer is usable again."""
    possibly_written: bool = False
    """For a record: whether it was sent, but no response says if it was written. Otherwise it was definitely not
    written."""
    results: Any = None
    """For a call on several topics: the outcome for each."""


class ConfigError(OttlaError, ValueError):
    """A configuration key or value is wrong: detected when a client is created, or when a response is too large."""


class InvalidArgument(OttlaError, ValueError):
    """An argument of a call is wrong."""


class OttlaTimeout(OttlaError, TimeoutError):
    """The call's timeout is over."""


class WouldBlock(OttlaError):
    """The call would have to wait, and its timeout is 0."""

    accepted: int = 0
    """For `send_many`: the number of records, counting from the first, that were accepted nevertheless."""
    deliveries: object = None
    """For `send_many`: the `Deliveries` of those."""


class BufferFull(OttlaError):
    """`buffer.memory` stayed full for `max.block.ms`, or for the call's timeout."""

    accepted: int = 0
    """For `send_many`: the number of records, counting from the first, that were accepted nevertheless."""
    deliveries: object = None
    """For `send_many`: the `Deliveries` of those."""


class ClosedError(OttlaError):
    """The client is closed."""


class InUseError(OttlaError):
    """Another thread is in a call that needs exclusive access to this consumer."""


class ConnectError(OttlaError, ConnectionError):
    """No connection: refused, unreachable, reset."""


class DnsError(ConnectError):
    """A host name can't be resolved."""


class TlsError(ConnectError):
    """TLS failed, or one side speaks TLS and the other does not."""


class AuthenticationError(OttlaError):
    """The broker refused the credentials."""


class ProtocolError(OttlaError):
    """The peer sent something that is not Kafka's protocol."""


class PanicError(OttlaError):
    """A bug in Ottla; the object refuses further calls. Please report it."""


class ForkedError(OttlaError):
    """The client belongs to the parent process of a fork; create a new one in the child."""


class SystemCallError(OttlaError, OSError):
    """A local call of the operating system failed."""


class CorruptBatch(OttlaError):
    """A record batch's checksum or structure is wrong; none of its records are returned."""


class PartitionRevoked(OttlaError):
    """A commit came too late: the partition is no longer assigned to this member of the group. Nothing was
    committed."""


class MaxPollExceeded(OttlaError):
    """The program did not poll for `max.poll.interval.ms`, so it has left its group."""


class UnsupportedError(OttlaError):
    """The broker, or this build of Ottla, does not support the request."""


class RecordTooLarge(OttlaError):
    """A record is larger than `max.request.size`, or than the broker accepts."""


class PurgedError(OttlaError):
    """A record was given up because of a purge, or because its producer was closed."""


class KafkaError(OttlaError):
    """A broker returned an error code, which is in `code` and `name`."""


class UnknownTopicError(KafkaError):
    """There is no such topic or partition."""


class InvalidTopicError(KafkaError, ValueError):
    """The topic's name is not allowed."""


class TopicExistsError(KafkaError):
    """The topic already exists."""


class OffsetOutOfRange(KafkaError):
    """The log no longer has the offset, or not yet, and `auto.offset.reset` is `none`."""


class AuthorizationError(KafkaError):
    """The credentials are valid, but not authorized for this operation."""


class FencedError(KafkaError):
    """Another producer has taken over the `transactional.id`; this one can't write any more."""


class TransactionStateError(KafkaError):
    """The call is not valid in the state of the producer's transaction: none is open, or one already is."""


class MessageTooLarge(KafkaError, RecordTooLarge):
    """The broker does not accept a record batch of this size (`message.max.bytes`)."""


_CLASSES: dict[int, type[OttlaError]] = {
    _b.OTTLA_ERR_CONFIG: ConfigError,
    _b.OTTLA_ERR_INVALID_ARGUMENT: InvalidArgument,
    _b.OTTLA_ERR_TIMED_OUT: OttlaTimeout,
    _b.OTTLA_ERR_AGAIN: WouldBlock,
    _b.OTTLA_ERR_CLOSED: ClosedError,
    _b.OTTLA_ERR_IN_USE: InUseError,
    _b.OTTLA_ERR_CONNECT: ConnectError,
    _b.OTTLA_ERR_DNS: DnsError,
    _b.OTTLA_ERR_PROTOCOL: ProtocolError,
    _b.OTTLA_ERR_TLS: TlsError,
    _b.OTTLA_ERR_AUTHENTICATION: AuthenticationError,
    _b.OTTLA_ERR_PANIC: PanicError,
    _b.OTTLA_ERR_FORKED: ForkedError,
    _b.OTTLA_ERR_IO: SystemCallError,
    _b.OTTLA_ERR_CORRUPT_BATCH: CorruptBatch,
    _b.OTTLA_ERR_UNSUPPORTED: UnsupportedError,
    _b.OTTLA_ERR_RECORD_TOO_LARGE: RecordTooLarge,
    _b.OTTLA_ERR_BUFFER_FULL: BufferFull,
    _b.OTTLA_ERR_PURGED: PurgedError,
    _b.OTTLA_ERR_DECOMPRESSION_LIMIT: CorruptBatch,
    _b.OTTLA_ERR_OFFSET_RESET: OffsetOutOfRange,
    _b.OTTLA_ERR_PARTITION_REVOKED: PartitionRevoked,
    _b.OTTLA_ERR_MAX_POLL_EXCEEDED: MaxPollExceeded,
    _b.OTTLA_ERR_OFFSET_OUT_OF_RANGE: OffsetOutOfRange,
    _b.OTTLA_ERR_CORRUPT_MESSAGE: CorruptBatch,
    _b.OTTLA_ERR_UNKNOWN_TOPIC_OR_PARTITION: UnknownTopicError,
    _b.OTTLA_ERR_MESSAGE_TOO_LARGE: MessageTooLarge,
    _b.OTTLA_ERR_INVALID_TOPIC_EXCEPTION: InvalidTopicError,
    _b.OTTLA_ERR_TOPIC_AUTHORIZATION_FAILED: AuthorizationError,
    _b.OTTLA_ERR_GROUP_AUTHORIZATION_FAILED: AuthorizationError,
    _b.OTTLA_ERR_CLUSTER_AUTHORIZATION_FAILED: AuthorizationError,
    _b.OTTLA_ERR_TOPIC_ALREADY_EXISTS: TopicExistsError,
    _b.OTTLA_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED: AuthorizationError,
    _b.OTTLA_ERR_SASL_AUTHENTICATION_FAILED: AuthenticationError,
    _b.OTTLA_ERR_UNKNOWN_TOPIC_ID: UnknownTopicError,
    _b.OTTLA_ERR_PRODUCER_FENCED: FencedError,
    _b.OTTLA_ERR_INVALID_TXN_STATE: TransactionStateError,
}


def make(
    code: int, message: str, retriable: bool = False, fatal: bool = False, needs_abort: bool = False
) -> OttlaError:
    """The exception for a code."""
    error = _CLASSES.get(code, OttlaError if code <= -100 else KafkaError)(message)
    error.code, error.retriable, error.fatal, error.needs_abort = code, retriable, fatal, needs_abort
    error.name = lib.status_name(code).decode()
    return error


def again(error: OttlaError) -> OttlaError:
    """A copy to raise: one error may end many records, and each raise adds to its object's traceback."""
    copy = make(error.code, str(error), error.retriable, error.fatal, error.needs_abort)
    copy.possibly_written = error.possibly_written
    return copy


def borrowed(address: int) -> OttlaError:
    """The exception for an error object that belongs to something else."""
    message: bytes = lib.error_message(address)
    return make(
        lib.error_code(address),
        message.decode("utf-8", "replace"),
        lib.error_is_retriable(address),
        lib.error_is_fatal(address),
        lib.error_needs_abort(address),
    )


def owned(status: int, error: ctypes.c_void_p) -> OttlaError:
    """The exception for a call that failed; frees its error object."""
    address: int | None = error.value
    if not address:
        return make(status, lib.status_name(status).decode())
    try:
        return borrowed(address)
    finally:
        lib.error_free(address)
        error.value = None
