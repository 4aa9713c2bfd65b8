"""TLS by the profile of BCP 195 (PS3.15 annex B, RFC 9325): TLS 1.2 with ECDHE and AEAD suites, and TLS 1.3; no less.

Files are read anew when they change, so that a renewed certificate is taken with the next connection. What goes wrong
is said in a sentence that names the cause and the cure; foreign texts never reach a log, since they may quote a peer.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import structlog

from dicom_node.errors import ConfigError
from dicom_node.tls.credentials import Credentials, certificates_in, private_key_of

log = structlog.get_logger(__name__)

# RFC 9325 section 4.2; the suites of TLS 1.3 are all AEAD and need no choice.
SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20:!PSK"


@dataclass(frozen=True, kw_only=True)
class TlsServer:
    """How a port speaks TLS. With `require_client`, a peer has to show a certificate that a CA of `ca` has signed."""

    credentials: Credentials
    ca: Path | None = None
    require_client: bool = True

    def files(self) -> tuple[Path, ...]:
        return _present(self.credentials.certificate, self.credentials.key, self.ca)

    def context(self) -> ssl.SSLContext:
        """A context for the port. Raises ConfigError."""
        context = _profile(ssl.PROTOCOL_TLS_SERVER)
        # A ticket is data that nobody asked for: a peer that polls its socket would wake up for it and find nothing.
        context.num_tickets = 0
        _show(context, self.credentials)
        if self.ca is not None:
            _trust(context, self.ca)
            context.verify_mode = ssl.CERT_REQUIRED if self.require_client else ssl.CERT_OPTIONAL
        return context


@dataclass(frozen=True, kw_only=True)
class TlsClient:
    """How a peer is called with TLS: by which CAs (None: the system's) its certificate has to be signed, what it is
    called there (`server_name`, else the host), and which certificate we show.
    """

    ca: Path | None = None
    credentials: Credentials | None = None
    server_name: str | None = None
    check_name: bool = True

    def files(self) -> tuple[Path, ...]:
        own = (self.credentials.certificate, self.credentials.key) if self.credentials else ()
        return _present(*own, self.ca)

    def context(self) -> ssl.SSLContext:
        """A context for calling. Raises ConfigError."""
        context = _profile(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = self.check_name
        if self.ca is None:
            context.load_default_certs()
        else:
            _trust(context, self.ca)
        if self.credentials is not None:
            _show(context, self.credentials)
        return context


class Contexts:
    """The context of a server or client, made again when one of its files has changed.

    A change that cannot be used is logged, and the context before it stays: a renewal that went wrong halfway may not
    stop the images.
    """

    def __init__(self, source: TlsServer | TlsClient) -> None:
        """Raises ConfigError when the files cannot be used."""
        self._source = source
        self._lock = Lock()
        self._seen = self._stamps()
        self._context = source.context()

    def current(self) -> ssl.SSLContext:
        with self._lock:
            stamps = self._stamps()
            if stamps != self._seen:
                self._seen = stamps
                self._renew()
            return self._context

    def _renew(self) -> None:
        try:
            self._context = self._source.context()
            log.info("tls_files_renewed")
        except ConfigError as error:
            log.error("tls_files_not_usable", error=str(error))

    def _stamps(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple(_stamp(path) for path in self._source.files())


def _present(*paths: Path | None) -> tuple[Path, ...]:
    return tuple(path for path in paths if path is not None)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_ino


def _profile(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITES)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    return context


def _show(context: ssl.SSLContext, credentials: Credentials) -> None:
    certificates_in(credentials.certificate)  # says what is wrong with them; OpenSSL does not say with which file
    private_key_of(credentials)
    try:
        # Never None: OpenSSL would ask at the terminal.
        context.load_cert_chain(credentials.certificate, credentials.key, lambda: credentials.password or "")
    except (ssl.SSLError, OSError) as error:
        both = f"{credentials.certificate} and {credentials.key}"
        if getattr(error, "reason", "") == "KEY_VALUES_MISMATCH":
            raise ConfigError(
                f"the key {credentials.key} is not the key of the certificate {credentials.certificate}"
            ) from error
        raise ConfigError(f"{both} cannot be used for TLS: {getattr(error, 'reason', None) or 'unknown'}") from error


def _trust(context: ssl.SSLContext, ca: Path) -> None:
    certificates_in(ca)
    try:
        context.load_verify_locations(cafile=ca)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"{ca} holds no CA certificates that can be used") from error
