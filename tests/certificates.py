"""A hospital's CA for tests: certificates as PEM files, good ones and each kind of bad one."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

from dicom_node.tls import Credentials, TlsClient, TlsServer

LOCAL = "127.0.0.1"


class Authority:
    """A CA with its certificate in a file; `issue` writes a certificate with its chain, and its key."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._ca = trustme.CA(organization_name=name)
        self._folder = folder
        self.file = folder / f"{name}.pem"
        self._ca.cert_pem.write_to_path(str(self.file))

    def issue(self, *names: str, common_name: str | None = None, expired: bool = False, whose: str = "") -> Credentials:
        """A certificate for host names or addresses; an expired one ended yesterday.

        The same names and the same `whose` go into the same files, as a renewed certificate does. Another's has files
        of its own: a program may still be about to read those that it was given, though its port is open.
        """
        ends = datetime.now(UTC) - timedelta(days=1) if expired else None
        issued = self._ca.issue_cert(*names, common_name=common_name, not_after=ends)
        stem = "-".join([common_name or "-".join(names), *([whose] if whose else [])]).replace(".", "-")
        stem += "-expired" if expired else ""
        certificate, key = self._folder / f"{stem}.crt", self._folder / f"{stem}.key"
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(issued.private_key_pem.bytes())
        return Credentials(certificate=certificate, key=key)


def tls_server(ca: Authority, /, **over) -> TlsServer:
    """A receiver's settings that let in whoever has a certificate of `ca`."""
    return TlsServer(**({"credentials": ca.issue(LOCAL), "ca": ca.file} | over))


def tls_client(ca: Authority, /, **over) -> TlsClient:
    """A sender's settings, with a certificate of `ca`."""
    return TlsClient(**({"credentials": ca.issue(LOCAL, whose="sender"), "ca": ca.file} | over))
