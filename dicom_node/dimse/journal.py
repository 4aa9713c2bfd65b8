"""What is told of each association: its line in the log, and whoever keeps watch. Nothing that was taken goes untold.

pynetdicom tells of an end in one of several ways, and of some ends in none: of a peer whose request it refuses by
itself, of a thread of its own that broke. So the end of the association's thread is the last occasion for all of them.
"""

from dataclasses import dataclass
from time import monotonic
from weakref import WeakKeyDictionary, WeakSet

import structlog
from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.events import Event

from dicom_node.dimse.admission import STRANGE_NETWORK
from dicom_node.dimse.requests import peer_of
from dicom_node.dimse.watch import Watch

log = structlog.get_logger(__name__)

SAID_NOTHING = "it ended before it had asked for anything"


@dataclass(kw_only=True)
class Tally:
    """What came over one association, for its line in the log."""

    began: float
    stored: int = 0
    refused: int = 0
    octets: int = 0


class Journal:
    """The tallies of one receiver's associations. Each is told once, from whichever thread comes first."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._tallies: WeakKeyDictionary[Association, Tally] = WeakKeyDictionary()
        self._unheard: WeakSet[Association] = WeakSet()

    def begin(self, event: Event) -> None:
        """Handler of EVT_CONN_OPEN, before the association's thread is started."""
        association = event.assoc
        self._unheard.add(association)
        run = association.run

        def run_to_the_end() -> None:
            try:
                run()
            finally:
                self._over(association)

        setattr(association, "run", run_to_the_end)  # noqa: B010 - mypy forbids the plain assignment

    def requested(self, association: Association) -> None:
        """It asks to be let in."""
        self._unheard.discard(association)
        self._tallies[association] = Tally(began=monotonic())

    def is_unheard(self, association: Association) -> bool:
        """Whether nothing has been told of it, and it has not asked for anything yet."""
        return association in self._unheard

    def open_ones(self) -> list[Association]:
        """Those that were requested and have not ended."""
        # Other threads put theirs in and take them out meanwhile; only the references are copied in one go.
        return [one for reference in self._tallies.keyrefs() if (one := reference()) is not None]

    def tally_of(self, association: Association) -> Tally:
        return self._tallies.setdefault(association, Tally(began=monotonic()))

    def rejected(self, association: Association, why: str) -> None:
        """It was turned away with an A-ASSOCIATE-RJ."""
        self._forget(association)
        self._tell_rejection(**peer_of(association), why=why)

    def stranger(self, peer: str, calling_ae: str) -> None:
        """A connection from a strange network was turned away; over TLS, before it could say who it is."""
        self._tell_rejection(peer=peer, calling_ae=calling_ae, why=STRANGE_NETWORK.why)

    def _tell_rejection(self, *, peer: str, calling_ae: str, why: str) -> None:
        log.warning("association_rejected", peer=peer, calling_ae=calling_ae, reason=why)
        self._watch.refused(peer=peer, calling_ae=calling_ae, why=why)

    def broken(self, association: Association, why: str) -> None:
        """It was aborted over its request."""
        self._forget(association)
        peer = peer_of(association)
        log.warning("association_broken", **peer, kind=why)
        self._watch.refused(**peer, why=why)

    def tls_failed(self, peer: str, why: str, association: Association | None = None) -> None:
        """A TLS connection did not come about, or came where none was expected."""
        if association is not None:
            self._forget(association)
        log.warning("tls_failed", peer=peer, error=why)
        self._watch.refused(peer=peer, calling_ae="", why=why)

    def ended(self, event: Event) -> None:
        """Handler of EVT_RELEASED and EVT_ABORTED."""
        self._tell(event.assoc, "association_released" if event.event is evt.EVT_RELEASED else "association_aborted")

    def close(self) -> None:
        """Tell of those that have not ended yet, since nobody will be there to hear when they do."""
        for association in self.open_ones():
            self._tell(association, "association_aborted")

    def _over(self, association: Association) -> None:
        if self.is_unheard(association):
            self.broken(association, SAID_NOTHING)
        self._tell(association, "association_aborted")

    def _tell(self, association: Association, name: str) -> None:
        tally = self._tallies.pop(association, None)
        self._watch.ended(id(association))
        if tally is None:
            return
        log.info(
            name,
            **peer_of(association),
            stored=tally.stored,
            refused=tally.refused,
            bytes=tally.octets,
            seconds=round(monotonic() - tally.began, 3),
        )

    def _forget(self, association: Association) -> None:
        self._unheard.discard(association)
        self._tallies.pop(association, None)
