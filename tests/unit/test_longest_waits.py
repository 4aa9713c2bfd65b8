"""How far ahead a configuration puts anything off, so that what lies further can be told."""

from datetime import timedelta

from dicom_node.config import Config
from dicom_node.config.plan import longest_waits

MINUTE = timedelta(minutes=1)


def test_each_destination_has_its_own() -> None:
    place = {"ae_title": "PACS", "host": "127.0.0.1", "port": 104}
    config = Config.model_validate(
        {
            "destinations": [
                {"name": "plain", **place},
                {"name": "patient", **place, "retry": {"longest": "1h"}},
                {"name": "held", **place, "hold_for_review": "2h"},
            ],
            "commitment": {"answer_within": "30m"},
        }
    )
    waits = longest_waits(config, lease=MINUTE)
    assert waits.lease == MINUTE
    assert waits.sending == {"plain": 15 * MINUTE, "patient": 60 * MINUTE, "held": 120 * MINUTE}
    assert waits.asking == {"plain": 30 * MINUTE, "patient": 60 * MINUTE, "held": 30 * MINUTE}
    assert waits.telling > 15 * MINUTE
