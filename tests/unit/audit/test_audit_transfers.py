"""What the trail tells of transfers: a message for each study, about the patient whose images those are."""

from collections.abc import Callable
from dataclasses import replace
from xml.etree.ElementTree import Element

import pytest

from dicom_node.audit.messages import Messages, Remote, Source
from dicom_node.audit.trail import Trail
from dicom_node.audit.transfers import AuditedTransport, ReceptionWatch
from dicom_node.instance import Incoming, Instance, InstanceState, Receipt
from tests.audit_schema import checked, event_of, objects_of
from tests.dimse_objects import cr, encoded, incoming, incoming_bytes, written
from tests.stories import NOON, arrival

MESSAGES = Messages(Source(source_id="REGION@node", ae_title="REGION", host="node", process="4711"))


class Kept(Trail):
    """A trail that keeps its messages at hand."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[bytes] = []

    def note(self, message: bytes) -> None:
        self.messages.append(message)

    def transferred(self) -> list[tuple[str, str, int]]:
        """Study, patient and number of images of each message on a transfer that is over."""
        roots = [root for root in map(checked, self.messages) if event_of(root) == "110104"]
        return [(objects_of(root)["110180"], objects_of(root)["2"], images_in(root)) for root in roots]


def images_in(root: Element) -> int:
    return sum(int(each.attrib["NumberOfInstances"]) for each in root.iter("SOPClass"))


def receipt(item: Incoming, study_uid: str) -> Receipt:
    given = arrival(1, sop_instance_uid=item.sop_instance_uid, study_uid=study_uid)
    return Receipt(instance=Instance(**vars(given), id=1, state=InstanceState.RECEIVED), duplicate=False)


def told_of_receiving(*images: tuple[str, Incoming]) -> list[tuple[str, str, int]]:
    trail = Kept()
    watch = ReceptionWatch(trail, MESSAGES, lambda: NOON)
    for study_uid, item in images:
        watch.stored(7, item, receipt(item, study_uid))
    watch.ended(7)
    return trail.transferred()


class Line:
    """A line to a destination that takes everything."""

    def send(self, path) -> None: ...
    def close_if_idle(self) -> None: ...
    def close(self) -> None: ...


@pytest.fixture
def told_of_sending(tmp_path) -> Callable[..., list[tuple[str, str, int]]]:
    def told(*images: Incoming) -> list[tuple[str, str, int]]:
        trail = Kept()
        pacs = Remote(ae_title="PACS", address="10.0.0.7")
        way = AuditedTransport(Line(), to=pacs, export=False, trail=trail, messages=MESSAGES, now=lambda: NOON)
        for number, item in enumerate(images):
            way.send(written(tmp_path, replace(item, sop_instance_uid=f"1.2.3.{number}")))
        way.close()
        return trail.transferred()

    return told


def test_a_study_is_told_once_with_all_its_images(told_of_sending) -> None:
    images = [incoming(f"1.2.3.{number}", PatientID="A") for number in range(3)]
    assert told_of_receiving(*[("1.2.3.1", item) for item in images]) == [("1.2.3.1", "A", 3)]
    assert told_of_sending(*images) == [("1.2.3.1", "A", 3)]


def test_images_without_a_study_are_told_for_each_of_their_patients(told_of_sending) -> None:
    """A message is about one patient (PS3.15 A.5.3.7), and the schema wants some study."""
    images = [incoming(f"1.2.3.{n}", StudyInstanceUID="", PatientID=patient) for n, patient in enumerate("ABB")]
    assert told_of_receiving(*[("", item) for item in images]) == [("unknown", "A", 1), ("unknown", "B", 2)]
    assert told_of_sending(*images) == [("unknown", "A", 1), ("unknown", "B", 2)]


@pytest.mark.parametrize(
    ("character_set", "value", "patient"),
    [
        ("ISO_IR 100", "MÜ-1".encode("latin-1"), "MÜ-1"),
        ("ISO_IR 192", "Жук".encode(), "Жук"),
        ("ISO_IR 144", "Жук".encode("iso8859-5"), "Жук"),
        ("GBK", "张".encode("gbk"), "张"),
        ("\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B", "山田"),
        ("ISO_IR 192", "MÜ-1".encode("latin-1"), "MÜ-1"),
        (None, "MÜ-1".encode(), "MÜ-1"),
        (None, "MÜ-1".encode("latin-1"), "MÜ-1"),
        ("NONSENSE", b"A-1", "A-1"),
    ],
)
def test_a_patient_is_named_in_the_characters_of_the_image(character_set, value, patient) -> None:
    declared = {} if character_set is None else {"SpecificCharacterSet": character_set}
    padded = value + b" " * (12 - len(value))
    dataset = encoded(cr(PatientID="x" * 12, **declared)).replace(b"x" * 12, padded)
    item = incoming_bytes(dataset)
    assert told_of_receiving(("1.2.3.1", item)) == [("1.2.3.1", patient, 1)]
