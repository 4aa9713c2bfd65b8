"""Images go their way though nobody can write the log."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.configurations import destination, model
from tests.servers.dcmtk import StoreScpProcess, dcmsend
from tests.servers.node import NodeProcess
from tests.servers.programs import wait_until
from tests.synthetic import bright


class WithoutLog(NodeProcess):
    """A node of which standard error is a file on a full disk."""

    def launch(self, *options: str) -> None:
        command = [sys.executable, "-m", "dicom_node", "serve", *options, "--config", self.file]
        with Path("/dev/full").open("w") as full:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=full, text=True)
        self.log.touch()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_images_are_acknowledged_classified_and_delivered_while_the_disk_of_the_log_is_full(
    tmp_path, tiny_model, file_of
) -> None:
    with StoreScpProcess(tmp_path / "pacs") as pacs:
        config = model(tiny_model) + destination("pacs", pacs.port)
        with WithoutLog(tmp_path / "node", config) as node:
            for expected in (1, 2):
                dcmsend(node.port, [file_of(bright())])
                wait_until(lambda n=expected: len(pacs.files()) == n, what=f"image {expected} at the PACS")
            shown = node.get("/metrics").decode()
            assert b'"ready"' in node.get("/readyz")
    assert "region_node_log_lines_lost" in shown
    assert "region_node_log_lines_lost 0.0" not in shown
