"""The commands that work on files."""

import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import zipfile

import pytest
from pynetdicom.events import Event

from tests.configurations import destination, model
from tests.dicomfiles import dataset_bytes
from tests.full_disk import no_file_longer_than
from tests.radiographs import pictures
from tests.servers.dcmtk import StoreScpProcess
from tests.servers.node import NodeProcess
from tests.stock_receiver import receiver
from tests.synthetic import bright, dark

KEYS = {
    "path", "sop_instance_uid", "outcome", "region", "confidence",
    "probabilities", "header_region", "agreement", "model", "error",
}  # fmt: skip


@pytest.fixture
def node(tmp_path, tiny_model) -> NodeProcess:
    """A configuration to run commands with; nothing is started."""
    return NodeProcess(tmp_path / "node", model(tiny_model))


def lines(done: subprocess.CompletedProcess[str]) -> list[dict]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_classify_prints_one_object_per_file(node, file_of) -> None:
    sure, unsure = file_of(bright(BodyPartExamined="C-SPINE")), file_of(dark())
    views = lines(node.run("classify", sure, unsure, "--json"))
    assert [set(view) for view in views] == [KEYS, KEYS]
    first, second = views
    assert (first["outcome"], first["region"], first["header_region"]) == ("tagged", "shoulder", "cervical_spine")
    assert first["agreement"] == "disagrees"
    assert (second["outcome"], second["region"], second["agreement"]) == ("abstained", None, None)
    assert len(second["probabilities"]) == 14


def test_classify_takes_pictures_and_folders(node, tmp_path, shared) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for picture in pictures(shared, region="shoulder")[:3]:
        shutil.copy(picture, folder)
    (folder / "notes.txt").write_text("not an image")
    views = lines(node.run("classify", folder, "--json"))
    assert len(views) == 3
    assert {view["outcome"] for view in views} <= {"tagged", "abstained"}


def test_classify_says_what_it_cannot_read_and_exits_with_one(node, tmp_path, file_of) -> None:
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"these are no pixels")
    done = node.run("classify", broken, file_of(bright()), "--json", check=False)
    assert done.returncode == 1
    first, second = lines(done)
    assert first["outcome"] == "unreadable"
    assert first["error"]
    assert second["outcome"] == "tagged"


def test_a_path_that_is_not_there_is_wrong_usage(node) -> None:
    assert node.run("classify", "/no/such/file", check=False).returncode == 2


@pytest.mark.parametrize(
    "command",
    [["classify"], ["import"], ["send", "127.0.0.1", "104"], ["rules", "test"], ["label", "--by", "me", "--csv"]],
    ids=" ".join,
)
def test_an_empty_path_is_wrong_usage_and_not_the_working_directory(node, file_of, command) -> None:
    """A script whose variable is unset would send a whole folder of patients to a peer."""
    for paths in ([""], [file_of(bright()), ""]) if command[0] != "label" else ([""],):
        done = node.run(*command, *paths, check=False)
        assert done.returncode == 2
        assert "an empty path" in done.stderr
    assert not (node.folder / "data").exists()


def test_an_empty_name_of_a_configuration_is_not_the_working_directory() -> None:
    command = [sys.executable, "-m", "dicom_node", "config", "check", "--config", ""]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "an empty path" in done.stderr


def test_import_takes_folders_and_archives_as_if_they_had_been_received(node, tmp_path, file_of) -> None:
    loose, zipped = bright(), dark()
    folder = tmp_path / "cd"
    (folder / "IMAGES").mkdir(parents=True)
    shutil.copy(file_of(loose), folder / "IMAGES" / "IM1")
    (folder / "readme.txt").write_text("a viewer for Windows")
    archive = tmp_path / "cd.zip"
    file = file_of(zipped)
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(file, "DICOM/IM2")
    done = node.run("import", folder, archive)
    assert done.stdout.startswith("2 taken in, 0 here already, 0 refused, 1 passed over")
    assert node.run("import", archive).stdout.startswith("0 taken in, 1 here already")
    with node:
        node.settled(2)
        [record] = node.instances(zipped.SOPInstanceUID)
    assert dataset_bytes(node.spool / record["path"]) == dataset_bytes(file)
    assert record["calling_ae"] == "IMPORT"


