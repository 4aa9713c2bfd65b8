"""Where pynetdicom puts a data set as it arrives: in memory, and what is too large for that on the spool's disk."""

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any, BinaryIO

from pynetdicom import evt
from pynetdicom.dimse_messages import DIMSEMessage
from pynetdicom.events import Event, EventHandlerType

from dicom_node.content import Content, mapped
from dicom_node.errors import OutOfResourcesError

# Small images stay in memory; of large ones, a hundred associations may bring one each at the same time.
IN_MEMORY = 8 << 20
# Bytes that are written between two looks at how much room there is.
LOOK_EVERY = 4 << 20
# A command is a few hundred bytes (PS3.7 section 9.3); what is not has no end.
LONGEST_COMMAND = 1 << 20


class Arriving(BytesIO):
    """A data set while it arrives. `spill` opens a file for what is too large, `check_room` says whether so many more
    bytes fit on its disk; both raise OutOfResourcesError. Then the rest is read and dropped, so that the sender can be
    told, and `content` raises it.
    """

    def __init__(self, spill: Callable[[], BinaryIO], check_room: Callable[[int], None]) -> None:
        super().__init__()
        self._spill = spill
        self._check_room = check_room
        self._file: BinaryIO | None = None
        self._unchecked = 0
        self._trouble: OutOfResourcesError | None = None

    def write(self, piece: Any) -> int:
        """Keep a piece; never raises what a full disk raises."""
        size = len(piece)
        if self._trouble is not None:
            return size
        if self._file is None and self.tell() + size <= IN_MEMORY:
            return super().write(piece)
        try:
            self._write_out(piece)
        except (OutOfResourcesError, OSError) as error:
            self._give_up(error)
        return size

    def content(self) -> Content:
        """All that arrived. Raises OutOfResourcesError when the disk did not take it."""
        if self._trouble is None and self._file is not None:
            try:
                return mapped(self._file)
            except OSError as error:
                self._give_up(error)
        if self._trouble is not None:
            raise self._trouble
        return self.getvalue()

    def _write_out(self, piece: Any) -> None:
        if self._file is None:
            self._check_room(self.tell() + LOOK_EVERY)
            self._file = self._spill()
            self._file.write(self.getbuffer())
            self.seek(0)
            self.truncate()
        self._unchecked += len(piece)
        if self._unchecked >= LOOK_EVERY:
            self._check_room(self._unchecked)
            self._unchecked = 0
        self._file.write(piece)

    def _give_up(self, error: OutOfResourcesError | OSError) -> None:
        if self._file is not None:
            with suppress(OSError):  # what lies in its buffer is written first, and the disk is as full as before
                self._file.close()
        if isinstance(error, OSError):
            error = OutOfResourcesError(f"the spool cannot be written: {error.strerror}")
        self._trouble = error


class _Command(BytesIO):
    """A command while it arrives."""

    def write(self, piece: Any) -> int:
        """Keep a piece. Raises ValueError when there are too many: that ends the association."""
        if self.tell() + len(piece) > LONGEST_COMMAND:
            raise ValueError(f"a command of more than {LONGEST_COMMAND} bytes")
        return super().write(piece)


def spilling(spill: Callable[[], BinaryIO], check_room: Callable[[int], None]) -> EventHandlerType:
    """The handler that lets an association's data sets arrive so.

    pynetdicom's own chunked receiving writes every object into a named file in the system's temporary folder, small
    ones too, and leaves it there after a crash; so each of its messages gets our buffer for its own instead.
    """

    def begin(event: Event) -> None:
        provider = event.assoc.dimse
        receive = provider.receive_primitive

        def receive_into_ours(primitive: Any) -> None:
            if provider.message is None:
                provider.message = DIMSEMessage()
                provider.message.encoded_command_set = _Command()
                provider.message.data_set = Arriving(spill, check_room)
            receive(primitive)

        setattr(provider, "receive_primitive", receive_into_ours)  # noqa: B010 - mypy forbids the plain assignment

    return evt.EVT_CONN_OPEN, begin


def content_of(arrived: BytesIO | None) -> Content:
    """What arrived for a request; of one without a data set, no bytes. Raises OutOfResourcesError."""
    if isinstance(arrived, Arriving):
        return arrived.content()
    return arrived.getvalue() if arrived is not None else b""
