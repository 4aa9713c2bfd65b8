"""The ledger as those see it who say what images show."""

from collections.abc import Mapping, Sequence

from sqlalchemy import insert, select

from dicom_node.label import Label
from dicom_node.ledger.engine import Database, in_portions
from dicom_node.ledger.rows import label_row
from dicom_node.ledger.schema import instances
from dicom_node.ledger.schema import labels as table


class SqlLabels:
    """Implements `dicom_node.label.Labels`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, labels: Mapping[str, Label]) -> Sequence[str]:
        rows, found = [], set()
        with self._database.writing() as connection:
            for uids in in_portions(list(labels)):
                here = select(instances.c.id, instances.c.sop_instance_uid).where(
                    instances.c.sop_instance_uid.in_(uids)
                )
                for instance_id, uid in connection.execute(here):
                    rows.append(label_row(instance_id, labels[uid]))
                    found.add(uid)
            unknown = sorted(labels.keys() - found)
            if rows and not unknown:
                connection.execute(insert(table), rows)
        return unknown
