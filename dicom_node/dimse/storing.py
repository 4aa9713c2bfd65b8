"""One C-STORE and its reply (PS3.4 section B.2): success once the object is durable, else why it is not."""

from collections.abc import Callable
from time import monotonic

import structlog
from pydicom.dataset import Dataset
from pynetdicom.events import Event

from dicom_node.dimse.contexts import is_storage
from dicom_node.dimse.journal import Tally
from dicom_node.dimse.requests import announced_by, with_content
from dicom_node.dimse.status import SUCCESS, UNFORESEEN, Status, status_of
from dicom_node.dimse.watch import Watch
from dicom_node.errors import NodeError, UnnamedError, WrongContextError
from dicom_node.instance import Incoming, Receipt
from dicom_node.logs import place_of

log = structlog.get_logger(__name__)


def reply_to_store(
    event: Event,
    *,
    handler: Callable[[Incoming], Receipt],
    on_refusal: Callable[[Exception], object],
    tally: Tally,
    watch: Watch,
) -> Dataset:
    """The response to a C-STORE request: success once `handler` has returned, else the status of what it raised.

    Either way it is counted in `tally` and told in the log; `watch` is told of what was stored, `on_refusal` why
    something was not, whoever refused it.
    """
    began = monotonic()
    incoming = announced_by(event)
    try:
        _check_request(event, incoming)
        incoming = with_content(incoming, event)
        receipt = handler(incoming)
    except Exception as error:  # noqa: BLE001 - a sender gets a storage status whatever happens
        tally.refused += 1
        on_refusal(error)
        status = status_of(error)
        _log_refusal(incoming, error, status)
        return _response(status)
    took = round(1000 * (monotonic() - began), 1)
    size = len(incoming.dataset)
    tally.stored += 1
    tally.octets += size
    try:
        watch.stored(id(event.assoc), incoming, receipt)
    except Exception as error:  # noqa: BLE001 - it is durable, and a sender that hears else sends it for ever
        log.error("stored_but_not_told", **_names(incoming), kind=type(error).__name__, error=place_of(error))
    log.info("stored", **_names(incoming), size=size, duplicate=receipt.duplicate, milliseconds=took)
    return _response(SUCCESS)


def _check_request(event: Event, announced: Incoming) -> None:
    """An object of one storage class over the context of another is tolerated: its bytes are in that context's syntax
    all the same, its data set says what it is, and to refuse it would lose it.
    """
    if not announced.sop_instance_uid:
        raise UnnamedError("the command names no object, several, or one by a UID that is too long")
    if not is_storage(str(event.context.abstract_syntax)):
        raise WrongContextError("it came over a presentation context that is not for storage")


def _response(status: Status) -> Dataset:
    response = Dataset()
    response.Status = status.code
    if status.comment:
        response.ErrorComment = status.comment
    return response


def _log_refusal(incoming: Incoming, error: Exception, status: Status) -> None:
    """Our own errors carry no patient data; what is unforeseen may, so that only its type and place are told."""
    known = str(error) if isinstance(error, NodeError) else place_of(error)
    level = log.error if status is UNFORESEEN else log.warning
    level("refused", **_names(incoming), status=f"{status.code:04X}", kind=type(error).__name__, error=known)


def _names(incoming: Incoming) -> dict[str, str]:
    return {
        "sop_instance_uid": incoming.sop_instance_uid,
        "sop_class_uid": incoming.sop_class_uid,
        "transfer_syntax_uid": incoming.transfer_syntax_uid,
        "peer": incoming.peer,
        "calling_ae": incoming.calling_ae,
    }
