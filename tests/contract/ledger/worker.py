"""A process of its own on a ledger, for the tests: `python -m tests.contract.ledger.worker claim|receive URL`.

`claim` prints the ids that it got until nothing is left. `receive` takes in and settles instances, printing the number
of each once that is committed, until somebody kills it.
"""

import sys
from itertools import count

from dicom_node.ledger import SqlLedger, open_ledger
from dicom_node.regions import Region
from tests.contract.ledger.racing import to, verdict
from tests.stories import LEASE, NOON, arrival, recognition


def claim(ledger: SqlLedger) -> None:
    """Claim in small batches."""
    while batch := ledger.work.claim(worker="w", limit=3, now=NOON, lease=LEASE):
        for instance in batch:
            print(instance.id, flush=True)


def receive(ledger: SqlLedger) -> None:
    """Take in and settle, without end."""
    for number in count():
        instance = ledger.intake.add(arrival(number)).instance
        ledger.work.settle(
            instance.id, verdict(), recognition=recognition(Region.HAND), deliveries=to("PACS", "AI", "STORE")
        )
        print(number, flush=True)


if __name__ == "__main__":
    {"claim": claim, "receive": receive}[sys.argv[1]](open_ledger(sys.argv[2]))
