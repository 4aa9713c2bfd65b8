"""The decoder's process: what of its ends is the stream's fault, and what the machine's."""

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Semaphore

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import JPEGLosslessSV1

from dicom_node.errors import UndecodableError, is_of_the_machine
from dicom_node.imaging import child, jpeg

Factory = Callable[..., Dataset]


@pytest.fixture
def decode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, radiograph: Factory) -> Callable[[str], np.ndarray]:
    """Decode one pixel with a GDCM that does what the test says as soon as it is used."""

    def decoding(deed: str) -> np.ndarray:
        (tmp_path / "gdcm.py").write_text(f"import os, signal, sys, time\ndef Fragment():\n    {deed}\n")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return jpeg.jpeg_values(b"a stream", JPEGLosslessSV1, radiograph(np.zeros((1, 1), np.uint8)))

    return decoding


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_decoder_that_is_ended_from_outside_says_nothing_of_the_stream(decode, number: signal.Signals) -> None:
    """A stop of the service and the kernel out of memory come without regard to the image: it is tried again."""
    with pytest.raises(OSError, match="from outside") as stopped:
        # A shell that starts these tests in the background has them ignore SIGINT.
        decode(f"signal.signal(signal.SIGINT, signal.default_int_handler); os.kill(os.getpid(), {number:d})")
    assert is_of_the_machine(stopped.value)


def test_a_decoder_without_memory_says_nothing_of_the_stream(decode) -> None:
    with pytest.raises(OSError, match="no memory") as starved:
        decode("raise MemoryError")
    assert is_of_the_machine(starved.value)


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGFPE])
def test_a_decoder_that_dies_of_the_stream_is_a_reason(decode, number: signal.Signals) -> None:
    with pytest.raises(UndecodableError, match="GDCM cannot decode"):
        decode(f"os.kill(os.getpid(), {number:d})")


def test_a_decoder_that_computes_for_ever_is_a_reason(decode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jpeg, "CPU_SECONDS", 1)
    with pytest.raises(UndecodableError, match="in 1 s of computing"):
        decode("while True: pass")


def test_a_decoder_that_gets_no_time_to_compute_says_nothing_of_the_stream(decode, monkeypatch) -> None:
    """On a machine that swaps, a minute of the clock is no minute of computing."""
    monkeypatch.setattr(child, "WALL_SECONDS", 1.0)
    with pytest.raises(TimeoutError) as late:
        decode("time.sleep(60)")
    assert is_of_the_machine(late.value)


def test_no_more_decoders_run_at_once_than_there_are_processors(decode, monkeypatch, tmp_path) -> None:
    """One of two ends before the other begins; each would find the other's mark."""
    monkeypatch.setattr(child, "_TURNS", Semaphore(1))
    mark = str(tmp_path / "running")
    deed = f"os.mkdir({mark!r}); time.sleep(0.5); os.rmdir({mark!r}); sys.stdout.buffer.write(b'1')"
    with ThreadPoolExecutor(2) as pool:
        decoded = [pool.submit(decode, f"{deed}; sys.stdout.flush(); os._exit(0)") for _ in range(2)]
        assert [one.result().tolist() for one in decoded] == [[[ord("1")]]] * 2


def test_ctrl_c_does_not_reach_the_decoder(decode) -> None:
    """A terminal signals a process group of its session; the decoder leads a session of its own."""
    leads = decode("sys.stdout.buffer.write(bytes([os.getsid(0) == os.getpid()])); sys.stdout.flush(); os._exit(0)")
    assert leads.tolist() == [[1]]
