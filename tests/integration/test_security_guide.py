"""The commands of docs/SECURITY.md do what the guide says they do."""

import re
import subprocess
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dicom_node.config import load_config
from dicom_node.config.tls import check_tls, tls_client_of, tls_server_of
from dicom_node.dimse.scp import ScpSettings, StoreScp
from dicom_node.receive import receive
from dicom_node.spool import Spool
from dicom_node.testing import MemoryLedger
from dicom_node.web.accounts import hash_password
from tests.dimse_objects import incoming, written
from tests.servers.dcmtk import dcmtk
from tests.servers.programs import find_program
from tests.stories import NOON


def blocks(root: Path, language: str) -> list[str]:
    """The code blocks of the guide in a language, in order."""
    guide = (root / "docs" / "SECURITY.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)


@pytest.mark.server
def test_the_certificates_of_the_guide_let_a_modality_in_over_tls(root: Path, tmp_path: Path, monkeypatch) -> None:
    find_program("openssl", "openssl")
    make_certificates, try_modality = blocks(root, "sh")[:2]
    subprocess.run(["bash", "-euc", make_certificates], cwd=tmp_path, capture_output=True, check=True, timeout=60)
    monkeypatch.chdir(tmp_path)
    Path("node.toml").write_text(blocks(root, "toml")[0])
    config = load_config(Path("node.toml"), {})
    assert [row for row, _ in check_tls(config, now=datetime.now(UTC))] == ["tls", "tls to pacs"]
    tls_client_of(config, config.destinations[0]).context()

    ledger, spool = MemoryLedger(), Spool(tmp_path / "spool", reserve_bytes=0)
    settings = ScpSettings(ae_title="REGION", tls=tls_server_of(config), client_names=config.tls.client_names)
    scp = StoreScp(settings, lambda item: receive(item, spool=spool, intake=ledger.intake, now=NOON))
    scp.start()
    try:
        written(tmp_path, incoming("1.2.3.7")).rename(tmp_path / "image.dcm")
        command = try_modality.replace("storescu", str(dcmtk("storescu"))).replace("11112", str(scp.port))
        sent = subprocess.run(["bash", "-euc", command], cwd=tmp_path, capture_output=True, check=False, timeout=60)
        assert sent.returncode == 0, sent.stderr
        assert len(ledger.records.find("1.2.3.7")) == 1
        other = command.replace("cr1.key cr1.crt", "pacs.key pacs.crt")
        assert subprocess.run(["bash", "-euc", other], cwd=tmp_path, check=False, timeout=60).returncode != 0
    finally:
        scp.stop(timedelta(seconds=2))


def test_every_piece_of_configuration_in_the_guide_can_be_loaded(root: Path, tmp_path: Path) -> None:
    pieces = blocks(root, "toml")
    assert len(pieces) == 3
    for number, piece in enumerate(pieces):
        text = piece.replace("sha256:...", "sha256:" + 64 * "0").replace("$argon2id$...", hash_password("a password"))
        path = tmp_path / f"{number}.toml"
        path.write_text(text)
        assert tomllib.loads(text)
        load_config(path, {})
