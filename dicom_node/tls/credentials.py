"""Certificates and keys as files: what they hold, and in one sentence what is wrong with them."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from dicom_node.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """A certificate, its chain after it, and the private key to it, as PEM files."""

    certificate: Path
    key: Path
    password: str | None = field(default=None, repr=False)


def check_credentials(credentials: Credentials, *, now: datetime) -> datetime:
    """When the certificate ends. Raises ConfigError when it cannot be read, has ended or not begun, or when the key
    cannot be read or is another certificate's.
    """
    path = credentials.certificate
    certificate = certificates_in(path)[0]
    if certificate.not_valid_after_utc <= now:
        raise ConfigError(f"the certificate {path} expired on {certificate.not_valid_after_utc:%Y-%m-%d}: renew it")
    if certificate.not_valid_before_utc > now:
        begin = certificate.not_valid_before_utc
        raise ConfigError(f"the certificate {path} is valid only from {begin:%Y-%m-%d %H:%M} UTC: check the clock")
    if _spki(certificate.public_key()) != _spki(private_key_of(credentials).public_key()):
        raise ConfigError(f"the key {credentials.key} is not the key of the certificate {path}")
    return certificate.not_valid_after_utc


def check_ca(path: Path, *, now: datetime) -> None:
    """Raises ConfigError when a file of CA certificates cannot be read, or when all in it have expired."""
    ends = [certificate.not_valid_after_utc for certificate in certificates_in(path)]
    if max(ends) <= now:
        raise ConfigError(f"every CA certificate in {path} has expired, the last on {max(ends):%Y-%m-%d}: renew it")


def names_of(certificate: bytes) -> frozenset[str]:
    """What a certificate (DER) calls its owner: common names, DNS names and IP addresses, in lower case."""
    parsed = x509.load_der_x509_certificate(certificate)
    found = {str(item.value) for item in parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    try:
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = x509.SubjectAlternativeName([])
    found |= {str(name) for kind in (x509.DNSName, x509.IPAddress) for name in names.get_values_for_type(kind)}
    return frozenset(name.lower() for name in found)


def certificates_in(path: Path) -> list[x509.Certificate]:
    """The certificates in a PEM file. Raises ConfigError."""
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError as error:
        raise ConfigError(f"{path} holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)") from error


def private_key_of(credentials: Credentials) -> PrivateKeyTypes:
    """The private key, opened with its password. Raises ConfigError."""
    password = credentials.password.encode() if credentials.password else None
    content = _read(credentials.key)
    try:
        return load_pem_private_key(content, password)
    except TypeError as error:  # a password without encryption, or encryption without a password
        needed = "has a password: set key_password" if password is None else "has no password: remove key_password"
        raise ConfigError(f"the key {credentials.key} {needed}") from error
    except ValueError as error:
        why = "its password is another one, or it is damaged" if password else "it is no private key in PEM form"
        raise ConfigError(f"the key {credentials.key} cannot be used: {why}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def _spki(key: CertificatePublicKeyTypes | PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
