"""What happens to images when something is away, hangs, refuses or dies."""

import json
import socket
import threading
from datetime import timedelta

import pydicom
import pytest
from pynetdicom.events import Event

from dicom_node.clock import utc_now
from dicom_node.ledger import open_ledger
from tests.configurations import destination, model
from tests.servers.dcmtk import StoreScpProcess, dcmsend, storescu
from tests.servers.node import NodeProcess
from tests.servers.programs import wait_until
from tests.stock_receiver import receiver
from tests.stories import LEASE
from tests.synthetic import bright, dark

QUICK = {"first": "100ms", "longest": "300ms"}


@pytest.fixture
def mute_peer():
    """Something that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept = []
        thread = threading.Thread(target=lambda: _accept_for_ever(server, kept), daemon=True)
        thread.start()
        yield server.getsockname()[1]


def _accept_for_ever(server: socket.socket, kept: list) -> None:
    while True:
        try:
            kept.append(server.accept())
        except OSError:
            return


def test_images_for_a_pacs_that_is_down_wait_and_arrive_when_it_is_back(tmp_path, tiny_model, file_of) -> None:
    images = [bright(), dark()]
    pacs = StoreScpProcess(tmp_path / "pacs")
    config = model(tiny_model) + destination("pacs", pacs.port, retry=QUICK)
    with NodeProcess(tmp_path / "node", config) as node:
        dcmsend(node.port, [file_of(image) for image in images])
        node.settled(2)
        wait_until(lambda: node.status()["destinations"][0]["last_error"], what="a failed attempt")
        assert node.status()["pending"] == 2
        with pacs:
            node.idle()
            arrived = {pydicom.dcmread(path).SOPInstanceUID for path in pacs.files()}
    assert arrived == {image.SOPInstanceUID for image in images}


def test_a_destination_that_hangs_blocks_no_other(tmp_path, tiny_model, file_of, mute_peer) -> None:
    image = bright()
    with StoreScpProcess(tmp_path / "pacs") as pacs:
        config = model(tiny_model) + destination("mute", mute_peer, timeout="60s") + destination("pacs", pacs.port)
        with NodeProcess(tmp_path / "node", config) as node:
            storescu(node.port, [file_of(image)])
            wait_until(lambda: len(pacs.files()) == 1, what="the image at the PACS")
            assert node.status()["pending"] == 1
            node.kill()  # its lane waits for the mute peer, and SIGTERM would wait for the lane


def test_a_refusal_for_good_fails_at_once_and_can_be_requeued(tmp_path, tiny_model, file_of) -> None:
    image = bright()
    # storescp with a configuration of its own would do too; --refuse is the shortest way to a permanent rejection.
    pacs = StoreScpProcess(tmp_path / "pacs", options=("--refuse",))
    with pacs:
        config = model(tiny_model) + destination("pacs", pacs.port)
        with NodeProcess(tmp_path / "node", config) as node:
            storescu(node.port, [file_of(image)])
            wait_until(lambda: node.status()["failed"] == 1, what="the failure")
            pacs.stop()
            with StoreScpProcess(tmp_path / "second") as other:
                moved = node.file.read_text().replace(f"port = {pacs.port}", f"port = {other.port}")
                node.stop()
                node.file.write_text(moved)
                node.start()
                assert "1 delivery put back" in node.run("requeue", "--state", "failed").stdout
                node.idle()
                assert len(other.files()) == 1


def test_of_two_contents_with_one_uid_the_node_keeps_both_until_a_person_lets_one_go(
    tmp_path, tiny_model, file_of
) -> None:
    """The PACS says 0000 to both and has one, the first as Orthanc by itself or the last as others: the only copy of
    the other one is here.
    """
    first, other = bright(), bright()
    second = bright(SOPInstanceUID=first.SOPInstanceUID, PatientID="CORRECTED")
    ready = threading.Event()
    with receiver(lambda _: 0x0000 if ready.is_set() else 0xA700) as pacs:
        config = model(tiny_model) + destination("pacs", pacs.port, retry=QUICK) + '[retention]\nkeep = "0s"\n'
        with NodeProcess(tmp_path / "node", config + '[schedule]\nretention = "1s"\n') as node:
            for image in (first, second, other):
                storescu(node.port, [file_of(image)])
            ready.set()
            wait_until(lambda: len(files(node)) == 2, what="the retirement of the other image")
            records = node.instances(first.SOPInstanceUID)
            assert [(one["deliveries"][0]["state"], one["path"] in files(node)) for one in records] == [
                ("delivered", True), ("delivered", True)
            ]  # fmt: skip
            assert node.status()["conflicting"] == 2
            listed = json.loads(node.run("list", "--state", "conflicting", "--json").stdout)
            assert {one["sop_instance_uid"] for one in listed} == {first.SOPInstanceUID}
            assert b'region_node_ledger{count="conflicting"} 2.0' in node.get("/metrics")
            wrong, right = (one["digest"] for one in records)
            shown = node.run("show", first.SOPInstanceUID).stdout.replace("\n", "")
            assert wrong[:16] in shown
            assert right[:16] in shown
            assert "is let go" in node.run("let-go", first.SOPInstanceUID, wrong[:16]).stdout
            wait_until(lambda: not files(node), what="the retirement of what the PACS has")
            kinds = [[event["kind"] for event in one["events"]][-1] for one in node.instances(first.SOPInstanceUID)]
            assert kinds == ["let_go", "retired"]
            assert node.status()["conflicting"] == 0


def files(node: NodeProcess) -> set[str]:
    return {path.relative_to(node.spool).as_posix() for path in node.spool.rglob("*.dcm")}


def test_what_a_pacs_leaves_for_another_object_with_its_uid_is_not_delivered_and_both_stay(
    tmp_path, tiny_model, file_of
) -> None:
    first, other = bright(), bright()
    second = bright(SOPInstanceUID=first.SOPInstanceUID, PatientID="CORRECTED")
    known: list[str] = []
    ready = threading.Event()

    def keep_the_first(event: Event) -> int:
        if not ready.is_set():
            return 0xA700
        uid = event.request.AffectedSOPInstanceUID
        known.append(uid)
        return 0x0111 if known.count(uid) > 1 else 0x0000

    with receiver(keep_the_first) as pacs:
        config = model(tiny_model) + destination("pacs", pacs.port, retry=QUICK) + '[retention]\nkeep = "0s"\n'
        with NodeProcess(tmp_path / "node", config + '[schedule]\nretention = "1s"\n') as node:
            for image in (first, second, other):
                storescu(node.port, [file_of(image)])
            ready.set()
            wait_until(lambda: node.status()["failed"] == 1, what="the failure")
            wait_until(lambda: len(files(node)) == 2, what="the retirement of the other image")
            assert "several contents" in node.status()["destinations"][0]["last_error"]
            records = node.instances(first.SOPInstanceUID)
            [failed] = [one for one in records if one["deliveries"][0]["state"] == "failed"]
            node.run("let-go", first.SOPInstanceUID, failed["digest"])
            assert node.status()["failed"] == 0
            wait_until(lambda: not files(node), what="the retirement of the one that the PACS has")


def test_what_a_clock_that_was_ahead_has_put_off_is_sent_once_that_is_put_back(tmp_path, tiny_model, file_of) -> None:
    """Nothing would bring it back but the time itself, a year from now."""
    image = bright()
    pacs = StoreScpProcess(tmp_path / "pacs")
    config = model(tiny_model) + destination("pacs", pacs.port, retry=QUICK)
    with NodeProcess(tmp_path / "node", config) as node:
        storescu(node.port, [file_of(image)])
        node.settled(1)
        node.stop()
        ahead = utc_now() + timedelta(days=365)
        ledger = open_ledger(f"sqlite:///{node.folder / 'data' / 'ledger.sqlite'}")
        [delivery] = ledger.outbox.claim(destination="pacs", worker="w", limit=1, now=ahead, lease=LEASE)
        ledger.outbox.postpone(delivery.id, error="away", planned_at=ahead, due_at=ahead)
        ledger.outbox.claim(destination="pacs", worker="w", limit=1, now=ahead, lease=LEASE)
        ledger.close()
        with pacs:
            node.start()
            node.idle()
            assert len(pacs.files()) == 1
    assert "times_put_right" in node.log.read_text()


def test_images_that_came_before_the_pacs_was_configured_can_be_sent_to_it(tmp_path, tiny_model, file_of) -> None:
    image = bright()
    node = NodeProcess(tmp_path / "node", model(tiny_model))
    with node:
        storescu(node.port, [file_of(image)])
        assert node.settled(1)["unrouted"] == 1
    with StoreScpProcess(tmp_path / "pacs") as pacs:
        node.file.write_text(node.file.read_text() + destination("pacs", pacs.port))
        assert "1 delivery put back" in node.run("requeue", "--state", "unrouted").stdout
        with node:
            status = node.idle()
            assert (status["unrouted"], status["forwarded"]) == (0, 1)
        assert len(pacs.files()) == 1


def test_sigterm_finishes_what_is_in_hand_and_exits_with_zero(tmp_path, tiny_model, file_of) -> None:
    node = NodeProcess(tmp_path / "node", model(tiny_model))
    with node:
        storescu(node.port, [file_of(bright())])
        assert node.stop() == 0


def test_several_receiver_processes_share_the_port(tmp_path, tiny_model, file_of) -> None:
    files = [file_of(bright()) for _ in range(6)]
    with NodeProcess(tmp_path / "node", "[node]\nreceivers = 2\n" + model(tiny_model)) as node:
        for file in files:
            assert storescu(node.port, [file]).returncode == 0
        assert node.settled(len(files))["received"] == len(files)
        assert node.stop() == 0


def test_a_port_that_is_taken_is_said_in_one_sentence(tmp_path, tiny_model) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        node = NodeProcess(tmp_path / "node", model(tiny_model))
        node.file.write_text(node.file.read_text().replace("port = 0", f"port = {port}", 1))
        done = node.run("serve", check=False)
    assert done.returncode == 1  # it may be free in a moment
    assert f"port {port}: Address already in use; set another node.port" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_is_not_up_yet_is_a_reason_to_try_again(tmp_path, tiny_model) -> None:
    node = NodeProcess(tmp_path / "node", model(tiny_model))
    url = "postgresql://node:secret@127.0.0.1:1/node"
    node.file.write_text(f'{node.file.read_text()}[ledger]\nurl = "{url}"\n')
    done = node.run("serve", check=False)
    assert done.returncode == 1
    assert "check that the server runs" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize("command", [["config", "check"], ["status"], ["serve"]])
def test_no_command_prints_the_passwords_of_the_ledger_s_url(tmp_path, tiny_model, command) -> None:
    """libpq takes them behind the ? as well."""
    node = NodeProcess(tmp_path / "node", model(tiny_model))
    url = "postgresql://node:hunter1@127.0.0.1:1/node?password=hunter2&sslpassword=hunter3&sslmode=require"
    node.file.write_text(f'{node.file.read_text()}[ledger]\nurl = "{url}"\n')
    done = node.run(*command, check=False)
    said = "".join((done.stdout + done.stderr).replace("│", "").split())
    assert "hunter" not in said
    assert command == ["serve"] or "node:***@127.0.0.1:1/node?password=***" in said


def test_an_address_that_is_not_this_machine_s_is_said_with_the_key(tmp_path, tiny_model) -> None:
    done = NodeProcess(tmp_path / "node", '[node]\nhost = "192.0.2.1"\n' + model(tiny_model)).run("serve", check=False)
    assert done.returncode == 1
    assert "set node.host to an address of this machine" in done.stderr


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ('[model]\npath = "/no.onnx"\n', "The model file /no.onnx cannot be read: No such file"),
        (f'[model]\nsha256 = "{"0" * 64}"\n', "is not the one that model.sha256 names"),
        (f'[model]\npath = "{__file__}"\n', "is not a usable ONNX file"),
        ('[ledger]\nurl = "mysql://node:secret@db/node"\n', "[ledger] url is not understood"),
    ],
)
def test_what_somebody_has_to_mend_ends_with_two_so_that_it_is_not_tried_again(tmp_path, section, sentence) -> None:
    done = NodeProcess(tmp_path / "node", section).run("serve", check=False)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_node_that_starts_beside_one_with_other_destinations_says_so(tmp_path, tiny_model) -> None:
    """On one ledger and spool, either may settle an image, by its own destinations and rules."""
    first = NodeProcess(tmp_path / "first", model(tiny_model) + destination("pacs", 1))
    alike = NodeProcess(tmp_path / "alike", model(tiny_model) + destination("pacs", 1, timeout="9s"))
    other = NodeProcess(tmp_path / "other", model(tiny_model) + destination("pacs", 2))
    for node in (alike, other):
        (node.folder / "data").symlink_to(first.folder / "data")
    with first, alike, other:
        pass
    logs = [node.log.read_text().count("another_node_is_configured_otherwise") for node in (first, alike, other)]
    assert logs == [0, 0, 2]
