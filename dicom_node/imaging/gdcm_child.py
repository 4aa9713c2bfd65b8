"""A program that decodes one JPEG frame with GDCM: stream on standard input, native frame on standard output.

GDCM ends the whole process on some damaged streams (an exception in its error callback), so it never runs inside the
node. `jpeg.py` starts this file by its path; nothing imports it, and of what is installed it imports nothing but GDCM.
"""

import resource
import sys

try:
    import gdcm
except Exception:  # noqa: BLE001 - whatever keeps a library from being loaded
    sys.exit(75)  # OF_THE_MACHINE of child.py


def decoded(stream: bytes, syntax: str, rows: int, columns: int, allocated: int, stored: int, signed: int) -> bytes:
    """Return the frame's rows x columns samples, little endian; empty when GDCM cannot decode the stream."""
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(stream)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    image.SetDataElement(element)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    image.SetPixelFormat(gdcm.PixelFormat(1, allocated, stored, stored - 1, signed))
    buffer = image.GetBuffer()
    # GDCM's wrapper hands bytes over as text
    return b"" if buffer is None else buffer.encode("utf-8", "surrogateescape")


def limit(seconds: int) -> None:
    """To so many seconds of computing; a lower limit from outside stays, and ends the process by SIGKILL."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    allowed = seconds if hard == resource.RLIM_INFINITY else min(seconds, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (allowed, hard))


if __name__ == "__main__":
    seconds, syntax, *numbers = sys.argv[1:]
    try:
        limit(int(seconds))
        sys.stdout.buffer.write(decoded(sys.stdin.buffer.read(), syntax, *map(int, numbers)))
    except (MemoryError, OSError):
        sys.exit(75)
