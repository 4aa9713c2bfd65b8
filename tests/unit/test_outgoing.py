"""What a destination gets of one instance."""

from contextlib import suppress
from dataclasses import replace

import pydicom
import pytest

from dicom_node.classify import Plan, Stop, settle
from dicom_node.config import Destination
from dicom_node.errors import PermanentError, TransientError
from dicom_node.instance import REPORT_ALONE
from dicom_node.outgoing import Dispatch
from dicom_node.part10 import incoming_from_file
from dicom_node.policy import Policy
from dicom_node.ports import When
from dicom_node.receive import receive
from dicom_node.regions import Region
from dicom_node.spool import Spool
from dicom_node.testing import MemoryLedger
from dicom_node.verdict import Outcome
from tests.dicomfiles import dataset_bytes
from tests.radiographs import as_file
from tests.stories import LEASE, NOON, seen
from tests.synthetic import bright

PLAN = Plan(policy=Policy(), rules=(), stops=(Stop(name="pacs", when=When.AT_ONCE),))


class House:
    """A spool and a ledger with one settled image."""

    def __init__(self, folder, ds, sighting) -> None:
        self.ledger = MemoryLedger()
        self.spool = Spool(folder / "spool", 0)
        self.take(folder, ds, sighting)

    def take(self, folder, ds, sighting) -> None:
        self.file = as_file(ds, folder)
        incoming = incoming_from_file(self.file, calling_ae="CR1", called_ae="REGION", peer="")
        receive(incoming, spool=self.spool, intake=self.ledger.intake, now=NOON)
        [self.instance] = self.ledger.work.claim(worker="w", limit=1, now=NOON, lease=LEASE)
        self.verdict = settle(self.instance, sighting, plan=PLAN, work=self.ledger.work, now=NOON)
        self.recognition = sighting.recognition

    def sent(self, **destination) -> list[tuple[pydicom.Dataset, bytes]]:
        """What goes out: each object, and its data set's bytes."""
        with self.dispatch(**destination).prepare(self.instance, self.verdict, self.recognition) as outgoing:
            return [(pydicom.dcmread(item.path), dataset_bytes(item.path)) for item in outgoing]

    def dispatch(self, **destination) -> Dispatch:
        keys = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 104} | destination
        return Dispatch(
            destination=Destination(**keys),
            spool=self.spool,
            work=self.ledger.work,
            records=self.ledger.records,
            policy=PLAN.policy,
            ae_title="REGION",
            now=lambda: NOON,
        )


@pytest.fixture
def filled(tmp_path) -> House:
    """An image with an empty header whose pixels show a shoulder."""
    return House(tmp_path, bright(), seen(Region.SHOULDER))


@pytest.fixture
def unsure(tmp_path) -> House:
    """An image on which the model abstained."""
    return House(tmp_path, bright(), seen(Region.SHOULDER, confidence=0.4, outcome=Outcome.ABSTAINED))


def test_inline_sends_the_corrected_copy_under_its_own_uid(filled) -> None:
    [(ds, _)] = filled.sent()
    assert (ds.BodyPartExamined, ds.SOPInstanceUID) == ("SHOULDER", filled.instance.sop_instance_uid)


def test_inline_with_original_sends_the_original_instead(filled) -> None:
    [(_, content)] = filled.sent(original=True)
    assert content == dataset_bytes(filled.file)


def test_copy_sends_a_new_instance_and_the_original_only_when_asked(filled) -> None:
    [(copy, _)] = filled.sent(mode="copy")
    assert copy.SOPInstanceUID != filled.instance.sop_instance_uid
    (_, original), (again, _) = filled.sent(mode="copy", original=True)
    assert original == dataset_bytes(filled.file)
    assert again.SOPInstanceUID == copy.SOPInstanceUID


