"""The composition root: the one place that knows every part, builds the node from its configuration and runs it."""

import os
import random
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import structlog

from dicom_node.classify import settle
from dicom_node.config import Config, Destination
from dicom_node.config.plan import plan_of
from dicom_node.dimse.scu import Peer, StoreScu
from dicom_node.eye import Eye
from dicom_node.forward import deliver
from dicom_node.instance import Delivery, DeliveryState, Instance, Receipt
from dicom_node.ledger import open_ledger
from dicom_node.model.batching import Batcher
from dicom_node.model.session import Model
from dicom_node.model.starter import starter_model_path
from dicom_node.outgoing import Dispatch
from dicom_node.ports import Ledger
from dicom_node.receivers import Receivers
from dicom_node.receiving import open_receiver, receiver
from dicom_node.retention import retire_files
from dicom_node.schedule import Job, Schedule
from dicom_node.spool import Spool
from dicom_node.study import close_quiet_studies
from dicom_node.verdict import Sighting
from dicom_node.web.app import create_app
from dicom_node.web.metrics import Metrics
from dicom_node.web.server import WebServer
from dicom_node.workers import Classifying, Lane, Loop

log = structlog.get_logger(__name__)

# A file whose classification failed, or on which the process died, this often is not looked at again; it goes on as it
# came. Attempts are a lease apart.
MOST_ATTEMPTS = 20
# Without room for one more radiograph the node is not ready, whatever the reserve is.
ROOM_TO_BE_READY = 32 << 20


def utc_now() -> datetime:
    """The clock that every part of the node gets as an argument."""
    return datetime.now(UTC)


def open_model(config: Config) -> Model:
    """The model of the configuration, else the starter model. Raises ModelError."""
    path = config.model.path or starter_model_path()
    return Model.open(path, threads=config.model.threads, min_confidence=config.model.min_confidence)


@contextmanager
def open_eye(config: Config) -> Iterator[Eye]:
    """An eye with the configuration's model, for commands that look at files."""
    model = open_model(config)
    with Batcher(model, max_batch=config.model.max_batch) as batcher:
        yield Eye(model=model, batcher=batcher)


