"""What is seen of an instance, where its rules send it to, and what both come to when it cannot be looked at."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset
from pydicom.uid import DeflatedExplicitVRLittleEndian

from dicom_node.classify import Plan, Stop, settle
from dicom_node.errors import ModelError, OutOfResourcesError
from dicom_node.eye import Eye
from dicom_node.looking import MOST_ATTEMPTS, Looking
from dicom_node.model.batching import Batcher
from dicom_node.model.session import Model
from dicom_node.past import route_again
from dicom_node.policy import Policy
from dicom_node.ports import When
from dicom_node.receive import receive
from dicom_node.regions import Region
from dicom_node.rules import Rule
from dicom_node.spool import Spool
from dicom_node.testing import MemoryLedger
from dicom_node.verdict import Outcome, Sighting
from tests.dimse_objects import CR, cr, encoded, incoming, incoming_bytes
from tests.stories import LEASE, NOON
from tests.unit.model.tiny import write_tiny_model

ROOM = Rule(name="room", when={"StationName": ("ROOM1",)}, send_to=("room",))
RADIOGRAPHS = Rule(name="radiographs", when={"modality": ("CR", "DX")}, send_to=("pacs",))
COMPUTED = Rule(name="computed", when={"SOPClassUID": (CR,), "BodyPartExamined": ("HAND",)}, send_to=("archive",))
NAMES = ("pacs", "archive", "room", "ai")
PLAN = Plan(
    policy=Policy(),
    rules=(RADIOGRAPHS, COMPUTED, ROOM),
    stops=tuple(Stop(name=name, when=When.AT_ONCE) for name in NAMES),
)


class Broken:
    """An eye whose model never works."""

    def look(self, path: Path) -> Sighting:
        raise ModelError("out of memory")


class House:
    """A spool and a ledger with one instance."""

    def __init__(self, folder: Path, item) -> None:
        self.ledger = MemoryLedger()
        self.spool = Spool.opened(folder / "spool", 0, expected=lambda: False)
        receive(item, spool=self.spool, intake=self.ledger.intake, now=NOON)
        [self.instance] = self.ledger.work.claim(worker="w", limit=1, now=NOON, lease=LEASE)

    def routed(self, eye, **over) -> tuple[Sighting, set[str]]:
        """What was seen of the instance (with these fields), and where it goes; in a replay it must go there again."""
        sighting = Looking(eye=eye, spool=self.spool).look(replace(self.instance, **over))
        settle(self.instance, sighting, plan=PLAN, work=self.ledger.work, now=NOON)
        [record] = self.ledger.records.find(self.instance.sop_instance_uid)
        went = {delivery.destination for delivery in record.deliveries}
        again = replace(record, instance=replace(record.instance, **over))
        assert set(route_again(again, PLAN, self.spool).destinations) == went
        return sighting, went


@pytest.fixture
def eye(tmp_path):
    model = Model.open(write_tiny_model(tmp_path / "tiny.onnx"))
    with Batcher(model) as batcher:
        yield Eye(model=model, batcher=batcher)


def with_too_many_elements() -> Dataset:
    ds = cr()
    for number in range(21_000):
        ds.add_new(0x50011000 + number, "LO", "")
    return ds


def cut_off():
    """A deflated object whose end is missing."""
    whole = incoming(syntax=DeflatedExplicitVRLittleEndian, StationName="ROOM1")
    return replace(whole, dataset=whole.dataset[:-4])


def damaged(**elements):
    return incoming(StationName="ROOM1", **elements)


def test_an_image_whose_pixels_cannot_be_read_goes_by_its_whole_header(eye, tmp_path) -> None:
    sighting, went = House(tmp_path, damaged(PixelData=b"\0")).routed(eye)
    assert (sighting.outcome, sighting.header.region) == (Outcome.UNREADABLE, Region.HAND)
    assert went == {"pacs", "archive", "room", "ai"}


def test_an_image_with_a_value_that_cannot_be_converted_goes_by_its_whole_header(eye, tmp_path) -> None:
    """Rows of one byte is no number."""
    item = damaged()
    item = replace(item, dataset=item.dataset.replace(b"\x28\0\x10\0US\x02\0\x02\0", b"\x28\0\x10\0US\x01\0\x02"))
    sighting, went = House(tmp_path, item).routed(eye)
    assert sighting.outcome is Outcome.UNREADABLE
    assert went == {"pacs", "archive", "room", "ai"}


def test_an_object_that_cannot_be_opened_goes_by_what_was_kept_of_its_header(eye, tmp_path) -> None:
    """The PACS asks for radiographs, and nobody else gets them."""
    sighting, went = House(tmp_path, cut_off()).routed(eye)
    assert (sighting.outcome, sighting.header.region) == (Outcome.UNREADABLE, Region.HAND)
    assert sighting.reason == "the deflated data set ends too early"
    assert went == {"pacs", "archive", "ai"}


def test_an_object_of_too_many_elements_goes_by_what_was_kept_of_its_header(eye, tmp_path) -> None:
    item = incoming_bytes(encoded(with_too_many_elements()))
    sighting, went = House(tmp_path, item).routed(eye)
    assert sighting.outcome is Outcome.UNREADABLE
    assert went == {"pacs", "archive", "ai"}


def test_an_image_whose_file_is_lost_goes_by_what_was_kept_of_its_header(eye, tmp_path) -> None:
    """Its deliveries fail, and somebody sees that the PACS lacks it."""
    sighting, went = House(tmp_path, damaged()).routed(eye, spooled=False)
    assert sighting.reason == "its file is lost; send it to the node again"
    assert went == {"pacs", "archive", "ai"}


def test_an_image_that_is_given_up_goes_by_its_whole_header(tmp_path) -> None:
    """A model that does not work is no reason for the PACS to lack a radiograph."""
    house = House(tmp_path, damaged())
    with pytest.raises(ModelError):
        house.routed(Broken(), attempts=MOST_ATTEMPTS)
    sighting, went = house.routed(Broken(), attempts=MOST_ATTEMPTS + 1)
    assert (sighting.outcome, sighting.reason) == (Outcome.UNREADABLE, "given up after 20 attempts to classify it")
    assert went == {"pacs", "archive", "room", "ai"}


def test_an_image_whose_header_ends_the_process_is_known_by_the_ledger_alone(tmp_path) -> None:
    """Without a look at its file, which is not even there."""
    house = House(tmp_path, damaged())
    house.spool.path(house.instance.path).unlink()
    with pytest.raises(FileNotFoundError):
        house.routed(Broken(), attempts=MOST_ATTEMPTS + 1)
    _, went = house.routed(Broken(), attempts=MOST_ATTEMPTS + 2)
    assert went == {"pacs", "archive", "ai"}


def test_while_the_spool_is_away_nothing_is_given_up(tmp_path) -> None:
    house = House(tmp_path, damaged())
    (tmp_path / "spool").rename(tmp_path / "elsewhere")
    with pytest.raises(OutOfResourcesError):
        house.routed(Broken(), attempts=MOST_ATTEMPTS + 1)


def test_an_image_that_can_be_looked_at_is(eye, tmp_path) -> None:
    house = House(tmp_path, incoming())
    assert Looking(eye=eye, spool=house.spool).look(house.instance).outcome is Outcome.TAGGED


def test_a_header_is_not_asked_of_the_ledger_while_the_spool_is_away(tmp_path) -> None:
    """The ledger knows no side; a study that closed meanwhile was judged without it, for good."""
    house = House(tmp_path, incoming(BodyPartExamined="HIP", Laterality="L"))
    looking = Looking(eye=Broken(), spool=house.spool)
    assert looking.header_of(house.instance).sided
    (tmp_path / "spool").rename(tmp_path / "elsewhere")
    with pytest.raises(OutOfResourcesError, match="check that its disk is mounted"):
        looking.header_of(house.instance)
