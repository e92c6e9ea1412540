"""An embedded Kafka broker for first steps and for tests: the real protocol, on a thread in this process, with faults
on demand. Not for production.

    with ottla.testing.Broker() as broker:
        broker.create_topic("numbers", partitions=3)
        with ottla.Producer(broker.bootstrap_servers) as producer:
            producer.send("numbers", b"one").result()
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from types import TracebackType
from typing import Any, Literal

from . import _arguments, _bindings, errors
from . import config as _config
from ._client import Client, Timeout, as_ms
from ._library import lib
from .config import ConfigValue

__all__ = ["APIS", "Broker"]

APIS = {
    "Produce": 0,
    "Fetch": 1,
    "ListOffsets": 2,
    "Metadata": 3,
    "OffsetCommit": 8,
    "OffsetFetch": 9,
    "FindCoordinator": 10,
    "JoinGroup": 11,
    "Heartbeat": 12,
    "LeaveGroup": 13,
    "SyncGroup": 14,
    "DescribeGroups": 15,
    "ListGroups": 16,
    "ApiVersions": 18,
    "CreateTopics": 19,
    "DeleteTopics": 20,
    "InitProducerId": 22,
    "OffsetForLeaderEpoch": 23,
    "AddPartitionsToTxn": 24,
    "AddOffsetsToTxn": 25,
    "EndTxn": 26,
    "WriteTxnMarkers": 27,
    "TxnOffsetCommit": 28,
    "DescribeConfigs": 32,
    "CreatePartitions": 37,
    "DeleteGroups": 42,
    "OffsetDelete": 47,
    "DescribeCluster": 60,
    "DescribeProducers": 61,
    "DescribeTransactions": 65,
    "ListTransactions": 66,
    "ConsumerGroupHeartbeat": 68,
    "ConsumerGroupDescribe": 69,
    "DescribeTopicPartitions": 75,
    "ShareGroupHeartbeat": 76,
    "ShareGroupDescribe": 77,
    "ShareFetch": 78,
    "ShareAcknowledge": 79,
    "DescribeShareGroupOffsets": 90,
    "AlterShareGroupOffsets": 91,
    "DeleteShareGroupOffsets": 92,
}
"""Kinds of requests by Kafka's names for them. WriteTxnMarkers is sent among brokers only: faults for it delay or hold
up the markers that end a transaction, by topic and partition."""

_COORDINATORS = {
    "group": _bindings.OTTLA_COORDINATOR_GROUP,
    "transaction": _bindings.OTTLA_COORDINATOR_TRANSACTION,
}


class Broker(Client):
    """A running broker, or with `nodes` a cluster of several, with the ids 1, 2, 3 and so on.

    >>> with ottla.testing.Broker(nodes=3) as broker:
    ...     broker.create_topic("numbers", partitions=6)
    ...     broker.fail("NOT_LEADER_OR_FOLLOWER", api="Produce", topic="numbers", times=2)

    `directory` is where topics and records are kept; otherwise they are in memory, up to `memory_bytes`. `port` is the
    port of the first node, followed by those of the others; 0 takes free ones. A `host` other than 127.0.0.1 exposes it
    to the network, without a password. `transaction_version` is Kafka's feature of that name, 1 or 2 (KIP-890), and so
    is `group_version`: 1, or 0 to disable the new group protocol (KIP-848). Arguments that start with `group_` or
    `share_` are named like Kafka's settings: the heartbeat interval of the new protocol is
    `group_consumer_heartbeat_interval_ms` (1000 by default), its session timeout `group_consumer_session_timeout_ms`
    (45,000); an empty classic group waits `group_initial_rebalance_delay_ms` (0) for more members.
    """

    def __init__(
        self,
        nodes: int = 1,
        *,
        host: str | None = None,
        port: int | None = None,
        advertised_host: str | None = None,
        advertised_port: int | None = None,
        directory: str | os.PathLike[str] | None = None,
        memory_bytes: int | str | None = None,
        auto_create_topics: bool | None = None,
        default_partitions: int | None = None,
        transaction_version: int | None = None,
        group_version: int | None = None,
        group_initial_rebalance_delay_ms: int | None = None,
        group_consumer_session_timeout_ms: int | None = None,
        group_consumer_heartbeat_interval_ms: int | None = None,
        share_record_lock_duration_ms: int | None = None,
        share_delivery_count_limit: int | None = None,
        share_auto_offset_reset: Literal["earliest", "latest"] | None = None,
    ) -> None:
        options: dict[str, ConfigValue] = {
            "nodes": nodes,
            "host": host,
            "port": port,
            "advertised.host": advertised_host,
            "advertised.port": advertised_port,
            "directory": None if directory is None else os.fspath(directory),
            "memory.bytes": memory_bytes,
            "auto.create.topics": auto_create_topics,
            "default.partitions": default_partitions,
            "transaction.version": transaction_version,
            "group.version": group_version,
            "group.initial.rebalance.delay.ms": group_initial_rebalance_delay_ms,
            "group.consumer.session.timeout.ms": group_consumer_session_timeout_ms,
            "group.consumer.heartbeat.interval.ms": group_consumer_heartbeat_interval_ms,
            "share.record.lock.duration.ms": share_record_lock_duration_ms,
            "share.delivery.count.limit": share_delivery_count_limit,
            "share.auto.offset.reset": share_auto_offset_reset,
        }
        written = {key: _config.text(key, value) for key, value in options.items()}
        handle, error = ctypes.c_void_p(), ctypes.c_void_p()
        with _config.native({key: value for key, value in written.items() if value is not None}) as native:
            status = lib.broker_new(native, ctypes.byref(handle), ctypes.byref(error))
        if status:
            raise errors.owned(status, error)
        super().__init__(handle.value or 0, lib.broker_free, None)
        self.bootstrap_servers: str = lib.broker_bootstrap_servers(self._address).decode()
        """The addresses of all nodes, as clients take them."""

    def create_topic(self, name: str, partitions: int = 1) -> None:
        """Creates a topic. Node 1 leads partition 0, node 2 partition 1, and so on in turn.

        >>> broker.create_topic("numbers", partitions=3)
        """
        self._call(lib.broker_create_topic, _arguments.text("name", name), partitions)

    def fail(
        self,
        error: str | int,
        api: str | int | None = None,
        topic: str | None = None,
        partition: int | None = None,
        node: int | None = None,
        times: int | None = 1,
    ) -> None:
        """Answers requests with an error, by Kafka's name or number, without carrying them out.

        >>> broker.fail("NOT_LEADER_OR_FOLLOWER", api="Produce", topic="numbers", times=2)

        All faults can be limited to a kind of request (`APIS`), a topic, a partition or a node. They are applied
        `times` times; None applies them until `clear_faults`.
        """
        code = error if isinstance(error, int) else _code(error)
        self._fault(_bindings.OTTLA_FAULT_ERROR, code, api, topic, partition, node, times)

    def delay(
        self,
        seconds: Timeout,
        api: str | int | None = None,
        topic: str | None = None,
        partition: int | None = None,
        node: int | None = None,
        times: int | None = 1,
    ) -> None:
        """Delays responses; later requests on the same connection wait.

        >>> broker.delay(0.2, api="Fetch", node=1, times=None)
        """
        self._fault(_bindings.OTTLA_FAULT_DELAY, as_ms(seconds), api, topic, partition, node, times)

    def drop(
        self,
        api: str | int | None = None,
        topic: str | None = None,
        partition: int | None = None,
        node: int | None = None,
        times: int | None = 1,
    ) -> None:
        """Closes the connection instead of carrying out the request.

        >>> broker.drop(api="Produce")
        """
        self._fault(_bindings.OTTLA_FAULT_DROP, 0, api, topic, partition, node, times)

    def swallow_reply(
        self,
        api: str | int | None = None,
        topic: str | None = None,
        partition: int | None = None,
        node: int | None = None,
        times: int | None = 1,
        close: bool = True,
    ) -> None:
        """Carries out the request without answering it; then closes the connection, or keeps it with `close=False`.

        >>> broker.swallow_reply(api="Produce")
        """
        self._fault(_bindings.OTTLA_FAULT_SWALLOW_REPLY, int(close), api, topic, partition, node, times)

    def cut_reply(
        self,
        size: int,
        api: str | int | None = None,
        topic: str | None = None,
        partition: int | None = None,
        node: int | None = None,
        times: int | None = 1,
    ) -> None:
        """Sends only the first `size` bytes of the response, then closes the connection.

        >>> broker.cut_reply(10, api="Fetch")
        """
        self._fault(_bindings.OTTLA_FAULT_CUT_REPLY, size, api, topic, partition, node, times)

    def throttle(
        self,
        seconds: Timeout,
        api: str | int | None = None,
        topic: str | None = None,
        partition: int | None = None,
        node: int | None = None,
        times: int | None = 1,
    ) -> None:
        """Throttles the client, like a broker whose quota is exceeded.

        >>> broker.throttle(1, api="Produce")
        """
        self._fault(_bindings.OTTLA_FAULT_THROTTLE, as_ms(seconds), api, topic, partition, node, times)

    def corrupt_batch(
        self,
        topic: str | None = None,
        partition: int | None = None,
        node: int | None = None,
        times: int | None = 1,
    ) -> None:
        """Flips a byte of fetched records, so that a checksum is wrong.

        >>> broker.corrupt_batch(topic="numbers")
        """
        self._fault(_bindings.OTTLA_FAULT_CORRUPT_BATCH, 0, "Fetch", topic, partition, node, times)

    def clear_faults(self) -> None:
        """Removes all faults.

        >>> broker.clear_faults()
        """
        self._call(lib.broker_clear_faults)

    def move_leader(self, topic: str, partition: int, node: int) -> None:
        """Makes a node the leader of a partition.

        >>> broker.move_leader("numbers", 0, node=2)
        """
        self._call(lib.broker_move_leader, _arguments.text("topic", topic), partition, node)

    def move_coordinator(
        self, key: str, node: int, kind: Literal["group", "transaction"] = "transaction", loading: Timeout = 0
    ) -> None:
        """Makes a node the coordinator of a transactional id or a group; it is loading its state for `loading` seconds.

        >>> broker.move_coordinator("orders-1", node=2, loading=0.5)
        """
        if kind not in _COORDINATORS:
            raise ValueError(f"kind is {kind!r}; give one of {', '.join(_COORDINATORS)}")
        name = _arguments.text("key", key)
        self._call(lib.broker_move_coordinator, _COORDINATORS[kind], name, node, as_ms(loading))

    def force_rebalance(self, group: str) -> None:
        """Makes a group rebalance now, as if a member had joined or left.

        >>> broker.force_rebalance("workers")
        """
        self._call(lib.broker_force_rebalance, _arguments.text("group", group))

    def expire_member(self, group: str, member: str | None = None) -> None:
        """Expires the session of a group member now, as if it had sent no heartbeat for too long; of all members
        without `member`.

        >>> broker.expire_member("workers")
        """
        name = None if member is None else _arguments.text("member", member)
        self._call(lib.broker_expire_member, _arguments.text("group", group), name)

    def offsets(self, topic: str, partition: int = 0) -> tuple[int, int]:
        """Returns the first offset of a partition, and the offset after its last record.

        >>> broker.offsets("numbers", 0)
        (0, 3)
        """
        start, end = ctypes.c_int64(), ctypes.c_int64()
        name = _arguments.text("topic", topic)
        self._call(lib.broker_offsets, name, partition, ctypes.byref(start), ctypes.byref(end))
        return start.value, end.value

    def stop_node(self, node: int) -> None:
        """Stops a node: its port no longer accepts connections, and its partitions move to others.

        >>> broker.stop_node(2)
        """
        self._call(lib.broker_stop_node, node)

    def start_node(self, node: int) -> None:
        """Starts a stopped node again.

        >>> broker.start_node(2)
        """
        self._call(lib.broker_start_node, node)

    def pause_node(self, node: int) -> None:
        """Pauses a node: it accepts requests without answering any, like a stopped process.

        >>> broker.pause_node(2)
        """
        self._call(lib.broker_pause_node, node)

    def resume_node(self, node: int) -> None:
        """Resumes a paused node.

        >>> broker.resume_node(2)
        """
        self._call(lib.broker_resume_node, node)

    def requests_seen(self, api: str | int, node: int | None = None) -> int:
        """Returns the number of requests of a kind received so far.

        >>> broker.requests_seen("Produce")
        1
        """
        count = ctypes.c_uint64()
        self._call(lib.broker_requests_seen, -1 if node is None else node, _api(api), ctypes.byref(count))
        return count.value

    def close(self) -> None:
        """Stops the broker, which can't be used any more. Closing twice does nothing.

        >>> broker.close()
        """
        self._free()
        self._address = 0

    def _call(self, function: Callable[..., Any], *arguments: Any) -> None:
        if not self._address:
            raise errors.make(_bindings.OTTLA_ERR_CLOSED, "the embedded broker is closed; make a new one")
        super()._call(function, *arguments)

    def __enter__(self) -> Broker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Broker {self.bootstrap_servers}>"

    def _fault(
        self,
        fault: int,
        value: int,
        api: str | int | None,
        topic: str | None,
        partition: int | None,
        node: int | None,
        times: int | None,
    ) -> None:
        self._call(
            lib.broker_add_fault,
            fault,
            value,
            -1 if node is None else node,
            -1 if api is None else _api(api),
            None if topic is None else _arguments.text("topic", topic),
            -1 if partition is None else partition,
            -1 if times is None else times,
        )


def _api(api: str | int) -> int:
    if isinstance(api, int):
        return api
    number = {name.lower(): number for name, number in APIS.items()}.get(api.replace("_", "").lower())
    if number is None:
        raise ValueError(f"api is {api!r}; give a number or one of {', '.join(APIS)}")
    return number


def _code(name: str) -> int:
    for code in range(-1, 200):
        if lib.status_name(code).decode() == name.upper() and code:
            return code
    raise ValueError(f"error is {name!r}; give Kafka's name of an error, such as NOT_LEADER_OR_FOLLOWER, or its number")
