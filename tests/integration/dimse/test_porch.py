"""The porch: who asks for nothing waits there, costs no thread, and is let in once the whole request lies there."""

import socket
import threading
from contextlib import ExitStack

from dicom_node.dimse.porch import Porch
from tests.raw_peers import connected, is_closed, request
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
