"""Values for the tests of the stories; what a test does not care about is filled in here."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from dicom_node.bodypart import read_header_region
from dicom_node.instance import Arrival, Instance
from dicom_node.ports import Ledger
from dicom_node.regions import REGIONS, Region
from dicom_node.verdict import Outcome, Recognition, Sighting

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASE = timedelta(minutes=5)


def arrival(number: int = 1, **over) -> Arrival:
    """The arrival of instance `number`; every number is another instance of the same series."""
    values = {
        "sop_instance_uid": f"1.2.3.{number}",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.1",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "study_uid": "1.2.1",
        "series_uid": "1.2.2",
        "modality": "CR",
        "body_part": "",
        "digest": f"{number:064x}",
        "path": f"00/00/{number:064x}.dcm",
        "size": 1000,
        "calling_ae": "CR1",
        "called_ae": "REGION",
        "peer": "127.0.0.1",
        "received_at": NOON,
    }
    return Arrival(**(values | over))


def received(ledger: Ledger, number: int = 1, **over) -> Instance:
    """An instance in the ledger, claimed by a worker."""
    ledger.intake.add(arrival(number, **over))
    return ledger.work.claim(worker="w", limit=1, now=NOON, lease=LEASE)[0]


def recognition(region: Region, confidence: float = 0.97) -> Recognition:
    """What a model says that is sure of a region by `confidence`."""
    rest = (1 - confidence) / (len(REGIONS) - 1)
    return Recognition(
        model_id="test-1",
        probabilities={each: confidence if each is region else rest for each in REGIONS},
        region=region,
        confidence=confidence,
        reject_score=0.0,
        embedding=b"\0" * 2048,
    )


def seen(
    region: Region | None,
    *,
    header: str = "",
    code: str = "",
    sided: bool = False,
    confidence: float = 0.97,
    outcome: Outcome = Outcome.TAGGED,
) -> Sighting:
    """What looking at an image came to."""
    return Sighting(
        outcome=outcome,
        header=replace(read_header_region(header, code), sided=sided),
        values={"Modality": ("CR",), "BodyPartExamined": (header,)} if header else {"Modality": ("CR",)},
        recognition=recognition(region, confidence) if region else None,
    )
