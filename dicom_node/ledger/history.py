"""How the ledger keeps what happened, in the transaction in which it happens."""

from collections.abc import Iterable
from dataclasses import asdict

from sqlalchemy import Connection, insert

from dicom_node.instance import Event
from dicom_node.ledger.rows import storable
from dicom_node.ledger.schema import events

_NEW = insert(events)


def keep_events(connection: Connection, happened: Iterable[Event]) -> None:
    rows = [{name: storable(value) for name, value in asdict(event).items()} for event in happened]
    if rows:
        connection.execute(_NEW, rows)
