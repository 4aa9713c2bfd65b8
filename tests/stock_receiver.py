"""A plain pynetdicom SCP, and our sender before it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pydicom.dataset import Dataset
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.events import Event, EventHandlerType

from dicom_node.dimse.scu import Peer, StoreScu

Received = list[tuple[str, bytes]]


@contextmanager
def receiver(
    answer: Callable[[Event], int | Dataset] = lambda event: 0x0000,
    syntaxes: list[str] = ALL_TRANSFER_SYNTAXES,
    received: Received | None = None,
    associations: list[object] | None = None,
    more: Sequence[EventHandlerType] = (),
    **settings,
) -> Iterator[Peer]:
    """A plain pynetdicom SCP that keeps (syntax, bytes) of what it gets, and answers as it is told; `more` handlers."""

    def store(event: Event) -> int | Dataset:
        if received is not None:
            received.append((str(event.context.transfer_syntax), event.request.DataSet.getvalue()))
        return answer(event)

    def established(event: Event) -> None:
        if associations is not None:
            associations.append(event.assoc)

    entity = AE("PACS")
    for name, value in settings.items():
        setattr(entity, name, value)
    for context in AllStoragePresentationContexts:
        entity.add_supported_context(context.abstract_syntax, syntaxes)
    entity.add_supported_context("1.2.840.10008.1.1")
    handlers = [(evt.EVT_C_STORE, store), (evt.EVT_ESTABLISHED, established), *more]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        yield Peer(host="127.0.0.1", port=server.server_address[1], ae_title="PACS")
    finally:
        for association in server.active_associations:
            if association.is_established:  # pynetdicom may not abort what it has just rejected
                association.abort()
        server.shutdown()


@contextmanager
def sender(peer: Peer, **options) -> Iterator[StoreScu]:
    scu = StoreScu(peer, calling_ae="REGION", **options)
    try:
        yield scu
    finally:
        scu.close()
