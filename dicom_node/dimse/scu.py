"""The sender: C-STORE of DICOM files to one peer, over an association that is kept between sends."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Self

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_ECHO, C_STORE
from pynetdicom.presentation import build_context

from dicom_node.dimse.answers import only_answers
from dicom_node.dimse.contexts import VERIFICATION
from dicom_node.dimse.in_step import in_step
from dicom_node.dimse.line import Line, Peer
from dicom_node.dimse.outcome import failure_of, is_duplicate, is_warning
from dicom_node.dimse.proposal import UNCOMPRESSED, Proposal
from dicom_node.dimse.transcode import transcode
from dicom_node.element_text import text_of
from dicom_node.errors import AbortedError, NotUnderstoodError, PermanentError, TransientError, is_of_the_machine
from dicom_node.part10 import split_meta
from dicom_node.tls import TlsClient

log = structlog.get_logger(__name__)

# A large object over a slow line: the answer may take this much longer, per byte.
SLOWEST_BYTES_PER_SECOND = 256 << 10
IDLE_AFTER = timedelta(seconds=10)
HIGHEST_MESSAGE_ID = 0xFFFF


@dataclass(frozen=True, kw_only=True)
class _File:
    """A Part 10 file, and what its meta says that it is."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str

    @classmethod
    def opened(cls, path: Path) -> Self:
        try:
            with path.open("rb") as file:
                meta, _ = split_meta(file)
        except NotUnderstoodError as error:
            raise PermanentError(f"the file to send cannot be read: {error}") from error
        except FileNotFoundError as error:
            raise PermanentError("the file to send is not there") from error
        except OSError as error:
            raise TransientError(f"the file to send cannot be read now: {error.strerror}") from error
        found = [text_of(meta, tag) for tag in (0x00020002, 0x00020003, 0x00020010)]
        if not all(found):
            raise PermanentError("the file to send has no complete File Meta Information")
        return cls(path=path, sop_class_uid=found[0], sop_instance_uid=found[1], transfer_syntax_uid=found[2])


