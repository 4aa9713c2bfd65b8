"""What somebody who keeps watch is told of a receiver: the audit trail, in our case."""

from typing import Protocol

from dicom_node.instance import Incoming, Receipt


class Watch(Protocol):
    """Told in the association's own thread, so that every answer has to be quick. `association` tells one from another
    as long as it is open.
    """

    def stored(self, association: int, incoming: Incoming, receipt: Receipt) -> None:
        """An object was acknowledged."""

    def ended(self, association: int) -> None:
        """An association was released or aborted, or its peer is gone."""

    def refused(self, *, peer: str, calling_ae: str, why: str) -> None:
        """An association was rejected, or a TLS connection did not come about (then the AE title is not known)."""


class NobodyWatches:
    """The watch of a receiver that nobody watches."""

    def stored(self, association: int, incoming: Incoming, receipt: Receipt) -> None: ...

    def ended(self, association: int) -> None: ...

    def refused(self, *, peer: str, calling_ae: str, why: str) -> None: ...