def test_import_says_what_it_refuses_and_takes_the_rest(node, tmp_path, file_of) -> None:
    """On one medium: a damaged archive, a damaged file meta, a data set without preamble, an image, a text."""
    folder = tmp_path / "cd"
    folder.mkdir()
    (folder / "a.zip").write_bytes(b"PK\3\4 and then nothing")
    damaged = file_of(bright()).read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.\xff\0")
    (folder / "b.dcm").write_bytes(damaged)
    (folder / "c").write_bytes(dataset_bytes(file_of(bright())))
    shutil.copy(file_of(dark()), folder / "d.dcm")
    (folder / "readme.txt").write_text("a viewer for Windows")
    done = node.run("import", folder, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("2 taken in, 0 here already, 2 refused, 1 passed over")
    _made, archive, file, summary = done.stderr.splitlines()
    assert archive.startswith(f"{folder / 'a.zip'}: the archive cannot be read")
    assert file.startswith(f"{folder / 'b.dcm'}: ")
    assert summary == "error: 2 of 4 files could not be taken in"


def test_classify_says_which_archive_is_damaged_and_reads_the_rest(node, tmp_path, file_of) -> None:
    archive = tmp_path / "cd.zip"
    archive.write_bytes(b"PK\3\4 and then nothing")
    done = node.run("classify", archive, file_of(bright()), "--json", check=False)
    assert done.returncode == 1
    first, second = lines(done)
    assert (first["path"], first["outcome"]) == (str(archive), "unreadable")
    assert second["outcome"] == "tagged"


def test_a_ledger_that_cannot_be_written_stops_an_import_with_one_sentence(node, tmp_path, file_of) -> None:
    """The kernel lets its write-ahead log grow for some of the images, and no further."""
    node.run("migrate")
    files = [file_of(bright()) for _ in range(12)]
    with no_file_longer_than(1 << 16):
        done = node.run("import", *files, check=False)
    assert done.returncode == 1
    [sentence] = done.stderr.splitlines()
    assert sentence.startswith("error: ")
    node.run("import", *files)
    count = json.loads(node.run("status", "--json").stdout)["received"]
    assert count == len(files)


def test_send_sends_and_says_how_many(node, tmp_path, file_of) -> None:
    files = [file_of(bright()), file_of(dark())]
    with StoreScpProcess(tmp_path / "peer") as peer:
        done = node.run("send", "127.0.0.1", str(peer.port), *files, "--aec", peer.aet)
        assert done.stdout.strip() == "2 sent, 0 failed, 0 passed over (no DICOM files)"
        assert sorted(map(dataset_bytes, peer.files())) == sorted(map(dataset_bytes, files))


def test_send_says_what_it_passed_over(node, tmp_path) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "readme.txt").write_text("no image")
    done = node.run("send", "127.0.0.1", "104", folder)
    assert done.stdout == "0 sent, 0 failed, 1 passed over (no DICOM files)\n"


def test_send_that_is_broken_off_says_how_many_it_had_sent(node, file_of) -> None:
    """The peer dies while it is given the third."""
    stored: list[Event] = []

    def store(event: Event) -> int:
        stored.append(event)
        if len(stored) >= 3:
            event.assoc.abort()
        return 0x0000

    files = [file_of(bright()) for _ in range(5)]
    with receiver(store) as peer:
        done = node.run("send", "127.0.0.1", str(peer.port), *files, check=False)
    assert done.returncode == 1
    assert done.stdout == "2 sent, 0 failed, 0 passed over (no DICOM files)\n"
    assert done.stderr.startswith(f"error: stopped at {files[2]}: ")


def test_send_says_after_ctrl_c_how_many_it_had_sent(node, file_of) -> None:
    """It comes while the peer has the second in hand."""
    stored: list[Event] = []
    started, ended = queue.Queue[int](), threading.Event()

    def store(event: Event) -> int:
        stored.append(event)
        if len(stored) == 2:
            os.kill(started.get(), signal.SIGINT)
            ended.wait(60)
        return 0x0000

    with receiver(store) as peer:
        paths = [file_of(bright()), file_of(bright())]
        command = [sys.executable, "-m", "dicom_node", "send", "127.0.0.1", str(peer.port), *paths]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.put(process.pid)
        out, error = process.communicate(timeout=90)
        ended.set()
    assert process.returncode == 130
    assert out == "1 sent, 0 failed, 0 passed over (no DICOM files)\n"
    assert "Traceback" not in error


def test_send_to_nobody_is_one_clear_sentence(node, file_of) -> None:
    done = node.run("send", "127.0.0.1", "1", file_of(bright()), check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: stopped at ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("host", "options", "sentence"),
    [
        ("127.0.0.1", ["--aec", "THIS_TITLE_IS_FAR_TOO_LONG"], "no AE title"),
        ("127.0.0.1", ["--aet", ""], "no AE title"),
        ("a..b", [], "no host"),
        ("x" * 70, [], "no host"),
        ("", [], "no host"),
    ],
)
def test_send_refuses_what_is_no_ae_title_and_no_host(node, file_of, host, options, sentence) -> None:
    done = node.run("send", host, "104", file_of(bright()), *options, check=False)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_faulty_configuration_is_refused_with_the_nearest_name(tmp_path) -> None:
    file = tmp_path / "node.toml"
    file.write_text("[node]\nprot = 104\n")
    command = [sys.executable, "-m", "dicom_node", "config", "check", "--config", file]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "did you mean 'port'?" in done.stderr


