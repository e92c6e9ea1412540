"""Processes: Ctrl-C, fork, exit. Each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

# Shells have background jobs ignore SIGINT, and what these start inherits that.
PRELUDE = """
import os, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)
import ottla
from ottla.testing import Broker
broker = Broker()
broker.create_topic("t")
where = broker.bootstrap_servers
"""


def start(program: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-X", "dev", "-c", PRELUDE + textwrap.dedent(program)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(program: str, limit: float = 60) -> tuple[int, str, str]:
    with start(program) as process:
        try:
            out, err = process.communicate(timeout=limit)
        finally:
            process.kill()
    return process.returncode, out, err


BLOCKING = {
    "poll": "consumer = ottla.Consumer(where); consumer.assign([('t', 0)]); ready(); consumer.poll()",
    "iterate": "consumer = ottla.Consumer(where); consumer.assign([('t', 0)]); ready(); list(consumer)",
    "result": "broker.pause_node(1); d = ottla.Producer(where).send('t', b'x'); ready(); d.result()",
    "flush": "broker.pause_node(1); p = ottla.Producer(where); p.send('t', b'x'); ready(); p.flush()",
    "full": "broker.pause_node(1); p = ottla.Producer(where, buffer_memory=65536, max_block_ms='1h'); ready()\n"
    "while True: p.send('t', bytes(1000))",
    "connect": "broker.pause_node(1); p = ottla.Producer(where, socket_connection_setup_timeout_ms='1h',"
    "socket_connection_setup_timeout_max_ms='1h', request_timeout_ms='10min'); ready(); p.connect(timeout=None)",
    "admin": "a = ottla.Admin(where).connect(); broker.pause_node(1); ready(); a.list_topics(timeout=600)",
    "offsets": "broker.pause_node(1); c = ottla.Consumer(where); ready(); c.end_offsets([('t', 0)], timeout=600)",
}


@pytest.mark.parametrize("name", BLOCKING)
def test_ctrl_c_ends_waiting(name: str) -> None:
    program = f"""
        def ready(): print("ready", flush=True)
        try:
            exec({BLOCKING[name]!r})
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        os._exit(0)
    """
    with start(program) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            begun = time.monotonic()
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert out == "interrupted\n", err
    assert time.monotonic() - begun < 3


def test_what_was_sent_goes_out_at_exit() -> None:
    code, out, err = run("""
        import atexit
        atexit.register(lambda: print(broker.offsets("t"), flush=True))
        producer = ottla.Producer(where, linger_ms="10s")
        for i in range(100):
            producer.send("t", b"x")
        import ottla._client
        atexit.unregister(ottla._client._close_all)
        atexit.register(ottla._client._close_all)
    """)
    assert (code, out) == (0, "(0, 100)\n"), err


@pytest.mark.parametrize(
    "program",
    [
        "consumer = ottla.Consumer(where); consumer.assign([('t', 0)])\n"
        "threading.Thread(target=consumer.poll, daemon=True).start(); time.sleep(0.2)",
        "consumer = ottla.Consumer(where); consumer.assign([('t', 0)]); records = iter(consumer)",
        "p = ottla.Producer(where); d = p.send('t', b'x'); del p, broker",
        "p = ottla.Producer(where); p.send('t', b'x').result(); c = ottla.Consumer(where)\n"
        "c.assign([('t', 0, 'earliest')]); b = c.poll(timeout=30); v = b.offsets; r = iter(b); del c, b",
        "sys.loop = loop = [ottla.Producer(where), ottla.Consumer(where), ottla.Admin(where)]; loop.append(loop)",
        "broker.pause_node(1); p = ottla.Producer(where); p.send('t', b'x'); ottla._client.EXIT_S = 0.2",
    ],
)
def test_nothing_has_to_be_closed(program: str) -> None:
    code, out, err = run(f"exec({program!r}, globals())")
    assert (code, out, err) == (0, "", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_fork() -> None:
    code, out, err = run("""
        import warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        producer, consumer, admin = ottla.Producer(where), ottla.Consumer(where), ottla.Admin(where)
        delivery = producer.send("t", b"parent")
        delivery.result()
        consumer.assign([("t", 0, "earliest")])
        pending = producer.send("t", b"later")
        child = os.fork()
        if child == 0:
            try:
                for call in (
                    lambda: producer.send("t", b"x"),
                    lambda: producer.send_many("t", [b"x"]),
                    lambda: pending.result(timeout=5),
                    producer.flush,
                    lambda: consumer.poll(timeout=5),
                    lambda: admin.list_topics(timeout=5),
                ):
                    try:
                        call()
                    except ottla.ForkedError:
                        pass
                    else:
                        os._exit(3)
                with ottla.Producer(where) as own:
                    own.send("t", b"child").result(timeout=30)
                with ottla.Consumer(where) as mine:
                    assert [r.value for r in mine.read_range("t", 0)].count(b"child") == 1
                del producer, consumer, admin, delivery, pending
                sys.exit(0)
            except SystemExit:
                raise
            except BaseException as error:
                print(repr(error), flush=True)
                os._exit(4)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0, status
        pending.result(timeout=30)
        assert producer.send("t", b"after").result(timeout=30).offset == 3
        assert len(list(consumer.records(timeout=1))) == 4
        print("done")
    """)
    assert (code, out) == (0, "done\n"), err
