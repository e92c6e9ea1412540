"""Share groups, on the embedded broker or on the Kafka that OTTLA_TEST_BOOTSTRAP names."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice

import ottla
import pytest

LIMIT = 30


@pytest.fixture
def topic(new_topic: Callable[..., str]) -> str:
    return new_topic(1)


def joined(bootstrap: str, topic: str, **keys: str) -> ottla.ShareConsumer:
    """A member whose group has settled where it begins: at the end of what is there."""
    consumer = ottla.ShareConsumer(bootstrap, group_id=f"{topic}-group", fetch_max_wait_ms=100, **keys)
    consumer.subscribe(topic)
    assert consumer.subscription() == [topic]
    end = time.monotonic() + LIMIT
    while consumer.lock_duration is None:
        assert time.monotonic() < end
        consumer.poll(0.05)
    return consumer


def send(bootstrap: str, topic: str, values: list[bytes]) -> None:
    with ottla.Producer(bootstrap) as producer:
        producer.send_many(topic, values)


def test_a_record_is_accepted_when_the_next_is_asked_for(bootstrap: str, topic: str) -> None:
    values = [b"%d" % i for i in range(20)]
    with joined(bootstrap, topic) as first:
        send(bootstrap, topic, values)
        records = first.records(timeout=LIMIT)
        assert [next(records).value for _ in range(8)] == values[:8]
        first.commit()
        # Leaving the loop loses nothing; the one at hand when the consumer closes is not done.
        assert [next(records).value for _ in range(4)] == values[8:12]
    with ottla.ShareConsumer(bootstrap, group_id=f"{topic}-group") as second:
        second.subscribe([topic])
        batch = second.poll(LIMIT)
        assert batch is not None
        assert batch.values.tolist() == values[11:]
        assert batch.delivery_counts.tolist() == [2] * 9
        assert batch.offsets.tolist() == list(range(11, 20))
        second.acknowledge(batch, "reject", rows=slice(0, 2))
        second.commit()
        assert second.poll(0.5) is None


def test_what_is_said_of_each(bootstrap: str, topic: str) -> None:
    with joined(bootstrap, topic, share_acknowledgement_mode="explicit") as consumer:
        send(bootstrap, topic, [b"0", b"1", b"2", b"3"])
        batch = consumer.poll(LIMIT)
        assert batch is not None
        with pytest.raises(ottla.InvalidArgument, match="4 records of the polls before are not acknowledged"):
            consumer.poll(0)
        consumer.acknowledge(batch, ottla.AcknowledgeType.ACCEPT, rows=slice(0, 2))
        consumer.acknowledge(batch[2], "release")
        consumer.acknowledge_offset(topic, 0, 3, "renew")
        consumer.commit()
        again = consumer.poll(LIMIT)
        assert again is not None
        assert (again.offsets.tolist(), again.delivery_counts.tolist()) == ([2], [2])
        consumer.acknowledge(again, "accept")
        consumer.acknowledge_offset(topic, 0, 3, "accept")
        consumer.commit_async()
        assert list(consumer.records(timeout=0.5)) == []
        with pytest.raises(ottla.InvalidArgument, match="does not have"):
            consumer.acknowledge(batch, "accept")
        with pytest.raises(ValueError, match='one of "accept", "release", "reject", "renew"'):
            consumer.acknowledge(batch, "ok")
        with pytest.raises(TypeError, match="a Batch or a Record"):
            consumer.acknowledge(b"0", "accept")  # type: ignore[arg-type]
        assert not consumer.events
        assert consumer.fileno() >= 0


def test_an_exception_leaves_the_record_to_be_delivered_again(bootstrap: str, topic: str) -> None:
    with pytest.raises(ZeroDivisionError), joined(bootstrap, topic) as consumer:
        send(bootstrap, topic, [b"1", b"0", b"2"])
        for record in consumer.records(timeout=LIMIT):
            1 / int(record.value or b"")
    with ottla.ShareConsumer(bootstrap, group_id=f"{topic}-group") as consumer:
        consumer.subscribe(topic)
        assert [record.value for record in islice(consumer.records(timeout=LIMIT), 2)] == [b"0", b"2"]


def test_other_words_are_kept_where_acknowledgement_is_implicit(bootstrap: str, topic: str) -> None:
    with joined(bootstrap, topic) as consumer:
        send(bootstrap, topic, [b"%d" % i for i in range(6)])
        tried = []
        for record in consumer.records(timeout=2):
            tried.append(record.value)
            if record.offset % 2 and len(tried) <= 6:
                consumer.acknowledge(record, "release")
        assert tried == [b"0", b"1", b"2", b"3", b"4", b"5", b"1", b"3", b"5"]


def test_a_wake_and_wrong_configuration(bootstrap: str, topic: str) -> None:
    with pytest.raises(ottla.ConfigError, match=r"`group\.id` is not set"):
        ottla.ShareConsumer(bootstrap)
    with pytest.raises(ottla.ConfigError, match="did you mean `implicit`"):
        ottla.ShareConsumer(bootstrap, group_id="g", share_acknowledgement_mode="implict")
    with ottla.ShareConsumer(bootstrap, group_id=f"{topic}-group") as consumer:
        with pytest.raises(ottla.InvalidArgument, match="subscribed to nothing"):
            consumer.poll(0)
        consumer.subscribe(topic)
        consumer.wake()
        assert consumer.poll(LIMIT) is None
        consumer.unsubscribe()
        assert consumer.subscription() == []
        assert consumer.connect() is consumer
    with pytest.raises(ottla.ClosedError):
        consumer.poll(0)
    assert repr(consumer) == "<ShareConsumer closed>"