class Node:
    """A whole node in this process: receiver, classifier, one lane per destination, periodic jobs, web port."""

    def __init__(self, config: Config, *, ledger: Ledger, spool: Spool, eye: Eye, now: Callable[[], datetime]) -> None:
        self._config = config
        self._ledger = ledger
        self._spool = spool
        self._eye = eye
        self._now = now
        self._plan = plan_of(config)
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self._metrics = Metrics(ledger.records)
        self._classifying = Classifying(
            work=ledger.work,
            look=self._look,
            settle=self._settle,
            worker=self._worker,
            at_once=config.model.max_batch,
            now=now,
        )
        self._classifier = Loop("classifier", self._classifying.round)
        self._lanes = [self._lane(destination) for destination in config.destinations]
        self._lane_loops = [
            Loop(f"lane-{d.name}", lane.round) for d, lane in zip(config.destinations, self._lanes, strict=True)
        ]
        self._scp = receiver(
            config,
            port=config.node.port,
            intake=ledger.intake,
            spool=spool,
            now=now,
            arrived=self._arrived,
            refused=lambda error: self._metrics.refused.labels(error=type(error).__name__).inc(),
        )
        self._receivers = Receivers(
            count=config.node.receivers - 1, config=config, open_receiver=open_receiver, arrived=self._classifier.ring
        )
        self._schedule = Schedule(jobs=self._jobs(), records=ledger.records, now=now)
        app = create_app(ledger=ledger, metrics=self._metrics, check_ready=self._check_ready, now=now)
        self._web = WebServer(app, host=config.web.host, port=config.web.port) if config.web.enabled else None
        self._closing = ExitStack()

    @classmethod
    @contextmanager
    def running(cls, config: Config, *, now: Callable[[], datetime] = utc_now) -> Iterator[Self]:
        """Build a node, open it, and close it in order when the context ends."""
        with ExitStack() as stack:
            ledger = open_ledger(config.ledger_url)
            stack.callback(ledger.close)
            spool = Spool(config.spool_dir, config.node.disk_reserve)
            eye = stack.enter_context(open_eye(config))
            node = cls(config, ledger=ledger, spool=spool, eye=eye, now=now)
            stack.enter_context(node)
            yield node

    def __enter__(self) -> Self:
        """Start everything; when this returns, the port answers. Raises ConfigError when a port cannot be had."""
        try:
            self._open()
        except BaseException:
            self._closing.close()
            raise
        return self

    def _open(self) -> None:
        # Closed in the opposite order: first no new images, then what is in hand is finished, then the rest.
        self._spool.sweep()
        if self._web is not None:
            self._closing.callback(self._web.stop)
            self._web.start()
        self._closing.callback(self._schedule.stop)
        self._schedule.start()
        for lane, loop in zip(self._lanes, self._lane_loops, strict=True):
            self._closing.callback(lane.close)
            self._closing.callback(loop.stop)
            loop.start()
        for lane in self._lanes:
            self._closing.callback(lane.drain)
        self._closing.callback(self._classifying.close)
        self._closing.callback(self._classifier.stop)
        self._classifier.start()
        self._closing.callback(self._scp.stop)
        self._scp.start()
        self._closing.callback(self._receivers.stop)
        self._receivers.start(self._scp.port)
        log.info("started", port=self._scp.port, web_port=self.web_port, model=self._eye.model_id)
        self._warn_of_orphans()

    def _warn_of_orphans(self) -> None:
        """Deliveries for a destination that is no longer configured wait for ever, unless somebody is told."""
        names = {destination.name for destination in self._config.destinations}
        for row in self._ledger.records.destinations():
            if row.pending and row.destination not in names:
                log.error("deliveries_without_destination", destination=row.destination, pending=row.pending)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()
        log.info("stopped")

    @property
    def port(self) -> int:
        return self._scp.port

    @property
    def web_port(self) -> int | None:
        return self._web.port if self._web is not None else None

    def greeting(self) -> str:
        """The one line that `serve` prints when the port answers."""
        section = self._config.node
        web = f", web http://{self._config.web.host}:{self.web_port}" if self._web is not None else ""
        return f"{section.ae_title} listens on {section.host}:{self.port}{web}, model {self._eye.model_id}"

    def _arrived(self, receipt: Receipt) -> None:
        self._metrics.stored.labels(duplicate=str(receipt.duplicate).lower()).inc()
        self._classifier.ring()

    def _settle(self, instance: Instance, sighting: Sighting) -> None:
        verdict = settle(instance, sighting, plan=self._plan, work=self._ledger.work, now=self._now())
        self._metrics.verdicts.labels(outcome=verdict.outcome, decision=verdict.decision).inc()
        self._metrics.arrival_to_verdict.observe((verdict.decided_at - instance.received_at).total_seconds())
        log.info(
            "settled",
            sop_instance_uid=instance.sop_instance_uid,
            outcome=verdict.outcome,
            region=sighting.region,
            decision=verdict.decision,
        )
        for loop in self._lane_loops:
            loop.ring()

    def _look(self, instance: Instance) -> Sighting:
        if instance.attempts > MOST_ATTEMPTS:
            return Sighting.unreadable(f"given up after {MOST_ATTEMPTS} attempts to classify it")
        return self._eye.look(self._spool.path(instance.path))

    def _lane(self, destination: Destination) -> Lane:
        transport = StoreScu(
            Peer(host=destination.host, port=destination.port, ae_title=destination.ae_title),
            calling_ae=self._config.node.ae_title,
            timeout=destination.timeout,
            scratch=self._spool.scratch,
        )
        dispatch = Dispatch(
            destination=destination,
            spool=self._spool,
            work=self._ledger.work,
            records=self._ledger.records,
            policy=self._plan.policy,
            ae_title=self._config.node.ae_title,
            now=self._now,
        )

        aborts: Counter[int] = Counter()

        def deliver_one(delivery: Delivery) -> DeliveryState:
            state = deliver(
                delivery,
                outbox=self._ledger.outbox,
                prepare=dispatch.prepare,
                transport=transport,
                retry=destination.retry.retry(),
                aborts=aborts,
                now=self._now,
                chance=random.random,
            )
            self._metrics.delivery(destination.name, state)
            return state

        return Lane(
            destination=destination.name,
            outbox=self._ledger.outbox,
            deliver=deliver_one,
            transport=transport,
            worker=self._worker,
            now=self._now,
        )

    def _jobs(self) -> list[Job]:
        every = self._config.schedule
        jobs = [
            Job(name="retries", every=every.retries, run=self._ring_lanes),
            Job(name="leases", every=every.leases, run=self._classifier.ring),
            Job(name="studies", every=every.studies, run=self._close_studies),
            Job(name="disk", every=every.disk, run=self._watch_disk),
        ]
        if self._config.retention.keep is not None:
            jobs.append(Job(name="retention", every=every.retention, run=self._retire))
        return jobs

    def _ring_lanes(self) -> None:
        for loop in self._lane_loops:
            loop.ring()

    def _close_studies(self) -> None:
        closed = close_quiet_studies(
            studies=self._ledger.studies, policy=self._plan.policy, quiet=self._config.study.quiet, now=self._now()
        )
        for study_uid in closed:
            log.info("study_closed", study_uid=study_uid)
        if closed:
            self._ring_lanes()

    def _watch_disk(self) -> None:
        room = self._spool.room()
        self._metrics.disk_room.set(room)
        if room < self._config.node.disk_reserve:
            log.error("disk_below_reserve", free_bytes=room, reserve_bytes=self._config.node.disk_reserve)

    def _retire(self) -> None:
        keep = self._config.retention.keep
        if keep is not None:
            retire_files(records=self._ledger.records, spool=self._spool, keep=keep, now=self._now())

    def _check_ready(self) -> None:
        self._ledger.ready()
        self._spool.check_room(ROOM_TO_BE_READY)
