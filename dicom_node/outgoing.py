"""What a destination gets of one instance: the original's file, a corrected copy, a copy with new UIDs, a report."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import structlog
from pydicom.dataset import Dataset

from dicom_node import __version__
from dicom_node.bodypart import BodyPart, HeaderRegion, HeaderSource, body_parts, read_header_region
from dicom_node.config import Destination, DestinationMode
from dicom_node.correct import Correction, Finding, corrected, report_of, with_new_uids, write_part10
from dicom_node.errors import CorrectionError, PermanentError, TransientError, UndecodableError, is_of_the_machine
from dicom_node.header import header_region
from dicom_node.instance import REPORT_ALONE, Event, Instance
from dicom_node.object_file import read_object
from dicom_node.policy import Policy, closed_series_value, same_body_part, term_for
from dicom_node.ports import Records, When, Work
from dicom_node.soundness import is_sound
from dicom_node.spool import Spool
from dicom_node.verdict import Decision, Outcome, Recognition, Verdict

log = structlog.get_logger(__name__)

_SEND_AGAIN = "send it to the node again, or `dicom-node requeue` it if it has come again since"


@dataclass(frozen=True, kw_only=True)
class OutgoingFile:
    """A Part 10 file that is ready to be sent, the UIDs that it bears, and what `Delivery.written` says of it."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    written: str | None = None


class Dispatch:
    """Makes the files of one delivery for one destination. Copies are temporary; originals are the spool's own."""

    def __init__(
        self,
        *,
        destination: Destination,
        spool: Spool,
        work: Work,
        records: Records,
        policy: Policy,
        ae_title: str,
        now: Callable[[], datetime],
    ) -> None:
        self._destination = destination
        self._policy = policy
        self._spool = spool
        self._work = work
        self._records = records
        self._ae_title = ae_title
        self._now = now

    @contextmanager
    def prepare(
        self, instance: Instance, verdict: Verdict, recognition: Recognition | None
    ) -> Iterator[Sequence[OutgoingFile]]:
        """The files to send, in order. Where no copy can be made of this object the original goes instead, which is
        noted once it has gone: an image is never held back for its header. Raises PermanentError when the instance's
        file is gone or damaged, and TransientError when the machine cannot read or write now.
        """
        original = OutgoingFile(
            path=self._original(instance),
            sop_class_uid=instance.sop_class_uid,
            sop_instance_uid=instance.sop_instance_uid,
        )
        trouble: CorrectionError | None = None
        with self._spool.scratch() as target:
            try:
                made = self._made(original.path, instance, verdict, recognition, target)
            except (OSError, MemoryError) as error:
                raise TransientError(f"the copy cannot be made now: {type(error).__name__}") from error
            except CorrectionError as error:
                made, trouble = None, error
            yield self._in_order(original, made)
        if trouble is not None:  # not with each attempt: those on a destination that is away go on for ever
            self._note(instance, trouble)

    def _note(self, instance: Instance, trouble: CorrectionError) -> None:
        log.error("correction_failed", sop_instance_uid=instance.sop_instance_uid, error=str(trouble))
        self._records.note(
            Event(kind="correction_failed", at=self._now(), instance_id=instance.id, detail=str(trouble))
        )

    def _in_order(self, original: OutgoingFile, made: OutgoingFile | None) -> list[OutgoingFile]:
        if made is None:
            report_alone = self._destination.mode is DestinationMode.ANNOTATE and not self._destination.sends_original
            return [] if report_alone else [original]
        if self._destination.sends_original:
            same_uid = made.sop_instance_uid == original.sop_instance_uid
            return [original] if same_uid else [original, made]
        annotates = self._destination.mode is DestinationMode.ANNOTATE
        return [replace(made, written=REPORT_ALONE) if annotates else made]

    def _original(self, instance: Instance) -> Path:
        path = self._spool.path(instance.path)
        # The file decides, not the mark: retention may set the mark just after a sender has brought the file back.
        if path.is_file():
            _check_sound(path, instance)
            return path
        if not self._spool.is_here():
            raise TransientError("the spool is not there; check that its disk is mounted")
        raise PermanentError(f"the instance's file is no longer in the spool; {_SEND_AGAIN}")

    def _made(
        self, source: Path, instance: Instance, verdict: Verdict, recognition: Recognition | None, target: Path
    ) -> OutgoingFile | None:
        """The corrected copy or the report, None where the image goes as it came."""
        if self._destination.mode is DestinationMode.ANNOTATE:
            if verdict.outcome is not Outcome.TAGGED or recognition is None:
                return None
            ds = self._report(_read(source), instance, verdict, recognition)
            return _written(ds, target)
        decided = self._decided(instance, verdict)
        if decided is None or same_body_part(instance.body_part, decided):
            return None
        ds = _read(source)
        header = header_region(ds)
        value = self._value(decided, header, verdict)
        if value is None:
            return None
        ds = corrected(ds, self._correction(value, header, verdict, recognition))
        if self._destination.mode is DestinationMode.COPY:
            ds = with_new_uids(ds, self._namespace(instance))
        return replace(_written(ds, target), written=value)

    def _decided(self, instance: Instance, verdict: Verdict) -> str | None:
        """The body part to write: the verdict's own at once, the closed series' later."""
        if self._destination.when is When.AT_ONCE:
            return verdict.body_part
        if verdict.decision in (Decision.NOT_A_RADIOGRAPH, Decision.UNREADABLE):
            return None
        return self._work.decided_value(
            study_uid=instance.study_uid, series_uid=instance.series_uid, when=When.STUDY_CLOSED
        )

    def _value(self, decided: str, header: HeaderRegion, verdict: Verdict) -> str | None:
        """What that comes to for this image; the verdict's own was fitted to it when it was made."""
        if self._destination.when is When.AT_ONCE:
            return decided
        shown = verdict.region if verdict.outcome is Outcome.TAGGED else None
        return closed_series_value(self._policy, header, decided, own=verdict.proposal, region=shown)

    def _correction(
        self, value: str, header: HeaderRegion, verdict: Verdict, recognition: Recognition | None
    ) -> Correction:
        part = body_parts().get(value)
        if part is None:
            raise CorrectionError(f"{value} is no defined term of BodyPartExamined")
        return Correction(
            body_part=part,
            region=_shown(value, header, verdict),
            decision=Decision.CORRECTS if header.source is HeaderSource.BODY_PART_EXAMINED else Decision.FILLS,
            model_id=recognition.model_id if recognition else "",
            ae_title=self._ae_title,
            software_version=__version__,
            # Not the time of sending: a retry must send the very same object.
            at=verdict.decided_at,
        )

    def _report(self, ds: Dataset, instance: Instance, verdict: Verdict, recognition: Recognition) -> Dataset:
        finding = Finding(
            region=recognition.region,
            confidence=recognition.confidence,
            model_id=recognition.model_id,
            ae_title=self._ae_title,
            software_version=__version__,
            at=verdict.decided_at,
        )
        return report_of(ds, finding, self._namespace(instance))

    def _namespace(self, instance: Instance) -> str:
        """What new UIDs are derived from; an object that bears another's UID gets a UID of its own."""
        name = self._destination.name
        return f"{name}/{instance.digest}" if instance.conflict else name


