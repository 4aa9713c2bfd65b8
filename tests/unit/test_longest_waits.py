"""How far ahead a configuration puts anything off, so that what lies further can be told."""

from datetime import UTC, datetime, timedelta

import pytest

from dicom_node.config import Config
from dicom_node.config.plan import longest_waits
from dicom_node.recovery import put_times_right
from dicom_node.repair import LongestWaits
from dicom_node.testing import MemoryLedger
from tests.contract.ledger.racing import settled, to

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


@pytest.mark.parametrize(("year", "changed"), [(1970, False), (2000, False), (2025, False), (2026, True)])
def test_a_clock_that_shows_a_time_before_this_software_was_made_puts_nothing_right(year: int, changed: bool) -> None:
    """As after a power failure, before the time is set: all that waits seems to lie too far ahead."""
    now, ahead = datetime(year, 6, 1, tzinfo=UTC), datetime(2027, 6, 1, tzinfo=UTC)
    ledger = MemoryLedger()
    settled(ledger, deliveries=to("PACS", due=ahead))
    waits = LongestWaits(lease=MINUTE, sending={"PACS": MINUTE}, asking={}, telling=MINUTE)
    put_times_right(repairs=ledger.repairs, waits=waits, now=now)
    assert ledger.records.destinations()[0].oldest_due == (now if changed else ahead)
