"""No signal that asks a process to end is missed, whichever thread the kernel hands it to."""

import subprocess
import sys

import pytest

WAITS = """
import os, signal, threading, time
from dicom_node.ending import Ending

ending = Ending(signal.SIGTERM)
assert not ending.wait(0)

def ask():
    time.sleep(0.3)  # by now the main thread waits
    {ask}

threading.Thread(target=ask).start()
assert ending.wait(20.0)
assert ending.wait(20.0)  # asked once is asked for good
"""


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param("signal.pthread_kill(threading.get_ident(), signal.SIGTERM)", id="handed to another thread"),
        pytest.param("signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)", id="to the main thread"),
        pytest.param("os.kill(os.getpid(), signal.SIGTERM)", id="to the process"),
    ],
)
def test_a_signal_wakes_the_process_that_waits_for_it(ask: str) -> None:
    subprocess.run([sys.executable, "-c", WAITS.format(ask=ask)], check=True, timeout=60)


def test_a_sentinel_asks_too() -> None:
    script = """
import os
from dicom_node.ending import Ending

parent, child = os.pipe()
ending = Ending(sentinels=[parent])
assert not ending.wait(0.1)
os.close(child)
assert ending.wait(20.0)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_signal_that_comes_when_nobody_waits_any_more_is_passed_over_in_silence() -> None:
    """As while a receiver that could not start is being stopped."""
    script = """
import os, signal
from dicom_node.ending import Ending

ending = Ending(signal.SIGTERM)
del ending
os.kill(os.getpid(), signal.SIGTERM)
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
