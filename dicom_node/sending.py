"""What the node sends: a lane for each destination, the questions about its commitment, and the reports to peers."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from pydicom.uid import generate_uid

from dicom_node.audit.auditor import Auditor
from dicom_node.commit import Asking
from dicom_node.commitment import SopReference
from dicom_node.config import Config, Destination
from dicom_node.config.commitment import CommitmentPeer
from dicom_node.config.plan import plan_of
from dicom_node.config.summary import fingerprint_of
from dicom_node.config.tls import client_of, naming, section_of
from dicom_node.dimse.commitment_scu import CommitmentScu
from dicom_node.dimse.line import Peer
from dicom_node.dimse.scu import StoreScu
from dicom_node.forward import Gathered, deliver, uid_is_taken
from dicom_node.instance import Delivery, DeliveryState, Instance
from dicom_node.outgoing import Dispatch
from dicom_node.ports import Ledger
from dicom_node.promise import AT_A_TIME, FORGET_AFTER, Telling
from dicom_node.receiving import commitment_desk
from dicom_node.retry import Retry
from dicom_node.siblings import Presence
from dicom_node.spool import Spool
from dicom_node.workers import Lane, Loop, Then

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Collaborators:
    """What everything that sends needs."""

    config: Config
    ledger: Ledger
    spool: Spool
    auditor: Auditor
    told: Callable[[str, DeliveryState], None]
    worker: str
    now: Callable[[], datetime]


class Sending:
    """Every thread that sends. `told` hears of each attempt: the destination's name, and the state that it led to."""

    def __init__(
        self,
        config: Config,
        *,
        ledger: Ledger,
        spool: Spool,
        auditor: Auditor,
        told: Callable[[str, DeliveryState], None],
        worker: str,
        now: Callable[[], datetime],
    ) -> None:
        """Raises ConfigError, naming its section, when the files of some place's TLS cannot be used."""
        self._with = _Collaborators(
            config=config, ledger=ledger, spool=spool, auditor=auditor, told=told, worker=worker, now=now
        )
        self._presence = Presence(config.spool_dir, name=worker, fingerprint=fingerprint_of(config))
        self._lanes = [_lane(self._with, destination) for destination in config.destinations]
        self._reports = _Reports(self._with)
        self._loops = [
            *(Loop(f"lane-{d.name}", lane.round) for d, lane in zip(config.destinations, self._lanes, strict=True)),
            *(_asker(self._with, d) for d in config.destinations if d.storage_commitment),
            Loop("commitment-reports", self._reports.round),
        ]

    def start(self) -> None:
        """Raises LedgerError."""
        for name in self._presence.announce():
            log.error(
                "another_node_is_configured_otherwise",
                node=name,
                hint="nodes on one ledger and spool need the same destinations, rules and policy: either may settle "
                "an image",
            )
        self._waive()
        for loop in self._loops:
            loop.start()

    def ring(self) -> None:
        """There may be something to send."""
        for loop in self._loops:
            loop.ring()

    def drain(self) -> None:
        """Finish the objects in hand, and give the rest back."""
        for lane in self._lanes:
            lane.drain()

    def stop(self) -> None:
        """Returns when every thread has ended."""
        for loop in self._loops:
            loop.stop()
        for lane in self._lanes:
            lane.close()
        self._reports.close()
        self._presence.leave()

    def _waive(self) -> None:
        """What waits for the commitment of a destination that is no longer asked for it would wait for ever. One
        that is not configured here may be another node's on the same ledger, which asks it.
        """
        asked = {d.name: d.storage_commitment for d in self._with.config.destinations}
        for row in self._with.ledger.records.destinations():
            if row.uncommitted and row.destination not in asked:
                log.warning("commitment_not_asked_here", destination=row.destination, deliveries=row.uncommitted)
            elif row.uncommitted and not asked[row.destination]:
                count = self._with.ledger.commitments.waive(row.destination, now=self._with.now())
                log.warning("commitment_waived", destination=row.destination, deliveries=count)


