"""Decoders in processes of their own, since streams can crash them, keep them busy and have them take much memory."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Semaphore

from dicom_node.errors import UndecodableError

WALL_SECONDS = 120.0
"""Within which a machine that is not about to fall over gives a process the computing time that it may use."""

# Nothing in a stream does these to its decoder: somebody ends processes here, or the kernel for want of memory.
ENDED_FROM_OUTSIDE = frozenset({-signal.SIGINT, -signal.SIGTERM, -signal.SIGKILL})
OF_THE_MACHINE = 75
"""With which a child ends that the machine gives no memory, or no decoder (EX_TEMPFAIL of sysexits.h)."""

# They compute all the time, so that more than there are processors gain nothing and take memory.
_TURNS = Semaphore(os.cpu_count() or 1)


def decoded_in_child(program: Path, words: list[str], stream: bytes, *, decoder: str) -> bytes:
    """What the program makes of the stream; a session of its own keeps the terminal's Ctrl-C from it.

    `words`: its arguments, the first of them the seconds of computing that it allows itself; `decoder`: its name for
    people. Raises UndecodableError, and an OSError with a number when the machine kept it from its work.
    """
    with _TURNS:
        child = _ended(program, words, stream)
    if child.returncode in ENDED_FROM_OUTSIDE:
        raise InterruptedError(errno.EINTR, "the decoder was ended from outside")
    if child.returncode == -signal.SIGXCPU:
        raise UndecodableError(f"{decoder} did not decode the stream in {words[0]} s of computing")
    if child.returncode == OF_THE_MACHINE:
        raise OSError(errno.ENOMEM, "the decoder was given no memory, or could not be loaded")
    if child.returncode != 0:
        raise UndecodableError(f"{decoder} cannot decode this stream")
    return child.stdout


def _ended(program: Path, words: list[str], stream: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 - our own file, and words made of numbers and a known UID
            [sys.executable, "-P", str(program), *words],
            check=False,
            input=stream,
            capture_output=True,
            timeout=WALL_SECONDS,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(errno.ETIMEDOUT, "the decoder was given no time to compute") from error
