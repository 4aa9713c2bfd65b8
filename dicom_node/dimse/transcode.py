"""Giving an object another, uncompressed transfer syntax, for a peer that takes only that.

Nothing is lost beyond what an earlier lossy compression lost, and little else changes: text leaves byte for byte, the
UIDs stay (PS3.3 C.12.4.1.1 asks for new ones only where the pixels' meaning changes), Lossy Image Compression stays as
it is, and decoded colours are not converted, so that Photometric Interpretation says what the decoder gave. Group
lengths (gggg,0000), retired, go, and so does an icon that cannot be decoded, since it may not stay compressed.
"""

import os
import resource
import signal
import sys
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_node.bounded_reading import Limits
from dicom_node.dimse.decompress import decompress
from dicom_node.dimse.reframe import reframed
from dicom_node.element_text import text_of
from dicom_node.errors import (
    DeliveryError,
    PermanentError,
    TransientError,
    UndecodableError,
    is_of_memory,
    is_of_the_machine,
)
from dicom_node.imaging.child import ENDED_FROM_OUTSIDE
from dicom_node.logs import quiet_libraries
from dicom_node.object_file import AT_ANY_LENGTH, THE_WHOLE, TooManyError, read_object
from dicom_node.part10 import DEFLATED, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, split_meta

# Decoders are native code that damaged streams can crash or keep for ever; the child pays for that, not the node. What
# has the most elements that are read takes a third of the time.
TIMEOUT_SECONDS = 300.0
# A stream of some kilobytes can have OpenJPEG take all the memory that there is; sound objects, of many frames or very
# many elements, some gigabytes.
SHARE_OF_MEMORY = 3
# How the child says that the machine, not the object, is the reason (EX_TEMPFAIL of sysexits.h).
_OUT_OF_RESOURCES = 75
# How it says that it has sent the reason.
_TOLD = 76
_NOT_NOW = "the object cannot be rewritten for the peer now: look at this machine's disk, memory and open files"


def transcode(path: Path, to_syntax: str, target: Path) -> Path:
    """Write the object in the file `path` to `target` in an uncompressed little endian syntax, and return `target`.

    Raises PermanentError when its pixels cannot be decoded, its data set cannot be parsed or its own syntax is private,
    TransientError when this machine has no disk, memory or process left for it.
    """
    if UID(to_syntax) not in (ExplicitVRLittleEndian, ImplicitVRLittleEndian):
        raise PermanentError("objects are transcoded to uncompressed little endian syntaxes only")
    try:
        with path.open("rb") as file:
            syntax = text_of(split_meta(file)[0], 0x00020010)
        # pydicom reads a data set of a syntax that it does not know as Explicit VR, and so makes something else of it.
        if not UID(syntax).is_transfer_syntax:
            raise PermanentError("the object's transfer syntax is private or unknown, so that it goes only as it is")
        if _is_encapsulated(syntax):
            _in_a_child(path, to_syntax, target)
        else:
            _here_if_it_is_small(path, to_syntax, target)
    except DeliveryError:
        raise
    except UndecodableError as error:
        raise PermanentError(str(error)) from error
    except Exception as error:
        if is_of_the_machine(error):
            raise TransientError(_NOT_NOW) from error
        reason = type(error).__name__
        raise PermanentError(
            f"the peer takes only uncompressed objects, this one cannot be rewritten: {reason}"
        ) from error
    return target


def _here_if_it_is_small(path: Path, to_syntax: str, target: Path) -> None:
    """What has very many elements takes minutes and gigabytes, and a process of its own gives them back."""
    try:
        convert(path, to_syntax, target, THE_WHOLE)
    except TooManyError:
        _in_a_child(path, to_syntax, target)


def convert(path: Path, to_syntax: str, target: Path, limits: Limits = AT_ANY_LENGTH) -> None:
    """As `transcode`, in this process, raising whatever pydicom and the decoders raise, and as `read_object`."""
    ds: Any = read_object(path, limits)
    if "PixelDataProviderURL" in ds:
        raise PermanentError("the pixels of this object lie with a JPIP server, so that it cannot be rewritten")
    if _is_encapsulated(ds.file_meta.TransferSyntaxUID):
        decompress(ds)
    converted: Any = reframed(ds, implicit=UID(to_syntax).is_implicit_VR)
    converted.preamble, converted.file_meta = ds.preamble, ds.file_meta
    converted.file_meta.TransferSyntaxUID = UID(to_syntax)
    converted.file_meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
    converted.file_meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    dcmwrite(target, converted, enforce_file_format=True)


def _is_encapsulated(syntax: str) -> bool:
    return UID(syntax).is_transfer_syntax and UID(syntax).is_encapsulated and syntax not in DEFLATED


def _in_a_child(path: Path, to_syntax: str, target: Path) -> None:
    context = get_context("spawn")
    told, tell = context.Pipe(duplex=False)
    child = context.Process(target=_convert_or_exit, args=(tell, path, to_syntax, target), daemon=True)
    child.start()
    child.join(TIMEOUT_SECONDS)
    if child.is_alive():
        child.kill()
        child.join()
        raise PermanentError(f"the object was not rewritten within {TIMEOUT_SECONDS:.0f} s")
    if child.exitcode == _OUT_OF_RESOURCES or child.exitcode in ENDED_FROM_OUTSIDE:
        raise TransientError(_NOT_NOW)
    if child.exitcode == _TOLD:
        raise PermanentError(told.recv_bytes().decode())
    if child.exitcode != 0:
        raise PermanentError("the peer takes only uncompressed objects, and this one's pixel data cannot be decoded")


def _convert_or_exit(tell: Connection, path: Path, to_syntax: str, target: Path) -> None:
    quiet_libraries()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the node's process decides
    has_its_share = _limit_memory()
    try:
        convert(path, to_syntax, target)
    except (PermanentError, UndecodableError) as error:
        _exit_telling(tell, str(error))
    except BaseException as error:  # noqa: BLE001 - a decoder's panic too; its text may quote the object and stays here
        if has_its_share and is_of_memory(error):
            _exit_telling(tell, f"rewriting this object takes more than 1/{SHARE_OF_MEMORY} of this machine's memory")
        sys.exit(_OUT_OF_RESOURCES if is_of_the_machine(error) else 1)


def _exit_telling(tell: Connection, why: str) -> NoReturn:
    tell.send_bytes(why.encode())
    sys.exit(_TOLD)


def _limit_memory() -> bool:
    """Let this process have its share of the machine's memory; whether no limit from outside is lower."""
    most = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // SHARE_OF_MEMORY
    set_before, hard = resource.getrlimit(resource.RLIMIT_AS)
    lower = [limit for limit in (set_before, hard) if limit != resource.RLIM_INFINITY and limit < most]
    resource.setrlimit(resource.RLIMIT_AS, (min([most, *lower]), hard))
    return not lower
