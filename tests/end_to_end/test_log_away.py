"""Images go their way, and commands end in order, though nobody can write the log or what is printed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.configurations import destination, model
from tests.full_disk import no_file_longer_than
from tests.servers.dcmtk import StoreScpProcess, dcmsend
from tests.servers.node import NodeProcess
from tests.servers.programs import port_answers, stop, wait_until
from tests.synthetic import bright

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")


class WithoutLog(NodeProcess):
    """A node of which standard error is a file on a full disk."""

    def launch(self, *options: str) -> None:
        command = [sys.executable, "-m", "dicom_node", "serve", *options, "--config", self.file]
        with Path("/dev/full").open("w") as full:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=full, text=True)
        self.log.touch()


@needs_full
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


@needs_full
@pytest.mark.parametrize("read", [False, True], ids=["the disk is full", "nobody reads it"])
def test_a_node_works_whose_greeting_cannot_be_printed(tmp_path, tiny_model, read) -> None:
    node = NodeProcess(tmp_path / "node", model(tiny_model) + "[web]\nenabled = false\n")
    port = node.keep_port()
    command = [sys.executable, "-m", "dicom_node", "serve", "--config", node.file]
    with node.log.open("w") as log, Path("/dev/full").open("w") as full:
        process = subprocess.Popen(command, stdout=subprocess.PIPE if read else full, stderr=log)
    if process.stdout is not None:
        process.stdout.close()
    try:
        wait_until(lambda: "started" in node.log.read_text(), what="the start", seconds=60)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)
        assert port_answers(port)
    finally:
        stop(process, seconds=60)
    assert process.returncode == 0
    assert "Traceback" not in node.log.read_text()


@needs_full
@pytest.mark.parametrize("command", [["config", "check"], ["import"], ["classify", "--json"], ["status"]], ids=" ".join)
def test_what_cannot_be_printed_is_one_sentence(tmp_path, tiny_model, file_of, command) -> None:
    node = NodeProcess(tmp_path / "node", model(tiny_model))
    node.run("migrate")
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    paths = [file_of(bright())] if command[0] in ("import", "classify") else []
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "dicom_node", *command, *paths, "--config", node.file],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=100, env=buffered,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "error: most likely the output cannot be written: No space left on device\n"


def test_a_copy_to_send_for_which_there_is_no_room_is_one_sentence(tmp_path, tiny_model, file_of) -> None:
    node = NodeProcess(tmp_path / "node", model(tiny_model))
    image = file_of(bright())
    with StoreScpProcess(tmp_path / "pacs") as pacs, no_file_longer_than(1000):
        done = node.run("send", "127.0.0.1", str(pacs.port), image, "--aec", pacs.aet, check=False)
    assert done.returncode == 1
    assert "no copy can be written to be sent (File too large): free some space" in done.stderr
    assert "Traceback" not in done.stderr
