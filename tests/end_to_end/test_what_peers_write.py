"""What peers write into headers, AE titles and errors, as the commands print it: never as markup."""

import pytest

from dicom_node.commitment import CommitmentRequest, SopReference
from dicom_node.ledger import open_ledger
from dicom_node.spool import Spool
from tests.configurations import destination
from tests.contract.ledger.racing import due, to, verdict
from tests.servers.node import NodeProcess
from tests.stories import NOON, arrival

REQUEST = CommitmentRequest(
    transaction_uid="1.9",
    references=(SopReference(sop_class_uid="1.2.840.10008.5.1.4.1.1.1", sop_instance_uid="1.2.3.1"),),
    calling_ae="[/X]",
    called_ae="REGION",
    peer="127.0.0.1",
)


@pytest.fixture(scope="module")
def node(tmp_path_factory) -> NodeProcess:
    """One that does not run; in its ledger an image and a request, of which each text would be markup, or worse."""
    node = NodeProcess(tmp_path_factory.mktemp("peers") / "node", destination("pacs", 1))
    Spool.opened(node.spool, 0, expected=lambda: False)
    ledger = open_ledger(f"sqlite:///{node.folder / 'data' / 'ledger.sqlite'}")
    one = arrival(sop_instance_uid="1.2.3[/U]", calling_ae="[/X]", body_part="[/B]\x1b[2J", modality=":bone:")
    instance = ledger.intake.add(one).instance
    ledger.work.settle(instance.id, verdict(reason="says [/R]"), recognition=None, deliveries=to("pacs", "gone"))
    for name in ("pacs", "gone"):
        ledger.outbox.fail(due(ledger, name)[0].id, error="refused [[/E]] [red]\nfor good", now=NOON)
    promise = ledger.promises.ask(REQUEST, now=NOON, due_at=NOON)
    assert promise is not None
    ledger.promises.postpone(promise.id, error="[/P]", due_at=NOON)
    ledger.close()
    return node


def printed(node: NodeProcess, *arguments: str) -> str:
    """Wide enough that nothing is folded."""
    return node.run(*arguments).stdout


def test_status_prints_ae_titles_and_errors_as_they_are(node: NodeProcess, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    told = printed(node, "status")
    for text in ("[/X]", "[/P]", "refused [[/E]] [red] for good"):
        assert text in told


def test_show_prints_headers_reasons_and_errors_as_they_are(node: NodeProcess, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    told = printed(node, "show", "1.2.3[/U]")
    for text in ("1.2.3[/U]", "[/X]", "[/B] [2J", ":bone:", "says [/R]", "refused [[/E]] [red] for good"):
        assert text in told
    assert "\x1b" not in told


def test_list_and_replay_print_uids_as_they_are(node: NodeProcess, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert "1.2.3[/U]" in printed(node, "list", "--state", "failed")
    assert "1.2.3[/U]" in printed(node, "rules", "replay")
