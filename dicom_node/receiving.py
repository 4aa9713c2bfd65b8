"""A receiver: the SCP with the receive story behind it, in the node's process or in one of its own."""

from collections.abc import Callable
from datetime import UTC, datetime

from dicom_node.config import Config
from dicom_node.dimse.scp import ScpSettings, StoreScp
from dicom_node.errors import RefusedError
from dicom_node.instance import Incoming, Receipt
from dicom_node.ledger import open_ledger
from dicom_node.logs import configure_logging
from dicom_node.ports import Intake
from dicom_node.receive import receive
from dicom_node.spool import Spool


def receiver(
    config: Config,
    *,
    port: int,
    intake: Intake,
    spool: Spool,
    now: Callable[[], datetime],
    arrived: Callable[[Receipt], None],
    refused: Callable[[RefusedError], None] = lambda _: None,
) -> StoreScp:
    """An SCP, not yet started. `arrived` is told about each object once it is durable, `refused` about each error."""

    def take(incoming: Incoming) -> Receipt:
        try:
            receipt = receive(incoming, spool=spool, intake=intake, now=now())
        except RefusedError as error:
            refused(error)
            raise
        arrived(receipt)
        return receipt

    return StoreScp(_settings(config, port), take)


class FurtherReceiver:
    """A receiver with its own connections to the ledger, for a process of its own."""

    def __init__(self, config: Config, port: int, arrived: Callable[[Receipt], None]) -> None:
        self._ledger = open_ledger(config.ledger_url)
        self._scp = receiver(
            config,
            port=port,
            intake=self._ledger.intake,
            spool=Spool(config.spool_dir, config.node.disk_reserve),
            now=lambda: datetime.now(UTC),
            arrived=arrived,
        )
        self._scp.start()

    def stop(self) -> None:
        self._scp.stop()
        self._ledger.close()


def open_receiver(config: Config, port: int, arrived: Callable[[Receipt], None]) -> FurtherReceiver:
    """What a receiver process runs."""
    configure_logging(form=config.log.format, level=config.log.level)
    return FurtherReceiver(config, port, arrived)


def _settings(config: Config, port: int) -> ScpSettings:
    section = config.node
    return ScpSettings(
        ae_title=section.ae_title,
        host=section.host,
        port=port,
        reuse_port=section.receivers > 1,
        max_associations=section.max_associations,
        called_aes=section.called_ae,
        calling_aes=section.calling_ae,
        networks=section.allow_from,
        idle_timeout=section.idle_timeout,
    )