def _shown(value: str, header: HeaderRegion, verdict: Verdict) -> BodyPart | None:
    """The part that this image's own pixels show: the model's region, though the series' value may be finer (FINGER) or
    come from another image. None where its pixels do not say so.
    """
    if verdict.outcome is not Outcome.TAGGED or verdict.region is None:
        return None
    if verdict.region not in read_header_region(value).regions:
        return None
    return body_parts()[term_for(verdict.region, header)]


def _check_sound(path: Path, instance: Instance) -> None:
    """Reading all of it takes a third of a millisecond for 400 kB, and then it is in memory for whoever sends it."""
    try:
        sound = is_sound(path, instance.digest)
    except OSError as error:
        raise TransientError(f"the instance's file cannot be read now: {error.strerror}") from error
    if not sound:
        raise PermanentError(f"the instance's file in the spool is damaged; {_SEND_AGAIN}")


def _read(path: Path) -> Dataset:
    try:
        return read_object(path)
    except UndecodableError as error:
        raise CorrectionError(str(error)) from error
    except Exception as error:
        if is_of_the_machine(error):
            raise
        raise CorrectionError(f"the object cannot be parsed for correction: {type(error).__name__}") from error


def _written(ds: Dataset, target: Path) -> OutgoingFile:
    write_part10(ds, target)
    return OutgoingFile(path=target, sop_class_uid=str(ds.SOPClassUID), sop_instance_uid=str(ds.SOPInstanceUID))
