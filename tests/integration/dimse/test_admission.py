"""Who may open an association with the receiver, and what the others are told."""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from ipaddress import ip_network
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless
from pynetdicom import AE
from pynetdicom.presentation import build_context

from dicom_node.dimse.admission import Admission
from dicom_node.dimse.journal import Tally
from dicom_node.dimse.scp import StoreScp
from dicom_node.errors import PermanentError, TransientError
from tests.associations import Handler, answer_to, scp_with, sender_to
from tests.beside import beside
from tests.certificates import Authority, tls_server
from tests.dimse_objects import CR, cr, incoming, written
from tests.raw_peers import LAST_OF_COMMAND, PDATA, REJECT, accepted, connected, heard, request, storing
from tests.servers.dcmtk import echoscu
from tests.servers.programs import wait_until

# Status (0000,0900), two bytes long: 0000.
SUCCESSFUL = bytes.fromhex("0000 0009 02000000 0000")


@pytest.mark.parametrize(
    ("settings", "calling", "called"),
    [
        ({"calling_aes": ("CR1",)}, "STRANGER", "REGION"),
        ({"called_aes": ("REGION", "REGION2")}, "CR1", "OTHER"),
        ({"networks": (ip_network("192.0.2.0/24"),)}, "CR1", "REGION"),
    ],
)
def test_who_is_not_on_a_list_is_rejected_for_good(handler: Handler, settings: dict, calling: str, called: str) -> None:
    with scp_with(handler, **settings) as scp, sender_to(scp, calling, called) as scu, pytest.raises(PermanentError):
        scu.echo()


ELSEWHERE = (ip_network("192.0.2.0/24"),)


def test_a_stranger_is_rejected_without_a_thread_and_the_log_says_who_it_claims_to_be(
    handler: Handler, log: StringIO
) -> None:
    with scp_with(handler, networks=ELSEWHERE) as scp, connected(scp.port) as peer, without_threads():
        peer.sendall(request())
        kind, answer = heard(peer)
        assert (kind, *answer[1:]) == (REJECT, 1, 1, 1)
        wait_until(lambda: "association_rejected" in log.getvalue(), what="its line in the log")
    assert '"calling_ae": "DRIBBLER"' in log.getvalue()
    assert "node.allow_from" in log.getvalue()


def test_a_stranger_has_no_handshake(handler: Handler, ca: Authority, log: StringIO) -> None:
    """They are limited, and whoever keeps them all busy would keep modalities out."""
    with scp_with(handler, networks=ELSEWHERE, tls=tls_server(ca)) as scp, connected(scp.port) as peer:
        peer.settimeout(5)
        assert peer.recv(1) == b""
        wait_until(lambda: "association_rejected" in log.getvalue(), what="its line in the log")
    assert "node.allow_from" in log.getvalue()


@contextmanager
def without_threads() -> Iterator[None]:
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as limited:
        limited.setattr(threading.Thread, "start", no_thread)
        yield


def test_who_is_on_every_list_comes_in(handler: Handler) -> None:
    lists = {"calling_aes": ("CR1",), "called_aes": ("A", "B"), "networks": (ip_network("127.0.0.0/8"),)}
    with scp_with(handler, **lists) as scp, sender_to(scp, "CR1", "B") as scu:
        scu.echo()


@pytest.mark.server
def test_echoscu_is_answered_by_any_name_unless_names_are_configured(scp: StoreScp) -> None:
    assert echoscu(scp.port, called="WHATEVER").returncode == 0


def test_one_association_too_many_is_rejected_as_passing_and_comes_in_later(handler: Handler, tmp_path: Path) -> None:
    path = written(tmp_path, incoming())
    with scp_with(handler, max_associations=1) as scp, sender_to(scp) as first, sender_to(scp) as second:
        first.send(path)
        with pytest.raises(TransientError, match="rejected"):
            second.send(path)
        first.close()
        wait_until(lambda: not scp.associations, what="the end of its threads")
        second.send(path)


def test_a_peer_with_too_many_associations_is_told_to_come_back_and_another_peer_is_not(
    handler: Handler, tmp_path: Path
) -> None:
    path = written(tmp_path, incoming())
    with scp_with(handler, max_associations_per_peer=1) as scp, sender_to(scp) as first, sender_to(scp) as second:
        first.send(path)
        with pytest.raises(TransientError, match="Transient; Local limit exceeded"):
            second.send(path)
        other = AE("OTHER").associate("127.0.0.1", scp.port, [build_context(CR)], bind_address=("127.0.0.2", 0))
        assert other.is_established
        other.release()
        first.close()
        wait_until(lambda: not scp.associations, what="the end of its threads")
        second.send(path)


