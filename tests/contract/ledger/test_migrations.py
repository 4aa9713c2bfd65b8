"""What an older ledger holds when it has become one of today."""

from importlib.resources import as_file, files

from alembic import command
from alembic.config import Config
from sqlalchemy import Executable, bindparam, text

from dicom_node.ledger import open_ledger
from dicom_node.ledger.engine import Database
from dicom_node.ledger.opening import VERSION_TABLE
from dicom_node.ledger.schema import instances
from dicom_node.ports import When
from tests.stories import NOON

INSTANCE = """
    INSERT INTO instances (sop_instance_uid, sop_class_uid, transfer_syntax_uid, study_uid, series_uid, modality,
        body_part, anatomic_region_code, digest, path, size, calling_ae, called_ae, peer, received_at, conflict, state,
        routed, spooled, attempts)
    VALUES (:uid, '1.2', '1.2', :study, :series, 'DX', '', '', :uid, :uid, 1, 'CR1', 'REGION', '', :now,
        :no, 'received', :no, :yes, 0)
"""


def image(uid: str, study_uid: str, series_uid: str) -> Executable:
    time = bindparam("now", NOON, type_=instances.c.received_at.type)  # each database keeps times in its own way
    values = {"uid": uid, "study": study_uid, "series": series_uid, "no": False, "yes": True}
    return text(INSTANCE).bindparams(time, **values)


def old_ledger(url: str, revision: str, *rows: Executable) -> None:
    """A ledger of this revision, with these rows."""
    database = Database(url)
    database.make_room()
    with as_file(files("dicom_node.ledger") / "migrations") as folder, database.writing() as connection:
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.attributes.update(connection=connection, version_table=VERSION_TABLE)
        command.upgrade(config, revision)
        for row in rows:
            connection.execute(row)
    database.close()


def test_a_series_keeps_its_body_part_in_each_study_that_it_was_in(url: str) -> None:
    kept = text("INSERT INTO series_values (series_uid, \"when\", value) VALUES (:series, 'at_once', :value)")
    old_ledger(
        url,
        "0010",
        image("1.1", "1.7.1", "1.8.1"),
        image("1.2", "1.7.1", "1.8.1"),
        image("1.3", "1.7.2", "1.8.1"),
        image("1.4", "", "1.8.2"),
        kept.bindparams(series="1.8.1", value="HAND"),
        kept.bindparams(series="1.8.2", value="KNEE"),
    )
    ledger = open_ledger(url)
    studies = ("1.7.1", "1.7.2", "1.7.3", "")
    decided = [ledger.work.decided_value(study_uid=s, series_uid="1.8.1", when=When.AT_ONCE) for s in studies]
    assert decided == ["HAND", "HAND", None, None]
    assert ledger.work.decided_value(study_uid="", series_uid="1.8.2", when=When.AT_ONCE) is None
    ledger.close()
