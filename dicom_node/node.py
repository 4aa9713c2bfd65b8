"""The composition root: the one place that knows every part, builds the node from its configuration and runs it."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from threading import Event
from types import TracebackType
from typing import Self

import structlog

from dicom_node.audit.auditor import Auditor
from dicom_node.classify import settle
from dicom_node.clock import utc_now
from dicom_node.config import Config
from dicom_node.config.plan import longest_waits, plan_of
from dicom_node.config.tls import credentials_of, own_certificates
from dicom_node.errors import OutOfResourcesError
from dicom_node.eye import Eye
from dicom_node.instance import Instance
from dicom_node.ledger import open_ledger
from dicom_node.listening import written
from dicom_node.looking import Looking
from dicom_node.model.batching import Batcher
from dicom_node.model.session import Model
from dicom_node.model.starter import starter_model_path
from dicom_node.owner import is_dead, own_name
from dicom_node.ports import Ledger, When
from dicom_node.receiver_process import UNAUDITED
from dicom_node.receivers import Receivers
from dicom_node.receiving import open_receiver, open_spool
from dicom_node.recovery import break_dead_leases, check_files, put_times_right
from dicom_node.retention import retire_files, was_retired
from dicom_node.schedule import Job, Schedule
from dicom_node.sending import Sending
from dicom_node.spool import Spool
from dicom_node.study import close_quiet_studies
from dicom_node.tls.expiry import watch_expiry
from dicom_node.verdict import Sighting
from dicom_node.web.app import create_app
from dicom_node.web.metrics import Metrics
from dicom_node.web.server import WebServer
from dicom_node.workers import LEASE, Classifying, Loop, Task

log = structlog.get_logger(__name__)

# Seconds between two portions of the check of all files, which shall be in nobody's way.
PAUSE_OF_CHECK = 0.05
# Without room for one more radiograph the node is not ready, whatever the reserve is.
ROOM_TO_BE_READY = 32 << 20


def open_model(config: Config) -> Model:
    """The model of the configuration, else the starter model. Raises ModelError."""
    path = config.model.path or starter_model_path()
    section = config.model
    return Model.open(path, threads=section.threads, min_confidence=section.min_confidence, sha256=section.sha256)


@contextmanager
def open_eye(config: Config) -> Iterator[Eye]:
    """An eye with the configuration's model, for commands that look at files."""
    model = open_model(config)
    with Batcher(model, max_batch=config.model.max_batch) as batcher:
        yield Eye(model=model, batcher=batcher)


