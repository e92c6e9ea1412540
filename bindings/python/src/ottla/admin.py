"""Topics and the cluster: create, delete, list, describe."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any
from uuid import UUID

from . import _arguments, _bindings, errors
from . import config as _config
from ._client import Client, Timeout, as_ms
from ._library import lib
from .config import ConfigValue


@dataclass(frozen=True)
class NewTopic:
    """A topic to create.

    >>> ottla.NewTopic("numbers", partitions=3, config={"retention.ms": "86400000"})
    """

    name: str
    """1 to 249 letters, digits, `.`, `_` and `-`."""
    partitions: int = -1
    """The number of partitions; -1 for the broker's default."""
    replication_factor: int = -1
    """The number of replicas of each partition; -1 for the broker's default."""
    config: Mapping[str, ConfigValue] = field(default_factory=dict)
    """The topic's configuration; otherwise the broker's defaults apply."""


@dataclass(frozen=True)
class TopicResult:
    """The outcome for one topic in a call that changes topics."""

    name: str
    """The topic."""
    error: errors.OttlaError | None
    """Why the operation failed; None if it succeeded."""
    partitions: int | None
    """The number of partitions it has now, if the broker reports it."""
    replication_factor: int | None
    """The number of replicas of each partition, if the broker reports it."""


@dataclass(frozen=True)
class TopicListing:
    """A topic in a list."""

    name: str
    """Its name."""
    id: UUID | None
    """The topic id, if the broker has one."""
    partitions: int
    """The number of partitions."""
    internal: bool
    """Whether it is an internal topic, for example `__consumer_offsets`."""


@dataclass(frozen=True)
class PartitionDescription:
    """A partition of a topic."""

    partition: int
    """Its number."""
    leader: int | None
    """The current leader; None if there is none."""
    leader_epoch: int | None
    """The leader epoch, which grows with each change of leader, if the broker reports it."""
    replicas: list[int]
    """The brokers that hold a replica, the preferred leader first."""
    isr: list[int]
    """The replicas that are in sync."""


@dataclass(frozen=True)
class TopicDescription:
    """A topic and its partitions."""

    name: str
    """Its name."""
    id: UUID | None
    """The topic id, if the broker has one."""
    internal: bool
    """Whether it is an internal topic."""
    partitions: list[PartitionDescription]
    """Its partitions, by number."""


@dataclass(frozen=True)
class ClusterBroker:
    """A broker of a cluster."""

    id: int
    """Its id."""
    host: str
    """The host it advertises."""
    port: int
    """The port it advertises."""
    rack: str | None
    """The broker's rack (`broker.rack`), if it has one."""


@dataclass(frozen=True)
class ClusterDescription:
    """A cluster and its brokers."""

    id: str
    """Its id."""
    controller: int | None
    """The broker that changes are sent to, if there is one."""
    brokers: list[ClusterBroker]
    """Its brokers."""


