"""What a run writes down while it runs: one JSON line per event, and the same numbers for TensorBoard."""

import json
import time
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from training.errors import TrainingError

LOG = "log.jsonl"


class Logbook:
    """`log.jsonl` and TensorBoard's event files in the run folder; a resumed run takes back what it will do again."""

    def __init__(self, out: Path, *, start: int) -> None:
        """Raises TrainingError: TensorBoard has no files in a folder whose name is not UTF-8."""
        if any("\udc80" <= letter <= "\udcff" for letter in str(out)):
            raise TrainingError(f"TensorBoard cannot write in {out}, whose name is not in UTF-8: name another --out.")
        self._path = out / LOG
        _forget_after(self._path, start)
        self._board = SummaryWriter(str(out), purge_step=start)
        self._since, self._images = time.monotonic(), 0

    def count(self, images: int) -> None:
        """That many more images were learned from."""
        self._images += images

    def write(self, step: int, **values: float) -> None:
        """One event: the step, the values, and images per second since the last event."""
        now = time.monotonic()
        speed = self._images / max(1e-9, now - self._since)
        self._since, self._images = now, 0
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"step": step, **values, "images_per_second": round(speed, 1)}) + "\n")
        for name, value in {**values, "images_per_second": speed}.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        self._board.close()


def _forget_after(path: Path, start: int) -> None:
    """Keep the whole lines of steps before `start`; a killed run may have left half a line."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            if json.loads(line)["step"] < start:
                kept.append(line + "\n")
        except ValueError:
            continue
    path.write_text("".join(kept), encoding="utf-8")
