"""A receiver: the SCP with its stories behind it, in a process of its own."""

from collections.abc import Callable
from datetime import datetime, timedelta

from dicom_node.audit.auditor import Auditor
from dicom_node.background import switch_often
from dicom_node.clock import utc_now
from dicom_node.config import Config
from dicom_node.config.tls import tls_server_of
from dicom_node.desk import CommitmentDesk
from dicom_node.dimse.arriving import spilling
from dicom_node.dimse.commitment import commitment_handlers
from dicom_node.dimse.same_association import HELD_SECONDS, SameAssociation
from dicom_node.dimse.scp import ScpSettings, StoreScp
from dicom_node.dimse.watch import Watch
from dicom_node.errors import LedgerError, OutOfResourcesError, RefusedError, is_of_the_machine
from dicom_node.instance import Incoming, Receipt
from dicom_node.ledger import open_ledger
from dicom_node.logs import configure_logging
from dicom_node.ports import Ledger
from dicom_node.promise import made_report
from dicom_node.receive import receive
from dicom_node.receiver_process import DUPLICATE, REFUSED, STORED, UNFORESEEN, Count
from dicom_node.recovery import check_ledger_is_theirs
from dicom_node.spool import Spool


class Receiver:
    """An SCP with the stories behind it: what it takes in, and what peers and destinations say of commitment."""

    def __init__(
        self,
        config: Config,
        *,
        port: int,
        ledger: Ledger,
        spool: Spool,
        now: Callable[[], datetime],
        count: Count,
        watch: Watch | None = None,
    ) -> None:
        """`count` is told what became of each object, once it is durable or refused; `watch`: the audit trail's."""

        def take(incoming: Incoming) -> Receipt:
            receipt = receive(incoming, spool=spool, intake=ledger.intake, now=now())
            count(DUPLICATE if receipt.duplicate else STORED)
            return receipt

        def count_refusal(error: Exception) -> None:
            count(REFUSED + _kind_of(error))

        self._here = SameAssociation(
            linger=config.commitment.linger.total_seconds(),
            report_on=lambda promise: made_report(promise, promises=ledger.promises, spool=spool),
            told=lambda promise: ledger.promises.reported(promise.id, now=now()),
            hand_on=lambda promise: ledger.promises.hand_on(promise.id, due_at=now()),
        )
        desk = commitment_desk(config, ledger, now)
        commitment = [*commitment_handlers(desk, self._here.expect), *self._here.handlers()]
        overflow = [spilling(spool.unnamed, spool.check_room)]
        self._scp = StoreScp(_settings(config, port), take, watch, commitment, overflow, count_refusal)

    def start(self) -> None:
        """Listen; when this returns, the port answers. Raises StartError when the port cannot be had."""
        self._here.start()
        self._scp.start()

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return self._scp.port

    def stop(self) -> None:
        """Take no new associations, and let the running ones finish."""
        self._scp.stop()
        self._here.stop()


def _kind_of(error: Exception) -> str:
    """As what a refusal counts, by the status that the sender hears (`dicom_node.dimse.status`)."""
    if is_of_the_machine(error) and not isinstance(error, LedgerError):
        return OutOfResourcesError.__name__
    return type(error).__name__ if isinstance(error, RefusedError | LedgerError) else UNFORESEEN


def commitment_desk(config: Config, ledger: Ledger, now: Callable[[], datetime]) -> CommitmentDesk:
    """Where storage commitment is dealt with, by a receiver and on associations of our own."""
    destinations: dict[str, list[str]] = {}
    for destination in config.destinations:
        if destination.storage_commitment:
            destinations.setdefault(destination.ae_title, []).append(destination.name)
    return CommitmentDesk(
        promises=ledger.promises,
        commitments=ledger.commitments,
        destinations=destinations,
        sendings=config.commitment.sendings,
        held=config.commitment.linger + timedelta(seconds=HELD_SECONDS),
        now=now,
    )


def open_spool(config: Config, ledger: Ledger, *, adopt: bool = False) -> Spool:
    """The spool to write into; as `Spool.opened`, by what the ledger knows. The first one that a ledger meets is its
    own. Raises OutOfResourcesError, LedgerError, and WrongLedgerError where it is the spool of another ledger, unless
    its images are to be adopted, or where the ledger has another spool.
    """
    repairs = ledger.repairs
    belongs = repairs.spool()
    spool = Spool.opened(
        config.spool_dir,
        config.node.disk_reserve,
        expected=lambda: belongs is not None or bool(repairs.kept(after_id=0, limit=1)),
        belongs=belongs,
    )
    if not adopt:
        check_ledger_is_theirs(spool=spool, records=ledger.records)
    spool.check_is(repairs.keep_spool(spool.id))
    return spool


class WholeReceiver:
    """A receiver with its own connections to the ledger and its own audit trail."""

    def __init__(self, config: Config, port: int, count: Count) -> None:
        self._ledger = open_ledger(config.ledger_url)
        self._auditor = Auditor.of(config, now=utc_now)
        self._receiver = Receiver(
            config,
            port=port,
            ledger=self._ledger,
            spool=open_spool(config, self._ledger, adopt=True),  # the node that started this one has asked
            now=utc_now,
            count=count,
            watch=self._auditor.watch,
        )
        try:
            self._receiver.start()
        except BaseException:
            self._close()
            raise

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return self._receiver.port

    @property
    def unaudited(self) -> int:
        """How many audit messages could not be written anywhere."""
        return self._auditor.dropped

    def stop(self) -> None:
        """Take no new associations, let the running ones finish, and close what is open."""
        self._receiver.stop()
        self._close()

    def _close(self) -> None:
        self._auditor.close()
        self._ledger.close()


def open_receiver(config: Config, port: int, count: Count) -> WholeReceiver:
    """What a receiver process runs."""
    switch_often()
    configure_logging(form=config.log.format, level=config.log.level)
    return WholeReceiver(config, port, count)


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
        max_associations_per_peer=section.max_associations_per_peer,
        associations_per_minute=section.associations_per_minute,
        tls=tls_server_of(config),
        client_names=config.tls.client_names,
    )