class StoreScu:
    """Sends files to one peer, for one thread. A kept association is opened again when the peer has closed it.

    `timeout`: for connecting, for the association's answer, and for each object's (larger objects get more).
    `idle_after`: `close_if_idle` releases an association that was not used for this long. `scratch`: gives a path for
    a transcoded copy as long as its context is open; by default in the system's temporary folder. `tls`: its files are
    read at once, and ConfigError says what is wrong with them.

    `was_there`: whether the peer has answered to the latest object that it had one with this UID already.
    """

    def __init__(
        self,
        peer: Peer,
        *,
        calling_ae: str,
        timeout: timedelta = timedelta(seconds=30),
        idle_after: timedelta = IDLE_AFTER,
        scratch: Callable[[], AbstractContextManager[Path]] | None = None,
        tls: TlsClient | None = None,
    ) -> None:
        self._peer = peer
        self._timeout = timeout.total_seconds()
        self._idle_after = idle_after
        self._scratch = scratch or _temporary_file
        self._proposal = Proposal()
        self._association: Association | None = None
        self._used = monotonic()
        self._message_id = 0
        self.was_there = False
        idle = max(timeout, 2 * idle_after)
        self._line = Line(peer, calling_ae=calling_ae, timeout=timeout, idle=idle, tls=tls)

    def send(self, path: Path) -> None:
        """Send a file as its bytes are; transcode it only for a peer that does not take its syntax.

        Returns once the peer has confirmed the object, be it with a warning. Raises TransientError when trying again
        later can help, PermanentError when not.
        """
        file = _File.opened(path)
        kept = self._open_association() is not None
        try:
            self._send(file)
        except AbortedError:
            # That a kept association is gone says nothing about the peer; that a fresh one goes does.
            if not kept:
                raise
            self._send(file)
        finally:
            self._used = monotonic()

    def echo(self) -> None:
        """Verify that the peer answers (C-ECHO, PS3.4 annex A). Raises as `send`."""
        association = self._line.open([build_context(VERIFICATION, list(UNCOMPRESSED))])
        try:
            with only_answers(association, C_ECHO, 1):
                response = association.send_c_echo(1)
            if "Status" not in response:
                raise TransientError(f"{self._peer} did not answer the C-ECHO")
            failure = failure_of(response)
            if failure is not None:
                raise failure
        finally:
            association.release()

    def idle_for(self) -> timedelta:
        """How long no object has been sent."""
        return timedelta(seconds=monotonic() - self._used)

    def close_if_idle(self) -> None:
        """Release an association that nothing has used for some seconds, so that the peer can have it back."""
        if self._association is not None and self.idle_for() >= self._idle_after:
            self.close()

    def close(self) -> None:
        """Release the association, if there is one; the next send opens another."""
        association, self._association = self._association, None
        if association is not None and association.is_established:
            association.release()

    def _send(self, file: _File) -> None:
        if self._proposal.widen(file.sop_class_uid, file.transfer_syntax_uid):
            self.close()
        association = self._open_association()
        if association is None:
            association = self._association = self._line.open(self._proposal.contexts())
        syntax = self._accepted_syntax(association, file)
        if syntax == file.transfer_syntax_uid:
            self._store(association, file, file.path)
            return
        with self._scratch() as target:
            log.info("transcoding", peer=str(self._peer), sop_instance_uid=file.sop_instance_uid, to=syntax)
            self._store(association, file, transcode(file.path, syntax, target))

    def _open_association(self) -> Association | None:
        return self._association if self._association is not None and self._association.is_established else None

    def _accepted_syntax(self, association: Association, file: _File) -> str:
        """The file's own syntax if the peer took it, else an uncompressed one."""
        taken = [
            str(context.transfer_syntax[0])
            for context in association.accepted_contexts
            if context.abstract_syntax == file.sop_class_uid
        ]
        for syntax in (file.transfer_syntax_uid, *UNCOMPRESSED):
            if syntax in taken:
                return syntax
        raise PermanentError(f"{self._peer} takes no {UID(file.sop_class_uid).name}")

    def _store(self, association: Association, file: _File, path: Path) -> None:
        answered = False
        try:
            response = self._response(association, path)
            answered = True
        finally:
            if not answered:  # half an object may lie on the line, and what came next would be taken for the rest of it
                self._break_off()
        failure = failure_of(response)
        if failure is not None:
            raise failure
        self.was_there = is_duplicate(response.Status)
        if is_warning(response.Status):
            uid, status = file.sop_instance_uid, f"{response.Status:04X}"
            log.warning("sent_with_warning", peer=str(self._peer), sop_instance_uid=uid, status=status)

    def _response(self, association: Association, path: Path) -> Dataset:
        """What the peer answers to an object; an error when it answers nothing, or cannot be asked."""
        began = monotonic()
        try:
            patience = self._timeout + path.stat().st_size / SLOWEST_BYTES_PER_SECOND
            association.dimse_timeout = patience
            # A number of its own: on a kept association, a second answer to the object before is none to this one.
            self._message_id = self._message_id % HIGHEST_MESSAGE_ID + 1
            with in_step(association, patience), only_answers(association, C_STORE, self._message_id):
                response = association.send_c_store(path, self._message_id)
        except RuntimeError as error:
            raise AbortedError(f"{self._peer} closed the association") from error
        except (OSError, ValueError, AttributeError) as error:
            kind = TransientError if is_of_the_machine(error) else PermanentError
            raise kind(f"the object cannot be sent: {type(error).__name__}") from error
        if "Status" in response:
            return response
        if monotonic() - began < patience:
            raise AbortedError(f"{self._peer} closed the association while it received an object")
        raise TransientError(f"{self._peer} did not confirm an object within {patience:.0f} s")

    def _break_off(self) -> None:
        association, self._association = self._association, None
        if association is not None and association.is_established:
            association.abort()


@contextmanager
def _temporary_file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dicom-node-") as folder:
        yield Path(folder) / "object.dcm"
