"""`dicom-node echo` asks destinations as the node calls them, and says what is wrong with those that do not answer."""

from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.configurations import destination
from tests.servers.dcmtk import StoreScpProcess
from tests.servers.node import NodeProcess
from tests.servers.programs import free_port
from tests.stock_receiver import receiver

LOCAL = "127.0.0.1"


@pytest.fixture
def pacs(tmp_path: Path):
    with StoreScpProcess(tmp_path / "pacs") as process:
        yield process


def test_each_destination_gets_a_sentence_and_one_that_is_away_is_a_failure(tmp_path: Path, pacs) -> None:
    away = free_port()
    with receiver(ae_title="OTHER", require_called_aet=True) as strict:
        config = destination("pacs", pacs.port) + destination("away", away) + destination("strict", strict.port)
        lost = destination("lost", 104).replace(LOCAL, "nobody.invalid")
        node = NodeProcess(tmp_path / "node", config + lost)
        done = node.run("echo", check=False)
    assert done.returncode == 1
    first, second, third, fourth = done.stdout.splitlines()
    assert first == f"pacs, PACS at {LOCAL}:{pacs.port}: answers"
    assert second == f"away, PACS at {LOCAL}:{away}: does not answer: is it running, and is the address right?"
    assert third.startswith(f"strict, PACS at {LOCAL}:{strict.port}: the peer does not go by that AE title")
    assert fourth.startswith("lost, PACS at nobody.invalid:104: cannot be found: ")
    assert fourth.endswith("; correct its host")
    assert "error: 3 of 4 destinations did not answer REGION" in done.stderr
    assert node.run("echo", "pacs").stdout == f"{first}\n"


def test_a_destination_that_is_called_with_tls_is_asked_with_tls(tmp_path: Path) -> None:
    ca = Authority(tmp_path)
    theirs, ours = ca.issue(LOCAL), ca.issue("node.example.org")
    options = ["+B", "+xa", "+tls", str(theirs.key), str(theirs.certificate), "+cf", str(ca.file)]
    tls = {"ca": str(ca.file), "certificate": str(ours.certificate), "key": str(ours.key)}
    with StoreScpProcess(tmp_path / "pacs", options=options) as pacs:
        config = destination("pacs", pacs.port, tls=tls) + destination("plain", pacs.port)
        bad = destination("bad", pacs.port, tls=tls | {"ca": str(tmp_path / "none.pem")})
        done = NodeProcess(tmp_path / "node", config + bad).run("echo", check=False)
    assert done.returncode == 1
    first, second, third = done.stdout.splitlines()
    assert first.endswith(": answers")
    assert "TLS" in second
    assert "none.pem" in third


def test_a_name_that_is_no_destination_is_refused_with_those_that_are(tmp_path: Path) -> None:
    node = NodeProcess(tmp_path / "node", destination("pacs", 104))
    done = node.run("echo", "pasc", check=False)
    assert done.returncode == 2
    assert "no destination 'pasc' is configured; did you mean 'pacs'? (configured is pacs)" in done.stderr
