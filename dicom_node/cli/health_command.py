"""`health`: does the node of this configuration live? For container engines and process supervisors on its machine."""

import http.client
import socket
import ssl
from ipaddress import ip_address

import typer

from dicom_node.cli.options import ConfigOption, read_config
from dicom_node.config.security import WebSection
from dicom_node.errors import NodeError, StartError

PATIENCE_SECONDS = 4.0


def health(config: ConfigOption = None) -> None:
    """Ask the node on this machine whether it lives: /healthz of its web port, over HTTPS where it has a certificate;
    with the web port off, whether its DICOM port takes connections, and no more.
    """
    settings = read_config(config)
    if settings.web.enabled:
        _ask_web(settings.web)
    else:
        _connect("DICOM port", settings.node.host, settings.node.port).close()
    typer.echo("the node lives")


def _ask_web(section: WebSection) -> None:
    """Raises NodeError when /healthz is not answered with 200."""
    line = _connect("web port", section.host, section.port)
    connection = http.client.HTTPConnection("localhost")
    try:
        connection.sock = _unverified().wrap_socket(line) if section.certificate is not None else line
        connection.request("GET", "/healthz")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise NodeError(
            f"the web port on {section.port} does not answer as it should: {type(error).__name__}"
        ) from error
    finally:
        connection.close()
        line.close()
    if status != http.client.OK:
        raise NodeError(f"the web port on {section.port} answers {status}: another program may have it")


def _unverified() -> ssl.SSLContext:
    """For our own port on our own machine, whatever its certificate says; whether that is valid is told by metrics."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _connect(what: str, host: str, port: int) -> socket.socket:
    if port == 0:
        raise StartError(f"the {what} is 0, one that nobody knows: give it a number to ask for its health")
    try:
        return socket.create_connection((_here(host), port), PATIENCE_SECONDS)
    except OSError as error:
        raise NodeError(
            f"nothing answers on the {what} {port} ({error.strerror or 'time is up'}): is it running?"
        ) from error


def _here(host: str) -> str:
    """Where a host to listen on is reached from its own machine: "every address" is none to call."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"
