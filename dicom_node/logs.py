"""Logging: one line per event on standard error, for people or as JSON. Patient data never gets here."""

import logging
import sys
import threading
import traceback
import warnings
from typing import Literal

import structlog

log = structlog.get_logger(__name__)

_NOWHERE = logging.NullHandler()


class Lines(structlog.WriteLogger):
    """Writes lines to standard error. One that cannot be written, as on a full disk or to a reader that has died, is
    counted and raises nothing: the log never decides about an image.
    """

    lost = 0  # of all of a process
    _counting = threading.Lock()

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def msg(self, message: str) -> None:
        """Write a line, if that is possible."""
        try:
            super().msg(message)
        except (OSError, ValueError):  # ValueError: the file is closed
            with Lines._counting:
                Lines.lost += 1

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


class Relay(logging.Handler):
    """What libraries log, as lines of ours: the first line of what they say, without the values that are to go into it,
    and the type and place of an error. Values and the texts of errors may be a patient's.
    """

    def emit(self, record: logging.LogRecord) -> None:
        tell = log.error if record.levelno >= logging.ERROR else log.warning
        error = record.exc_info[1] if record.exc_info else None
        where = {"kind": type(error).__name__, "error": place_of(error)} if error is not None else {}
        tell("library_trouble", library=record.name, said=str(record.msg).partition("\n")[0], **where)


class _Escaped:
    """A text that is shown as a literal of Python's: the renderer for people quotes whatever is no string by its repr,
    and of strings only those with spaces, quotes and line breaks.
    """

    def __init__(self, text: str) -> None:
        self._text = str(text)

    def __repr__(self) -> str:
        return repr(self._text)


def _escape(_logger: object, _method: str, told: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Let no value move the cursor of the terminal at which the log is read; a peer chooses its UIDs."""
    return {key: _Escaped(value) if _is_unprintable(value) else value for key, value in told.items()}


def _is_unprintable(value: object) -> bool:
    return isinstance(value, str) and not value.isprintable()


def place_of(error: BaseException) -> str:
    """Where an error came from, for one whose text must not be told."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def configure_logging(*, form: Literal["console", "json"], level: str) -> None:
    """Set up structlog and quiet the libraries; called once, by the process that is the program."""
    renderers: list[structlog.typing.Processor] = (
        [structlog.processors.JSONRenderer()]
        if form == "json"
        else [_escape, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)]
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks,
            *renderers,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: Lines(),
        cache_logger_on_first_use=False,  # one that spoke before would never hear of this configuration
    )
    root = logging.getLogger()
    if not any(isinstance(handler, Relay) for handler in root.handlers):
        root.addHandler(Relay())
    quiet_libraries()


def quiet_libraries() -> None:
    """Keep the libraries' own warnings off standard error; also for child processes, which inherit none of this.

    pydicom and pynetdicom quote the values that they complain about, names of patients among them.
    """
    warnings.filterwarnings("ignore")
    for name in ("pydicom", "pynetdicom", "apscheduler", "alembic", "highdicom", "gdcm"):
        library = logging.getLogger(name)
        library.setLevel(logging.CRITICAL)
        # pydicom sets its level anew when it is imported, which may be later.
        library.propagate = False
        library.addHandler(_NOWHERE)
