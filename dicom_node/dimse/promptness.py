"""pynetdicom's two threads of an association sleep until there is something to do.

By themselves they look a thousand times a second, each: an object waits some milliseconds in all, and associations that
wait cost time. Here one waits for its socket or a bell, the other for a message; whoever puts something into their
queues rings. All of it is done to one association's objects, and where the system has no eventfd, nothing is.
"""

import os
import select
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Queue
from typing import Any

from pynetdicom.events import Event
from pynetdicom.transport import AssociationSocket

from dicom_node.dimse.wire import PolledSocket

# What nobody rings for (timers, orders to end) is noticed after so long.
LONGEST_SECONDS = 0.02


def wake_when_needed(event: Event) -> None:
    """Handler of EVT_CONN_OPEN, for receivers and senders."""
    if not hasattr(os, "eventfd"):
        return
    provider, bell = event.assoc.dul, _Bell()
    look = provider._process_recv_primitive  # noqa: SLF001 - what its loop asks first in every turn

    def look_when_needed() -> bool:
        if not provider.to_provider_queue.queue and not provider.event_queue.queue:
            bell.wait(provider.socket)
        return look()

    _ring_on_put(provider.to_provider_queue, bell.ring)
    setattr(provider, "_process_recv_primitive", look_when_needed)  # noqa: B010 - mypy forbids the plain assignment


def serve_when_needed(event: Event) -> None:
    """Handler of EVT_CONN_OPEN, for receivers: the thread that serves requests waits for one."""
    association = event.assoc
    checkpoint = _Checkpoint()
    for queue in (association.dimse.msg_queue, association.dul.to_user_queue):
        _ring_on_put(queue, checkpoint.ring)
    association._reactor_checkpoint = checkpoint  # noqa: SLF001 - what its loop waits for in every turn


class _Bell:
    """What a thread can wait for together with a socket."""

    def __init__(self) -> None:
        self._eventfd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def __del__(self) -> None:
        os.close(self._eventfd)

    def ring(self) -> None:
        with suppress(OSError):
            os.eventfd_write(self._eventfd, 1)

    def wait(self, wrapped: AssociationSocket | None) -> None:
        """Until the socket has something to read or is closed, the bell rings, or it has been long enough."""
        raw = wrapped.socket if wrapped is not None else None
        if raw is None:
            return
        may_read = not isinstance(wrapped, PolledSocket) or wrapped.has_room()
        if may_read and isinstance(raw, ssl.SSLSocket) and raw.pending():
            return
        poller = select.poll()
        with suppress(OSError, ValueError):  # it is just being closed: the loop will see to that
            if may_read:
                poller.register(raw, select.POLLIN)
            poller.register(self._eventfd, select.POLLIN)
            poller.poll(1000 * LONGEST_SECONDS)
            os.eventfd_read(self._eventfd)


class _Checkpoint(threading.Event):
    """The gate at which pynetdicom halts the thread for its own sending; it waits there for work, too."""

    def __init__(self) -> None:
        super().__init__()
        self.set()
        self._work = threading.Event()

    def ring(self) -> None:
        self._work.set()

    def wait(self, timeout: float | None = None) -> bool:
        self._work.wait(LONGEST_SECONDS)
        self._work.clear()
        return super().wait(timeout)


def _ring_on_put(queue: "Queue[Any]", ring: Callable[[], None]) -> None:
    put = queue.put

    def put_and_ring(*arguments: Any, **options: Any) -> None:
        put(*arguments, **options)
        ring()

    setattr(queue, "put", put_and_ring)  # noqa: B010 - the same
