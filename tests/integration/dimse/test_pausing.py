"""Releasing an association while pynetdicom's thread for a report still speaks for the association's loop."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from pynetdicom.association import Association
from pynetdicom.presentation import build_context

from dicom_node.dimse.contexts import VERIFICATION
from dicom_node.dimse.line import Line, Peer
from dicom_node.dimse.scp import StoreScp
from tests.servers.programs import wait_until


@contextmanager
def association_with(scp: StoreScp) -> Iterator[Association]:
    line = Line(
        Peer(host="127.0.0.1", port=scp.port, ae_title="REGION"),
        calling_ae="NODE",
        timeout=timedelta(seconds=10),
        idle=timedelta(seconds=20),
        tls=None,
    )
    made = line.open([build_context(VERIFICATION)])
    try:
        yield made
    finally:
        if made.is_established:
            made.abort()


def served_by(scp: StoreScp) -> Association:
    """The receiver's own side, not one of an earlier test's that is still hanging up."""
    there = [each for each in threading.enumerate() if isinstance(each, Association) and each.is_acceptor]
    (theirs,) = [each for each in there if each.acceptor.port == scp.port]
    return theirs


def say_not_paused(association: Association) -> None:
    """As `Association._serve_request` does at its end, in the thread that pynetdicom gives to an N-EVENT-REPORT."""
    speaker = threading.Thread(target=lambda: setattr(association, "_is_paused", False))
    speaker.start()
    speaker.join()


def is_released_soon(association: Association) -> bool:
    association._reactor_checkpoint.clear()
    wait_until(lambda: association._is_paused, what="a halted loop")
    say_not_paused(association)
    releasing = threading.Thread(target=association.release, daemon=True)
    releasing.start()
    releasing.join(10)
    return association.is_released


def test_a_sender_that_releases_as_a_report_was_served_is_released(scp: StoreScp) -> None:
    with association_with(scp) as ours:
        assert is_released_soon(ours)


def test_a_receiver_that_releases_as_a_report_was_served_is_released(scp: StoreScp) -> None:
    with association_with(scp):
        assert is_released_soon(served_by(scp))


def test_the_end_of_an_association_is_everybodys_to_say(scp: StoreScp) -> None:
    """Its loop may be the one that waits."""
    with association_with(scp) as ours:
        ours.abort()
        assert ours._is_paused
        wait_until(lambda: not ours.is_alive(), what="the end of its thread")
