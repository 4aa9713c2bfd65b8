"""A sender that gets no further ahead of its line than 16 MiB, however large the object is.

pynetdicom cuts an object into PDUs as long as the peer takes and queues them all at once, while another thread sends
them. Before a slow peer, a tomosynthesis of two gigabytes would lie in memory whole; before one without a limit of PDUs
it would be a single one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

from pynetdicom.association import Association
from pynetdicom.pdu_primitives import MaximumLengthNotification

from dicom_node.errors import PermanentError, TransientError

# The header of a presentation data value: a PDU that is no longer carries nothing (PS3.8 section 9.3.5.1).
HEADER_OF_A_PIECE = 6
# Eight times what our own receiver takes.
LONGEST_SENT = 1 << 20
# Radiographs fit whole: to hand over piece by piece costs two threads of one interpreter a third of their pace.
BYTES_AHEAD = 16 << 20
_LOOK_SECONDS = 0.005


def shorten_pdus(association: Association) -> None:
    """Send this peer no PDU above LONGEST_SENT, though it may take longer ones (PS3.8 annex D.1: 0 is no limit, and
    neither is a peer that names none). Raises PermanentError for a limit into which nothing fits.
    """
    told = association.acceptor.user_information
    limits = [item for item in told if isinstance(item, MaximumLengthNotification)]
    if not limits:
        limits = [MaximumLengthNotification()]
        limits[0].maximum_length_received = 0
        told.append(limits[0])
    for limit in limits:
        allowed = limit.maximum_length_received
        if 0 < allowed <= HEADER_OF_A_PIECE:
            raise PermanentError(f"the peer takes PDUs of {allowed} bytes at most: correct its Maximum Length there")
        limit.maximum_length_received = min(allowed, LONGEST_SENT) if allowed else LONGEST_SENT


@contextmanager
def in_step(association: Association, patience: float) -> Iterator[None]:
    """Within this context, what is sent waits once BYTES_AHEAD are queued, until half of them have gone.

    Raises TransientError when that takes more than `patience` seconds in all. Once the association has ended nothing
    is queued any more, and the caller finds it ended.
    """
    provider = association.dul
    queue = provider.to_provider_queue
    put, deadline = queue.put, monotonic() + patience
    ahead = BYTES_AHEAD // (association.acceptor.maximum_length or LONGEST_SENT)

    def put_in_step(piece: Any, *arguments: Any, **options: Any) -> None:
        if queue.qsize() >= ahead:
            while queue.qsize() > ahead // 2 and provider.is_alive():
                if monotonic() > deadline:
                    raise TransientError(f"the peer did not take an object within {patience:.0f} s")
                sleep(_LOOK_SECONDS)
        if provider.is_alive():
            put(piece, *arguments, **options)

    setattr(queue, "put", put_in_step)  # noqa: B010 - mypy forbids the plain assignment
    try:
        yield
    finally:
        setattr(queue, "put", put)  # noqa: B010 - the same
