"""Which images it is that `status` counts."""

import pytest

from dicom_node.commitment import SopReference
from dicom_node.ports import Ledger
from dicom_node.standing import DELIVERIES, Standing
from dicom_node.verdict import Decision, Outcome
from tests.contract.ledger.racing import due, settled, to, verdict
from tests.stories import NOON, arrival

EVERYTHING = 10**9
# Those of which each image is counted once.
OF_IMAGES = [Standing.ABSTAINED, Standing.REVIEW, Standing.UNROUTED, Standing.CONFLICTING, Standing.LOST]


def numbers(ledger: Ledger, standing: Standing, destination: str | None = None) -> list[str]:
    """The last figures of the UIDs of the images that stand there."""
    found = ledger.standings.images(standing, destination=destination, limit=EVERYTHING)
    return [image.instance.sop_instance_uid.removeprefix("1.2.3.") for image in found.images]


@pytest.fixture
def busy(ledger: Ledger) -> Ledger:
    """A ledger with at least two images of every standing, and some deliveries of every state."""
    for number in (1, 2):
        ledger.intake.add(arrival(number))
    for number in (3, 4):
        settled(ledger, number)
    changes = [
        {"outcome": Outcome.ABSTAINED},
        {"decision": Decision.REVIEW},
        {"outcome": Outcome.UNREADABLE},
        {"outcome": Outcome.ABSTAINED, "decision": Decision.REVIEW},
        {"outcome": Outcome.UNREADABLE, "decision": Decision.REVIEW},
    ]
    for number, change in enumerate(changes, start=5):
        instance = ledger.intake.add(arrival(number)).instance
        ledger.work.settle(instance.id, verdict(**change), recognition=None, deliveries=to("PACS", "AI"))
    for number in (10, 11):
        ledger.repairs.lose(settled(ledger, number, deliveries=to("PACS", due=None)).id, now=NOON)
    first, second, third, *rest = due(ledger, "PACS")
    for delivery in (first, second):
        ledger.outbox.fail(delivery.id, error=f"refused {delivery.id}", now=NOON)
    ledger.outbox.delivered(third.id, sent_uid="1.9", written=None, now=NOON)
    objects = [SopReference(sop_class_uid="1.5", sop_instance_uid="1.9.1")]
    for delivery in rest:
        ledger.outbox.sent(delivery.id, objects=objects, written=None, now=NOON, ask_at=NOON)
    (refused, *_) = due(ledger, "AI", limit=1)
    ledger.outbox.fail(refused.id, error="refused by the model", now=NOON)
    settled(ledger, 3, digest="f" * 64)
    return ledger


@pytest.mark.parametrize("standing", OF_IMAGES)
def test_as_many_images_are_named_as_are_counted(busy: Ledger, standing: Standing) -> None:
    counted = getattr(busy.records.counts(), standing)
    assert counted >= 2
    assert len(numbers(busy, standing)) == counted


@pytest.mark.parametrize("standing", DELIVERIES)
def test_as_many_deliveries_are_named_as_are_counted(busy: Ledger, standing: Standing) -> None:
    """An image with several is named once, with all of them; one that has no verdict yet is pending itself."""
    images = busy.standings.images(standing, limit=EVERYTHING).images
    named = sum(len(image.deliveries) for image in images)
    itself = [image for image in images if not image.deliveries]
    assert named + len(itself) == getattr(busy.records.counts(), standing) > 0
    assert {image.verdict for image in itself} <= {None}
    assert len({image.instance.id for image in images}) == len(images)


@pytest.mark.parametrize("standing", DELIVERIES)
@pytest.mark.parametrize("name", ["PACS", "AI", "NEW"])
def test_the_images_of_one_destination_are_those_of_its_own_figures(
    busy: Ledger, standing: Standing, name: str
) -> None:
    figures = {row.destination: row for row in busy.records.destinations()}
    expected = getattr(figures[name], standing) if name in figures else 0
    images = busy.standings.images(standing, destination=name, limit=EVERYTHING).images
    assert len(images) == expected
    assert {delivery.destination for image in images for delivery in image.deliveries} <= {name}


def test_images_are_named_by_what_they_are(busy: Ledger) -> None:
    assert numbers(busy, Standing.ABSTAINED) == ["8", "5"]
    assert numbers(busy, Standing.REVIEW) == ["9", "8", "6"]
    assert numbers(busy, Standing.UNREADABLE) == ["9", "7"]
    assert numbers(busy, Standing.UNROUTED) == ["3", "4", "3"]
    assert numbers(busy, Standing.CONFLICTING) == ["3", "3"]
    assert numbers(busy, Standing.LOST) == ["11", "10"]
    assert numbers(busy, Standing.FAILED) == ["6", "5"]
    assert numbers(busy, Standing.FAILED, "AI") == ["5"]
    assert numbers(busy, Standing.UNCOMMITTED) == ["9", "8"]
    assert numbers(busy, Standing.PENDING) == ["11", "10", "9", "8", "7", "6", "2", "1"]
    assert numbers(busy, Standing.PENDING, "PACS") == ["11", "10"]


@pytest.mark.parametrize("standing", Standing)
def test_the_newest_are_named_first_and_those_cut_off_are_counted(busy: Ledger, standing: Standing) -> None:
    whole = busy.standings.images(standing, limit=EVERYTHING)
    cut = busy.standings.images(standing, limit=1)
    assert whole.total == cut.total == len(whole.images) > 1
    assert cut.images == whole.images[:1]


def test_an_image_is_named_with_its_verdict_and_the_deliveries_that_put_it_there(busy: Ledger) -> None:
    (image,) = [one for one in busy.standings.images(Standing.FAILED, limit=9).images if len(one.deliveries) == 2]
    (record,) = busy.records.find("1.2.3.5")
    assert (image.instance, image.verdict, image.deliveries) == (record.instance, record.verdict, record.deliveries)
    assert len({one.last_error for one in image.deliveries}) == 2
    (at_ai,) = busy.standings.images(Standing.FAILED, destination="AI", limit=9).images
    assert [one.last_error for one in at_ai.deliveries] == ["refused by the model"]
    assert busy.standings.images(Standing.ABSTAINED, limit=1).images[0].deliveries == ()


@pytest.mark.parametrize("standing", Standing)
def test_an_empty_ledger_names_nothing(ledger: Ledger, standing: Standing) -> None:
    nothing = ledger.standings.images(standing, limit=1)
    assert (nothing.images, nothing.total) == ((), 0)
