"""Rows of the ledger as values, and values as rows; every column bears the name of the field that it keeps."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from dicom_node.instance import Arrival, Delivery, Event, Instance, InstanceState
from dicom_node.label import Label
from dicom_node.record import JobRun
from dicom_node.regions import REGIONS
from dicom_node.verdict import Recognition, Verdict

Row = Mapping[Any, Any]
T = TypeVar("T")


def new_instance_row(arrival: Arrival, *, conflict: bool) -> dict[str, Any]:
    return {name: storable(value) for name, value in asdict(arrival).items()} | {
        "state": InstanceState.RECEIVED,
        "attempts": 0,
        "conflict": conflict,
        "spooled": True,
        "routed": False,
    }


def storable(value: T) -> T:
    """Text of a peer without what no database column holds (NUL, half a surrogate pair); other values as they are."""
    if not isinstance(value, str):
        return value
    return type(value)(value.replace("\0", "").encode("utf-8", "replace").decode("utf-8"))


def instance_of(row: Row) -> Instance:
    return Instance(**_fields_of(Instance, row))


def delivery_of(row: Row) -> Delivery:
    return Delivery(**_fields_of(Delivery, row))


def event_of(row: Row) -> Event:
    return Event(**_fields_of(Event, row))


def label_row(instance_id: int, label: Label) -> dict[str, Any]:
    return {name: storable(value) for name, value in asdict(label).items()} | {"instance_id": instance_id}


def label_of(row: Row) -> Label:
    return Label(**_fields_of(Label, row))


def job_of(row: Row) -> JobRun:
    return JobRun(**_fields_of(JobRun, row))


def verdict_row(instance_id: int, verdict: Verdict) -> dict[str, Any]:
    return {name: storable(value) for name, value in asdict(verdict).items()} | {"instance_id": instance_id}


def verdict_of(row: Row) -> Verdict:
    return Verdict(**_fields_of(Verdict, row))


def prediction_row(instance_id: int, recognition: Recognition) -> dict[str, Any]:
    probabilities = {f"p_{region}": recognition.probabilities[region] for region in REGIONS}
    return probabilities | {
        "instance_id": instance_id,
        "model_id": recognition.model_id,
        "region": recognition.region,
        "confidence": recognition.confidence,
        "reject_score": recognition.reject_score,
        "embedding": recognition.embedding,
    }


def recognition_of(row: Row) -> Recognition:
    return Recognition(
        model_id=row["model_id"],
        probabilities={region: row[f"p_{region}"] for region in REGIONS},
        region=row["region"],
        confidence=row["confidence"],
        reject_score=row["reject_score"],
        embedding=bytes(row["embedding"]),
    )


def _fields_of(kind: type[Any], row: Row) -> dict[str, Any]:
    return {field.name: row[field.name] for field in fields(kind)}
