"""The files of TLS: bad ones are said at once, renewed ones are taken, passwords are shown nowhere."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest

from dicom_node.dimse.scp import ScpSettings
from dicom_node.errors import ConfigError
from dicom_node.tls import Contexts, Credentials, TlsServer, check_ca, check_credentials
from tests.associations import sender_to
from tests.certificates import LOCAL, Authority, tls_client


def test_files_that_cannot_be_used_are_said_before_anything_starts(ca: Authority, tmp_path: Path) -> None:
    good, other = ca.issue(LOCAL), ca.issue("other.example.org")
    now = datetime.now(UTC)
    assert check_credentials(good, now=now) > now
    swapped = Credentials(certificate=good.certificate, key=other.key)
    text = tmp_path / "text.pem"
    text.write_text("no certificate\n")
    wrong: list[tuple[Credentials, str]] = [
        (swapped, "is not the key of the certificate"),
        (Credentials(certificate=tmp_path / "absent.crt", key=good.key), "absent.crt cannot be read: No such file"),
        (Credentials(certificate=text, key=good.key), "holds no certificate in PEM form"),
        (Credentials(certificate=good.certificate, key=text), "it is no private key in PEM form"),
        (Credentials(certificate=good.certificate, key=good.key, password="x"), "has no password"),
        (ca.issue(LOCAL, expired=True), "expired on"),
    ]
    for credentials, sentence in wrong:
        with pytest.raises(ConfigError, match=sentence):
            check_credentials(credentials, now=now)
    for credentials, sentence in wrong[:5]:
        with pytest.raises(ConfigError, match=sentence):
            Contexts(TlsServer(credentials=credentials, ca=ca.file))
    with pytest.raises(ConfigError, match="has expired"):
        check_ca(ca.file, now=now + timedelta(days=365 * 1000))


def test_a_password_of_a_key_is_in_no_repr() -> None:
    credentials = Credentials(certificate=Path("c"), key=Path("k"), password="PLANTED")
    settings = ScpSettings(ae_title="X", tls=TlsServer(credentials=credentials))
    assert "PLANTED" not in repr(settings)


def test_a_renewed_certificate_is_taken_with_the_next_connection_and_a_broken_one_is_not(
    ca: Authority, serve, log: StringIO
) -> None:
    own = ca.issue("old.example.org")
    scp = serve(TlsServer(credentials=own, ca=ca.file, require_client=False))
    new = ca.issue("new.example.org")
    own.key.write_bytes(new.key.read_bytes())
    with sender_to(scp, tls=tls_client(ca, server_name="old.example.org")) as scu:
        scu.echo()  # the certificate is still another key's
    assert "is not the key of the certificate" in log.getvalue()
    own.certificate.write_bytes(new.certificate.read_bytes())
    with sender_to(scp, tls=tls_client(ca, server_name="new.example.org")) as scu:
        scu.echo()
