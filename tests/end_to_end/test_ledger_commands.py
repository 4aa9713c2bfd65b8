"""`list`, `requeue`, `give-up` and `status` on a ledger whose node does not run."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dicom_node.clock import utc_now
from dicom_node.instance import REPORT_ALONE
from dicom_node.ledger import SqlLedger, open_ledger
from dicom_node.part10 import file_header
from dicom_node.spool import Spool
from dicom_node.standing import Standing
from dicom_node.verdict import Decision, Outcome
from tests.configurations import destination
from tests.contract.ledger.racing import due, settled, to, verdict
from tests.dimse_objects import incoming
from tests.servers.node import NodeProcess
from tests.stories import NOON, arrival

REFUSED = "refused [/bold] for\ngood"


@contextmanager
def opened(node: NodeProcess) -> Iterator[SqlLedger]:
    """The ledger of a node, for the time of a test's own writing."""
    ledger = open_ledger(f"sqlite:///{node.folder / 'data' / 'ledger.sqlite'}")
    yield ledger
    ledger.close()


def make_node(folder: Path) -> NodeProcess:
    """A node that is not running, with the destinations pacs, which has deliveries, and new, which has none. In its
    ledger are the images 1.2.3.1 to 1.2.3.7; old is not configured any more.
    """
    node = NodeProcess(folder, destination("pacs", 1) + destination("new", 2))
    with opened(node) as ledger:
        for number in (1, 2):
            settled(ledger, number, deliveries=to("old", "pacs"))
        for number, change in ((3, {"outcome": Outcome.ABSTAINED}), (4, {"decision": Decision.REVIEW})):
            instance = ledger.intake.add(arrival(number, body_part="B\x1b[2J")).instance
            ledger.work.settle(instance.id, verdict(**change), recognition=None, deliveries=to("old", due=None))
        settled(ledger, 5)
        ledger.repairs.lose(settled(ledger, 6).id, now=NOON)
        ledger.intake.add(arrival(7))
        ledger.outbox.fail(due(ledger, "pacs", limit=1)[0].id, error=REFUSED, now=NOON)
    return node


@pytest.fixture(scope="module")
def still(tmp_path_factory) -> NodeProcess:
    """Such a node, for tests that change nothing."""
    return make_node(tmp_path_factory.mktemp("still") / "node")


@pytest.fixture
def node(tmp_path) -> NodeProcess:
    """Such a node, for tests that change something."""
    return make_node(tmp_path / "node")


def listed(node: NodeProcess, *arguments: str) -> list[dict[str, Any]]:
    return list(json.loads(node.run("list", *arguments, "--json").stdout))


def status(node: NodeProcess) -> dict[str, Any]:
    return dict(json.loads(node.run("status", "--json").stdout))


def refused(node: NodeProcess, *arguments: str) -> str:
    """The sentence with which a wrong command is refused."""
    done = node.run(*arguments, check=False)
    assert done.returncode == 2, done.stderr
    [sentence] = done.stderr.splitlines()
    return sentence


def test_list_names_as_many_images_as_status_counts(still) -> None:
    counted = status(still)
    for state in (Standing.ABSTAINED, Standing.REVIEW, Standing.UNROUTED, Standing.LOST):
        assert len(listed(still, "--state", state, "--limit", "1000000")) == counted[state] > 0
    views = listed(still, "--state", "pending")
    assert sum(len(view["deliveries"]) or 1 for view in views) == counted["pending"] > 0


def test_list_says_of_an_image_what_one_looks_for(still) -> None:
    (view,) = listed(still, "--state", "failed")
    (delivery,) = view.pop("deliveries")
    assert view == {
        "sop_instance_uid": "1.2.3.1",
        "study_uid": "1.2.1",
        "received_at": NOON.isoformat(),
        "modality": "CR",
        "body_part": "",
        "outcome": "tagged",
        "region": "hand",
        "confidence": 0.97,
        "decision": "fills",
        "reason": "The header is empty.",
    }
    assert (delivery["destination"], delivery["state"], delivery["last_error"]) == ("pacs", "failed", REFUSED)
    (waiting, *_) = listed(still, "--state", "pending", "--limit", "1")
    assert (waiting["sop_instance_uid"], waiting["outcome"], waiting["deliveries"]) == ("1.2.3.7", None, [])


