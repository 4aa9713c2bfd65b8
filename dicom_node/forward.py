"""The story of one delivery: make what the destination gets, send it, keep what came of it."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock, Timer
from time import monotonic
from typing import Protocol

import structlog

from dicom_node.commitment import SopReference
from dicom_node.errors import AbortedError, LedgerError, OutOfResourcesError, PermanentError, TransientError, reason
from dicom_node.instance import Delivery, DeliveryState, Done, Instance
from dicom_node.logs import place_of
from dicom_node.ports import Outbox, Records
from dicom_node.retry import Retry
from dicom_node.verdict import Recognition, Verdict

log = structlog.get_logger(__name__)

# A peer that breaks off over the same object again and again cannot take it: a damaged data set, most often.
MOST_ABORTS = 8

ANOTHER_IS_THERE = (
    "the destination has an object with this UID already (0111), and of this UID there are several contents: settle "
    "there which of them is right, then requeue this one"
)

# Files to send for one delivery, in order; they exist as long as the context is open.
Preparation = Callable[[Instance, Verdict, Recognition | None], AbstractContextManager[Sequence["Outgoing"]]]


class Outgoing(Protocol):
    """A file that is ready to be sent, the UID that it bears, and the body part that it was given."""

    @property
    def path(self) -> Path: ...
    @property
    def sop_class_uid(self) -> str: ...
    @property
    def sop_instance_uid(self) -> str: ...
    @property
    def written(self) -> str | None: ...


class Gathered:
    """Deliveries that are done, kept in the outbox a few at a time, which costs no more than one alone.

    A crash before they are kept sends them once more: the same objects with the same UIDs, as after any lost answer.
    """

    def __init__(self, outbox: Outbox, longest: timedelta = timedelta(seconds=0.5)) -> None:
        """`longest`: how long the first of them waits at most, whatever is sent meanwhile and however long it takes."""
        self._outbox = outbox
        self._longest = longest.total_seconds()
        self._done: list[Done] = []
        self._since = 0.0
        self._lock = Lock()  # held while they are written: whoever keeps finds all kept afterwards
        self._timer: Timer | None = None
        self._told = False  # that they could not be kept meanwhile: once, however long that lasts

    def add(self, done: Done) -> None:
        """Raises LedgerError when it was time to keep them, and they could not be; then that is tried again."""
        with self._lock:
            if not self._done:
                self._since = monotonic()
            self._done.append(done)
            if monotonic() - self._since >= self._longest:
                self._keep()
            elif self._timer is None:
                self._wind_up()

    def keep(self) -> None:
        """Keep what there is. Raises as `add`."""
        with self._lock:
            self._keep()

    def _keep(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._done:
            self._outbox.delivered_together(self._done)
            self._done = []
            self._told = False

    def _wind_up(self) -> None:
        self._timer = Timer(self._longest, self._keep_meanwhile)
        self._timer.daemon = True  # what it does not come to in the end, the lane does
        self._timer.start()

    def _keep_meanwhile(self) -> None:
        """While the lane sends. What goes wrong is told, and again to the lane; both go on trying."""
        with self._lock:
            try:
                self._keep()
            except Exception as error:  # noqa: BLE001 - nobody is there to hear it
                if not self._told:
                    log.error("deliveries_not_kept", count=len(self._done), error=reason(error))
                self._told = True
                self._wind_up()


class Transport(Protocol):
    """A way to one destination, kept open between sends."""

    def send(self, path: Path) -> None:
        """Returns once the destination has confirmed the object; raises TransientError or PermanentError."""

    def close_if_idle(self) -> None:
        """Release a connection that nothing has used for some seconds, so that the peer can have it back."""

    def close(self) -> None: ...


def deliver(
    delivery: Delivery,
    *,
    outbox: Outbox,
    prepare: Preparation,
    transport: Transport,
    retry: Retry,
    aborts: Counter[int],
    now: Callable[[], datetime],
    chance: Callable[[], float],
    keep: Callable[[Done], None] | None = None,
    another_is_there: Callable[[Instance], bool] = lambda _instance: False,
    ask_after: timedelta | None = None,
) -> DeliveryState:
    """Bring one delivery to an end for now, and say in which state that left it.

    Outcomes: delivered, or sent where the destination will be asked, after `ask_after`, to commit itself to keep what
    it was given; pending again, with the error, when trying again can help, or for a fault that nobody has foreseen,
    which then holds up no other delivery; failed, when it cannot or when the destination's patience
    (retry.give_up_after) is over. Sending twice after a crash is harmless: the same object with the same UID goes
    again. Raises LedgerError, and OutOfResourcesError where the spool is away: neither is any delivery's own fault.

    `keep`: what keeps a delivery that is done; by default the outbox, at once. `aborts`: how often the destination
    broke off over each delivery, kept here from call to call. Attempts on a destination that was away say nothing of
    the object and do not count; after a restart the counting begins anew. `another_is_there`: whether the destination
    answered to what it was just sent under the instance's own UID that it has that UID, and means another content.
    """
    try:
        instance, verdict, recognition = outbox.subject(delivery)
        with prepare(instance, verdict, recognition) as outgoing:
            for item in outgoing:
                transport.send(item.path)
                if item.sop_instance_uid == instance.sop_instance_uid and another_is_there(instance):
                    raise PermanentError(ANOTHER_IS_THERE)
            objects = [
                SopReference(sop_class_uid=item.sop_class_uid, sop_instance_uid=item.sop_instance_uid)
                for item in outgoing
            ]
            written = outgoing[-1].written if outgoing else None
    except AbortedError as error:
        aborts[delivery.id] += 1
        if aborts[delivery.id] >= MOST_ABORTS:
            return _fail(delivery, f"broken off {aborts.pop(delivery.id)} times: {error}", outbox=outbox, now=now())
        return _postpone(delivery, error, outbox=outbox, retry=retry, now=now(), chance=chance())
    except TransientError as error:
        return _postpone(delivery, error, outbox=outbox, retry=retry, now=now(), chance=chance())
    except PermanentError as error:
        aborts.pop(delivery.id, None)
        return _fail(delivery, str(error), outbox=outbox, now=now())
    except (LedgerError, OutOfResourcesError):
        raise
    except Exception as error:  # noqa: BLE001 - a fault of ours in one object, or over one peer, may not stop the lane
        log.error("delivery_unforeseen", delivery=delivery.id, kind=type(error).__name__, error=place_of(error))
        unforeseen = TransientError(f"unforeseen fault in the node, {reason(error)}: its log says where")
        return _postpone(delivery, unforeseen, outbox=outbox, retry=retry, now=now(), chance=chance())
    aborts.pop(delivery.id, None)
    sent_uid = objects[-1].sop_instance_uid if objects else ""
    names = {"destination": delivery.destination, "delivery": delivery.id, "sop_instance_uid": sent_uid}
    if ask_after is not None and objects:
        outbox.sent(delivery.id, objects=objects, written=written, now=now(), ask_at=now() + ask_after)
        log.info("sent", **names)
        return DeliveryState.SENT
    done = Done(delivery_id=delivery.id, sent_uid=sent_uid, written=written, at=now())
    if keep is not None:
        keep(done)
    else:
        outbox.delivered_together([done])
    log.info("delivered", **names)
    return DeliveryState.DELIVERED


def uid_is_taken(instance: Instance, *, records: Records, destination: str) -> bool:
    """Whether a destination that has this instance's UID may mean another content: one that was here before it, or one
    that came later and went there first.
    """
    return instance.conflict or any(
        delivery.destination == destination and delivery.sent_uid
        for other in records.find(instance.sop_instance_uid)
        if other.instance.sop_instance_uid == instance.sop_instance_uid and other.instance.id != instance.id
        for delivery in other.deliveries
    )


def _fail(delivery: Delivery, error: str, *, outbox: Outbox, now: datetime) -> DeliveryState:
    outbox.fail(delivery.id, error=error, now=now)
    log.error("delivery_failed", destination=delivery.destination, delivery=delivery.id, error=error)
    return DeliveryState.FAILED


def _postpone(
    delivery: Delivery, error: TransientError, *, outbox: Outbox, retry: Retry, now: datetime, chance: float
) -> DeliveryState:
    # Patience counts from the first failure: before it, the delivery may have waited for a review, or for this node.
    planned_at = delivery.planned_at if delivery.attempts else now
    due_at = retry.next_attempt(attempts=delivery.attempts + 1, planned_at=planned_at, now=now, chance=chance)
    if due_at is None:
        return _fail(delivery, f"gave up after {delivery.attempts + 1} attempts: {error}", outbox=outbox, now=now)
    outbox.postpone(delivery.id, error=str(error), planned_at=planned_at, due_at=due_at)
    log.warning(
        "delivery_postponed",
        destination=delivery.destination,
        delivery=delivery.id,
        error=str(error),
        due_at=due_at.isoformat(),
    )
    return DeliveryState.PENDING
