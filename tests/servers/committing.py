"""A storage commitment peer in a process of its own that does what it is told, however odd, in either role.

Run as a program, it reads commands from standard input and prints what happens to it, one JSON object a line each.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydicom.dataset import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, build_role, evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance, Verification

from tests.servers.programs import free_port, stop

ROOT = Path(__file__).resolve().parents[2]
NO_SUCH_INSTANCE = 0x0112  # a failure reason of PS3.4 table J.3-2


class CommittingPeer:
    """A PACS or a modality. `at_once`: it reports on the very association on which it was asked.

    >>> with CommittingPeer(aet="PACS") as pacs:
    ...     asked = pacs.next("asked")
    ...     pacs.report(node.port, asked["transaction"], committed=asked["references"])
    """

    def __init__(self, *, aet: str, at_once: bool = False) -> None:
        self.aet = aet
        self.port = free_port()
        self._at_once = at_once
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.servers.committing", self.aet, str(self.port), str(int(self._at_once))]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, bufsize=1
        )
        self.next("listening")

    def next(self, what: str) -> dict[str, Any]:
        """The next thing of this kind that happens to it; what happens before it is passed over."""
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            happened = json.loads(line)
            if happened["what"] == what:
                return dict(happened)
        raise RuntimeError(f"the peer ended before {what}")

    def report(
        self, port: int, transaction: str, *, committed: list = (), failed: list = (), calling: str | None = None
    ) -> int:
        """Open an association, report, and return the status of the answer."""
        command = {"port": port, "transaction": transaction, "committed": list(committed), "failed": list(failed)}
        self._tell({"do": "report", "calling": calling or self.aet} | command)
        return int(self.next("answered")["status"])

    def ask(
        self, port: int, transaction: str, references: list, *, stay: bool, echoes: int = 0, here: bool = False
    ) -> int:
        """Ask for commitment and return the status; `stay`: keep the association open, after so many C-ECHOs; `here`:
        over the association that the last one left open.
        """
        command = {"port": port, "transaction": transaction, "references": references, "stay": stay, "echoes": echoes}
        self._tell({"do": "ask", "here": here} | command)
        return int(self.next("answered")["status"])

    def release(self) -> None:
        """End the association that `ask` left open."""
        self._tell({"do": "release"})
        self.next("released")

    def _tell(self, command: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command) + "\n")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            stop(self._process)


def main(aet: str, port: int, at_once: bool) -> None:
    """The program: pynetdicom alone, nothing of the node's."""
    _listen(aet, port, at_once=at_once)
    _tell("listening")
    caller = _Caller(aet)
    for line in sys.stdin:
        caller.obey(json.loads(line))


def _listen(aet: str, port: int, *, at_once: bool) -> None:
    """Take every image, and what is said of commitment, in threads of pynetdicom's."""
    server = AE(aet)
    for context in AllStoragePresentationContexts:
        server.add_supported_context(context.abstract_syntax)
    server.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    handlers = [
        (evt.EVT_C_STORE, lambda _: 0),
        (evt.EVT_N_ACTION, _asked, [at_once]),
        (evt.EVT_N_EVENT_REPORT, _reported),
    ]
    server.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)


class _Caller:
    """Who opens associations when it is told to. It keeps the latest, so that it can be told to release it."""

    def __init__(self, aet: str) -> None:
        self._aet = aet
        self._association: Any = None

    def obey(self, command: dict[str, Any]) -> None:
        {"report": self._report, "ask": self._ask, "release": self._release}[command["do"]](command)

    def _report(self, command: dict[str, Any]) -> None:
        association = self._opened(command, roles=[build_role(StorageCommitmentPushModel, scp_role=True)])
        _send_report(association, *_report_of(command["transaction"], command["committed"], command["failed"]))
        association.release()

    def _ask(self, command: dict[str, Any]) -> None:
        association = self._association if command["here"] else self._opened(command)
        ds = Dataset()
        ds.TransactionUID = command["transaction"]
        ds.ReferencedSOPSequence = _items(command["references"])
        answer, _ = association.send_n_action(ds, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance)
        _tell("answered", status=answer.get("Status", -1))
        for _ in range(command["echoes"]):
            association.send_c_echo()
        if not command["stay"]:
            association.release()

    def _release(self, command: dict[str, Any]) -> None:
        self._association.release()
        _tell("released")

    def _opened(self, command: dict[str, Any], roles: Sequence = ()) -> Association:
        client = AE(command.get("calling", self._aet))
        client.add_requested_context(StorageCommitmentPushModel)
        client.add_requested_context(Verification)
        handlers = [(evt.EVT_N_EVENT_REPORT, _reported)]
        self._association = client.associate("127.0.0.1", command["port"], ext_neg=roles, evt_handlers=handlers)
        return self._association


def _asked(event: Event, at_once: bool) -> tuple[int, None]:
    """The answer to an N-ACTION: success; `at_once`, the report goes out beside it, over the same association."""
    ds = event.action_information
    references = _pairs(ds, "ReferencedSOPSequence")
    if at_once:
        report = _report_of(ds.TransactionUID, references, [])
        threading.Thread(target=_send_report, args=(event.assoc, *report)).start()
    _tell("asked", transaction=ds.TransactionUID, references=references)
    return 0, None


def _reported(event: Event) -> tuple[int, None]:
    """The answer to an N-EVENT-REPORT: success, whatever it says."""
    ds = event.event_information
    failures = [
        [*pair, int(item.FailureReason)]
        for pair, item in zip(_pairs(ds, "FailedSOPSequence"), ds.get("FailedSOPSequence") or (), strict=True)
    ]
    told = {"committed": _pairs(ds, "ReferencedSOPSequence"), "failed": failures, "type": event.event_type}
    _tell("reported", transaction=ds.TransactionUID, here=event.assoc.is_requestor, **told)
    return 0, None


def _send_report(association: Association, ds: Dataset, event_type: int) -> None:
    answer, _ = association.send_n_event_report(
        ds, event_type, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    _tell("answered", status=answer.get("Status", -1))


def _report_of(transaction: str, committed: list, failed: list) -> tuple[Dataset, int]:
    """A report's data set and its event type (PS3.4 table J.3-3): 1 when all is committed, else 2."""
    ds = Dataset()
    ds.TransactionUID = transaction
    if committed:
        ds.ReferencedSOPSequence = _items(committed)
    if failed:
        ds.FailedSOPSequence = _items(failed, NO_SUCH_INSTANCE)
    return ds, 2 if failed else 1


def _items(pairs: list, reason: int | None = None) -> list[Dataset]:
    """Pairs of a SOP class and an instance as items of a sequence; with `reason`, one of failures."""
    made = []
    for kind, uid in pairs:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = kind, uid
        if reason is not None:
            item.FailureReason = reason
        made.append(item)
    return made


def _pairs(ds: Dataset, keyword: str) -> list:
    return [[item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID] for item in ds.get(keyword) or ()]


_printing = threading.Lock()  # associations tell from threads of their own


def _tell(what: str, **values: Any) -> None:
    with _printing:
        print(json.dumps({"what": what} | values), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "1")