class Admin(Client):
    """Administers topics. Its methods may be called from many threads.

    >>> with ottla.Admin("localhost:9092") as admin:
    ...     admin.create_topic("numbers", partitions=3)
    ...     print([topic.name for topic in admin.list_topics()])
    ['numbers']
    """

    def __init__(
        self,
        bootstrap_servers: str | list[str] | tuple[str, ...] | None = None,
        *,
        config: Mapping[str, ConfigValue] | None = None,
        **keys: ConfigValue,
    ) -> None:
        pairs = _config.merge(bootstrap_servers, config, keys)
        handle, error = ctypes.c_void_p(), ctypes.c_void_p()
        with _config.native(pairs) as native:
            status = lib.admin_new(native, ctypes.byref(handle), ctypes.byref(error))
        if status:
            raise errors.owned(status, error)
        super().__init__(handle.value or 0, lib.admin_free, lib.admin_logs)
        self._closed = False

    def connect(self, timeout: Timeout = 30) -> Admin:
        """Waits until a broker has responded, and returns the admin client. Not needed; it lets a program find out
        early.

        >>> admin = ottla.Admin("localhost:9092").connect(timeout=5)
        """
        self._wait(lib.admin_connect, as_ms(timeout))
        return self

    def create_topics(
        self, topics: Iterable[NewTopic | str], validate_only: bool = False, timeout: Timeout = 60
    ) -> dict[str, TopicResult]:
        """Creates topics. Raises the first error, whose `results` have the outcome for each topic.

        >>> admin.create_topics([ottla.NewTopic("numbers", partitions=3), "greetings"])["numbers"].partitions
        3
        """
        wanted = [NewTopic(t) if isinstance(t, str) else t for t in topics]
        native = (_bindings.ottla_new_topic * len(wanted))()
        keep = []
        for entry, topic in zip(native, wanted):
            settings = [(k, _config.text(k, v)) for k, v in topic.config.items()]
            words = [_arguments.text("a setting", word) for k, v in settings if v is not None for word in (k, v)]
            strings = (ctypes.c_char_p * len(words))(*words)
            keep.append(strings)
            entry.name = _arguments.text("the topic's name", topic.name)
            entry.partitions, entry.replication_factor = topic.partitions, topic.replication_factor
            entry.configs, entry.config_count = ctypes.addressof(strings), len(words) // 2
        arguments = (native, len(wanted), validate_only, as_ms(timeout))
        with self._answer(lib.admin_create_topics, arguments, lib.topic_results_free) as answer:
            return self._results(answer)

    def create_topic(
        self,
        name: str,
        partitions: int = -1,
        replication_factor: int = -1,
        config: Mapping[str, ConfigValue] | None = None,
        timeout: Timeout = 60,
    ) -> None:
        """Creates one topic; -1 uses the broker's default. Raises `TopicExistsError` if the topic already exists.

        >>> admin.create_topic("numbers", partitions=3)
        """
        self.create_topics([NewTopic(name, partitions, replication_factor, config or {})], timeout=timeout)

    def delete_topics(self, names: Iterable[str], timeout: Timeout = 60) -> dict[str, TopicResult]:
        """Deletes topics. Raises the first error, whose `results` have the outcome for each topic.

        >>> admin.delete_topics(["numbers"])
        """
        native = _names(names)
        arguments = (native, len(native), as_ms(timeout))
        with self._answer(lib.admin_delete_topics, arguments, lib.topic_results_free) as answer:
            return self._results(answer)

    def create_partitions(self, topic: str, total: int, validate_only: bool = False, timeout: Timeout = 60) -> None:
        """Increases the number of partitions of a topic to `total`.

        >>> admin.create_partitions("numbers", total=6)
        """
        name = _arguments.text("topic", topic)
        self._wait(lib.admin_create_partitions, name, total, validate_only, as_ms(timeout))

    def list_topics(self, include_internal: bool = False, timeout: Timeout = 60) -> list[TopicListing]:
        """Returns all topics.

        >>> [topic.name for topic in admin.list_topics()]
        ['greetings', 'numbers']
        """
        one = _bindings.ottla_topic_listing()
        arguments = (include_internal, as_ms(timeout))
        with self._answer(lib.admin_list_topics, arguments, lib.topic_list_free) as answer:
            found = []
            for i in range(lib.topic_list_count(answer)):
                self._get(lib.topic_list_get, answer, i, ctypes.byref(one))
                found.append(TopicListing(_word(one.name), _id(one.id), one.partitions, one.internal))
            return found

    def describe_topics(self, names: Iterable[str], timeout: Timeout = 60) -> dict[str, TopicDescription]:
        """Returns topics and their partitions. Raises `UnknownTopicError` for the first that doesn't exist.

        >>> admin.describe_topics(["numbers"])["numbers"].partitions[0].leader
        1
        """
        native = _names(names)
        one, part = _bindings.ottla_topic_description(), _bindings.ottla_partition_description()
        arguments = (native, len(native), as_ms(timeout))
        with self._answer(lib.admin_describe_topics, arguments, lib.topic_descriptions_free) as answer:
            found = {}
            for i in range(lib.topic_descriptions_count(answer)):
                self._get(lib.topic_descriptions_get, answer, i, ctypes.byref(one))
                if one.error:
                    raise errors.borrowed(one.error)
                partitions = []
                for p in range(one.partitions):
                    self._get(lib.topic_descriptions_partition, answer, i, p, ctypes.byref(part))
                    partitions.append(
                        PartitionDescription(
                            part.partition,
                            _known(part.leader),
                            _known(part.leader_epoch),
                            _numbers(part.replicas, part.replica_count),
                            _numbers(part.isr, part.isr_count),
                        )
                    )
                name = _word(one.name)
                found[name] = TopicDescription(name, _id(one.id), one.internal, partitions)
            return found

    def describe_cluster(self, timeout: Timeout = 60) -> ClusterDescription:
        """Returns the cluster and its brokers.

        >>> admin.describe_cluster().brokers[0].host
        'localhost'
        """
        one = _bindings.ottla_cluster_broker()
        with self._answer(lib.admin_describe_cluster, (as_ms(timeout),), lib.cluster_free) as answer:
            brokers = []
            for i in range(lib.cluster_broker_count(answer)):
                self._get(lib.cluster_get_broker, answer, i, ctypes.byref(one))
                rack = None if one.rack is None else _word(one.rack)
                brokers.append(ClusterBroker(one.id, _word(one.host), one.port, rack))
            return ClusterDescription(_word(lib.cluster_id(answer)), _known(lib.cluster_controller(answer)), brokers)

    def close(self, timeout: Timeout = 10) -> None:
        """Ends all waiting calls and closes the connections. Closing twice does nothing.

        >>> admin.close()
        """
        if not self._closed:
            self._closed = True
            self._wait(lib.admin_close, as_ms(timeout))

    def __enter__(self) -> Admin:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _answer(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], free: Callable[..., Any]
    ) -> Iterator[ctypes.c_void_p]:
        answer = ctypes.c_void_p()
        self._wait(function, *arguments, ctypes.byref(answer))
        try:
            yield answer
        finally:
            free(answer)

    @staticmethod
    def _get(function: Callable[..., Any], *arguments: Any) -> None:
        error = ctypes.c_void_p()
        status = function(*arguments, ctypes.byref(error))
        if status:
            raise errors.owned(status, error)

    def _results(self, answer: ctypes.c_void_p) -> dict[str, TopicResult]:
        one = _bindings.ottla_topic_result()
        results = {}
        for i in range(lib.topic_results_count(answer)):
            self._get(lib.topic_results_get, answer, i, ctypes.byref(one))
            name = _word(one.name)
            error = errors.borrowed(one.error) if one.error else None
            results[name] = TopicResult(name, error, _known(one.partitions), _known(one.replication_factor))
        for result in results.values():
            if result.error is not None:
                result.error.results = results
                raise result.error
        return results


def _names(names: Iterable[str]) -> Any:
    if isinstance(names, str):
        raise TypeError(f"names must be a list of topics, not the str {names!r}")
    words = [_arguments.text("a topic's name", name) for name in names]
    return (ctypes.c_char_p * len(words))(*words)


def _word(word: bytes | None) -> str:
    return (word or b"").decode("utf-8", "replace")


def _known(number: int) -> int | None:
    return None if number < 0 else number


def _numbers(address: int | None, count: int) -> list[int]:
    return list((ctypes.c_int32 * count).from_address(address)) if address and count else []


def _id(raw: Any) -> UUID | None:
    data = bytes(raw)
    return UUID(bytes=data) if any(data) else None
