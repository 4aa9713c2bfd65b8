"""A storage commitment peer in a process of its own that does what it is told, however odd, in either role.

Run as a program, it reads commands from standard input and prints what happens to it, one JSON object a line each.
"""

import json
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.servers.programs import free_port, stop

ROOT = Path(__file__).resolve().parents[2]


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

    def ask(self, port: int, transaction: str, references: list, *, stay: bool, echoes: int = 0) -> int:
        """Ask for commitment and return the status; `stay`: keep the association open, after so many C-ECHOs."""
        command = {"port": port, "transaction": transaction, "references": references, "stay": stay, "echoes": echoes}
        self._tell({"do": "ask"} | command)
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
    import threading

    from pydicom.dataset import Dataset
    from pynetdicom import AE, AllStoragePresentationContexts, build_role, evt

    push, instance = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
    lock = threading.Lock()

    def tell(what: str, **values: Any) -> None:
        with lock:
            print(json.dumps({"what": what} | values), flush=True)

    def items(pairs: list, reason: int | None = None) -> list[Dataset]:
        made = []
        for kind, uid in pairs:
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = kind, uid
            if reason is not None:
                item.FailureReason = reason
            made.append(item)
        return made

    def pairs(ds: Dataset, keyword: str) -> list:
        return [[item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID] for item in ds.get(keyword) or ()]

    def information(transaction: str, committed: list, failed: list) -> tuple[Dataset, int]:
        ds = Dataset()
        ds.TransactionUID = transaction
        if committed:
            ds.ReferencedSOPSequence = items(committed)
        if failed:
            ds.FailedSOPSequence = items(failed, 0x0112)
        return ds, 2 if failed else 1

    def asked(event: Any) -> tuple[int, None]:
        ds = event.action_information
        references = pairs(ds, "ReferencedSOPSequence")
        if at_once:
            report = information(ds.TransactionUID, references, [])
            threading.Thread(target=answer_here, args=(event.assoc, report)).start()
        tell("asked", transaction=ds.TransactionUID, references=references)
        return 0, None

    def answer_here(association: Any, report: tuple[Dataset, int]) -> None:
        answer, _ = association.send_n_event_report(*report, push, instance)
        tell("answered", status=answer.get("Status", -1))

    def reported(event: Any) -> tuple[int, None]:
        ds = event.event_information
        failures = [
            [*pair, int(item.FailureReason)]
            for pair, item in zip(pairs(ds, "FailedSOPSequence"), ds.get("FailedSOPSequence") or (), strict=True)
        ]
        told = {"committed": pairs(ds, "ReferencedSOPSequence"), "failed": failures, "type": event.event_type}
        tell("reported", transaction=ds.TransactionUID, here=event.assoc.is_requestor, **told)
        return 0, None

    handlers = [
        (evt.EVT_C_STORE, lambda _: 0),
        (evt.EVT_N_ACTION, asked),
        (evt.EVT_N_EVENT_REPORT, reported),
    ]
    server = AE(aet)
    for context in AllStoragePresentationContexts:
        server.add_supported_context(context.abstract_syntax)
    server.add_supported_context(push, scu_role=True, scp_role=True)
    server.start_server(("127.0.0.1", port), block=False, evt_handlers=handlers)
    tell("listening")
    association: Any = None
    for line in sys.stdin:
        command = json.loads(line)
        if command["do"] == "release":
            association.release()
            tell("released")
            continue
        client = AE(command.get("calling", aet))
        client.add_requested_context(push)
        client.add_requested_context("1.2.840.10008.1.1")
        roles = [build_role(push, scp_role=True)] if command["do"] == "report" else []
        association = client.associate("127.0.0.1", command["port"], ext_neg=roles, evt_handlers=handlers[2:])
        if command["do"] == "report":
            report = information(command["transaction"], command["committed"], command["failed"])
            answer_here(association, report)
            association.release()
            continue
        ds = Dataset()
        ds.TransactionUID = command["transaction"]
        ds.ReferencedSOPSequence = items(command["references"])
        answer, _ = association.send_n_action(ds, 1, push, instance)
        tell("answered", status=answer.get("Status", -1))
        for _ in range(command["echoes"]):
            association.send_c_echo()
        if not command["stay"]:
            association.release()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3] == "1")