def test_list_for_people_has_one_line_an_image_whatever_headers_and_errors_hold(still) -> None:
    heading, row = still.run("list", "--state", "failed").stdout.splitlines()
    assert heading.split()[:2] == ["received", "at"]
    assert row.startswith("2026-03-01 12:00:00Z  1.2.3.1 ")
    assert row.rstrip().endswith("tagged hand 0.97  pacs: refused [/bold] for good")
    _, row = still.run("list", "--state", "review").stdout.splitlines()
    assert "B [2J" in row
    assert "\x1b" not in row
    assert still.run("list", "--state", "unreadable").stdout == "no image is unreadable\n"


def test_list_begins_with_what_came_last_and_says_what_it_leaves_out(still) -> None:
    every = [view["sop_instance_uid"] for view in listed(still, "--state", "pending")]
    assert every == ["1.2.3.7", "1.2.3.4", "1.2.3.3", "1.2.3.2", "1.2.3.1"]
    *rows, rest = still.run("list", "--state", "pending", "--limit", "2").stdout.splitlines()
    assert ["1.2.3.7" in rows[1], "1.2.3.4" in rows[2], len(rows)] == [True, True, 3]
    assert rest == "… and 3 more"
    done = still.run("list", "--state", "pending", "--limit", "2", "--json")
    assert (len(json.loads(done.stdout)), done.stderr) == (2, "… and 3 more\n")


def test_list_refuses_a_destination_that_nobody_knows_or_that_says_nothing(still) -> None:
    told = refused(still, "list", "--state", "failed", "--destination", "pcas")
    assert told == "error: nothing is known of a destination 'pcas'; did you mean 'pacs'? (known are new, old, pacs)"
    assert "goes with failed, uncommitted, pending" in refused(
        still, "list", "--state", "lost", "--destination", "pacs"
    )
    assert still.run("list", "--state", "failed", "--destination", "new").stdout == "no image is failed at new\n"


def test_what_a_removed_destination_left_behind_is_given_up_and_comes_back_with_it(node) -> None:
    assert node.run("give-up", "--destination", "old").stdout == "4 deliveries to old given up\n"
    assert node.run("give-up", "--destination", "old").stdout == "0 deliveries to old given up: none was waiting\n"
    old, pacs = status(node)["destinations"][1:]
    assert (old["pending"], old["failed"], pacs["pending"], pacs["failed"]) == (0, 4, 1, 1)
    assert old["last_error"].startswith("given up by hand: ")
    assert "given up by hand" in node.run("list", "--state", "failed", "--destination", "old").stdout
    assert "no destination 'old' is configured (configured are pacs, new)" in refused(
        node, "requeue", "--destination", "old"
    )
    node.file.write_text(node.file.read_text() + destination("old", 3))
    assert node.run("requeue", "--destination", "old").stdout == "4 deliveries put back\n"
    assert [row["failed"] for row in status(node)["destinations"]] == [0, 0, 1]


def test_what_is_configured_is_given_up_only_when_that_is_said(node) -> None:
    assert "pacs is configured" in refused(node, "give-up", "--destination", "pacs")
    assert "known are new, old, pacs" in refused(node, "give-up", "--destination", "elsewhere")
    assert status(node)["destinations"][2]["pending"] == 1
    done = node.run("give-up", "--destination", "pacs", "--still-configured")
    assert done.stdout == "1 delivery to pacs given up\n"


def rows_of(printed: str) -> dict[str, str]:
    """The two columns that `show` prints."""
    lines = [line.split("│")[1:-1] for line in printed.splitlines() if line.startswith("│")]
    return {name.strip(): value.strip() for name, value in lines}


def test_show_says_what_each_destination_was_sent_which_may_not_be_what_was_decided(tmp_path) -> None:
    node = NodeProcess(tmp_path / "node")
    gone = {
        "corrected": ("1.2.3.1", "HAND"),
        "signed": ("1.2.3.1", None),
        "closed": ("1.2.3.1", "FOOT"),
        "reports": ("1.9", REPORT_ALONE),
        "nobody": ("", None),
    }
    with opened(node) as ledger:
        settled(ledger, deliveries=to("away", *gone))
        for name, (uid, written) in gone.items():
            ledger.outbox.delivered(due(ledger, name)[0].id, sent_uid=uid, written=written, now=NOON)
    rows = rows_of(node.run("show", "1.2.3.1").stdout)
    assert "written" not in rows
    assert rows["decided"] == "HAND"
    assert rows["to corrected"] == "delivered with HAND, 1 attempts"
    assert rows["to signed"] == "delivered as received, 1 attempts"
    assert rows["to closed"] == "delivered with FOOT, 1 attempts"
    assert rows["to reports"] == "delivered as a report alone, 1 attempts"
    assert rows["to nobody"] == "delivered: there was nothing to send, 1 attempts"
    assert rows["to away"] == "pending, 0 attempts"


