"""The sections that say who may come in: TLS, and the web port's users and tokens."""

import base64
import re
from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Any, Self

import argon2
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, field_validator, model_validator

from dicom_node.config.names import AeTitle, Host, Location
from dicom_node.config.quantities import Size
from dicom_node.config.section import Section

# Bytes in a whole hash (RFC 9106 sections 3.1 and 4: a salt of 8 at least, a tag of 16 as the shortest in use).
SHORTEST_SALT, SHORTEST_DIGEST = 8, 16
SMALLEST_AUDIT_FILE = 1_000_000  # bytes: some hundred messages


class CredentialsSection(Section):
    """A certificate with its chain, and its private key, in PEM files; both or neither."""

    certificate: Location | None = None
    key: Location | None = None
    key_password: SecretStr | None = None

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together; set both or neither")
        return self


def _names(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


class TlsSection(CredentialsSection):
    """TLS on the DICOM port (with a certificate), and what the destinations share.

    `client_names`: AE title -> the names that a certificate must bear one of to call under that title.
    """

    ca: Location | None = None
    require_client_certificate: bool = True
    client_names: dict[AeTitle, Annotated[tuple[str, ...], BeforeValidator(_names)]] = Field(default_factory=dict)

    @field_validator("client_names", mode="before")
    @classmethod
    def _each_title_once(cls, value: Any) -> Any:
        """Outer spaces are no part of an AE title: of two that differ in them alone, one would not be enforced."""
        titles = [str(title).strip() for title in value] if isinstance(value, dict) else []
        for title in titles:
            if titles.count(title) > 1:
                raise ValueError(f"the AE title {title!r} stands there twice")
        return value

    @model_validator(mode="after")
    def _clients_can_be_known(self) -> Self:
        if self.certificate is not None and self.require_client_certificate and self.ca is None:
            raise ValueError(
                "require_client_certificate needs ca, the certificates of the CAs that your modalities' certificates "
                "come from; or set it to false"
            )
        if self.client_names and not (self.certificate is not None and self.ca is not None):
            raise ValueError("client_names needs certificate, key and ca")
        return self


class DestinationTlsSection(CredentialsSection):
    """How a destination is called with TLS; what is absent is taken from [tls]."""

    ca: Location | None = None
    server_name: str | None = None
    check_name: bool = True


def _switch(value: object) -> object:
    """`tls = true` is a table of defaults; the environment says it in letters."""
    if value is True or value == "true":
        return {}
    return None if value is False or value == "false" else value


DestinationTls = Annotated[DestinationTlsSection | None, BeforeValidator(_switch)]


class Role(StrEnum):
    """What somebody may do at the web port; each may do what the ones before it may."""

    VIEWER = "viewer"  # look
    REVIEWER = "reviewer"  # for settling what waits for a person; nothing does that yet
    ADMIN = "admin"  # change how the node works

    def covers(self, needed: "Role") -> bool:
        order = list(Role)
        return order.index(self) >= order.index(needed)


def _argon2(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.startswith("$argon2id$"):
        raise ValueError("this is no Argon2id hash; `dicom-node config hash-password` makes one")
    *_, salt, digest = text.split("$")
    try:
        argon2.extract_parameters(text)
        whole = len(_bytes_of(salt)) >= SHORTEST_SALT and len(_bytes_of(digest)) >= SHORTEST_DIGEST
    except ValueError:
        whole = False
    if not whole:
        raise ValueError(
            "this Argon2id hash is damaged, nobody could sign in with it: copy the line of `dicom-node config "
            "hash-password` whole, in single quotes where a shell or .env would replace its $, and nothing behind it"
        )
    return value


def _bytes_of(text: str) -> bytes:
    """What a part of the hash stands for, in base64 without padding; ValueError for what no encoder writes."""
    content = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    if base64.b64encode(content).rstrip(b"=").decode() != text:
        raise ValueError
    return content


def _sha256(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", value.get_secret_value()):
        raise ValueError("this is no hash of a token; `dicom-node config new-token` makes both")
    return value


class UserSection(Section):
    """A person who signs in with a password (HTTP Basic)."""

    name: Annotated[str, Field(pattern=r"^[^:\x00-\x1f]{1,64}$")]
    password_hash: Annotated[SecretStr, AfterValidator(_argon2)]
    role: Role = Role.VIEWER


class TokenSection(Section):
    """A program that shows a token (HTTP Bearer)."""

    name: Annotated[str, Field(pattern=r"^[^:\x00-\x1f]{1,64}$")]
    token_hash: Annotated[SecretStr, AfterValidator(_sha256)]
    role: Role = Role.VIEWER


class AuthSection(Section):
    """Who may use the web port. Nobody named: no authentication, and then the port stays on loopback."""

    users: tuple[UserSection, ...] = ()
    tokens: tuple[TokenSection, ...] = ()
    tries_per_minute: Annotated[int, Field(ge=1)] = 10

    @property
    def configured(self) -> bool:
        return bool(self.users or self.tokens)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [user.name for user in self.users]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two users are called {name!r}; names must differ")
        return self


def is_loopback(host: str) -> bool:
    """Whether a name or an address can mean nothing but the machine on which it is used."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class WebSection(CredentialsSection):
    """The web port: health, metrics, API; with a certificate it speaks HTTPS."""

    enabled: bool = True
    host: Host = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    auth: AuthSection = AuthSection()

    @model_validator(mode="after")
    def _closed_to_strangers(self) -> Self:
        if self.enabled and not self.on_loopback and not self.auth.configured:
            raise ValueError(
                f"host {self.host} is open to the network: name who may come in under [web.auth], "
                "or leave host on 127.0.0.1"
            )
        return self

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the port."""
        return is_loopback(self.host)


class SyslogSection(DestinationTlsSection):
    """A syslog server that is spoken to over TLS (RFC 5425)."""

    host: Host
    port: Annotated[int, Field(ge=1, le=65535)] = 6514


def _holds_messages(size: int) -> int:
    if size < SMALLEST_AUDIT_FILE:
        raise ValueError("this must be 1MB or more: rotated files are removed, and the trail would soon be gone")
    return size


class AuditSection(Section):
    """The audit trail of PS3.15 A.5: nowhere, unless a file or a syslog server is named."""

    file: Location | None = None
    file_size: Annotated[Size, AfterValidator(_holds_messages)] = 50_000_000
    files: Annotated[int, Field(ge=0, le=1000)] = 10
    syslog: SyslogSection | None = None
    source_id: str | None = None
    site: str = ""