def test_annotate_sends_image_and_report_or_the_report_alone(filled) -> None:
    (_, original), (report, _) = filled.sent(mode="annotate")
    assert original == dataset_bytes(filled.file)
    assert report.Modality == "SR"
    [(alone, _)] = filled.sent(mode="annotate", original=False)
    assert alone.SOPInstanceUID == report.SOPInstanceUID


def test_a_report_that_goes_alone_says_so_for_retention(filled) -> None:
    """Its destination counts for none that has the image."""
    said = {}
    for original in (True, False):
        dispatch = filled.dispatch(mode="annotate", original=original)
        with dispatch.prepare(filled.instance, filled.verdict, filled.recognition) as outgoing:
            said[original] = outgoing[-1].written
    assert said == {True: None, False: REPORT_ALONE}


def test_where_there_is_nothing_to_report_annotate_without_the_original_sends_nothing(unsure) -> None:
    assert unsure.sent(mode="annotate", original=False) == []
    assert len(unsure.sent(mode="annotate")) == 1


def test_what_is_not_corrected_goes_byte_for_byte_in_every_mode(unsure) -> None:
    for mode in ("inline", "copy", "annotate"):
        [(_, content)] = unsure.sent(mode=mode)
        assert content == dataset_bytes(unsure.file)


def test_sending_again_sends_the_very_same_object(filled) -> None:
    for mode in ("inline", "copy", "annotate"):
        assert [content for _, content in filled.sent(mode=mode)] == [content for _, content in filled.sent(mode=mode)]


@pytest.mark.parametrize("keyword", ["Laterality", "ImageLaterality"])
def test_a_hip_keeps_the_side_that_its_sender_states(keyword, tmp_path) -> None:
    original = bright(**{keyword: "L"})
    [(ds, _)] = House(tmp_path, original, seen(Region.PELVIS_HIP, sided=True)).sent()
    assert (ds.BodyPartExamined, ds[keyword].value) == ("HIP", "L")
    assert ds.AnatomicRegionSequence[0].CodeValue == "24136001"


def test_a_closed_series_of_pelves_takes_no_image_its_side(tmp_path) -> None:
    house = House(tmp_path, bright(Laterality="R"), seen(Region.PELVIS_HIP, sided=True))
    house.ledger.work.series_value(
        study_uid=house.instance.study_uid,
        series_uid=house.instance.series_uid,
        when=When.STUDY_CLOSED,
        proposed="PELVIS",
    )
    [(_, content)] = house.sent(when="study_closed")
    assert content == dataset_bytes(house.file)


def test_a_closed_series_gives_no_image_what_its_own_pixels_contradict(tmp_path) -> None:
    house = House(tmp_path, bright(), seen(Region.FOOT))
    house.ledger.work.series_value(
        study_uid=house.instance.study_uid,
        series_uid=house.instance.series_uid,
        when=When.STUDY_CLOSED,
        proposed="HAND",
    )
    [(_, content)] = house.sent(when="study_closed")
    assert content == dataset_bytes(house.file)


def test_a_finer_term_of_the_series_is_not_said_to_be_what_the_pixels_show(tmp_path) -> None:
    """The model knows hands; FINGER is another sender's word."""
    house = House(tmp_path, bright(), seen(Region.HAND))
    house.ledger.work.series_value(
        study_uid=house.instance.study_uid,
        series_uid=house.instance.series_uid,
        when=When.STUDY_CLOSED,
        proposed="FINGER",
    )
    [(ds, _)] = house.sent(when="study_closed")
    assert (ds.BodyPartExamined, ds.AnatomicRegionSequence[0].CodeMeaning) == ("FINGER", "Hand")


