"""The story of a commitment: a destination has taken images, and is asked to keep them (storage commitment SCU)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from dicom_node.commitment import CommitmentReport, Outcome, SopReference
from dicom_node.errors import AbortedError, DeliveryError
from dicom_node.ports import Commitments
from dicom_node.retry import Retry

log = structlog.get_logger(__name__)

# Deliveries in one request; a PACS may have a limit of its own, and none is known below this.
AT_A_TIME = 200


class Questioner(Protocol):
    """A way to ask a destination."""

    def __call__(self, transaction_uid: str, references: Sequence[SopReference]) -> None:
        """Returns once the destination has confirmed the request. Raises AbortedError when it may have it all the same,
        and another DeliveryError when it has not taken it.
        """


@dataclass(kw_only=True)
class Asking:
    """Asks one destination, one request after another. Every refusal of a request can pass: the images are there, and
    it is for people to say that this destination cannot commit itself.
    """

    destination: str
    commitments: Commitments
    question: Questioner
    answer_within: timedelta
    retry: Retry
    now: Callable[[], datetime]
    chance: Callable[[], float]
    new_uid: Callable[[], str]
    failures: int = 0

    def ask(self) -> int | None:
        """Ask for what waits; how many objects that were, None when the request was not confirmed.

        The ledger knows of the request before the destination does: after a crash in between, or without a word on the
        request, the destination's answer is understood, and without one it is asked again. A request that it surely
        has not taken is forgotten.
        """
        uid, now = self.new_uid(), self.now()
        references = self.commitments.begin(
            destination=self.destination,
            transaction_uid=uid,
            limit=AT_A_TIME,
            now=now,
            ask_again_at=now + self.answer_within,
        )
        if not references:
            return 0
        try:
            self.question(uid, references)
        except AbortedError as error:
            log.warning("commitment_request_unconfirmed", destination=self.destination, error=str(error))
            return None
        except DeliveryError as error:
            self._postpone(uid, error)
            return None
        self.failures = 0
        log.info("commitment_requested", destination=self.destination, transaction_uid=uid, objects=len(references))
        return len(references)

    def _postpone(self, uid: str, error: DeliveryError) -> None:
        self.failures += 1
        due_at = self.now() + self.retry.pause(attempts=self.failures, chance=self.chance())
        self.commitments.postpone(uid, error=str(error), due_at=due_at)
        log.warning(
            "commitment_not_requested", destination=self.destination, error=str(error), due_at=due_at.isoformat()
        )


def take_report(
    report: CommitmentReport, *, destinations: Sequence[str], commitments: Commitments, sendings: int, now: datetime
) -> Outcome:
    """What a destination says, kept before it is thanked. `destinations`: those that go by the AE title that says it.

    Outcomes: taken, and what is committed is delivered while the rest is sent again, or has failed after `sendings`;
    known, when it was said before; strange, when nobody asked for it.
    """
    outcome = commitments.take(report, destinations=destinations, now=now, most_refusals=sendings)
    log.info(
        "commitment_answered",
        destinations=list(destinations),
        transaction_uid=report.transaction_uid,
        outcome=outcome,
        committed=len(report.committed),
        failed=len(report.failed),
    )
    return outcome
