"""Addresses to listen on: how they are written, whether one is taken, and what to do where one cannot be had."""

import errno
import os
import socket

from dicom_node.errors import StartError


def family_of(host: str) -> socket.AddressFamily:
    """What an address, or a name, is bound as: only an IPv6 address has colons."""
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def written(host: str, port: int) -> str:
    """The two as in a URL (RFC 3986 section 3.2.2): an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def overlap(one: str, other: str) -> bool:
    """Whether a port of the one host is surely taken on the other as well; what a name stands for is not looked up."""
    hosts = {"127.0.0.1" if host == "localhost" else host for host in (one, other)}
    if len(hosts) == 1 or "::" in hosts:
        return True
    return "0.0.0.0" in hosts and not any(":" in host for host in hosts)  # noqa: S104 - looked for, not listened on


def cannot_listen(section: str, host: str, port: int, error: OSError) -> StartError:
    """What to raise where an address cannot be had, with what to do; `section` is the one that sets host and port."""
    number = error.errno or 0  # below zero it is getaddrinfo's, and not the system's
    advice = {
        errno.EADDRINUSE: f"set another {section}.port, or end what listens there",
        errno.EACCES: f"set a {section}.port above 1023, or give the node the right to lower ones",
    }.get(number, f"set {section}.host to an address of this machine")
    why = os.strerror(number) if number > 0 else error.strerror or type(error).__name__
    return StartError(f"cannot listen on {host} port {port}: {why}; {advice}")


def require_free(section: str, host: str, port: int) -> None:
    """Raise StartError where somebody listens already, also one who lets others share the port (SO_REUSEPORT).

    The kernel refuses a socket that does not share. What else is wrong with an address is for whoever binds it to say.
    """
    try:
        with socket.socket(family_of(host)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise cannot_listen(section, host, port, error) from error
