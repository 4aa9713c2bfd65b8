"""The ledger as those see it who look for images, in memory."""

from collections.abc import Callable, Mapping

from dicom_node.instance import Delivery, Instance, InstanceState
from dicom_node.standing import ImageList, Standing, StandingImage, delivery_states
from dicom_node.testing.shelf import Room, Shelf
from dicom_node.verdict import Decision, Outcome, Verdict

_OF_VERDICTS: Mapping[Standing, Callable[[Verdict], bool]] = {
    Standing.ABSTAINED: lambda verdict: verdict.outcome is Outcome.ABSTAINED,
    Standing.REVIEW: lambda verdict: verdict.decision is Decision.REVIEW,
    Standing.UNREADABLE: lambda verdict: verdict.outcome is Outcome.UNREADABLE,
}


class MemoryStandings(Room):
    """Implements `dicom_node.standing.Standings`."""

    def images(self, standing: Standing, *, destination: str | None = None, limit: int) -> ImageList:
        shelf = self._shelf
        with shelf.lock:
            found = [
                StandingImage(instance=one, verdict=shelf.verdicts.get(key), deliveries=ways)
                for key, one in sorted(shelf.instances.items(), reverse=True)
                for ways in [_ways(shelf, one, standing, destination)]
                if ways or _stands_by_itself(shelf, one, standing, destination)
            ]
            return ImageList(images=tuple(found[:limit]), total=len(found))


def _ways(shelf: Shelf, instance: Instance, standing: Standing, destination: str | None) -> tuple[Delivery, ...]:
    states = delivery_states(standing, destination)
    ways = (one for one in shelf.deliveries_of(instance.id) if one.state in states)
    return tuple(one for one in ways if destination in (None, one.destination))


def _stands_by_itself(shelf: Shelf, instance: Instance, standing: Standing, destination: str | None) -> bool:
    verdict = shelf.verdicts.get(instance.id)
    if standing in _OF_VERDICTS:
        return verdict is not None and _OF_VERDICTS[standing](verdict)
    if standing is Standing.PENDING:
        return destination is None and instance.state is InstanceState.RECEIVED
    if standing is Standing.UNROUTED:
        return instance.state is InstanceState.SETTLED and not shelf.deliveries_of(instance.id)
    if standing is Standing.CONFLICTING:
        return shelf.is_conflicting(instance)
    return standing is Standing.LOST and instance.id in shelf.lost
