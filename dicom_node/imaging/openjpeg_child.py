"""A program that decodes one JPEG 2000 frame with OpenJPEG: stream on standard input, native frame on standard output.

What OpenJPEG allocates hangs on more than the image's size: a stream of 150 bytes can divide it into as many tiles or
precincts as it has pixels. So this process may have so much memory, and no more. `jpeg2000.py` starts this file by its
path; nothing imports it, and of what is installed it imports nothing but the decoder.
"""

import resource
import sys
from pathlib import Path

from openjpeg.utils import decode_pixel_data


def limit(seconds: int, memory: int) -> None:
    """To so many seconds of computing, and bytes beyond what the address space holds already (proc(5), statm)."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    statm = Path("/proc/self/statm")
    if statm.exists():
        held = int(statm.read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (held + memory, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    stream = sys.stdin.buffer.read()
    limit(*map(int, sys.argv[1:]))
    sys.stdout.buffer.write(bytes(decode_pixel_data(stream, version=2)))
