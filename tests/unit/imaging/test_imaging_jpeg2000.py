"""What a short JPEG 2000 stream can ask for: it is refused, or costs a process of its own and not the node."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from struct import pack, pack_into, unpack_from

import numpy as np
import pytest
from openjpeg.utils import encode_array
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless

from dicom_node.errors import UndecodableError
from dicom_node.imaging import openjpeg_child
from dicom_node.imaging.child import OF_THE_MACHINE
from dicom_node.imaging.codestreams import stated_components
from dicom_node.imaging.decode import stored_values
from dicom_node.imaging.jpeg2000 import BYTES_BESIDE, BYTES_PER_PIXEL, CPU_SECONDS

Factory = Callable[..., Dataset]
SIDE = 1500


def stream() -> bytearray:
    return bytearray(encode_array(np.zeros((SIDE, SIDE), np.uint16)))


def with_components(count: int) -> bytes:
    """Csiz, and as many triples of precision and sampling (ISO/IEC 15444-1 A.5.1)."""
    made = stream()
    made[40:45] = pack(">H", count) + made[42:45] * count
    pack_into(">H", made, 4, 38 + 3 * count)
    return bytes(made)


def with_tiles(side: int) -> bytes:
    made = stream()
    pack_into(">LL", made, 24, side, side)
    return bytes(made)


def with_precincts(power: int) -> bytes:
    """Of 2^power pixels a side, in each resolution (A.6.1)."""
    made = stream()
    at = made.index(b"\xff\x52")
    length, levels = unpack_from(">H", made, at + 2)[0], made[at + 9]
    made[at + 4] |= 1
    made[at + 2 + length : at + 2 + length] = bytes([power * 17]) * (levels + 1)
    pack_into(">H", made, at + 2, length + levels + 1)
    return bytes(made)


def holding(radiograph: Factory, content: bytes) -> Dataset:
    return radiograph(
        np.zeros((SIDE, SIDE), np.uint16), TransferSyntaxUID=JPEG2000Lossless, PixelData=encapsulate([content])
    )


def test_a_sound_stream_is_decoded(radiograph: Factory) -> None:
    assert not stored_values(holding(radiograph, bytes(stream()))).any()


@pytest.mark.parametrize("count", [2, 3, 100, 16384])
def test_a_stream_of_more_samples_than_the_object_has_never_reaches_a_decoder(radiograph: Factory, count: int) -> None:
    assert stated_components(with_components(count)) == count
    with pytest.raises(UndecodableError, match=f"{count} samples"):
        stored_values(holding(radiograph, with_components(count)))


@pytest.mark.parametrize("content", [with_tiles(6), with_precincts(1)], ids=["tiles", "precincts"])
def test_a_stream_that_takes_very_much_memory_for_its_size_is_refused(radiograph: Factory, content: bytes) -> None:
    """OpenJPEG would take half a gigabyte for the one and more than one for the other."""
    with pytest.raises(UndecodableError, match="OpenJPEG cannot decode"):
        stored_values(holding(radiograph, content))
    assert peak_of_the_child(content) < 1 << 20  # KiB


MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_of_the_child(content: bytes) -> int:
    """The memory in KiB that the decoder's process has held at once. It is started by a small process, since what a
    process held before it became another program counts as well, and this one may be large (getrusage(2)).
    """
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *child_program()], input=content, stdout=subprocess.PIPE, check=True
    )
    return int(done.stdout)


def child_program() -> list[str]:
    memory = BYTES_BESIDE + BYTES_PER_PIXEL * SIDE * SIDE
    return [sys.executable, "-P", openjpeg_child.__file__, str(CPU_SECONDS), str(memory)]


def child_within(limit: str) -> subprocess.CompletedProcess[bytes]:
    """The decoder's process as it starts where systemd or a shell has set a hard limit, which nothing may raise."""
    if not shutil.which("prlimit"):
        pytest.skip("prlimit is not installed")
    return subprocess.run(["prlimit", limit, *child_program()], input=bytes(stream()), capture_output=True, check=False)


@pytest.mark.parametrize("limit", ["--cpu=20", f"--as={3 << 30}"])
def test_a_limit_from_outside_that_leaves_enough_is_no_reason(limit: str) -> None:
    done = child_within(limit)
    assert (done.returncode, done.stdout) == (0, bytes(SIDE * SIDE))  # of zeros, a byte to each


@pytest.mark.parametrize("megabytes", [60, 150])
def test_a_limit_from_outside_that_leaves_too_little_memory_says_nothing_of_the_stream(megabytes: int) -> None:
    """It runs out while the decoder is loaded, or in its work."""
    done = child_within(f"--as={megabytes << 20}")
    assert done.returncode in (OF_THE_MACHINE, 0)  # 0 where a smaller library leaves enough of it


def test_a_stream_of_more_bits_than_the_object_has_room_for_is_refused(radiograph: Factory) -> None:
    ds = holding(radiograph, bytes(encode_array(np.full((SIDE, SIDE), 40_000, np.uint16))))
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit = 7
    with pytest.raises(UndecodableError):
        stored_values(ds)
