"""The log: what happens when nobody can write it, and what libraries say in it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BEGIN = """
import sys
from dicom_node.logs import Lines, configure_logging
configure_logging(form="json", level="info")
import structlog
log = structlog.get_logger()
"""


def run(program: str, form: str = "json", **streams) -> subprocess.CompletedProcess[str]:
    """A process of its own, since logging is set up once for a whole process."""
    begin = BEGIN.replace("json", form)
    return subprocess.run(
        [sys.executable, "-c", begin + program], text=True, check=False, timeout=60, stdout=subprocess.PIPE, **streams
    )


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize(
    "value",
    ["1.2.4\x1b]0;pwned\x07\x1b[2J", "1.2\x1b[2J 3", "1.2\n2026 [error] made up", "1.2\x9b2J", "1\u202e2", "1.2\ud800"],
)
def test_what_would_move_a_terminals_cursor_is_written_as_an_escape(form: str, value: str) -> None:
    """Whoever sends an image chooses its UIDs, and the log is often read at a terminal."""
    said = f"class UID(str): pass\nlog.info('stored', sop_instance_uid=UID({value!r}), all=[{value!r}])"
    told = run(said, form, stderr=subprocess.PIPE).stderr
    assert told.endswith("\n")
    assert told[:-1].isprintable()
    if form == "json":
        assert json.loads(told)["sop_instance_uid"] == value
    else:
        assert f"sop_instance_uid={value!r}" in told


def test_what_can_be_printed_is_written_as_it_is() -> None:
    told = run("log.info('stored', destination='PÄCS', uid='1.2.3', reason='a b')", "console", stderr=subprocess.PIPE)
    assert "stored destination=PÄCS reason='a b' uid=1.2.3" in told.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_a_line_that_the_disk_has_no_room_for_is_counted_and_raises_nothing() -> None:
    with Path("/dev/full").open("w") as full:
        done = run("log.info('stored')\nlog.error('refused')\nprint(Lines.lost)", stderr=full)
    assert done.stdout == "2\n"


def test_a_line_whose_reader_has_died_is_counted_and_raises_nothing() -> None:
    reader = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)
    reader.wait()
    done = run("log.info('stored')\nprint(Lines.lost)", stderr=reader.stdin)
    assert done.stdout == "1\n"


def test_a_line_to_a_closed_file_is_counted_and_raises_nothing() -> None:
    assert run("sys.stderr.close()\nlog.info('stored')\nprint(Lines.lost)").stdout == "1\n"


WORKER = """
import threading
from datetime import timedelta
from dicom_node import workers
from dicom_node.workers import Loop, Then
workers.PAUSE = timedelta(0)
third = threading.Event()
rounds = []
def one_round():
    rounds.append(1)
    if len(rounds) == 3:
        third.set()
        return Then.SLEEP
    raise OSError
loop = Loop("classifier", one_round)
loop.start()
print(third.wait(20))
loop.stop()
"""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_a_worker_whose_trouble_cannot_be_logged_works_on() -> None:
    with Path("/dev/full").open("w") as full:
        assert run(WORKER, stderr=full).stdout == "True\n"


WEB = """
import asyncio
import socket
from fastapi import FastAPI
from dicom_node.web.server import WebServer
app = FastAPI()
@app.get("/break")
def fault():
    raise ValueError("SECRET^PATIENT")
server = WebServer(app, host="127.0.0.1", port=0)
server.start()
for asked in (b"\\x16\\x03\\x01 no HTTP", b"GET /break HTTP/1.1\\r\\nHost: localhost"):
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        line.sendall(asked + b"\\r\\nConnection: close\\r\\n\\r\\n")
        while line.recv(1000):
            pass
server.stop()
"""


def test_what_libraries_log_is_a_line_of_ours_without_the_values_in_it() -> None:
    done = run(WEB, stderr=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["library"], line["level"], line["said"]) for line in lines] == [
        ("uvicorn.error", "error", "Exception in ASGI application")  # a request that is none has no line: they are free
    ]
    assert lines[0]["kind"] == "ValueError"
    assert "SECRET" not in done.stderr


def test_the_values_that_a_library_quotes_are_not_in_the_log() -> None:
    quoting = "import logging\nlogging.getLogger('some').error('cannot read %s', 'SECRET^PATIENT')"
    told = run(quoting, stderr=subprocess.PIPE).stderr
    assert json.loads(told)["said"] == "cannot read %s"
    assert "SECRET" not in told


@pytest.mark.parametrize("library", ["pydicom.uid", "pynetdicom"])
def test_libraries_that_come_after_the_log_was_set_up_stay_quiet_too(library: str) -> None:
    """pydicom sets its own level when it is imported, which most commands do only once they have read their file."""
    quoting = f"""
import {library}
from pydicom.uid import UID
import logging
UID("SECRET^PATIENT")
logging.getLogger("pydicom.sub").warning("SECRET^PATIENT")
logging.getLogger("pynetdicom.sub").warning("SECRET^PATIENT")
log.info("stored")
"""
    told = run(quoting, stderr=subprocess.PIPE).stderr
    assert [json.loads(line)["event"] for line in told.splitlines()] == ["stored"]
