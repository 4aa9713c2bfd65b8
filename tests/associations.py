"""Both ends of an association: receivers and senders for the tests of what happens between them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.presentation import build_context

from dicom_node.dimse.scp import ScpSettings, StoreScp
from dicom_node.dimse.scu import Peer, StoreScu
from dicom_node.errors import TransientError
from dicom_node.instance import Incoming, Receipt
from dicom_node.tls import TlsClient
from tests.dimse_objects import CR
from tests.servers.dcmtk import StoreScpProcess

Handler = Callable[[Incoming], Receipt]


@contextmanager
def scp_with(handler: Handler, **settings) -> Iterator[StoreScp]:
    scp = StoreScp(ScpSettings(**({"ae_title": "REGION"} | settings)), handler)
    scp.start()
    try:
        yield scp
    finally:
        scp.stop(timedelta(seconds=2))


@contextmanager
def sender_to(
    scp: StoreScp | StoreScpProcess, calling: str = "MODALITY", called: str = "REGION", **options
) -> Iterator[StoreScu]:
    peer = Peer(host="127.0.0.1", port=scp.port, ae_title=called)
    scu = StoreScu(peer, calling_ae=calling, **options)
    try:
        yield scu
    finally:
        scu.close()


def refusal(scp: StoreScp | StoreScpProcess, tls: TlsClient | None) -> str:
    """What the sender says when it cannot get through."""
    with sender_to(scp, tls=tls, timeout=timedelta(seconds=5)) as scu, pytest.raises(TransientError) as caught:
        scu.echo()
    return str(caught.value)


def answer_to(scp: StoreScp, ds: Dataset, sop_class: str = CR) -> Dataset:
    """The response to a C-STORE of `ds`, over an association of its own."""
    entity = AE("MODALITY")
    association = entity.associate("127.0.0.1", scp.port, [build_context(sop_class, ExplicitVRLittleEndian)])
    assert association.is_established
    try:
        ds.file_meta = Dataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        return association.send_c_store(ds)
    finally:
        association.release()