def test_config_check_shows_whom_the_node_lets_in_what_it_changes_and_what_it_removes(tmp_path, tiny_model) -> None:
    node = NodeProcess(
        tmp_path / "node",
        '[node]\ncalling_ae = "CR1"\nallow_from = "10.1.0.0/16"\n[policy]\ncorrect_above = 0.95\n'
        '[retention]\nkeep = "720h"\n' + model(tiny_model),
    )
    shown = " ".join(node.run("config", "check").stdout.replace("│", " ").split())
    assert "only CR1, only from 10.1.0.0/16" in shown
    assert "fills empty headers; corrects wrong ones from a confidence of 0.95" in shown
    assert "removes files 30d after they came, once every destination has them" in shown


def test_what_serve_would_trip_over_fails_the_check_as_well(node) -> None:
    whole = node.file.read_text()
    node.file.write_text(whole.replace(f'data_dir = "{node.folder / "data"}"', 'data_dir = "/proc/nope"'))
    for command in (["config", "check"], ["serve"]):
        done = node.run(*command, check=False)
        assert done.returncode == 2
        assert done.stderr.startswith("error: node.data_dir: /proc/nope cannot be written (No such file or directory)")
    ledger = '[ledger]\nurl = "sqlite:////proc/y/ledger.sqlite"\n'
    for section, words in (
        ('[audit]\nfile = "/proc/x/audit.xml"\n', "audit.file: /proc/x"),
        (ledger, "ledger.url: /proc/y"),
    ):
        node.file.write_text(whole + section)
        done = node.run("config", "check", check=False)
        assert done.returncode == 2
        assert f"{words} cannot be written" in done.stderr


@pytest.mark.parametrize("command", ["check", "serve"])
def test_a_ledger_that_can_be_none_fails_the_check_and_is_not_tried_again(node, tmp_path, command) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no database")
    whole = node.file.read_text()
    for url, words in (
        (f"sqlite:///{tmp_path}", f"ledger.url: {tmp_path} is no file"),
        (f"sqlite:///{text}", f"ledger.url: {text} is no SQLite database"),
        ("postgresql://node:secret@127.0.0.1/node?sslmod=require", "no option 'sslmod'"),
    ):
        node.file.write_text(f'{whole}[ledger]\nurl = "{url}"\n')
        done = node.run(*(["config", "check"] if command == "check" else ["serve"]), check=False)
        assert done.returncode == 2
        assert words in done.stderr
        assert "secret" not in done.stderr
    assert text.read_text() == "no database"


@pytest.mark.parametrize("command", [["status"], ["show", "1.2.3"], ["requeue"], ["rules", "replay"]])
def test_a_ledger_that_is_not_there_is_named_and_not_made(node, command) -> None:
    """As when the command is given in another folder than the node's."""
    done = node.run(*command, check=False)
    assert done.returncode == 1
    [sentence] = done.stderr.splitlines()
    assert sentence.startswith(f"error: there is no ledger {node.folder / 'data' / 'ledger.sqlite'}: start the node")
    assert not (node.folder / "data").exists()


@pytest.mark.parametrize("command", [["status"], ["import"]])
def test_a_ledger_that_cannot_be_reached_is_named(node, file_of, command) -> None:
    """As in a folder that is another user's; root, who may everything, meets it with names that are too long."""
    folder = "x" * 300
    node.file.write_text(
        node.file.read_text().replace(f'data_dir = "{node.folder / "data"}"', f'data_dir = "{folder}"')
    )
    done = node.run(*command, *([file_of(bright())] if command == ["import"] else []), check=False)
    assert done.returncode == 1
    [sentence] = done.stderr.splitlines()
    assert sentence.startswith("error: the ledger ")
    assert sentence.endswith(
        "x/ledger.sqlite cannot be reached (File name too long): give this command as the node's user"
    )


@pytest.fixture
def away(node, tmp_path) -> NodeProcess:
    """A node whose data_dir is relative, and commands that are given in another folder than its own."""
    node.file.write_text(node.file.read_text().replace(str(node.folder / "data"), "data"))
    node.working_directory = tmp_path / "usb"
    node.working_directory.mkdir()
    return node


