"""The trail's outlets: a file that several processes share, and a syslog server behind TLS, real ones both."""

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import pytest

from dicom_node.audit.file import AuditFile
from dicom_node.audit.syslog import SyslogSink
from dicom_node.audit.trail import Outlet, Trail
from dicom_node.errors import TransientError
from dicom_node.tls import TlsClient, TlsServer
from tests.certificates import Authority
from tests.logbook import captured_log
from tests.servers.programs import wait_until
from tests.servers.syslog import BYTE_ORDER_MARK, LOCAL, SyslogServer


@pytest.fixture
def ca(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(ca: Authority) -> Iterator[SyslogServer]:
    server = SyslogServer(TlsServer(credentials=ca.issue(LOCAL), ca=ca.file).context())
    server.open()
    yield server
    server.close()


def sink_to(server: SyslogServer, ca: Authority, /, **over) -> SyslogSink:
    tls = TlsClient(**({"ca": ca.file, "credentials": ca.issue("node.example.org")} | over))
    return SyslogSink(host=LOCAL, port=server.port, tls=tls, source_host="node", now=lambda: datetime.now(UTC))


def test_a_message_arrives_framed_as_rfc_5424_and_5425_say(server: SyslogServer, ca: Authority) -> None:
    sink = sink_to(server, ca)
    for text in (b"<AuditMessage>one</AuditMessage>", "<AuditMessage>zwölf</AuditMessage>".encode()):
        sink.write(text)
    sink.close()
    wait_until(lambda: len(server.records) == 2, what="two records")
    header, text = server.records[0].split(BYTE_ORDER_MARK)
    priority, time, host, program, process, kind, structured = header.decode("ascii").rstrip().split(" ")
    assert priority == "<85>1"
    assert datetime.fromisoformat(time).tzinfo is not None
    assert (host, program, process, kind, structured) == ("node", "dicom-node", str(os.getpid()), "DICOM+RFC3881", "-")
    assert text == b"<AuditMessage>one</AuditMessage>"
    assert server.records[1].endswith("zwölf</AuditMessage>".encode())


def test_messages_wait_for_a_server_that_is_away_and_reach_it_when_it_is_back(
    server: SyslogServer, ca: Authority
) -> None:
    outlet = Outlet("syslog", sink_to(server, ca))
    outlet.put(b"before")
    wait_until(lambda: len(server.records) == 1, what="the first record")
    server.close()
    for number in range(5):
        outlet.put(b"meanwhile %d" % number)
    server.open()
    wait_until(lambda: len(server.records) >= 6, what="all records", seconds=30)
    outlet.close(timedelta(seconds=5))
    assert server.messages[1:] == [b"meanwhile %d" % number for number in range(5)]
    assert outlet.dropped == 0


def test_a_server_that_is_not_who_it_should_be_gets_nothing(server: SyslogServer, ca: Authority, tmp_path) -> None:
    stranger = Authority(tmp_path, "stranger")
    for over in ({"ca": stranger.file}, {"server_name": "audit.example.org"}):
        with pytest.raises(TransientError, match="certificate"):
            sink_to(server, ca, **over).write(b"secret")
    assert server.records == []


class Stuck:
    """A sink that never comes back, until it is let go."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def write(self, message: bytes) -> None:
        self.go_on.wait(30)

    def close(self) -> None: ...


def test_nobody_waits_for_an_outlet_that_hangs_and_what_does_not_fit_is_counted(tmp_path: Path) -> None:
    stuck = Stuck()
    hanging = Outlet("hanging", stuck, capacity=10)
    file = tmp_path / "audit.xml"
    trail = Trail([hanging, Outlet("file", AuditFile(file, longest=1 << 20, keep=1))])
    done = threading.Thread(target=lambda: [trail.note(b"message") for _ in range(100)])
    done.start()
    done.join(5)
    assert not done.is_alive()
    wait_until(lambda: file.is_file() and file.read_bytes().count(b"\n") == 100, what="all of it in the file")
    assert 88 <= trail.dropped <= 90
    stuck.go_on.set()
    trail.close()


def test_outlets_that_hang_share_the_time_that_there_is_to_the_end() -> None:
    stuck = [Stuck() for _ in range(3)]
    trail = Trail([Outlet("hanging", one) for one in stuck])
    trail.note(b"message")
    began = monotonic()
    trail.close(timedelta(seconds=1))
    assert monotonic() - began < 2
    for one in stuck:
        one.go_on.set()


def test_the_file_is_for_the_nodes_user_alone_also_when_it_was_not_before(tmp_path: Path) -> None:
    file = tmp_path / "new" / "audit.xml"
    file.parent.mkdir()
    file.write_text("old\n")
    file.chmod(0o644)
    sink = AuditFile(file, longest=1 << 20, keep=1)
    sink.write(b"new")
    sink.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == "old\nnew\n"


def test_a_file_that_cannot_be_written_is_named_with_its_key(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "audit.xml"
    with captured_log() as told:
        outlet = Outlet("file", AuditFile(path, longest=100, keep=2))
        outlet.put(b"message")
        wait_until(lambda: "audit_outlet_away" in told.getvalue(), what="a line in the log")
        outlet.close(timedelta(seconds=5))
    assert f"audit.file: {path} cannot be written (" in told.getvalue()


def test_the_file_is_rotated_and_no_more_than_was_asked_for_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "audit.xml"
    sink = AuditFile(file, longest=100, keep=2)
    for number in range(40):
        sink.write(b"message %04d" % number)
    sink.close()
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["audit.xml", "audit.xml.1", "audit.xml.2"]
    lines = b"".join((tmp_path / name).read_bytes() for name in reversed(kept)).splitlines()
    assert lines == [b"message %04d" % number for number in range(40 - len(lines), 40)]


FULL_DISK = """
import resource, sys
from pathlib import Path
from dicom_node.audit.file import AuditFile
from dicom_node.errors import TransientError
sink = AuditFile(Path(sys.argv[1]), longest=1 << 20, keep=1)
sink.write(b"first")
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, unlimited[1]))
try:
    sink.write(b"second")
    print("written")
except TransientError:
    print("full")
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
sink.write(b"second")
"""


def test_a_message_for_which_there_is_no_room_leaves_no_part_of_it(tmp_path: Path, root: Path) -> None:
    """It is written again, and behind half of itself it would be no XML."""
    file = tmp_path / "audit.xml"
    done = subprocess.run([sys.executable, "-c", FULL_DISK, file], cwd=root, check=True, capture_output=True, text=True)
    assert done.stdout == "full\n"
    assert file.read_text() == "first\nsecond\n"


WRITER = """
import sys
from pathlib import Path
from dicom_node.audit.file import AuditFile
sink = AuditFile(Path(sys.argv[1]), longest=5000, keep=1000)
for number in range(300):
    sink.write(f"{sys.argv[2]} {number:04d}".encode() * 3)
"""


def test_processes_that_share_the_file_and_rotate_it_lose_and_mix_nothing(tmp_path: Path, root: Path) -> None:
    file = tmp_path / "audit.xml"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, file, name], cwd=root) for name in ("one", "two", "six")]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    lines = sorted(line for path in tmp_path.iterdir() for line in path.read_text().splitlines())
    assert lines == sorted(f"{name} {number:04d}" * 3 for name in ("one", "two", "six") for number in range(300))