def put_files(node: NodeProcess) -> None:
    """The files of its images, as long as the ledger says."""
    spool = Spool.opened(node.spool, 0, expected=lambda: False)
    with opened(node) as ledger:
        for one in ledger.repairs.kept(after_id=0, limit=99):
            missing = one.size - len(incoming(one.sop_instance_uid, PatientComments="").dataset)
            item = incoming(one.sop_instance_uid, PatientComments="." * missing)
            spool.path(one.path).parent.mkdir(parents=True, exist_ok=True)
            spool.path(one.path).write_bytes(file_header(item) + item.dataset)


def test_a_destination_that_was_added_later_is_given_the_images_of_the_past(node) -> None:
    """All that are settled and have their file, though most of them have deliveries to others."""
    put_files(node)
    again = ("requeue", "--state", "unrouted", "--destination", "new")
    assert node.run(*again, "1.2.3.1").stdout == "1 delivery put back\n"
    assert node.run(*again).stdout == "4 deliveries put back\n"
    why = "the images that have a verdict are 5 with a delivery to new, 1 whose file is not here any more"
    assert node.run(*again).stdout == f"0 deliveries put back: {why}\n"
    new = status(node)["destinations"][0]
    assert (new["name"], new["pending"]) == ("new", 5)


def test_requeue_leaves_what_is_for_a_destination_that_is_not_configured(node) -> None:
    node.run("give-up", "--destination", "old")
    way_out = "left alone for old, which is not configured: once it is, `requeue` takes what is for it"
    assert node.run("requeue").stdout == f"1 delivery put back; 4 {way_out}\n"
    assert node.run("requeue", "1.2.3.2").stdout == f"0 deliveries put back: 1 {way_out}\n"
    old = status(node)["destinations"][1]
    assert (old["failed"], old["pending"]) == (4, 0)


def test_requeue_leaves_the_delivery_of_an_image_that_was_retired_and_says_so(node) -> None:
    with opened(node) as ledger:
        (record,) = ledger.records.find("1.2.3.5")
        ledger.outbox.plan(record.instance.id, to("pacs", "new"), now=NOON)
        for name in ("pacs", "new"):
            for delivery in due(ledger, name):
                ledger.outbox.delivered(delivery.id, sent_uid="1.9", written=None, now=NOON)
        assert ledger.records.retire(record.instance.id, remove=lambda _: None, now=NOON)
    done = node.run("requeue", "--state", "delivered", "1.2.3.5", "1.2.3.2")
    assert (
        done.stdout
        == "1 delivery put back; 2 left alone: the file of the image is not here any more, or it was let go\n"
    )
    with opened(node) as ledger:
        (record,) = ledger.records.find("1.2.3.5")
    assert {way.sent_uid for way in record.deliveries} == {"1.9"}


def test_requeue_sends_what_waits_for_its_study_only_when_it_is_named(node) -> None:
    with opened(node) as ledger:
        (record,) = ledger.records.find("1.2.3.5")
        ledger.outbox.plan(record.instance.id, to("new", due=None), now=NOON)
    again = ("requeue", "--state", "pending", "--destination", "new")
    why = "1 left to wait for their study to close: name their UIDs to send them now"
    assert node.run(*again).stdout == f"0 deliveries put back: {why}\n"
    assert node.run(*again, "1.2.3.5").stdout == "1 delivery put back\n"


def test_let_go_wants_to_know_exactly_which_content_it_is(node) -> None:
    digests = ["a" * 64, "a" * 60 + "bbbb"]
    with opened(node) as ledger:
        for digest in digests:
            settled(ledger, 9, digest=digest)
    assert "no object with this SOP Instance UID" in refused(node, "let-go", "1.404", "a" * 8)
    for unclear in ("", "a" * 7, "a" * 8, "c" * 8):
        told = refused(node, "let-go", "1.2.3.9", unclear)
        assert told.endswith(f"by the beginning of its digest: {', '.join(digests)}")


