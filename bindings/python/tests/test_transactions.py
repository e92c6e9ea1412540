"""Transactions: the `with` block, the single calls, and what their errors say."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import ottla
import pytest


@pytest.fixture
def transactional(bootstrap: str, topic: str) -> Iterator[ottla.Producer]:
    producer = ottla.Producer(bootstrap, transactional_id=topic, linger_ms=1)
    producer.init_transactions()
    yield producer
    producer.close(timeout=10)


def committed(bootstrap: str, topic: str, count: int) -> list[bytes | None]:
    """The topic's committed values: `count` of them, and no more in a moment."""
    with ottla.Consumer(bootstrap, isolation_level="read_committed") as consumer:
        consumer.assign([(topic, 0, "earliest")])
        values: list[bytes | None] = []
        while len(values) < count:
            batch = consumer.poll(timeout=30)
            assert batch is not None, values
            values += [record.value for record in batch]
        rest = consumer.poll(timeout=0.3)
        return values + ([record.value for record in rest] if rest else [])


def test_a_block_is_a_transaction(bootstrap: str, topic: str, transactional: ottla.Producer) -> None:
    with transactional.transaction():
        delivery = transactional.send(topic, b"a")
        transactional.send_many(topic, [b"b", b"c"])
    assert delivery.result(timeout=0).offset == 0
    with pytest.raises(ZeroDivisionError), transactional.transaction():
        transactional.send(topic, b"dropped")
        raise ZeroDivisionError
    with pytest.raises(KeyboardInterrupt), transactional.transaction():
        transactional.send(topic, b"dropped too")
        transactional.flush()
        raise KeyboardInterrupt
    with transactional.transaction():
        transactional.send(topic, b"d")
        transactional.send_offsets({(topic, 0): 4}, "group-of-" + topic)
        transactional.send_offsets(
            {ottla.TopicPartition(topic, 0): ottla.OffsetAndMetadata(5, metadata="five")},
            ottla.GroupMetadata("group-of-" + topic),
        )
    assert committed(bootstrap, topic, 4) == [b"a", b"b", b"c", b"d"]


def test_offsets_are_where_the_next_run_starts(bootstrap: str, topic: str, transactional: ottla.Producer) -> None:
    group = "group-of-" + topic
    with transactional.transaction():
        transactional.send_many(topic, [b"0", b"1", b"2"])
        transactional.send_offsets({(topic, 0): 2}, group)
    with ottla.Consumer(bootstrap, group_id=group, isolation_level="read_committed") as consumer:
        consumer.assign([(topic, 0)])
        batch = consumer.poll(timeout=30)
        assert batch is not None
        assert [record.offset for record in batch] == [2]


def test_misuse_is_told_at_once(bootstrap: str, topic: str, producer: ottla.Producer) -> None:
    def refused(call: Callable[[], object], words: str) -> None:
        with pytest.raises(ottla.TransactionStateError, match=words) as caught:
            call()
        error = caught.value
        assert not (error.retriable or error.needs_abort or error.fatal)

    refused(producer.init_transactions, "configure transactional.id")
    refused(producer.begin_transaction, "configure transactional.id")
    with ottla.Producer(bootstrap, transactional_id=topic) as own:
        refused(own.begin_transaction, "call init_transactions first")
        own.init_transactions()
        refused(own.init_transactions, "it was called before")
        refused(lambda: own.send(topic, b"outside"), "no transaction is open")
        refused(own.commit_transaction, "no transaction is open")
        own.begin_transaction()
        refused(own.begin_transaction, "a transaction is open")
        with pytest.raises(ottla.InvalidArgument, match="group id is empty"):
            own.send_offsets({(topic, 0): 1}, "")
        own.abort_transaction()
    with pytest.raises(ottla.ConfigError, match=r"transactional\.id.*needs acks=all"):
        ottla.Producer(bootstrap, transactional_id="t", acks=1)


def test_a_failed_record_refuses_the_commit(bootstrap: str, topic: str, transactional: ottla.Producer) -> None:
    def one_too_large() -> None:
        with transactional.transaction():
            transactional.send(topic, b"before")
            with pytest.raises(ottla.RecordTooLarge):
                transactional.send(topic, bytes(2_000_000))

    with pytest.raises(ottla.RecordTooLarge, match=topic) as caught:
        one_too_large()
    assert caught.value.needs_abort and not caught.value.fatal
    # The block has aborted; the producer is as good as new.
    with transactional.transaction():
        transactional.send(topic, b"after")
    assert committed(bootstrap, topic, 1) == [b"after"]


def test_a_fenced_producer_is_told(bootstrap: str, topic: str, transactional: ottla.Producer) -> None:
    transactional.begin_transaction()
    transactional.send(topic, b"zombie")
    transactional.flush()
    with ottla.Producer(bootstrap, transactional_id=topic) as successor:
        successor.init_transactions()
        with pytest.raises(ottla.FencedError, match=r"has taken the transactional\.id over") as caught:
            transactional.commit_transaction()
        assert caught.value.fatal and not caught.value.needs_abort
        with pytest.raises(ottla.FencedError), transactional.transaction():
            pass
        with successor.transaction():
            successor.send(topic, b"successor")
    assert committed(bootstrap, topic, 1) == [b"successor"]


def test_a_commit_that_outlasts_its_time_is_called_again() -> None:
    with ottla.testing.Broker() as broker:
        broker.create_topic("t")
        with ottla.Producer(broker.bootstrap_servers, transactional_id="t", linger_ms=0) as producer:
            producer.init_transactions()
            producer.begin_transaction()
            producer.send("t", b"a")
            producer.flush()
            broker.pause_node(1)
            with pytest.raises(ottla.OttlaTimeout, match="call commit_transaction again") as caught:
                producer.commit_transaction(timeout=0.3)
            assert caught.value.retriable
            with pytest.raises(ottla.TransactionStateError, match="may have been carried out"):
                producer.abort_transaction()
            timer = threading.Timer(0.3, broker.resume_node, [1])
            timer.start()
            producer.commit_transaction()
            timer.join()
        assert committed(broker.bootstrap_servers, "t", 1) == [b"a"]
