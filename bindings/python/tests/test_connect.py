"""What is said when a cluster can't be reached."""

from __future__ import annotations

import logging
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from typing import Any

import ottla
import pytest
from ottla.testing import Broker


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.mark.parametrize("client", [ottla.Producer, ottla.Consumer, ottla.Admin])
def test_nobody_listens(client: Callable[..., Any]) -> None:
    port = free_port()
    with client(f"127.0.0.1:{port}") as made, pytest.raises(ottla.ConnectError) as caught:
        made.connect(timeout=1)
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "refused" in str(caught.value)
    assert isinstance(caught.value, ConnectionError)


def test_until_the_first_contact_records_wait_and_polls_fail() -> None:
    port = free_port()
    limits: dict[str, Any] = {"socket_connection_setup_timeout_ms": 300, "socket_connection_setup_timeout_max_ms": 300}
    with ottla.Producer(f"127.0.0.1:{port}", max_block_ms=2000, **limits) as producer:
        assert producer.next_event() is None
        delivery = producer.send("t", b"x")
        deadline = time.monotonic() + 30
        while (event := producer.next_event()) is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert event.kind == "broker_unreachable" and f"127.0.0.1:{port}" in event.message
        assert not delivery.done()
        with pytest.raises(ottla.ConnectError, match=r"max\.block\.ms.*refused"):
            delivery.result(timeout=30)
    with ottla.Consumer(f"127.0.0.1:{port}", **limits) as consumer:
        consumer.assign([("t", 0)])
        with pytest.raises(ottla.ConnectError, match="refused"):
            consumer.poll(timeout=30)


def test_a_name_that_does_not_resolve() -> None:
    host = "no-such-host.invalid"
    with ottla.Admin(f"{host}:9092") as admin, pytest.raises(ottla.DnsError, match=host):
        admin.connect(timeout=5)


def test_an_http_server_is_not_kafka() -> None:
    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1000)
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            where = f"127.0.0.1:{server.server_address[1]}"
            with ottla.Admin(where) as admin, pytest.raises(ottla.ProtocolError, match="HTTP"):
                admin.connect(timeout=5)
        finally:
            server.shutdown()


def test_advertised_listeners_that_are_out_of_reach() -> None:
    port = free_port()
    with Broker(advertised_port=port) as broker, ottla.Producer(broker.bootstrap_servers) as producer:
        with pytest.raises(ottla.ConnectError) as caught:
            producer.connect(timeout=1)
        for word in (broker.bootstrap_servers, f"127.0.0.1:{port}", "advertised.listeners"):
            assert word in str(caught.value)


def test_a_wait_can_be_limited(broker: Broker) -> None:
    broker.pause_node(1)
    begun = time.monotonic()
    with ottla.Admin(broker.bootstrap_servers) as admin, pytest.raises((ottla.OttlaTimeout, ottla.ConnectError)):
        admin.connect(timeout=0.3)
    assert time.monotonic() - begun < 5


def test_clients_connect(bootstrap: str) -> None:
    for client in (ottla.Producer, ottla.Consumer, ottla.Admin):
        with client(bootstrap) as made:
            assert made.connect(timeout=30) is made


def test_logs_reach_logging(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    caplog.set_level(logging.DEBUG, "ottla")
    with ottla.Admin(f"127.0.0.1:{port}", client_id="me") as admin, pytest.raises(ottla.ConnectError):
        admin.connect(timeout=0.5)
    (first, *_) = [r for r in caplog.records if r.name == "ottla"]
    assert f"127.0.0.1:{port}" in first.getMessage() and "[me]" in first.getMessage()
    assert first.levelno >= logging.INFO
    assert abs(first.created - time.time()) < 60
    assert first.client_id == "me"  # type: ignore[attr-defined]
