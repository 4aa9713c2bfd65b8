"""Image sizes as compressed streams state them, read before a decoder may believe them.

A stream of a few hundred bytes can announce 65535 x 65535 pixels, and 16384 samples to each of them. Decoders allocate
by the stream's own header, not by the DICOM header, so both must be small, and the same.
"""

from dicom_node.errors import UndecodableError

MAX_PIXELS = 64_000_000
"""A 14 x 17 inch film digitised at 50 micrometres has 61 million pixels; no detector gives more."""

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8"
JPEG_2000 = b"\xff\x4f\xff\x51"
# A file around the stream, which PS3.5 A.4.4 does not allow and some senders write.
JP2 = b"\x00\x00\x00\x0cjP  \r\n\x87\n"

_NOT_FRAME_HEADERS = {0xC4, 0xC8, 0xCC}
_STANDALONE = {0x01, *range(0xD0, 0xD9)}


def refuse_absurd_size(rows: int, columns: int) -> None:
    """Raise UndecodableError unless the image has at least one and at most MAX_PIXELS pixels."""
    if rows < 1 or columns < 1:
        raise UndecodableError("the image has no rows or no columns")
    if rows * columns > MAX_PIXELS:
        raise UndecodableError(f"{rows} x {columns} pixels are more than the {MAX_PIXELS} that are decoded")


def refuse_another_image(stream: bytes, rows: int, columns: int, samples: int) -> None:
    """Raise UndecodableError unless the stream's header states this size and so many samples to a pixel."""
    size, components = stated_size(stream), stated_components(stream)
    if size is None or components is None:
        raise UndecodableError("the compressed stream has no image header")
    if size != (rows, columns):
        raise UndecodableError(f"the compressed stream has {size[0]} x {size[1]} pixels, the header says otherwise")
    if components != samples:
        raise UndecodableError(f"the compressed stream has {components} samples to a pixel, the header says otherwise")


def stated_size(stream: bytes) -> tuple[int, int] | None:
    """Return (rows, columns) as the header of a PNG, JPEG, JPEG-LS or JPEG 2000 stream or JP2 file states them.

    None for other streams and for those that end before they tell.
    """
    if stream.startswith(PNG) and len(stream) >= 24:
        return _number(stream, 20, 4), _number(stream, 16, 4)
    if stream.startswith(JP2):
        stream = _in_jp2(stream)
    if stream.startswith(JPEG_2000) and len(stream) >= 24:
        width, height, left, top = (_number(stream, at, 4) for at in (8, 12, 16, 20))
        return height - top, width - left
    at = _jpeg_frame_header(stream)
    return None if at is None else (_number(stream, at + 5, 2), _number(stream, at + 7, 2))


def stated_components(stream: bytes) -> int | None:
    """Return how many samples a pixel has by the header of a JPEG, JPEG-LS or JPEG 2000 stream (Nf, Csiz) or JP2 file.

    None as `stated_size`.
    """
    if stream.startswith(JP2):
        stream = _in_jp2(stream)
    if stream.startswith(JPEG_2000) and len(stream) >= 42:
        return _number(stream, 40, 2)
    at = _jpeg_frame_header(stream)
    return stream[at + 9] if at is not None and at + 9 < len(stream) else None


def stated_precision(stream: bytes) -> int | None:
    """Return the bits of a sample as the header of a JPEG or JPEG-LS stream states them, None as `stated_size`."""
    at = _jpeg_frame_header(stream)
    return None if at is None else stream[at + 4]


def _in_jp2(stream: bytes) -> bytes:
    """What the first contiguous codestream box holds: decoders allocate by its header, not by the file's.

    Nothing, for a box before it that does not say where it ends: pydicom would look for the next one for ever.
    """
    at = 0
    while at + 8 <= len(stream) and stream[at + 4 : at + 8] != b"jp2c":
        length = _number(stream, at, 4)
        if length < 8:
            return b""
        at += length
    return stream[at + 8 :]


def _jpeg_frame_header(stream: bytes) -> int | None:
    """Walk the marker segments to the frame header (ITU-T T.81 B.2.2; JPEG-LS, T.87, has its own marker F7)."""
    if not stream.startswith(JPEG):
        return None
    at = 2
    while at + 9 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _STANDALONE:
            at += 2
        elif marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in _NOT_FRAME_HEADERS):
            return at
        else:
            at += 2 + _number(stream, at + 2, 2)
    return None


def _number(stream: bytes, at: int, size: int) -> int:
    return int.from_bytes(stream[at : at + size], "big")
