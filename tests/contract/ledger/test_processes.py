"""Several processes on one ledger, and one that is killed."""

import subprocess
import sys
from pathlib import Path

from dicom_node.instance import InstanceState
from dicom_node.ledger import open_ledger
from tests.stories import arrival


def start(root: Path, job: str, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.contract.ledger.worker", job, url]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True)


def test_processes_never_claim_the_same_instance(url: str, root: Path) -> None:
    ledger = open_ledger(url)
    for number in range(60):
        ledger.intake.add(arrival(number))
    workers = [start(root, "claim", url) for _ in range(3)]
    got = [line for worker in workers for line in worker.communicate(timeout=60)[0].split()]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert len(got) == len(set(got)) == 60
    ledger.close()


def test_a_process_that_is_killed_leaves_whole_rows_and_all_that_it_had_committed(url: str, root: Path) -> None:
    writer = start(root, "receive", url)
    assert writer.stdout is not None
    acknowledged = [next(writer.stdout) for _ in range(25)]
    writer.kill()
    acknowledged += writer.stdout.readlines()
    writer.wait()
    ledger = open_ledger(url)
    records = ledger.records.find("1.2.1")
    assert len(acknowledged) <= len(records) <= len(acknowledged) + 1
    for record in records:
        done = record.instance.state is InstanceState.SETTLED
        parts = (record.verdict is not None, record.recognition is not None, len(record.deliveries), len(record.events))
        assert parts == ((True, True, 3, 2) if done else (False, False, 0, 1))
    assert sum(record.instance.state is InstanceState.SETTLED for record in records) >= len(acknowledged)
    ledger.ready()
    ledger.close()
