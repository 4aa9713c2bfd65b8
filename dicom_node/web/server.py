"""Uvicorn in a thread: start returns when the port answers, stop when it no longer does."""

import socket
import ssl
import threading

import uvicorn
from fastapi import FastAPI

from dicom_node.listening import cannot_listen, family_of
from dicom_node.tls import Credentials, TlsServer
from dicom_node.tls.contexts import Contexts
from dicom_node.web.door import Door


class WebServer:
    """Serves one application on one address; port 0 takes a free one."""

    def __init__(self, app: FastAPI, *, host: str, port: int, credentials: Credentials | None = None) -> None:
        """With credentials it speaks HTTPS. Raises ConfigError when they cannot be used."""
        self._host = host
        self._wanted_port = port
        config = uvicorn.Config(
            app,
            log_config=None,
            log_level="error",  # a warning for each request that is none would let any stranger fill the log
            access_log=False,
            server_header=False,
            proxy_headers=False,  # any program on this machine could choose its address by X-Forwarded-For
            timeout_graceful_shutdown=5,
        )
        if credentials is not None:
            config.load()
            config.ssl = _always_current(Contexts(TlsServer(credentials=credentials)))
        self._server = Door(config)
        self._thread: threading.Thread | None = None
        self._socket: socket.socket | None = None

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1]) if self._socket else self._wanted_port

    def start(self) -> None:
        """Raises StartError when the address cannot be had."""
        try:
            # Bound here, so that a port that is taken is an error at once, and connections wait until uvicorn listens.
            self._socket = socket.create_server(
                (self._host, self._wanted_port),
                family=family_of(self._host),
                backlog=128,
                # Every address means those of IPv4 as well, as on the DICOM port.
                dualstack_ipv6=self._host == "::" and socket.has_dualstack_ipv6(),
            )
        except OSError as error:
            raise cannot_listen("web", self._host, self._wanted_port, error) from error
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, name="web")
        self._thread.start()

    def stop(self) -> None:
        if self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        if self._socket is not None:
            self._socket.close()


def _always_current(contexts: Contexts) -> ssl.SSLContext:
    """A context that gives each connection the files as they are then: uvicorn takes one context for its whole life."""
    context = contexts.current()

    def at_client_hello(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = contexts.current()

    context.sni_callback = at_client_hello  # called for a client that names no server as well
    return context
