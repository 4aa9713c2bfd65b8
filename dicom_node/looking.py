"""Looking at an instance of the ledger: at its file, and where that cannot be read, at what was kept of its header.

What nobody can look at still has to reach whom the rules send it to: most of them ask for the modality alone.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from dicom_node.bodypart import HeaderRegion, read_header_region
from dicom_node.errors import is_of_the_machine
from dicom_node.header import header_region, header_values
from dicom_node.instance import Instance
from dicom_node.object_file import open_object
from dicom_node.spool import Spool
from dicom_node.verdict import Outcome, Sighting

# A file whose classification failed, or on which the process died, this often is not looked at again; it goes on as it
# came. Attempts are a lease apart.
MOST_ATTEMPTS = 20


class Known(Protocol):
    """What is read of every object when it comes in: an instance of the ledger, or the identity in a file's head."""

    @property
    def sop_class_uid(self) -> str: ...
    @property
    def sop_instance_uid(self) -> str: ...
    @property
    def study_uid(self) -> str: ...
    @property
    def series_uid(self) -> str: ...
    @property
    def modality(self) -> str: ...
    @property
    def body_part(self) -> str: ...
    @property
    def anatomic_region_code(self) -> str: ...


class Sees(Protocol):
    """Something that looks at a file, as `eye.Eye` does."""

    def look(self, path: Path) -> Sighting: ...


class Looking:
    """Looks at instances; several threads may at once."""

    def __init__(self, *, eye: Sees, spool: Spool) -> None:
        self._eye = eye
        self._spool = spool

    def look(self, instance: Instance) -> Sighting:
        """Look at an instance. Outcomes:

        - its file is lost, or cannot be read at all: `unreadable`, with the header that was kept of it;
        - it was tried too often, without success: `unreadable`, with the header alone;
        - else as `Eye.look`, and its errors.

        Raises OutOfResourcesError while the spool is away.
        """
        if not instance.spooled:
            return unseen(instance, "its file is lost; send it to the node again")
        self._spool.check_here()
        path = self._spool.path(instance.path)
        if instance.attempts > MOST_ATTEMPTS:
            return _given_up(instance, path)
        sighting = self._eye.look(path)
        return sighting if sighting.values else unseen(instance, sighting.reason)

    def header_of(self, instance: Instance) -> HeaderRegion:
        """What the header of an instance says; what was kept of it, without its side, where its file cannot be read.

        Raises OutOfResourcesError while the spool is away: nothing is delivered then, and closing can wait as well.
        """
        self._spool.check_here()
        try:
            return header_region(open_object(self._spool.path(instance.path)))
        except Exception:  # noqa: BLE001 - pydicom raises whatever it likes, and a study is closed all the same
            return read_header_region(instance.body_part, instance.anatomic_region_code)


def _given_up(instance: Instance, path: Path) -> Sighting:
    """Its header is read once: where even that ends the process, the next attempt asks the ledger alone."""
    why = f"given up after {MOST_ATTEMPTS} attempts to classify it"
    if instance.attempts > MOST_ATTEMPTS + 1:
        return unseen(instance, why)
    try:
        ds = open_object(path)
        return Sighting(outcome=Outcome.UNREADABLE, header=header_region(ds), values=header_values(ds), reason=why)
    except Exception as error:  # pydicom raises whatever it likes
        if is_of_the_machine(error):
            raise
        return unseen(instance, why)


def unseen(known: Known, why: str) -> Sighting:
    """What is said of an object that cannot be looked at: unreadable, with the header that was kept of it."""
    return Sighting(
        outcome=Outcome.UNREADABLE,
        header=read_header_region(known.body_part, known.anatomic_region_code),
        values=kept_values(known),
        reason=why,
    )


def kept_values(known: Known) -> Mapping[str, tuple[str, ...]]:
    """What was kept of an object's header, by keyword, as far as rules may ask for it."""
    kept = {
        "Modality": known.modality,
        "BodyPartExamined": known.body_part,
        "SOPClassUID": known.sop_class_uid,
        "SOPInstanceUID": known.sop_instance_uid,
        "StudyInstanceUID": known.study_uid,
        "SeriesInstanceUID": known.series_uid,
    }
    return {keyword: (value,) for keyword, value in kept.items() if value}
