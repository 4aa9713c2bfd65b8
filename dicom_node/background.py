"""Receiving goes first: what looks at images has the cores, and Python's lock, while no receiver wants them."""

import os
import sys
import threading
from contextlib import suppress

# nice(2), which on Linux is a thread's own (sched(7)): about a tenth of a core where others want it, else all of it.
LOWER_BY = 10
# How long a thread that computes keeps Python's lock when another one asks for it. Every read, write and sync of a
# receiver asks anew; by Python's own 5 ms an object of 40 kB would wait longer for the lock than for the disk.
SWITCH_SECONDS = 0.0005


def step_back() -> None:
    """Let this thread, and those that it starts, run behind all others. Elsewhere than on Linux nothing happens."""
    if sys.platform == "linux":
        with suppress(OSError):  # a sandbox may forbid it, and all that is lost is some speed
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWER_BY)


def switch_often() -> None:
    """Let threads that wait for Python's lock have it soon; for the whole process."""
    sys.setswitchinterval(SWITCH_SECONDS)
