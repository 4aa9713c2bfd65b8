"""Senders that behave as modalities do: what was not acknowledged is sent again until it is."""

import subprocess
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from pydicom.uid import ComputedRadiographyImageStorage

from dicom_node.dimse.scu import Peer, StoreScu
from dicom_node.errors import PermanentError, TransientError
from tests.faults.commitments import asked
from tests.faults.objects import Sample, new_sample
from tests.servers.dcmtk import storescu
from tests.servers.programs import wait_until

ATTEMPT_SECONDS = 10.0


class Senders:
    """Threads that send to a node, one association each, until they are told that it is enough.

    >>> with Senders(port, folder, seed=1) as senders:
    ...     ...  # whatever is done to the node
    ...     senders.finish()
    ...     senders.acknowledged

    `stock`: how many of them are DCMTK's storescu. `pause`: mean seconds between two objects of one sender. `objects`:
    how many each sends at most. `asking`: after which part of its attempts a sender asks for storage commitment; what
    the node commits itself to is as good as acknowledged, and is not sent again. `reports`: how many answers it gave;
    `broken`: acknowledged objects to which it did not commit itself.
    """

    def __init__(
        self,
        port: int,
        folder: Path,
        *,
        seed: int,
        own: int = 2,
        stock: int = 1,
        pause: float = 0.1,
        objects: int | None = None,
        asking: float = 0.0,
    ) -> None:
        self.acknowledged: dict[str, Sample] = {}
        self.reports = 0
        self.broken: list[str] = []
        self.unanswered = 0
        self.refused: list[str] = []
        self._port = port
        self._folder = folder
        self._pause = pause
        self._objects = objects
        self._asking = asking
        self._enough = threading.Event()
        self._lock = threading.Lock()
        ways: list[Callable[[Random], None]] = [self._send_own] * own + [self._send_stock] * stock
        self._threads = [
            threading.Thread(target=way, args=(Random(f"{seed}/{number}"),), name=f"sender-{number}", daemon=True)
            for number, way in enumerate(ways)
        ]

    def finish(self, *, seconds: float = 120.0) -> None:
        """Begin no further object; return when each that was begun is acknowledged."""
        self._enough.set()
        self.wait(seconds=seconds)

    def wait(self, *, seconds: float = 120.0) -> None:
        """Return when every sender has sent its `objects`."""
        for thread in self._threads:
            thread.join(seconds)
            assert not thread.is_alive(), f"{thread.name} got no acknowledgement within {seconds:g} s"

    def ask_for_everything(self, *, seconds: float = 120.0) -> None:
        """Ask for all that was acknowledged, until there is a report on it. No sender runs any more."""
        samples = list(self.acknowledged.values())
        wait_until(lambda: self._ask(samples, patience=30.0), what="a storage commitment report", seconds=seconds)

    def _send_own(self, chance: Random) -> None:
        scu = StoreScu(self._peer(), calling_ae="MODALITY", timeout=timedelta(seconds=ATTEMPT_SECONDS))
        for _ in self._turns():
            sample = new_sample(self._folder, chance)
            self._until_acknowledged([sample], lambda files: _acknowledged_by(scu, files), chance)
            if chance.random() < 0.1:
                scu.close()  # modalities open an association per study
        scu.close()

    def _send_stock(self, chance: Random) -> None:
        for _ in self._turns():
            samples = [new_sample(self._folder, chance) for _ in range(chance.randint(1, 6))]
            self._until_acknowledged(samples, self._acknowledged_by_storescu, chance)

    def _turns(self) -> "_Turns":
        return _Turns(self._enough, self._objects)

    def _until_acknowledged(
        self, samples: list[Sample], send: Callable[[list[Sample]], list[Sample]], chance: Random
    ) -> None:
        waiting = list(samples)
        while waiting:
            try:
                done = send(waiting)
            except PermanentError as error:
                with self._lock:
                    self.refused.append(str(error))
                return
            with self._lock:
                self.acknowledged.update({sample.uid: sample for sample in done})
                self.unanswered += len(done) < len(waiting)
            if chance.random() < self._asking:
                self._ask(samples)
            waiting = [sample for sample in waiting if sample.uid not in self.acknowledged]
            # As patient as a modality that somebody stands beside; and not faster than the node can be asked.
            threading.Event().wait(chance.uniform(0.1, 0.4) if waiting else chance.expovariate(1 / self._pause))

    def _ask(self, samples: list[Sample], *, patience: float = 5.0) -> bool:
        """Ask the node to commit itself; whether it has said anything."""
        acknowledged = [sample.uid for sample in samples if sample.uid in self.acknowledged]
        uids = [sample.uid for sample in samples]
        report = asked(self._port, uids, ComputedRadiographyImageStorage, patience=patience)
        if report is None:
            return False
        with self._lock:
            self.broken += [f"{uid}: acknowledged, and yet not committed" for uid in report.refused & {*acknowledged}]
            self.acknowledged.update({sample.uid: sample for sample in samples if sample.uid in report.kept})
            self.reports += 1
        return True

    def _acknowledged_by_storescu(self, samples: list[Sample]) -> list[Sample]:
        by_path = {str(sample.path): sample for sample in samples}
        try:
            # In the configuration for tests of DCMTK, time-outs are of the association: nothing else would end it.
            done = storescu(
                self._port,
                [sample.path for sample in samples],
                options=["-to", "5", "-ta", "10", "-td", "10"],
                timeout=60,
            )
        except subprocess.TimeoutExpired:
            return []
        acknowledged, last = [], ""
        for line in (done.stdout + done.stderr).splitlines():
            if "Sending file: " in line:
                last = line.split("Sending file: ")[1].strip()
            elif "Received Store Response (Success)" in line:
                acknowledged.append(by_path[last])
        return acknowledged

    def _peer(self) -> Peer:
        return Peer(host="127.0.0.1", port=self._port, ae_title="REGION")

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._enough.set()


class _Turns:
    """Counts objects until it is enough."""

    def __init__(self, enough: threading.Event, objects: int | None) -> None:
        self._enough = enough
        self._left = objects

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> None:
        if self._enough.is_set() or self._left == 0:
            raise StopIteration
        self._left = None if self._left is None else self._left - 1


def _acknowledged_by(scu: StoreScu, samples: list[Sample]) -> list[Sample]:
    try:
        scu.send(samples[0].path)
    except TransientError:
        return []
    return samples[:1]
