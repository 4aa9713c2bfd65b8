"""The porch: who asks for nothing waits there, costs no thread, and is let in once the whole request lies there."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import StringIO

import pytest

from dicom_node.dimse.porch import Porch
from tests.associations import Handler, scp_with
from tests.raw_peers import connected, established, is_closed, request
from tests.servers.programs import wait_until


def test_who_says_nothing_is_sent_away_and_the_longest_waiting_first_when_the_porch_is_full() -> None:
    let_in: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as server, ExitStack() as stack:
        porch = Porch(patience=60.0, places=3)
        porch.start()
        stack.callback(porch.stop)
        peers = []
        for number in range(5):
            peers.append(stack.enter_context(connected(server.getsockname()[1])))
            raw, _ = server.accept()
            stack.callback(raw.close)
            porch.wait_for_words(raw, "127.0.0.1", lambda number=number: let_in.append(number))
        wait_until(lambda: is_closed(peers[0]) and is_closed(peers[1]), what="the first two sent away")
        assert not any(is_closed(peer) for peer in peers[2:])
        peers[4].sendall(request())
        wait_until(lambda: let_in == [4], what="the one that asked for something")


def test_a_request_that_comes_in_pieces_is_whole_when_it_is_let_in() -> None:
    let_in = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server, connected(server.getsockname()[1]) as peer:
        porch = Porch(patience=60.0)
        porch.start()
        raw, _ = server.accept()
        porch.wait_for_words(raw, "127.0.0.1", let_in.set)
        for octet in request()[:-1]:
            peer.send(bytes([octet]))
        assert not let_in.wait(0.3)
        peer.send(request()[-1:])
        assert let_in.wait(5)
        raw.settimeout(5)
        assert raw.recv(1 << 16) == request()
        porch.stop()
        raw.close()


@contextmanager
def door(porch: Porch) -> Iterator[socket.socket]:
    """A listening socket before a porch that runs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        porch.start()
        try:
            yield server
        finally:
            porch.stop()


def test_one_that_asks_while_it_is_sent_away_for_another_leaves_the_porch_as_it_is() -> None:
    """The porch hears of both at once: that somebody came for whom there is no place, and that the first one asks."""
    busy, held, free, let_in = (threading.Event() for _ in range(4))

    def hold() -> None:
        if busy.is_set():
            held.set()
            free.wait(10)

    porch = Porch(patience=60.0, places=1, on_tick=hold)
    with door(porch) as server, ExitStack() as stack:
        stack.callback(free.set)
        peers = [stack.enter_context(connected(server.getsockname()[1])) for _ in range(2)]
        first, second = (server.accept()[0] for _ in peers)
        porch.wait_for_words(first, "127.0.0.1", let_in.set)
        wait_until(lambda: first in porch._callers, what="the first one's place")
        busy.set()
        assert held.wait(5)
        porch.wait_for_words(second, "127.0.0.1", let_in.set)
        peers[0].sendall(request())
        free.set()
        wait_until(lambda: is_closed(peers[0]), what="the first one sent away")
        peers[1].sendall(request())
        assert let_in.wait(5)


def test_a_connection_for_which_there_is_no_thread_is_closed_and_the_next_one_is_let_in(
    handler: Handler, monkeypatch: pytest.MonkeyPatch, log: StringIO
) -> None:
    with scp_with(handler) as scp:
        _ask_in_vain(scp.port, monkeypatch)
        established(scp.port).close()
        _ask_in_vain(scp.port, monkeypatch)
    assert log.getvalue().count('"porch_trouble"') == 2  # and the receiver stops as always


def _ask_in_vain(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as limited, connected(port) as peer:
        limited.setattr(threading.Thread, "start", _no_thread)
        peer.sendall(request())
        wait_until(lambda: is_closed(peer), what="the end of the connection")


def _no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
