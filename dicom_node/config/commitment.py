"""The sections on storage commitment: how long to wait for what, and where peers want to be told."""

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from dicom_node.config.names import AeTitle, Host
from dicom_node.config.quantities import Duration, Interval, Timeout
from dicom_node.config.section import Section
from dicom_node.config.security import DestinationTls


class CommitmentSection(Section):
    """Storage commitment, towards peers and towards destinations that have `storage_commitment`.

    `linger`: how long either side's association is left open for a report on it. `gather`: how long images are gathered
    before a destination is asked for them. `answer_within`: how long it may take before it is asked again. `sendings`:
    how often an image is sent that it does not commit itself to. `give_up_after`: how long we try to reach a peer.
    """

    linger: Duration = timedelta(seconds=2)
    gather: Duration = timedelta(seconds=5)
    answer_within: Interval = timedelta(minutes=10)
    sendings: Annotated[int, Field(ge=1)] = 3
    give_up_after: Duration | None = timedelta(days=7)


class CommitmentPeer(Section):
    """Where a peer that asks us for commitment takes our reports, unless it keeps its own association open."""

    ae_title: AeTitle
    host: Host
    port: Annotated[int, Field(ge=1, le=65535)]
    timeout: Timeout = timedelta(seconds=30)
    tls: DestinationTls = None
