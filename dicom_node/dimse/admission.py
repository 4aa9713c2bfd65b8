"""Who may open an association, and the A-ASSOCIATE-RJ for who may not (PS3.8 table 9-21)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from pynetdicom.association import Association

from dicom_node.dimse.requests import proposal_of
from dicom_node.dimse.secure import certified_names
from dicom_node.pace import Pace


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Result, source and reason as they go over the wire, and why, for our log. `passing`: trying again can help."""

    wire: tuple[int, int, int]
    why: str

    @property
    def passing(self) -> bool:
        return self.wire[0] == TRANSIENT

    @property
    def pdu(self) -> bytes:
        """The A-ASSOCIATE-RJ (PS3.8 section 9.3.4)."""
        return bytes([3, 0, 0, 0, 0, 4, 0, *self.wire])


PERMANENT, TRANSIENT = 0x01, 0x02
USER, ACSE, PRESENTATION = 0x01, 0x02, 0x03

STRANGE_NETWORK = Refusal(wire=(PERMANENT, USER, 0x01), why="its address is in no network of node.allow_from")
CALLING_AE_UNKNOWN = Refusal(wire=(PERMANENT, USER, 0x03), why="its AE title is not in node.calling_ae")
CALLED_AE_UNKNOWN = Refusal(wire=(PERMANENT, USER, 0x07), why="the AE title that it calls is not in node.called_ae")
NOT_ITS_NAME = Refusal(wire=(PERMANENT, USER, 0x03), why="its certificate bears no name that tls.client_names gives it")
NO_ROOM = Refusal(wire=(PERMANENT, USER, 0x01), why="its Maximum Length is too short for any answer")
# pynetdicom's own doing.
OTHER_VERSION = Refusal(
    wire=(PERMANENT, ACSE, 0x02), why="it speaks another version of the upper layer protocol than 1"
)
TOO_MANY = Refusal(wire=(TRANSIENT, PRESENTATION, 0x02), why="it has node.max_associations_per_peer open already")
FULL = Refusal(wire=(TRANSIENT, PRESENTATION, 0x02), why="node.max_associations are open, and none of them is idle")
TROUBLE = Refusal(wire=(TRANSIENT, PRESENTATION, 0x01), why="unforeseen trouble in the receiver, see its log")
TOO_FAST = Refusal(wire=(TRANSIENT, PRESENTATION, 0x01), why="it opened more than node.associations_per_minute")


class Admission:
    """The rules of one receiver; empty lists and absent limits let everybody in.

    A peer is an address: an AE title is whatever the other side says. `most_per_peer`: associations at once;
    `per_minute`: new ones, of which that many may also come in a burst.
    """

    def __init__(
        self,
        *,
        networks: Iterable[IPv4Network | IPv6Network] = (),
        calling_aes: Iterable[str] = (),
        called_aes: Iterable[str] = (),
        client_names: Mapping[str, tuple[str, ...]] | None = None,
        most_per_peer: int | None = None,
        per_minute: int | None = None,
    ) -> None:
        self._networks = tuple(networks)
        self._calling_aes = frozenset(calling_aes)
        self._called_aes = frozenset(called_aes)
        self._client_names = {
            title.strip(): frozenset(name.lower() for name in names) for title, names in (client_names or {}).items()
        }
        self._most_per_peer = most_per_peer
        self._pace = Pace(per_minute, 60.0) if per_minute is not None else None

    def is_strange(self, address: str) -> bool:
        """Whether nobody may call from there: that is known before a word is said."""
        return bool(self._networks) and not _within(address, self._networks)

    def refusal(self, association: Association, open_ones: Iterable[Association]) -> Refusal | None:
        """Why an association that was requested may not be opened beside the open ones; None: it may."""
        proposal = proposal_of(association)
        address = association.requestor.address
        calling, called = proposal.calling_ae_title.strip(), proposal.called_ae_title.strip()
        if self.is_strange(address):
            return STRANGE_NETWORK
        if self._calling_aes and calling not in self._calling_aes:
            return CALLING_AE_UNKNOWN
        if self._called_aes and called not in self._called_aes:
            return CALLED_AE_UNKNOWN
        names = self._client_names.get(calling)
        if names is not None and not certified_names(association) & names:
            return NOT_ITS_NAME
        if self._most_per_peer is not None and _count(association, open_ones) >= self._most_per_peer:
            return TOO_MANY
        if self._pace is not None and not self._pace.take(address):
            return TOO_FAST
        return None


def _count(association: Association, open_ones: Iterable[Association]) -> int:
    """How many other associations its peer has. Dead threads do not count, whatever became of their events."""
    address = association.requestor.address
    return sum(
        other is not association and other.requestor.address == address and other.is_alive() for other in open_ones
    )


def _within(address: str, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    peer = ip_address(address)
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped is not None:
        peer = peer.ipv4_mapped
    return any(peer in network for network in networks)
