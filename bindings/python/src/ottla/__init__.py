"""Ottla: a Kafka client that keeps record batches whole.

    import ottla

    with ottla.Producer("localhost:9092") as producer:
        producer.send_many("numbers", [b"one", b"two", b"three"])

    with ottla.Consumer("localhost:9092") as consumer:
        consumer.assign_topic("numbers", start="earliest")
        for record in consumer.records(timeout=5):
            print(record.offset, record.value)

Timeouts are in seconds; None waits without limit. Every exception raised is an `ottla.OttlaError`, or a TypeError or
ValueError for an invalid argument. `ottla.testing.Broker()` is a Kafka broker for first steps and for tests.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import errors
from ._library import lib as _lib
from .assignor import Assignor, GroupMember
from .batch import Batch, Column, Record, Segment
from .config import ConfigValue
from .consumer import Consumer
from .delivery import Deliveries, Delivery
from .errors import *  # noqa: F403
from .events import Event
from .offsets import GroupMetadata, OffsetAndMetadata, TopicPartition
from .producer import Producer, ProducerCounts

if TYPE_CHECKING:
    from . import stats, testing
    from .admin import (
        Admin,
        ClusterBroker,
        ClusterDescription,
        NewTopic,
        PartitionDescription,
        TopicDescription,
        TopicListing,
        TopicResult,
    )
    from .share import AcknowledgeType, ShareConsumer

__version__: str = _lib.version().decode()

__all__ = [
    "AcknowledgeType",
    "Admin",
    "Assignor",
    "Batch",
    "ClusterBroker",
    "ClusterDescription",
    "Column",
    "ConfigValue",
    "Consumer",
    "Deliveries",
    "Delivery",
    "Event",
    "GroupMember",
    "GroupMetadata",
    "NewTopic",
    "OffsetAndMetadata",
    "PartitionDescription",
    "Producer",
    "ProducerCounts",
    "Record",
    "Segment",
    "ShareConsumer",
    "TopicDescription",
    "TopicListing",
    "TopicPartition",
    "TopicResult",
    "__version__",
    "errors",
    "stats",
    "testing",
    *errors.__all__,
]

_OF_ADMIN = {
    "Admin",
    "ClusterBroker",
    "ClusterDescription",
    "NewTopic",
    "PartitionDescription",
    "TopicDescription",
    "TopicListing",
    "TopicResult",
}


def __getattr__(name: str) -> Any:
    """What most programs don't need is imported when it is first used."""
    if name in ("stats", "testing"):
        return importlib.import_module(f".{name}", __name__)
    if name in _OF_ADMIN:
        return getattr(importlib.import_module(".admin", __name__), name)
    if name in ("AcknowledgeType", "ShareConsumer"):
        return getattr(importlib.import_module(".share", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
