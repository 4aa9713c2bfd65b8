"""What a peer's answers mean: try again later, or in vain until somebody changes something."""

import pytest
from pydicom.dataset import Dataset
from pynetdicom.pdu_primitives import A_ASSOCIATE

from dicom_node.dimse.outcome import failure_of, is_duplicate, rejection_of
from dicom_node.errors import PermanentError, TransientError


def response(status: int) -> Dataset:
    ds = Dataset()
    ds.Status = status
    ds.ErrorComment = "SECRET^PATIENT"
    return ds


def rejection(result: int, source: int, reason: int) -> A_ASSOCIATE:
    answer = A_ASSOCIATE()
    answer.result, answer.result_source, answer.diagnostic = result, source, reason
    return answer


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0xB006, 0xB007, 0x0001, 0x0107, 0x0111])
def test_success_and_warnings_are_delivered(status: int) -> None:
    assert failure_of(response(status)) is None


def test_one_status_says_that_the_uid_is_there_and_nothing_of_its_content() -> None:
    assert is_duplicate(0x0111)
    assert not any(is_duplicate(status) for status in (0x0000, 0x0107, 0xB000, 0x0112))


@pytest.mark.parametrize("status", [0xA700, 0xA701, 0xA7FF, 0x0110, 0x0213])
def test_a_full_or_troubled_peer_is_tried_again(status: int) -> None:
    assert isinstance(failure_of(response(status)), TransientError)


@pytest.mark.parametrize("status", [0xA900, 0xA9FF, 0xC000, 0xCFFF, 0x0122, 0x0124, 0x0117, 0x0211, 0x0112])
def test_a_refusal_of_the_object_is_not_tried_again(status: int) -> None:
    failure = failure_of(response(status))
    assert isinstance(failure, PermanentError)
    assert f"{status:04X}" in str(failure)
    assert "SECRET" not in str(failure)


@pytest.mark.parametrize(
    ("status", "meaning"),
    [
        (0xC000, "cannot understand"),
        (0xCFFF, "cannot understand"),
        (0xD000, "failure"),
        (0xFE00, "cancelled"),
        (0xFF00, "pending, which"),
    ],
)
def test_a_status_is_called_what_it_is(status: int, meaning: str) -> None:
    assert f"({meaning}" in str(failure_of(response(status)))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((1, 1, 3), PermanentError),  # calling AE title not recognised
        ((1, 1, 7), PermanentError),  # called AE title not recognised
        ((2, 1, 7), PermanentError),  # the same, by a peer that calls it transient
        ((1, 1, 1), PermanentError),
        ((1, 2, 2), PermanentError),  # protocol version not supported
        ((2, 3, 1), TransientError),  # temporary congestion
        ((2, 3, 2), TransientError),  # local limit exceeded
        ((1, 3, 2), TransientError),  # the same, by a peer that calls it permanent
        ((2, 1, 1), TransientError),
        ((2, 2, 1), TransientError),
    ],
)
def test_a_rejection_is_for_good_unless_the_peer_is_full(answer: tuple[int, int, int], kind: type) -> None:
    assert isinstance(rejection_of(rejection(*answer)), kind)