def test_import_in_another_folder_than_the_node_s_makes_no_second_ledger_there(away, file_of) -> None:
    """The running node would never hear of these images."""
    done = away.run("import", file_of(bright()), check=False)
    assert done.returncode == 2
    assert f"there is no ledger {away.working_directory / 'data' / 'ledger.sqlite'}, " in done.stderr
    assert "give this command in the node's" in done.stderr
    assert list(away.working_directory.iterdir()) == []
    away.working_directory = away.folder
    done = away.run("import", file_of(bright()))
    assert "a node with the same configuration and working directory works on it" in done.stderr


def test_a_ledger_that_is_not_there_under_a_relative_path_is_looked_for_in_the_node_s_folder(away) -> None:
    done = away.run("status", check=False)
    assert done.returncode == 1
    assert "its path is relative to the working directory; give this command in the node's" in done.stderr
    assert "--config" not in done.stderr


def test_import_says_that_it_made_a_ledger_and_where(node, file_of) -> None:
    """As when it is given in another folder than the node's: these images would never be sent on."""
    first, second = node.run("import", file_of(bright())), node.run("import", file_of(dark()))
    assert f"there was no ledger yet: made {node.folder / 'data' / 'ledger.sqlite'}; " in first.stderr
    assert "ledger" not in second.stderr


def test_a_file_whose_name_is_no_text_is_shown_all_the_same(node, tmp_path, file_of) -> None:
    """As an old CD leaves it: a name in Latin-1, under a locale that is strict about UTF-8."""
    image = tmp_path / os.fsdecode("Hüfte.dcm".encode("latin-1"))
    shutil.copy(file_of(bright()), image)
    for command in (["classify"], ["rules", "test"]):
        done = subprocess.run(
            [sys.executable, "-m", "dicom_node", *command, os.fsencode(image), "--config", node.file],
            capture_output=True, check=False, timeout=100, env={**os.environ, "PYTHONIOENCODING": "utf-8:strict"},
        )  # fmt: skip
        assert done.returncode == 0
        assert b"H\\udcfcfte.dcm" in done.stdout.replace(b"\n", b"")
        assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["utf-8:strict", "utf-8:surrogateescape"])
def test_a_password_that_is_not_in_utf_8_is_refused(encoding) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dicom_node", "config", "hash-password"],
        input="pässwörter-lang\n".encode("latin-1"),
        capture_output=True, check=False, timeout=60, env={**os.environ, "PYTHONIOENCODING": encoding},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: the password is not in UTF-8")


def test_rules_test_explains_what_would_happen_and_refuses_what_would_not_be_taken(
    tmp_path, tiny_model, file_of
) -> None:
    when = '{ called_ae = "GATE", StationName = "[a-z]*" }'
    rule = f'[[rules]]\nname = "to [ai]"\nwhen = {when}\nsend_to = "ai"\n'
    node = NodeProcess(tmp_path / "node", model(tiny_model) + destination("ai", 104) + rule)
    text, image = tmp_path / "README.md", file_of(bright(StationName="ROOM 1"))
    text.write_text("no image")
    done = node.run("rules", "test", text, image, "--called-ae", "GATE", check=False)
    assert done.returncode == 1
    assert f"{text}: this is no DICOM file" in done.stderr
    assert "1 of 2 files would not be taken" in done.stderr
    assert f"{image} goes to: ai" in done.stdout.replace("\n", "")
    assert f"{text} goes to" not in done.stdout
    assert "one of [a-z]*" in " ".join(done.stdout.split())
    assert "goes to: no destination" in node.run("rules", "test", image).stdout
    assert node.run("rules", "test", image, "--called-ae", "SEVENTEEN LETTERS", check=False).returncode == 2


def test_show_of_an_unknown_uid_says_so(node) -> None:
    node.run("migrate")
    done = node.run("show", "1.2.3", check=False)
    assert done.returncode == 1
    assert "the ledger knows nothing of 1.2.3" in done.stderr


def test_sending_everything_again_has_to_be_asked_for_by_name(node) -> None:
    done = node.run("requeue", "--state", "delivered", check=False)
    assert done.returncode == 2
    assert "name the UIDs" in done.stderr


def test_model_info_says_which_model_would_run(node) -> None:
    facts = json.loads(node.run("model", "info", "--json").stdout)
    assert facts["model"].startswith("tiny-1.0-")
    assert len(facts["labels"]) == 14


def test_migrate_says_where_the_schema_is(node) -> None:
    assert "went from nothing to" in node.run("migrate").stdout
    assert "schema is at" in node.run("migrate").stdout