class Node:
    """A whole node: receiver processes, and here the classifier, one lane per destination, periodic jobs, web port."""

    def __init__(self, config: Config, *, ledger: Ledger, spool: Spool, eye: Eye, now: Callable[[], datetime]) -> None:
        self._config = config
        self._ledger = ledger
        self._spool = spool
        self._eye = eye
        self._now = now
        self._plan = plan_of(config)
        self._waits = longest_waits(config, lease=LEASE)
        self._worker = own_name()
        self._auditor = Auditor.of(config, now=now)
        self._certificates = own_certificates(config)
        self._metrics = Metrics(ledger.records, counted=self._counted)
        self._looking = Looking(eye=eye, spool=spool)
        self._classifying = Classifying(
            work=ledger.work,
            look=self._looking.look,
            settle=self._settle,
            worker=self._worker,
            at_once=config.model.max_batch,
            now=now,
        )
        self._classifier = Loop("classifier", self._classifying.round)
        self._sending = Sending(
            config,
            ledger=ledger,
            spool=spool,
            auditor=self._auditor,
            told=self._metrics.delivery,
            worker=self._worker,
            now=now,
        )
        self._receivers = Receivers(
            config=config, open_receiver=open_receiver, arrived=self._classifier.ring, clear_up=spool.sweep
        )
        self._schedule = Schedule(jobs=self._jobs(), records=ledger.records, now=now)
        self._web = self._web_server() if config.web.enabled else None
        self._checker = Task("file-check", self._check_files)
        self._closing = ExitStack()

    @classmethod
    @contextmanager
    def running(cls, config: Config, *, adopt: bool = False, now: Callable[[], datetime] = utc_now) -> Iterator[Self]:
        """Build a node, open it, and close it in order when the context ends. `adopt`: as `open_spool`."""
        with ExitStack() as stack:
            ledger = open_ledger(config.ledger_url)
            stack.callback(ledger.close)
            spool = open_spool(config, ledger, adopt=adopt)
            eye = stack.enter_context(open_eye(config))
            node = cls(config, ledger=ledger, spool=spool, eye=eye, now=now)
            stack.enter_context(node)
            yield node

    def __enter__(self) -> Self:
        """Start everything; when this returns, the port answers. Raises StartError when a port cannot be had."""
        try:
            self._open()
        except BaseException:
            self._closing.close()
            raise
        return self

    def _open(self) -> None:
        # Closed in the opposite order: first no new images, then what is in hand is finished, then the rest.
        self._closing.callback(self._auditor.close)
        self._closing.callback(lambda: self._auditor.application(started=False))
        self._auditor.application(started=True)
        break_dead_leases(repairs=self._ledger.repairs, is_dead=is_dead)
        self._spool.sweep()
        if self._web is not None:
            self._closing.callback(self._web.stop)
            self._web.start()
        self._watch_certificates()
        self._closing.callback(self._schedule.stop)
        self._schedule.start()
        self._closing.callback(self._sending.stop)
        self._sending.start()
        self._closing.callback(self._sending.drain)
        self._closing.callback(self._classifying.close)
        self._closing.callback(self._classifier.stop)
        self._classifier.start()
        self._closing.callback(self._receivers.stop)
        self._receivers.start()
        self._auditor.network(attached=True)
        self._closing.callback(lambda: self._auditor.network(attached=False))
        self._closing.callback(self._checker.stop)
        self._checker.start()
        log.info(
            "started",
            port=self._receivers.port,
            web_port=self.web_port,
            model=self._eye.model_id,
            model_sha256=self._eye.model_sha256,
        )
        self._warn_of_orphans()

    def _check_files(self, stopping: Event) -> None:
        """Beside everything else: a spool of millions takes its time, and nobody waits for what it finds."""
        check_files(
            spool=self._spool,
            intake=self._ledger.intake,
            repairs=self._ledger.repairs,
            now=self._now,
            go_on=lambda: not stopping.wait(PAUSE_OF_CHECK),
            is_retired=lambda instance: was_retired(
                instance, records=self._ledger.records, keep=self._config.retention.keep, now=self._now()
            ),
        )
        self._classifier.ring()
        self._sending.ring()

    def _warn_of_orphans(self) -> None:
        """Deliveries for a destination that is no longer configured wait for ever, unless somebody is told."""
        names = {destination.name for destination in self._config.destinations}
        for row in self._ledger.records.destinations():
            if row.pending and row.destination not in names:
                log.error(
                    "deliveries_without_destination",
                    destination=row.destination,
                    pending=row.pending,
                    hint=f"configure it again, or run: dicom-node give-up --destination {row.destination}",
                )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()
        log.info("stopped")

    @property
    def port(self) -> int:
        return self._receivers.port

    @property
    def web_port(self) -> int | None:
        return self._web.port if self._web is not None else None

    def greeting(self) -> str:
        """The one line that `serve` prints when the port answers."""
        section = self._config.node
        scheme = "https" if self._config.web.certificate else "http"
        web = f", web {scheme}://{written(self._config.web.host, self._web.port)}" if self._web is not None else ""
        return f"{section.ae_title} listens on {written(section.host, self.port)}{web}, model {self._eye.model_id}"

    def _counted(self) -> Counter[str]:
        return self._receivers.counted() + Counter({UNAUDITED: self._auditor.dropped})

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
        self._sending.ring()

    def _web_server(self) -> WebServer:
        section = self._config.web
        app = create_app(
            ledger=self._ledger,
            metrics=self._metrics,
            check_ready=self._check_ready,
            now=self._now,
            web=section,
            report=lambda a: self._auditor.signed_in(name=a.name, address=a.address, succeeded=a.succeeded),
            destinations=[destination.name for destination in self._config.destinations],
        )
        return WebServer(app, host=section.host, port=section.port, credentials=credentials_of(section))

    def _jobs(self) -> list[Job]:
        every = self._config.schedule
        jobs = [
            Job(name="retries", every=every.retries, run=self._sending.ring),
            Job(name="leases", every=every.leases, run=self._classifier.ring),
            Job(name="studies", every=every.studies, run=self._close_studies),
            Job(name="disk", every=every.disk, run=self._watch_disk),
        ]
        if self._certificates:
            jobs.append(Job(name="certificates", every=every.certificates, run=self._watch_certificates))
        if self._config.retention.keep is not None:
            jobs.append(Job(name="retention", every=every.retention, run=self._retire))
        return jobs

    def _close_studies(self) -> None:
        put_times_right(repairs=self._ledger.repairs, waits=self._waits, now=self._now())
        closed = close_quiet_studies(
            studies=self._ledger.studies,
            policy=self._plan.policy,
            header_of=self._looking.header_of,
            quiet=self._config.study.quiet,
            awaited=any(stop.when is When.STUDY_CLOSED for stop in self._plan.stops),
            now=self._now(),
        )
        for study_uid in closed:
            log.info("study_closed", study_uid=study_uid)
        if closed:
            self._sending.ring()

    def _watch_disk(self) -> None:
        room = self._spool.room()
        self._metrics.disk_room.set(room)
        if room < self._config.node.disk_reserve:
            log.error("disk_below_reserve", free_bytes=room, reserve_bytes=self._config.node.disk_reserve)

    def _watch_certificates(self) -> None:
        gauge = self._metrics.certificate_seconds
        watch_expiry(
            self._certificates,
            tell=lambda section, left: gauge.labels(section=section).set(left.total_seconds()),
            now=self._now(),
        )

    def _retire(self) -> None:
        keep = self._config.retention.keep
        if keep is not None:
            retire_files(records=self._ledger.records, spool=self._spool, keep=keep, now=self._now())

    def _check_ready(self) -> None:
        self._ledger.ready()
        self._spool.check_room(ROOM_TO_BE_READY)
        if not self._receivers.answering:
            raise OutOfResourcesError("no receiver answers at the moment; the log says why, and another one is started")
        if ended := Loop.ended_unasked():
            raise OutOfResourcesError(f"{', '.join(ended)}: these threads have ended unasked; restart the node")
