"""Something that goes on in a thread of its own while a test does what it is about."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def beside(act: Callable[[threading.Event], None]) -> Iterator[None]:
    """`act` gets an event that is set when it is to end, and has ended when this is left."""
    enough = threading.Event()
    thread = threading.Thread(target=act, args=(enough,))
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()
