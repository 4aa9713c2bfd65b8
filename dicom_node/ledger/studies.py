"""The ledger as the study closer sees it."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, exists, select, update

from dicom_node.instance import Event, Instance
from dicom_node.ledger.engine import Database
from dicom_node.ledger.history import keep_events
from dicom_node.ledger.rows import instance_of, storable, verdict_of
from dicom_node.ledger.schema import (
    deliveries,
    instances,
    is_open,
    is_pending,
    is_received,
    is_settled,
    series_values,
    studies,
    verdicts,
)
from dicom_node.ledger.work import keep_series_value
from dicom_node.ports import When
from dicom_node.verdict import Decision, Verdict


class SqlStudies:
    """Implements `dicom_node.closing.Studies`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_right(self, *, now: datetime) -> None:
        ahead = is_open, studies.c.newest_at > now
        with self._database.reading() as connection:
            if connection.scalar(select(studies.c.study_uid).where(*ahead).limit(1)) is None:
                return  # as nearly always: nobody waits for a write
        with self._database.writing() as connection:
            connection.execute(update(studies).where(*ahead).values(newest_at=now))

    def quiet(self, *, since: datetime) -> Sequence[str]:
        waiting = exists().where(instances.c.study_uid == studies.c.study_uid, is_received)
        query = (
            select(studies.c.study_uid)
            .where(is_open, studies.c.newest_at < since, ~waiting)
            .order_by(studies.c.newest_at, studies.c.study_uid)
        )
        with self._database.reading() as connection:
            return connection.scalars(query).all()

    def settled(self, study_uid: str) -> Sequence[tuple[Instance, Verdict]]:
        if not study_uid:
            return []  # images without a Study Instance UID are no study
        of_study = instances.c.study_uid == study_uid, is_settled
        images = select(instances).where(*of_study).order_by(instances.c.received_at, instances.c.id)
        answers = select(verdicts).join(instances, instances.c.id == verdicts.c.instance_id).where(*of_study)
        with self._database.reading() as connection:
            found = [instance_of(row) for row in connection.execute(images).mappings()]
            by_id = {row["instance_id"]: verdict_of(row) for row in connection.execute(answers).mappings()}
        return [(instance, by_id[instance.id]) for instance in found]

    def decided(self, study_uid: str) -> Mapping[str, str | None]:
        kept = select(series_values.c.series_uid, series_values.c.value).where(
            series_values.c.study_uid == study_uid, series_values.c.when == When.STUDY_CLOSED
        )
        with self._database.reading() as connection:
            return {row.series_uid: row.value for row in connection.execute(kept)}

    def close(
        self,
        study_uid: str,
        *,
        since: datetime,
        values: Mapping[str, str | None],
        now: datetime,
        reviews: Mapping[int, str] | None = None,
    ) -> int | None:
        # Locks the study's row: an image that arrives now waits, and then re-opens what is closed here.
        lock = (
            select(studies.c.study_uid)
            .where(studies.c.study_uid == study_uid, is_open, studies.c.newest_at < since)
            .with_for_update()
        )
        waiting = select(instances.c.id).where(instances.c.study_uid == study_uid, is_received).limit(1)
        with self._database.writing() as connection:
            if connection.scalar(lock) is None or connection.scalar(waiting) is not None:
                return None
            for series_uid, value in sorted(values.items()):
                keep_series_value(connection, study_uid, series_uid, when=When.STUDY_CLOSED, value=value)
            connection.execute(update(studies).where(studies.c.study_uid == study_uid).values(closed_at=now))
            _send_to_review(connection, reviews or {}, now=now)
            members = select(instances.c.id).where(instances.c.study_uid == study_uid)
            held_back = update(deliveries).where(deliveries.c.instance_id.in_(members), *_WAITS)
            return connection.execute(held_back.values(due_at=now)).rowcount


_WAITS = (is_pending, deliveries.c.due_at.is_(None))


def _send_to_review(connection: Connection, reviews: Mapping[int, str], *, now: datetime) -> None:
    waits = exists().where(deliveries.c.instance_id == verdicts.c.instance_id, *_WAITS)
    for instance_id, reason in sorted(reviews.items()):
        changed = (
            update(verdicts)
            .where(verdicts.c.instance_id == instance_id, waits)
            .values(decision=Decision.REVIEW, reason=storable(reason))
        )
        if connection.execute(changed).rowcount:
            keep_events(connection, [Event(kind="review", at=now, instance_id=instance_id, detail="study closed")])
