"""What a receiver does with storage commitment: it keeps what peers ask, and what destinations answer."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from dicom_node.commit import take_report
from dicom_node.commitment import CommitmentReport, CommitmentRequest, Outcome, Promise
from dicom_node.ports import Commitments, Promises
from dicom_node.promise import keep_request


class CommitmentDesk:
    """Implements `dicom_node.dimse.commitment.Desk`. `destinations`: AE title -> the destinations that go by it, and
    are asked for their commitment. `held`: how long a report is left to the association on which it was asked for.
    """

    def __init__(
        self,
        *,
        promises: Promises,
        commitments: Commitments,
        destinations: Mapping[str, Sequence[str]],
        sendings: int,
        held: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._promises = promises
        self._commitments = commitments
        self._destinations = destinations
        self._sendings = sendings
        self._held = held
        self._now = now

    def ask(self, request: CommitmentRequest) -> Promise | None:
        return keep_request(request, promises=self._promises, held=self._held, now=self._now())

    def take(self, report: CommitmentReport, *, calling_ae: str) -> Outcome:
        return take_report(
            report,
            destinations=self._destinations.get(calling_ae, ()),
            commitments=self._commitments,
            sendings=self._sendings,
            now=self._now(),
        )