@pytest.mark.parametrize("keep", ["", '[retention]\nkeep = "1h"\n'], ids=["for ever", "an hour"])
def test_let_go_says_how_a_destination_that_has_the_wrong_one_gets_the_right_one(tmp_path, keep: str) -> None:
    node = NodeProcess(tmp_path / "node", destination("pacs", 1) + keep)
    Spool.opened(node.spool, 0, expected=lambda: False)
    with opened(node) as ledger:
        for digest in ("a" * 64, "b" * 64):
            settled(ledger, 9, digest=digest, deliveries=to("pacs"))
        for delivery in due(ledger, "pacs"):
            ledger.outbox.delivered(delivery.id, sent_uid="1.2.3.9", written=None, now=NOON)
    told = node.run("let-go", "1.2.3.9", "a" * 8).stdout
    assert told.startswith("aaaaaaaa is let go, and its file removed\n")
    assert "`dicom-node requeue --state delivered 1.2.3.9` sends what stays" in told
    assert ("keeps it for 1h from now" in told) == bool(keep)
    assert node.run("requeue", "--state", "delivered", "1.2.3.9").stdout.startswith("1 delivery put back")


def test_let_go_leaves_alone_what_is_being_sent(node) -> None:
    Spool.opened(node.spool, 0, expected=lambda: False)
    with opened(node) as ledger:
        for digest in ("a" * 64, "b" * 64):
            settled(ledger, 9, digest=digest, deliveries=to("new"))
        assert due(ledger, "new", now=utc_now())
    done = node.run("let-go", "1.2.3.9", "a" * 8, check=False)
    assert done.returncode == 1
    assert "it is being sent at this moment; nothing was changed: try again in a minute" in done.stderr


def test_let_go_keeps_the_last_content_of_a_uid(node) -> None:
    spool = Spool.opened(node.spool, 0, expected=lambda: False)
    item = incoming("1.2.3.1")
    spool.write(f"{1:064x}", file_header(item), item.dataset)
    done = node.run("let-go", "1.2.3.1", f"{1:064x}", check=False)
    assert done.returncode == 1
    assert "nothing was changed" in done.stderr
    assert spool.holds(f"{1:064x}")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--destination", "new"], "there never was a delivery to new; `--state unrouted` makes those that"),
        (["--state", "sent", "--destination", "pacs"], "no delivery to pacs is sent"),
        (["--destination", "pacs", "1.2.3.2"], "these images have no delivery to pacs that is failed; `dicom-node"),
        (["--state", "unrouted", "1.2.3.7"], "no such image has a verdict yet"),
    ],
)
def test_requeue_says_why_it_found_nothing(still, arguments, why) -> None:
    assert still.run("requeue", *arguments).stdout.startswith(f"0 deliveries put back: {why}")


@pytest.mark.parametrize("state", ["failed", "unrouted"])
def test_requeue_names_the_uids_that_it_does_not_know_and_fails(still, state) -> None:
    """Beside one that it knows they would go unnoticed."""
    done = still.run("requeue", "--state", state, "--destination", "pacs", "1.404", "1.2.3.2", "1.405", check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("0 deliveries put back")
    assert done.stderr == "error: no image, series or study here has the UID 1.404, 1.405\n"


def test_requeue_puts_back_what_it_knows_and_names_the_rest(node) -> None:
    with opened(node) as ledger:
        (record,) = ledger.records.find("1.2.3.5")
        ledger.outbox.plan(record.instance.id, to("new", due=None), now=NOON)
    done = node.run("requeue", "--state", "pending", "--destination", "new", "1.2.3.5", "1.404", check=False)
    assert done.returncode == 1
    assert done.stdout == "1 delivery put back\n"
    assert done.stderr.endswith("the UID 1.404\n")


def test_status_says_what_each_figure_counts_and_names_destinations_that_are_new_or_gone(still) -> None:
    view = status(still)["destinations"]
    assert [row["name"] for row in view] == ["new", "old", "pacs"]
    assert set(view[0].values()) == {"new", 0, None}
    printed = still.run("status").stdout.splitlines()
    lines = [line.split("│")[1:-1] for line in printed if line.startswith("│")]
    rows = {cells[0].strip(): [cell.strip() for cell in cells[1:]] for cells in lines}
    assert rows["failed"][0] == "1"
    assert rows["failed"][1].startswith("deliveries")
    assert rows["received"] == ["7", "images"]
    assert {"new", "old", "pacs"} <= set(rows)
    assert [line for line in printed if "not configured" in line] == [
        "old is not configured any more; `dicom-node give-up --destination old` lets fail what waits for it"
    ]


def test_a_node_that_starts_names_the_way_out_for_what_nobody_will_fetch(node) -> None:
    node.spool.mkdir()
    (node.spool / "region-node-spool").touch()  # as on a disk that is mounted, and has lost these files
    with node:
        pass
    log = node.log.read_text()
    assert "deliveries_without_destination" in log
    assert "dicom-node give-up --destination old" in log
