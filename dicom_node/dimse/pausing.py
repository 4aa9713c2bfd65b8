"""Only an association's own loop says whether it is paused.

pynetdicom halts that loop while somebody sends or releases, and waits until the loop says that it has halted. It serves
an N-EVENT-REPORT in a thread of its own that says "paused" before and "not paused" after, too: said a moment after the
loop has halted, a release waits for ever, and with it whatever the association was for.
"""

from threading import current_thread

from pynetdicom.association import Association
from pynetdicom.events import Event


class _SteadyAssociation(Association):
    """pynetdicom's own, with another `_is_paused`."""

    @property
    def _is_paused(self) -> bool:
        return bool(self.__dict__["_is_paused"])

    @_is_paused.setter
    def _is_paused(self, paused: bool) -> None:
        # Whoever ends it says so first, and may then let everybody go on.
        if current_thread() is self or self._kill:
            self.__dict__["_is_paused"] = paused


def pause_by_itself(event: Event) -> None:
    """Handler of EVT_CONN_OPEN, for receivers and senders: its loop has not begun then."""
    setattr(event.assoc, "__class__", _SteadyAssociation)  # noqa: B010 - a property is one only in a class
