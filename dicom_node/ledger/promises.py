"""The ledger as the storage commitment SCP sees it."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Delete, Update, case, delete, exists, false, or_, select, true, update

from dicom_node.commitment import MOST_SHOWN, CommitmentRequest, Promise, PromiseState, SopReference
from dicom_node.instance import Instance
from dicom_node.ledger.engine import Database, in_portions, insert_into
from dicom_node.ledger.rows import Row, instance_of, storable
from dicom_node.ledger.schema import instances, is_given_up, is_lost, is_promised, is_unreported, promises

_others = instances.alias("others")
_same_uid = (_others.c.sop_instance_uid == instances.c.sop_instance_uid) & (_others.c.id != instances.c.id)
_is_retired_beside_another = (instances.c.let_go == false()) & exists().where(_same_uid, _others.c.spooled == true())


class SqlPromises:
    """Implements `dicom_node.ports.Promises`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def ask(self, request: CommitmentRequest, *, now: datetime, due_at: datetime) -> Promise | None:
        values = _row(request) | {"state": PromiseState.OPEN, "asked_at": now, "due_at": due_at, "attempts": 0}
        same = (promises.c.calling_ae == values["calling_ae"]) & (
            promises.c.transaction_uid == values["transaction_uid"]
        )
        anew = values | {"last_error": None, "reported_at": None}
        with self._database.writing() as connection:
            new = insert_into(connection, promises).values(values).on_conflict_do_nothing()
            connection.execute(new)
            connection.execute(update(promises).where(same, ~is_promised).values(anew))
            row = connection.execute(select(promises).where(same)).mappings().one()
        return _promise_of(row) if row["referenced"] == values["referenced"] else None

    def claim(self, *, limit: int, now: datetime, lease: timedelta) -> Sequence[Promise]:
        due = (
            select(promises.c.id)
            .where(is_promised, promises.c.due_at <= now)
            .order_by(promises.c.due_at, promises.c.attempts, promises.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        with self._database.writing() as connection:
            ids = connection.scalars(due).all()
            taken = (
                update(promises)
                .where(promises.c.id.in_(ids), is_promised, promises.c.due_at <= now)
                .values(due_at=now + lease)
                .returning(promises)
            )
            rows = connection.execute(taken).mappings().all() if ids else []
        ranks = {id_: rank for rank, id_ in enumerate(ids)}
        return sorted((_promise_of(row) for row in rows), key=lambda promise: ranks[promise.id])

    def here(self, sop_instance_uids: Sequence[str]) -> Sequence[Instance]:
        found: list[Instance] = []
        with self._database.reading() as connection:
            for portion in in_portions([storable(uid) for uid in sop_instance_uids]):
                query = select(instances).where(
                    instances.c.sop_instance_uid.in_(portion),
                    or_(instances.c.spooled == true(), is_lost, _is_retired_beside_another),
                )
                found += [instance_of(row) for row in connection.execute(query).mappings()]
        return sorted(found, key=lambda instance: instance.id)

    def reported(self, promise_id: int, *, now: datetime) -> None:
        # What it was about is needed no more, and peers may ask for thousands of objects at once.
        over = {"state": PromiseState.REPORTED, "reported_at": now, "last_error": None, "referenced": "[]"}
        self._change(_open(promise_id).values(over))

    def postpone(self, promise_id: int, *, error: str, due_at: datetime) -> None:
        self._change(_failed(promise_id, error).values(due_at=due_at))

    def hand_on(self, promise_id: int, *, due_at: datetime) -> None:
        self._change(_open(promise_id).values(due_at=due_at))

    def extend(self, promise_id: int, *, until: datetime) -> bool:
        later = case((promises.c.due_at < until, until), else_=promises.c.due_at)
        return bool(self._change(_open(promise_id).values(due_at=later)))

    def hold(self, calling_ae: str, *, until: datetime) -> None:
        self._change(_open_of(calling_ae, promises.c.due_at < until).values(due_at=until))

    def give_up(self, calling_ae: str, *, asked_by: datetime, error: str) -> int:
        over = _open_of(calling_ae, promises.c.asked_at <= asked_by)
        return self._change(over.values(state=PromiseState.GIVEN_UP, last_error=storable(error), referenced="[]"))

    def forget(self, *, before: datetime) -> int:
        # The second condition follows from the third, and is that of the index.
        return self._change(delete(promises).where(promises.c.asked_at < before, is_unreported, is_given_up))

    def unreported(self) -> Sequence[Promise]:
        query = select(promises).where(is_unreported).order_by(promises.c.asked_at.desc(), promises.c.id.desc())
        with self._database.reading() as connection:
            rows = connection.execute(query.limit(MOST_SHOWN)).mappings().all()
        return [_promise_of(row) for row in reversed(rows)]

    def _change(self, statement: Update | Delete) -> int:
        with self._database.writing() as connection:
            return connection.execute(statement).rowcount


def _open(promise_id: int) -> Update:
    return update(promises).where(promises.c.id == promise_id, is_promised)


def _open_of(calling_ae: str, *only: ColumnElement[bool]) -> Update:
    """The OPEN promises of a peer; several who change them do so in the same order."""
    theirs = select(promises.c.id).where(promises.c.calling_ae == calling_ae, is_promised, *only)
    return update(promises).where(promises.c.id.in_(theirs.order_by(promises.c.id).with_for_update()))


def _failed(promise_id: int, error: str) -> Update:
    return _open(promise_id).values(attempts=promises.c.attempts + 1, last_error=storable(error))


def _row(request: CommitmentRequest) -> dict[str, Any]:
    pairs = [(each.sop_class_uid, each.sop_instance_uid) for each in request.references]
    return {
        "transaction_uid": storable(request.transaction_uid),
        "referenced": json.dumps(pairs),
        "calling_ae": storable(request.calling_ae),
        "called_ae": storable(request.called_ae),
        "peer": request.peer,
    }


def _promise_of(row: Row) -> Promise:
    references = (SopReference(sop_class_uid=kind, sop_instance_uid=uid) for kind, uid in json.loads(row["referenced"]))
    names = "id transaction_uid calling_ae called_ae peer state asked_at due_at attempts last_error"
    return Promise(references=tuple(references), **{name: row[name] for name in names.split()})
