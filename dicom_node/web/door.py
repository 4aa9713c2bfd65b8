"""The web port's door: who asks for nothing keeps no place, signed in or not.

uvicorn bears with a connection that says nothing for ever, and takes any number of them; where the process may open no
more files, asyncio tells the log so thousands of times a second. So connections are taken here, and only their requests
are uvicorn's.
"""

import asyncio
import socket
from contextlib import suppress
from time import monotonic
from typing import Any

import structlog
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

log = structlog.get_logger(__name__)

# Connections at a time; for one more, that which has waited longest for its peer to ask goes.
MOST = 100
# For a TLS handshake; for each request, from the last answer to its last byte: a byte now and then gains nothing; and
# for reading so much of what was answered that more can be.
ASKING_SECONDS = 10.0
# Until another connection is taken where the process has no file left for one, and nobody could be sent away for it.
PAUSE_SECONDS = 1.0
# Between two lines of the log that say so.
TOLD_SECONDS = 60.0


class _Guest(H11Protocol):
    """One connection, from its first byte after any TLS handshake on. `gone` is done once it has ended."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.since = monotonic()
        self.gone = self.loop.create_future()
        self._patience: asyncio.TimerHandle | None = None

    @property
    def waits_for_its_peer(self) -> bool:
        """Whether there is no whole request that is being answered, or its answer waits to be read."""
        if self.flow is not None and self.flow.write_paused:
            return True
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._wait()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait()

    def connection_lost(self, error: Exception | None) -> None:
        if self._patience is not None:
            self._patience.cancel()
        super().connection_lost(error)
        if not self.gone.done():
            self.gone.set_result(None)

    def _wait(self) -> None:
        self.since = monotonic()
        if self._patience is not None:
            self._patience.cancel()
        self._patience = self.loop.call_later(ASKING_SECONDS, self._give_up)

    def _give_up(self) -> None:
        if self.waits_for_its_peer:
            self.transport.abort()


class Door(uvicorn.Server):
    """uvicorn's server, which takes connections itself."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._accepting: list[asyncio.Task[None]] = []
        self._inside: dict[_Guest, asyncio.Task[None]] = {}
        self._told_at = -TOLD_SECONDS

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Connections are taken from `sockets`, which listen already."""
        await super().startup(sockets=[])
        self._accepting = [asyncio.create_task(self._accept(listener)) for listener in sockets or []]

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """What is being answered is, where the answer is read; nobody else comes in."""
        for accepting in self._accepting:
            accepting.cancel()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        for guest, visit in self._inside.items():
            if guest.transport is None:  # it is still at its TLS handshake, of which uvicorn knows nothing
                visit.cancel()
            elif guest.flow.write_paused:
                guest.transport.abort()
        await super().shutdown(sockets)

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                self._tell("web_port_takes_nobody", error=error.strerror)
                await asyncio.sleep(PAUSE_SECONDS / 20 if self._make_room() else PAUSE_SECONDS)
                continue
            if len(self._inside) >= MOST:
                self._tell("web_port_is_full", connections=len(self._inside))
                if not self._make_room():
                    connection.close()
                    continue
            guest = _Guest(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state, _loop=loop
            )
            self._inside[guest] = loop.create_task(self._let_in(guest, connection))

    async def _let_in(self, guest: _Guest, connection: socket.socket) -> None:
        """Until it goes."""
        loop = asyncio.get_running_loop()
        try:
            with suppress(OSError):  # it speaks no TLS, or not in time
                async with asyncio.timeout(ASKING_SECONDS):
                    await loop.connect_accepted_socket(lambda: guest, connection, ssl=self.config.ssl)
                await guest.gone
        finally:
            connection.close()
            self._inside.pop(guest, None)

    def _make_room(self) -> bool:
        """Send away who has waited longest for its peer; False where everybody is being answered."""
        waiting = [guest for guest in self._inside if guest.waits_for_its_peer]
        if not waiting:
            return False
        longest = min(waiting, key=lambda guest: guest.since)
        visit = self._inside.pop(longest)
        if longest.transport is None:
            visit.cancel()
        else:
            longest.transport.abort()
        return True

    def _tell(self, event: str, **how: object) -> None:
        now = monotonic()
        if now - self._told_at >= TOLD_SECONDS:
            self._told_at = now
            log.warning(event, **how)