def _lane(given: _Collaborators, destination: Destination) -> Lane:
    with naming(section_of(destination)):
        scu = StoreScu(
            _peer(destination),
            calling_ae=given.config.node.ae_title,
            timeout=destination.timeout,
            scratch=given.spool.scratch,
            tls=client_of(given.config, destination.tls) if destination.tls is not None else None,
        )
    transport = given.auditor.transport(scu, destination)
    dispatch = Dispatch(
        destination=destination,
        spool=given.spool,
        work=given.ledger.work,
        records=given.ledger.records,
        policy=plan_of(given.config).policy,
        ae_title=given.config.node.ae_title,
        now=given.now,
    )
    aborts: Counter[int] = Counter()
    gathered = Gathered(given.ledger.outbox)

    def another_is_there(instance: Instance) -> bool:
        if not scu.was_there:
            return False
        gathered.keep()  # the other one may have gone a moment ago
        return uid_is_taken(instance, records=given.ledger.records, destination=destination.name)

    def deliver_one(delivery: Delivery) -> DeliveryState:
        state = deliver(
            delivery,
            outbox=given.ledger.outbox,
            prepare=dispatch.prepare,
            transport=transport,
            retry=destination.retry.retry(),
            aborts=aborts,
            keep=gathered.add,
            another_is_there=another_is_there,
            now=given.now,
            chance=random.random,
            ask_after=given.config.commitment.gather if destination.storage_commitment else None,
        )
        given.told(destination.name, state)
        return state

    return Lane(
        destination=destination.name,
        outbox=given.ledger.outbox,
        deliver=deliver_one,
        keep=gathered.keep,
        transport=transport,
        worker=given.worker,
        now=given.now,
    )


def _asker(given: _Collaborators, destination: Destination) -> Loop:
    """A thread of its own: a destination that leaves a question open must not hold up what it is sent."""
    scu = _commitment_scu(given.config, destination)
    desk = commitment_desk(given.config, given.ledger, given.now)
    linger = given.config.commitment.linger

    def question(transaction_uid: str, references: Sequence[SopReference]) -> None:
        scu.ask(transaction_uid, references, desk=desk, linger=linger)

    asking = Asking(
        destination=destination.name,
        commitments=given.ledger.commitments,
        question=question,
        answer_within=given.config.commitment.answer_within,
        retry=destination.retry.retry(),
        now=given.now,
        chance=random.random,
        new_uid=lambda: str(generate_uid()),
    )
    then = {0: Then.SLEEP, None: Then.PAUSE}
    return Loop(f"commitment-{destination.name}", lambda: then.get(asking.ask(), Then.GO_ON))


class _Reports:
    """Rounds that tell peers what we commit ourselves to, a few at once: one that hangs holds up few others."""

    def __init__(self, given: _Collaborators) -> None:
        places = given.config.report_places
        self._promises = given.ledger.promises
        self._now = given.now
        self._telling = Telling(
            promises=self._promises,
            spool=given.spool,
            reporters={title: _commitment_scu(given.config, place) for title, place in places.items() if place},
            retry=Retry(give_up_after=given.config.commitment.give_up_after),
            now=given.now,
            chance=random.random,
        )
        self._pool = ThreadPoolExecutor(max_workers=AT_A_TIME, thread_name_prefix="report")
        self._next_look_back: datetime | None = None

    def round(self) -> Then:
        self._forget()
        told = [self._pool.submit(self._telling.tell, of_a_peer) for of_a_peer in self._telling.claim()]
        for each in told:
            each.result()
        return Then.GO_ON if told else Then.SLEEP

    def _forget(self) -> None:
        now = self._now()
        if self._next_look_back is None or self._next_look_back <= now:
            self._promises.forget(before=now - FORGET_AFTER)
            self._next_look_back = now + timedelta(hours=1)

    def close(self) -> None:
        self._pool.shutdown()


def _commitment_scu(config: Config, place: Destination | CommitmentPeer) -> CommitmentScu:
    tls = client_of(config, place.tls) if place.tls is not None else None
    with naming(section_of(place)):
        return CommitmentScu(_peer(place), calling_ae=config.node.ae_title, timeout=place.timeout, tls=tls)


def _peer(place: Destination | CommitmentPeer) -> Peer:
    return Peer(host=place.host, port=place.port, ae_title=place.ae_title)
