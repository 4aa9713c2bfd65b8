"""What a configuration means for TLS, and whether its files are fit for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from dicom_node.config.commitment import CommitmentPeer
from dicom_node.config.sections import Config, Destination
from dicom_node.config.security import CredentialsSection, DestinationTlsSection
from dicom_node.errors import ConfigError
from dicom_node.tls import Credentials, TlsClient, TlsServer, check_ca, check_credentials


def tls_server_of(config: Config) -> TlsServer | None:
    """How the DICOM port speaks TLS; None: it does not."""
    credentials = credentials_of(config.tls)
    if credentials is None:
        return None
    return TlsServer(credentials=credentials, ca=config.tls.ca, require_client=config.tls.require_client_certificate)


def tls_client_of(config: Config, destination: Destination) -> TlsClient | None:
    """How a destination is called with TLS; None: it is not."""
    return None if destination.tls is None else client_of(config, destination.tls)


def client_of(config: Config, section: DestinationTlsSection) -> TlsClient:
    """What a section says about calling with TLS; the rest is as in [tls]."""
    return TlsClient(
        ca=section.ca or config.tls.ca,
        credentials=credentials_of(section) or credentials_of(config.tls),
        server_name=section.server_name,
        check_name=section.check_name,
    )


def own_certificates(config: Config) -> dict[str, Credentials]:
    """Every certificate that the node shows somebody, by the section that names it."""
    sections: dict[str, CredentialsSection | None] = {
        "tls": config.tls,
        "web": config.web,
        "audit.syslog": config.audit.syslog,
        **{section_of(place): place.tls for place in _places(config)},
    }
    found = {where: credentials_of(section) for where, section in sections.items() if section is not None}
    return {where: credentials for where, credentials in found.items() if credentials is not None}


def check_tls(config: Config, *, now: datetime) -> Iterator[tuple[str, str]]:
    """What TLS there is, as lines for people: where, and how. Raises ConfigError naming the section that is wrong."""
    server = tls_server_of(config)
    if server is not None:
        clients = "clients show certificates" if server.ca and server.require_client else "clients need no certificate"
        yield "tls", f"{clients}; {_checked('tls', server, now)}"
    web = credentials_of(config.web)
    if web is not None:
        yield "tls of web", _checked("web", TlsServer(credentials=web), now)
    if config.audit.syslog is not None:
        yield "tls to syslog", _checked("audit.syslog", client_of(config, config.audit.syslog), now)
    for place in _places(config):
        if place.tls is not None:
            to = place.name if isinstance(place, Destination) else f"{place.ae_title} with reports"
            yield f"tls to {to}", _checked(section_of(place), client_of(config, place.tls), now)


def section_of(place: Destination | CommitmentPeer) -> str:
    """What an error about it calls a place that is called with TLS."""
    return f"destination {place.name}" if isinstance(place, Destination) else f"commitment_peers {place.ae_title}"


def _places(config: Config) -> list[Destination | CommitmentPeer]:
    return [*config.destinations, *config.commitment_peers]


@contextmanager
def naming(where: str) -> Iterator[None]:
    """Within this context, a ConfigError names the section that it is about."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _checked(where: str, side: TlsServer | TlsClient, now: datetime) -> str:
    with naming(where):
        side.context()
        if side.ca is not None:
            check_ca(side.ca, now=now)
        if side.credentials is None:
            return "no certificate of ours"
        return f"our certificate is valid until {check_credentials(side.credentials, now=now):%Y-%m-%d}"


def credentials_of(section: CredentialsSection) -> Credentials | None:
    """The certificate and key of a section; None where it has none."""
    if section.certificate is None or section.key is None:
        return None
    password = section.key_password
    return Credentials(
        certificate=section.certificate,
        key=section.key,
        password=password.get_secret_value() if password is not None else None,
    )
