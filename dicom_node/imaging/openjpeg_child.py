"""A program that decodes one JPEG 2000 frame with OpenJPEG: stream on standard input, native frame on standard output.

What OpenJPEG allocates hangs on more than the image's size: a stream of 150 bytes can divide it into as many tiles or
precincts as it has pixels. So this process may have so much memory, and no more. `jpeg2000.py` starts this file by its
path; nothing imports it, and of what is installed it imports nothing but the decoder.
"""

import resource
import sys
from pathlib import Path


def is_allowed(kind: int, wanted: int) -> bool:
    """Limit this process to so much, or to what a limit from outside leaves of it; whether that is all."""
    hard = resource.getrlimit(kind)[1]
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(kind, (allowed, hard))
    return allowed == wanted


def limit(seconds: int, memory: int) -> bool:
    """To so many seconds of computing, and bytes beyond what the address space holds already (proc(5), statm); whether
    the memory is to be had. A limit of the seconds from outside ends the process by itself, by SIGKILL.
    """
    is_allowed(resource.RLIMIT_CPU, seconds)
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return True
    held = int(statm.read_text().split()[0]) * resource.getpagesize()
    return is_allowed(resource.RLIMIT_AS, held + memory)


if __name__ == "__main__":
    try:
        from openjpeg.utils import decode_pixel_data

        stream = sys.stdin.buffer.read()
        has_memory = limit(*map(int, sys.argv[1:]))
    except Exception:  # noqa: BLE001 - whatever keeps a library from being loaded
        sys.exit(75)  # OF_THE_MACHINE of child.py
    try:
        frame = bytes(decode_pixel_data(stream, version=2))
    except Exception:  # noqa: BLE001 - the decoder raises whatever it likes
        # With all the memory that a sound stream can need, it is the stream's fault, want of memory too.
        sys.exit(1 if has_memory else 75)
    sys.stdout.buffer.write(frame)
