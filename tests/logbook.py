"""What is written to the log, for tests to read."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import structlog


@contextmanager
def captured_log(level: int = logging.INFO) -> Iterator[StringIO]:
    """The lines from `level` on, as JSON, until this is left."""
    out = StringIO()
    previous = structlog.get_config()
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(out),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    try:
        yield out
    finally:
        structlog.configure(**previous)
