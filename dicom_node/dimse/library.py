"""pynetdicom's switches, which are of the whole process."""

from pynetdicom import _config


def set_up_pynetdicom() -> None:
    """Set what the node relies on. Whoever uses pynetdicom here calls this first; calling it again changes nothing."""
    # Send a file's data set as the bytes that lie there, not decoded and encoded anew.
    _config.STORE_SEND_CHUNKED_DATASET = True
    # Its handlers describe every PDU for a debug log that nobody reads.
    _config.LOG_HANDLER_LEVEL = "none"
    # AE titles are ASCII by the standard, and Latin-1 on some modalities.
    _config.CODECS = ("ascii", "latin-1")
