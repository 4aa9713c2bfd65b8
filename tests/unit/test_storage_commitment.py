"""The stories of storage commitment: what we promise peers, and what we ask of destinations."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from dicom_node.commit import Asking
from dicom_node.commitment import (
    CommitmentReport,
    CommitmentRequest,
    FailureReason,
    Outcome,
    PromiseState,
    SopReference,
    explained_reason,
)
from dicom_node.errors import AbortedError, OutOfResourcesError, TransientError
from dicom_node.instance import DeliveryState
from dicom_node.promise import Telling, keep_request, made_report, report_of
from dicom_node.receive import receive
from dicom_node.retry import Retry
from dicom_node.spool import Spool
from dicom_node.testing import MemoryLedger
from tests.contract.ledger.racing import due, to, verdict
from tests.contract.ledger.test_commitments import answer, sent, way
from tests.dimse_objects import incoming
from tests.stories import NOON

CR, DX = "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1"
SECOND = timedelta(seconds=1)
RETRY = Retry(first=10 * SECOND, jitter=0.0, give_up_after=timedelta(hours=1))


@dataclass
class Peer:
    """A peer that takes reports, after as many failures as it is told; those on `unwanted` it never takes."""

    failures: int = 0
    unwanted: str = ""
    tried: int = 0
    heard: list[CommitmentReport] = field(default_factory=list)

    def report(self, report: CommitmentReport) -> None:
        self.tried += 1
        if self.failures:
            self.failures -= 1
            raise TransientError("CR1 is away")
        if report.transaction_uid == self.unwanted:
            raise TransientError("CR1 did not take our report: status 0110")
        self.heard.append(report)


def reference(number: int, kind: str = CR) -> SopReference:
    return SopReference(sop_class_uid=kind, sop_instance_uid=f"1.2.3.{number}")


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
def spool(tmp_path) -> Spool:
    return Spool(tmp_path / "spool", 0)


def stored(ledger: MemoryLedger, spool: Spool, number: int, kind: str = CR) -> None:
    item = replace(incoming(f"1.2.3.{number}", SOPClassUID=kind), sop_class_uid=kind)
    receive(item, spool=spool, intake=ledger.intake, now=NOON)


def asked(ledger: MemoryLedger, *references: SopReference, by: str = "CR1", uid: str = "1.4.1", now=NOON):
    request = CommitmentRequest(
        transaction_uid=uid, references=references, calling_ae=by, called_ae="REGION", peer="127.0.0.1"
    )
    return keep_request(request, promises=ledger.promises, held=timedelta(0), now=now)


class House:
    """A node that has to tell peers; its clock stands where it is put."""

    def __init__(self, ledger: MemoryLedger, spool: Spool, **peers: Peer) -> None:
        self.ledger = ledger
        self.now = NOON
        self.telling = Telling(
            promises=ledger.promises,
            spool=spool,
            reporters=peers,
            retry=RETRY,
            now=lambda: self.now,
            chance=lambda: 0.5,
        )

    def rounds(self) -> None:
        """Tell until nothing is due."""
        while due := self.telling.claim():
            for of_a_peer in due:
                self.telling.tell(of_a_peer)

    def left(self) -> dict[str, PromiseState]:
        return {one.transaction_uid: one.state for one in self.ledger.promises.unreported()}


def told(ledger: MemoryLedger, spool: Spool, peer: Peer, promise, *, now=NOON) -> PromiseState:
    house = House(ledger, spool, CR1=peer)
    house.now = now
    house.telling.tell([promise])
    return house.left().get(promise.transaction_uid, PromiseState.REPORTED)


def test_while_the_spool_is_away_nobody_hears_that_we_have_nothing(ledger, tmp_path) -> None:
    spool = Spool.opened(tmp_path / "spool", 0, expected=lambda: False)
    stored(ledger, spool, 1)
    promise = asked(ledger, reference(1))
    (tmp_path / "spool").rename(tmp_path / "elsewhere")
    with pytest.raises(OutOfResourcesError, match="disk is mounted"):
        report_of(promise, promises=ledger.promises, spool=spool)
    (tmp_path / "elsewhere").rename(tmp_path / "spool")
    assert report_of(promise, promises=ledger.promises, spool=spool).failed == ()


def test_what_a_peer_was_told_meanwhile_it_is_not_told_again(ledger, spool) -> None:
    """Reading thousands of files takes its time, in which the other way to the peer may have been quicker."""
    promise = asked(ledger, reference(1))
    assert made_report(promise, promises=ledger.promises, spool=spool) is not None
    assert House(ledger, spool).telling.claim() == [], "it is just being told"
    ledger.promises.reported(promise.id, now=NOON)
    assert made_report(promise, promises=ledger.promises, spool=spool) is None
    peer = Peer()
    told(ledger, spool, peer, promise)
    assert peer.tried == 0


def test_committed_is_what_is_kept_under_this_class_and_all_else_has_its_reason(ledger, spool) -> None:
    for number in (1, 2, 3):
        stored(ledger, spool, number)
    ledger.repairs.lose(3, now=NOON)
    peer = Peer()
    promise = asked(ledger, reference(1), reference(2, DX), reference(3), reference(4), reference(1))
    assert told(ledger, spool, peer, promise) is PromiseState.REPORTED
    (report,) = peer.heard
    assert report.committed == (reference(1),)
    assert [(each.reference, each.reason) for each in report.failed] == [
        (reference(2, DX), FailureReason.CLASS_INSTANCE_CONFLICT),
        (reference(3), FailureReason.NO_SUCH_INSTANCE),
        (reference(4), FailureReason.NO_SUCH_INSTANCE),
    ]


def test_a_file_that_the_ledger_believes_in_and_the_disk_has_not_is_no_promise(ledger, spool) -> None:
    stored(ledger, spool, 1)
    spool.remove(ledger.records.find("1.2.3.1")[0].instance.path)
    peer = Peer()
    told(ledger, spool, peer, asked(ledger, reference(1)))
    assert peer.heard[0].committed == ()


def test_a_file_that_is_not_what_its_sender_gave_us_is_no_promise_until_it_comes_again(ledger, spool) -> None:
    """The sender deletes its own copy on our word."""
    stored(ledger, spool, 1)
    file = spool.path(ledger.records.find("1.2.3.1")[0].instance.path)
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    promise = asked(ledger, reference(1))
    assert report_of(promise, promises=ledger.promises, spool=spool).committed == ()
    stored(ledger, spool, 1)
    assert report_of(promise, promises=ledger.promises, spool=spool).committed == (reference(1),)


def test_an_image_that_came_twice_with_other_content_is_kept_in_both_its_classes(ledger, spool) -> None:
    stored(ledger, spool, 1)
    stored(ledger, spool, 1, DX)
    peer = Peer()
    told(ledger, spool, peer, asked(ledger, reference(1), reference(1, DX)))
    assert peer.heard[0].failed == ()


@pytest.mark.parametrize("how", ["damaged", "removed", "lost"])
def test_a_uid_is_no_promise_while_one_of_its_contents_is_damaged_or_gone(ledger, spool, how: str) -> None:
    """The request names no content, and the sender may delete the one of which our file was the other copy."""
    stored(ledger, spool, 1)
    stored(ledger, spool, 1, DX)
    stored(ledger, spool, 2)
    other = ledger.records.find("1.2.3.1")[1].instance
    file = spool.path(other.path)
    if how == "damaged":
        file.write_bytes(file.read_bytes()[:-1] + b"!")
    else:
        file.unlink()
    if how == "lost":
        ledger.repairs.lose(other.id, now=NOON)
    promise = asked(ledger, reference(1), reference(1, DX), reference(2))
    report = report_of(promise, promises=ledger.promises, spool=spool)
    assert report.committed == (reference(2),)
    assert {each.reason for each in report.failed} == {FailureReason.NO_SUCH_INSTANCE}
    stored(ledger, spool, 1, DX)
    assert report_of(promise, promises=ledger.promises, spool=spool).failed == ()


def test_a_uid_of_which_one_content_has_been_retired_is_no_promise_before_it_comes_again(ledger, spool) -> None:
    """Its sender may still have it, and would delete it on the strength of the other one."""
    stored(ledger, spool, 1)
    ledger.work.settle(1, verdict(), recognition=None, deliveries=to("PACS"))
    ledger.outbox.delivered(due(ledger)[0].id, sent_uid="1.2.3.1", written=None, now=NOON)
    assert ledger.records.retire(1, remove=spool.remove, now=NOON)
    stored(ledger, spool, 1, DX)
    promise = asked(ledger, reference(1), reference(1, DX))
    report = report_of(promise, promises=ledger.promises, spool=spool)
    assert report.committed == ()
    assert {each.reason for each in report.failed} == {FailureReason.NO_SUCH_INSTANCE}
    stored(ledger, spool, 1)
    assert report_of(promise, promises=ledger.promises, spool=spool).failed == ()


def test_a_peer_that_is_away_is_told_later_and_given_up_in_the_end(ledger, spool) -> None:
    promise = asked(ledger, reference(1))
    assert told(ledger, spool, Peer(failures=1), promise) is PromiseState.OPEN
    (waiting,) = ledger.promises.unreported()
    assert (waiting.due_at, waiting.attempts, waiting.last_error) == (NOON + 10 * SECOND, 1, "CR1 is away")
    late = NOON + timedelta(hours=2)
    assert told(ledger, spool, Peer(failures=1), waiting, now=late) is PromiseState.GIVEN_UP
    assert ledger.promises.claim(limit=1, now=late, lease=SECOND) == []


def test_a_peer_that_is_away_is_tried_once_at_a_time_whatever_it_is_to_be_told_and_others_do_not_wait(
    ledger, spool
) -> None:
    away, here = Peer(failures=1000), Peer()
    for number in range(50):
        asked(ledger, reference(1), uid=f"1.4.{number}")
    for number in range(10):
        asked(ledger, reference(1), by="CR2", uid=f"1.5.{number}")
    house = House(ledger, spool, CR1=away, CR2=here)
    house.rounds()
    assert (away.tried, len(here.heard)) == (1, 10)
    for seconds in (10, 30, 70, 150, 310):
        house.now = NOON + seconds * SECOND
        house.rounds()
    assert away.tried == 6
    assert set(house.left().values()) == {PromiseState.OPEN}
    house.now = NOON + timedelta(hours=2)
    house.rounds()
    assert set(house.left().values()) == {PromiseState.GIVEN_UP}
    away.failures = 0
    asked(ledger, reference(1), uid="1.4.7", now=house.now)
    house.rounds()
    assert [report.transaction_uid for report in away.heard] == ["1.4.7"]


def test_requests_of_a_peer_that_takes_no_reports_are_given_up_although_new_ones_come_all_the_time(
    ledger, spool
) -> None:
    house = House(ledger, spool)
    for minutes in range(0, 180, 3):
        house.now = NOON + timedelta(minutes=minutes)
        asked(ledger, reference(1), uid=f"1.4.{minutes}", now=house.now)
        house.rounds()
    states = list(house.left().values())
    assert (states.count(PromiseState.GIVEN_UP), states.count(PromiseState.OPEN)) == (40, 20)


def test_a_report_that_its_peer_refuses_holds_up_no_other(ledger, spool) -> None:
    peer = Peer(unwanted="1.4.0")
    for number in range(9):
        asked(ledger, reference(1), uid=f"1.4.{number}")
    house = House(ledger, spool, CR1=peer)
    for seconds in (0, 10, 20):
        house.now = NOON + seconds * SECOND
        house.rounds()
    assert sorted(report.transaction_uid for report in peer.heard) == [f"1.4.{number}" for number in range(1, 9)]


def test_nothing_is_looked_up_for_a_peer_whose_address_nobody_knows(ledger, spool) -> None:
    """A modality without an address asks for thousands of objects a day."""
    stored(ledger, spool, 1)
    promise = asked(ledger, reference(1))
    house = House(ledger, spool)
    house.telling.spool = None
    house.telling.tell([promise])
    assert "[[commitment_peers]]" in ledger.promises.unreported()[0].last_error


def asking(ledger: MemoryLedger, failures: int, heard: list[Sequence[SopReference]]) -> Asking:
    def question(_uid: str, references: Sequence[SopReference]) -> None:
        nonlocal failures
        if failures:
            failures -= 1
            raise TransientError("PACS is away")
        heard.append(references)

    numbers = iter(range(1, 99))
    times = (NOON + second * SECOND for second in (1, 2, 11, 12, 32, 33, 99))
    return Asking(
        destination="PACS",
        commitments=ledger.commitments,
        question=question,
        answer_within=100 * SECOND,
        retry=RETRY,
        now=lambda: next(times),
        chance=lambda: 0.5,
        new_uid=lambda: f"1.6.{next(numbers)}",
    )


def test_a_destination_that_is_away_is_asked_again_after_a_growing_pause(ledger) -> None:
    sent(ledger, 1)
    heard: list[Sequence[SopReference]] = []
    ask = asking(ledger, 2, heard)
    assert ask.ask() is None
    assert way(ledger).due_at == NOON + 12 * SECOND
    assert ask.ask() == 0
    assert ask.ask() is None
    assert way(ledger).due_at == NOON + 52 * SECOND
    assert ledger.records.destinations()[0].last_error == "PACS is away"
    assert heard == []


def test_what_was_asked_is_not_asked_before_its_answer_is_late(ledger) -> None:
    sent(ledger, 1, 2)
    heard: list[Sequence[SopReference]] = []
    ask = asking(ledger, 0, heard)
    assert ask.ask() == 2
    assert ask.ask() == 0
    assert [each.sop_instance_uid for each in heard[0]] == ["1.2.3.1", "1.2.3.2"]


def test_a_destination_that_says_nothing_to_a_request_may_answer_it_and_is_asked_again_in_time(ledger) -> None:
    """Slow as it is, it may have the request; one that surely has not is no question that is open."""
    sent(ledger, 1)

    def silent(_uid: str, _references: Sequence[SopReference]) -> None:
        raise AbortedError("PACS: no answer")

    ask = asking(ledger, 0, [])
    ask.question = silent
    assert ask.ask() is None
    assert way(ledger).due_at == NOON + 101 * SECOND
    assert answer(ledger, "1.6.1", "1.2.3.1") is Outcome.TAKEN
    assert way(ledger).state is DeliveryState.DELIVERED


def test_reasons_are_told_in_words_and_unknown_ones_by_number() -> None:
    assert explained_reason(0x0213) == "0213 (resource limitation)"
    assert explained_reason(0xC001) == "C001 (a reason of its own)"