def test_a_peer_that_opens_associations_too_fast_is_told_of_congestion(handler: Handler) -> None:
    with scp_with(handler, associations_per_minute=2) as scp, sender_to(scp) as scu:
        scu.echo()
        scu.echo()
        with pytest.raises(TransientError, match="Transient; Temporary congestion"):
            scu.echo()


def test_trouble_over_a_request_is_told_as_passing_and_does_not_pass_for_an_association(
    scp: StoreScp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: StringIO
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("SECRET^PATIENT")

    path = written(tmp_path, incoming())
    with sender_to(scp) as scu:
        with monkeypatch.context() as broken, pytest.raises(TransientError, match="Transient; Temporary congestion"):
            broken.setattr(Admission, "refusal", fail)
            scu.send(path)
        scu.send(path)
    assert log.getvalue().count('"association_trouble"') == 1
    assert "SECRET" not in log.getvalue()


@pytest.mark.parametrize("longest", [None, 0, 7])
def test_a_peer_hears_of_what_was_stored_however_little_it_says_of_its_pdus(
    handler: Handler, longest: int | None
) -> None:
    """Else it sends the same image again, and for ever."""
    with scp_with(handler) as scp, accepted(scp.port, request(longest)) as peer:
        peer.sendall(storing(incoming(syntax=ImplicitVRLittleEndian)))
        peer.settimeout(5)
        pdus = []
        while not any(pdu[5] == LAST_OF_COMMAND for _, pdu in pdus):
            pdus.append(heard(peer))
        answer = b"".join(pdu[6:] for _, pdu in pdus)
        assert {kind for kind, _ in pdus} == {PDATA}
        assert SUCCESSFUL in answer


def test_a_peer_that_cannot_take_any_answer_is_rejected_before_anything_of_it_is_stored(
    handler: Handler, log: StringIO
) -> None:
    with scp_with(handler) as scp, connected(scp.port) as peer:
        peer.sendall(request(longest=6))
        kind, answer = heard(peer)
        assert (kind, *answer[1:]) == (REJECT, 1, 1, 1)
    assert "too short for any answer" in log.getvalue()


def test_ae_titles_that_are_padded_with_nul_are_the_same_as_with_spaces(handler: Handler) -> None:
    """As programs in C send them, that other receivers take."""
    padded = request().replace(b"REGION".ljust(16), b"REGION".ljust(16, b"\0"))
    padded = padded.replace(b"DRIBBLER".ljust(16), b"DRIBBLER".ljust(16, b"\0"))
    lists = {"calling_aes": ("DRIBBLER",), "called_aes": ("REGION",)}
    with scp_with(handler, **lists) as scp, accepted(scp.port, padded) as peer:
        peer.sendall(storing(incoming(syntax=ImplicitVRLittleEndian)))
        assert SUCCESSFUL in heard(peer)[1]


def test_a_class_in_two_contexts_is_accepted_in_the_first_choice_of_each(scp: StoreScp) -> None:
    choices = [[ImplicitVRLittleEndian, ExplicitVRLittleEndian], [JPEG2000Lossless, ImplicitVRLittleEndian]]
    association = AE("MODALITY").associate("127.0.0.1", scp.port, [build_context(CR, choice) for choice in choices])
    taken = [context.transfer_syntax for context in association.accepted_contexts]
    association.release()
    assert taken == [[ImplicitVRLittleEndian], [JPEG2000Lossless]]


def test_who_comes_in_while_others_come_and_go_is_taken_as_always(scp: StoreScp) -> None:
    """Each request looks at all associations, while other threads begin and end theirs."""
    with coming_and_going(scp):
        assert [answer_to(scp, cr(f"1.2.{number}")).Status for number in range(10)] == [0] * 10


@contextmanager
def coming_and_going(scp: StoreScp) -> Iterator[None]:
    """Other associations than those of the test, many of them, and no two looks at them find the same."""
    open_ones = [_Other() for _ in range(2000)]
    interval = sys.getswitchinterval()

    def come_and_go(enough: threading.Event) -> None:
        while not enough.is_set():
            scp._journal._tallies[passing := _Other()] = Tally(began=0.0)
            scp._journal._tallies.pop(passing)

    for one in open_ones:
        scp._journal._tallies[one] = Tally(began=0.0)
    sys.setswitchinterval(1e-5)
    try:
        with beside(come_and_go):
            yield
    finally:
        sys.setswitchinterval(interval)


class _Other:
    """Stands for an association that the receiver knows."""
