"""Reports on storage commitment over the association on which they were asked for: each of them once."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association

from dicom_node.commitment import CommitmentReport, CommitmentRequest, Outcome, Promise, PromiseState
from dicom_node.dimse import same_association
from dicom_node.dimse.commitment import commitment_handlers, request_dataset
from dicom_node.dimse.contexts import PUSH_MODEL, PUSH_MODEL_INSTANCE
from dicom_node.dimse.same_association import SameAssociation
from dicom_node.dimse.scp import ScpSettings, StoreScp
from tests.servers.programs import wait_until
from tests.stories import NOON


class Desk:
    """Knows one promise, however often it is asked for."""

    def ask(self, request: CommitmentRequest) -> Promise:
        return Promise(**vars(request), id=1, state=PromiseState.OPEN, asked_at=NOON, due_at=NOON)

    def take(self, report: CommitmentReport, *, calling_ae: str) -> Outcome:
        return Outcome.STRANGE


class House:
    """A receiver whose peers ask for commitment: `became` tells what became of what they were to hear."""

    def __init__(self) -> None:
        self.became: list[str] = []
        self.here = SameAssociation(
            linger=0.5,
            report_on=lambda promise: CommitmentReport(transaction_uid=promise.transaction_uid, committed=()),
            told=lambda _: self.became.append("told"),
            hand_on=lambda _: self.became.append("handed on"),
        )
        commitment = [*commitment_handlers(Desk(), self.here.expect), *self.here.handlers()]
        self.scp = StoreScp(ScpSettings(ae_title="REGION"), lambda _: None, commitment=commitment)
        self.heard: list[str] = []

    @contextmanager
    def peer(self) -> Iterator[Association]:
        def hear(event: evt.Event) -> tuple[int, Dataset | None]:
            self.heard.append(str(event.event_information.TransactionUID))
            return 0, None

        entity = AE("CR1")
        entity.add_requested_context(PUSH_MODEL)
        peer = entity.associate("127.0.0.1", self.scp.port, evt_handlers=[(evt.EVT_N_EVENT_REPORT, hear)])
        try:
            yield peer
        finally:
            peer.release()


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    made.here.start()
    made.scp.start()
    yield made
    made.scp.stop()
    made.here.stop()


def ask(peer: Association) -> None:
    ds = request_dataset("1.4.1", ())
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.5", "1.2.3"
    ds.ReferencedSOPSequence = [item]
    response, _ = peer.send_n_action(ds, 1, PUSH_MODEL, PUSH_MODEL_INSTANCE)
    assert response.Status == 0


def test_who_asks_twice_is_told_once(house: House) -> None:
    with house.peer() as peer:
        ask(peer)
        ask(peer)
        wait_until(lambda: not house.here._waiting, what="the end of all reports")
    assert (house.heard, house.became) == (["1.4.1"], ["told"])


def test_who_asks_again_over_another_association_is_told_there(house: House) -> None:
    with house.peer() as first, house.peer() as second:
        ask(first)
        ask(second)
        first.release()
        wait_until(lambda: not house.here._waiting, what="the end of all reports")
    assert (house.heard, house.became) == (["1.4.1"], ["told"])


def test_what_waited_for_longer_than_it_is_held_is_left_to_who_has_it_then(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silent peers before it may cost ten seconds each."""
    monkeypatch.setattr(same_association, "HELD_SECONDS", 0.0)
    with house.peer() as peer:
        ask(peer)
        wait_until(lambda: not house.here._waiting, what="the end of all reports")
    assert (house.heard, house.became) == ([], [])
