"""The sender's own files: what becomes of an object, and of the association, when its file fails."""

from io import StringIO
from pathlib import Path
from typing import Any, Self

import pytest

from dicom_node.dimse.scp import StoreScp
from dicom_node.dimse.scu import StoreScu
from dicom_node.errors import PermanentError, TransientError
from dicom_node.part10 import digest_of
from dicom_node.testing import MemoryLedger
from tests.associations import sender_to
from tests.dimse_objects import incoming, written
from tests.servers.programs import wait_until


class _Unreadable:
    """A file on a disk that fails after its first half."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self._half = path.stat().st_size // 2

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def seek(self, *where: int) -> int:
        return self._file.seek(*where)

    def read(self, size: int) -> bytes:
        if self._file.tell() > self._half:
            raise OSError(5, "Input/output error")
        return self._file.read(size)


def test_a_file_that_cannot_be_read_to_its_end_is_sent_again_over_a_line_without_the_first_half_of_it(
    scp: StoreScp, ledger: MemoryLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: StringIO
) -> None:
    items = [incoming("1.2.3.5", PixelData=bytes(500_000)), incoming("1.2.3.6")]
    large, small = (written(tmp_path, item) for item in items)
    with sender_to(scp) as scu:
        scu.send(small)
        with monkeypatch.context() as disk, pytest.raises(TransientError, match="cannot be sent"):
            disk.setattr("pynetdicom.dimse_messages.open", lambda *_: _Unreadable(large), raising=False)
            scu.send(large)
        wait_until(lambda: "association_aborted" in log.getvalue(), what="the end of the association")
        scu.send(large)
        scu.send(small)
    for item in items:
        (record,) = ledger.records.find(item.sop_instance_uid)
        assert record.instance.digest == digest_of(item)


def test_a_file_that_disappears_on_its_way_to_a_peer_is_a_transient_error(
    scp: StoreScp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is gone for good, the next attempt tells."""
    path = written(tmp_path, incoming())
    look = StoreScu._accepted_syntax

    def look_and_lose(*asked: Any) -> str:
        path.unlink()
        return look(*asked)

    with sender_to(scp) as scu:
        scu.send(path)
        with monkeypatch.context() as disk, pytest.raises(TransientError, match="cannot be sent"):
            disk.setattr(StoreScu, "_accepted_syntax", look_and_lose)
            scu.send(path)
        with pytest.raises(PermanentError, match="not there"):
            scu.send(path)
