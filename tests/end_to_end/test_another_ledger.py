"""A node whose [ledger] url was changed, or whose ledger is gone, and that has the spool of before."""

from pathlib import Path

from dicom_node.part10 import digest_of, file_header
from dicom_node.recovery import MOST_ORPHANS
from dicom_node.spool import Spool
from tests.dicomfiles import dataset_bytes
from tests.dimse_objects import incoming, written
from tests.servers.node import NodeProcess
from tests.servers.programs import wait_until

IMAGES = MOST_ORPHANS + 1


def with_spool_of_another(folder: Path) -> NodeProcess:
    node = NodeProcess(folder)
    spool = Spool.opened(node.spool, 0, expected=lambda: False)
    for number in range(IMAGES):
        item = incoming(f"1.2.3.{number}")
        spool.write(digest_of(item), file_header(item), item.dataset)
    return node


def test_a_node_whose_ledger_knows_nothing_of_its_full_spool_asks_before_it_sends_everything_again(tmp_path) -> None:
    node = with_spool_of_another(tmp_path / "node")
    for command in (["serve"], ["import", str(written(tmp_path, incoming("1.2.4")))]):
        refused = node.run(*command, check=False)
        assert refused.returncode == 2
        [sentence] = refused.stderr.splitlines()
        assert "point [ledger] url back" in sentence
        assert "serve --adopt" in sentence
    node.start("--adopt")
    try:
        wait_until(lambda: node.status()["received"] == IMAGES, what="the adoption of all images")
    finally:
        assert node.stop() == 0
    with node:  # its ledger knows of them now: nobody is asked again
        [record] = node.instances("1.2.3.7")
    assert dataset_bytes(node.spool / record["path"]) == incoming("1.2.3.7").dataset