def test_the_old_value_is_kept_in_its_own_bytes(tmp_path) -> None:
    """Latin-1 where nothing says so; and the side with the padding that its sender gave it."""
    original = bright(BodyPartExamined="KNEE", Laterality="R")
    file = as_file(original, tmp_path)
    raw = file.read_bytes().replace(b"KNEE", b"H\xdcTE").replace(b"CS\x02\x00R ", b"CS\x02\x00R\0")
    file.write_bytes(raw)
    house = House(tmp_path, pydicom.dcmread(file), seen(Region.KNEE))
    house.verdict = replace(house.verdict, body_part="KNEE")
    [(_, content)] = house.sent()
    assert b"H\xdcTE" in content
    assert b"CS\x02\x00R\0" in content


def test_two_objects_under_one_uid_get_different_new_uids(filled, tmp_path) -> None:
    [(first, _)] = filled.sent(mode="copy")
    twin = pydicom.dcmread(filled.file)
    twin.InstitutionName = "Elsewhere"
    filled.take(tmp_path, twin, seen(Region.SHOULDER))
    assert filled.instance.conflict
    [(second, _)] = filled.sent(mode="copy")
    assert second.SOPInstanceUID != first.SOPInstanceUID


# The latter where its sender was quicker than the failure: what comes then is a duplicate, and puts nothing right.
SEND_OR_REQUEUE = "send it to the node again, or `dicom-node requeue` it if it has come again since"


def test_a_file_that_retention_removed_is_a_failure_for_good_that_says_what_to_do(filled) -> None:
    filled.spool.remove(filled.instance.path)
    filled.instance = replace(filled.instance, spooled=False)
    with pytest.raises(PermanentError, match=SEND_OR_REQUEUE):
        filled.sent()


@pytest.mark.parametrize("mode", ["inline", "copy", "annotate"])
def test_a_damaged_file_is_sent_to_nobody_and_its_failure_says_what_to_do(filled, mode: str) -> None:
    """Half of its pixels would pass for delivered, and the whole image then be removed."""
    file = filled.spool.path(filled.instance.path)
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(PermanentError, match=f"is damaged; {SEND_OR_REQUEUE}"):
        filled.sent(mode=mode)


def test_a_file_that_came_back_while_retention_marked_it_as_gone_is_sent(filled) -> None:
    filled.instance = replace(filled.instance, spooled=False)
    assert len(filled.sent()) == 1


def test_a_study_that_is_not_closed_decides_nothing_for_its_series(filled) -> None:
    [(_, content)] = filled.sent(when="study_closed")
    assert content == dataset_bytes(filled.file)
    series = {
        "study_uid": filled.instance.study_uid,
        "series_uid": filled.instance.series_uid,
        "when": When.STUDY_CLOSED,
    }
    assert filled.ledger.work.series_value(**series, proposed="SHOULDER") == "SHOULDER"


def test_an_object_that_cannot_be_corrected_goes_as_it_came_and_that_is_noted(tmp_path) -> None:
    signed = bright()
    signed.DigitalSignaturesSequence = [pydicom.Dataset()]
    house = House(tmp_path, signed, seen(Region.SHOULDER))
    [(_, content)] = house.sent()
    assert content == dataset_bytes(house.file)
    kinds = [event.kind for event in house.ledger.records.find(house.instance.sop_instance_uid)[0].events]
    assert "correction_failed" in kinds


def test_it_is_noted_once_and_when_it_has_gone_however_often_its_destination_was_away(tmp_path) -> None:
    """Attempts go on for ever, and events are never removed."""
    signed = bright()
    signed.DigitalSignaturesSequence = [pydicom.Dataset()]
    house = House(tmp_path, signed, seen(Region.SHOULDER))
    dispatch = house.dispatch()

    def attempted(*, away: bool) -> int:
        """How often it is noted after another attempt."""
        with suppress(TransientError), dispatch.prepare(house.instance, house.verdict, house.recognition):
            if away:
                raise TransientError("away")
        events = house.ledger.records.find(house.instance.sop_instance_uid)[0].events
        return [event.kind for event in events].count("correction_failed")

    assert [attempted(away=True) for _ in range(3)] == [0, 0, 0]
    assert attempted(away=False) == 1
