"""What a process of the node tells its audit trail, made from the configuration."""

import os
import socket
from collections.abc import Callable
from datetime import datetime
from typing import Self

from dicom_node.audit.file import AuditFile
from dicom_node.audit.messages import Messages, Remote, Source
from dicom_node.audit.syslog import SyslogSink
from dicom_node.audit.trail import Outlet, Trail
from dicom_node.audit.transfers import AuditedTransport, ReceptionWatch
from dicom_node.config import Config, Destination
from dicom_node.config.tls import client_of
from dicom_node.forward import Transport


class Auditor:
    """One per process. Every method returns at once, and does nothing where no trail is kept."""

    def __init__(self, trail: Trail, messages: Messages, now: Callable[[], datetime]) -> None:
        self._trail = trail
        self._messages = messages
        self._now = now
        self.watch = ReceptionWatch(trail, messages, now) if trail.kept else None

    @classmethod
    def of(cls, config: Config, *, now: Callable[[], datetime]) -> Self:
        """Raises ConfigError when the files of a syslog server's TLS cannot be used."""
        host = socket.gethostname()
        section = config.audit
        source = Source(
            source_id=section.source_id or f"{config.node.ae_title}@{host}",
            ae_title=config.node.ae_title,
            host=host,
            process=str(os.getpid()),
            site=section.site,
        )
        return cls(Trail(_outlets(config, host, now)), Messages(source), now)

    @property
    def dropped(self) -> int:
        return self._trail.dropped

    def application(self, *, started: bool) -> None:
        self._note(lambda: self._messages.activity(started=started, at=self._now()))

    def network(self, *, attached: bool) -> None:
        self._note(lambda: self._messages.network(attached=attached, at=self._now()))

    def signed_in(self, *, name: str, address: str, succeeded: bool) -> None:
        self._note(lambda: self._messages.sign_in(name=name, address=address, succeeded=succeeded, at=self._now()))

    def transport(self, transport: Transport, destination: Destination) -> Transport:
        """The transport, watched."""
        if not self._trail.kept:
            return transport
        return AuditedTransport(
            transport,
            to=Remote(ae_title=destination.ae_title, address=destination.host),
            export=destination.export,
            trail=self._trail,
            messages=self._messages,
            now=self._now,
        )

    def close(self) -> None:
        self._trail.close()

    def _note(self, compose: Callable[[], bytes]) -> None:
        if self._trail.kept:
            self._trail.note(compose())


def _outlets(config: Config, host: str, now: Callable[[], datetime]) -> list[Outlet]:
    section = config.audit
    outlets = []
    if section.syslog is not None:
        server = section.syslog
        sink = SyslogSink(host=server.host, port=server.port, tls=client_of(config, server), source_host=host, now=now)
        outlets.append(Outlet("syslog", sink))
    if section.file is not None:
        outlets.append(Outlet("file", AuditFile(section.file, longest=section.file_size, keep=section.files)))
    return outlets
