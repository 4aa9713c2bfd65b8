"""What the receiver accepts and what the sender proposes."""

import pytest
from pynetdicom import ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts
from pynetdicom.presentation import build_context, negotiate_as_acceptor

from dicom_node.dimse.contexts import acceptable, is_storage, keep_first_choices
from dicom_node.dimse.proposal import MOST_CONTEXTS, UNCOMPRESSED, Proposal

CR = "1.2.840.10008.5.1.4.1.1.1"
JPEG, EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


def answers(*proposed: tuple[str, list[str]]) -> list[tuple[int, str]]:
    """(result, syntax) of each proposed context."""
    contexts = [build_context(uid, syntaxes) for uid, syntaxes in proposed]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    keep_first_choices(contexts)
    results, _ = negotiate_as_acceptor(contexts, acceptable(contexts))
    return [(context.result, str(context.transfer_syntax[0])) for context in results]


def test_every_storage_class_is_accepted_in_every_transfer_syntax() -> None:
    classes = [str(context.abstract_syntax) for context in AllStoragePresentationContexts]
    assert len(classes) > 150
    assert len(ALL_TRANSFER_SYNTAXES) == 45
    for uid in classes:
        assert answers(*[(uid, [syntax]) for syntax in ALL_TRANSFER_SYNTAXES]) == [
            (0, syntax) for syntax in ALL_TRANSFER_SYNTAXES
        ]


@pytest.mark.parametrize("syntaxes", [[JPEG, EXPLICIT, IMPLICIT], [IMPLICIT, JPEG], [EXPLICIT, JPEG]])
def test_the_senders_first_choice_is_taken(syntaxes: list[str]) -> None:
    assert answers((CR, syntaxes)) == [(0, syntaxes[0])]


def test_each_context_of_a_class_is_accepted_in_its_own_first_choice() -> None:
    """A sender that cannot decompress needs the compressed one, whatever it proposed before it."""
    assert answers((CR, [IMPLICIT, EXPLICIT]), (CR, [JPEG, IMPLICIT])) == [(0, IMPLICIT), (0, JPEG)]


def test_an_unknown_syntax_is_passed_over_for_a_known_one_and_refused_alone() -> None:
    assert answers((CR, ["1.2.3.4.5", EXPLICIT]), ("1.2.840.10008.5.1.4.1.1.7", ["1.2.3.4.5"])) == [
        (0, EXPLICIT),
        (4, "1.2.3.4.5"),
    ]


@pytest.mark.parametrize(
    "uid",
    [
        CR,
        "1.2.840.10008.5.1.4.38.1",  # hanging protocol storage: not of a patient, but stored
        "1.2.840.10008.5.1.4.1.1.9",  # standalone curve storage, retired
        "1.3.12.2.1107.5.9.1",  # Siemens CSA non-image storage, private
        "1.2.840.10008.5.1.4.1.1.999.9",  # not in any dictionary yet
    ],
)
def test_retired_private_and_future_storage_classes_are_storage(uid: str) -> None:
    assert is_storage(uid)


@pytest.mark.parametrize("uid", ["1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.1.20.1"])
def test_verification_queries_and_commitment_are_not_storage(uid: str) -> None:
    assert not is_storage(uid)


def test_a_file_is_proposed_in_its_own_syntax_alone_and_uncompressed_beside_it() -> None:
    proposal = Proposal()
    assert proposal.widen(CR, JPEG)
    assert not proposal.widen(CR, JPEG)
    proposed = [[str(syntax) for syntax in context.transfer_syntax] for context in proposal.contexts()]
    assert proposed == [[JPEG], list(UNCOMPRESSED)]


def test_the_newest_classes_are_proposed_when_there_are_too_many() -> None:
    proposal = Proposal()
    for number in range(200):
        proposal.widen(f"1.2.3.{number}", JPEG)
    classes = [str(context.abstract_syntax) for context in proposal.contexts()]
    assert len(classes) <= MOST_CONTEXTS
    assert "1.2.3.199" in classes
    assert "1.2.3.0" not in classes
    assert proposal.widen("1.2.3.0", JPEG)
