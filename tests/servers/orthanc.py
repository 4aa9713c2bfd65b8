"""Orthanc (Debian's package) as the PACS: a process of its own in a temporary folder, asked over REST."""

import json
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import Request, urlopen

from tests.servers.programs import find_program, free_port, stop, wait_for_port, wait_until


class OrthancProcess:
    """An empty Orthanc on free ports; `settings` are keys of its own configuration file.

    >>> with OrthancProcess(tmp_path) as pacs:
    ...     storescu(pacs.dicom_port, [file], called=pacs.aet)
    ...     [pacs.tags(instance)["BodyPartExamined"] for instance in pacs.instances()]
    """

    def __init__(self, folder: Path, *, aet: str = "PACS", settings: dict[str, Any] | None = None) -> None:
        self.folder = folder / "orthanc"
        self.aet = aet
        self.dicom_port = free_port()
        self.http_port = free_port()
        self.log = folder / "orthanc.log"
        self._settings = settings or {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return once Orthanc answers on both ports."""
        program = find_program("Orthanc", "orthanc")
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / "orthanc.json"
        file.write_text(json.dumps(self._configuration(), indent=2))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([program, file], stdout=log, stderr=log, cwd=self.folder)
        wait_for_port(self._process, self.http_port, self.log)
        wait_for_port(self._process, self.dicom_port, self.log)
        wait_until(self._answers, what="an answer of Orthanc")

    def stop(self, *, how: signal.Signals = signal.SIGTERM) -> None:
        """End the process; what it stored stays, and starting again finds it."""
        if self._process is not None:
            self._process.send_signal(how)
            stop(self._process)
            self._process = None

    def instances(self) -> list[str]:
        """Orthanc's own identifiers of all the instances that it holds."""
        return list(self.get_json("/instances"))

    def wait_for(self, count: int, *, seconds: float = 30.0) -> list[str]:
        """Its instances, as soon as there are `count` of them."""
        wait_until(lambda: len(self.instances()) >= count, what=f"{count} instances in Orthanc", seconds=seconds)
        return self.instances()

    def tags(self, instance: str) -> dict[str, Any]:
        """An instance's elements by keyword, sequences as lists of the same."""
        return dict(self.get_json(f"/instances/{instance}/simplified-tags"))

    def file(self, instance: str) -> bytes:
        """The DICOM file as Orthanc stored it."""
        return self.get(f"/instances/{instance}/file")

    def find(self, sop_instance_uid: str) -> list[str]:
        """Orthanc's identifiers of the instances with a SOP Instance UID: none, or one."""
        query = {"Level": "Instance", "Query": {"SOPInstanceUID": sop_instance_uid}}
        return list(json.loads(self._request("/tools/find", json.dumps(query).encode())))

    def delete_all(self) -> None:
        """Empty it."""
        for study in self.get_json("/studies"):
            self._request(f"/studies/{study}", method="DELETE")

    def get(self, path: str) -> bytes:
        """The body of a GET answer; HTTPError unless it is a success."""
        return self._request(path)

    def get_json(self, path: str) -> Any:
        """The body of a GET answer, parsed."""
        return json.loads(self.get(path))

    def know(self, name: str, *, aet: str, port: int) -> None:
        """Let it know a peer on this machine, storage commitment included; over TLS when it speaks that itself."""
        peer = {"AET": aet, "Host": "127.0.0.1", "Port": port, "AllowStorageCommitment": True}
        peer["UseDicomTls"] = bool(self._settings.get("DicomTlsEnabled"))
        self._request(f"/modalities/{name}", json.dumps(peer).encode(), method="PUT")

    def post_json(self, path: str, body: Any) -> Any:
        """The body of a POST answer, parsed."""
        return json.loads(self._request(path, json.dumps(body).encode(), method="POST"))

    def upload(self, file: bytes) -> None:
        """Give it a DICOM file over REST."""
        self._request("/instances", file, method="POST")

    def _request(self, path: str, body: bytes | None = None, method: str | None = None) -> bytes:
        url = f"http://127.0.0.1:{self.http_port}{path}"
        with urlopen(Request(url, data=body, method=method), timeout=30) as answer:
            return bytes(answer.read())

    def _answers(self) -> bool:
        try:
            return bool(self.get_json("/system"))
        except OSError:
            return False

    def _configuration(self) -> dict[str, Any]:
        return {
            "Name": "PACS",
            "StorageDirectory": str(self.folder / "storage"),
            "IndexDirectory": str(self.folder / "storage"),
            "Plugins": [],
            "DicomAet": self.aet,
            "DicomPort": self.dicom_port,
            "HttpPort": self.http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomCheckCalledAet": False,
            "UnknownSopClassAccepted": True,
            "StableAge": 1,
        } | self._settings

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
