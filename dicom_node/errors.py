"""Every error that this software raises on purpose, as one tree.

    NodeError
    ├── ConfigError                the configuration cannot be used as it stands
    ├── StartError                 a port or a process cannot be had now; trying again later can help
    ├── ModelError                 the model does not work now
    │   └── WrongModelError        (a ConfigError too) its file is missing, damaged or made for other software
    ├── LedgerError                the ledger cannot be read or written now
    │   ├── UnstorableError        it is there, and refuses these values
    │   └── WrongLedgerError       (a ConfigError too) what is there is no ledger that this version can use
    ├── RefusedError               an incoming object is not taken; the sender is told why
    │   ├── OutOfResourcesError    disk or ledger: the sender should try again later
    │   ├── MismatchError          the data set is not the object that the command announced
    │   ├── NotUnderstoodError     the data set cannot be parsed
    │   ├── UnnamedError           the command names no object, or several
    │   ├── WrongContextError      it came over a presentation context that is not for storage
    │   └── NotAuthorisedError     this peer may not store here
    ├── BeingSentError             a content cannot be let go before its sending is over
    ├── UndecodableError           pixels cannot be turned into a grey image; the file is kept
    ├── CorrectionError            no corrected copy can be made; the original goes instead
    └── DeliveryError              an object did not reach its destination
        ├── TransientError         trying again later can help
        │   └── AbortedError       the destination broke off over this object: a few times may be chance
        └── PermanentError         trying again cannot help until somebody changes something

Edges (DIMSE, SQL, ONNX, file system) translate foreign exceptions into these once. The message is one sentence that
says what is wrong and, where somebody can do something about it, what to do. It never carries patient data.
"""

import errno
from collections.abc import Iterator


class NodeError(Exception):
    """Root of the tree."""


class ConfigError(NodeError):
    """The configuration cannot be used as it stands."""


class StartError(NodeError):
    """The node cannot start now, for a reason that may pass: a port is taken, a receiver process ended."""


class ModelError(NodeError):
    """The model cannot be loaded now, or failed on an image."""


class WrongModelError(ModelError, ConfigError):
    """The model file is missing, damaged, another one, or made for another version of this software."""


class LedgerError(NodeError):
    """The ledger cannot be read or written now."""


class UnstorableError(LedgerError):
    """The ledger is there, and refuses these values: giving it the same again would come to the same."""


class WrongLedgerError(LedgerError, ConfigError):
    """What lies there is no ledger, or one of another version: somebody must change something."""


class RefusedError(NodeError):
    """An incoming object is not taken; nothing of it was kept and the sender is told why."""


class OutOfResourcesError(RefusedError):
    """Disk or ledger cannot take the object now; the sender should try again later."""


class MismatchError(RefusedError):
    """The data set's SOP class or instance UID is not the one that the command announced."""


class NotUnderstoodError(RefusedError):
    """The data set cannot be parsed."""


class UnnamedError(RefusedError):
    """The command names no object, or several."""


class WrongContextError(RefusedError):
    """The object came over a presentation context that was accepted for something else than storage."""


class NotAuthorisedError(RefusedError):
    """This peer may not store objects here."""


class BeingSentError(NodeError):
    """A content of several with one UID is being sent, and cannot be let go before that is over."""


class UndecodableError(NodeError):
    """Pixels cannot be turned into a grey image; the message is the reason that the ledger keeps."""


class CorrectionError(NodeError):
    """No corrected copy can be made of this object; the original is sent instead."""


class DeliveryError(NodeError):
    """An object did not reach its destination."""


class TransientError(DeliveryError):
    """The destination was away, busy or full: trying again later can help."""


class AbortedError(TransientError):
    """The destination broke the connection off while it was given this object."""


class PermanentError(DeliveryError):
    """The destination refused for a reason that time does not cure."""


def reason(error: BaseException) -> str:
    """What a log may say of an error: our own sentence, or a foreign one's type, since its text may quote a patient."""
    return str(error) if isinstance(error, NodeError) else type(error).__name__


def is_of_the_path(error: OSError) -> bool:
    """Whether an error tells of a path that is wrong until somebody changes something; disks have other troubles."""
    return isinstance(
        error, FileNotFoundError | FileExistsError | IsADirectoryError | NotADirectoryError | PermissionError
    )


def is_of_the_machine(error: BaseException) -> bool:
    """Whether an error tells of disk, memory or open files, and nothing of the object in hand: trying again can help.

    pydicom raises OSError for damaged data as well, but only the operating system's have a number; and it wraps those
    into errors of its own, so that what an error came from counts too.
    """
    return any(
        isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno is not None)
        for cause in _causes(error)
    )


def is_of_memory(error: BaseException) -> bool:
    """Whether an error tells of memory that was not to be had."""
    return any(
        isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno == errno.ENOMEM)
        for cause in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
