"""Uvicorn in a thread: start returns when the port answers, stop when it no longer does."""

import socket
import threading

import uvicorn
from fastapi import FastAPI

from dicom_node.errors import StartError
from dicom_node.tls import Credentials, TlsServer
from dicom_node.tls.contexts import SUITES


class WebServer:
    """Serves one application on one address; port 0 takes a free one."""

    def __init__(self, app: FastAPI, *, host: str, port: int, credentials: Credentials | None = None) -> None:
        """With credentials it speaks HTTPS. Raises ConfigError when they cannot be used."""
        self._host = host
        self._wanted_port = port
        if credentials is not None:
            TlsServer(credentials=credentials).context()  # says what is wrong with the files; uvicorn would not
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # any program on this machine could choose its address by X-Forwarded-For
            timeout_graceful_shutdown=5,
            ssl_certfile=credentials.certificate if credentials else None,
            ssl_keyfile=credentials.key if credentials else None,
            ssl_keyfile_password=credentials.password if credentials else None,
            ssl_ciphers=SUITES,
        )
        self._server = uvicorn.Server(config)
        self._thread: threading.Thread | None = None
        self._socket: socket.socket | None = None

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1]) if self._socket else self._wanted_port

    def start(self) -> None:
        """Raises StartError when the address cannot be had."""
        try:
            # Bound here, so that a port that is taken is an error at once, and connections wait until uvicorn listens.
            self._socket = socket.create_server((self._host, self._wanted_port), backlog=128)
        except OSError as error:
            raise StartError(
                f"the web port {self._host}:{self._wanted_port} cannot be used ({error.strerror}); set another web.port"
            ) from error
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, name="web")
        self._thread.start()

    def stop(self) -> None:
        if self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
        if self._socket is not None:
            self._socket.close()
